/* archive_verbs: see verbs/archive_verbs.h. */
#include "verbs/archive_verbs.h"

#include "archive/archive_jsonl.h"
#include "archive/head_read.h"
#include "archive/signature.h"
#include "archive/unpack.h"
#include "base/clean.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool json;

static const char *directory;

static const struct cli_option no_options[] = {{0}};

static bool only_head;

static const struct cli_option list_options[] = {
    {.name = "--head",
     .help = "only the first head; nothing behind it is read or checked",
     .flag = &only_head},
    {.name = "--json", .help = "a JSON object a line for each archive", .flag = &json},
    {0}};

/* What to do with one archive whose head was just read. It is read to its end there: 0; 1 where nothing more of the file is
 * wanted; -1. */
typedef int on_archive(struct dx_reader *r, const struct dx_head *h, void *ctx);

static int each_in(struct dx_reader *r, on_archive *fn, void *ctx)
{
    const struct dx_head *h;
    int got;
    while ((got = dx_next(r, &h)) > 0) {
        int rc = fn(r, h, ctx);
        if (rc)
            return rc < 0 ? -1 : 0;
    }
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

/* The head as it stands in dx.json; NULL after fail(). */
static json_t *head_json(const struct dx_head *h)
{
    struct buf b = {0};
    json_t *all = head_put(&b, "stdout", h, NULL) ? NULL : json_loadb((const char *)b.p, b.n, 0, NULL);
    buf_free(&b);
    return all;
}

static int list_head(const struct dx_head *h)
{
    json_t *all = json ? head_json(h) : NULL;
    if (json && all == NULL)
        return -1;
    if (json)
        print_json(all);
    else
        print_head(h);
    return 1;
}

/* The head with counts, members and digest. */
static int print_listing(const struct dx_head *h, const struct dx_end *e, json_t *members)
{
    json_t *all = head_json(h), *table;
    size_t i;
    if (all == NULL)
        return -1;
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
    if (only_head) {
        json_array_clear(m->list);
        return list_head(h);
    }
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

const struct cli_verb archive_verb_list = {
    "list", "[FILE...]", 0, -1, "members, head, and counts per table", list_options, list};

const struct cli_verb archive_verb_verify = {
    "verify",       "[FILE...]", 0, -1, "check every byte, and signatures; silent when all is well",
    verify_options, verify};

const struct cli_verb archive_verb_cat = {"cat",      "[FILE...]", 0, -1, "print the changes as JSON Lines",
                                          no_options, cat};

const struct cli_verb archive_verb_extract = {
    "extract", "[FILE]", 0, 1, "the members of an archive as files", extract_options, extract};
