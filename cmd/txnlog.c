/* txnlog: captures committed changes in a log in the database, and reads them out as archives. */
#include "archive/dx.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "compare/uncaptured.h"
#include "compare/verify.h"
#include "journal/capture.h"
#include "journal/consumer.h"
#include "journal/journal.h"
#include "journal/journal_status.h"
#include "journal/log_export.h"
#include "journal/meta.h"
#include "journal/upload.h"
#include "session/copy_files.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *opt_node, *opt_peer, *opt_after, *opt_at, *opt_save;
static const char *opt_request;
static bool opt_missing, opt_json, opt_rows, opt_whole, opt_give_up, opt_again;

/* One archive is read once by the next stage of a pipe: speed counts for more than size. */
enum { LEVEL = 1 };

static const char *peer_name(void)
{
    return opt_peer ? opt_peer : PEER_DEFAULT;
}

/* Ends what a verb began: its code, or -1 with the transaction undone. */
static int done(struct db *db, int rc, int code)
{
    db_close(db);
    return rc ? -1 : code;
}

static void print_json(const json_t *j)
{
    json_dumpf(j, stdout, JSON_INDENT(2));
    putchar('\n');
}

/* Prints how the log stands: 0, ERR_LOOK when something is amiss with it, -1. */
static int print_status(struct db *db)
{
    struct buf text = {0};
    json_t *s = db_begin_read(db) ? NULL : journal_status_read(db);
    int code = s == NULL ? -1 : journal_status_amiss(s) ? ERR_LOOK : 0;
    if (s && opt_json)
        print_json(s);
    else if (s) {
        journal_status_text(s, &text);
        fputs(buf_text(&text), stdout);
    }
    buf_free(&text);
    json_decref(s);
    return code;
}

/* ---- attach, detach ---- */

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
    return done(db, rc, report.lost || report.left_out ? ERR_LOOK : 0);
}

static int detach(int argc, char **argv)
{
    (void)argc;
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db ? capture_detach(db) : -1;
    if (rc == 0 && opt_json)
        rc = print_status(db) < 0 ? -1 : 0;
    return done(db, rc, 0);
}

/* ---- read, ack, trim ---- */

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
    return done(db, db && db_begin_read(db) == 0 ? read_snapshot(db) : -1, 0);
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
    return done(db, rc, 0);
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

static int trim(int argc, char **argv)
{
    (void)argc;
    int64_t removed, rest;
    struct consumer holder = {0};
    struct db *db = db_open(argv[0], DB_WRITE);
    int rc = db ? trim_journal(db, &removed, &rest, &holder) : -1;
    if (rc == 0)
        tell_trim(db, removed, rest, &holder);
    if (rc == 0 && opt_json)
        rc = print_status(db) < 0 ? -1 : 0;
    free(holder.name);
    return done(db, rc, 0);
}

/* ---- upload ---- */

static const char *sign_key, *keep_days, *keep_bytes;

/* ---- files that rows name ---- */

/* Where a file is added: the directory of a copy's; at the server, the site's store. */
static char *files_directory(const char *path, bool copy)
{
    const char *slash = strrchr(path, '/');
    return copy            ? mem_printf("%s-dx", path)
           : slash == NULL ? mem_text("files")
                           : mem_printf("%.*s/files", (int)(slash - path), path);
}

static int add_files(const char *path, bool copy, int n, char **file)
{
    char sha[SHA_HEX];
    int64_t size;
    int rc = 0;
    char *directory = files_directory(path, copy);
    for (int i = 0; rc == 0 && i < n; i++) {
        rc = copy ? copy_files_add(directory, file[i], sha, &size)
                  : copy_files_put(directory, file[i], NULL, sha, &size);
        if (rc == 0)
            printf("%s %lld %s\n", sha, (long long)size, file[i]);
    }
    free(directory);
    return rc;
}

static void print_file(const struct copy_file *f)
{
    if (opt_json)
        printf("{\"digest\": \"%s\", \"state\": \"%s\", \"size\": %lld, \"here\": %lld}\n", f->sha,
               copy_file_state_name(f->state), (long long)f->size, (long long)f->at);
    else
        printf("%s %12lld %s\n", f->sha, (long long)f->size, copy_file_state_name(f->state));
}

static int list_files(struct db *db, const char *path)
{
    struct copy_files files;
    char *spool = mem_printf("%s-dx", path);
    bool moves = false;
    int rc = copy_files_look(db, spool, opt_missing, &files);
    for (size_t i = 0; rc == 0 && i < files.n; i++) {
        bool move = files.file[i].state == COPY_FILE_MISSING || files.file[i].state == COPY_FILE_WAITS;
        moves |= move;
        if (!opt_missing || move)
            print_file(&files.file[i]);
    }
    copy_files_free(&files);
    free(spool);
    return rc ? -1 : opt_missing && moves ? ERR_LOOK : 0;
}

static int files(int argc, char **argv)
{
    char *node = NULL;
    struct db *db = db_open(argv[0], opt_request ? DB_WRITE : DB_READ);
    int rc = db && meta_require(db) == 0 ? meta_get_text(db, "node", &node) : -1;
    if (rc == 0 && node == NULL && argc == 1)
        rc = fail(ERR_REFUSED, "%s is no copy; `txnroute files --missing` lists what a server's store lacks",
                  argv[0]);
    if (rc == 0 && opt_request)
        rc = db_begin_write(db) || copy_files_request(db, opt_request) || db_commit(db) ? -1 : 0;
    if (rc == 0 && argc > 1)
        rc = add_files(argv[0], node != NULL, argc - 1, argv + 1);
    else if (rc == 0 && !opt_request)
        rc = list_files(db, argv[0]);
    free(node);
    db_close(db);
    return rc;
}

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
    return done(db, rc, 0);
}

/* ---- status ---- */

static int status(int argc, char **argv)
{
    (void)argc;
    struct db *db = db_open(argv[0], DB_READ);
    int code = db ? print_status(db) : -1;
    return done(db, code < 0 ? -1 : 0, code);
}

/* ---- digest ---- */

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
    print_json(out);
    json_decref(out);
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
    return done(db, rc, 0);
}

/* ---- prove ---- */

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
    return done(db, rc, proving.look ? ERR_LOOK : 0);
}

/* ---- recover ---- */

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
    return done(db, rc, n ? ERR_LOOK : 0);
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
    return done(db, rc, rc ? 0 : tell_recovered(argv[0], &n));
}

/* ---- the command ---- */

#define OPTION_PEER                                                                                     \
    {                                                                                                   \
        .name = "--peer", .value = "PEER", .help = "the reader; default \"default\"", .text = &opt_peer \
    }
#define OPTION_JSON                                            \
    {                                                          \
        .name = "--json", .help = "as JSON", .flag = &opt_json \
    }

static const struct cli_option attach_options[] = {
    {.name = "--again", .help = "only mend the capture of tables that are captured", .flag = &opt_again},
    {.name = "--node", .value = "NAME", .help = "this database is that node's copy", .text = &opt_node},
    {0}};
static const struct cli_option read_options[] = {
    OPTION_PEER,
    {.name = "--after", .value = "SEQ", .help = "from there on, whatever the mark", .text = &opt_after},
    {0}};
static const struct cli_option ack_options[] = {OPTION_PEER, {0}};
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
static const struct cli_option after_options[] = {
    {.name = "--json", .help = "print how the log stands now, as status does", .flag = &opt_json}, {0}};
static const struct cli_option json_options[] = {OPTION_JSON, {0}};
static const struct cli_option files_options[] = {
    {.name = "--missing", .help = "list only what is to come or to go (exit 1)", .flag = &opt_missing},
    {.name = "--request",
     .value = "ID",
     .help = "ask for the file of the row with this key, or of this digest",
     .text = &opt_request},
    OPTION_JSON,
    {0}};

static const struct cli_verb verbs[] = {
    {"attach", "DB [TABLE...]", 1, -1, "capture all tables that have a primary key, or those named",
     attach_options, attach},
    {"detach", "DB", 1, 1, "capture no more; the log stays", after_options, detach},
    {"read", "DB", 1, 1, "write an archive of all changes after the reader's mark", read_options, read_log},
    {"ack", "DB [FILE]", 1, 2, "move the reader's mark to the end of the archive", ack_options, ack},
    {"trim", "DB", 1, 1, "remove what every reader has acknowledged", after_options, trim},
    {"upload", "DB DIR", 2, 2, "write what was changed here as numbered files for the server", upload_options,
     upload},
    {"status", "DB", 1, 1, "show what is captured and how far the readers are", json_options, status},
    {"files", "DB [FILE...]", 1, -1,
     "list the files that rows name, and where they are; add a FILE, and print its digest", files_options,
     files},
    {"digest", "DB [TABLE...]", 1, -1, "print the SHA-256 of the rows, per table and over all",
     digest_options, digest},
    {"recover", "DB [ROWS [ARCHIVE...]]", 1, -1,
     "find what was changed in a copy without capture, by the server's rows; without ROWS list the tables "
     "(exit 1)",
     recover_options, recover},
    {"prove", "DB [TABLE...]", 1, -1, "compare the rows with those digests; name what differs (exit 1)", NULL,
     prove},
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {.name = "txnlog",
                                               .help = "the log of committed changes in a database",
                                               .verb = verbs,
                                               .nverb = sizeof verbs / sizeof *verbs};
    return cli_main(&command, argc, argv);
}
