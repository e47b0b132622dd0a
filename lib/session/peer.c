/* peer: see session/peer.h. */
#define _GNU_SOURCE /* O_DIRECTORY, O_NOFOLLOW */
#include "session/peer.h"

#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum out_state { OFFERED, SENDING, SENT, KEPT, PASSED };

struct outgoing {
    struct item item;
    int dir, fd;
    char name[80];
    int64_t size, at, from;
    enum out_state state;
};

struct incoming {
    struct item item;
    int64_t size, at, from; /* `from`: what an earlier session had brought */
    char sha[SHA_HEX];
    struct peer_place place;
    char part[128];
    struct sha *sum;
    int fd;
    bool done, damaged;
};

/* ---- names, numbers, files ---- */

int64_t peer_number(const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n > 15 || strspn(text, "0123456789") != n || (n > 1 && *text == '0'))
        return -1;
    return strtoll(text, NULL, 10);
}

bool peer_is_sha(const char *text)
{
    return strlen(text) == SHA_HEX - 1 && strspn(text, "0123456789abcdef") == SHA_HEX - 1;
}

void peer_part_name(char out[128], int64_t number, const char *sha)
{
    snprintf(out, 128, ".%lld.%.64s.part", (long long)number, sha);
}

int peer_part_of(const char *name, int64_t *number, char sha[SHA_HEX])
{
    char digits[16] = "", again[128];
    if (name[0] != '.' || sscanf(name + 1, "%15[0-9].%64[0-9a-f]", digits, sha) != 2 || !peer_is_sha(sha))
        return 0;
    *number = peer_number(digits);
    peer_part_name(again, *number, sha);
    return *number >= 0 && strcmp(again, name) == 0;
}

void peer_file_name(char out[80], int64_t number)
{
    snprintf(out, 80, "%08lld.dx", (long long)number);
}

int64_t peer_file_number(const char *name)
{
    char again[80];
    size_t digits = strspn(name, "0123456789");
    if (digits < 8 || digits > 15)
        return 0;
    int64_t n = strtoll(name, NULL, 10);
    peer_file_name(again, n);
    return strcmp(again, name) == 0 ? n : 0;
}

static DIR *list(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL)
        fail_errno("cannot read a directory");
    if (d == NULL && fd >= 0)
        close(fd);
    return d;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int peer_numbers(int dir, int64_t **number, size_t *n)
{
    DIR *d = list(dir);
    *number = NULL;
    *n = 0;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        int64_t i = peer_file_number(e->d_name);
        if (i == 0)
            continue;
        *number = mem_grow(*number, *n + 1, sizeof **number);
        (*number)[(*n)++] = i;
    }
    if (d == NULL)
        return -1;
    closedir(d);
    if (*n)
        qsort(*number, *n, sizeof **number, by_number);
    return 0;
}

int peer_parts(int dir, size_t most, struct peer_part **part, size_t *n)
{
    struct stat st;
    DIR *d = list(dir);
    *part = NULL;
    *n = 0;
    for (struct dirent *e; d && *n < most && (e = readdir(d)) != NULL;) {
        struct peer_part p = {0};
        if (!peer_part_of(e->d_name, &p.number, p.sha) || fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
            !S_ISREG(st.st_mode))
            continue;
        p.size = st.st_size;
        *part = mem_grow(*part, *n + 1, sizeof **part);
        (*part)[(*n)++] = p;
    }
    if (d == NULL)
        return -1;
    closedir(d);
    return 0;
}

int peer_drop_parts(int dir, int64_t number, const char *but)
{
    int64_t n;
    char sha[SHA_HEX];
    DIR *d = list(dir);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (peer_part_of(e->d_name, &n, sha) && n == number && (but == NULL || strcmp(sha, but) != 0))
            unlinkat(dir, e->d_name, 0);
    if (d == NULL)
        return -1;
    closedir(d);
    return 0;
}

int peer_directory(int at, const char *name, const char *label)
{
    if (mkdirat(at, name, 0777) && errno != EEXIST)
        return fail_errno("%s: cannot make the directory", label);
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("%s: cannot open the directory, which may be no symbolic link", label);
    return fd;
}

/* A regular file with one name, to read: its descriptor; -1 without fail() where there is none. */
static int open_regular(int dir, const char *name, int flags, struct stat *st)
{
    int fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_nlink <= 1)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Adds the first n bytes of a file to a sum. */
static int sum_bytes(int fd, int64_t n, const char *name, struct sha *sum)
{
    uint8_t *bytes = mem_alloc(65536);
    int64_t at = 0;
    while (at < n) {
        ssize_t got = pread(fd, bytes, n - at < 65536 ? (size_t)(n - at) : 65536, at);
        if (got <= 0)
            break;
        sha_add(sum, bytes, (size_t)got);
        at += got;
    }
    free(bytes);
    return at == n ? 0 : fail_errno("%s: cannot read", name);
}

int peer_sum(int dir, const char *name, int64_t *size, char sha[SHA_HEX])
{
    struct stat st;
    int fd = open_regular(dir, name, O_RDONLY, &st);
    if (fd < 0)
        return 0;
    struct sha *sum = sha_new();
    *size = st.st_size;
    int rc = sum_bytes(fd, *size, name, sum);
    sha_end(sum, sha);
    sha_free(sum);
    close(fd);
    return rc ? -1 : 1;
}

/* ---- the whole ---- */

void peer_init(struct peer *p, struct channel *c, const struct peer_role *role)
{
    *p = (struct peer){.channel = c, .role = *role, .open = -1, .sending = -1};
}

static void close_incoming(struct incoming *in)
{
    if (in->fd >= 0)
        close(in->fd);
    sha_free(in->sum);
    in->fd = -1;
    in->sum = NULL;
}

void peer_free(struct peer *p)
{
    for (size_t i = 0; i < p->nin; i++)
        close_incoming(&p->in[i]);
    for (size_t i = 0; i < p->nout; i++)
        if (p->out[i].fd >= 0)
            close(p->out[i].fd);
    free(p->in);
    free(p->out);
    p->in = NULL;
    p->out = NULL;
    p->nin = p->nout = 0;
}

static bool same_item(struct item a, struct item b)
{
    return a.kind == b.kind && a.number == b.number;
}

static struct outgoing *find_out(const struct peer *p, struct item item)
{
    for (size_t i = 0; i < p->nout; i++)
        if (same_item(p->out[i].item, item))
            return &p->out[i];
    return NULL;
}

static struct incoming *find_in(const struct peer *p, struct item item)
{
    for (size_t i = 0; i < p->nin; i++)
        if (same_item(p->in[i].item, item))
            return &p->in[i];
    return NULL;
}

bool peer_all_sent(const struct peer *p)
{
    for (size_t i = 0; i < p->nout; i++)
        if (p->out[i].state < SENT)
            return false;
    return true;
}

bool peer_all_kept(const struct peer *p)
{
    for (size_t i = 0; i < p->nout; i++)
        if (p->out[i].state < KEPT)
            return false;
    return true;
}

bool peer_all_received(const struct peer *p)
{
    for (size_t i = 0; i < p->nin; i++)
        if (!p->in[i].done)
            return false;
    return true;
}

bool peer_has_kept(const struct peer *p, struct item item)
{
    const struct outgoing *o = find_out(p, item);
    return o && o->state == KEPT;
}

size_t peer_damaged(const struct peer *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->nin; i++)
        n += p->in[i].damaged;
    return n;
}

int peer_part(const struct peer *p, struct item item, int64_t *size)
{
    const struct incoming *in = find_in(p, item);
    *size = in ? in->at : 0;
    return in ? in->fd : -1;
}

bool peer_was_offered(const struct peer *p, struct item item)
{
    return find_in(p, item) != NULL;
}

/* ---- sending ---- */

static void show(const char *what, struct item item, int64_t at, int64_t size)
{
    char name[80];
    if (!progress_heard())
        return;
    if (item.kind == PEER_ATTACHMENT)
        snprintf(name, sizeof name, "file %012llx", (unsigned long long)item.number);
    else
        snprintf(name, sizeof name, "%s %lld", what, (long long)item.number);
    progress_part(name, at, size);
}

int peer_offer_known(struct peer *p, struct item item, int dir, const char *name, int64_t size,
                     const char *sha, int64_t from)
{
    p->out = mem_grow(p->out, p->nout + 1, sizeof *p->out);
    struct outgoing *o = &p->out[p->nout++];
    *o = (struct outgoing){.item = item,
                           .dir = dir,
                           .fd = -1,
                           .size = size,
                           .at = from < 0 ? 0 : from,
                           .from = from,
                           .state = from < 0      ? OFFERED
                                    : from < size ? SENDING
                                                  : SENT};
    snprintf(o->name, sizeof o->name, "%s", name);
    if (from < 0)
        channel_put(p->channel, "offer %c%lld %lld %s -", item.kind, (long long)item.number, (long long)size,
                    sha);
    else
        channel_put(p->channel, "offer %c%lld %lld %s %lld", item.kind, (long long)item.number,
                    (long long)size, sha, (long long)from);
    return 0;
}

int peer_offer(struct peer *p, struct item item, int dir, const char *name, int64_t from)
{
    char sha[SHA_HEX];
    int64_t size;
    int there = peer_sum(dir, name, &size, sha);
    return there <= 0 ? there : peer_offer_known(p, item, dir, name, size, sha, from);
}

static int begin_sending(struct peer *p, struct outgoing *o)
{
    struct stat st;
    o->fd = o->dir < 0 ? p->role.open(p->role.ctx, o->item) : open_regular(o->dir, o->name, O_RDONLY, &st);
    if (o->fd < 0 || (o->dir < 0 && fstat(o->fd, &st)) || st.st_size != o->size)
        return fail(ERR_AGAIN, "%s %lld was replaced meanwhile; sync again", p->role.sent,
                    (long long)o->item.number);
    p->sending = (int)(o - p->out);
    return 0;
}

static void end_sending(struct peer *p, struct outgoing *o, enum out_state state)
{
    if (o->fd >= 0) {
        close(o->fd);
        p->sending = -1;
    }
    if (o->state == SENDING && o->at > (o->from < 0 ? 0 : o->from))
        p->traffic.sent_files++;
    o->fd = -1;
    o->state = state;
}

/* Puts a piece of the file behind what waits to go out. */
static int send_piece(struct peer *p, struct outgoing *o)
{
    uint8_t bytes[CHANNEL_CHUNK];
    if (o->fd < 0 && begin_sending(p, o))
        return -1;
    int64_t left = o->size - o->at;
    ssize_t n = pread(o->fd, bytes, left < CHANNEL_CHUNK ? (size_t)left : CHANNEL_CHUNK, o->at);
    if (n <= 0)
        return fail_errno("%s %lld: cannot read", p->role.sent, (long long)o->item.number);
    channel_put(p->channel, "data %c%lld %lld %lld", o->item.kind, (long long)o->item.number,
                (long long)o->at, (long long)n);
    channel_put_bytes(p->channel, bytes, (size_t)n);
    o->at += n;
    show(p->role.sent, o->item, o->at, o->size);
    p->traffic.sent_bytes += n;
    if (o->at == o->size)
        end_sending(p, o, SENT);
    return 0;
}

/* Fills up what waits to go out, one file after another. */
static int pump(struct peer *p)
{
    for (size_t i = p->sending >= 0 ? (size_t)p->sending : 0; i < p->nout; i++)
        while (p->out[i].state == SENDING) {
            if (channel_full(p->channel))
                return 0;
            if (send_piece(p, &p->out[i]))
                return -1;
        }
    return 0;
}

/* want ITEM OFFSET, have ITEM, pass ITEM, kept ITEM: of what was offered here. */
static int answered(struct peer *p, struct item item, const char *verb)
{
    struct outgoing *o = find_out(p, item);
    bool want = strcmp(verb, "want") == 0;
    int64_t at = want && p->nword == 3 ? peer_number(p->word[2]) : 0;
    if (p->replayed && (o == NULL || want))
        return 0;
    if (o == NULL || at < 0 || (want && (o->state != OFFERED || at > o->size)))
        return fail(ERR_REFUSED, "the other end answers '%s' to what was not offered", verb);
    if (!want) {
        end_sending(p, o, strcmp(verb, "pass") == 0 ? PASSED : KEPT);
        return 0;
    }
    o->at = o->from = at;
    o->state = at < o->size ? SENDING : SENT;
    return 0;
}

/* ---- receiving ---- */

void peer_tell_part(struct peer *p, struct item item, const char *sha, int64_t at)
{
    channel_put(p->channel, "part %c%lld %s %lld", item.kind, (long long)item.number, sha, (long long)at);
}

/* What an earlier session left of the file; what cannot be a part of it is removed. */
static int64_t part_size(const struct incoming *in)
{
    struct stat st;
    if (fstatat(in->place.dir, in->part, &st, AT_SYMLINK_NOFOLLOW))
        return 0;
    if (!in->place.fresh && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_size <= in->size)
        return st.st_size;
    unlinkat(in->place.dir, in->part, 0);
    return 0;
}

static int64_t room_on_disk(const struct incoming *in)
{
    struct statvfs disk;
    return fstatvfs(in->place.dir, &disk) ? INT64_MAX : (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
}

static bool has_room(const struct incoming *in)
{
    return in->size - in->at <= room_on_disk(in);
}

static int check_room(const struct incoming *in, const char *what)
{
    if (has_room(in))
        return 0;
    return fail(
        ERR_SYSTEM,
        "%s %lld: %lld bytes are to come, and the disk has room for %lld; sync again later, it goes on "
        "where it stopped",
        what, (long long)in->item.number, (long long)(in->size - in->at), (long long)room_on_disk(in));
}

static int finish(struct peer *p, struct incoming *in);

static int add_incoming(struct peer *p, const struct incoming *in)
{
    if (p->nin >= p->role.files)
        return fail(ERR_REFUSED, "more than %zu files are offered", p->role.files);
    p->in = mem_grow(p->in, p->nin + 1, sizeof *p->in);
    p->in[p->nin++] = *in;
    return 0;
}

/* offer ITEM SIZE SHA256 FROM */
static int offered(struct peer *p, struct item item)
{
    struct incoming in = {.item = item, .fd = -1};
    bool waits = p->nword == 5 && strcmp(p->word[4], "-") == 0;
    int64_t from = p->nword == 5 && !waits ? peer_number(p->word[4]) : 0;
    in.size = p->nword == 5 ? peer_number(p->word[2]) : -1;
    if (in.size < 0 || from < 0 || from > in.size || !peer_is_sha(p->word[3]))
        return fail(ERR_REFUSED, "'offer' takes an item, a size, a SHA-256 and an offset");
    if (find_in(p, item))
        return fail(ERR_REFUSED, "%s %lld is offered twice", p->role.fetched, (long long)item.number);
    if (in.size > p->role.file_bytes && item.kind != PEER_ATTACHMENT)
        return fail(ERR_REFUSED, "%s %lld has %lld bytes, more than the %lld that are allowed here",
                    p->role.fetched, (long long)item.number, (long long)in.size,
                    (long long)p->role.file_bytes);
    memcpy(in.sha, p->word[3], SHA_HEX);
    int verdict = p->role.accept(p->role.ctx, item, in.size, in.sha, &in.place);
    if (verdict < 0)
        return -1;
    if (verdict == PEER_WANT && in.place.spared && !has_room(&in))
        verdict = PEER_PASS;
    in.done = verdict != PEER_WANT;
    if (in.done) {
        channel_put(p->channel, "%s %c%lld", verdict == PEER_HAVE ? "have" : "pass", item.kind,
                    (long long)item.number);
        return add_incoming(p, &in);
    }
    peer_part_name(in.part, in.place.part ? in.place.part : item.number, in.sha);
    in.at = in.from = part_size(&in);
    if (!waits && from > in.at)
        return fail(ERR_REFUSED, "%s %lld comes from byte %lld, here are %lld", p->role.fetched,
                    (long long)item.number, (long long)from, (long long)in.at);
    if (check_room(&in, p->role.fetched) || add_incoming(p, &in))
        return -1;
    if (in.at == in.size)
        return finish(p, &p->in[p->nin - 1]);
    if (waits)
        channel_put(p->channel, "want %c%lld %lld", item.kind, (long long)item.number, (long long)in.at);
    return 0;
}

static int cannot_write(const struct peer *p, const struct incoming *in)
{
    return fail_errno("%s %lld: cannot write it here; sync again later, it goes on where it stopped",
                      p->role.fetched, (long long)in->item.number);
}

/* Opens the part, and sums up what is there of it. */
static int open_part(struct peer *p, struct incoming *in)
{
    struct stat st;
    if (in->at)
        in->fd = open_regular(in->place.dir, in->part, O_RDWR, &st);
    if (in->fd < 0) {
        unlinkat(in->place.dir, in->part, 0);
        in->fd = openat(in->place.dir, in->part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (in->fd < 0)
            return cannot_write(p, in);
    }
    in->sum = sha_new();
    return sum_bytes(in->fd, in->at, p->role.fetched, in->sum);
}

static int sync_name(const struct peer *p, struct incoming *in)
{
    crashpoint();
    if (fsync(in->fd) || renameat(in->place.dir, in->part, in->place.dir, in->place.name))
        return cannot_write(p, in);
    crashpoint();
    return fsync(in->place.dir) ? cannot_write(p, in) : 0;
}

/* All of it is there: it gets its name, or goes. */
static int finish(struct peer *p, struct incoming *in)
{
    char sha[SHA_HEX];
    if (in->fd < 0 && open_part(p, in))
        return -1;
    sha_end(in->sum, sha);
    int rc = 0;
    if (strcmp(sha, in->sha) != 0)
        rc = fail(ERR_REFUSED, "%s %lld was damaged on the way; sync again, it is sent once more",
                  p->role.fetched, (long long)in->item.number);
    else if (lseek(in->fd, 0, SEEK_SET) < 0)
        rc = cannot_write(p, in);
    else
        rc = p->role.inspect(p->role.ctx, in->item, in->fd, in->place.name);
    if (rc)
        unlinkat(in->place.dir, in->part, 0);
    else
        rc = sync_name(p, in);
    close_incoming(in);
    p->open = -1;
    if (rc && in->place.spared && err_code() == ERR_REFUSED) {
        in->done = in->damaged = true;
        channel_put(p->channel, "pass %c%lld", in->item.kind, (long long)in->item.number);
        return 0;
    }
    if (rc)
        return -1;
    in->done = true;
    p->traffic.fetched_files++;
    channel_put(p->channel, "kept %c%lld", in->item.kind, (long long)in->item.number);
    return 0;
}

/* data ITEM OFFSET LENGTH: bytes follow; those that are here already are passed over. */
static int data_begins(struct peer *p, struct item item)
{
    int64_t at = p->nword == 4 ? peer_number(p->word[2]) : -1,
            n = p->nword == 4 ? peer_number(p->word[3]) : -1;
    struct incoming *in = find_in(p, item);
    if (at < 0 || n < 1 || n > CHANNEL_CHUNK || in == NULL)
        return fail(ERR_REFUSED, "'data' of what was not offered, or not 1 to %d bytes of it", CHANNEL_CHUNK);
    if (!in->done && (at > in->at || at + n > in->size))
        return fail(ERR_REFUSED, "%s %lld: bytes from %lld on, where %lld are here of %lld", p->role.fetched,
                    (long long)item.number, (long long)at, (long long)in->at, (long long)in->size);
    if (p->open >= 0 && !in->done && &p->in[p->open] != in)
        return fail(ERR_REFUSED, "bytes of one file between those of another");
    p->skip = in->done || in->at - at > n ? n : in->at - at;
    if (!in->done) {
        p->open = (int)(in - p->in);
        if (in->fd < 0 && open_part(p, in))
            return -1;
    }
    channel_expect(p->channel, n);
    return 0;
}

static int take_data(struct peer *p)
{
    size_t n;
    const uint8_t *bytes = channel_bytes(p->channel, &n);
    size_t pass = p->skip < (int64_t)n ? (size_t)p->skip : n;
    p->skip -= (int64_t)pass;
    bytes += pass;
    n -= pass;
    if (n == 0)
        return PEER_MOVED;
    struct incoming *in = &p->in[p->open];
    for (size_t done = 0; done < n;) {
        ssize_t put = pwrite(in->fd, bytes + done, n - done, in->at + (int64_t)done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return cannot_write(p, in);
        done += (size_t)put;
    }
    sha_add(in->sum, bytes, n);
    in->at += (int64_t)n;
    p->traffic.fetched_bytes += (int64_t)n;
    show(p->role.fetched, in->item, in->at, in->size);
    return in->at == in->size && finish(p, in) ? -1 : PEER_MOVED;
}

/* ---- lines ---- */

static void split(struct peer *p)
{
    snprintf(p->line, sizeof p->line, "%s", channel_line(p->channel));
    p->nword = 0;
    for (char *at = p->line; p->nword < PEER_WORDS; at = NULL) {
        char *word = strtok(at, " ");
        if (word == NULL)
            break;
        p->word[p->nword++] = word;
    }
}

static bool take_item(const struct peer *p, struct item *item)
{
    if (p->nword < 2 || !islower((unsigned char)p->word[1][0]))
        return false;
    item->kind = p->word[1][0];
    item->number = peer_number(p->word[1] + 1);
    return item->number >= 0;
}

/* A line of the engine's own is dealt with here: PEER_MOVED; others are the role's: PEER_LINE. */
static int take_line(struct peer *p)
{
    static const char *const own[] = {"offer", "data", "want", "have", "kept", "pass"};
    struct item item;
    size_t verb = 0;
    split(p);
    if (p->nword == 0)
        return fail(ERR_REFUSED, "an empty line");
    while (verb < sizeof own / sizeof *own && strcmp(own[verb], p->word[0]) != 0)
        verb++;
    if (verb == sizeof own / sizeof *own)
        return PEER_LINE;
    if (!take_item(p, &item))
        return fail(ERR_REFUSED, "'%s': no item follows", own[verb]);
    int rc = verb == 0 ? offered(p, item) : verb == 1 ? data_begins(p, item) : answered(p, item, own[verb]);
    return rc ? -1 : PEER_MOVED;
}

int peer_next(struct peer *p)
{
    if (pump(p))
        return -1;
    int event = channel_next(p->channel);
    switch (event) {
    case CHANNEL_TEXT:
        return take_line(p);
    case CHANNEL_BYTES:
        return take_data(p);
    case CHANNEL_QUIET:
        if (channel_silence(p->channel) >= 1 && channel_empty(p->channel))
            progress_wait("the other end");
        return PEER_MOVED;
    case CHANNEL_EXTRA:
        return PEER_EXTRA;
    default:
        return event < 0 ? -1 : PEER_END;
    }
}
