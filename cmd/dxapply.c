/* dxapply: applies archives to a database: downloads and snapshots on a client, uploads on a server, logs anywhere. */
#include "apply.h"
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool as_local, dry, strict;
static const char *approve, *guard_percent, *guard_rows, *undo;

static const struct cli_option apply_options[] = {
    {"-n", NULL, "say what would happen, change nothing", &dry, NULL},
    {"--strict", NULL, "refuse the archive when a row cannot be applied, instead of quarantining it", &strict,
     NULL},
    {"--as-local", NULL, "what an upload changes counts as changed here (on a companion)", &as_local, NULL},
    {"--undo", "FILE", "write an archive that takes this apply back", NULL, &undo},
    {"--guard-rows", "N", "stop when more than N rows of a table would be deleted or overwritten", NULL,
     &guard_rows},
    {"--guard-percent", "P", "the same for more than P percent of a table's rows", NULL, &guard_percent},
    {"--approve", "DIGEST", "let the archive with this digest pass the guards", NULL, &approve},
    {0}};

static int read_options(struct apply_options *o)
{
    *o = (struct apply_options){.dry = dry,
                                .strict = strict,
                                .as_local = as_local,
                                .approve = approve,
                                .undo = undo,
                                .guard_rows = -1,
                                .guard_percent = -1};
    if (guard_rows && cli_number(guard_rows, "--guard-rows", &o->guard_rows))
        return -1;
    return guard_percent ? cli_number(guard_percent, "--guard-percent", &o->guard_percent) : 0;
}

/* Says what was done; whether there is something to look at. */
static int report(const char *path, const struct dx_head *h, const struct apply_count *n, bool only_would)
{
    if (n->repeat) {
        cli_say("%s: %s %lld was applied before, nothing to do", path, dx_kind_name(h->kind),
                (long long)h->number);
        return 0;
    }
    if (only_would)
        printf("%s: would insert %lld, update %lld, delete %lld\n", path, (long long)n->inserted,
               (long long)n->updated, (long long)n->deleted);
    else
        cli_say("%s: %s %lld: %lld inserted, %lld updated, %lld deleted, %lld kept back for pending changes",
                path, dx_kind_name(h->kind), (long long)h->number, (long long)n->inserted,
                (long long)n->updated, (long long)n->deleted, (long long)n->kept);
    if (n->released)
        cli_say("%s: %lld rows left quarantine", path, (long long)n->released);
    if (n->conflicts || n->refused || n->quarantined)
        cli_warn("%s: %lld conflicts, %lld rows refused, %lld rows quarantined; see `dxapply conflicts %s`",
                 path, (long long)n->conflicts, (long long)n->refused, (long long)n->quarantined, path);
    if (n->left)
        cli_warn("%s: %lld rows left alone: they were changed since the comparison, or a constraint is in "
                 "the way; "
                 "they come up again in the next comparison",
                 path, (long long)n->left);
    if (n->missing)
        cli_warn("%s: %lld changed rows are not in this copy; compare it with `txnlog digest`, renew it with "
                 "initsync",
                 path, (long long)n->missing);
    return n->conflicts || n->refused || n->quarantined || n->missing || n->left ? ERR_LOOK : 0;
}

/* Applies archive after archive; *db is opened when the first one has told its kind. */
static int apply_each(const char *path, struct dx_reader *r, struct db **db, const struct apply_options *o)
{
    const struct dx_head *h;
    int got, code = 0;
    while ((got = dx_next(r, &h)) > 0) {
        struct apply_count n;
        if (*db == NULL && (*db = db_open(path, h->kind == DX_SNAPSHOT ? DB_CREATE : DB_WRITE)) == NULL)
            return -1;
        if (apply_archive(*db, r, h, o, &n))
            return -1;
        int look = report(path, h, &n, o->dry);
        code = look ? look : code;
    }
    return got < 0 ? -1 : code;
}

static int apply(int argc, char **argv)
{
    (void)argc;
    struct apply_options o;
    const char *name, *path = argv[0];
    if (read_options(&o))
        return -1;
    int fd = dx_open_input(NULL, &name);
    if (fd < 0)
        return -1;
    bool was_there = access(path, F_OK) == 0;
    struct dx_reader *r = dx_reader_open(fd, name);
    struct db *db = NULL;
    int code = r ? apply_each(path, r, &db, &o) : -1;
    dx_reader_close(r);
    db_close(db);
    if (!was_there && (code < 0 || o.dry))
        unlink(path); /* what this run began and did not end */
    return code;
}

static const struct cli_verb verbs[] = {
    {.name = NULL,
     .operands = "DB < ARCHIVE",
     .min = 1,
     .max = 1,
     .help = "apply the archives on stdin, each in one transaction",
     .options = apply_options,
     .run = apply},
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {.name = "dxapply",
                                               .help = "apply archives to a database",
                                               .verb = verbs,
                                               .nverb = sizeof verbs / sizeof *verbs};
    return cli_main(&command, argc, argv);
}
