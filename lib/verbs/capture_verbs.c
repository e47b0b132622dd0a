/* capture_verbs: see verbs/capture_verbs.h. */
#include "verbs/capture_verbs.h"

#include "cli/fields.h"
#include "journal/capture.h"
#include "journal/consumer.h"
#include "journal/journal_status.h"
#include "journal/meta.h"
#include "verbs/verb.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *opt_node;

static bool opt_json, opt_again;

/* Prints how the log stands: 0, ERR_LOOK when something is amiss with it, -1. */
static int print_status(struct db *db)
{
    struct buf text = {0};
    json_t *s = db_begin_read(db) ? NULL : journal_status_read(db);
    int code = s == NULL ? -1 : journal_status_amiss(s) ? ERR_LOOK : 0;
    if (s && opt_json)
        fields_print(json_incref(s));
    else if (s) {
        journal_status_text(s, &text);
        fputs(buf_text(&text), stdout);
    }
    buf_free(&text);
    json_decref(s);
    return code;
}

static void print_lines(const char *text)
{
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
        cli_warn("%.*s", (int)(end - text), text);
}

/* A copy is cut for one node and stays its own. */
static int set_node(struct db *db, const char *node)
{
    char *known = NULL;
    if (node == NULL)
        return 0;
    if (!meta_node_name(node))
        return fail(ERR_USAGE,
                    "'%s' is no node name: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with . or -", node);
    if (meta_get_text(db, "node", &known))
        return -1;
    int rc = 0;
    if (known && strcmp(known, node) != 0)
        rc = fail(ERR_REFUSED, "%s: is node %s already and cannot become %s; extract a copy for that node",
                  db_path(db), known, node);
    else if (known == NULL)
        rc = meta_set_text(db, "node", node);
    free(known);
    return rc;
}

static int attach_tables(struct db *db, int n, char **table, struct capture_report *report)
{
    if (opt_again && n)
        return fail(ERR_USAGE, "--again takes no tables: it is for those that are captured");
    if (db_begin_write(db))
        return -1;
    if (opt_again)
        return capture_again(db, report) ? -1 : db_commit(db);
    if (capture_attach(db, (const char *const *)table, (size_t)n, report) || set_node(db, opt_node))
        return -1;
    return db_commit(db);
}

static int attach(int argc, char **argv)
{
    struct capture_report report = {0};
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db ? attach_tables(db, argc - 1, argv + 1, &report) : -1;
    if (rc == 0)
        print_lines(buf_text(&report.text));
    buf_free(&report.text);
    return verb_close(db, rc, report.lost || report.left_out ? ERR_LOOK : 0);
}

static int detach(int argc, char **argv)
{
    (void)argc;
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db ? capture_detach(db) : -1;
    if (rc == 0 && opt_json)
        rc = print_status(db) < 0 ? -1 : 0;
    return verb_close(db, rc, 0);
}

static int trim_journal(struct db *db, int64_t *removed, int64_t *rest, struct consumer *holder)
{
    if (meta_require(db) || db_begin_write(db) || capture_forget(db) || consumer_trim(db, removed, holder) ||
        db_get_int(db, rest, "SELECT count(*) FROM dx_journal WHERE seq > %lld", (long long)holder->mark))
        return -1;
    return db_commit(db);
}

/* A reader that someone named is someone's to look after; router and server catch up by themselves. */
static void tell_trim(struct db *db, int64_t removed, int64_t rest, const struct consumer *holder)
{
    if (holder->name == NULL) {
        cli_say("%s: nobody reads the journal yet, so nothing was trimmed", db_path(db));
        return;
    }
    cli_say("%s: %lld entries trimmed", db_path(db), (long long)removed);
    void (*tell)(const char *fmt, ...) = strncmp(holder->name, "the ", 4) == 0 ? cli_say : cli_warn;
    if (rest)
        tell("%s: %lld entries are held back by %s, which stands at %lld", db_path(db), (long long)rest,
             holder->name, (long long)holder->mark);
}

static int trim_one(const char *path)
{
    int64_t removed, rest;
    struct consumer holder = {0};
    struct db *db = db_open(path, DB_WRITE);
    int rc = db ? trim_journal(db, &removed, &rest, &holder) : -1;
    if (rc == 0)
        tell_trim(db, removed, rest, &holder);
    if (rc == 0 && opt_json)
        rc = print_status(db) < 0 ? -1 : 0;
    free(holder.name);
    return verb_close(db, rc, 0);
}

static int trim(int argc, char **argv)
{
    int rc = 0;
    if (opt_json && argc > 1)
        return fail(ERR_USAGE, "--json: of one database");
    for (int i = 0; rc == 0 && i < argc; i++)
        rc = trim_one(argv[i]);
    return rc;
}

static int status(int argc, char **argv)
{
    (void)argc;
    struct db *db = db_open(argv[0], DB_READ);
    int code = db ? print_status(db) : -1;
    return verb_close(db, code < 0 ? -1 : 0, code);
}

#define OPTION_JSON                                            \
    {                                                          \
        .name = "--json", .help = "as JSON", .flag = &opt_json \
    }

static const struct cli_option attach_options[] = {
    {.name = "--again", .help = "only mend the capture of tables that are captured", .flag = &opt_again},
    {.name = "--node", .value = "NAME", .help = "this database is that node's copy", .text = &opt_node},
    {0}};

static const struct cli_option after_options[] = {
    {.name = "--json", .help = "print how the log stands now, as status does", .flag = &opt_json}, {0}};

static const struct cli_option json_options[] = {OPTION_JSON, {0}};

const struct cli_verb capture_verb_attach = {
    "attach",       "DB [TABLE...]", 1, -1, "capture all tables that have a primary key, or those named",
    attach_options, attach};

const struct cli_verb capture_verb_detach = {"detach",      "DB",  1, 1, "capture no more; the log stays",
                                             after_options, detach};

const struct cli_verb capture_verb_trim = {
    "trim", "DB...", 1, -1, "remove what every reader has acknowledged", after_options, trim};

const struct cli_verb capture_verb_status = {
    "status", "DB", 1, 1, "show what is captured and how far the readers are", json_options, status};
