/* rule_verbs: see verbs/rule_verbs.h. */
#include "verbs/rule_verbs.h"

#include "cli/fields.h"
#include "journal/meta.h"
#include "route/explain.h"
#include "route/propose.h"
#include "route/row_history.h"
#include "route/rules_view.h"
#include "route/what_if.h"
#include "verbs/verb.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

static bool json;

static bool history;

static const struct cli_option why_options[] = {
    {.name = "--history",
     .help = "of DB TABLE KEY...: what was done to the row, and when each node got or lost it",
     .flag = &history},
    {0}};

static int why(int argc, char **argv)
{
    struct buf out = {0};
    if (!history && argc < 4)
        return fail(ERR_USAGE, "why: DB NODE TABLE KEY... are needed, or --history DB TABLE KEY...");
    struct db *db = db_open(argv[0], DB_READ);
    int holds = db == NULL || db_begin_read(db) ? -1
                : history                       ? row_history(db, argv[1], argv + 2, (size_t)argc - 2, &out)
                          : explain_row(db, argv[1], argv[2], argv + 3, (size_t)argc - 3, &out);
    if (holds >= 0)
        fputs(buf_text(&out), stdout);
    buf_free(&out);
    db_close(db);
    return holds < 0 ? -1 : holds ? 0 : ERR_LOOK;
}

static bool dot;

static const struct cli_option rules_options[] = {
    {.name = "--dot", .help = "as a graph, for dot(1)", .flag = &dot}, {0}};

static int rules(int argc, char **argv)
{
    struct buf out = {0};
    (void)argc;
    struct db *db = db_open(argv[0], DB_READ);
    int rc = db && db_begin_read(db) == 0 && meta_require(db) == 0 && rules_view(db, dot, &out) == 0 ? 0 : -1;
    if (rc == 0)
        fputs(buf_text(&out), stdout);
    buf_free(&out);
    db_close(db);
    return rc;
}

static json_t *line_json(const struct what_if_line *l)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "node", l->node, "object", l->object, "gained",
                     (json_int_t)l->gained, "gained_bytes", (json_int_t)l->gained_bytes, "lost",
                     (json_int_t)l->lost, "lost_bytes", (json_int_t)l->lost_bytes);
}

static json_t *effect_json(const struct schema_effect *e)
{
    return json_pack("{s:s, s:s, s:b, s:I, s:I}", "object", e->object, "schema", e->what, "new_copy",
                     (int)e->new_copy, "nodes", (json_int_t)e->nodes, "rows", (json_int_t)e->rows);
}

static int print_tried_json(const struct what_if *w)
{
    json_t *all = json_array();
    for (size_t i = 0; i < w->n; i++)
        json_array_append_new(all, line_json(&w->line[i]));
    for (size_t i = 0; i < w->neffect; i++)
        json_array_append_new(all, effect_json(&w->effect[i]));
    return fields_print(all);
}

static void print_tried(const struct what_if *w)
{
    if (w->n)
        printf("%-16s %-19s %9s %11s %9s %11s\n", "NODE", "OBJECT", "GAINS", "BYTES", "LOSES", "BYTES");
    for (size_t i = 0; i < w->n; i++)
        printf("%-16s %-19s %9lld %11lld %9lld %11lld\n", w->line[i].node, w->line[i].object,
               (long long)w->line[i].gained, (long long)w->line[i].gained_bytes, (long long)w->line[i].lost,
               (long long)w->line[i].lost_bytes);
    for (size_t i = 0; i < w->neffect; i++) {
        struct buf text = {0};
        schema_effect_text(&w->effect[i], &text);
        buf_byte(&text, '\n');
        verb_print_wrapped(buf_text(&text));
        buf_free(&text);
    }
}

static int try(int argc, char **argv)
{
    struct what_if tried = {0};
    (void)argc;
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db && meta_require(db) == 0 ? what_if_package(db, argv[1], &tried) : -1;
    db_close(db);
    if (rc == 0 && json)
        rc = print_tried_json(&tried);
    else if (rc == 0)
        print_tried(&tried);
    bool any = tried.n + tried.neffect > 0;
    what_if_free(&tried);
    return rc ? -1 : any ? ERR_LOOK : 0;
}

static const char *people;

static int propose(int argc, char **argv)
{
    struct buf out = {0};
    (void)argc;
    struct db *db = db_open(argv[0], DB_READ);
    int rc = db && db_begin_read(db) == 0 ? propose_package(db, people, &out) : -1;
    if (rc == 0)
        fputs(buf_text(&out), stdout);
    buf_free(&out);
    db_close(db);
    return rc;
}

static const struct cli_option propose_options[] = {
    {.name = "--user-table",
     .value = "TABLE",
     .help = "the table of people, by whom rows are given out",
     .text = &people},
    {0}};

static const struct cli_option json_options[] = {{.name = "--json", .help = "as JSON", .flag = &json}, {0}};

const struct cli_verb rule_verb_why = {.name = "why",
                                       .operands = "DB NODE TABLE KEY...",
                                       .min = 3,
                                       .max = -1,
                                       .help = "say why the node has the row (exit 0) or has it not (exit 1)",
                                       .options = why_options,
                                       .run = why};

const struct cli_verb rule_verb_rules = {
    .name = "rules",
    .operands = "DB",
    .min = 1,
    .max = 1,
    .help = "show who sees what in the loaded packages, and which tables their rules read",
    .options = rules_options,
    .run = rules};

const struct cli_verb rule_verb_propose = {
    .name = "propose",
    .operands = "DB",
    .min = 1,
    .max = 1,
    .help = "write a package.conf for the database, guessed from its schema and rows",
    .options = propose_options,
    .run = propose};

const struct cli_verb rule_verb_try = {
    .name = "try",
    .operands = "DB DIR",
    .min = 2,
    .max = 2,
    .help = "say what the package in DIR would give and take, node by node (exit 1 if anything)",
    .options = json_options,
    .run = try};
