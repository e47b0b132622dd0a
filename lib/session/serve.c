/* serve: see session/serve.h. Two processes: the desk (session/desk.h), which may open the database, and the one that
 * speaks with the node, which is fenced in and has the node's directory only. */
#define _GNU_SOURCE /* O_DIRECTORY, flock */
#include "session/serve.h"

#include "base/clean.h"
#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "journal/meta.h"
#include "nodes/attachment.h"
#include "nodes/site_conf.h"
#include "session/desk.h"
#include "session/fence.h"
#include "session/inspect.h"
#include "session/session_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ATTACHMENTS = 2000,  /* files of rows that a node may ask for in one session */
    ATTACHMENT_PART = 1, /* the number in the names of their parts */
    DOWNLOADS = 100000,  /* files that a node may say it has a part of */
    SILENT = 15, /* a session in which nothing came for so many seconds, or half of idle_seconds, gives way */
    GIVE_WAY = 3 /* seconds in which it does */
};

/* What comes next in a session. */
enum stage {
    GREETING, /* the node has not said who it is */
    TAKING,   /* it says what it has and wants */
    ASKING,   /* the desk is at work for it */
    LEAVING   /* all is offered; it fetches, and says bye */
};

struct part {
    struct item item;
    int64_t at;
    char sha[SHA_HEX];
};

struct server {
    struct peer peer;
    struct site_conf *conf;
    int dir, inbox, outbox, staged, desk; /* staged: files of rows that came, until dxcron takes them */
    struct standing us, them;
    enum stage stage;
    struct desk_request request; /* the one the desk is at work on */
    enum desk_task proof; /* the last one of DESK_DIGEST, DESK_ROWS and DESK_SNAPSHOT that was answered; 0 */
    bool now, prove, copy, stay, over, merged, patched, packaged, looked;
    char begun[SHA_HEX]; /* the snapshot that the node has a part of */
    struct wish_rows {
        enum desk_task task; /* DESK_ROWS or DESK_WHOLE */
        int64_t table;
    } row[256]; /* of which tables the rows are wanted */
    size_t nrow, rows_done;
    struct part *part;
    size_t npart;
    struct part *lack; /* files of rows that the node lacks */
    size_t nlack;
    struct buf merged_notes; /* docking/NODE/merged: "NUMBER SHA256" a line */
    int64_t inbox_files, inbox_bytes, staged_files, staged_bytes;
};

/* ---- what came before ---- */

/* The line behind this one; NULL behind the last. */
static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');
    return end ? end + 1 : NULL;
}

/* The digest of the upload that came under that number, merged or in the inbox; false when none is known. */
static bool came(struct server *s, int64_t number, char sha[SHA_HEX])
{
    bool found = false;
    char name[80], digest[SHA_HEX + 8];
    int64_t size;
    long long n;
    for (const char *line = buf_text(&s->merged_notes); line; line = next_line(line))
        if (sscanf(line, "%lld %64s", &n, digest) == 2 && n == number && peer_is_sha(digest)) {
            memcpy(sha, digest, SHA_HEX);
            found = true;
        }
    peer_file_name(name, number);
    return found || peer_sum(s->inbox, name, &size, sha) > 0;
}

/* Whether what lies in the inbox under that number is a whole archive. */
static bool whole(struct server *s, int64_t number)
{
    static const struct inspect_limits none = {0};
    char name[80];
    peer_file_name(name, number);
    int fd = openat(s->inbox, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool sound = fd >= 0 && inspect_archive(fd, name, &(struct inspect_want){.kind = DX_UPLOAD}, &none) == 0;
    if (fd >= 0)
        close(fd);
    return sound;
}

static void look_at_inbox(struct server *s)
{
    int64_t *number;
    size_t n;
    char name[80];
    struct stat st;
    if (peer_numbers(s->inbox, &number, &n))
        return;
    for (size_t i = 0; i < n; i++) {
        peer_file_name(name, number[i]);
        if (fstatat(s->inbox, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            s->inbox_bytes += st.st_size;
    }
    s->inbox_files = (int64_t)n;
    free(number);
}

static int check_quota(struct server *s, int64_t number, int64_t size)
{
    const struct site_conf *c = s->conf;
    if (number > s->us.upload + c->numbers_ahead)
        return fail(ERR_REFUSED, "upload %lld: the newest merged here is %lld; no more than %lld may wait",
                    (long long)number, (long long)s->us.upload, (long long)c->numbers_ahead);
    if (s->inbox_files + 1 > c->inbox_files || s->inbox_bytes + size > c->inbox_bytes)
        return fail(ERR_REFUSED,
                    "upload %lld: %lld uploads of %lld bytes wait to be merged here already, more are not "
                    "allowed; ask the server's operator, or sync again later",
                    (long long)number, (long long)s->inbox_files, (long long)s->inbox_bytes);
    s->inbox_files++;
    s->inbox_bytes += size;
    return 0;
}

/* ---- what the peer asks ---- */

/* What waits of files of rows, when the first one is offered. */
static void look_at_staged(struct server *s)
{
    if (s->looked)
        return;
    s->looked = true;
    int fd = openat(s->staged, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct stat st;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (fstatat(s->staged, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
            s->staged_files++;
            s->staged_bytes += st.st_size;
        }
    if (d)
        closedir(d);
}

/* A file that rows of the node name, or will: dxcron takes it into the store once they do. What is beyond the node's quota
 * comes another time. */
static int accept_attachment(struct server *s, struct item item, int64_t size, const char *sha,
                             struct peer_place *place)
{
    struct stat st;
    int64_t known;
    if (item.number != attachment_number(sha) || s->copy || *s->them.epoch == 0 || s->over || s->staged < 0)
        return fail(ERR_REFUSED, "a file is offered under a number that is not its own, or not for now");
    look_at_staged(s);
    if (desk_file(s->desk, DESK_FILE_KNOWN, sha, &known, NULL))
        return -1;
    if (known >= 0 || fstatat(s->staged, sha, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return PEER_HAVE;
    if (size > s->conf->file_bytes || s->staged_files + 1 > s->conf->attachment_files ||
        s->staged_bytes + size > s->conf->attachment_bytes)
        return PEER_PASS;
    s->staged_files++;
    s->staged_bytes += size;
    *place =
        (struct peer_place){.dir = s->staged, .dir_name = "files", .spared = true, .part = ATTACHMENT_PART};
    snprintf(place->name, sizeof place->name, "%s", sha);
    return PEER_WANT;
}

static int accept_upload(void *ctx, struct item item, int64_t size, const char *sha, struct peer_place *place)
{
    struct server *s = ctx;
    if (item.kind == PEER_ATTACHMENT)
        return accept_attachment(s, item, size, sha, place);
    char known[SHA_HEX];
    if (item.kind != 'u' || item.number < 1 || s->copy || *s->them.epoch == 0 || s->over)
        return fail(ERR_REFUSED, "'offer %c%lld' is not for now", item.kind, (long long)item.number);
    bool any = came(s, item.number, known);
    if (any ? strcmp(known, sha) == 0 : item.number <= s->us.upload)
        return PEER_HAVE;
    if (any && (item.number <= s->us.upload || whole(s, item.number)))
        return fail(ERR_REFUSED,
                    "upload %lld of '%s' came already with other changes in it: this copy was restored from "
                    "a backup, or there are two copies of this "
                    "node; make this copy once more, it keeps what was changed in it: initsync LOCAL.db SITE "
                    "--node NAME",
                    (long long)item.number, s->us.node);
    if (check_quota(s, item.number, size) || peer_drop_parts(s->inbox, item.number, sha))
        return -1;
    *place = (struct peer_place){.dir = s->inbox, .dir_name = "inbox"};
    peer_file_name(place->name, item.number);
    return PEER_WANT;
}

static int inspect_upload(void *ctx, struct item item, int fd, const char *name)
{
    struct server *s = ctx;
    char what[80];
    (void)name;
    if (item.kind == PEER_ATTACHMENT)
        return 0; /* its digest is its name */
    snprintf(what, sizeof what, "upload %lld", (long long)item.number);
    const struct inspect_limits limits = {s->conf->expanded_bytes, s->conf->expanded_ratio, s->conf->rows};
    const struct inspect_want want = {DX_UPLOAD, s->us.node, s->us.epoch, NULL, item.number};
    return inspect_archive(fd, what, &want, &limits);
}

/* ---- lines ---- */

static int misplaced(const struct server *s)
{
    struct buf word = {0};
    clean_text(&word, s->peer.word[0], strlen(s->peer.word[0]) > 40 ? 40 : strlen(s->peer.word[0]));
    fail(ERR_REFUSED, "'%s' is no line of this protocol, or not for now", buf_text(&word));
    buf_free(&word);
    return -1;
}

/* dx VERSION RELEASE: always the first line. */
static int take_version(struct server *s)
{
    const char *verb = s->peer.word[0];
    bool old = strcmp(verb, "hello") == 0;
    if (!old && (strcmp(verb, "dx") != 0 || s->peer.nword < 2))
        return misplaced(s);
    const char *version = old ? (s->peer.nword > 1 ? s->peer.word[1] : "1") : s->peer.word[1];
    if (old || peer_number(version) != HANDSHAKE_PROTOCOL)
        return fail(ERR_REFUSED, "protocol %.4s is not spoken here, only %d; install the same version of dx",
                    version, HANDSHAKE_PROTOCOL);
    s->stage = TAKING;
    return 0;
}

/* Leaves word for `txnroute status`, which else hears of it with the next upload. */
static void note_applied(struct server *s)
{
    char line[HANDSHAKE_TEXT + 32], known[sizeof line] = "";
    int n = snprintf(line, sizeof line, "%s %lld\n", s->us.epoch, (long long)s->them.archive);
    int fd = openat(s->dir, "applied", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    ssize_t had = pread(fd, known, sizeof known - 1, 0);
    if ((had != n || memcmp(known, line, (size_t)n) != 0) && pwrite(fd, line, (size_t)n, 0) == n &&
        ftruncate(fd, n)) { /* the reader looks at one line */
    }
    close(fd);
}

/* What the node has applied goes. */
static int clear_outbox(struct server *s)
{
    int64_t *number;
    size_t n;
    char name[80];
    if (peer_numbers(s->outbox, &number, &n))
        return -1;
    for (size_t i = 0; i < n && number[i] <= s->them.archive; i++) {
        peer_file_name(name, number[i]);
        unlinkat(s->outbox, name, 0);
    }
    free(number);
    if (*s->us.offer) /* a new copy is on its way, and its transfer may be interrupted */
        return 0;
    unlinkat(s->dir, "snapshot.dx", 0);
    unlinkat(s->dir, "snapshot.of", 0);
    return 0;
}

static void put_hello(struct server *s)
{
    struct buf line = {0};
    channel_put(s->peer.channel, "dx %d %s", HANDSHAKE_PROTOCOL, DX_VERSION);
    buf_puts(&line, "hello");
    handshake_put(&line, &s->us);
    channel_put(s->peer.channel, "%s", buf_text(&line));
    buf_free(&line);
}

/* The copy that is offered reports back: from now on it is the node's. */
static int take_over(struct server *s)
{
    struct desk_answer a;
    s->request = (struct desk_request){.task = DESK_ACCEPT};
    if (desk_ask(s->desk, &s->request) || desk_hear(s->desk, &a))
        return -1;
    a.text[sizeof a.text - 1] = 0;
    if (a.code)
        return fail(a.code > 0 && a.code <= ERR_AGAIN ? (enum err_code)a.code : ERR_SYSTEM, "%s", a.text);
    s->us = a.standing;
    s->inbox_files = s->inbox_bytes = 0;
    look_at_inbox(s);
    return 0;
}

static int take_hello(struct server *s)
{
    if (*s->them.node || handshake_get(s->peer.word + 1, s->peer.nword - 1, &s->them))
        return *s->them.node ? misplaced(s) : -1;
    if (*s->us.offer && strcmp(s->them.epoch, s->us.offer) == 0 && strcmp(s->them.node, s->us.node) == 0 &&
        take_over(s))
        return -1;
    if (s->them.timeout > 0)
        channel_tick(s->peer.channel, (double)s->them.timeout);
    enum handshake_verdict verdict = handshake_check(&s->them, &s->us);
    if (verdict == HANDSHAKE_SERVER_RESTORED)
        channel_put(s->peer.channel, "restored %lld %lld", (long long)s->us.archive, (long long)s->us.upload);
    if (verdict == HANDSHAKE_AGAIN)
        channel_put(s->peer.channel, "again");
    if (verdict != HANDSHAKE_GO)
        return -1;
    put_hello(s);
    if (*s->them.epoch == 0)
        return 0;
    note_applied(s);
    return clear_outbox(s);
}

/* part ITEM SHA256 OFFSET */
static int take_part(struct server *s)
{
    char **w = s->peer.word;
    struct part part = {0};
    if (s->peer.nword == 4) {
        part.item = (struct item){w[1][0], peer_number(w[1] + 1)};
        part.at = peer_number(w[3]);
    }
    if (s->peer.nword != 4 || part.item.number < 0 || part.at < 0 || !peer_is_sha(w[2]) ||
        s->npart == DOWNLOADS)
        return fail(ERR_REFUSED, "'part' takes an item, a SHA-256 and an offset");
    memcpy(part.sha, w[2], SHA_HEX);
    s->part = mem_grow(s->part, s->npart + 1, sizeof *s->part);
    s->part[s->npart++] = part;
    return 0;
}

/* lacks SHA256 OFFSET: a file that a row of the node names; it has so many bytes of it. */
static int take_lacks(struct server *s)
{
    struct part lack = {.at = s->peer.nword == 3 ? peer_number(s->peer.word[2]) : -1};
    if (lack.at < 0 || !peer_is_sha(s->peer.word[1]) || s->nlack == ATTACHMENTS)
        return fail(ERR_REFUSED, "'lacks' takes a SHA-256 and an offset, %d times at most", ATTACHMENTS);
    memcpy(lack.sha, s->peer.word[1], SHA_HEX);
    lack.item = (struct item){PEER_ATTACHMENT, attachment_number(lack.sha)};
    s->lack = mem_grow(s->lack, s->nlack + 1, sizeof *s->lack);
    s->lack[s->nlack++] = lack;
    return 0;
}

/* mine NUMBER SHA256: whether an upload made by a copy that is to be made once more is the one that came here. */
static int take_mine(struct server *s)
{
    char known[SHA_HEX];
    int64_t number = s->peer.nword == 3 ? peer_number(s->peer.word[1]) : -1;
    if (number < 1 || !peer_is_sha(s->peer.word[2]))
        return fail(ERR_REFUSED, "'mine' takes a number and a SHA-256");
    bool any = came(s, number, known);
    const char *answer = any ? (strcmp(known, s->peer.word[2]) == 0 ? "same" : "other")
                             : (number <= s->us.upload ? "other" : "new");
    channel_put(s->peer.channel, "%s %lld", answer, (long long)number);
    return 0;
}

static int take_copy(struct server *s)
{
    if (s->peer.nword != 2 || (strcmp(s->peer.word[1], "-") != 0 && !peer_is_sha(s->peer.word[1])))
        return fail(ERR_REFUSED, "'copy' takes a SHA-256, or -");
    snprintf(s->begun, sizeof s->begun, "%s", s->peer.word[1]);
    s->copy = true;
    return 0;
}

static int take_rows(struct server *s)
{
    int64_t n = s->peer.nword == 2 ? peer_number(s->peer.word[1]) : -1;
    if (n < 1 || s->nrow == sizeof s->row / sizeof *s->row)
        return fail(ERR_REFUSED, "'%s' takes the number of a table", s->peer.word[0]);
    bool whole = strcmp(s->peer.word[0], "whole") == 0;
    for (size_t i = 0; i < s->nrow; i++) /* each reads all that the node holds of the table */
        if (s->row[i].table == n)
            return fail(ERR_REFUSED, "the rows of table %lld are asked for twice", (long long)n);
    s->row[s->nrow++] = (struct wish_rows){whole ? DESK_WHOLE : DESK_ROWS, n};
    return 0;
}

/* What the node says it has and wants. */
static int take_wish(struct server *s)
{
    const char *verb = s->peer.word[0];
    bool known = *s->them.node, current = known && *s->them.epoch;
    if (strcmp(verb, "hello") == 0)
        return take_hello(s);
    if (known && strcmp(verb, "part") == 0)
        return take_part(s);
    if (current && strcmp(verb, "lacks") == 0)
        return take_lacks(s);
    if (known && strcmp(verb, "mine") == 0)
        return take_mine(s);
    if (known && strcmp(verb, "copy") == 0)
        return take_copy(s);
    if (current && (strcmp(verb, "rows") == 0 || strcmp(verb, "whole") == 0))
        return take_rows(s);
    if (s->peer.nword != 1)
        return misplaced(s);
    if (current && strcmp(verb, "now") == 0)
        return s->now = true, 0;
    if (current && strcmp(verb, "prove") == 0)
        return s->prove = true, 0;
    if (current && strcmp(verb, "stay") == 0)
        return s->stay = true, 0;
    if (known && strcmp(verb, "over") == 0)
        return s->over = true, 0;
    return misplaced(s);
}

static int take_line(struct server *s)
{
    if (s->stage == GREETING)
        return take_version(s);
    if (!s->over)
        return take_wish(s);
    if (strcmp(s->peer.word[0], "bye") == 0 && s->peer.nword == 1)
        return 1;
    return misplaced(s);
}

/* ---- what is given ---- */

/* The byte from which the item is sent: what the node has of it, if that is a part of the same file. */
static int64_t begins_at(const struct server *s, struct item item, const char *sha, int64_t size)
{
    for (size_t i = 0; i < s->npart; i++)
        if (s->part[i].item.kind == item.kind && s->part[i].item.number == item.number &&
            strcmp(s->part[i].sha, sha) == 0 && s->part[i].at <= size)
            return s->part[i].at;
    return 0;
}

static int give(struct server *s, struct item item, int dir, const char *name)
{
    char sha[SHA_HEX];
    int64_t size;
    int there = peer_sum(dir, name, &size, sha);
    if (there <= 0)
        return there ? -1 : fail(ERR_SYSTEM, "%s is gone on the server", name);
    return peer_offer_known(&s->peer, item, dir, name, size, sha, begins_at(s, item, sha, size));
}

static int give_outbox(struct server *s)
{
    int64_t *number;
    size_t n;
    char name[80];
    if (peer_numbers(s->outbox, &number, &n))
        return -1;
    int rc = 0;
    int64_t next = s->them.archive + 1;
    for (size_t i = 0; rc == 0 && i < n && number[i] <= s->us.archive; i++) {
        if (number[i] <= s->them.archive)
            continue;
        if (number[i] > next)
            break;
        peer_file_name(name, number[i]);
        rc = give(s, (struct item){'d', number[i]}, s->outbox, name);
        next = number[i] + 1;
    }
    free(number);
    snprintf(name, sizeof name, "%08lld.dx.new", (long long)next); /* the router is about to name it */
    if (rc == 0 && next <= s->us.archive && faccessat(s->outbox, name, F_OK, 0))
        channel_put(
            s->peer.channel,
            "missing %lld archive %lld is missing on the server; make this copy once more, it keeps what was "
            "changed in it: initsync LOCAL.db SITE --node NAME",
            (long long)next, (long long)next);
    return rc;
}

/* The file that the desk wrote, under a name of its own. */
static int give_answer(struct server *s, struct item item)
{
    char name[80];
    snprintf(name, sizeof name, DESK_ANSWER ".%c%lld", item.kind, (long long)item.number);
    if (renameat(s->dir, DESK_ANSWER, s->dir, name))
        return fail_errno("the server's answer is gone");
    return give(s, item, s->dir, name);
}

static int ask(struct server *s, enum desk_task task)
{
    s->request = (struct desk_request){.task = task, .number = s->us.archive};
    if (task == DESK_ROWS || task == DESK_WHOLE)
        s->request.row = s->row[s->rows_done].table;
    if (task == DESK_SNAPSHOT) {
        char sha[SHA_HEX];
        int64_t size;
        s->request.copy = s->them;
        s->request.number = peer_sum(s->dir, "snapshot.dx", &size, sha) > 0 && strcmp(sha, s->begun) == 0;
    }
    s->stage = ASKING;
    channel_extra(s->peer.channel, s->desk);
    return desk_ask(s->desk, &s->request);
}

/* Of the files of rows that the node lacks, those that are here and that it may have. Each is asked about again when it is
 * opened. */
static int give_files(struct server *s)
{
    for (size_t i = 0; i < s->nlack; i++) {
        const struct part *l = &s->lack[i];
        int64_t size;
        if (desk_file(s->desk, DESK_FILE_SIZE, l->sha, &size, NULL))
            return -1;
        bool twice = false;
        for (size_t k = 0; k < i; k++)
            twice |= s->lack[k].item.number == l->item.number;
        if (size >= 0 && !twice &&
            peer_offer_known(&s->peer, l->item, -1, l->sha, size, l->sha, l->at <= size ? l->at : 0))
            return -1;
    }
    return 0;
}

static int open_file(void *ctx, struct item item)
{
    struct server *s = ctx;
    int64_t size;
    int fd = -1;
    for (size_t i = 0; fd < 0 && i < s->nlack; i++)
        if (s->lack[i].item.number == item.number &&
            desk_file(s->desk, DESK_FILE_OPEN, s->lack[i].sha, &size, &fd))
            return -1;
    return fd;
}

/* All that was wished for is offered, so are the files of the package to a copy that has others or none, and the newest patch
 * to a companion: no more comes. */
static int leave(struct server *s)
{
    bool files = *s->them.files && *s->us.files && strcmp(s->them.files, s->us.files) != 0;
    if (files && !s->packaged && !s->stay) {
        s->packaged = true;
        return ask(s, DESK_PACKAGE);
    }
    bool patch = *s->them.patch && *s->us.patch && strcmp(s->them.patch, s->us.patch) != 0;
    if (patch && !s->patched && !s->stay && !s->copy) {
        s->patched = true;
        return ask(s, DESK_PATCH);
    }
    if (!s->stay && give_files(s))
        return -1;
    s->stage = LEAVING;
    if (s->us.behind && !s->copy && !s->stay)
        channel_put(s->peer.channel, "behind");
    if (s->us.held)
        channel_put(s->peer.channel, "held %lld", (long long)s->us.held);
    channel_put(s->peer.channel, "over");
    return 0;
}

/* Offers what waits, and goes on to proofs. */
static int give_all(struct server *s)
{
    if (!s->stay && give_outbox(s))
        return -1;
    return s->prove ? ask(s, DESK_DIGEST) : leave(s);
}

/* The desk has done what was asked. */
static int take_answer(struct server *s)
{
    struct desk_answer a;
    channel_extra(s->peer.channel, -1);
    if (desk_hear(s->desk, &a))
        return -1;
    a.text[sizeof a.text - 1] = 0;
    enum desk_task task = s->request.task;
    bool proof = task != DESK_MERGE && task != DESK_SNAPSHOT;
    if (proof && a.code == ERR_AGAIN) {
        channel_put(s->peer.channel, "moved %s", a.text);
        return leave(s);
    }
    if (a.code && (task != DESK_MERGE || *a.text))
        return fail(a.code > 0 && a.code <= ERR_AGAIN ? (enum err_code)a.code : ERR_SYSTEM, "%s", a.text);
    s->us = a.standing;
    if (task == DESK_MERGE) {
        channel_put(s->peer.channel, "merged %d %lld %lld", a.code, (long long)s->us.archive,
                    (long long)s->us.upload);
        return give_all(s);
    }
    if (task == DESK_SNAPSHOT && a.former == FORMER_UNKNOWN)
        channel_put(s->peer.channel, "restored %lld %lld", (long long)s->us.archive, (long long)s->us.upload);
    else if (task == DESK_SNAPSHOT && a.former == FORMER_DIFFERS)
        channel_put(s->peer.channel, "differs %lld", (long long)s->them.was_archive);
    if (task == DESK_SNAPSHOT)
        s->proof = task;
    if (task == DESK_SNAPSHOT)
        return give(s, (struct item){'s', 0}, s->dir, "snapshot.dx") ? -1 : leave(s);
    if (task == DESK_PACKAGE)
        return give_answer(s, (struct item){'c', 0}) ? -1 : leave(s);
    if (task == DESK_PATCH)
        return give_answer(s, (struct item){'p', 0}) ? -1 : leave(s);
    struct item item = {task == DESK_DIGEST ? 'g'
                        : task == DESK_ROWS ? 'r'
                                            : 'w',
                        task == DESK_DIGEST ? 0 : s->request.row};
    s->rows_done += task != DESK_DIGEST;
    if (task != DESK_WHOLE)
        s->proof = task;
    if (give_answer(s, item))
        return -1;
    return s->rows_done < s->nrow ? ask(s, s->row[s->rows_done].task) : leave(s);
}

/* Once the node has said what it wants, and, if it wants it merged now, all of it has come. */
static int go_on(struct server *s)
{
    if (s->stage != TAKING || !s->over || (s->now && !peer_all_received(&s->peer)))
        return 0;
    return s->copy ? ask(s, DESK_SNAPSHOT) : s->now ? ask(s, DESK_MERGE) : give_all(s);
}

/* ---- the session ---- */

/* Another session of this node has come, and this one has been silent. */
static bool gives_way(const struct server *s)
{
    double half = (double)s->conf->idle_seconds / 2, silent = half < SILENT ? half : SILENT;
    return channel_silence(s->peer.channel) > silent && faccessat(s->dir, "lock.next", F_OK, 0) == 0;
}

/* The node has said all that it will, and hears the rest: what waits goes out. Where it has announced what never came, or
 * nothing goes out any more that would end the session, that ends here: there is nobody to wait for. */
static int drain(struct server *s, int64_t *out)
{
    channel_flush(s->peer.channel, (double)s->conf->idle_seconds);
    int64_t now = channel_count(s->peer.channel).out;
    bool stuck = now == *out;
    *out = now;
    return stuck || !peer_all_received(&s->peer)
               ? fail(ERR_SYSTEM, "the node went away before all that it announced had come")
               : 0;
}

static int converse(struct server *s)
{
    bool bye = false;
    int64_t out = -1;
    for (;;) {
        int event = peer_next(&s->peer);
        if (event < 0)
            return -1;
        if (event == PEER_END && !bye)
            return fail(ERR_SYSTEM, "the node went away without a bye");
        if (event == PEER_END && s->stage == ASKING)
            event = PEER_EXTRA; /* it has said all, and waits */
        else if (event == PEER_END && drain(s, &out))
            return -1;
        if (event == PEER_MOVED && gives_way(s))
            return fail(ERR_BUSY, "another session of this node has taken over");
        int rc = event == PEER_LINE ? take_line(s) : event == PEER_EXTRA ? take_answer(s) : 0;
        if (rc < 0 || go_on(s))
            return -1;
        bye |= rc == 1;
        if (bye && s->stage == LEAVING && peer_all_received(&s->peer) && peer_all_sent(&s->peer)) {
            channel_put(s->peer.channel, "bye");
            channel_flush(s->peer.channel, (double)s->conf->idle_seconds);
            return 0;
        }
    }
}

/* What the desk is to write into the log. */
static void report(struct server *s, int code)
{
    struct desk_request r = {.task = DESK_LOG,
                             .traffic = s->peer.traffic,
                             .bytes = channel_count(s->peer.channel),
                             .archive = s->them.archive,
                             .upload = s->us.upload,
                             .free = s->them.free,
                             .proof = s->proof,
                             .code = code};
    snprintf(r.release, sizeof r.release, "%s", s->them.release);
    snprintf(r.why, sizeof r.why, "%s", code ? err_message() : "");
    desk_ask(s->desk, &r);
}

static void say_error(struct server *s)
{
    struct buf text = {0};
    clean_text(&text, err_message(), strlen(err_message()));
    channel_put(s->peer.channel, "error %d %s", (int)err_code(), buf_text(&text));
    channel_flush(s->peer.channel, 5);
    buf_free(&text);
}

static void sweep_answers(int dir)
{
    struct dirent *e;
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    while (d && (e = readdir(d)) != NULL)
        if (strncmp(e->d_name, DESK_ANSWER, strlen(DESK_ANSWER)) == 0)
            unlinkat(dir, e->d_name, 0);
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
}

/* The process that reads the node's bytes: its exit code. */
static int speak(struct server *s, const struct serve *o)
{
    const int below[] = {s->dir};
    struct channel_limits limits = {.timeout = (double)s->conf->idle_seconds};
    struct peer_role role = {.accept = accept_upload,
                             .inspect = inspect_upload,
                             .open = open_file,
                             .ctx = s,
                             .file_bytes = s->conf->file_bytes,
                             .files = (size_t)s->conf->inbox_files + ATTACHMENTS,
                             .sent = "archive",
                             .fetched = "upload"};
    limits_set(s->conf->memory_bytes, s->conf->cpu_seconds);
    const char *fence = fence_raise(below, 1, s->conf->file_bytes);
    if (o->say)
        o->say("the process that reads the node's bytes is held by: %s", fence);
    struct channel *c = channel_open(o->in, o->out, &limits);
    peer_init(&s->peer, c, &role);
    look_at_inbox(s);
    int code = converse(s) ? (int)err_code() : 0;
    if (code)
        say_error(s);
    report(s, code);
    sweep_answers(s->dir);
    peer_free(&s->peer);
    channel_close(c);
    return code;
}

/* ---- before it ---- */

/* One session of a node at a time. A session that is silent gives way to the one that comes now. */
static int lock(int dir, const char *node)
{
    char who[256] = "";
    int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0660);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
        return fail_errno("docking/%s/lock: cannot open", node);
    int taken = flock(fd, LOCK_EX | LOCK_NB);
    int next = taken ? openat(dir, "lock.next", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0660) : -1;
    for (int i = 0; taken && i < GIVE_WAY * 10; i++) {
        struct timespec moment = {0, 100000000};
        nanosleep(&moment, NULL);
        taken = flock(fd, LOCK_EX | LOCK_NB);
    }
    if (next >= 0) {
        close(next);
        unlinkat(dir, "lock.next", 0);
    }
    if (taken) {
        ssize_t n = pread(fd, who, sizeof who - 1, 0);
        who[n > 0 ? n : 0] = 0;
        who[strcspn(who, "\n")] = 0;
        close(fd);
        return fail(ERR_BUSY, "node '%s' has a session open already: %s; wait for its end", node,
                    *who ? who : "unknown");
    }
    int n = snprintf(who, sizeof who, "dxserve for %s (process %ld)\n", node, (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, who, (size_t)n, 0) != n)
        return fail_errno("docking/%s/lock: cannot write", node);
    return fd;
}

static int open_directories(struct server *s, const struct serve *o)
{
    int site = open(o->site, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (site < 0)
        return fail(ERR_SYSTEM, "there is no such site on the server");
    int docking = peer_directory(site, "docking", "docking");
    s->dir = docking < 0 ? -1 : peer_directory(docking, o->node, o->node);
    s->inbox = s->dir < 0 ? -1 : peer_directory(s->dir, "inbox", "inbox");
    s->outbox = s->inbox < 0 ? -1 : peer_directory(s->dir, "outbox", "outbox");
    s->staged = s->outbox < 0 || !s->us.attachments ? -1 : peer_directory(s->dir, "files", "files");
    close(site);
    if (docking >= 0)
        close(docking);
    return s->outbox < 0 || (s->us.attachments && s->staged < 0) ? -1 : 0;
}

/* The part of the work that may wait for nobody at the other end: configuration, database, directories. */
static int prepare(struct server *s, struct desk *d, const struct serve *o)
{
    if (!meta_node_name(o->node))
        return fail(ERR_USAGE, "'%s' is not a node's name", o->node);
    char *db = file_join(o->site, "hq.db"), *notes;
    bool there = file_exists(db);
    free(db);
    if (!there)
        return fail(ERR_SYSTEM, "%s: there is no hq.db on the server", o->site);
    if (site_conf_read(o->site, s->conf))
        return -1;
    site_conf_umask(s->conf);
    *d = (struct desk){.site = o->site,
                       .node = o->node,
                       .bin = o->bin,
                       .idle = s->conf->idle_seconds,
                       .keep_days = s->conf->keep_days,
                       .keep_bytes = s->conf->keep_bytes,
                       .key = s->conf->key,
                       .start = time(NULL)};
    if (desk_standing(d, &s->us) || open_directories(s, o))
        return -1;
    d->dir = s->dir;
    if (session_log_count(s->dir, 3600) >= s->conf->sessions_per_hour)
        return fail(ERR_REFUSED,
                    "more than %lld sessions within an hour are not allowed here; sync again later",
                    (long long)s->conf->sessions_per_hour);
    notes = mem_printf("%s/docking/%s/merged", o->site, o->node);
    if (file_exists(notes))
        file_load(notes, 1 << 20, &s->merged_notes);
    free(notes);
    return 0;
}

static const char *proof_name(enum desk_task task)
{
    return task == DESK_DIGEST     ? "digests"
           : task == DESK_ROWS     ? "rows"
           : task == DESK_SNAPSHOT ? "copy"
                                   : NULL;
}

/* Writes what the other process has reported, or that it ended without a word. */
static void write_log(const struct desk *d, const struct desk_request *r, int code)
{
    session_log_add(d->dir, &(struct session_line){.start = d->start,
                                                   .node = d->node,
                                                   .release = r->release,
                                                   .traffic = r->traffic,
                                                   .bytes = r->bytes,
                                                   .archive = r->archive,
                                                   .upload = r->upload,
                                                   .free = r->free,
                                                   .proof = proof_name(r->proof),
                                                   .code = code,
                                                   .why = r->why});
}

static int await(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return ERR_SYSTEM;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ERR_SYSTEM;
}

/* The two processes. */
static int divide(struct server *s, struct desk *d, const struct serve *o)
{
    int pair[2];
    struct desk_request last = {.why = "the process that read the node's bytes ended without a word"};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return fail_errno("cannot make a socket");
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        return fail_errno("cannot start a process");
    if (pid == 0) {
        close(pair[0]);
        s->desk = pair[1];
        _exit(speak(s, o));
    }
    close(pair[1]);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, o->in);
    dup2(null, o->out);
    desk_serve(d, pair[0], &last);
    close(pair[0]);
    int code = await(pid);
    write_log(d, &last, code);
    return code ? fail((enum err_code)code, "%s", last.why) : 0;
}

/* The last word of a session that did not come about. */
static void say_sorry(const struct serve *o, const char *moved)
{
    struct buf text = {0}, line = {0};
    if (*moved)
        buf_addf(&line, "elsewhere %s\n", moved);
    if (err_code() == ERR_SYSTEM)
        buf_puts(&text, "the server has trouble of its own; its operator finds it in the log");
    else
        clean_paths(&text, err_message());
    buf_addf(&line, "error %d ", (int)err_code());
    clean_text(&line, text.p, text.n);
    buf_byte(&line, '\n');
    if (write(o->out, line.p, line.n) < 0) { /* it is gone */
    }
    buf_free(&text);
    buf_free(&line);
}

int serve(const struct serve *o)
{
    struct site_conf conf = {0};
    struct server s = {.conf = &conf, .dir = -1, .inbox = -1, .outbox = -1, .staged = -1, .desk = -1};
    struct desk d;
    signal(SIGPIPE, SIG_IGN);
    int held = -1, rc = prepare(&s, &d, o) || (held = lock(s.dir, o->node)) < 0 ? -1 : 0;
    if (rc && err_code() != ERR_USAGE)
        say_sorry(o, s.us.moved);
    if (rc == 0)
        rc = divide(&s, &d, o);
    const int fds[] = {s.dir, s.inbox, s.outbox, s.staged, held};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    buf_free(&s.merged_notes);
    site_conf_free(&conf);
    return rc;
}
