/* desk: see session/desk.h. */
#define _GNU_SOURCE /* O_NOFOLLOW */
#include "session/desk.h"

#include "base/clean.h"
#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "compare/verify.h"
#include "device/patch.h"
#include "nodes/attachment.h"
#include "nodes/offer.h"
#include "nodes/package_files.h"
#include "nodes/responsibility.h"
#include "nodes/site_conf.h"
#include "session/site_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WAIT = 60,           /* seconds for which a merge waits for another run of dxcron */
    ERRORS_MAX = 1 << 20 /* bytes of errors.log; then it is renamed to errors.log.1 */
};

/* ---- the database ---- */

static struct db *open_database(const struct desk *d, enum db_mode mode)
{
    char *path = file_join(d->site, "hq.db");
    struct db *db = db_open(path, mode);
    free(path);
    return db;
}

int desk_standing(const struct desk *d, struct standing *out)
{
    struct db *db = open_database(d, DB_READ);
    int rc = db && db_begin_read(db) == 0 ? handshake_of_server(db, d->node, out) : -1;
    db_close(db);
    out->timeout = d->idle;
    out->keep_days = d->keep_days;
    out->keep_bytes = d->keep_bytes;
    return rc;
}

/* A new file in the node's directory, to write. */
static int new_file(const struct desk *d, const char *name)
{
    unlinkat(d->dir, name, 0);
    int fd = openat(d->dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    return fd < 0 ? fail_errno("%s: cannot write it", name) : fd;
}

static int write_digests(struct digest *g, int fd)
{
    struct buf b = {0};
    char all[SHA_HEX];
    digest_end(g, all);
    for (size_t i = 0; i < g->n; i++)
        buf_addf(&b, "%s  %s\n", g->tables[i].sha256, g->tables[i].table);
    buf_addf(&b, "%s\n", all);
    int rc = file_write(fd, b.p, b.n, DESK_ANSWER);
    buf_free(&b);
    return rc;
}

/* The digests of what the node holds, or those of the rows of one of the tables in them. */
static int prove(const struct desk *d, const struct desk_request *r)
{
    struct digest g = {0};
    char all[SHA_HEX];
    struct verify_of of = {.node = d->node, .at = true, .number = r->number, .whole = r->task == DESK_WHOLE};
    struct db *db = open_database(d, DB_READ);
    int fd = new_file(d, DESK_ANSWER);
    int rc = fd >= 0 && db && db_begin_read(db) == 0 ? verify_digest(db, &of, &g) : -1;
    if (rc == 0 && r->task == DESK_DIGEST)
        rc = write_digests(&g, fd);
    else if (rc == 0) {
        digest_end(&g, all);
        if (r->row < 1 || r->row > (int64_t)g.n)
            rc = fail(ERR_REFUSED, "there is no table %lld in the digests", (long long)r->row);
        of.nname = 1;
        of.name = rc ? NULL : &g.tables[r->row - 1].table;
        rc = rc ? rc : verify_write(db, &of, fd, DESK_ANSWER);
    }
    digest_free(&g);
    if (fd >= 0)
        close(fd);
    db_close(db);
    return rc;
}

static int give_patch(const struct desk *d)
{
    struct db *db = open_database(d, DB_READ);
    int fd = new_file(d, DESK_ANSWER);
    int rc = fd >= 0 && db ? patch_write(db, fd, DESK_ANSWER) : -1;
    if (fd >= 0)
        close(fd);
    db_close(db);
    return rc;
}

static int give_package(const struct desk *d)
{
    struct node n;
    char *key = *d->key ? site_conf_path(d->site, d->key) : mem_text("");
    struct db *db = open_database(d, DB_READ);
    int fd = new_file(d, DESK_ANSWER);
    int rc = fd >= 0 && db ? node_require(db, d->node, &n) : -1;
    if (rc == 0) {
        rc = package_files_write(db, n.package, key, fd, DESK_ANSWER);
        node_free(&n);
    }
    if (fd >= 0)
        close(fd);
    db_close(db);
    free(key);
    return rc;
}

/* ---- the commands ---- */

/* The operator's log of the node: what commands said, and reasons that are not for the node to know. */
static int open_errors(const struct desk *d)
{
    struct stat st;
    if (fstatat(d->dir, "errors.log", &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > ERRORS_MAX)
        renameat(d->dir, "errors.log", d->dir, "errors.log.1");
    return openat(d->dir, "errors.log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                  0666);
}

static void log_error(const struct desk *d, const char *text)
{
    char at[32];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int fd = open_errors(d);
    if (fd < 0)
        return;
    dprintf(fd, "%s %s\n", at, text);
    close(fd);
}

/* ---- files that rows name ---- */

struct desk_files {
    struct db *db;
    struct node node;
    bool noded;
    struct attachment_view *view;
    int store; /* SITE/files; -1: there is none */
};

static void close_files(struct desk_files *f)
{
    if (f == NULL)
        return;
    attachment_view_close(f->view);
    if (f->noded)
        node_free(&f->node);
    db_close(f->db);
    if (f->store >= 0)
        close(f->store);
    free(f);
}

static int open_files(struct desk *d)
{
    if (d->files)
        return d->files->view ? 0 : -1;
    struct desk_files *f = d->files = mem_zero(1, sizeof *f);
    char *path = file_join(d->site, "files");
    f->store = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    free(path);
    f->db = open_database(d, DB_READ);
    f->noded = f->db && node_require(f->db, d->node, &f->node) == 0;
    f->view = f->noded ? attachment_view_open(f->db, &f->node) : NULL;
    if (f->view == NULL)
        log_error(d, err_message());
    return f->view ? 0 : -1;
}

/* Whether it is in the store: its size, and its descriptor to *fd. */
static int64_t stored(const struct desk_files *f, const char *sha, int *fd)
{
    struct stat st;
    *fd = f->store < 0 || !peer_is_sha(sha)
              ? -1
              : openat(f->store, sha, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*fd >= 0 && fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
        return st.st_size;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return -1;
}

/* Trouble is for the log: the node gets no file, and its rows are not held up. What the node named in an upload and has not shown to have is not known to it, though it be here. */
static void file(struct desk *d, const struct desk_request *r, struct desk_answer *a, int *fd)
{
    a->size = -1;
    if (r->number == DESK_FILE_KNOWN)
        site_files_come(d->site);
    if (open_files(d))
        return;
    int64_t size = stored(d->files, r->sha, fd);
    int may = size < 0 ? 0 : attachment_view_may(d->files->view, r->sha, r->number == DESK_FILE_KNOWN);
    a->size = may > 0 ? size : -1;
    if (*fd >= 0 && (may <= 0 || r->number != DESK_FILE_OPEN)) {
        close(*fd);
        *fd = -1;
    }
    if (may < 0)
        log_error(d, err_message());
}

/* Runs a command of dx with its output to fd (-1: nowhere). Its exit code; -1 when it could not be run. */
static int run(const struct desk *d, const char *const *argument, int fd)
{
    char *program = file_join(d->bin, argument[0]);
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDIN_FILENO);
        int errors = open_errors(d);
        dup2(fd < 0 ? null : fd, STDOUT_FILENO);
        dup2(errors < 0 ? null : errors, STDERR_FILENO);
        char *argv[10];
        size_t n = 0;
        for (; n < 9 && argument[n]; n++)
            argv[n] = n == 0 ? program : mem_text(argument[n]);
        argv[n] = NULL;
        execv(program, argv);
        _exit(127);
    }
    free(program);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0)
        return fail_errno("%s: cannot be run", argument[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : ERR_SYSTEM;
}

static int merge(const struct desk *d)
{
    char wait[16];
    snprintf(wait, sizeof wait, "%d", WAIT);
    const char *const command[] = {"dxcron", "--node", d->node, "--wait", wait, "--", d->site, NULL};
    return run(d, command, -1);
}

/* ---- the snapshot ---- */

/* Which snapshot snapshot.dx is: "EPOCH ARCHIVE". */
static void read_note(const struct desk *d, char out[HANDSHAKE_TEXT])
{
    int fd = openat(d->dir, "snapshot.of", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, HANDSHAKE_TEXT - 1);
    out[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
}

/* The numbering of the newest copy that was made. */
static const char *newest_copy(const struct standing *s)
{
    return *s->offer ? s->offer : s->epoch;
}

/* Whether snapshot.dx is of this numbering still, with every archive after it in the outbox. */
static bool follows(const struct desk *d, const struct standing *s)
{
    char note[HANDSHAKE_TEXT], name[96];
    const char *epoch = newest_copy(s);
    read_note(d, note);
    size_t n = strlen(epoch);
    if (strncmp(note, epoch, n) != 0 || note[n] != ' ' || faccessat(d->dir, "snapshot.dx", R_OK, 0))
        return false;
    for (int64_t i = strtoll(note + n, NULL, 10) + 1; i <= s->archive; i++) {
        snprintf(name, sizeof name, "outbox/%08lld.dx", (long long)i);
        if (faccessat(d->dir, name, F_OK, 0))
            return false;
    }
    return true;
}

static int note_snapshot(const struct desk *d, const struct standing *s)
{
    int fd = new_file(d, "snapshot.of");
    char note[2 * HANDSHAKE_TEXT];
    int n = snprintf(note, sizeof note, "%s %lld\n", newest_copy(s), (long long)s->archive);
    int rc = fd < 0 ? -1 : file_write(fd, note, (size_t)n, "snapshot.of");
    if (rc == 0 && fsync(fd))
        rc = fail_errno("snapshot.of: cannot write it");
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Uploads of a numbering that is over: what is in them is still pending at the node. */
static void clear_inbox(const struct desk *d)
{
    char name[80];
    size_t n = 0;
    int64_t *number = NULL;
    int inbox = openat(d->dir, "inbox", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inbox >= 0 && peer_numbers(inbox, &number, &n) == 0)
        for (size_t i = 0; i < n; i++) {
            peer_file_name(name, number[i]);
            unlinkat(inbox, name, 0);
        }
    free(number);
    if (inbox >= 0)
        close(inbox);
}

/* Uploads of the copy before that were not merged yet: kept beside the inbox, in `ended`, under the name of their
 * numbering, and named in the log. That copy still has what is in them, too, as changes not sent. */
static int set_inbox_aside(const struct desk *d, const char *epoch)
{
    char name[80], kept[160], line[300];
    size_t n = 0;
    int64_t *number = NULL;
    int inbox = peer_directory(d->dir, "inbox", "inbox"),
        rc = inbox < 0 ? -1 : peer_numbers(inbox, &number, &n);
    int ended = rc || n == 0 ? -1 : peer_directory(d->dir, "ended", "ended");
    if (n && ended < 0)
        rc = -1;
    for (size_t i = 0; i < n && rc == 0; i++) {
        peer_file_name(name, number[i]);
        snprintf(kept, sizeof kept, "ended/%.64s.%s", epoch, name);
        rc = renameat(inbox, name, d->dir, kept) ? fail_errno("inbox/%s: cannot be moved to ended", name) : 0;
        snprintf(line, sizeof line, "inbox/%s of the copy before was not merged; it is kept as %s", name,
                 kept);
        log_error(d, line);
    }
    free(number);
    if (inbox >= 0)
        close(inbox);
    if (ended >= 0)
        close(ended);
    return rc;
}

/* The copy that is offered becomes the node's. */
static int accept_copy(const struct desk *d)
{
    struct node n;
    char *epoch = NULL;
    struct db *db = open_database(d, DB_WRITE);
    int rc = db && db_begin_write(db) == 0 ? node_require(db, d->node, &n) : -1;
    if (rc == 0) {
        rc = offer_find(db, &n, &epoch) < 0 ? -1 : 0;
        if (rc == 0 && epoch == NULL)
            rc = fail(ERR_REFUSED,
                      "the copy that was there before has sent changes meanwhile; make this copy once more: "
                      "initsync LOCAL.db SITE --node NAME");
        if (rc == 0 && (set_inbox_aside(d, n.epoch) || offer_accept(db, &n, epoch) < 0))
            rc = -1;
        crashpoint();
        rc = rc ? -1 : db_commit(db);
        node_free(&n);
    }
    free(epoch);
    db_close(db);
    return rc;
}

static int make_snapshot(const struct desk *d)
{
    struct standing s;
    merge(d);
    int fd = new_file(d, ".snapshot.part");
    if (fd < 0)
        return -1;
    char *db = file_join(d->site, "hq.db"), *key = site_conf_path(d->site, d->key);
    const char *const plain[] = {"txnroute", "extract", "--", db, d->node, NULL};
    const char *const signing[] = {"txnroute", "extract", "--sign", key, "--", db, d->node, NULL};
    int code = run(d, *d->key ? signing : plain, fd);
    free(db);
    free(key);
    /* 1: something is set aside, which the log names; what is in the snapshot is right. */
    int rc = code != 0 && code != 1
                 ? fail(code > 0 && code < 8 ? (enum err_code)code : ERR_SYSTEM,
                        "the server cannot make the copy now (exit %d); its log says why", code)
                 : 0;
    if (rc == 0 && fsync(fd))
        rc = fail_errno(".snapshot.part: cannot write it");
    close(fd);
    if (rc || desk_standing(d, &s))
        return -1;
    if (*s.offer == 0)
        clear_inbox(d);
    if (note_snapshot(d, &s))
        return -1;
    crashpoint();
    if (renameat(d->dir, ".snapshot.part", d->dir, "snapshot.dx") || fsync(d->dir))
        return fail_errno("snapshot.dx: cannot be saved");
    return 0;
}

/* Whether new copies of the node's package are made. */
static int check_published(const struct desk *d)
{
    struct node n;
    struct db *db = open_database(d, DB_READ);
    int rc = db ? node_require(db, d->node, &n) : -1;
    if (rc == 0) {
        rc = responsibility_check(db, &n, true);
        node_free(&n);
    }
    db_close(db);
    return rc;
}

static int snapshot(const struct desk *d, const struct desk_request *r, enum handshake_former *former)
{
    struct standing s;
    struct db *db = open_database(d, DB_READ);
    int rc = db ? handshake_former(db, d->node, &r->copy, former) : -1;
    db_close(db);
    if (rc || desk_standing(d, &s) || check_published(d))
        return -1;
    if (r->number && follows(d, &s))
        return 0;
    unlinkat(d->dir, "snapshot.dx", 0);
    unlinkat(d->dir, "snapshot.of", 0);
    return make_snapshot(d);
}

/* ---- asking and answering ---- */

/* Refusals and what is to be repeated are the node's to know; other trouble is the operator's, who finds it in the log. */
static void explain(const struct desk *d, struct desk_answer *a)
{
    struct buf text = {0};
    enum err_code code = err_code();
    a->code = (int)code;
    log_error(d, err_message());
    if (code == ERR_REFUSED || code == ERR_AGAIN)
        clean_paths(&text, err_message());
    else if (code == ERR_BUSY)
        buf_puts(&text, "the server's database is busy; sync again");
    else
        buf_puts(&text, "the server has trouble of its own; its operator finds it in the log");
    snprintf(a->text, sizeof a->text, "%s", buf_text(&text));
    buf_free(&text);
}

static void answer(struct desk *d, const struct desk_request *r, struct desk_answer *a, int *fd)
{
    int rc = 0;
    *a = (struct desk_answer){0};
    *fd = -1;
    if (r->task == DESK_MERGE)
        rc = (a->code = merge(d)) < 0 ? -1 : 0;
    else if (r->task == DESK_DIGEST || r->task == DESK_ROWS || r->task == DESK_WHOLE)
        rc = prove(d, r);
    else if (r->task == DESK_PATCH)
        rc = give_patch(d);
    else if (r->task == DESK_FILE)
        file(d, r, a, fd);
    else if (r->task == DESK_PACKAGE)
        rc = give_package(d);
    else if (r->task == DESK_SNAPSHOT)
        rc = snapshot(d, r, &a->former);
    else if (r->task == DESK_ACCEPT)
        rc = accept_copy(d);
    else
        rc = fail(ERR_REFUSED, "there is no such task");
    if (rc == 0 && r->task != DESK_FILE)
        rc = desk_standing(d, &a->standing);
    if (rc)
        explain(d, a);
}

/* The answer, and with it a descriptor, if there is one, which is closed here. */
static int send_answer(int socket, const struct desk_answer *a, int fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec bytes = {(void *)a, sizeof *a};
    struct msghdr m = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.room;
        m.msg_controllen = sizeof control.room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    ssize_t n = sendmsg(socket, &m, MSG_NOSIGNAL);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)sizeof *a ? 0 : -1;
}

static int take_answer(int socket, struct desk_answer *a, int *fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec bytes = {a, sizeof *a};
    struct msghdr m = {.msg_iov = &bytes,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = sizeof control.room};
    *fd = -1;
    ssize_t n = recvmsg(socket, &m, MSG_WAITALL | MSG_CMSG_CLOEXEC);
    for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof *fd))
            memcpy(fd, CMSG_DATA(c), sizeof *fd);
    return n == (ssize_t)sizeof *a ? 0 : fail(ERR_SYSTEM, "the server's other process has ended");
}

void desk_serve(struct desk *d, int socket, struct desk_request *last)
{
    struct desk_request r;
    struct desk_answer a;
    int fd;
    for (;;) {
        ssize_t n = recv(socket, &r, sizeof r, MSG_WAITALL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof r)
            break;
        r.release[sizeof r.release - 1] = r.why[sizeof r.why - 1] = 0;
        r.copy.was[sizeof r.copy.was - 1] = r.copy.was_digest[sizeof r.copy.was_digest - 1] = 0;
        r.sha[sizeof r.sha - 1] = 0;
        if (r.task == DESK_LOG) {
            *last = r;
            continue;
        }
        answer(d, &r, &a, &fd);
        if (send_answer(socket, &a, fd))
            break;
    }
    close_files(d->files);
    d->files = NULL;
}

int desk_ask(int socket, const struct desk_request *r)
{
    return send(socket, r, sizeof *r, MSG_NOSIGNAL) == (ssize_t)sizeof *r
               ? 0
               : fail(ERR_SYSTEM, "the server's other process has ended");
}

int desk_hear(int socket, struct desk_answer *out)
{
    int fd;
    int rc = take_answer(socket, out, &fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

int desk_file(int socket, int64_t what, const char *sha, int64_t *size, int *fd)
{
    struct desk_request r = {.task = DESK_FILE, .number = what};
    struct desk_answer a;
    int got = -1;
    memcpy(r.sha, sha, SHA_HEX);
    if (desk_ask(socket, &r) || take_answer(socket, &a, &got))
        return -1;
    a.text[sizeof a.text - 1] = 0;
    if (fd)
        *fd = got;
    else if (got >= 0)
        close(got);
    *size = a.size;
    return a.code ? fail(a.code <= ERR_AGAIN ? (enum err_code)a.code : ERR_SYSTEM, "%s", a.text) : 0;
}
