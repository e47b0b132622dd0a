/* journal_verbs: see verbs/journal_verbs.h. */
#include "verbs/journal_verbs.h"

#include "archive/dx.h"
#include "journal/capture.h"
#include "journal/consumer.h"
#include "journal/journal.h"
#include "journal/log_export.h"
#include "journal/meta.h"
#include "journal/upload.h"
#include "verbs/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *opt_peer, *opt_after;

/* One archive is read once by the next stage of a pipe: speed counts for more than size. */
enum { LEVEL = 1 };

static const char *peer_name(void)
{
    return opt_peer ? opt_peer : PEER_DEFAULT;
}

static int start_of_read(struct db *db, int64_t *after)
{
    if (opt_after)
        return cli_number(opt_after, "--after", after);
    int64_t end;
    int stale = consumer_stale(db, peer_name());
    if (stale < 0 || consumer_mark(db, peer_name(), after) || journal_end(db, &end))
        return -1;
    return !stale ? 0
                  : fail(ERR_REFUSED,
                         "%s: %s stands at %lld, but the journal has a new epoch since then, so that changes "
                         "may be missing in it; extract its copy again, and read on from there: --after %lld "
                         "if that is now",
                         db_path(db), peer_name(), (long long)*after, (long long)end);
}

static int read_snapshot(struct db *db)
{
    int64_t after;
    if (capture_check(db) || start_of_read(db, &after) ||
        consumer_check(db, opt_after ? "the number asked for" : peer_name(), after))
        return -1;
    return log_export(db, after, STDOUT_FILENO, "stdout", LEVEL);
}

static int read_log(int argc, char **argv)
{
    (void)argc;
    if (cli_archive_to_stdout())
        return -1;
    struct db *db = db_open(argv[0], DB_READ);
    return verb_close(db, db && db_begin_read(db) == 0 ? read_snapshot(db) : -1, 0);
}

/* Moves the mark to the end of an archive that was read from this journal; one of an epoch that is over begins again. */
static int take_receipt(struct db *db, const struct dx_head *h, const char *epoch)
{
    int64_t mark, end;
    const char *path = db_path(db), *peer = peer_name();
    int stale = consumer_stale(db, peer);
    if (stale < 0 || consumer_mark(db, peer, &mark) || journal_end(db, &end))
        return -1;
    if (h->kind != DX_CHANGES || h->number)
        return fail(ERR_REFUSED, "%s: an archive of kind %s is no receipt; give what `txnlog read` made",
                    path, dx_kind_name(h->kind));
    if (strcmp(h->epoch, epoch) != 0 || h->upto > end)
        return fail(
            ERR_REFUSED,
            "%s: the archive was not read from this journal (epoch %s up to %lld, here %s up to %lld)", path,
            h->epoch, (long long)h->upto, epoch, (long long)end);
    if (!stale && h->after > mark)
        return fail(ERR_REFUSED,
                    "%s: the archive begins after %lld, but %s has only got to %lld: one between is missing",
                    path, (long long)h->after, peer, (long long)mark);
    if (!stale && h->upto <= mark)
        return 0;
    cli_say("%s: %lld to %lld", peer, (long long)mark, (long long)h->upto);
    return consumer_set(db, peer, h->upto);
}

/* The mark moves for a whole archive only. */
static int take_receipts(struct db *db, struct dx_reader *r)
{
    const struct dx_head *h;
    char *epoch = NULL;
    int got = -1, rc = 0;
    if (meta_get_text(db, "epoch", &epoch) == 0)
        while (rc == 0 && (got = dx_next(r, &h)) > 0)
            rc = take_receipt(db, h, epoch ? epoch : "") || dx_skip(r) ? -1 : 0;
    free(epoch);
    return rc ? -1 : got;
}

static int ack(int argc, char **argv)
{
    const char *name;
    int fd = dx_open_input(argc > 1 ? argv[1] : NULL, &name), rc = -1;
    struct dx_reader *r = fd < 0 ? NULL : dx_reader_open(fd, name);
    struct db *db = r ? db_open(argv[0], DB_WRITE) : NULL;
    if (db && meta_require(db) == 0 && db_begin_write(db) == 0 && take_receipts(db, r) == 0)
        rc = db_commit(db);
    dx_reader_close(r);
    return verb_close(db, rc, 0);
}

static const char *sign_key, *keep_days, *keep_bytes;

static const struct cli_option upload_options[] = {
    {"--sign", "KEY", "sign each with this private key, as for ssh", NULL, &sign_key},
    {"--keep-days", "N", "keep those that were acknowledged for N days in DIR/sent; default 30", NULL,
     &keep_days},
    {"--keep-bytes", "N", "... as long as they are not more than N bytes; default 1 GiB", NULL, &keep_bytes},
    {0}};

static int upload(int argc, char **argv)
{
    (void)argc;
    int64_t newest;
    struct sent_limits keep = {SENT_DAYS, SENT_BYTES};
    if ((keep_days && cli_number(keep_days, "--keep-days", &keep.days)) ||
        (keep_bytes && cli_number(keep_bytes, "--keep-bytes", &keep.bytes)))
        return -1;
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db ? upload_make(db, argv[1], sign_key, &keep, &newest) : -1;
    if (rc == 0)
        cli_say("%s: newest upload is %lld", argv[0], (long long)newest);
    return verb_close(db, rc, 0);
}

#define OPTION_PEER                                                                                     \
    {                                                                                                   \
        .name = "--peer", .value = "PEER", .help = "the reader; default \"default\"", .text = &opt_peer \
    }

static const struct cli_option read_options[] = {
    OPTION_PEER,
    {.name = "--after", .value = "SEQ", .help = "from there on, whatever the mark", .text = &opt_after},
    {0}};

static const struct cli_option ack_options[] = {OPTION_PEER, {0}};

const struct cli_verb journal_verb_read = {
    "read", "DB", 1, 1, "write an archive of all changes after the reader's mark", read_options, read_log};

const struct cli_verb journal_verb_ack = {
    "ack", "DB [FILE]", 1, 2, "move the reader's mark to the end of the archive", ack_options, ack};

const struct cli_verb journal_verb_upload = {
    "upload",       "DB DIR", 2, 2, "write what was changed here as numbered files for the server",
    upload_options, upload};
