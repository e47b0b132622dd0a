/* proof_verbs: see verbs/proof_verbs.h. */
#include "verbs/proof_verbs.h"

#include "cli/fields.h"
#include "compare/uncaptured.h"
#include "compare/verify.h"
#include "journal/capture.h"
#include "journal/meta.h"
#include "verbs/verb.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

static const char *opt_node, *opt_at, *opt_save;

static bool opt_json, opt_rows, opt_whole, opt_give_up;

static void print_digest(struct digest *d)
{
    char all[SHA_HEX];
    digest_end(d, all);
    if (!opt_json) {
        for (size_t i = 0; i < d->n; i++)
            printf("%s  %s\n", d->tables[i].sha256, d->tables[i].table);
        printf("%s\n", all);
        return;
    }
    json_t *tables = json_array();
    for (size_t i = 0; i < d->n; i++)
        json_array_append_new(tables,
                              json_pack("{s:s, s:I, s:s}", "table", d->tables[i].table, "rows",
                                        (json_int_t)d->tables[i].rows, "sha256", d->tables[i].sha256));
    json_t *out = json_pack("{s:s, s:o}", "sha256", all, "tables", tables);
    fields_print(out);
}

static int digest(int argc, char **argv)
{
    struct digest d = {0};
    struct verify_of of = {.node = opt_node, .at = opt_at, .name = argv + 1, .nname = (size_t)argc - 1};
    of.whole = opt_whole;
    if (opt_whole && !opt_rows)
        return fail(ERR_USAGE, "--whole is for --rows");
    if ((opt_at && cli_number(opt_at, "--at", &of.number)) || (opt_rows && cli_archive_to_stdout()))
        return -1;
    struct db *db = db_open(argv[0], DB_READ);
    int rc = db ? db_begin_read(db) : -1;
    if (rc == 0)
        rc = opt_rows ? verify_write(db, &of, STDOUT_FILENO, "stdout") : verify_digest(db, &of, &d);
    if (rc == 0 && !opt_rows)
        print_digest(&d);
    digest_free(&d);
    return verb_close(db, rc, 0);
}

/* So many rows of a table are named. */
enum { NAMED = 10 };

struct proving {
    int64_t named;
    bool look;
};

static void prove_row(void *ctx, const struct table *t, const struct val *key, enum proof_what what)
{
    static const char *const words[] = {
        [PROOF_DIFFERS] = "differs", [PROOF_HERE] = "only here", [PROOF_THERE] = "missing here"};
    struct proving *p = ctx;
    p->look = true;
    if (p->named++ < NAMED)
        printf("%s %s: %s\n", t->name, vals_show(key, t->nkey), words[what]);
}

static void prove_table(void *ctx, const char *table, int64_t alike, const int64_t n[PROOF_WHATS])
{
    struct proving *p = ctx;
    if (p->named)
        printf("%s: %lld rows alike, %lld differ, %lld only here, %lld missing here%s\n", table,
               (long long)alike, (long long)n[PROOF_DIFFERS], (long long)n[PROOF_HERE],
               (long long)n[PROOF_THERE], p->named > NAMED ? "; the first are named" : "");
    p->named = 0;
}

static void prove_lone(void *ctx, const char *table, enum proof_what what)
{
    static const char *const words[] = {[PROOF_DIFFERS] = "has other columns, or another key, there",
                                        [PROOF_HERE] = "only here",
                                        [PROOF_THERE] = "missing here"};
    struct proving *p = ctx;
    p->look = true;
    printf("%s: %s\n", table, words[what]);
}

static int prove(int argc, char **argv)
{
    struct proving proving = {0};
    const struct verify p = {.row = prove_row, .table = prove_table, .lone = prove_lone, .ctx = &proving};
    struct db *db = db_open(argv[0], DB_READ);
    int rc = db ? db_begin_read(db) : -1;
    if (rc == 0)
        rc = verify_compare(db, "-", argv + 1, (size_t)argc - 1, &p);
    return verb_close(db, rc, proving.look ? ERR_LOOK : 0);
}

/* Says what was found; whether there is something to look at. */
static int tell_recovered(const char *path, const struct uncaptured_count *n)
{
    if (n->journalled)
        cli_say("%s: %lld changes were found that had not been captured; they go to the server as any other",
                path, (long long)n->journalled);
    if (n->saved && opt_give_up)
        cli_warn("%s: %lld rows of tables that were not captured are saved in %s, as they are here", path,
                 (long long)n->saved, opt_save);
    else if (n->saved)
        cli_warn("%s: %lld rows were changed by the server meanwhile, and may have been changed here while "
                 "they were not "
                 "captured: as they are here they are saved in %s (dxpack cat); the server's values come",
                 path, (long long)n->saved, opt_save);
    return n->saved ? ERR_LOOK : 0;
}

/* Prints the tables that wait to be compared, a line each. */
static int list_uncaptured(struct db *db)
{
    struct uncaptured *u = NULL;
    size_t n = 0;
    int rc = meta_require(db) || capture_uncaptured(db, &u, &n);
    for (size_t i = 0; i < n; i++)
        printf("%s\n", u[i].table);
    capture_uncaptured_free(u, n);
    return verb_close(db, rc, n ? ERR_LOOK : 0);
}

static int recover(int argc, char **argv)
{
    struct uncaptured_count n;
    if (opt_give_up && argc > 1)
        return fail(ERR_USAGE, "recover takes the server's rows (a file, or - for stdin), or --give-up");
    if (opt_give_up && opt_save == NULL)
        return fail(ERR_USAGE, "--give-up needs --save FILE");
    struct db *db = db_open(argv[0], DB_WRITE);
    if (db && argc == 1 && !opt_give_up)
        return list_uncaptured(db);
    int rc = db == NULL    ? -1
             : opt_give_up ? uncaptured_give_up(db, opt_save, &n)
                           : uncaptured_settle(db, argv[1], argv + 2, (size_t)argc - 2, opt_save, &n);
    return verb_close(db, rc, rc ? 0 : tell_recovered(argv[0], &n));
}

#define OPTION_JSON                                            \
    {                                                          \
        .name = "--json", .help = "as JSON", .flag = &opt_json \
    }

static const struct cli_option digest_options[] = {
    {.name = "--node", .value = "NODE", .help = "of what that node holds", .text = &opt_node},
    {.name = "--at", .value = "NUMBER", .help = "only if archive NUMBER left it so", .text = &opt_at},
    {.name = "--rows", .help = "of each row, as an archive of keys for prove", .flag = &opt_rows},
    {.name = "--whole", .help = "with --rows: the rows themselves, for recover", .flag = &opt_whole},
    OPTION_JSON,
    {0}};

static const struct cli_option recover_options[] = {
    {.name = "--save",
     .value = "FILE",
     .help = "where to save rows that both sides may have changed",
     .text = &opt_save},
    {.name = "--give-up", .help = "save all rows of those tables, and compare nothing", .flag = &opt_give_up},
    {0}};

const struct cli_verb proof_verb_digest = {
    "digest",       "DB [TABLE...]", 1, -1, "print the SHA-256 of the rows, per table and over all",
    digest_options, digest};

const struct cli_verb proof_verb_prove = {
    "prove", "DB [TABLE...]", 1, -1, "compare the rows with those digests; name what differs (exit 1)", NULL,
    prove};

const struct cli_verb proof_verb_recover = {
    "recover",
    "DB [ROWS [ARCHIVE...]]",
    1,
    -1,
    "find what was changed in a copy without capture, by the server's rows; without ROWS list the tables "
    "(exit 1)",
    recover_options,
    recover};
