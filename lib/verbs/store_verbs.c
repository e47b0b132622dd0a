/* store_verbs: see verbs/store_verbs.h. */
#include "verbs/store_verbs.h"

#include "journal/meta.h"
#include "session/arrivals.h"
#include "session/site_files.h"

#include <stdio.h>

static bool only_missing;

static const struct cli_option files_options[] = {
    {.name = "--missing",
     .help = "print the digests that rows name and the store lacks",
     .flag = &only_missing},
    {0}};

static int print_missing(void *ctx, const char *table, const char *sha)
{
    bool *any = ctx;
    *any = true;
    printf("%s  %s\n", sha, table);
    return 0;
}

static int files(int argc, char **argv)
{
    (void)argc;
    struct site_files_done n = {0};
    bool any = false;
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db == NULL || meta_require(db) ? -1
             : only_missing                 ? site_files_missing(db, print_missing, &any)
                                            : site_files_collect(db, &n);
    db_close(db);
    if (rc)
        return -1;
    cli_say("%lld files taken into the store (%lld bytes), %lld wait, %lld removed", (long long)n.taken,
            (long long)n.taken_bytes, (long long)n.waiting, (long long)n.removed);
    if (n.dropped)
        cli_warn("%s: %lld files of nodes were dropped: damaged, or no row named them for too long", argv[0],
                 (long long)n.dropped);
    return any || n.dropped ? ERR_LOOK : 0;
}

const struct cli_verb store_verb_files = {
    .name = "files",
    .operands = "DB",
    .min = 1,
    .max = 1,
    .help =
        "take the files that nodes sent for their rows into the site's store, and remove what no row names",
    .options = files_options,
    .run = files};

static const char *arrived_node, *days_text;

static const struct cli_option arrived_options[] = {
    {.name = "--node", .value = "NODE", .help = "only this node's", .text = &arrived_node},
    {.name = "--partial-days",
     .value = "N",
     .help = "remove partial files that were not resumed for so many days",
     .text = &days_text},
    {0}};

static int arrived(int argc, char **argv)
{
    (void)argc;
    int64_t days = -1;
    struct arrivals a;
    if (days_text && cli_number(days_text, "--partial-days", &days))
        return -1;
    if (arrived_node && !meta_node_name(arrived_node))
        return fail(ERR_USAGE, "'%s' is not a node's name", arrived_node);
    int rc = arrivals_find(argv[0], arrived_node, days, &a);
    for (size_t i = 0; i < a.n; i++)
        printf("%s/%s/inbox/%s\n", argv[0], a.file[i].node, a.file[i].file);
    arrivals_free(&a);
    return rc;
}

const struct cli_verb store_verb_arrived = {
    .name = "arrived",
    .operands = "DOCKING",
    .min = 1,
    .max = 1,
    .help = "list the uploads that wait to be merged, in the order in which they came",
    .options = arrived_options,
    .run = arrived};
