/* site_conf: see nodes/site_conf.h. The table `entries` holds what there is; all else goes through it. */
#include "nodes/site_conf.h"

#include "base/conf.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum kind { SIZE, COUNT, WORD, TEXT };

#define KIB ((int64_t)1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)

static const char *const bad_words[] = {"skip", "stop", "hold", NULL};
static const char *const sign_words[] = {"no", "required", NULL};
static const char *const access_words[] = {"owner", "group", NULL};

/* An entry: of which section and name, how it reads, where it goes, its default, and the least and most of a number. */
static const struct entry {
    const char *section, *name;
    enum kind kind;
    size_t at;
    int64_t standard, least, most;
    const char *const *words; /* WORD: what may stand there; their place is the value */
} entries[] = {
#define AT(field) offsetof(struct site_conf, field)
    {"limits", "inbox_bytes", SIZE, AT(inbox_bytes), 16 * GIB, MIB, INT64_MAX, NULL},
    {"limits", "inbox_files", COUNT, AT(inbox_files), 10000, 1, INT64_MAX, NULL},
    {"limits", "file_bytes", SIZE, AT(file_bytes), 4 * GIB, KIB, INT64_MAX, NULL},
    {"limits", "attachment_bytes", SIZE, AT(attachment_bytes), 16 * GIB, MIB, INT64_MAX, NULL},
    {"limits", "attachment_files", COUNT, AT(attachment_files), 10000, 1, INT64_MAX, NULL},
    {"limits", "numbers_ahead", COUNT, AT(numbers_ahead), 10000, 1, INT64_MAX, NULL},
    {"limits", "expanded_bytes", SIZE, AT(expanded_bytes), 16 * GIB, MIB, INT64_MAX, NULL},
    {"limits", "expanded_ratio", COUNT, AT(expanded_ratio), 200, 10, INT64_MAX, NULL},
    {"limits", "rows", COUNT, AT(rows), 10000000, 1, INT64_MAX, NULL},
    {"limits", "value_bytes", SIZE, AT(value_bytes), 16 * MIB, KIB, 128 * MIB, NULL},
    {"limits", "memory_bytes", SIZE, AT(memory_bytes), 4 * GIB, 64 * MIB, INT64_MAX, NULL},
    {"limits", "cpu_seconds", COUNT, AT(cpu_seconds), 3600, 1, 86400 * 365, NULL},
    {"limits", "quarantined_rows", COUNT, AT(quarantined_rows), 10000, 0, INT64_MAX, NULL},
    {"limits", "open_conflicts", COUNT, AT(open_conflicts), 100000, 0, INT64_MAX, NULL},
    {"limits", "sessions_per_hour", COUNT, AT(sessions_per_hour), 3600, 1, INT64_MAX, NULL},
    {"limits", "merges_per_hour", COUNT, AT(merges_per_hour), 3600, 1, INT64_MAX, NULL},
    {"limits", "idle_seconds", COUNT, AT(idle_seconds), 60, 1, 86400, NULL},
    {"uploads", "bad", WORD, AT(bad_upload), BAD_SKIP, 0, 0, bad_words},
    {"uploads", "keep_days", COUNT, AT(keep_days), 30, 0, 36500, NULL},
    {"uploads", "keep_bytes", SIZE, AT(keep_bytes), GIB, 0, INT64_MAX, NULL},
    {"grace", "partial_days", COUNT, AT(partial_days), 30, 1, 36500, NULL},
    {"grace", "unused_days", COUNT, AT(unused_days), 30, 0, 36500, NULL},
    {"grace", "silent_days", COUNT, AT(silent_days), 30, 1, 36500, NULL},
    {"site", "sign", WORD, AT(sign), 0, 0, 0, sign_words},
    {"site", "signers", TEXT, AT(signers), 0, 0, 0, NULL},
    {"site", "revoked", TEXT, AT(revoked), 0, 0, 0, NULL},
    {"site", "key", TEXT, AT(key), 0, 0, 0, NULL},
    {"site", "access", WORD, AT(group), 0, 0, 0, access_words},
    {"site", "report", TEXT, AT(report), 0, 0, 0, NULL},
    {"site", "metrics", TEXT, AT(metrics), 0, 0, 0, NULL},
#undef AT
};
enum { ENTRIES = sizeof entries / sizeof *entries };

static int64_t *number_at(struct site_conf *c, const struct entry *e)
{
    return (int64_t *)(void *)((char *)c + e->at);
}

static char **text_at(struct site_conf *c, const struct entry *e)
{
    return (char **)(void *)((char *)c + e->at);
}

/* ---- reading ---- */

static int refuse(const struct conf *c, const struct conf_entry *at, char *why)
{
    int rc = conf_refuse(c, at, why);
    free(why);
    return rc;
}

static int64_t unit_of(const char *suffix)
{
    static const struct {
        const char *suffix;
        int64_t bytes;
    } units[] = {{"", 1}, {"K", KIB}, {"M", MIB}, {"G", GIB}, {"T", GIB * 1024}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(suffix, units[i].suffix) == 0)
            return units[i].bytes;
    return 0;
}

static int take_number(struct site_conf *c, const struct conf *f, const struct conf_entry *at,
                       const struct entry *e)
{
    char *end;
    errno = 0;
    long long n = strtoll(at->value, &end, 10);
    int64_t unit = e->kind == SIZE ? unit_of(end) : *end == 0;
    if (errno || !isdigit((unsigned char)*at->value) || unit == 0 || n > INT64_MAX / unit)
        return refuse(f, at,
                      mem_printf("'%s' is not a number%s", at->value,
                                 e->kind == SIZE ? " of bytes; K, M, G or T may follow it" : ""));
    n *= unit;
    if (n < e->least || n > e->most)
        return refuse(f, at,
                      n < e->least ? mem_printf("'%s' is below %lld", at->value, (long long)e->least)
                                   : mem_printf("'%s' is above %lld", at->value, (long long)e->most));
    *number_at(c, e) = n;
    return 0;
}

static int take_word(struct site_conf *c, const struct conf *f, const struct conf_entry *at,
                     const struct entry *e)
{
    struct buf all = {0};
    for (int i = 0; e->words[i]; i++) {
        if (strcmp(at->value, e->words[i]) == 0) {
            *number_at(c, e) = i;
            buf_free(&all);
            return 0;
        }
        buf_addf(&all, "%s%s", i ? ", " : "", e->words[i]);
    }
    int rc = refuse(f, at, mem_printf("'%s' is none of %s", at->value, buf_text(&all)));
    buf_free(&all);
    return rc;
}

static int take_text(struct site_conf *c, const struct conf *f, const struct conf_entry *at,
                     const struct entry *e)
{
    if (strchr(at->value, '\n'))
        return conf_refuse(f, at, "more than one line");
    free(*text_at(c, e));
    *text_at(c, e) = mem_text(at->value);
    return 0;
}

/* The entry of that name; those of its section, or the sections, are said where there is none. */
static const struct entry *find_entry(const struct conf *f, const struct conf_entry *at)
{
    struct buf names = {0};
    const char *last = "";
    bool section = false;
    for (size_t i = 0; i < ENTRIES; i++)
        section |= strcmp(entries[i].section, at->section) == 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct entry *e = &entries[i];
        const char *word = section ? e->name : e->section;
        if (section && strcmp(e->section, at->section) != 0)
            continue;
        if (section && strcmp(e->name, at->name) == 0) {
            buf_free(&names);
            return e;
        }
        if (strcmp(word, last) != 0)
            buf_addf(&names, "%s%s", *last ? ", " : "", word);
        last = word;
    }
    refuse(f, at,
           mem_printf("there is no such %s; there are %s", section ? "entry" : "section", buf_text(&names)));
    buf_free(&names);
    return NULL;
}

static int take(struct site_conf *c, const struct conf *f, size_t i)
{
    const struct conf_entry *at = &f->entry[i];
    const struct entry *e = find_entry(f, at);
    if (e == NULL)
        return -1;
    for (size_t k = 0; k < i; k++)
        if (strcmp(f->entry[k].section, at->section) == 0 && strcmp(f->entry[k].name, at->name) == 0)
            return conf_refuse(f, at, "given twice");
    return e->kind == TEXT   ? take_text(c, f, at, e)
           : e->kind == WORD ? take_word(c, f, at, e)
                             : take_number(c, f, at, e);
}

/* Entries that only make sense together. */
static int check(const struct site_conf *c)
{
    if (c->sign && *c->signers == 0)
        return fail(
            ERR_REFUSED,
            "%s: [site] sign = required needs signers =, the file with the keys of those who may sign",
            c->path);
    if (c->file_bytes > c->inbox_bytes)
        return fail(ERR_REFUSED, "%s: [limits] file_bytes is more than inbox_bytes", c->path);
    return 0;
}

int site_conf_read(const char *site, struct site_conf *c)
{
    *c = (struct site_conf){.path = file_join(site, "site.conf")};
    for (size_t i = 0; i < ENTRIES; i++)
        if (entries[i].kind == TEXT)
            *text_at(c, &entries[i]) = mem_text("");
        else
            *number_at(c, &entries[i]) = entries[i].standard;
    if (!file_exists(c->path))
        return 0;
    struct conf *f = conf_read(c->path);
    int rc = f ? 0 : -1;
    for (size_t i = 0; rc == 0 && i < f->n; i++)
        rc = take(c, f, i);
    conf_free(f);
    return rc ? -1 : check(c);
}

int site_conf_beside(const char *path, struct site_conf *out)
{
    const char *slash = strrchr(path, '/');
    char *site = slash == NULL   ? mem_text(".")
                 : slash == path ? mem_text("/")
                                 : mem_printf("%.*s", (int)(slash - path), path);
    int rc = site_conf_read(site, out);
    free(site);
    return rc;
}

int site_conf_of(struct db *db, struct site_conf *out)
{
    return site_conf_beside(db_path(db), out);
}

void site_conf_free(struct site_conf *c)
{
    free(c->path);
    for (size_t i = 0; i < ENTRIES; i++)
        if (entries[i].kind == TEXT)
            free(*text_at(c, &entries[i]));
    *c = (struct site_conf){0};
}

void site_conf_umask(const struct site_conf *c)
{
    umask(c->group ? 007 : 077);
}

bool site_conf_expands(int64_t ratio, int64_t packed, int64_t unpacked)
{
    return ratio && unpacked > 64 * MIB && unpacked / ratio > packed;
}

/* ---- showing ---- */

static void print_size(struct buf *out, int64_t n)
{
    static const char units[] = " KMGT";
    int unit = 0;
    while (n && n % 1024 == 0 && unit < 4) {
        n /= 1024;
        unit++;
    }
    buf_addf(out, "%lld%.1s", (long long)n, unit ? &units[unit] : "");
}

/* `units`: sizes as they could stand in the file, else in bytes. */
static void print_value(struct site_conf *c, const struct entry *e, bool units, struct buf *out)
{
    if (e->kind == TEXT)
        buf_puts(out, *text_at(c, e));
    else if (e->kind == WORD)
        buf_puts(out, e->words[*number_at(c, e)]);
    else if (e->kind == SIZE && units)
        print_size(out, *number_at(c, e));
    else
        buf_addf(out, "%lld", (long long)*number_at(c, e));
}

void site_conf_print(const struct site_conf *c, struct buf *out)
{
    struct site_conf copy = *c; /* number_at and text_at want one that may be written */
    const char *section = "";
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct entry *e = &entries[i];
        if (strcmp(section, e->section) != 0)
            buf_addf(out, "%s[%s]\n", *section ? "\n" : "", e->section);
        section = e->section;
        buf_addf(out, "%s = ", e->name);
        print_value(&copy, e, true, out);
        buf_byte(out, '\n');
    }
}

int site_conf_get(const struct site_conf *c, const char *name, struct buf *out)
{
    struct site_conf copy = *c;
    for (size_t i = 0; i < ENTRIES; i++)
        if (strcmp(entries[i].name, name) == 0) {
            print_value(&copy, &entries[i], false, out);
            return 0;
        }
    return fail(ERR_USAGE, "'%s' is no entry of site.conf; see dx-site.conf(5)", name);
}

char *site_conf_path(const char *site, const char *name)
{
    return *name == '/' ? mem_text(name) : file_join(site, name);
}

/* ---- looking at the site ---- */

/* What others than the configuration wants may do with a file of the site. */
static void look_at_mode(const char *path, const struct site_conf *c, struct buf *out)
{
    struct stat st;
    mode_t others = c->group ? S_IRWXO : S_IRWXG | S_IRWXO;
    if (lstat(path, &st) == 0 && !S_ISLNK(st.st_mode) && (st.st_mode & others))
        buf_addf(out, "%s: %s may reach it (mode %03o); chmod %s %s\n", path,
                 st.st_mode & S_IRWXO ? "everybody on this machine" : "its group",
                 (unsigned)st.st_mode & 0777, c->group ? "o=" : "go=", path);
}

static void look_at_file(const char *site, const char *what, const char *name, struct buf *out)
{
    char *path = site_conf_path(site, name);
    if (*name && !file_exists(path))
        buf_addf(out, "%s: there is no such file; site.conf names it for %s =\n", path, what);
    free(path);
}

/* dxserve --stick has been here. */
static void look_at_sticks(const char *site, const struct site_conf *c, struct buf *out)
{
    char *lock = file_join(site, "docking/stick.lock");
    if (!c->sign && file_exists(lock))
        buf_addf(out,
                 "%s: sticks are used here, and their messages are not signed: who holds one speaks for any "
                 "node and can ask for its copy; sign = required in site.conf demands signatures\n",
                 lock);
    free(lock);
}

int site_conf_look(const char *site, const struct site_conf *c, struct buf *out)
{
    static const char *const parts[] = {"hq.db", "hq.db-wal", "hq.db-shm", "docking", "files"};
    struct stat st;
    if (stat(site, &st))
        return fail_errno("%s: cannot look at it", site);
    look_at_mode(site, c, out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *path = file_join(site, parts[i]);
        look_at_mode(path, c, out);
        free(path);
    }
    look_at_sticks(site, c, out);
    look_at_file(site, "signers", c->signers, out);
    look_at_file(site, "revoked", c->revoked, out);
    look_at_file(site, "key", c->key, out);
    return 0;
}
