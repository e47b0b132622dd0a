/* syncdiff: compares two databases by key and change key with what they agreed on last, and plans both directions. */
#include "base/buf.h"
#include "base/spool.h"
#include "cli/cli.h"
#include "compare/diff.h"
#include "compare/diffscreen.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *conf_path, *base_path, *new_base, *plan[SIDES], *max_delete, *approve;
static bool as_json;

static const char *const sides[SIDES] = {"mine", "theirs"};

static int load_conf(struct conf **conf)
{
    *conf = conf_path ? conf_read(conf_path) : NULL;
    return conf_path && *conf == NULL ? -1 : 0;
}

/* ---- keys ---- */

static int keys(int argc, char **argv)
{
    struct conf *conf;
    (void)argc;
    if (cli_archive_to_stdout() || load_conf(&conf))
        return -1;
    int rc = diff_keys(argv[0], conf, STDOUT_FILENO, "stdout");
    conf_free(conf);
    return rc;
}

/* ---- compare ---- */

/* What is printed: conflicts wait in a file until the counts are out. */
struct report {
    FILE *conflicts;
    json_t *objects;
    bool look;
};

static const char *what_word(enum diff_what what)
{
    static const char *const word[] = {"unchanged", "inserted", "updated", "deleted"};
    return word[what];
}

static json_t *json_val(const struct val *v)
{
    if (v->type == VAL_INT)
        return json_integer(v->i);
    json_t *text = v->type == VAL_TEXT ? json_stringn(v->p, v->n) : NULL;
    return text ? text : json_string(val_show(v));
}

static void print_json(FILE *out, json_t *json)
{
    json_dumpf(json, out, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(json);
}

static void on_conflict(void *ctx, const struct table *t, const struct val *key,
                        const enum diff_what what[SIDES])
{
    struct report *r = ctx;
    if (!as_json) {
        fprintf(r->conflicts, "conflict: %s %s: %s in mine, %s in theirs\n", t->name, vals_show(key, t->nkey),
                what_word(what[MINE]), what_word(what[THEIRS]));
        return;
    }
    json_t *columns = json_object();
    for (size_t i = 0; i < t->nkey; i++)
        json_object_set_new(columns, t->col[i], json_val(&key[i]));
    if (ftell(r->conflicts) > 0)
        putc(',', r->conflicts);
    print_json(r->conflicts, json_pack("{s:s, s:o, s:s, s:s}", "object", t->name, "key", columns, "mine",
                                       what_word(what[MINE]), "theirs", what_word(what[THEIRS])));
}

static json_t *todo_json(const struct diff_counts *n, int side)
{
    return json_pack("{s:I, s:I, s:I}", "insert", (json_int_t)n->inserts[side], "update",
                     (json_int_t)n->updates[side], "delete", (json_int_t)n->deletes[side]);
}

static void on_counted(void *ctx, const struct diff_counts *n)
{
    struct report *r = ctx;
    r->look |= n->conflicts > 0;
    if (as_json) {
        json_array_append_new(r->objects,
                              json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:o, s:I}", "object", n->table,
                                        "initial", n->initial, "mine", (json_int_t)n->rows[MINE], "theirs",
                                        (json_int_t)n->rows[THEIRS], "base", (json_int_t)n->base, "agreed",
                                        (json_int_t)n->agreed, "to_mine", todo_json(n, MINE), "to_theirs",
                                        todo_json(n, THEIRS), "conflicts", (json_int_t)n->conflicts));
        return;
    }
    printf("%s: %lld in mine, %lld in theirs, %lld agreed", n->table, (long long)n->rows[MINE],
           (long long)n->rows[THEIRS], (long long)n->agreed);
    for (int side = MINE; side < SIDES; side++)
        if (n->inserts[side] || n->updates[side] || n->deletes[side])
            printf("; to %s: %lld inserts, %lld updates, %lld deletes", sides[side],
                   (long long)n->inserts[side], (long long)n->updates[side], (long long)n->deletes[side]);
    printf("%s", n->conflicts ? "" : "\n");
    if (n->conflicts)
        printf("; %lld conflicts\n", (long long)n->conflicts);
    if (n->initial && base_path)
        cli_warn("%s: %s: not in the base, or its key or change key is another now; compared as for the "
                 "first time",
                 base_path, n->table);
}

static void on_only(void *ctx, int side, const char *table)
{
    (void)ctx;
    cli_say("%s: only in %s, not compared", table, sides[side]);
}

static void print_conflicts(struct report *r)
{
    char piece[4096];
    size_t n;
    if (as_json) {
        printf("{\"objects\":");
        print_json(stdout, json_incref(r->objects));
        printf(",\"conflicts\":[");
    }
    rewind(r->conflicts);
    while ((n = fread(piece, 1, sizeof piece, r->conflicts)) > 0)
        fwrite(piece, 1, n, stdout);
    if (as_json)
        printf("]}\n");
}

static int read_limit(struct diff_options *o)
{
    enum { DEFAULT_PERCENT = 50, DEFAULT_FREE = 10 };
    int64_t n = DEFAULT_PERCENT;
    o->max_deletes = -1;
    o->max_percent = DEFAULT_PERCENT;
    o->free_deletes = DEFAULT_FREE;
    if (max_delete == NULL)
        return 0;
    size_t end = strlen(max_delete);
    bool percent = end > 0 && max_delete[end - 1] == '%';
    char *digits = strndup(max_delete, end - percent);
    int rc = cli_number(digits, "--max-delete", &n);
    free(digits);
    if (rc == 0 && percent && n > 100)
        rc = fail(ERR_USAGE, "--max-delete: %s is more than 100%%", max_delete);
    o->free_deletes = 0;
    o->max_percent = percent ? (int)n : 100;
    o->max_deletes = percent ? -1 : n;
    return rc;
}

static int compare_sides(char **path, const struct conf *conf, const struct diff_options *o)
{
    struct diff_side *side[SIDES] = {diff_side_open(path[MINE], conf), NULL}, *base = NULL;
    int rc = side[MINE] && (side[THEIRS] = diff_side_open(path[THEIRS], conf)) ? 0 : -1;
    if (rc == 0 && base_path && (base = diff_side_open_base(base_path, conf)) == NULL)
        rc = -1;
    if (rc == 0)
        rc = diff_compare(side, base, o);
    diff_side_close(side[MINE]);
    diff_side_close(side[THEIRS]);
    diff_side_close(base);
    return rc;
}

static int compare(int argc, char **argv)
{
    struct report r = {.conflicts = spool_stream(), .objects = json_array()};
    struct diff_options o = {.plan = {plan[MINE], plan[THEIRS]},
                             .new_base = new_base,
                             .approve = approve,
                             .conflict = on_conflict,
                             .counted = on_counted,
                             .only = on_only,
                             .ctx = &r};
    struct conf *conf = NULL;
    (void)argc;
    int rc = r.conflicts ? 0 : -1;
    if (rc == 0)
        rc = read_limit(&o) || load_conf(&conf) || compare_sides(argv, conf, &o) ? -1 : 0;
    if (rc == 0 || (r.conflicts && err_code() == ERR_GUARD))
        print_conflicts(&r);
    if (r.conflicts && fclose(r.conflicts) && rc == 0)
        rc = fail_errno("cannot write a temporary file");
    json_decref(r.objects);
    conf_free(conf);
    return rc ? rc : r.look ? ERR_LOOK : 0;
}

/* ---- rows, screen ---- */

static void on_issue(void *ctx, enum diff_issue issue, const struct change *c, const struct val *other)
{
    static const char *const why[] = {
        "was to be sent and is gone now; left out until the next comparison",
        "was to be deleted and is back again; left out until the next comparison",
        "not inserted: another row has its user key, key"};
    int64_t *issues = ctx;
    ++*issues;
    cli_warn("%s: %s%s%s", change_show(c), why[issue], other ? " " : "",
             other ? vals_show(other, c->table->nkey) : "");
}

typedef int pass_fn(struct db *db, const struct diff_set *set, struct dx_reader *r,
                    const struct dx_head *head, int fd, const char *name, diff_issue_fn *issue, void *ctx);

/* stdin through `pass` to stdout, beside a snapshot of the database. */
static int pass_archive(const char *path, pass_fn *pass)
{
    const char *name;
    const struct dx_head *head;
    int64_t issues = 0;
    struct conf *conf = NULL;
    struct dx_reader *r = NULL;
    struct diff_set *set = NULL;
    int fd = cli_archive_to_stdout() ? -1 : dx_open_input(NULL, &name);
    if (fd < 0 || load_conf(&conf))
        return -1;
    struct db *db = db_open(path, DB_READ);
    int rc = db && db_begin_read(db) == 0 && (set = diff_set_of(db, conf)) ? 0 : -1;
    if (rc == 0) {
        r = dx_reader_open(fd, name);
        rc = r && dx_next(r, &head) > 0 ? pass(db, set, r, head, STDOUT_FILENO, "stdout", on_issue, &issues)
                                        : -1;
    }
    dx_reader_close(r);
    diff_set_free(set);
    db_close(db);
    conf_free(conf);
    return rc ? rc : issues ? ERR_LOOK : 0;
}

static int rows(int argc, char **argv)
{
    (void)argc;
    return pass_archive(argv[0], diff_rows);
}

static int screen(int argc, char **argv)
{
    (void)argc;
    return pass_archive(argv[0], diff_screen);
}

#define CONF                                                                                            \
    {                                                                                                   \
        "--conf", "FILE", "the objects, their columns and keys, as in a package.conf", NULL, &conf_path \
    }
static const struct cli_option only_conf[] = {CONF, {0}};
static const struct cli_option compare_options[] = {
    CONF,
    {"--base", "BASE", "what both sides agreed on last, written by --save-base", NULL, &base_path},
    {"--to-mine", "FILE", "write the plan of what is to be done in MINE, if anything", NULL, &plan[MINE]},
    {"--to-theirs", "FILE", "the same for THEIRS", NULL, &plan[THEIRS]},
    {"--save-base", "FILE", "write the new base: the keys that both sides agree on", NULL, &new_base},
    {"--max-delete", "N", "stop at more deletes of an object than N, or N% (50%, from 11 on)", NULL,
     &max_delete},
    {"--approve", "LIST", "OBJECT:N,...: these deletes are what is wanted", NULL, &approve},
    {"--json", NULL, "counts and conflicts as JSON", &as_json, NULL},
    {0}};

static const struct cli_verb verbs[] = {
    {"keys", "DB", 1, 1, "write key and change key of every row as an archive", only_conf, keys},
    {"compare", "MINE THEIRS", 2, 2, "compare databases or archives of keys", compare_options, compare},
    {"rows", "DB", 1, 1, "write the full rows that the plan on stdin asks for", only_conf, rows},
    {"screen", "DB", 1, 1, "leave out of the rows on stdin the inserts whose user key another row of DB has",
     only_conf, screen},
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {
        .name = "syncdiff",
        .help = "compare two databases by key and change key, and plan both directions",
        .verb = verbs,
        .nverb = sizeof verbs / sizeof *verbs};
    return cli_main(&command, argc, argv);
}
