/* resolve: see compare/resolve.h. */
#include "compare/resolve.h"

#include "base/err.h"
#include "base/mem.h"
#include "compare/view.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A conflict looked for by its id, or all that have no answer. */
struct open_conflict {
    int64_t id;
    struct table *layout;
    bool deleted[SIDES];
};

struct finding {
    int64_t id; /* 0: all without an answer */
    size_t n;
    struct open_conflict *found;
};

static int find_one(void *ctx, const struct base_conflict *c)
{
    struct finding *f = ctx;
    if (f->id ? c->id != f->id : c->answer != NULL)
        return 0;
    f->found = mem_grow(f->found, f->n + 1, sizeof *f->found);
    f->found[f->n++] = (struct open_conflict){.id = c->id,
                                              .layout = table_copy(c->layout),
                                              .deleted = {c->row[MINE] == NULL, c->row[THEIRS] == NULL}};
    return 0;
}

static void free_found(struct finding *f)
{
    for (size_t i = 0; i < f->n; i++)
        table_free(f->found[i].layout);
    free(f->found);
}

/* ---- lines ---- */

static int side_of(const char *word)
{
    return word && strcmp(word, "mine") == 0 ? 'm' : word && strcmp(word, "theirs") == 0 ? 't' : 0;
}

/* The answer to one conflict as a byte a column, to free; NULL after fail(). */
static char *answer_of(const struct open_conflict *c, json_t *line)
{
    json_t *take = json_object_get(line, "take"), *columns = json_object_get(line, "columns"), *value;
    const char *name;
    char *answer = mem_zero(c->layout->ncol + 1, 1);
    int whole = side_of(json_string_value(take));
    bool ok =
        (whole != 0) != json_is_object(columns) && !(columns && (c->deleted[MINE] || c->deleted[THEIRS]));
    memset(answer, whole ? whole : 't', c->layout->ncol);
    if (ok && columns)
        json_object_foreach (columns, name, value) {
            int at = table_column(c->layout, name), side = side_of(json_string_value(value));
            ok = ok && at >= 0 && side && !c->layout->pk[at];
            if (ok)
                answer[at] = (char)side;
        }
    if (ok)
        return answer;
    free(answer);
    fail(ERR_REFUSED,
         "conflict %lld: an answer is {\"id\":N,\"take\":\"mine\" or \"theirs\"}, or, where both have the "
         "row, "
         "{\"id\":N,\"columns\":{\"COLUMN\":\"mine\" or \"theirs\",...}} of columns outside the key",
         (long long)c->id);
    return NULL;
}

static int take_line(struct base *b, json_t *line)
{
    struct finding f = {.id = json_integer_value(json_object_get(line, "id"))};
    if (f.id <= 0)
        return fail(ERR_REFUSED, "an answer names its conflict: {\"id\":N,...}");
    int rc = base_each_conflict(b, find_one, &f);
    if (rc == 0 && f.n == 0)
        rc = fail(ERR_REFUSED, "there is no conflict %lld; see `syncdiff conflicts`", (long long)f.id);
    if (rc == 0 && json_is_null(json_object_get(line, "take")))
        rc = base_set_answer(b, f.id, NULL);
    else if (rc == 0) {
        char *answer = answer_of(&f.found[0], line);
        rc = answer ? base_set_answer(b, f.id, answer) : -1;
        free(answer);
    }
    free_found(&f);
    return rc;
}

int resolve_lines(struct base *b, FILE *in, int64_t *n)
{
    char *text = NULL;
    size_t room = 0;
    int rc = 0;
    *n = 0;
    for (int64_t line = 1; rc == 0 && getline(&text, &room, in) > 0; line++) {
        json_error_t error;
        if (text[strspn(text, " \t\r\n")] == 0)
            continue;
        json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
        rc = json ? take_line(b, json) : fail(ERR_REFUSED, "%s", error.text);
        if (rc)
            fail_in("answer %lld", (long long)line);
        json_decref(json);
        ++*n;
    }
    free(text);
    return rc ? -1 : db_commit(b->db);
}

/* ---- asking ---- */

/* The first letter of what was typed, 'q' at the end of the input. */
static int ask(FILE *in, FILE *out, const char *question)
{
    char *line = NULL;
    size_t room = 0;
    fputs(question, out);
    fflush(out);
    int letter = getline(&line, &room, in) > 0 ? line[strspn(line, " \t")] : 'q';
    free(line);
    return letter;
}

/* Column by column; false when it was given up. */
static bool ask_columns(const struct open_conflict *c, FILE *in, FILE *out, char *answer)
{
    for (size_t i = 0; i < c->layout->ncol; i++) {
        answer[i] = 't';
        if (c->layout->pk[i])
            continue;
        char *question = mem_printf("  %s: (m)ine, (t)heirs? ", c->layout->col[i]);
        int letter = 0;
        while (letter != 'm' && letter != 't' && letter != 'q')
            letter = ask(in, out, question);
        free(question);
        if (letter == 'q')
            return false;
        answer[i] = (char)letter;
    }
    return true;
}

static int answer_one(struct base *b, const struct open_conflict *c, FILE *in, FILE *out, int64_t *n,
                      bool *quit)
{
    bool both = !c->deleted[MINE] && !c->deleted[THEIRS];
    char *question = mem_printf("%lld: (m)ine, (t)heirs,%s (s)kip, (q)uit? ", (long long)c->id,
                                both ? " (c)olumn by column," : "");
    char *answer = mem_zero(c->layout->ncol + 1, 1);
    int letter = 0, rc = 0;
    bool given = false;
    while (letter != 'm' && letter != 't' && letter != 's' && letter != 'q' && !(letter == 'c' && both))
        letter = ask(in, out, question);
    if (letter == 'm' || letter == 't') {
        memset(answer, letter, c->layout->ncol);
        given = true;
    } else if (letter == 'c')
        given = ask_columns(c, in, out, answer);
    if (given) {
        rc = base_set_answer(b, c->id, answer);
        ++*n;
    }
    *quit = letter == 'q';
    free(answer);
    free(question);
    return rc;
}

int resolve_ask(struct base *b, FILE *in, FILE *out, int width, int64_t *n)
{
    struct finding f = {0};
    bool quit = false;
    *n = 0;
    int rc = base_each_conflict(b, find_one, &f);
    if (rc == 0)
        rc = view_base_conflicts(b, width, out);
    for (size_t i = 0; i < f.n && rc == 0 && !quit; i++)
        rc = answer_one(b, &f.found[i], in, out, n, &quit);
    free_found(&f);
    return rc ? -1 : db_commit(b->db);
}
