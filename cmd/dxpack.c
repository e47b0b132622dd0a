/* dxpack: makes, lists, prints, verifies, signs, joins, inverts and encrypts archives. */
#include "archive/archive_jsonl.h"
#include "archive/dx.h"
#include "archive/head_read.h"
#include "archive/repack.h"
#include "archive/signature.h"
#include "archive/unpack.h"
#include "base/clean.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"
#include "cli/cli.h"
#include "journal/meta.h"
#include "session/exchange.h"
#include "session/serve.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEVEL = 3 };

static bool json, patch;
static const char *directory, *level_text;

static const struct cli_option json_options[] = {
    {.name = "--json", .help = "a JSON object a line for each archive", .flag = &json}, {0}};
static const struct cli_option no_options[] = {{0}};

/* ---- verbs that read archives: list, verify, cat ---- */

/* What to do with one archive whose head was just read; it is read to its end there. */
typedef int on_archive(struct dx_reader *r, const struct dx_head *h, void *ctx);

static int each_in(struct dx_reader *r, on_archive *fn, void *ctx)
{
    const struct dx_head *h;
    int got;
    while ((got = dx_next(r, &h)) > 0)
        if (fn(r, h, ctx))
            return -1;
    return got;
}

/* Every archive in the files named, or on stdin. */
static int each_archive(int argc, char **argv, const struct dx_watch *watch, on_archive *fn, void *ctx)
{
    for (int i = 0; i < argc || i == 0; i++) {
        const char *name;
        int fd = dx_open_input(argc ? argv[i] : NULL, &name);
        if (fd < 0)
            return -1;
        struct dx_reader *r = dx_reader_open(fd, name);
        dx_reader_watch(r, watch);
        int rc = each_in(r, fn, ctx);
        dx_reader_close(r);
        if (fd != STDIN_FILENO)
            close(fd);
        if (rc)
            return -1;
    }
    return 0;
}

static void print_json(json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    puts(text);
    free(text);
    json_decref(object);
}

static struct signers signers;
static const char *principal;

static const struct cli_option verify_options[] = {
    {.name = "--json", .help = "a JSON object a line for each archive", .flag = &json},
    {.name = "--signers",
     .value = "FILE",
     .help = "each is signed by its sender with a key in FILE (form: ALLOWED SIGNERS of ssh-keygen)",
     .text = &signers.file},
    {.name = "--revoked", .value = "FILE", .help = "but not with a key in FILE", .text = &signers.revoked},
    {.name = "--by",
     .value = "NAME",
     .help = "by this principal, not by the sender named inside",
     .text = &principal},
    {0}};

static int verify_one(struct dx_reader *r, const struct dx_head *h, void *ctx)
{
    (void)ctx;
    if (dx_skip(r) || (signers.file && signature_check(r, h, &signers, principal, dx_reader_name(r))))
        return -1;
    const struct dx_end *e = dx_end(r);
    if (json)
        print_json(json_pack("{s:s, s:I, s:I, s:s}", "kind", dx_kind_name(h->kind), "changes",
                             (json_int_t)e->changes, "bytes", (json_int_t)e->bytes, "sha256", e->sha256));
    cli_say("%s, %lld changes, sha256 %s", dx_kind_name(h->kind), (long long)e->changes, e->sha256);
    return 0;
}

static int verify(int argc, char **argv)
{
    if (signers.file == NULL && (signers.revoked || principal))
        return fail(ERR_USAGE, "--revoked and --by need --signers FILE");
    return each_archive(argc, argv, &(struct dx_watch){0}, verify_one, NULL);
}

static int cat_one(struct dx_reader *r, const struct dx_head *h, void *ctx)
{
    (void)h;
    (void)ctx;
    return lines_print(r, stdout);
}

static int cat(int argc, char **argv)
{
    cli_prints_lines();
    return each_archive(argc, argv, &(struct dx_watch){0}, cat_one, NULL);
}

/* Members seen of the archive at hand. As text they are printed when its head is there to stand before them. */
struct members {
    json_t *list;
    bool begun;
};

/* What the archive says is anybody's. */
static const char *clean(struct buf *b, const char *text)
{
    buf_clear(b);
    clean_text(b, text, strlen(text));
    return buf_text(b);
}

static void print_member(const char *name, uint64_t size)
{
    printf("  %-40s %12llu\n", name, (unsigned long long)size);
}

static int list_member(void *ctx, const char *name, uint64_t size)
{
    struct members *m = ctx;
    if (m->begun && !json)
        print_member(name, size);
    else
        json_array_append_new(m->list, json_pack("{s:s, s:I}", "name", name, "bytes", (json_int_t)size));
    return 0;
}

static void print_text(const char *what, const char *text)
{
    struct buf b = {0};
    if (*text)
        printf(", %s %s", what, clean(&b, text));
    buf_free(&b);
}

static void print_number(const char *what, int64_t number)
{
    if (number)
        printf(", %s %lld", what, (long long)number);
}

static void print_head(const struct dx_head *h)
{
    printf("%s", dx_kind_name(h->kind));
    print_number("number", h->number);
    print_text("from", h->from);
    print_text("to", h->to);
    if (h->upto)
        printf(", journal after %lld up to %lld", (long long)h->after, (long long)h->upto);
    print_number("acknowledges", h->ack);
    print_number("applied", h->applied);
    print_text("epoch", h->epoch);
    print_text("package", h->package);
    print_text("continues", h->continues);
    print_text("follows", h->follows);
    printf(", %s\n", h->form == CHANGESET_FULL ? "changeset" : "patchset");
}

static void print_counts(const struct dx_head *h, const struct dx_end *e)
{
    printf("  %-40s %12s %12s %12s\n", "table", "insert", "update", "delete");
    struct buf b = {0};
    for (size_t i = 0; i < h->ntable; i++)
        printf("  %-40s %12lld %12lld %12lld\n", clean(&b, h->table[i]->name), (long long)e->count[i].inserts,
               (long long)e->count[i].updates, (long long)e->count[i].deletes);
    buf_free(&b);
    printf("  %lld changes, %lld bytes unpacked, sha256 %s\n", (long long)e->changes, (long long)e->bytes,
           e->sha256);
}

/* The head as it stands in dx.json, with counts, members and digest. */
static int print_listing(const struct dx_head *h, const struct dx_end *e, json_t *members)
{
    struct buf b = {0};
    if (head_put(&b, "stdout", h, NULL))
        return -1;
    json_t *all = json_loadb((const char *)b.p, b.n, 0, NULL), *table;
    buf_free(&b);
    size_t i;
    json_array_foreach (json_object_get(all, "tables"), i, table) {
        const struct dx_count *n = &e->count[i];
        json_object_update_new(table, json_pack("{s:I, s:I, s:I}", "insert", (json_int_t)n->inserts, "update",
                                                (json_int_t)n->updates, "delete", (json_int_t)n->deletes));
    }
    json_object_update_new(all, json_pack("{s:O, s:I, s:I, s:s}", "members", members, "changes",
                                          (json_int_t)e->changes, "bytes", (json_int_t)e->bytes, "sha256",
                                          e->sha256));
    print_json(all);
    return 0;
}

static int list_one(struct dx_reader *r, const struct dx_head *h, void *ctx)
{
    struct members *m = ctx;
    json_t *first = json_array_get(m->list, 0);
    if (!json) {
        print_head(h);
        print_member("dx.json", (uint64_t)json_integer_value(json_object_get(first, "bytes")));
        m->begun = true;
    }
    int rc = dx_skip(r);
    if (rc == 0 && json)
        rc = print_listing(h, dx_end(r), m->list);
    else if (rc == 0)
        print_counts(h, dx_end(r));
    json_array_clear(m->list);
    m->begun = false;
    return rc;
}

static int list(int argc, char **argv)
{
    struct members m = {.list = json_array()};
    struct dx_watch watch = {.member = list_member, .ctx = &m};
    cli_prints_lines();
    int rc = each_archive(argc, argv, &watch, list_one, &m);
    json_decref(m.list);
    return rc;
}

/* ---- extract ---- */

static const struct cli_option extract_options[] = {
    {.name = "-C", .value = "DIR", .help = "into this directory, made when absent", .text = &directory}, {0}};

static int extract(int argc, char **argv)
{
    const char *name;
    if (directory == NULL)
        return fail(ERR_USAGE, "-C DIR is missing: the directory to extract into");
    int fd = dx_open_input(argc ? argv[0] : NULL, &name);
    struct dx_reader *r = fd < 0 ? NULL : dx_reader_open(fd, name);
    int rc = r ? unpack(r, directory) : -1;
    dx_reader_close(r);
    return rc;
}

/* ---- sign, seal, unseal ---- */

static const char *key, *recipients;

static const struct cli_option sign_options[] = {
    {.name = "--key", .value = "FILE", .help = "the private key, as for ssh", .text = &key},
    {.name = "--level", .value = "N", .help = "zstd level, 1 to 19 (default 3)", .text = &level_text},
    {0}};

static const struct cli_option seal_options[] = {
    {.name = "--to", .value = "FILE", .help = "the receivers' public keys, a line each", .text = &recipients},
    {0}};

static const struct cli_option unseal_options[] = {
    {.name = "--key", .value = "FILE", .help = "the private key", .text = &key}, {0}};

/* ---- verbs that write archives: make, join, invert ---- */

static int get_level(int *level)
{
    int64_t n = LEVEL;
    if (level_text && cli_number(level_text, "--level", &n))
        return -1;
    if (n < 1 || n > 19)
        return fail(ERR_USAGE, "--level: from 1 to 19");
    *level = (int)n;
    return cli_archive_to_stdout();
}

static int sign(int argc, char **argv)
{
    const char *name;
    int level;
    if (key == NULL)
        return fail(ERR_USAGE, "--key FILE is missing: the private key to sign with");
    if (get_level(&level))
        return -1;
    int fd = dx_open_input(argc ? argv[0] : NULL, &name);
    return fd < 0 ? -1 : signature_add(fd, name, key, STDOUT_FILENO, level);
}

/* age(1) encrypts and decrypts as a filter. */
static int run_age(const char *direction, const char *option, const char *file, int argc, char **argv)
{
    const char *args[] = {"age", direction, option, file, argc ? argv[0] : "-", NULL};
    struct buf err = {0};
    if (cli_archive_to_stdout())
        return -1;
    if (access(file, R_OK))
        return fail_errno("%s: cannot read", file);
    int status = process_filter(args, &err);
    if (status > 0)
        status = fail(ERR_REFUSED, "%s", process_first_line(&err));
    buf_free(&err);
    return status;
}

static int seal(int argc, char **argv)
{
    if (recipients == NULL)
        return fail(ERR_USAGE, "--to FILE is missing: the public keys of those who may read it");
    return run_age("-e", "-R", recipients, argc, argv);
}

static int unseal(int argc, char **argv)
{
    if (key == NULL)
        return fail(ERR_USAGE, "--key FILE is missing: the private key of one of the receivers");
    return run_age("-d", "-i", key, argc, argv);
}

/* Options of make that set the head. */
static const char *head_path, *kind_text, *from, *to, *epoch, *package, *number, *after, *upto, *ack,
    *applied;

static const struct cli_option make_options[] = {
    {.name = "--head",
     .value = "FILE",
     .help = "begin with this dx.json: tables, kind and all",
     .text = &head_path},
    {.name = "--kind",
     .value = "KIND",
     .help = "changes (default), upload, snapshot, keys, rows",
     .text = &kind_text},
    {.name = "--from", .value = "NODE", .help = "the sender", .text = &from},
    {.name = "--to", .value = "NODE", .help = "the receiver", .text = &to},
    {.name = "--epoch", .value = "TEXT", .help = "epoch of the numbering", .text = &epoch},
    {.name = "--package", .value = "NAME", .help = "the package it is cut for", .text = &package},
    {.name = "--number", .value = "N", .help = "its number in the row", .text = &number},
    {.name = "--after", .value = "SEQ", .help = "begin of the journal range", .text = &after},
    {.name = "--upto", .value = "SEQ", .help = "end of the journal range", .text = &upto},
    {.name = "--ack", .value = "N", .help = "newest upload merged by the sender", .text = &ack},
    {.name = "--applied", .value = "N", .help = "newest download applied by the sender", .text = &applied},
    {.name = "--patch", .help = "patchset form: leave old values out", .flag = &patch},
    {.name = "--level", .value = "N", .help = "zstd level, 1 to 19 (default 3)", .text = &level_text},
    {0}};

static int load_head(struct dx_head *h)
{
    struct buf b = {0};
    dx_head_init(h, DX_CHANGES);
    if (head_path == NULL)
        return 0;
    int rc = file_load(head_path, DX_JSON_MAX, &b);
    if (rc == 0) {
        dx_head_free(h);
        rc = head_get(&b, head_path, h);
    }
    buf_free(&b);
    return rc;
}

static int set_kind(struct dx_head *h)
{
    if (kind_text == NULL)
        return 0;
    for (enum dx_kind k = DX_CHANGES; k <= DX_ROWS; k++)
        if (strcmp(kind_text, dx_kind_name(k)) == 0) {
            h->kind = k;
            return 0;
        }
    return fail(ERR_USAGE, "--kind: changes, upload, snapshot, keys or rows, not '%s'", kind_text);
}

static int set_head(struct dx_head *h)
{
    const struct {
        const char *value;
        char **text;
    } texts[] = {{from, &h->from}, {to, &h->to}, {epoch, &h->epoch}, {package, &h->package}};
    const struct {
        const char *value, *name;
        int64_t *number;
    } numbers[] = {{number, "--number", &h->number},
                   {after, "--after", &h->after},
                   {upto, "--upto", &h->upto},
                   {ack, "--ack", &h->ack},
                   {applied, "--applied", &h->applied}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].value)
            dx_head_set(texts[i].text, texts[i].value);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].value && cli_number(numbers[i].value, numbers[i].name, numbers[i].number))
            return -1;
    if (h->upto < h->after)
        return fail(ERR_USAGE, "--upto is before --after");
    return set_kind(h);
}

static int open_lines(const char *path, const char **name)
{
    *name = path && strcmp(path, "-") != 0 ? path : "stdin";
    if (path == NULL || strcmp(path, "-") == 0)
        return STDIN_FILENO;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? fail_errno("%s: cannot open", path) : fd;
}

static int make(int argc, char **argv)
{
    struct dx_head h;
    const char *name;
    int level, in = -1;
    int rc = load_head(&h) || set_head(&h) || get_level(&level) ? -1 : 0;
    if (rc == 0)
        in = open_lines(argc ? argv[0] : NULL, &name);
    if (in >= 0)
        rc = lines_pack(in, name, &h, patch, STDOUT_FILENO, level);
    dx_head_free(&h);
    return in < 0 ? -1 : rc;
}

static const struct cli_option level_options[] = {
    {.name = "--level", .value = "N", .help = "zstd level, 1 to 19 (default 3)", .text = &level_text}, {0}};

static int join(int argc, char **argv)
{
    struct repack_input *in = mem_zero((size_t)argc, sizeof *in);
    int level, rc = get_level(&level);
    for (int i = 0; i < argc && rc == 0; i++) {
        in[i].fd = dx_open_input(argv[i], &in[i].name);
        rc = in[i].fd < 0 ? -1 : 0;
    }
    if (rc == 0)
        rc = repack_join(in, (size_t)argc, STDOUT_FILENO, level);
    free(in);
    return rc;
}

static int invert(int argc, char **argv)
{
    struct repack_input in;
    int level;
    if (get_level(&level))
        return -1;
    in.fd = dx_open_input(argc ? argv[0] : NULL, &in.name);
    return in.fd < 0 ? -1 : repack_invert(&in, STDOUT_FILENO, level);
}

/* ---- sessions ---- */

static const char *site, *node_name, *db_name, *copy_of, *rows_text, *whole_text, *timeout_text, *rate_text,
    *latency_text;
static bool now, prove, only_send, only_fetch, leave, take;

static const struct cli_option serve_options[] = {
    {.name = "--site", .value = "DIR", .help = "where hq.db and docking/ are", .text = &site},
    {.name = "--node",
     .value = "NAME",
     .help = "whom this session is for; the client has no say in it",
     .text = &node_name},
    {0}};

static int serve_session(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (site == NULL || node_name == NULL)
        return fail(ERR_USAGE, "--site and --node are needed");
    int rc = serve(&(struct serve){.site = site,
                                   .node = node_name,
                                   .bin = cli_directory(),
                                   .in = STDIN_FILENO,
                                   .out = STDOUT_FILENO,
                                   .say = cli_say});
    return rc == 0 || err_code() == ERR_USAGE
               ? rc
               : (int)err_code(); /* stderr may lead to the node: it has been told */
}

static const struct cli_option exchange_options[] = {
    {.name = "--db", .value = "DB", .help = "the copy; default: SPOOL without its -dx", .text = &db_name},
    {.name = "--copy",
     .value = "NODE",
     .help = "fetch the node's whole copy to SPOOL/inbox/snapshot.dx",
     .text = &copy_of},
    {.name = "--now", .help = "let the server merge and route before it answers", .flag = &now},
    {.name = "--prove",
     .help = "fetch the digests of what the copy should hold, to SPOOL/proof",
     .flag = &prove},
    {.name = "--whole",
     .value = "N,...",
     .help = "with --prove: the rows of these tables, too",
     .text = &whole_text},
    {.name = "--rows",
     .value = "N,...",
     .help = "with --prove: those of the rows of these tables of the digests, too",
     .text = &rows_text},
    {.name = "--send", .help = "only send", .flag = &only_send},
    {.name = "--fetch", .help = "only fetch", .flag = &only_fetch},
    {.name = "--leave",
     .help = "write all that the node has to say and to send to stdout, for a stick; nothing is read",
     .flag = &leave},
    {.name = "--take",
     .help = "read the server's answer to that, perhaps an older one, from stdin",
     .flag = &take},
    {.name = "--timeout",
     .value = "SECONDS",
     .help = "end when nothing comes for so long; default 60",
     .text = &timeout_text},
    {.name = "--limit-rate",
     .value = "BYTES",
     .help = "at most so many bytes a second in each direction",
     .text = &rate_text},
    {.name = "--if-latency",
     .value = "MS",
     .help = "do nothing (exit 7) when the server's first answer takes longer",
     .text = &latency_text},
    {0}};

/* Of a copy that is made again: its epoch, and which files of its package it has. */
static int read_former(struct db *db, struct standing *us)
{
    char *files = NULL, *was = NULL;
    int rc = meta_present(db) > 0
                 ? meta_get_text(db, "package_files", &files) || meta_get_text(db, "server", &was)
                 : 0;
    snprintf(us->was, sizeof us->was, "%s", was ? was : "");
    free(was);
    snprintf(us->files, sizeof us->files, "%s", files ? files : "-");
    free(files);
    return rc;
}

/* Where the copy stands: its database is closed again before anything is heard from the other end. */
static int read_standing(const char *spool, struct standing *us, struct copy_files *files)
{
    *us = (struct standing){.release = DX_VERSION};
    if (copy_of)
        snprintf(us->node, sizeof us->node, "%s", copy_of);
    size_t n = strlen(spool);
    while (n > 1 && spool[n - 1] == '/')
        n--;
    if (copy_of && (db_name == NULL || !file_exists(db_name))) {
        snprintf(us->files, sizeof us->files, "-");
        return 0;
    }
    if (db_name == NULL && (n <= 3 || strncmp(spool + n - 3, "-dx", 3) != 0))
        return fail(ERR_USAGE, "%s: its name does not end with -dx; which database is it of? --db DB", spool);
    char *path = db_name ? mem_text(db_name) : mem_printf("%.*s", (int)n - 3, spool);
    struct db *db = db_open(path, DB_READ);
    int rc = db == NULL || db_begin_read(db) ? -1
             : copy_of                       ? read_former(db, us)
             : handshake_of_copy(db, us)     ? -1
                                             : 0;
    if (rc == 0 && !copy_of && copy_files_look(db, spool, true, files)) {
        cli_warn("%s; no files travel that rows name", err_message());
        copy_files_free(files);
    }
    db_close(db);
    free(path);
    return rc;
}

static int read_list(const char *text, const char *what, int64_t **list, size_t *n)
{
    int rc = 0;
    *n = 0;
    *list = NULL;
    if (text == NULL)
        return 0;
    for (char *word; rc == 0 && (word = conf_word(&text, ',')) != NULL; free(word)) {
        *list = mem_grow(*list, *n + 1, sizeof **list);
        rc = cli_number(word, what, &(*list)[(*n)++]);
    }
    return rc;
}

static int read_numbers(struct exchange *x, int64_t **rows, int64_t **whole)
{
    int64_t timeout = 60;
    if ((timeout_text && cli_number(timeout_text, "--timeout", &timeout)) ||
        (rate_text && cli_number(rate_text, "--limit-rate", &x->rate)) ||
        (latency_text && cli_number(latency_text, "--if-latency", &x->latency)) ||
        read_list(rows_text, "--rows", rows, &x->nrow) || read_list(whole_text, "--whole", whole, &x->nwhole))
        return -1;
    if (timeout < 1 || timeout > 86400)
        return fail(ERR_USAGE, "--timeout: from 1 to 86400 seconds");
    x->timeout = (double)timeout;
    x->row = *rows;
    x->whole = *whole;
    return 0;
}

/* What came of it: for the script that called, on stdout; for people, on stderr. */
static int tell_exchange(const struct exchange *x, const struct exchanged *got, int rc)
{
    const struct peer_traffic *t = &got->traffic;
    if (got->restored)
        printf("restored %s %lld %lld\n", x->us->node, (long long)got->server.archive,
               (long long)got->server.upload);
    if (rc == 0 && x->half != EXCHANGE_LEAVE)
        printf("%s %s %lld %lld %lld %lld\n", got->behind ? "behind" : "server", x->us->node,
               (long long)got->server.archive, (long long)got->server.upload,
               (long long)got->server.keep_days, (long long)got->server.keep_bytes);
    cli_say("%s: %lld files sent (%lld bytes), %lld received (%lld bytes)", x->us->node,
            (long long)t->sent_files, (long long)t->sent_bytes, (long long)t->fetched_files,
            (long long)t->fetched_bytes);
    if (got->merged == ERR_LOOK)
        cli_say("server: merged, with conflicts or files to look at there");
    else if (got->merged)
        cli_warn("the server could not merge now (its exit code is %d); it will later", got->merged);
    if (got->damaged)
        cli_warn("%zu files that rows name are damaged on the server, or came so, and were dropped; the next "
                 "session asks "
                 "for them again",
                 got->damaged);
    if (got->server.held && rc == 0)
        cli_warn("the server does not merge what was changed here from upload %lld on: an operator there has "
                 "to decide "
                 "(txnroute status); it is kept",
                 (long long)got->server.held);
    return rc ? -1 : got->merged || got->other || got->server.held ? ERR_LOOK : 0;
}

/* Behind a last word that ends with `=` the name of the node is put: --node=alice. To free. */
static char *add_node(int argc, char **argv, const char *node)
{
    char *last = argv[argc - 1];
    if (argc < 2 || *last == 0 || last[strlen(last) - 1] != '=')
        return NULL;
    return argv[argc - 1] = mem_printf("%s%s", last, node);
}

static int exchange_files(int argc, char **argv)
{
    struct standing us;
    struct exchanged got = {0};
    struct copy_files files = {0};
    int64_t *rows = NULL, *whole = NULL;
    struct exchange x = {.spool = argv[0],
                         .us = &us,
                         .files = &files,
                         .command = argc > 1 ? argv + 1 : NULL,
                         .now = now,
                         .prove = prove,
                         .copy = copy_of != NULL,
                         .half = leave  ? EXCHANGE_LEAVE
                                 : take ? EXCHANGE_TAKE
                                        : EXCHANGE_BOTH,
                         .send = !only_fetch && copy_of == NULL,
                         .fetch = !only_send,
                         .say = cli_say};
    char *last = NULL;
    if ((leave || take) && (argc > 1 || now || prove || (leave && take)))
        return fail(ERR_USAGE,
                    "--leave and --take are halves of a session by themselves: without COMMAND, --now and "
                    "--prove");
    int rc = read_numbers(&x, &rows, &whole) || read_standing(argv[0], &us, &files) ? -1 : 0;
    if (rc == 0) {
        if (x.command)
            cli_shows_progress();
        last = add_node(argc, argv, us.node);
        rc = tell_exchange(&x, &got, exchange(&x, &got));
    }
    copy_files_free(&files);
    free(last);
    free(rows);
    free(whole);
    return rc;
}

static const struct cli_verb verbs[] = {
    {"list", "[FILE...]", 0, -1, "members, head, and counts per table", json_options, list},
    {"verify", "[FILE...]", 0, -1, "check every byte, and signatures; silent when all is well",
     verify_options, verify},
    {"cat", "[FILE...]", 0, -1, "print the changes as JSON Lines", no_options, cat},
    {"make", "[FILE]", 0, 1, "JSON Lines into an archive", make_options, make},
    {"extract", "[FILE]", 0, 1, "the members of an archive as files", extract_options, extract},
    {"sign", "[FILE]", 0, 1, "the archive with a signature as its last member", sign_options, sign},
    {"seal", "[FILE]", 0, 1, "encrypt for the way, with age", seal_options, seal},
    {"unseal", "[FILE]", 0, 1, "decrypt what was sealed", unseal_options, unseal},
    {"join", "FILE...", 1, -1, "logs that follow on into one", level_options, join},
    {"invert", "[FILE]", 0, 1, "the archive that takes this one back", level_options, invert},
    {"exchange", "SPOOL [-- COMMAND...]", 1, -1,
     "a session as a node: the other end is stdin and stdout, or COMMAND, behind the = of which its name is "
     "put",
     exchange_options, exchange_files},
    {"serve", "", 0, 0, "the server's end of a session, on stdin and stdout", serve_options, serve_session},
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {
        .name = "dxpack",
        .help = "make, list, print, verify, sign, join and invert archives",
        .verb = verbs,
        .nverb = sizeof verbs / sizeof *verbs,
        .notes = "Archives are read from FILE, or stdin for - or none, several in a row as well;\n"
                 "what is made goes to stdout.\n"};
    return cli_main(&command, argc, argv);
}
