/* exchange: see session/exchange.h. */
#define _GNU_SOURCE /* O_DIRECTORY, O_NOFOLLOW */
#include "session/exchange.h"

#include "base/clean.h"
#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "device/patch.h"
#include "nodes/attachment.h"
#include "nodes/departure.h"
#include "nodes/package_files.h"
#include "session/copy_feed.h"
#include "session/fence.h"
#include "session/inspect.h"
#include "session/session_log.h"
#include "session/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BOLD = 16384,       /* bytes of uploads that are sent before the server has asked for them */
    SHY = 50,           /* uploads that are offered at a time after a session that was cut off */
    FILES = 1000000,    /* that a server may offer */
    PROOF = 16 << 20,   /* bytes of digests of tables */
    DAY = 86400,        /* seconds */
    ATTACHMENTS = 2000, /* files of rows that are asked for, and offered, in one session */
    PACKAGE_PART = 1,   /* the number of its part in SPOOL, where that of the patch has none */
    CLOSING = 5         /* seconds for the command to end by itself */
};
#define PATCH   "patch"   /* the newest for handhelds, in SPOOL */
#define PACKAGE "package" /* the files of the copy's package, until they are taken into it, in SPOOL */
#define LARGEST ((int64_t)1 << 42) /* bytes of a file; the room on the disk is looked at, too */

/* What is in the inbox already: of which archive, and of which content. */
struct here {
    int64_t number, size;
    char sha[SHA_HEX];
};

struct node_end {
    struct peer peer;
    const struct exchange *o;
    struct exchanged *got;
    int dir, inbox, outbox, store, attach; /* the last two: only where the copy has files */
    bool shy;                              /* the last session was cut off */
    int64_t kept;                          /* the newest upload that the server is known to have */
    int64_t proofs;      /* files that came as proofs: they are not counted as files that travelled */
    bool greeted, spoke; /* the server's hello has come; its first line has */
    bool over, said_bye, bye;
    double began;
    struct here *here;
    size_t nhere;
    struct copy_feed feed; /* of the whole copy */
    char missing[512];
};

/* ---- the first flight: who we are, what we have, what we want ---- */

static int tell_parts(struct node_end *e)
{
    struct peer_part *part;
    size_t n;
    if (peer_parts(e->inbox, FILES, &part, &n))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (part[i].number)
            peer_tell_part(&e->peer, (struct item){'d', part[i].number}, part[i].sha, part[i].size);
    free(part);
    return 0;
}

/* Parts of the patch and of the package's files. */
static int tell_other_parts(struct node_end *e)
{
    struct peer_part *part;
    size_t n;
    if (e->o->half != EXCHANGE_BOTH)
        return 0;
    if (peer_parts(e->dir, FILES, &part, &n))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (part[i].number == 0 && *e->o->us->patch)
            peer_tell_part(&e->peer, (struct item){'p', 0}, part[i].sha, part[i].size);
        else if (part[i].number == PACKAGE_PART)
            peer_tell_part(&e->peer, (struct item){'c', 0}, part[i].sha, part[i].size);
    free(part);
    return 0;
}

/* Archives that came whole in an earlier session and are not applied. */
static int tell_here(struct node_end *e)
{
    int64_t *number;
    size_t n;
    char name[80];
    if (peer_numbers(e->inbox, &number, &n))
        return -1;
    e->here = mem_zero(n, sizeof *e->here);
    for (size_t i = 0; i < n; i++) {
        struct here *h = &e->here[e->nhere];
        peer_file_name(name, number[i]);
        h->number = number[i];
        if (peer_sum(e->inbox, name, &h->size, h->sha) <= 0)
            continue;
        e->nhere++;
        peer_tell_part(&e->peer, (struct item){'d', h->number}, h->sha, h->size);
    }
    free(number);
    return 0;
}

/* The whole copy, as far as it is here. */
static int tell_copy(struct node_end *e)
{
    char sha[SHA_HEX];
    int64_t size;
    struct peer_part *part = NULL;
    size_t n = 0;
    const char *begun = "-";
    int whole = peer_sum(e->inbox, "snapshot.dx", &size, sha);
    if (whole < 0 || peer_parts(e->inbox, FILES, &part, &n))
        return -1;
    for (size_t i = 0; !whole && i < n; i++)
        if (part[i].number == 0) {
            begun = part[i].sha;
            size = part[i].size;
        }
    if (whole)
        begun = sha;
    if (*begun != '-')
        peer_tell_part(&e->peer, (struct item){'s', 0}, begun, size);
    channel_put(e->peer.channel, "copy %s", begun);
    free(part);
    return 0;
}

/* Whether a file is sent before it is asked for. */
static bool at_once(const struct node_end *e, bool small)
{
    return e->o->half == EXCHANGE_LEAVE || (e->o->half == EXCHANGE_BOTH && small);
}

static int offer_uploads(struct node_end *e)
{
    int64_t *number, size, bold = e->shy ? 0 : BOLD;
    size_t n;
    int rc = 0;
    char name[80], sha[SHA_HEX];
    if (peer_numbers(e->outbox, &number, &n))
        return -1;
    for (size_t i = 0; rc == 0 && i < n && !(e->shy && i == SHY); i++) {
        peer_file_name(name, number[i]);
        if (peer_sum(e->outbox, name, &size, sha) <= 0)
            continue;
        struct item item = {'u', number[i]};
        if (e->o->copy && e->o->half != EXCHANGE_TAKE)
            channel_put(e->peer.channel, "mine %lld %s", (long long)number[i], sha);
        else
            rc = peer_offer_known(&e->peer, item, e->outbox, name, size, sha,
                                  at_once(e, size <= bold && number[i] > e->kept) ? 0 : -1);
        bold = size <= bold || number[i] <= e->kept ? bold - (number[i] > e->kept ? size : 0) : 0;
    }
    free(number);
    return rc;
}

static void put_hello(struct node_end *e)
{
    struct buf line = {0};
    struct standing us = *e->o->us;
    int64_t size;
    if (*us.patch && peer_sum(e->dir, PATCH, &size, us.patch) <= 0)
        snprintf(us.patch, sizeof us.patch, "-");
    us.timeout = (int64_t)(e->o->timeout + 0.999);
    channel_put(e->peer.channel, "dx %d %s", HANDSHAKE_PROTOCOL, DX_VERSION);
    buf_puts(&line, "hello");
    handshake_put(&line, &us);
    channel_put(e->peer.channel, "%s", buf_text(&line));
    buf_free(&line);
}

/* A file that was added here, unless it is not what its name says. */
static int offer_file(struct node_end *e, const char *name)
{
    char sha[SHA_HEX];
    int64_t size;
    int there = peer_sum(e->store, name, &size, sha);
    if (there <= 0)
        return there;
    if (strcmp(name, sha) != 0) {
        if (e->o->say)
            e->o->say(COPY_FILES_STORE "/%s: its digest is %s; it is not sent", name, sha);
        return 0;
    }
    return peer_offer_known(&e->peer, (struct item){PEER_ATTACHMENT, attachment_number(sha)}, e->store, name,
                            size, sha, at_once(e, false) ? 0 : -1);
}

/* The files that rows name: what is missing here, and what was added here. Two that begin alike go one after another. */
static int speak_of_files(struct node_end *e)
{
    const struct copy_files *f = e->o->files;
    int64_t last[2] = {-1, -1};
    size_t n[2] = {0};
    for (size_t i = 0; i < f->n; i++) {
        const struct copy_file *c = &f->file[i];
        bool fetch = c->state == COPY_FILE_MISSING && e->o->fetch,
             send = c->state == COPY_FILE_WAITS && e->o->send;
        int64_t number = attachment_number(c->sha);
        if ((!fetch && !send) || n[send] == ATTACHMENTS || number == last[send])
            continue;
        n[send]++;
        last[send] = number;
        if (fetch)
            channel_put(e->peer.channel, "lacks %s %lld", c->sha,
                        (long long)(e->o->half == EXCHANGE_BOTH ? c->at : 0));
        else if (offer_file(e, c->sha))
            return -1;
    }
    return 0;
}

/* What was added here, and the server has now, is marked no more. */
static void unmark_files(struct node_end *e)
{
    const struct copy_files *f = e->o->files;
    for (size_t i = 0; f && i < f->n; i++)
        if (f->file[i].state == COPY_FILE_WAITS &&
            peer_has_kept(&e->peer, (struct item){PEER_ATTACHMENT, attachment_number(f->file[i].sha)}))
            unlinkat(e->attach, f->file[i].sha, 0);
}

static int speak_first(struct node_end *e)
{
    const struct exchange *o = e->o;
    put_hello(e);
    if (o->now)
        channel_put(e->peer.channel, "now");
    if (o->prove)
        channel_put(e->peer.channel, "prove");
    for (size_t i = 0; i < o->nrow; i++)
        channel_put(e->peer.channel, "rows %lld", (long long)o->row[i]);
    for (size_t i = 0; i < o->nwhole; i++)
        channel_put(e->peer.channel, "whole %lld", (long long)o->whole[i]);
    if (!o->fetch)
        channel_put(e->peer.channel, "stay");
    if (o->half == EXCHANGE_LEAVE && o->copy)
        channel_put(e->peer.channel, "copy -"); /* nothing is cut off on the way: it is sent whole */
    else if (o->copy ? tell_copy(e)
                     : o->fetch && o->half != EXCHANGE_LEAVE && (tell_here(e) || tell_parts(e)))
        return -1;
    if (o->fetch && tell_other_parts(e))
        return -1;
    if ((o->send || o->copy) && offer_uploads(e))
        return -1;
    if (o->files && o->files->any && speak_of_files(e))
        return -1;
    channel_put(e->peer.channel, "over");
    return 0;
}

/* ---- what the peer asks ---- */

static const char *kind_of(char letter)
{
    if (letter == 'p' || letter == 'c')
        return letter == 'p' ? "patch" : "package";
    return letter == 'd' ? "archive" : letter == 's' ? "the whole copy" : "proof";
}

/* Only what the copy lacks; what an answer to an older flight brings besides is here already, or not wanted any more. */
static int accept_attachment(struct node_end *e, struct item item, const char *sha, struct peer_place *place)
{
    const struct copy_file *c = e->o->files ? copy_files_find(e->o->files, sha) : NULL;
    if (!e->greeted || e->store < 0 || !e->o->fetch || item.number != attachment_number(sha))
        return fail(ERR_REFUSED, "the server offers a file that was not asked for");
    if (c == NULL || c->state != COPY_FILE_MISSING)
        return e->o->half == EXCHANGE_TAKE
                   ? PEER_PASS
                   : fail(ERR_REFUSED, "the server offers a file that was not asked for");
    *place = (struct peer_place){
        .dir = e->store, .dir_name = COPY_FILES_STORE, .spared = true, .part = PACKAGE_PART};
    snprintf(place->name, sizeof place->name, "%s", sha);
    return PEER_WANT;
}

static int accept_file(void *ctx, struct item item, int64_t size, const char *sha, struct peer_place *place)
{
    struct node_end *e = ctx;
    if (item.kind == PEER_ATTACHMENT)
        return accept_attachment(e, item, sha, place);
    const struct exchange *o = e->o;
    bool proof = (item.kind == 'g' && item.number == 0) || item.kind == 'r' || item.kind == 'w';
    bool patch = item.kind == 'p' && item.number == 0 && *o->us->patch && size <= PATCH_BYTES;
    bool package = item.kind == 'c' && item.number == 0 && *o->us->files && size <= PACKAGE_FILES_BYTES;
    if (o->half == EXCHANGE_TAKE && e->greeted && item.kind == 'd' && !o->copy &&
        item.number <= o->us->archive)
        return PEER_HAVE; /* an answer to what was said before it was applied */
    *place = (struct peer_place){.dir = proof || patch || package ? e->dir : e->inbox,
                                 .dir_name = "inbox",
                                 .fresh = proof,
                                 .part = package ? PACKAGE_PART : 0};
    if (!e->greeted || !((item.kind == 'd' && o->fetch && !o->copy && item.number > o->us->archive) ||
                         (item.kind == 's' && o->copy && item.number == 0) || (proof && o->prove) || patch ||
                         (package && o->fetch)))
        return fail(ERR_REFUSED, "the server offers %c%lld, which was not asked for", item.kind,
                    (long long)item.number);
    if (item.kind == 'g' && size > PROOF)
        return fail(ERR_REFUSED, "the server's digests have %lld bytes", (long long)size);
    for (size_t i = 0; item.kind == 'd' && i < e->nhere; i++)
        if (e->here[i].number == item.number && strcmp(e->here[i].sha, sha) == 0)
            return PEER_HAVE;
    e->proofs += proof;
    if (item.kind == 'd')
        peer_file_name(place->name, item.number);
    else if (item.kind == 'r' || item.kind == 'w')
        snprintf(place->name, sizeof place->name, "%s-%lld.dx", item.kind == 'r' ? "rows" : "whole",
                 (long long)item.number);
    else
        snprintf(place->name, sizeof place->name, "%s",
                 patch              ? PATCH
                 : package          ? PACKAGE
                 : item.kind == 's' ? "snapshot.dx"
                                    : "proof");
    if (package && strcmp(o->us->files, e->got->server.files) == 0)
        return PEER_HAVE; /* taken since it was asked for */
    if (item.kind == 's' || package) {
        char had[SHA_HEX];
        int64_t bytes;
        if (peer_sum(place->dir, place->name, &bytes, had) > 0 && strcmp(had, sha) == 0)
            return PEER_HAVE;
    }
    return peer_drop_parts(place->dir, place->part ? place->part : item.number, sha) ? -1 : PEER_WANT;
}

static int inspect_package(const struct node_end *e, int fd)
{
    struct package_files f;
    int rc = package_files_read(fd, "what the server gives as the files of the package", &f);
    if (rc == 0 && strcmp(f.digest, e->got->server.files) != 0)
        rc = fail(ERR_AGAIN, "the files of the package were replaced on the server meanwhile; sync again");
    package_files_free(&f);
    return rc;
}

static int inspect_file(void *ctx, struct item item, int fd, const char *name)
{
    static const struct inspect_limits none = {0};
    struct node_end *e = ctx;
    struct inspect_want want = {.kind = DX_KEYS};
    if (item.kind == 'g' || item.kind == PEER_ATTACHMENT)
        return 0; /* its digest is its name */
    if (item.kind == 'c')
        return inspect_package(e, fd);
    if (item.kind == 'p')
        return patch_check(fd, "the server's patch for handhelds", NULL);
    if (item.kind == 'd')
        want = (struct inspect_want){DX_CHANGES, NULL, e->o->us->epoch, e->o->us->before, item.number};
    if (item.kind == 's')
        want.kind = DX_SNAPSHOT;
    if (inspect_archive(fd, name, &want, &none) == 0)
        return 0;
    return fail_in("%s %lld is damaged on the server; ask its operator", kind_of(item.kind),
                   (long long)item.number);
}

/* ---- lines ---- */

/* The rest of a line from a word on, made fit to be shown. */
static void rest_of_line(struct node_end *e, size_t word, char *out, size_t room)
{
    struct buf text = {0};
    const char *line = channel_line(e->peer.channel);
    for (size_t i = 0; i < word && line; i++) {
        const char *blank = strchr(line, ' ');
        line = blank ? blank + 1 : NULL;
    }
    if (line)
        clean_text(&text, line, strlen(line));
    snprintf(out, room, "%s", buf_text(&text));
    buf_free(&text);
}

static int strange(struct node_end *e)
{
    char line[256];
    rest_of_line(e, 0, line, sizeof line);
    return fail(ERR_SYSTEM, "the server answers '%s'; does its login shell print something of its own?",
                line);
}

static int take_error(struct node_end *e)
{
    char text[CHANNEL_LINE];
    int64_t code = e->peer.nword > 1 ? peer_number(e->peer.word[1]) : -1;
    rest_of_line(e, 2, text, sizeof text);
    if (code < 1 || code > ERR_AGAIN)
        return strange(e);
    if (*e->got->elsewhere)
        return fail((enum err_code)code, "server: %s: %s", text, e->got->elsewhere);
    return fail((enum err_code)code, "server: %s", text);
}

static int take_hello(struct node_end *e)
{
    struct standing *s = &e->got->server;
    if (handshake_get(e->peer.word + 1, e->peer.nword - 1, s))
        return -1;
    if (strcmp(s->node, e->o->us->node) != 0 || (*e->o->us->epoch && strcmp(s->epoch, e->o->us->epoch) != 0))
        return fail(ERR_REFUSED, "the server answers for another node, or another copy of it");
    if (s->timeout > 0)
        channel_tick(e->peer.channel, (double)s->timeout);
    if (*e->o->us->patch && *s->patch == 0)
        unlinkat(e->dir, PATCH, 0); /* it was withdrawn */
    e->greeted = true;
    int64_t took = (int64_t)((channel_clock() - e->began) * 1000);
    if (e->o->latency && took > e->o->latency)
        return fail(ERR_AGAIN, "the server took %lld ms to answer, more than %lld; nothing was done",
                    (long long)took, (long long)e->o->latency);
    return 0;
}

/* Words for us, so that something can be done about it. */
static int take_proof(struct node_end *e)
{
    char text[CHANNEL_LINE];
    rest_of_line(e, 0, text, sizeof text);
    size_t n = strlen(text);
    unlinkat(e->dir, "proof", 0);
    int fd = openat(e->dir, "proof", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail_errno("proof: cannot write it");
    text[n++] = '\n';
    int rc = file_write(fd, text, n, "proof");
    close(fd);
    return rc;
}

static int take_restored(struct node_end *e)
{
    int64_t archive = e->peer.nword == 3 ? peer_number(e->peer.word[1]) : -1;
    int64_t upload = e->peer.nword == 3 ? peer_number(e->peer.word[2]) : -1;
    if (archive < 0 || upload < 0)
        return strange(e);
    e->got->restored = true;
    e->got->server.archive = archive;
    e->got->server.upload = upload;
    return 0;
}

/* elsewhere SITE: the error that follows says so, too. */
static int take_elsewhere(struct node_end *e)
{
    if (e->peer.nword != 2 || !departure_is_site(e->peer.word[1]))
        return strange(e);
    snprintf(e->got->elsewhere, sizeof e->got->elsewhere, "%s", e->peer.word[1]);
    return 0;
}

/* merged CODE ARCHIVE UPLOAD */
static int take_merged(struct node_end *e)
{
    int64_t code = peer_number(e->peer.word[1]), archive = peer_number(e->peer.word[2]);
    int64_t upload = peer_number(e->peer.word[3]);
    if (code < 0 || code > 255 || archive < 0 || upload < 0)
        return strange(e);
    e->got->merged = (int)code;
    e->got->server.archive = archive;
    e->got->server.upload = upload;
    return 0;
}

static int take_line(struct node_end *e)
{
    const char *verb = e->peer.word[0];
    size_t n = e->peer.nword;
    bool first = !e->spoke;
    e->spoke = true;
    if (strcmp(verb, "error") == 0)
        return take_error(e);
    if (first && strcmp(verb, "elsewhere") == 0)
        return take_elsewhere(e);
    if (first && strcmp(verb, "again") == 0 && n == 1)
        return e->got->again = true, 0;
    if (first)
        return strcmp(verb, "dx") != 0 || n < 2
                   ? (strcmp(verb, "restored") == 0 ? take_restored(e) : strange(e))
               : peer_number(e->peer.word[1]) == HANDSHAKE_PROTOCOL
                   ? 0
                   : fail(ERR_REFUSED,
                          "the server speaks protocol %.4s, not %d; install the same version of dx",
                          e->peer.word[1], HANDSHAKE_PROTOCOL);
    if (strcmp(verb, "hello") == 0 && !e->greeted)
        return take_hello(e);
    if (strcmp(verb, "merged") == 0 && n == 4)
        return take_merged(e);
    if (strcmp(verb, "held") == 0 && n == 2 && peer_number(e->peer.word[1]) > 0)
        return e->got->server.held = peer_number(e->peer.word[1]), 0;
    if (strcmp(verb, "moved") == 0 && e->o->prove)
        return take_proof(e);
    if (strcmp(verb, "missing") == 0) {
        if (e->o->half == EXCHANGE_TAKE && n > 1 && peer_number(e->peer.word[1]) <= e->o->us->archive)
            return 0;
        rest_of_line(e, 2, e->missing, sizeof e->missing);
        return 0;
    }
    if (e->o->copy && n == 2 && (strcmp(verb, "same") == 0 || strcmp(verb, "new") == 0))
        return 0;
    if (e->o->copy && e->greeted && strcmp(verb, "restored") == 0)
        return take_restored(e);
    if (e->o->copy && e->greeted && n == 2 && strcmp(verb, "differs") == 0)
        return e->got->differs = true, 0;
    if (e->o->copy && n == 2 && strcmp(verb, "other") == 0)
        return e->got->other = true, 0;
    if (strcmp(verb, "behind") == 0 && n == 1 && e->greeted)
        return e->got->behind = true, 0;
    if (strcmp(verb, "over") == 0 && n == 1 && e->greeted)
        return e->over = true, 0;
    if (strcmp(verb, "bye") == 0 && n == 1 && (e->said_bye || (e->o->half == EXCHANGE_TAKE && e->over)))
        return e->bye = true, 0;
    return strange(e);
}

/* ---- the session ---- */

enum { SSH_FAILED = 255 }; /* ssh(1): an error of its own; else the exit code is the remote command's */

static int lost(struct transport *t, const char *command)
{
    int code = transport_close(t, CLOSING);
    t->pid = 0;
    if (command && code == SSH_FAILED)
        return fail(ERR_SYSTEM,
                    "the connection ended (%s: exit %d): what ssh says above is why: an unknown or changed "
                    "host key, a refused login, or no network; run it again when that is mended, it goes on "
                    "where it stopped",
                    command, code);
    if (command)
        return fail(ERR_SYSTEM,
                    "the connection ended (%s: exit %d); run it again, it goes on where it stopped", command,
                    code);
    return fail(ERR_SYSTEM, "the connection ended; run it again, it goes on where it stopped");
}

/* What has come of the whole copy goes on to who applies it. */
static void feed(struct node_end *e)
{
    int64_t size;
    int part = e->feed.fd < 0 ? -1 : peer_part(&e->peer, (struct item){'s', 0}, &size);
    if (part >= 0)
        copy_feed_more(&e->feed, part, size);
}

/* The rest of it, when the connection is closed. */
static void feed_rest(struct node_end *e)
{
    int copy = openat(e->inbox, "snapshot.dx", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (copy < 0)
        return;
    copy_feed_rest(&e->feed, copy);
    close(copy);
}

static int converse(struct node_end *e, struct transport *t)
{
    while (!e->bye) {
        if (e->over && !e->said_bye && peer_all_received(&e->peer) && peer_all_sent(&e->peer)) {
            channel_put(e->peer.channel, "bye");
            e->said_bye = true;
        }
        int event = peer_next(&e->peer);
        if (event < 0)
            return -1;
        if (event == PEER_END)
            return lost(t, e->o->command ? e->o->command[0] : NULL);
        if (event == PEER_LINE && take_line(e))
            return -1;
        feed(e);
    }
    if (!peer_all_kept(&e->peer))
        return fail(ERR_SYSTEM, "the server has not kept all that was sent; sync again");
    return 0;
}

/* The node's half by itself, to the file on stdout. */
static int leave(struct node_end *e)
{
    do {
        if (peer_next(&e->peer) < 0)
            return -1;
        channel_flush(e->peer.channel, DAY);
        if (!channel_empty(e->peer.channel))
            return fail(ERR_SYSTEM, "the message cannot be written: %s", strerror(errno));
    } while (!peer_all_sent(&e->peer));
    channel_put(e->peer.channel, "bye");
    channel_flush(e->peer.channel, DAY);
    if (!channel_empty(e->peer.channel) || (fsync(STDOUT_FILENO) && errno != EINVAL && errno != EROFS))
        return fail(ERR_SYSTEM, "the message cannot be written: %s", strerror(errno));
    return 0;
}

/* The server's half by itself, from the file on stdin. */
static int take(struct node_end *e)
{
    while (!e->bye) {
        int event = peer_next(&e->peer);
        if (event < 0)
            return -1;
        if (event == PEER_END)
            return fail(ERR_REFUSED, "the answer is cut off; carry it here once more");
        if (event == PEER_LINE && take_line(e))
            return -1;
    }
    return peer_all_received(&e->peer) ? 0 : fail(ERR_REFUSED, "the answer does not hold all that it offers");
}

/* The inbox holds what the server has for us, nothing else. */
static void clear_inbox(struct node_end *e)
{
    char name[80];
    for (size_t i = 0; i < e->nhere; i++)
        if (!peer_was_offered(&e->peer, (struct item){'d', e->here[i].number})) {
            peer_file_name(name, e->here[i].number);
            unlinkat(e->inbox, name, 0);
        }
}

/* SPOOL/kept: "EPOCH NUMBER", the newest upload that the server has, with all before it. It costs nothing to be wrong. */
static void read_kept(struct node_end *e)
{
    char line[HANDSHAKE_TEXT + 32] = "";
    size_t n = strlen(e->o->us->epoch);
    int fd = openat(e->dir, "kept", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && read(fd, line, sizeof line - 1) > 0 && n && strncmp(line, e->o->us->epoch, n) == 0)
        e->kept = strtoll(line + n, NULL, 10);
    if (fd >= 0)
        close(fd);
}

static void write_kept(struct node_end *e)
{
    char line[HANDSHAKE_TEXT + 32];
    int64_t kept = e->kept;
    while (peer_has_kept(&e->peer, (struct item){'u', kept + 1}))
        kept++;
    if (kept == e->kept)
        return;
    int n = snprintf(line, sizeof line, "%s %lld\n", e->o->us->epoch, (long long)kept);
    int fd = openat(e->dir, "kept", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd >= 0) {
        if (write(fd, line, (size_t)n) != n) { /* the next session asks */
        }
        close(fd);
    }
}

/* A file that is there while a session is under way, so that the next one knows of one that was cut off. */
static void mark(struct node_end *e, bool begin)
{
    if (!begin) {
        unlinkat(e->dir, "under-way", 0);
        return;
    }
    e->shy = faccessat(e->dir, "under-way", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    int fd = openat(e->dir, "under-way", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd >= 0)
        close(fd);
}

static int open_directories(struct node_end *e)
{
    const char *spool = e->o->spool;
    e->dir = peer_directory(AT_FDCWD, spool, spool);
    e->inbox = e->dir < 0 ? -1 : peer_directory(e->dir, "inbox", "inbox");
    e->outbox = e->inbox < 0 ? -1 : peer_directory(e->dir, "outbox", "outbox");
    if (e->outbox < 0 || e->o->files == NULL || !e->o->files->any)
        return e->outbox < 0 ? -1 : 0;
    e->store = peer_directory(e->dir, COPY_FILES_STORE, COPY_FILES_STORE);
    e->attach = e->store < 0 ? -1 : peer_directory(e->dir, COPY_FILES_ATTACH, COPY_FILES_ATTACH);
    return e->attach < 0 ? -1 : 0;
}

static void close_directories(struct node_end *e)
{
    const int fds[] = {e->dir, e->inbox, e->outbox, e->store, e->attach};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void write_log(struct node_end *e, time_t start, const struct channel_count *bytes, int rc)
{
    const struct standing *server = &e->got->server;
    session_log_add(e->dir, &(struct session_line){.start = start,
                                                   .node = e->o->us->node,
                                                   .release = server->release,
                                                   .traffic = e->got->traffic,
                                                   .bytes = *bytes,
                                                   .archive = e->o->us->archive,
                                                   .upload = e->o->us->sent,
                                                   .code = rc ? (int)err_code() : 0,
                                                   .why = rc ? err_message() : ""});
}

static int run(struct node_end *e, struct transport *t)
{
    struct channel_limits limits = {.timeout = e->o->timeout, .rate = e->o->rate};
    struct peer_role role = {.accept = accept_file,
                             .inspect = inspect_file,
                             .ctx = e,
                             .file_bytes = LARGEST,
                             .files = FILES,
                             .sent = "upload",
                             .fetched = e->o->copy ? "copy" : "archive"};
    time_t start = time(NULL);
    struct channel *c = channel_open(t->in, t->out, &limits);
    peer_init(&e->peer, c, &role);
    e->began = channel_clock();
    bool both = e->o->half == EXCHANGE_BOTH;
    if (both)
        mark(e, true);
    read_kept(e);
    e->peer.replayed = e->o->half == EXCHANGE_TAKE;
    int rc = speak_first(e) ? -1 : both ? converse(e, t) : e->o->half == EXCHANGE_LEAVE ? leave(e) : take(e);
    e->got->missing = rc == 0 && *e->missing;
    if (e->got->missing)
        rc = fail(ERR_REFUSED, "server: %s", e->missing);
    else if (rc == 0 && both && e->o->fetch && !e->o->copy)
        clear_inbox(e);
    if (rc == 0 && both)
        mark(e, false);
    write_kept(e);
    unmark_files(e);
    e->got->damaged = peer_damaged(&e->peer);
    struct channel_count bytes = channel_count(c);
    e->got->traffic = e->peer.traffic;
    e->got->traffic.fetched_files -= e->got->traffic.fetched_files < e->proofs ? 0 : e->proofs;
    write_log(e, start, &bytes, rc);
    peer_free(&e->peer);
    channel_close(c);
    return rc;
}

int exchange(const struct exchange *o, struct exchanged *out)
{
    struct node_end e = {.o = o,
                         .got = out,
                         .dir = -1,
                         .inbox = -1,
                         .outbox = -1,
                         .store = -1,
                         .attach = -1,
                         .feed = {.fd = -1}};
    struct transport t = {0};
    *out = (struct exchanged){0};
    signal(SIGPIPE, SIG_IGN);
    if (o->feed)
        copy_feed_begin(&e.feed, o->feed);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int rc = null < 0 || open_directories(&e) || transport_open(&t, o->command) ? -1 : 0;
    if (o->half == EXCHANGE_LEAVE)
        t.in = null;
    if (o->half == EXCHANGE_TAKE)
        t.out = null;
    if (rc == 0) {
        const char *fence = fence_raise(&e.dir, 1, LARGEST);
        if (o->say)
            o->say("the process that reads the server's bytes is held by: %s", fence);
        rc = run(&e, &t);
    }
    transport_close(&t, rc ? 0.3 : CLOSING); /* after a failure nothing is expected of the other end */
    if (rc == 0)
        feed_rest(&e);
    copy_feed_end(&e.feed);
    if (null >= 0)
        close(null);
    free(e.here);
    close_directories(&e);
    return rc;
}
