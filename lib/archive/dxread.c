/* dxread: the archive's reader (archive/dx.h). Everything here comes from outside and is checked before it is believed. */
#include "archive/dx.h"
#include "archive/head_read.h"
#include "archive/shared_frame.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/tar.h"
#include "base/zst.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PIECE = 256 << 10,
    PADDING_MAX = 64 << 10 /* of the tar and of a signature, behind end.json */
};

enum where { BETWEEN, IN_CHANGES, AT_END, BROKEN };

struct dx_reader {
    char *name;
    struct zst_reader *zst;
    struct tar_reader *tar;
    struct sha *sha, *list;
    enum where where;
    struct dx_head head;
    struct dx_end end; /* as counted; at the end, found equal to end.json */
    struct dx_count *count;
    char *member, *origin;
    uint64_t left;  /* of the member, not yet read */
    size_t members; /* of changes, so far */
    struct buf in;  /* read, from `at` on not yet decoded */
    size_t at;
    const struct table *table;
    bool bare; /* no change has followed its header yet */
    size_t table_index;
    size_t *by_name; /* numbers of the head's tables, sorted by name */
    struct val *old, *new;
    size_t room; /* of those */
    struct dx_watch watch;
    size_t padding;             /* read behind the last member */
    struct buf text, signature; /* of end.json, and its signature */
};

static long from_zst(void *ctx, const void **p)
{
    struct dx_reader *r = ctx;
    long n = zst_read(r->zst, p);
    if (n > 0 && r->where == AT_END && (r->padding += (size_t)n) > PADDING_MAX)
        return fail(ERR_REFUSED, "%s: the archive goes on behind its last member", r->name);
    return n;
}

struct dx_reader *dx_reader_open(int fd, const char *name)
{
    struct dx_reader *r = mem_zero(1, sizeof *r);
    r->name = mem_text(name);
    r->zst = zst_reader_new(fd, name);
    r->sha = sha_new();
    r->list = sha_new();
    r->member = mem_text("");
    r->origin = mem_text("");
    return r;
}

void dx_reader_close(struct dx_reader *r)
{
    if (r == NULL)
        return;
    tar_reader_free(r->tar);
    zst_reader_free(r->zst);
    sha_free(r->sha);
    sha_free(r->list);
    dx_head_free(&r->head);
    buf_free(&r->in);
    buf_free(&r->text);
    buf_free(&r->signature);
    free(r->count);
    free(r->by_name);
    free(r->old);
    free(r->new);
    free(r->member);
    free(r->origin);
    free(r->name);
    free(r);
}

static int refuse(const struct dx_reader *r, const char *what)
{
    return fail(ERR_REFUSED, "%s: %s: %s; fetch it again", r->name, *r->member ? r->member : "(start)", what);
}

/* Takes up to n more bytes of the member into r->in. */
static int more(struct dx_reader *r, size_t n)
{
    if (n > r->left)
        n = (size_t)r->left;
    long got = tar_read(r->tar, buf_reserve(&r->in, n), n);
    if (got < 0)
        return -1;
    if (got == 0)
        return refuse(r, "cut off");
    sha_add(r->sha, r->in.p + r->in.n, (size_t)got);
    if (r->watch.bytes && r->watch.bytes(r->watch.ctx, r->in.p + r->in.n, (size_t)got))
        return -1;
    r->in.n += (size_t)got;
    r->left -= (uint64_t)got;
    return 0;
}

/* Tells the watcher of a member whose name is found to be right. */
static int watch_member(struct dx_reader *r)
{
    return r->watch.member ? r->watch.member(r->watch.ctx, r->member, r->left) : 0;
}

static int next_member(struct dx_reader *r)
{
    const char *member;
    int got = tar_next(r->tar, &member, &r->left);
    if (got > 0)
        dx_head_set(&r->member, member);
    buf_clear(&r->in);
    r->at = 0;
    return got;
}

/* Takes the whole member, of at most `most` bytes. */
static int load_member(struct dx_reader *r, uint64_t most)
{
    if (r->left > most)
        return refuse(r, "too large");
    while (r->left)
        if (more(r, (size_t)r->left))
            return -1;
    return 0;
}

/* Ends a member before end.json: its size and line go into the account. */
static void account(struct dx_reader *r, uint64_t size)
{
    struct buf line = {0};
    char hex[SHA_HEX];
    sha_end(r->sha, hex);
    buf_addf(&line, "%s  %s\n", hex, r->member);
    sha_add(r->list, line.p, line.n);
    buf_free(&line);
    r->end.bytes += (int64_t)size;
}

static void begin_archive(struct dx_reader *r)
{
    char unused[SHA_HEX];
    dx_head_free(&r->head);
    sha_end(r->sha, unused);
    sha_end(r->list, unused);
    free(r->count);
    r->count = NULL;
    r->end = (struct dx_end){0};
    r->members = 0;
    r->bare = false;
    r->padding = 0;
    buf_clear(&r->text);
    buf_clear(&r->signature);
    r->table = NULL;
    r->where = BROKEN; /* until its head is read */
    dx_head_set(&r->member, "");
    dx_head_set(&r->origin, "");
    tar_reader_free(r->tar);
    r->tar = tar_reader_new(from_zst, r, r->name, TAR_NAMES_SHORT);
}

struct named {
    const char *name;
    size_t number;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void sort_tables(struct dx_reader *r)
{
    size_t n = r->head.ntable;
    struct named *named = mem_zero(n, sizeof *named);
    for (size_t i = 0; i < n; i++)
        named[i] = (struct named){r->head.table[i]->name, i};
    qsort(named, n, sizeof *named, compare_names);
    r->by_name = mem_grow(r->by_name, n + 1, sizeof *r->by_name);
    for (size_t i = 0; i < n; i++)
        r->by_name[i] = named[i].number;
    free(named);
}

static int read_head(struct dx_reader *r)
{
    int got = next_member(r);
    if (got < 0)
        return -1;
    if (got == 0 || strcmp(r->member, "dx.json") != 0)
        return refuse(r, "not a dx archive: its first member is not dx.json");
    uint64_t size = r->left;
    if (watch_member(r) || load_member(r, DX_JSON_MAX) || head_get(&r->in, r->name, &r->head))
        return -1;
    account(r, size);
    r->count = mem_zero(r->head.ntable, sizeof *r->count);
    r->end.count = r->count;
    sort_tables(r);
    buf_clear(&r->in);
    return 0;
}

/* Every archive begins with the same frame. */
static int check_opening(struct dx_reader *r)
{
    int got = zst_next_is(r->zst, shared_frame_opening, SHARED_FRAME_OPENING);
    if (got == 0)
        return fail(ERR_REFUSED,
                    "%s: not a dx archive: compressed with zstd, but it does not begin as every archive does",
                    r->name);
    return got > 0 ? 0 : -1;
}

int dx_next(struct dx_reader *r, const struct dx_head **h)
{
    if (r->where == BROKEN || (r->where == IN_CHANGES && dx_skip(r)))
        return -1;
    int got = zst_more(r->zst);
    if (got == 0 && r->where == BETWEEN)
        return fail(ERR_REFUSED, "%s: empty; nothing was sent, or the sender failed", r->name);
    if (got <= 0)
        return got;
    begin_archive(r);
    if (check_opening(r) || read_head(r))
        return -1;
    r->where = IN_CHANGES;
    *h = &r->head;
    return 1;
}

/* Checks the name of a member of changes against its turn, and takes the origin from it. */
static int begin_changes(struct dx_reader *r)
{
    char expected[32];
    size_t n = (size_t)snprintf(expected, sizeof expected, "changes/%06zu", ++r->members);
    if (strncmp(r->member, expected, n) != 0 || (r->member[n] != 0 && r->member[n] != '@'))
        return fail(ERR_REFUSED, "%s: member '%.100s' where %s or end.json should be; fetch it again",
                    r->name, r->member, expected);
    const char *origin = r->member[n] ? r->member + n + 1 : "";
    if (r->member[n] && !head_is_node(origin))
        return refuse(r, "not the name of a node");
    if (r->left == 0 || r->left > DX_MEMBER_MAX)
        return refuse(r, r->left ? "too large" : "empty");
    dx_head_set(&r->origin, origin);
    r->table = NULL;
    r->end.bytes += (int64_t)r->left;
    return watch_member(r);
}

static bool same_end(const struct dx_reader *r, const struct dx_end *said, const struct dx_count *count)
{
    return said->changes == r->end.changes && said->bytes == r->end.bytes &&
           strcmp(said->sha256, r->end.sha256) == 0 &&
           memcmp(count, r->count, r->head.ntable * sizeof *count) == 0;
}

/* Behind end.json comes its signature or nothing, then the tar's padding and the seal. */
static int at_seal(struct dx_reader *r)
{
    r->where = AT_END;
    int got = next_member(r);
    if (got > 0 && strcmp(r->member, DX_SIGNATURE) == 0) {
        if (r->left == 0)
            return refuse(r, "empty");
        if (watch_member(r) || load_member(r, DX_SIGNATURE_MAX))
            return -1;
        buf_add(&r->signature, r->in.p, r->in.n);
        got = next_member(r);
    }
    return got > 0 ? refuse(r, "a member behind the end") : got;
}

static int end_archive(struct dx_reader *r)
{
    struct dx_end said = {0};
    struct dx_count *count = mem_zero(r->head.ntable, sizeof *count);
    sha_end(r->list, r->end.sha256);
    int rc = watch_member(r) || load_member(r, DX_JSON_MAX) ||
             head_get_end(&r->in, r->name, &r->head, &said, count);
    if (rc == 0 && !same_end(r, &said, count))
        rc = refuse(r, "does not agree with what came before: damaged");
    free(count);
    buf_add(&r->text, r->in.p, r->in.n);
    return rc ? -1 : at_seal(r);
}

/* The number of the head's table of that name, or ntable. A hostile archive may have thousands of tables and turn from
 * one to another with every change. */
static size_t find_table(const struct dx_reader *r, const char *name)
{
    size_t low = 0, high = r->head.ntable;
    if (r->table && strcmp(r->table->name, name) == 0)
        return r->table_index;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(r->head.table[r->by_name[middle]]->name, name);
        if (order == 0)
            return r->by_name[middle];
        *(order < 0 ? &low : &high) = order < 0 ? middle + 1 : middle;
    }
    return r->head.ntable;
}

static int use_table(struct dx_reader *r, const struct changeset_table *t)
{
    size_t i = find_table(r, t->name);
    if (i == r->head.ntable)
        return fail(ERR_REFUSED, "%s: %s: table '%.100s' is not in dx.json", r->name, r->member, t->name);
    const struct table *known = r->head.table[i];
    if (t->form != r->head.form || t->ncol != known->ncol || memcmp(t->pk, known->pk, t->ncol) != 0)
        return fail(ERR_REFUSED, "%s: %s: table '%.100s' is not as dx.json says", r->name, r->member,
                    t->name);
    if (known->ncol > r->room) {
        r->room = known->ncol;
        r->old = mem_grow(r->old, r->room, sizeof *r->old);
        r->new = mem_grow(r->new, r->room, sizeof *r->new);
    }
    r->table = known;
    r->bare = true;
    r->table_index = i;
    return 0;
}

/* Decodes one table header or change at r->at: 1 a change, 0 a header, 2 more bytes are needed, -1. */
static int decode(struct dx_reader *r, struct change *c)
{
    struct wire w = wire_over(r->in.p + r->at, r->in.n - r->at);
    bool header = *w.p == CHANGESET_FULL || *w.p == CHANGESET_PATCH;
    struct changeset_table t;
    if (header && r->table && r->bare)
        return refuse(r, "a table without changes");
    if (header)
        changeset_get_table(&w, &t);
    else if (r->table == NULL)
        return refuse(r, "not a changeset");
    else {
        *c = (struct change){.table = r->table, .origin = r->origin, .old = r->old, .new = r->new};
        changeset_get_change(&w, r->head.form, c);
    }
    if (w.state == WIRE_BAD)
        return refuse(r, "not a sound changeset");
    if (w.state == WIRE_SHORT)
        return 2;
    r->at = (size_t)(w.p - r->in.p);
    if (header)
        return use_table(r, &t);
    r->bare = false;
    return 1;
}

/* Makes more of the member readable for a change that is not whole yet. */
static int widen(struct dx_reader *r)
{
    buf_drop(&r->in, r->at);
    r->at = 0;
    if (r->left == 0)
        return refuse(r, "ends in the middle of a change");
    if (r->in.n > DX_CHANGE_MAX)
        return refuse(r, "a change over 128 MiB");
    return more(r, r->in.n > PIECE ? r->in.n : PIECE);
}

static void count_change(struct dx_reader *r, enum change_op op)
{
    struct dx_count *n = &r->count[r->table_index];
    *(op == CHANGE_INSERT ? &n->inserts : op == CHANGE_UPDATE ? &n->updates : &n->deletes) += 1;
    r->end.changes++;
}

/* Goes on to the next member: 1 when it holds changes, 0 when it was the last and all agrees, -1. */
static int turn_page(struct dx_reader *r)
{
    if (r->members && r->bare)
        return refuse(r, "a table without changes");
    if (r->members)
        account(r, 0);
    int got = next_member(r);
    if (got < 0)
        return -1;
    if (got == 0)
        return refuse(r, "no end.json: cut off");
    if (strcmp(r->member, "end.json") == 0)
        return end_archive(r);
    return begin_changes(r) ? -1 : 1;
}

static int read_change(struct dx_reader *r, struct change *c)
{
    for (;;) {
        int got = r->at == r->in.n && r->left == 0 ? turn_page(r) : 1;
        if (got <= 0)
            return got;
        got = r->at < r->in.n ? decode(r, c) : 2;
        if (got == 1 || got < 0)
            return got;
        if (got == 2 && widen(r))
            return -1;
    }
}

int dx_read(struct dx_reader *r, struct change *c)
{
    if (r->where == AT_END)
        return 0;
    if (r->where != IN_CHANGES)
        return -1;
    int got = read_change(r, c);
    if (got > 0)
        count_change(r, c->op);
    else if (got < 0)
        r->where = BROKEN;
    return got;
}

int dx_skip(struct dx_reader *r)
{
    struct change c;
    int got;
    while ((got = dx_read(r, &c)) > 0)
        ;
    return got;
}

int dx_require_last(struct dx_reader *r)
{
    int more = r->where == AT_END ? zst_more(r->zst) : -1;
    if (more > 0)
        return fail(ERR_REFUSED, "%s: another archive follows, where exactly one is taken", r->name);
    return more;
}

int64_t dx_packed(const struct dx_reader *r)
{
    return zst_packed(r->zst);
}

const struct dx_end *dx_end(const struct dx_reader *r)
{
    return &r->end;
}

const struct buf *dx_signature(const struct dx_reader *r, const struct buf **text)
{
    *text = &r->text;
    return &r->signature;
}

const char *dx_reader_name(const struct dx_reader *r)
{
    return r->name;
}

const char *dx_member(const struct dx_reader *r)
{
    return r->member;
}

void dx_reader_watch(struct dx_reader *r, const struct dx_watch *watch)
{
    r->watch = *watch;
}

static int archive_input(int fd, const char *name)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return fail(ERR_REFUSED, "%s: a directory, where an archive should be", name);
    return fd;
}

int dx_open_input(const char *path, const char **name)
{
    if (path == NULL || strcmp(path, "-") == 0) {
        *name = "stdin";
        if (isatty(STDIN_FILENO))
            return fail(ERR_USAGE,
                        "an archive is read from stdin, which is a terminal; redirect it: < FILE.dx");
        return archive_input(STDIN_FILENO, *name);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *name = path;
    return fd < 0 ? fail_errno("%s: cannot open", path) : archive_input(fd, path);
}
