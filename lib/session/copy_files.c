/* copy_files: see session/copy_files.h. */
#define _GNU_SOURCE /* O_DIRECTORY, O_NOFOLLOW */
#include "session/copy_files.h"

#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/attachment.h"
#include "session/peer.h"
#include "sql/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DAY = 86400 };

#define PUT ".put."

static const char note_name[] = "files.seen";

/* ---- what the rows name ---- */

static int by_sha(const void *a, const void *b)
{
    return strcmp(((const struct copy_file *)a)->sha, ((const struct copy_file *)b)->sha);
}

struct copy_file *copy_files_find(const struct copy_files *f, const char *sha)
{
    struct copy_file key = {0};
    if (strlen(sha) != SHA_HEX - 1 || f->n == 0)
        return NULL;
    memcpy(key.sha, sha, SHA_HEX);
    return bsearch(&key, f->file, f->n, sizeof *f->file, by_sha);
}

/* A file that is named twice is wanted where one of the rows wants it. */
static void unite(struct copy_files *f)
{
    size_t n = 0;
    if (f->n)
        qsort(f->file, f->n, sizeof *f->file, by_sha);
    for (size_t i = 0; i < f->n; i++)
        if (n == 0 || strcmp(f->file[n - 1].sha, f->file[i].sha) != 0)
            f->file[n++] = f->file[i];
        else if (f->file[i].state < f->file[n - 1].state)
            f->file[n - 1] = f->file[i];
    f->n = n;
}

static void take_row(struct copy_files *f, const struct attachment_section *s, struct stmt *row)
{
    struct val size = stmt_val(row, 1);
    const char *sha = stmt_text(row, 0);
    bool asked = s->delivery != DELIVERY_REQUESTED || stmt_int(row, 4);
    if (sha == NULL || !peer_is_sha(sha))
        return;
    f->file = mem_grow(f->file, f->n + 1, sizeof *f->file);
    struct copy_file *c = &f->file[f->n++];
    *c = (struct copy_file){.size = size.type == VAL_INT ? size.i : -1};
    memcpy(c->sha, sha, SHA_HEX);
    c->state = s->max && c->size > s->max                              ? COPY_FILE_LARGE
               : !attachment_type_travels(s->types, stmt_text(row, 2)) ? COPY_FILE_TYPE
               : asked                                                 ? COPY_FILE_MISSING
                                                                       : COPY_FILE_OFFERED;
}

static int look_at_rows(struct db *db, const struct attachment_section *s, struct copy_files *f)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    buf_name(&sql, s->digest);
    const char *const columns[] = {s->size, s->type};
    for (size_t i = 0; i < 2; i++) {
        buf_puts(&sql, ", ");
        if (*columns[i])
            buf_name(&sql, columns[i]);
        else
            buf_puts(&sql, "NULL");
    }
    buf_puts(&sql, ", NULL, EXISTS (SELECT 1 FROM dx_file_request q WHERE q.digest = x.");
    buf_name(&sql, s->digest);
    buf_puts(&sql, ") FROM main.");
    buf_name(&sql, s->table);
    buf_puts(&sql, " AS x WHERE ");
    buf_name(&sql, s->digest);
    buf_puts(&sql, " IS NOT NULL");
    struct stmt *row = db_prepare(db, buf_text(&sql));
    enum step step = STEP_ERROR;
    while (row && (step = stmt_step(row)) == STEP_ROW)
        take_row(f, s, row);
    stmt_free(row);
    buf_free(&sql);
    return step == STEP_DONE ? 0 : -1;
}

/* ---- what is here ---- */

struct place {
    struct copy_files *f;
    int store, attach;
};

/* In the store: a file is here, a part is of one that is to come; all else goes, but what was added here and waits for its
 * row. */
static void of_store(const struct place *at, const char *name)
{
    int64_t number;
    char sha[SHA_HEX];
    struct stat st;
    struct copy_file *c = copy_files_find(at->f, name);
    bool added = peer_is_sha(name) && faccessat(at->attach, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (c) {
        bool goes = added && c->state != COPY_FILE_LARGE && c->state != COPY_FILE_TYPE;
        c->state = goes ? COPY_FILE_WAITS : added ? c->state : COPY_FILE_HERE;
        return;
    }
    if (peer_part_of(name, &number, sha) && (c = copy_files_find(at->f, sha)) &&
        c->state == COPY_FILE_MISSING && fstatat(at->store, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        c->at = st.st_size;
        return;
    }
    copy_files_sweep(at->store, name);
    if (!added && (peer_is_sha(name) || peer_part_of(name, &number, sha)))
        unlinkat(at->store, name, 0);
}

static int look_at_store(const struct place *at)
{
    int fd = openat(at->store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL)
        return fail_errno("the files of the copy cannot be listed");
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            of_store(at, e->d_name);
    closedir(d);
    return 0;
}

/* ---- whether anything has changed ---- */

static int64_t changed_at(int dir)
{
    struct stat st;
    return fstat(dir, &st) ? -1 : (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* Where copy and directories stand, as a line. */
static int put_note(struct db *db, int store, int attach, struct buf *out)
{
    int64_t applied, end, requests;
    char *files = NULL;
    if (meta_get_int(db, "applied", &applied) || journal_end(db, &end) ||
        db_get_int(db, &requests, "SELECT count(*) FROM dx_file_request") ||
        meta_get_text(db, "package_files", &files))
        return -1;
    buf_addf(out, "%lld %lld %lld %s %lld %lld\n", (long long)applied, (long long)end, (long long)requests,
             files ? files : "-", (long long)changed_at(store), (long long)changed_at(attach));
    free(files);
    return 0;
}

static bool as_noted(const char *spool, const struct buf *now)
{
    struct buf had = {0};
    char *path = file_join(spool, note_name);
    bool same = file_exists(path) && file_load(path, 4096, &had) == 0 && had.n == now->n &&
                memcmp(had.p, now->p, now->n) == 0;
    free(path);
    buf_free(&had);
    return same;
}

/* It costs nothing but time where it cannot be written. */
static void note(const char *spool, const struct buf *now)
{
    char *path = file_join(spool, note_name);
    int fd = file_create(path);
    if (fd >= 0) {
        if (write(fd, now->p, now->n) != (ssize_t)now->n)
            unlink(path);
        close(fd);
    }
    free(path);
}

/* ---- the look ---- */

static int look(struct db *db, const struct attachments *a, int store, int attach, struct copy_files *f)
{
    for (size_t i = 0; i < a->n; i++)
        if (look_at_rows(db, &a->section[i], f))
            return -1;
    unite(f);
    return look_at_store(&(struct place){f, store, attach});
}

static bool settled(const struct copy_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->file[i].state == COPY_FILE_MISSING || f->file[i].state == COPY_FILE_WAITS)
            return false;
    return true;
}

int copy_files_look(struct db *db, const char *spool, bool quick, struct copy_files *out)
{
    struct attachments a;
    struct buf now = {0};
    *out = (struct copy_files){0};
    if (attachments_of_copy(db, &a))
        return -1;
    out->any = a.n > 0;
    if (a.n == 0) {
        attachments_free(&a);
        return 0;
    }
    int dir = peer_directory(AT_FDCWD, spool, spool);
    int store = dir < 0 ? -1 : peer_directory(dir, COPY_FILES_STORE, COPY_FILES_STORE);
    int attach = store < 0 ? -1 : peer_directory(dir, COPY_FILES_ATTACH, COPY_FILES_ATTACH);
    int rc = attach < 0 || put_note(db, store, attach, &now) ? -1 : 0;
    if (rc == 0 && !(quick && as_noted(spool, &now))) {
        rc = look(db, &a, store, attach, out);
        buf_clear(&now);
        if (rc == 0 && settled(out) && put_note(db, store, attach, &now) == 0)
            note(spool, &now);
    }
    const int fds[] = {dir, store, attach};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    buf_free(&now);
    attachments_free(&a);
    return rc;
}

void copy_files_free(struct copy_files *f)
{
    free(f->file);
    *f = (struct copy_files){0};
}

const char *copy_file_state_name(enum copy_file_state s)
{
    static const char *const names[] = {"here",       "to be sent", "missing",
                                        "on request", "too large",  "type left out"};
    return names[s];
}

/* ---- adding and asking ---- */

/* to: -1 for nowhere. */
static int copy_bytes(int from, int to, const char *path, char sha[SHA_HEX], int64_t *size)
{
    struct sha *sum = sha_new();
    char *piece = mem_alloc(1 << 16);
    ssize_t n = 0;
    int rc = 0;
    *size = 0;
    while (rc == 0 && (n = file_read(from, piece, 1 << 16, path)) > 0) {
        sha_add(sum, piece, (size_t)n);
        *size += n;
        rc = to < 0 ? 0 : file_write(to, piece, (size_t)n, path);
    }
    sha_end(sum, sha);
    sha_free(sum);
    free(piece);
    return rc || n < 0 ? -1 : 0;
}

void copy_files_sweep(int dir, const char *name)
{
    struct stat st;
    if (strncmp(name, PUT, strlen(PUT)) == 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        st.st_mtime < time(NULL) - DAY)
        unlinkat(dir, name, 0);
}

int copy_files_put(const char *directory, const char *path, const char *expect, char sha[SHA_HEX],
                   int64_t *size)
{
    struct stat st;
    int from = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), to = -1;
    if (from < 0 || fstat(from, &st) || !S_ISREG(st.st_mode)) {
        if (from >= 0)
            close(from);
        return from < 0 ? fail_errno("%s: cannot read", path)
                        : fail(ERR_REFUSED, "%s: no regular file", path);
    }
    char *part = mem_printf("%s/" PUT "%ld", directory, (long)getpid()), *name = NULL;
    int rc = file_make_directory(directory);
    if (rc == 0 && (to = file_create(part)) < 0)
        rc = fail_errno("%s: cannot write", part);
    if (rc == 0)
        rc = copy_bytes(from, to, path, sha, size);
    if (rc == 0 && expect && strcmp(expect, sha) != 0)
        rc = fail(ERR_REFUSED, "%s: its digest is %s", path, sha);
    if (rc == 0) {
        name = file_join(directory, sha);
        rc = fsync(to) || rename(part, name) ? fail_errno("%s: cannot write", name)
                                             : file_sync_directory(directory);
    }
    if (rc && to >= 0)
        unlink(part);
    if (to >= 0)
        close(to);
    close(from);
    free(part);
    free(name);
    return rc;
}

/* Its digest. */
static int sum_file(const char *path, char sha[SHA_HEX])
{
    int64_t size;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int rc = fd < 0 ? fail_errno("%s: cannot read", path) : copy_bytes(fd, -1, path, sha, &size);
    if (fd >= 0)
        close(fd);
    return rc;
}

int copy_files_add(const char *spool, const char *path, char sha[SHA_HEX], int64_t *size)
{
    char *store = file_join(spool, COPY_FILES_STORE), *attach = file_join(spool, COPY_FILES_ATTACH),
         *mark = NULL;
    int rc = file_make_directory(store) || file_make_directory(attach) || sum_file(path, sha) ? -1 : 0;
    if (rc == 0) {
        mark = file_join(attach, sha);
        int fd = open(mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
        rc = fd < 0 || fsync(fd) ? fail_errno("%s: cannot write", mark)
                                 : copy_files_put(store, path, sha, sha, size);
        if (fd >= 0)
            close(fd);
    }
    free(store);
    free(attach);
    free(mark);
    return rc;
}

int copy_files_request(struct db *db, const char *what)
{
    struct attachments a;
    if (attachments_of_copy(db, &a))
        return -1;
    int rc = a.n ? 0 : fail(ERR_REFUSED, "%s: its package names no files", db_path(db));
    int64_t named = 0;
    for (size_t i = 0; rc == 0 && i < a.n; i++) {
        const struct attachment_section *s = &a.section[i];
        struct layout *l = layout_of(db, s->table);
        const char *key = l && l->table->nkey == 1 ? l->table->col[l->table->key[0]] : s->digest;
        int64_t n = 0;
        rc = l == NULL ||
                     db_get_int(db, &n,
                                "SELECT count(*) FROM \"%w\" WHERE \"%w\" IS NOT NULL AND (\"%w\" = %Q OR "
                                "CAST(\"%w\" AS TEXT) = %Q)",
                                s->table, s->digest, s->digest, what, key, what) ||
                     db_execf(db,
                              "INSERT OR IGNORE INTO dx_file_request (digest) SELECT \"%w\" FROM \"%w\" "
                              "WHERE \"%w\" IS "
                              "NOT NULL AND (\"%w\" = %Q OR CAST(\"%w\" AS TEXT) = %Q)",
                              s->digest, s->table, s->digest, s->digest, what, key, what)
                 ? -1
                 : 0;
        named += n;
        layout_free(l);
    }
    attachments_free(&a);
    if (rc == 0 && named == 0)
        rc = fail(ERR_REFUSED, "%s: no row with the key or the digest %s names a file", db_path(db), what);
    return rc;
}
