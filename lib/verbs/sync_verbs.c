/* sync_verbs: see verbs/sync_verbs.h. */
#include "verbs/sync_verbs.h"

#include "base/spool.h"
#include "compare/diff.h"
#include "compare/local.h"
#include "compare/planfile.h"
#include "compare/remote.h"
#include "compare/view.h"
#include "verbs/verb.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEER_IN = 3, PEER_OUT = 4 };

static const char *conf_path, *base_path, *new_base, *plan[SIDES], *max_delete, *max_update, *approve, *only,
    *take;

static bool as_json, as_stat, as_rows, as_sql, as_check, dry, initial, revert;

static const char *const sides[SIDES] = {"mine", "theirs"};

static void on_warn(void *ctx, const char *line)
{
    (void)ctx;
    cli_warn("%s", line);
}

/* "N" or "N%". */
static int read_limit(const char *text, const char *what, int64_t *number, int *percent, int64_t *free_rows)
{
    int64_t n;
    if (text == NULL)
        return 0;
    size_t end = strlen(text);
    bool part = end > 0 && text[end - 1] == '%';
    char *digits = strndup(text, end - part);
    int rc = cli_number(digits, what, &n);
    free(digits);
    if (rc == 0 && part && n > 100)
        rc = fail(ERR_USAGE, "%s: %s is more than 100%%", what, text);
    *free_rows = 0;
    *percent = part ? (int)n : 100;
    *number = part ? -1 : n;
    return rc;
}

static int read_side(const char *text, const char *what, int *side)
{
    *side = text == NULL                  ? SIDES
            : strcmp(text, "mine") == 0   ? MINE
            : strcmp(text, "theirs") == 0 ? THEIRS
                                          : -1;
    return *side < 0 ? fail(ERR_USAGE, "%s: mine or theirs, not '%s'", what, text) : 0;
}

static int read_take(struct sync_options *o)
{
    static const char newest[] = "newest ";
    if (take == NULL)
        return 0;
    o->taking = true;
    o->newest = take + strlen(newest);
    if (strcmp(take, "mine") == 0)
        o->take = TAKE_MINE;
    else if (strcmp(take, "theirs") == 0)
        o->take = TAKE_THEIRS;
    else if (strncmp(take, newest, strlen(newest)) == 0)
        o->take = TAKE_NEWEST;
    else
        return fail(ERR_USAGE, "--take: mine, theirs or 'newest COLUMN', not '%s'", take);
    return 0;
}

static int read_options(struct sync_options *o)
{
    *o = (struct sync_options){.conf = conf_path,
                               .base = base_path,
                               .dry = dry,
                               .initial = initial,
                               .revert = revert,
                               .all_rows = as_rows || as_sql || as_check,
                               .check = as_check,
                               .limits = guard_defaults(),
                               .approve = approve,
                               .warn = on_warn};
    struct guard_limits *l = &o->limits;
    if (read_limit(max_delete, "--max-delete", &l->deletes, &l->delete_percent, &l->free_deletes) ||
        read_limit(max_update, "--max-update", &l->updates, &l->update_percent, &l->free_updates) ||
        read_side(only, "--only", &o->only) || read_take(o))
        return -1;
    return revert && o->only == SIDES ? fail(ERR_USAGE, "--revert: with --only, which says what is written")
                                      : 0;
}

/* THEIRS is "-": syncdiff serve answers on descriptors 3 and 4. */
static struct side *open_theirs(const char *path)
{
    return strcmp(path, "-") == 0 ? remote_open(PEER_IN, PEER_OUT, "theirs", THEIRS)
                                  : local_open(path, THEIRS);
}

static struct sync *open_sync(char **path, const struct sync_options *o)
{
    struct side *side[SIDES] = {local_open(path[MINE], MINE), NULL};
    side[THEIRS] = side[MINE] ? open_theirs(path[THEIRS]) : NULL;
    if (side[THEIRS])
        return sync_open(side, o);
    side_close(side[MINE]);
    return NULL;
}

static bool shown(void)
{
    return as_json || as_stat || as_rows || as_sql;
}

static int show(struct sync *s)
{
    if (as_json)
        return view_json(s, stdout);
    if (as_stat)
        return view_stat(s, stdout);
    if (as_rows)
        return view_rows(s, stdout);
    if (as_sql)
        return view_sql(s, MINE, stdout);
    return view_counts(s, stdout) || view_conflicts(s, stdout) ? -1 : 0;
}

static void tell_written(const struct sync *s)
{
    for (int side = 0; side < SIDES; side++) {
        const struct side_written *w = &s->written[side];
        if (w->undo)
            cli_say("%s: %lld inserted, %lld updated, %lld deleted; dxapply --log takes them back with %s",
                    s->side[side]->name, (long long)w->inserted, (long long)w->updated, (long long)w->deleted,
                    w->undo);
    }
}

/* Shows the plan and what the guards say of it: ERR_LOOK when there is something to do. */
static int show_plan(struct sync *s)
{
    int64_t n = 0;
    if (as_check)
        return view_check(s, stdout, &n) ? -1 : n || s->look ? ERR_LOOK : 0;
    int rc = show(s);
    for (int side = 0; rc == 0 && side < SIDES; side++)
        if (plan[side])
            rc = planfile_write(&s->work, side, plan[side]);
    if (rc == 0)
        rc = sync_guard(s);
    return rc ? rc : s->look || sync_pending(s) ? ERR_LOOK : 0;
}

static int do_plan(struct sync *s)
{
    if ((shown() && show(s)) || (cli_verbose && !shown() && view_counts(s, stderr)) || sync_write(s))
        return -1;
    tell_written(s);
    if ((!shown() && view_conflicts(s, stdout)) || view_issues(s->base, verb_warn_line))
        return -1;
    return s->look ? ERR_LOOK : 0;
}

static int sync_verb(int argc, char **argv)
{
    struct sync_options o;
    (void)argc;
    if (base_path == NULL)
        return fail(ERR_USAGE, "--base BASE is needed: the file that keeps what both sides agreed on");
    if (read_options(&o))
        return -1;
    struct sync *s = open_sync(argv, &o);
    int rc = s ? sync_compare(s) : -1;
    if (rc == 0)
        rc = dry ? show_plan(s) : do_plan(s);
    sync_close(s);
    return verb_tell_steps(rc);
}

static int compare_databases(char **path)
{
    struct sync_options o;
    if (as_check && base_path)
        return fail(ERR_USAGE, "--check: compares the content of both sides, without --base");
    if (as_sql) { /* makes mine what theirs is */
        only = "mine";
        revert = true;
    }
    if (read_options(&o))
        return -1;
    o.dry = true;
    struct sync *s = open_sync(path, &o);
    int rc = s ? sync_compare(s) : -1;
    if (rc == 0)
        rc = show_plan(s);
    sync_close(s);
    return verb_tell_steps(rc);
}

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
    for (int side = MINE; side < SIDES; side++)
        r->look |= n->inserts[side] || n->updates[side] || n->deletes[side];
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
    if (n->conflicts)
        printf("; %lld conflicts", (long long)n->conflicts);
    printf("\n");
    if (n->initial && base_path)
        cli_warn("%s: %s: not in the base, or its key or change key is another now; compared as for the "
                 "first time",
                 base_path, n->table);
}

static void on_only(void *ctx, int side, const char *table)
{
    struct report *r = ctx;
    r->look = true;
    cli_warn("%s: not compared: only in %s", table, sides[side]);
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

static int compare_archives(char **path)
{
    struct report r = {.conflicts = spool_stream(), .objects = json_array()};
    struct guard_limits l = guard_defaults();
    struct diff_options o = {.plan = {plan[MINE], plan[THEIRS]},
                             .new_base = new_base,
                             .approve = approve,
                             .conflict = on_conflict,
                             .counted = on_counted,
                             .only = on_only,
                             .ctx = &r};
    struct conf *conf = NULL;
    int rc =
        r.conflicts && !read_limit(max_delete, "--max-delete", &l.deletes, &l.delete_percent, &l.free_deletes)
            ? 0
            : -1;
    o.max_deletes = l.deletes;
    o.max_percent = l.delete_percent;
    o.free_deletes = l.free_deletes;
    if (rc == 0)
        rc = verb_load_conf(conf_path, &conf) || compare_sides(path, conf, &o) ? -1 : 0;
    if (rc == 0 || (r.conflicts && err_code() == ERR_GUARD))
        print_conflicts(&r);
    if (r.conflicts && fclose(r.conflicts) && rc == 0)
        rc = fail_errno("cannot write a temporary file");
    json_decref(r.objects);
    conf_free(conf);
    return verb_tell_steps(rc ? rc : r.look ? ERR_LOOK : 0);
}

/* All that is no database is taken for an archive; what is not there, for a database. */
static bool is_archive(const char *path)
{
    static const char magic[] = "SQLite format 3";
    char head[sizeof magic] = {0};
    struct stat st;
    if (strcmp(path, "-") == 0)
        return true;
    if (stat(path, &st) != 0)
        return false;
    if (!S_ISREG(st.st_mode)) /* reading from it would take from it */
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is = fd >= 0 && !(read(fd, head, sizeof head) == (ssize_t)sizeof head &&
                           memcmp(head, magic, sizeof magic) == 0);
    if (fd >= 0)
        close(fd);
    return is;
}

static int compare(int argc, char **argv)
{
    (void)argc;
    bool archives = is_archive(argv[MINE]) || is_archive(argv[THEIRS]) ||
                    (base_path && is_archive(base_path)) || new_base;
    if (!archives)
        return compare_databases(argv);
    if (as_stat || as_rows || as_sql || as_check || only || revert || take || initial || max_update)
        return fail(ERR_USAGE, "of archives of keys only counts and plans can be made; name two databases");
    return compare_archives(argv);
}

#define CONF                                                                                            \
    {                                                                                                   \
        "--conf", "FILE", "the objects, their columns and keys, as in a package.conf", NULL, &conf_path \
    }

#define RUN                                                                                                 \
    {"--max-delete", "N", "stop at more deletes of an object on one side than N, or N% (50%)", NULL,        \
     &max_delete},                                                                                          \
        {"--max-update", "N", "the same for rows overwritten (50%, from 11 on)", NULL, &max_update},        \
        {"--approve", "DIGEST", "let exactly the plan of this digest pass the guards", NULL, &approve},     \
        {"--initial", NULL, "begin again: configuration, schema or a database is another", &initial, NULL}, \
        {"--only", "SIDE", "write only mine, or only theirs", NULL, &only},                                 \
        {"--revert", NULL, "with --only: take back what that side changed, too", &revert, NULL},            \
        {"--take", "WHO", "decide conflicts: mine, theirs, or 'newest COLUMN'", NULL, &take},               \
        {"--json", NULL, "counts and conflicts as JSON", &as_json, NULL},                                   \
        {"--stat", NULL, "a bar per object and side", &as_stat, NULL},                                      \
    {                                                                                                       \
        "--rows", NULL, "each row, column by column, before and after", &as_rows, NULL                      \
    }

static const struct cli_option sync_options[] = {
    CONF,
    {"--base", "BASE", "what both sides agreed on last; made by the first run", NULL, &base_path},
    {"-n", NULL, "show the plan; nothing is written", &dry, NULL},
    RUN,
    {0}};

static const struct cli_option compare_options[] = {
    CONF,
    {"--base", "BASE", "what both sides agreed on last: of sync, or of --save-base", NULL, &base_path},
    {"--to-mine", "FILE", "write the plan of what is to be done in MINE, if anything", NULL, &plan[MINE]},
    {"--to-theirs", "FILE", "the same for THEIRS", NULL, &plan[THEIRS]},
    {"--save-base", "FILE", "write an archive of the keys that both sides agree on", NULL, &new_base},
    RUN,
    {"--sql", NULL, "statements that make MINE what THEIRS is", &as_sql, NULL},
    {"--check", NULL, "find rows that differ under the same change key", &as_check, NULL},
    {0}};

const struct cli_verb sync_verb_sync = {
    "sync", "MINE THEIRS", 2, 2, "bring two databases together, both ways", sync_options, sync_verb};

const struct cli_verb sync_verb_compare = {
    "compare", "MINE THEIRS", 2, 2, "compare databases or archives of keys", compare_options, compare};
