/* conf: see base/conf.h. */
#include "base/conf.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <ini.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX = 1 << 20,
    LINE_MAX_BYTES = 65000 /* inih cuts longer lines than it has room for, and says nothing */
};

/* The text while inih reads it line by line. */
struct source {
    struct conf *conf;
    const char *at, *start; /* behind the line read last, and its first byte */
    int line;
    bool too_long;
};

/* Notes a line "[SECTION]": inih says nothing of one without entries. */
static void note_section(struct conf *c, const char *line, size_t n, int number)
{
    const char *end = n && *line == '[' ? memchr(line, ']', n) : NULL;
    if (end == NULL)
        return;
    char *name = mem_printf("%.*s", (int)(end - line - 1), line + 1);
    for (size_t i = 0; i < c->nsection; i++)
        if (strcmp(c->section[i], name) == 0) {
            free(name);
            return;
        }
    c->section = mem_grow(c->section, c->nsection + 1, sizeof *c->section);
    c->section_line = mem_grow(c->section_line, c->nsection + 1, sizeof *c->section_line);
    c->section_line[c->nsection] = number;
    c->section[c->nsection++] = name;
}

static char *next_line(char *line, int room, void *stream)
{
    struct source *s = stream;
    if (*s->at == 0 || s->too_long)
        return NULL;
    size_t n = strcspn(s->at, "\n");
    s->line++;
    if (n > LINE_MAX_BYTES || (int)n + 2 > room) {
        s->too_long = true;
        return NULL;
    }
    if (s->at[n] == '\n')
        n++;
    memcpy(line, s->at, n);
    line[n] = 0;
    s->start = s->at;
    s->at += n;
    note_section(s->conf, line, n, s->line);
    return line;
}

/* inih gives a line that goes on as one more value of the name before it. */
static bool goes_on(const struct source *s)
{
    return *s->start == ' ' || *s->start == '\t';
}

static int on_entry(void *user, const char *section, const char *name, const char *value)
{
    struct source *s = user;
    struct conf *c = s->conf;
    struct conf_entry *last = c->n ? &c->entry[c->n - 1] : NULL;
    if (last && goes_on(s) && strcmp(last->section, section) == 0 && strcmp(last->name, name) == 0) {
        char *joined = mem_printf("%s\n%s", last->value, value);
        free(last->value);
        last->value = joined;
        return 1;
    }
    c->entry = mem_grow(c->entry, c->n + 1, sizeof *c->entry);
    c->entry[c->n++] = (struct conf_entry){mem_text(section), mem_text(name), mem_text(value), s->line, NULL};
    return 1;
}

/* Whoever wrote a section with nothing under it meant something. */
static int check_sections(const struct conf *c)
{
    for (size_t k = 0; k < c->nsection; k++) {
        bool any = false;
        for (size_t i = 0; i < c->n && !any; i++)
            any = strcmp(c->entry[i].section, c->section[k]) == 0;
        if (!any)
            return fail(ERR_REFUSED, "%s:%d: [%s] has nothing under it", c->path, c->section_line[k],
                        c->section[k]);
    }
    return 0;
}

/* What inih cuts would not be found again. */
static int check_lengths(const struct conf *c)
{
    enum { SECTION_MAX = 49 };
    for (size_t i = 0; i < c->nsection; i++)
        if (strlen(c->section[i]) > SECTION_MAX)
            return fail(ERR_REFUSED, "%s:%d: [%s]: a name of a section over %d characters", c->path,
                        c->section_line[i], c->section[i], SECTION_MAX);
    return 0;
}

static struct conf *read_file(const char *path, bool sparse)
{
    struct buf text = {0};
    if (file_load(path, FILE_MAX, &text)) {
        buf_free(&text);
        return NULL;
    }
    struct conf *c = mem_zero(1, sizeof *c);
    c->path = mem_text(path);
    struct source s = {.conf = c, .at = buf_text(&text)};
    bool nul = strlen(s.at) != text.n;
    ini_use_stack = false;
    ini_initial_alloc = ini_max_line = LINE_MAX_BYTES + 10;
    int bad = nul ? 0 : ini_parse_stream(next_line, &s, on_entry, &s);
    int rc = 0;
    if (s.too_long)
        rc = fail(ERR_REFUSED, "%s:%d: a line over %d characters; break it, and indent what goes on", path,
                  s.line, LINE_MAX_BYTES);
    else if (bad)
        rc = fail(ERR_REFUSED, "%s:%d: neither [section], nor name = value, nor a comment", path, bad);
    else if (nul)
        rc = fail(ERR_REFUSED, "%s: holds a NUL byte; it must be text", path);
    if (rc == 0)
        rc = check_lengths(c) || (!sparse && check_sections(c)) ? -1 : 0;
    buf_free(&text);
    if (rc == 0)
        return c;
    conf_free(c);
    return NULL;
}

struct conf *conf_read(const char *path)
{
    return read_file(path, false);
}

struct conf *conf_read_sparse(const char *path)
{
    return read_file(path, true);
}

void conf_free(struct conf *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->entry[i].section);
        free(c->entry[i].name);
        free(c->entry[i].value);
        free(c->entry[i].path);
    }
    for (size_t i = 0; i < c->nsection; i++)
        free(c->section[i]);
    free(c->section);
    free(c->section_line);
    free(c->entry);
    free(c->path);
    free(c);
}

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names && strcmp(name, *names) != 0)
        names++;
    return *names != NULL;
}

/* Whether the first n entries of c say it. */
static bool says(const struct conf *c, size_t n, const struct conf_entry *e, const char *const *either)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(c->entry[i].section, e->section) == 0 &&
            (strcmp(c->entry[i].name, e->name) == 0 ||
             (is_one_of(e->name, either) && is_one_of(c->entry[i].name, either))))
            return true;
    return false;
}

void conf_include(struct conf *c, struct conf *from, const char *without, const char *const *either)
{
    size_t own = c->n;
    for (size_t i = 0; i < from->n; i++) {
        struct conf_entry *e = &from->entry[i];
        if (strcmp(e->section, without) == 0 || says(c, own, e, either))
            continue;
        c->entry = mem_grow(c->entry, c->n + 1, sizeof *c->entry);
        c->entry[c->n++] = *e;
        c->entry[c->n - 1].path = e->path ? e->path : mem_text(from->path);
        *e = (struct conf_entry){0};
    }
    conf_free(from);
}

const char *conf_get(const struct conf *c, const char *section, const char *name)
{
    for (size_t i = c->n; i-- > 0;)
        if (strcmp(c->entry[i].section, section) == 0 && strcmp(c->entry[i].name, name) == 0)
            return c->entry[i].value;
    return NULL;
}

int conf_refuse(const struct conf *c, const struct conf_entry *e, const char *why)
{
    return fail(ERR_REFUSED, "%s:%d: [%s] %s: %s", e->path ? e->path : c->path, e->line, e->section, e->name,
                why);
}

char *conf_word(const char **list, char separator)
{
    static const char blank[] = " \t\r\n";
    const char *p = *list + strspn(*list, blank);
    if (*p == 0)
        return NULL;
    size_t n = 0;
    while (p[n] && p[n] != separator)
        n++;
    *list = p[n] ? p + n + 1 : p + n;
    while (n && strchr(blank, p[n - 1]))
        n--;
    struct buf word = {0};
    buf_add(&word, p, n);
    return buf_take(&word);
}
