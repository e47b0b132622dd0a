/* conflict_verbs: see verbs/conflict_verbs.h. */
#include "verbs/conflict_verbs.h"

#include "apply/apply.h"
#include "apply/conflict_print.h"
#include "apply/conflict_resolve.h"
#include "apply/quarantine_decide.h"
#include "base/mem.h"
#include "verbs/verb.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool all, as_json;

static const char *of_node, *of_kind, *since;

static const struct cli_option conflicts_options[] = {
    {"--all", NULL, "list those that were resolved, too", &all, NULL},
    {"--json", NULL, "a JSON object a line for each", &as_json, NULL},
    {"--node", "NAME", "only what that node sent", NULL, &of_node},
    {"--kind", "KIND", "only conflicts of that kind, or quarantine", NULL, &of_kind},
    {"--since", "TIME", "only conflicts recorded since then: 2026-01-31, or with T12:00:00Z", NULL, &since},
    {0}};

/* Whether an entry is one of those that are asked for. What has no time is older than any. */
static bool asked_for(const char *kind, const char *origin, const char *made)
{
    if (of_kind && strcmp(of_kind, kind) != 0)
        return false;
    if (of_node && (origin == NULL || strcmp(of_node, origin) != 0))
        return false;
    return since == NULL || (made && strcmp(made, since) >= 0);
}

/* JSON stays a line. */
static void print_entry(const char *text)
{
    if (as_json)
        fputs(text, stdout);
    else
        verb_print_wrapped(text);
}

struct listing {
    struct targets targets;
    int64_t n;
    struct buf text;
};

static int list_conflict(void *ctx, const struct conflict *c)
{
    struct listing *l = ctx;
    if (!asked_for(c->kind, c->origin, c->made))
        return 0;
    buf_clear(&l->text);
    if (l->n++ == 0 && !as_json) {
        conflict_print_heading(&l->text);
        fputs(buf_text(&l->text), stdout);
        buf_clear(&l->text);
    }
    if ((as_json ? conflict_print_json : conflict_print_text)(&l->targets, c, &l->text))
        return -1;
    print_entry(buf_text(&l->text));
    return 0;
}

static int list_quarantined(void *ctx, const struct quarantined *q)
{
    struct listing *l = ctx;
    if (!asked_for("quarantine", q->origin, NULL))
        return 0;
    buf_clear(&l->text);
    if (l->n++ == 0 && !as_json) {
        conflict_print_heading(&l->text);
        fputs(buf_text(&l->text), stdout);
        buf_clear(&l->text);
    }
    if ((as_json ? conflict_print_quarantined_json : conflict_print_quarantined_text)(&l->targets, q,
                                                                                      &l->text))
        return -1;
    print_entry(buf_text(&l->text));
    return 0;
}

static int conflicts(int argc, char **argv)
{
    (void)argc;
    struct db *db = db_open(argv[0], DB_READ);
    if (db == NULL)
        return -1;
    struct listing l = {0};
    targets_init(&l.targets, db);
    int rc = db_begin_read(db) || conflict_each(db, !all, list_conflict, &l) ||
             quarantine_each(db, list_quarantined, &l);
    targets_free(&l.targets);
    buf_free(&l.text);
    db_close(db);
    return rc ? -1 : l.n ? ERR_LOOK : 0;
}

static int take_value(struct db *db, int64_t id, json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    int rc = text ? conflict_resolve_value(db, id, text) : fail(ERR_SYSTEM, "out of memory");
    free(text);
    return rc;
}

/* One line of answers: {"id":3,"take":"theirs"} or {"id":3,"value":7} */
static int take_answer(struct db *db, const char *line, int number)
{
    json_t *answer = json_loads(line, 0, NULL);
    json_t *id = json_object_get(answer, "id");
    json_t *value = json_object_get(answer, "value");
    const char *take = json_string_value(json_object_get(answer, "take"));
    enum conflict_resolve_side side;
    int rc = -1;
    if (!json_is_integer(id) || (take == NULL) == (value == NULL))
        fail(ERR_REFUSED,
             "stdin: line %d: an answer is {\"id\":NUMBER,\"take\":\"ours\"|\"theirs\"|\"base\"} or "
             "{\"id\":NUMBER,\"value\":VALUE}",
             number);
    else if (value)
        rc = take_value(db, json_integer_value(id), value);
    else
        rc = conflict_resolve_side(take, &side) || conflict_resolve_conflict(db, json_integer_value(id), side)
                 ? -1
                 : 0;
    json_decref(answer);
    return rc;
}

static int take_answers(struct db *db)
{
    char *line = NULL;
    size_t room = 0;
    int rc = 0;
    for (int number = 1; rc == 0 && getline(&line, &room, stdin) > 0; number++)
        rc = line[strspn(line, " \t\n")] ? take_answer(db, line, number) : 0;
    free(line);
    return rc;
}

struct asking {
    struct listing listing;
    struct db *db;
    FILE *terminal;
    int64_t *id; /* of the open conflicts; they are asked about when the list is complete */
    size_t n;
    bool stop;
};

static int gather(void *ctx, const struct conflict *c)
{
    struct asking *a = ctx;
    a->id = mem_grow(a->id, a->n + 1, sizeof *a->id);
    a->id[a->n++] = c->id;
    return 0;
}

static int show(void *ctx, const struct conflict *c)
{
    struct asking *a = ctx;
    buf_clear(&a->listing.text);
    int rc = conflict_print_text(&a->listing.targets, c, &a->listing.text);
    fputs(buf_text(&a->listing.text), a->terminal);
    return rc;
}

/* Whether the conflict is resolved by a value that is typed in. */
static bool ask_value(struct asking *a, int64_t id)
{
    char *line = NULL;
    size_t room = 0;
    fputs("value, as JSON (of a row: {\"column\":value,...} or null): ", a->terminal);
    fflush(a->terminal);
    ssize_t n = getline(&line, &room, a->terminal);
    if (n > 0 && line[n - 1] == '\n')
        line[n - 1] = 0;
    bool done = n > 1 && conflict_resolve_value(a->db, id, line) == 0;
    if (n > 1 && !done)
        fprintf(a->terminal, "%s\n", err_message());
    free(line);
    return done;
}

static int ask_one(struct asking *a, int64_t id)
{
    char line[64];
    if (conflict_get(a->db, id, show, a))
        return -1;
    for (;;) {
        fputs("take [o]urs, [t]heirs, [b]ase, another [v]alue, [s]kip, [q]uit? ", a->terminal);
        fflush(a->terminal);
        if (fgets(line, sizeof line, a->terminal) == NULL || line[0] == 'q') {
            a->stop = true;
            return 0;
        }
        if (line[0] == 's')
            return 0;
        if (line[0] == 'v') {
            if (ask_value(a, id))
                return 0;
            continue;
        }
        enum conflict_resolve_side side = line[0] == 'o'   ? RESOLVE_OURS
                                          : line[0] == 't' ? RESOLVE_THEIRS
                                                           : RESOLVE_BASE;
        if (side == RESOLVE_BASE && line[0] != 'b')
            continue;
        if (conflict_resolve_conflict(a->db, id, side) == 0)
            return 0;
        fprintf(a->terminal, "%s\n", err_message());
    }
}

static int ask(struct db *db)
{
    struct asking a = {.db = db, .terminal = fopen("/dev/tty", "r+")};
    if (a.terminal == NULL)
        return fail(ERR_USAGE, "no terminal to ask on; give ID and side, or JSON answers on stdin");
    targets_init(&a.listing.targets, db);
    int rc = conflict_each(db, true, gather, &a);
    for (size_t i = 0; i < a.n && rc == 0 && !a.stop; i++)
        rc = ask_one(&a, a.id[i]);
    targets_free(&a.listing.targets);
    buf_free(&a.listing.text);
    free(a.id);
    fclose(a.terminal);
    return rc;
}

/* What belongs to rows that were decided about is done with them. */
static int finish_waiting(struct db *db)
{
    struct apply_count count;
    if (apply_waiting(db, &count))
        return fail_in("the decision is kept; what waited for it is done with the next archive");
    if (count.conflicts || count.refused || count.quarantined)
        cli_warn("%s: %lld conflicts, %lld rows refused, %lld rows quarantined of what waited for that; "
                 "see `dxapply conflicts %s`",
                 db_path(db), (long long)count.conflicts, (long long)count.refused,
                 (long long)count.quarantined, db_path(db));
    return 0;
}

static int resolve(int argc, char **argv)
{
    int64_t id;
    enum conflict_resolve_side side;
    if (argc == 2 || (argc == 4) != (argc > 2 && strcmp(argv[2], "value") == 0))
        return fail(ERR_USAGE, "resolve takes ID and one of ours, theirs, base, value JSON; or neither");
    if (argc > 2 && cli_number(argv[1], "ID", &id))
        return -1;
    if (argc == 3 && conflict_resolve_side(argv[2], &side))
        return -1;
    struct db *db = db_open(argv[0], DB_WRITE);
    if (db == NULL)
        return -1;
    int rc = argc == 4              ? conflict_resolve_value(db, id, argv[3])
             : argc == 3            ? conflict_resolve_conflict(db, id, side)
             : isatty(STDIN_FILENO) ? ask(db)
                                    : take_answers(db);
    if (rc == 0)
        rc = finish_waiting(db);
    db_close(db);
    return rc;
}

static bool only_changed;

static const struct cli_option retry_options[] = {
    {"--changed", NULL, "only if something was changed here since the last try; say what is new",
     &only_changed, NULL},
    {0}};

static int decide(const char *path, const struct quarantine_row *row)
{
    struct apply_count n = {0};
    int64_t left = 0;
    struct db *db = db_open(path, DB_WRITE);
    int changed = db && only_changed ? quarantine_changed(db) : 1;
    int rc = db && changed >= 0 ? 0 : -1;
    if (rc == 0 && changed)
        rc = quarantine_retry(db, row, &n);
    if (rc == 0 && changed)
        rc = quarantine_count(db, &left);
    db_close(db);
    free(n.unplaced_why);
    if (rc)
        return -1;
    cli_say("%s: %lld rows left quarantine, %lld were given up, %lld wait", path, (long long)n.released,
            (long long)n.given_up, (long long)left);
    if (left && !only_changed)
        cli_warn("%s: %lld rows are in quarantine; see `dxapply conflicts %s`", path, (long long)left, path);
    if (n.conflicts || n.refused)
        cli_warn("%s: %lld conflicts, %lld rows refused; see `dxapply conflicts %s`", path,
                 (long long)n.conflicts, (long long)n.refused, path);
    return (left && !only_changed) || n.conflicts || n.refused ? ERR_LOOK : 0;
}

static int one_row(char **argv, struct quarantine_row *row)
{
    if (cli_number(argv[1], "ID", &row->id))
        return -1;
    return row->id ? decide(argv[0], row) : fail(ERR_USAGE, "ID: rows in quarantine are numbered from 1");
}

static int retry(int argc, char **argv)
{
    struct quarantine_row row = {.values = argc > 2 ? argv[2] : NULL};
    return argc > 1 ? one_row(argv, &row) : decide(argv[0], &row);
}

static int discard(int argc, char **argv)
{
    (void)argc;
    struct quarantine_row row = {.discard = true};
    return one_row(argv, &row);
}

const struct cli_verb conflict_verb_conflicts = {
    .name = "conflicts",
    .operands = "DB",
    .min = 1,
    .max = 1,
    .help = "list what merges decided against somebody, and rows in quarantine",
    .options = conflicts_options,
    .run = conflicts};

const struct cli_verb conflict_verb_resolve = {
    .name = "resolve",
    .operands = "DB [ID ours|theirs|base|value JSON]",
    .min = 1,
    .max = 4,
    .help = "decide a conflict again; without ID ask on the terminal, or take JSON answers from stdin",
    .run = resolve};

const struct cli_verb conflict_verb_retry = {
    .name = "retry",
    .operands = "DB [ID [VALUES]]",
    .min = 1,
    .max = 3,
    .help = "try again what is in quarantine; row ID with these VALUES, as {\"column\":value}",
    .options = retry_options,
    .run = retry};

const struct cli_verb conflict_verb_discard = {
    .name = "discard",
    .operands = "DB ID",
    .min = 2,
    .max = 2,
    .help = "give up row ID of the quarantine; record it as a settled conflict, and report it to its node",
    .run = discard};
