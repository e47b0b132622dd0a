/* conflict_verbs: see verbs/conflict_verbs.h. */
#include "verbs/conflict_verbs.h"

#include "apply/apply.h"
#include "apply/conflict_print.h"
#include "apply/conflict_resolve.h"
#include "apply/quarantine_decide.h"
#include "base/clean.h"
#include "base/mem.h"
#include "cli/fields.h"
#include "verbs/verb.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool all, as_json, counted;

static const char *of_node, *of_kind, *of_table, *since;

static const struct cli_option conflicts_options[] = {
    {"--all", NULL, "list those that were resolved, too", &all, NULL},
    {"--json", NULL, "a JSON object a line for each", &as_json, NULL},
    {"--count", NULL, "only how many, by node, week and kind", &counted, NULL},
    {"--node", "NAME", "only what that node sent", NULL, &of_node},
    {"--kind", "KIND", "only conflicts of that kind, or quarantine", NULL, &of_kind},
    {"--table", "TABLE", "only rows of that table", NULL, &of_table},
    {"--since", "TIME", "only conflicts recorded since then: 2026-01-31, or with T12:00:00Z", NULL, &since},
    {0}};

static const struct cli_option resolve_options[] = {
    {"--node", "NAME", "decide only what that node sent", NULL, &of_node},
    {"--kind", "KIND", "decide only conflicts of that kind", NULL, &of_kind},
    {"--table", "TABLE", "decide only those of rows of that table", NULL, &of_table},
    {"--since", "TIME", "decide only those recorded since then", NULL, &since},
    {0}};

/* Whether an entry is one of those that are asked for. What has no time is older than any. */
static bool asked_for(const char *kind, const char *table, const char *origin, const char *made)
{
    if (of_kind && strcmp(of_kind, kind) != 0)
        return false;
    if (of_table && strcmp(of_table, table) != 0)
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

/* How many there are of a node, a week and a kind. */
struct tally {
    char *node, *week, *kind;
    int64_t n;
};

struct listing {
    struct targets targets;
    int64_t n;
    struct buf text;
    struct tally *tally;
    size_t ntally;
};

static int by_node(const void *a, const void *b)
{
    const struct tally *x = a, *y = b;
    int order = strcmp(x->node, y->node);
    order = order ? order : strcmp(x->week, y->week);
    return order ? order : strcmp(x->kind, y->kind);
}

/* made: NULL where the time is not known. */
static void count_one(struct listing *l, const char *node, const char *made, const char *kind)
{
    char week[32] = "-";
    time_t at = (time_t)fields_time_get(made);
    struct tm tm;
    if (at && gmtime_r(&at, &tm))
        strftime(week, sizeof week, "%G-W%V", &tm); /* as ISO 8601 counts weeks */
    for (size_t i = 0; i < l->ntally; i++)
        if (strcmp(l->tally[i].node, node) == 0 && strcmp(l->tally[i].week, week) == 0 &&
            strcmp(l->tally[i].kind, kind) == 0) {
            l->tally[i].n++;
            return;
        }
    l->tally = mem_grow(l->tally, l->ntally + 1, sizeof *l->tally);
    l->tally[l->ntally++] = (struct tally){mem_text(node), mem_text(week), mem_text(kind), 1};
}

static void print_counts(struct listing *l)
{
    if (l->ntally) {
        qsort(l->tally, l->ntally, sizeof *l->tally, by_node);
        printf("%-32s  %-8s  %-10s  %10s\n", "NODE", "WEEK", "KIND", "NUMBER");
    }
    for (size_t i = 0; i < l->ntally; i++) {
        struct tally *t = &l->tally[i];
        struct buf line = {0}, clean = {0};
        clean_text(&clean, t->node, strlen(t->node));
        fields_column(&line, buf_text(&clean), 32);
        printf("%s  %-8s  %-10s  %10lld\n", buf_text(&line), t->week, t->kind, (long long)t->n);
        buf_free(&line);
        buf_free(&clean);
        free(t->node);
        free(t->week);
        free(t->kind);
    }
    free(l->tally);
}

static void begin_entry(struct listing *l)
{
    buf_clear(&l->text);
    if (l->n++ == 0 && !as_json) {
        conflict_print_heading(&l->text);
        fputs(buf_text(&l->text), stdout);
        buf_clear(&l->text);
    }
}

static int list_conflict(void *ctx, const struct conflict *c)
{
    struct listing *l = ctx;
    if (!asked_for(c->kind, c->table, c->origin, c->made))
        return 0;
    if (counted) {
        l->n++;
        count_one(l, c->origin ? c->origin : "-", c->made, c->kind);
        return 0;
    }
    begin_entry(l);
    if ((as_json ? conflict_print_json : conflict_print_text)(&l->targets, c, &l->text))
        return -1;
    print_entry(buf_text(&l->text));
    return 0;
}

static int list_quarantined(void *ctx, const struct quarantined *q)
{
    struct listing *l = ctx;
    if (!asked_for("quarantine", q->table, q->origin, NULL))
        return 0;
    if (counted) {
        l->n++;
        count_one(l, q->origin ? q->origin : "-", NULL, "quarantine");
        return 0;
    }
    begin_entry(l);
    if ((as_json ? conflict_print_quarantined_json : conflict_print_quarantined_text)(&l->targets, q,
                                                                                      &l->text))
        return -1;
    print_entry(buf_text(&l->text));
    return 0;
}

static int conflicts(int argc, char **argv)
{
    (void)argc;
    if (counted && as_json)
        return fail(ERR_USAGE, "--count and --json do not go together");
    struct db *db = db_open(argv[0], DB_READ);
    if (db == NULL)
        return -1;
    struct listing l = {0};
    targets_init(&l.targets, db);
    int rc = db_begin_read(db) || conflict_each(db, !all, list_conflict, &l) ||
             quarantine_each(db, list_quarantined, &l);
    print_counts(&l);
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

/* An open conflict, to be decided when the list of them is complete. */
struct open_conflict {
    int64_t id;
    char *kind, *table;
    bool asked; /* it needs no question any more */
};

struct asking {
    struct listing listing;
    struct db *db;
    FILE *terminal;
    struct open_conflict *open;
    size_t n;
    bool stop;
};

static int gather(void *ctx, const struct conflict *c)
{
    struct asking *a = ctx;
    if (!asked_for(c->kind, c->table, c->origin, c->made))
        return 0;
    a->open = mem_grow(a->open, a->n + 1, sizeof *a->open);
    a->open[a->n++] = (struct open_conflict){c->id, mem_text(c->kind), mem_text(c->table), false};
    return 0;
}

static void free_open(struct asking *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->open[i].kind);
        free(a->open[i].table);
    }
    free(a->open);
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

/* The same for this one and all after it of its kind and table. Those that cannot be decided so are asked about. */
static void decide_kind(struct asking *a, size_t at, enum conflict_resolve_side side)
{
    int64_t done = 0;
    for (size_t i = at; i < a->n; i++)
        if (strcmp(a->open[i].kind, a->open[at].kind) == 0 &&
            strcmp(a->open[i].table, a->open[at].table) == 0) {
            a->open[i].asked = conflict_resolve_conflict(a->db, a->open[i].id, side) == 0;
            done += a->open[i].asked;
            if (!a->open[i].asked)
                fprintf(a->terminal, "%s\n", err_message());
        }
    fprintf(a->terminal, "%lld conflicts of kind %s in table %s resolved\n", (long long)done,
            a->open[at].kind, a->open[at].table);
}

/* "o", "t", "b", or in capitals. */
static bool side_of(char letter, enum conflict_resolve_side *side)
{
    static const char letters[] = "otbOTB";
    static const enum conflict_resolve_side sides[] = {RESOLVE_OURS, RESOLVE_THEIRS, RESOLVE_BASE};
    const char *at = letter ? strchr(letters, letter) : NULL;
    if (at)
        *side = sides[(at - letters) % 3];
    return at != NULL;
}

static int ask_one(struct asking *a, size_t at)
{
    char line[64];
    int64_t id = a->open[at].id;
    if (conflict_get(a->db, id, show, a))
        return -1;
    while (!a->open[at].asked) {
        enum conflict_resolve_side side;
        fputs("take [o]urs, [t]heirs, [b]ase, another [v]alue, [s]kip, [q]uit; O, T, B: so for all\n"
              "that follow of this kind in this table? ",
              a->terminal);
        fflush(a->terminal);
        if (fgets(line, sizeof line, a->terminal) == NULL || line[0] == 'q') {
            a->stop = true;
            return 0;
        }
        if (line[0] == 's' || (line[0] == 'v' && ask_value(a, id)))
            return 0;
        if (!side_of(line[0], &side))
            continue;
        if (line[0] < 'a')
            decide_kind(a, at, side);
        else if (conflict_resolve_conflict(a->db, id, side) == 0)
            return 0;
        else
            fprintf(a->terminal, "%s\n", err_message());
    }
    return 0;
}

static int ask(struct db *db)
{
    struct asking a = {.db = db, .terminal = fopen("/dev/tty", "r+")};
    if (a.terminal == NULL)
        return fail(ERR_USAGE, "no terminal to ask on; give ID and side, or JSON answers on stdin");
    targets_init(&a.listing.targets, db);
    int rc = conflict_each(db, true, gather, &a);
    for (size_t i = 0; i < a.n && rc == 0 && !a.stop; i++)
        rc = a.open[i].asked ? 0 : ask_one(&a, i);
    targets_free(&a.listing.targets);
    buf_free(&a.listing.text);
    free_open(&a);
    fclose(a.terminal);
    return rc;
}

/* All that the options name, in one way: 1 where some cannot be decided so; they stay open. */
static int decide_all(struct db *db, enum conflict_resolve_side side)
{
    struct asking a = {.db = db};
    int rc = conflict_each(db, true, gather, &a);
    int64_t left = 0;
    for (size_t i = 0; rc == 0 && i < a.n; i++)
        if (conflict_resolve_conflict(db, a.open[i].id, side)) {
            rc = err_code() == ERR_REFUSED ? 0 : -1;
            left++;
            if (rc == 0)
                cli_warn("%s; it stays open", err_message());
        }
    cli_say("%lld conflicts resolved", (long long)a.n - left);
    free_open(&a);
    return rc ? -1 : left ? ERR_LOOK : 0;
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

/* DB; DB SIDE with options; DB ID SIDE; DB ID value JSON. */
static int check_resolve(int argc, char **argv, int64_t *id, enum conflict_resolve_side *side)
{
    bool some = of_node || of_kind || of_table || since;
    if ((argc == 4) != (argc > 2 && strcmp(argv[2], "value") == 0))
        return fail(ERR_USAGE, "resolve takes ID and one of ours, theirs, base, value JSON; or neither");
    if (argc > 2 && some)
        return fail(ERR_USAGE, "resolve takes an ID, or options that say which conflicts");
    if (argc == 2 && !some)
        return fail(ERR_USAGE,
                    "resolve takes an ID, or says by --kind, --table, --node or --since which conflicts");
    if (argc == 1 && some && !isatty(STDIN_FILENO))
        return fail(ERR_USAGE,
                    "answers on stdin name their conflicts; options are for a side, or a terminal");
    if (argc > 2 && cli_number(argv[1], "ID", id))
        return -1;
    return argc == 2 || argc == 3 ? conflict_resolve_side(argv[argc - 1], side) : 0;
}

static int resolve(int argc, char **argv)
{
    int64_t id = 0;
    enum conflict_resolve_side side = RESOLVE_OTHER;
    if (check_resolve(argc, argv, &id, &side))
        return -1;
    struct db *db = db_open(argv[0], DB_WRITE);
    if (db == NULL)
        return -1;
    int rc = argc == 4              ? conflict_resolve_value(db, id, argv[3])
             : argc == 3            ? conflict_resolve_conflict(db, id, side)
             : argc == 2            ? decide_all(db, side)
             : isatty(STDIN_FILENO) ? ask(db)
                                    : take_answers(db);
    if (rc >= 0 && finish_waiting(db))
        rc = -1;
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
    return verb_tell_steps(argc > 1 ? one_row(argv, &row) : decide(argv[0], &row));
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
    .operands = "DB [[ID] ours|theirs|base|value JSON]",
    .min = 1,
    .max = 4,
    .help = "decide conflict ID again; without ID all that the options name; without a side ask on the "
            "terminal, or take JSON answers from stdin",
    .options = resolve_options,
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
