/* apply_verbs: see verbs/apply_verbs.h. */
#include "verbs/apply_verbs.h"

#include "apply/apply.h"
#include "apply/package_apply.h"
#include "apply/rekey_client.h"
#include "base/limits.h"
#include "base/mem.h"
#include "nodes/site_conf.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool as_local, dry, log_wanted, resend, settle_sent, strict;

static const char *approve, *beside, *guard_percent, *guard_rows, *save, *undo, *upload_from;

static struct signers signers;

static const struct cli_option apply_options[] = {
    {"-n", NULL, "say what would happen, change nothing", &dry, NULL},
    {"--strict", NULL, "refuse the archive when a row cannot be applied, instead of quarantining it", &strict,
     NULL},
    {"--upload-from", "NODE", "take exactly one archive: the next upload of that node", NULL, &upload_from},
    {"--log", NULL, "take logs: they may change everything", &log_wanted, NULL},
    {"--as-local", NULL, "what an upload changes counts as changed here (on a companion)", &as_local, NULL},
    {"--beside", "FILE",
     "over a copy: work on FILE, made of it, and put that in its place when it is whole; exit 7 where "
     "somebody has written to it meanwhile",
     NULL, &beside},
    {"--resend", NULL, "over a copy, a snapshot settles none of the uploads made there: they go up again",
     &resend, NULL},
    {"--save", "FILE",
     "over a copy: where to save changes made there that have no place in a snapshot any more", NULL, &save},
    {"--settle-sent", NULL,
     "over a copy, a snapshot settles all uploads made there: they are applied again with --log",
     &settle_sent, NULL},
    {"--undo", "FILE", "write an archive that takes this apply back", NULL, &undo},
    {"--guard-rows", "N", "stop when more than N rows of a table would be deleted or overwritten", NULL,
     &guard_rows},
    {"--guard-percent", "P", "the same for more than P percent of a table's rows", NULL, &guard_percent},
    {"--approve", "DIGEST", "let the archive with this digest pass the guards", NULL, &approve},
    {"--signers", "FILE", "refuse what its sender has not signed with a key in FILE (see dxpack verify)",
     NULL, &signers.file},
    {"--revoked", "FILE", "nor take a signature by a key in FILE", NULL, &signers.revoked},
    {0}};

static int read_options(struct apply_options *o)
{
    *o = (struct apply_options){.dry = dry,
                                .strict = strict,
                                .as_local = as_local,
                                .log = log_wanted,
                                .upload_from = upload_from,
                                .resend = resend,
                                .settle_sent = settle_sent,
                                .approve = approve,
                                .save = save,
                                .undo = undo,
                                .signers = signers,
                                .guard_rows = -1,
                                .guard_percent = -1};
    if (log_wanted && upload_from)
        return fail(ERR_USAGE, "--log and --upload-from: a node's upload is no log");
    if (beside && dry)
        return fail(ERR_USAGE, "-n and --beside: -n changes nothing");
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
    if (n->tried)
        cli_say("%s: %lld rows in quarantine were tried again", path, (long long)n->tried);
    if (n->released)
        cli_say("%s: %lld rows left quarantine", path, (long long)n->released);
    if (n->renamed)
        cli_warn("%s: %lld rows have other keys now, as the server gave them; see `dxapply renamed %s`", path,
                 (long long)n->renamed, path);
    if (n->conflicts || n->refused || n->quarantined)
        cli_warn("%s: %lld conflicts, %lld rows refused, %lld rows quarantined; see `dxapply conflicts %s`",
                 path, (long long)n->conflicts, (long long)n->refused, (long long)n->quarantined, path);
    if (n->rejected)
        cli_warn("%s: an operator rejected upload %lld of node %s; its %lld changes are in `dxapply "
                 "conflicts --all "
                 "%s`",
                 path, (long long)h->number, h->from, (long long)n->rejected, path);
    if (n->left)
        cli_warn("%s: %lld rows left alone: they were changed since the comparison, or a constraint is in "
                 "the way; "
                 "they come up again in the next comparison",
                 path, (long long)n->left);
    if (n->unplaced)
        cli_warn("%s: that is true of %lld changes, whose other columns were applied", n->unplaced_why,
                 (long long)n->unplaced);
    if (n->indexes_due)
        cli_warn(
            "%s: %lld unique indexes are not made yet: rows here violate them; the next archives try again",
            path, (long long)n->indexes_due);
    if (n->saved)
        cli_warn(
            "%s: %lld changes that were not sent have no place any more; they are saved in %s (dxpack cat)",
            path, (long long)n->saved, save);
    if (n->missing)
        cli_warn("%s: %lld changed rows are not in this copy; compare it with `txnlog digest`, renew it with "
                 "initsync",
                 path, (long long)n->missing);
    return n->conflicts || n->refused || n->quarantined || n->rejected || n->missing || n->left || n->saved ||
                   n->indexes_due || n->unplaced
               ? ERR_LOOK
               : 0;
}

/* Applies archive after archive; *db, in the file, is opened when the kind of the first one is known. */
static int apply_each(const char *path, const char *file, struct dx_reader *r, struct db **db,
                      const struct apply_options *o)
{
    const struct dx_head *h;
    int got, code = 0;
    while ((got = dx_next(r, &h)) > 0) {
        struct apply_count n;
        if (*db == NULL && (*db = db_open(file, h->kind == DX_SNAPSHOT ? DB_CREATE : DB_WRITE)) == NULL)
            return -1;
        if (apply_archive(*db, r, h, o, &n)) {
            free(n.unplaced_why);
            return -1;
        }
        int look = report(path, h, &n, o->dry);
        free(n.unplaced_why);
        code = look ? look : code;
    }
    return got < 0 ? -1 : code;
}

static void remove_database(const char *path)
{
    static const char *const parts[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *name = mem_printf("%s%s", path, parts[i]);
        unlink(name);
        free(name);
    }
}

/* The same in a file beside the database, which takes its place when all is applied: until then who reads and writes the
 * database goes on. 0 with *done unset where the database has no write-ahead log. */
static int apply_beside(const char *path, struct dx_reader *r, const struct apply_options *o, bool *done)
{
    int64_t version;
    struct db *old = db_open(path, DB_WRITE), *new = NULL;
    remove_database(beside);
    int copied = old ? db_copy(old, beside, &version) : -1;
    *done = copied > 0;
    int code = copied > 0 ? apply_each(path, beside, r, &new, o) : copied;
    db_close(new);
    int taken = copied > 0 && code >= 0 ? db_replace(old, beside, version) : 1;
    if (taken == 0)
        cli_say("%s was written to meanwhile; nothing was changed", path);
    db_close(old);
    remove_database(beside);
    return taken > 0 ? code : taken == 0 ? ERR_AGAIN : -1;
}

/* What a node has sent may take as much of the machine as its site lets it. */
static int limit(const char *path)
{
    struct site_conf site;
    int rc = site_conf_beside(path, &site);
    if (rc == 0)
        limits_set(site.memory_bytes, site.cpu_seconds);
    site_conf_free(&site);
    return rc;
}

static int apply(int argc, char **argv)
{
    (void)argc;
    struct apply_options o;
    const char *name, *path = argv[0];
    if (read_options(&o) || (upload_from && limit(path)))
        return -1;
    int fd = dx_open_input(NULL, &name);
    if (fd < 0)
        return -1;
    bool was_there = access(path, F_OK) == 0;
    struct dx_reader *r = dx_reader_open(fd, name);
    struct db *db = NULL;
    bool done = false;
    int code = r ? 0 : -1;
    if (code == 0 && beside)
        code = apply_beside(path, r, &o, &done);
    if (code == 0 && !done)
        code = apply_each(path, path, r, &db, &o);
    dx_reader_close(r);
    db_close(db);
    if (!was_there && (code < 0 || o.dry))
        unlink(path); /* what this run began and did not end */
    return code;
}

static bool as_json;

static const char *directory;

static const struct cli_option package_options[] = {
    {"--into", "DIR", "where its files go (default: DB-dx/app)", NULL, &directory},
    {"--signers", "FILE", "refuse what the server has not signed with a key in FILE", NULL, &signers.file},
    {"--revoked", "FILE", "nor take a signature by a key in FILE", NULL, &signers.revoked},
    {0}};

static int package(int argc, char **argv)
{
    (void)argc;
    bool repeat = false;
    char *into = directory ? mem_text(directory) : mem_printf("%s-dx/app", argv[0]);
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db ? package_apply(db, argv[1], into, signers.file ? &signers : NULL, &repeat) : -1;
    db_close(db);
    free(into);
    if (rc == 0)
        cli_say("%s: the files of its package are %s", argv[0], repeat ? "those that it has" : "taken");
    return rc;
}

static json_t *key_json(const struct val *v)
{
    return v->type == VAL_INT ? json_integer(v->i) : json_stringn((const char *)v->p, v->n);
}

static int print_renamed(void *ctx, const char *table, const struct val *old, const struct val *new,
                         bool adopt)
{
    (void)ctx;
    if (!as_json) {
        char *was = mem_text(val_show(old));
        printf(adopt ? "%s %s is %s now, which was there before\n" : "%s %s is %s now\n", table, was,
               val_show(new));
        free(was);
        return 0;
    }
    json_t *j = json_pack("{s:s, s:o, s:o, s:b}", "table", table, "old", key_json(old), "new", key_json(new),
                          "adopted", adopt);
    int rc = json_dumpf(j, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(j);
    return rc ? fail(ERR_SYSTEM, "stdout: cannot write") : 0;
}

static int renamed(int argc, char **argv)
{
    (void)argc;
    struct db *db = db_open(argv[0], DB_READ);
    int rc = db ? rekey_client_each(db, print_renamed, NULL) : -1;
    db_close(db);
    return rc;
}

static const struct cli_option renamed_options[] = {
    {"--json", NULL, "a JSON object a line for each", &as_json, NULL}, {0}};

const struct cli_verb apply_verb_apply = {.name = NULL,
                                          .operands = "DB < ARCHIVE",
                                          .min = 1,
                                          .max = 1,
                                          .help = "apply the archives on stdin, each in one transaction",
                                          .options = apply_options,
                                          .run = apply};

const struct cli_verb apply_verb_package = {
    .name = "package",
    .operands = "DB FILE",
    .min = 2,
    .max = 2,
    .help = "take the files of the copy's package that a session brought: run local.sql, unpack the others",
    .options = package_options,
    .run = package};

const struct cli_verb apply_verb_renamed = {.name = "renamed",
                                            .operands = "DB",
                                            .min = 1,
                                            .max = 1,
                                            .help =
                                                "list the rows of a copy that got other keys from the server",
                                            .options = renamed_options,
                                            .run = renamed};
