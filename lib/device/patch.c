/* patch: see device/patch.h. */
#define _GNU_SOURCE /* strverscmp, O_NOFOLLOW */
#include "device/patch.h"

#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/tar.h"
#include "base/zst.h"
#include "device/handheld.h"
#include "journal/meta.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE = 256, NAME = 200, LEVEL = 9 };

static const char sql_table[] =
    "CREATE TABLE IF NOT EXISTS dx_patch(target TEXT PRIMARY KEY, version TEXT NOT NULL, "
    "sha256 TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID";
static const char sql_present[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_patch'";
static const char sql_put[] =
    "INSERT OR REPLACE INTO dx_patch(target, version, sha256, body) VALUES (?1, ?2, ?3, ?4)";
static const char sql_staged[] =
    "SELECT version, sha256, length(body) FROM dx_patch WHERE target = '" PATCH_HANDHELD "'";
static const char sql_body[] = "SELECT body FROM dx_patch WHERE target = '" PATCH_HANDHELD "'";

bool patch_version(const char *text)
{
    return meta_node_name(text) && isalnum((unsigned char)*text) && strlen(text) < PATCH_VERSION &&
           strcmp(text, "current") != 0;
}

int patch_compare(const char *a, const char *b)
{
    return strverscmp(a, b);
}

/* ---- packing ---- */

struct packing {
    struct buf payload;
    struct zst_writer *z;
    struct tar_writer *t;
    size_t files;
    int64_t bytes;
};

static int to_payload(void *ctx, const void *p, size_t n)
{
    struct buf *payload = ctx;
    if (payload->n + n > PATCH_BYTES - LINE - DX_SIGNATURE_MAX)
        return fail(ERR_REFUSED, "the patch has more than %d bytes when it is compressed", PATCH_BYTES);
    buf_add(payload, p, n);
    return 0;
}

static int to_frames(void *ctx, const void *p, size_t n)
{
    return zst_write(ctx, p, n);
}

/* A relative path of names that mean nothing but themselves. */
static bool good_name(const char *name)
{
    size_t at = 0;
    if (strlen(name) > NAME)
        return false;
    for (const char *p = name;; p++) {
        if (*p && *p != '/') {
            if (iscntrl((unsigned char)*p) || *p == '\\')
                return false;
            at++;
            continue;
        }
        if (at == 0 || (at == 1 && p[-1] == '.') || (at == 2 && p[-1] == '.' && p[-2] == '.'))
            return false;
        if (*p == 0)
            return true;
        at = 0;
    }
}

static int pack_bytes(struct packing *k, int fd, const char *name, int64_t size)
{
    char piece[1 << 16];
    int64_t left = size;
    while (left) {
        ssize_t n = file_read(fd, piece, left < (int64_t)sizeof piece ? (size_t)left : sizeof piece, name);
        if (n < 0)
            return -1;
        if (n == 0)
            return fail(ERR_REFUSED, "%s: it changes while it is read", name);
        if (tar_data(k->t, piece, (size_t)n))
            return -1;
        left -= n;
    }
    return tar_end(k->t);
}

/* One file, under the name that it gets on the device. */
static int pack_file(struct packing *k, const char *path, const char *name)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return fail_errno("%s: cannot be read", path);
    int rc = 0;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        rc = fail(ERR_REFUSED, "%s: a patch holds regular files only", path);
    else if (!good_name(name))
        rc = fail(ERR_REFUSED,
                  "%s: a name of more than %d bytes, or with a character that not all systems take", path,
                  NAME);
    else if (++k->files > PATCH_FILES || (k->bytes += st.st_size) > PATCH_EXPANDED)
        rc = fail(ERR_REFUSED, "a patch has at most %d files and %d bytes", PATCH_FILES, PATCH_EXPANDED);
    else
        rc = tar_begin(k->t, name, (uint64_t)st.st_size) || pack_bytes(k, fd, path, st.st_size) ? -1 : 0;
    close(fd);
    return rc;
}

static int pack_path(struct packing *k, const char *path, const char *name);

/* In the order of their names: the same files make the same patch. */
static int pack_directory(struct packing *k, const char *path, const char *name)
{
    struct dirent **entry;
    int n = scandir(path, &entry, NULL, alphasort), rc = n < 0 ? fail_errno("%s: cannot be read", path) : 0;
    for (int i = 0; i < n; i++) {
        const char *e = entry[i]->d_name;
        if (rc == 0 && strcmp(e, ".") != 0 && strcmp(e, "..") != 0) {
            char *below = file_join(path, e), *as = name ? file_join(name, e) : mem_text(e);
            rc = pack_path(k, below, as);
            free(below);
            free(as);
        }
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return rc;
}

static int pack_path(struct packing *k, const char *path, const char *name)
{
    struct stat st;
    if (lstat(path, &st))
        return fail_errno("%s: cannot be read", path);
    if (S_ISDIR(st.st_mode))
        return name && !good_name(name) ? fail(ERR_REFUSED, "%s: a name that not all systems take", path)
                                        : pack_directory(k, path, name);
    if (!S_ISREG(st.st_mode))
        return fail(ERR_REFUSED, "%s: a patch holds regular files only", path);
    const char *slash = strrchr(path, '/');
    return pack_file(k, path, name ? name : slash ? slash + 1 : path);
}

/* The files as a tar in zstd frames. */
static int pack(const char *path, struct buf *payload)
{
    struct packing k = {0};
    k.z = zst_writer_new(LEVEL, to_payload, payload);
    k.t = tar_writer_new(to_frames, k.z);
    int rc = pack_path(&k, path, NULL);
    if (rc == 0 && k.files == 0)
        rc = fail(ERR_REFUSED, "%s: there is no file in it", path);
    if (rc == 0)
        rc = tar_finish(k.t) || zst_seal(k.z) ? -1 : 0;
    tar_writer_free(k.t);
    zst_writer_free(k.z);
    return rc;
}

/* ---- the file ---- */

/* What is signed. */
static void put_claim(struct buf *out, const char *version, const char *sha)
{
    buf_addf(out, "dx-patch 1 " PATCH_HANDHELD " %s %s", version, sha);
}

static int compose(const struct buf *payload, const char *version, const char *key, struct buf *out)
{
    char sha[SHA_HEX];
    struct buf claim = {0}, signature = {0};
    sha_hex(payload->p, payload->n, sha);
    put_claim(&claim, version, sha);
    int rc = key ? signature_make(key, claim.p, claim.n, &signature) : 0;
    buf_add(out, claim.p, claim.n);
    buf_addf(out, " %zu\n", signature.n);
    buf_add(out, signature.p, signature.n);
    buf_add(out, payload->p, payload->n);
    buf_free(&claim);
    buf_free(&signature);
    return rc;
}

/* A patch file that is open. */
struct file {
    const char *name;
    int fd;
    struct patch about;
    char sha[SHA_HEX]; /* of the payload */
    struct buf signature;
    off_t payload; /* where it begins */
};

static int no_patch(const struct file *f)
{
    return fail(ERR_REFUSED, "%s: no patch file, or a damaged one", f->name);
}

/* The line, and the signature behind it. */
static int read_head(struct file *f)
{
    char line[LINE + 1], target[32], version[PATCH_VERSION], sha[SHA_HEX];
    unsigned long signature;
    int end = 0;
    ssize_t n = pread(f->fd, line, LINE, 0);
    line[n > 0 ? n : 0] = 0;
    char *newline = memchr(line, '\n', n > 0 ? (size_t)n : 0);
    if (newline)
        *newline = 0;
    if (newline == NULL ||
        sscanf(line, "dx-patch 1 %31s %63s %64[0-9a-f] %6lu%n", target, version, sha, &signature, &end) !=
            4 ||
        line[end] || strcmp(target, PATCH_HANDHELD) != 0 || !patch_version(version) ||
        strlen(sha) != SHA_HEX - 1 || signature > DX_SIGNATURE_MAX)
        return no_patch(f);
    memcpy(f->about.version, version, sizeof version);
    memcpy(f->sha, sha, sizeof sha);
    off_t at = newline - line + 1;
    f->payload = at + (off_t)signature;
    if (signature && pread(f->fd, buf_reserve(&f->signature, signature), signature, at) != (ssize_t)signature)
        return no_patch(f);
    f->signature.n = signature;
    return 0;
}

/* Both digests: of all, and of the payload. */
static int sum_up(struct file *f)
{
    uint8_t piece[1 << 16];
    char sha[SHA_HEX];
    struct sha *all = sha_new(), *payload = sha_new();
    off_t at = 0;
    ssize_t n;
    while ((n = pread(f->fd, piece, sizeof piece, at)) > 0) {
        off_t skip = at < f->payload ? f->payload - at : 0;
        sha_add(all, piece, (size_t)n);
        if (skip < n)
            sha_add(payload, piece + skip, (size_t)(n - skip));
        at += n;
        if (at > PATCH_BYTES)
            break;
    }
    sha_end(all, f->about.digest);
    sha_end(payload, sha);
    sha_free(all);
    sha_free(payload);
    f->about.bytes = at;
    if (n < 0)
        return fail_errno("%s: cannot be read", f->name);
    return at > PATCH_BYTES || strcmp(sha, f->sha) != 0 ? no_patch(f) : 0;
}

int patch_check(int fd, const char *name, struct patch *out)
{
    struct file f = {.name = name, .fd = fd};
    int rc = read_head(&f) || sum_up(&f) ? -1 : 0;
    if (rc == 0 && out)
        *out = f.about;
    buf_free(&f.signature);
    return rc;
}

/* ---- on the server ---- */

static int present(struct db *db, bool *there)
{
    int64_t n;
    int rc = db_get_int(db, &n, "%s", sql_present);
    *there = n > 0;
    return rc;
}

int patch_staged(struct db *db, struct patch *out)
{
    bool there;
    *out = (struct patch){0};
    if (present(db, &there) || !there)
        return there ? -1 : 0;
    struct stmt *s = db_prepare(db, sql_staged);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    if (step == STEP_ROW) {
        snprintf(out->version, sizeof out->version, "%s", stmt_text(s, 0));
        snprintf(out->digest, sizeof out->digest, "%s", stmt_text(s, 1));
        out->bytes = stmt_int(s, 2);
    }
    stmt_free(s);
    return step == STEP_ROW ? 1 : step == STEP_DONE ? 0 : -1;
}

static int put(struct db *db, const struct patch *p, const struct buf *body)
{
    if (db_exec(db, sql_table))
        return -1;
    struct val blob = {.type = VAL_BLOB, .p = body->p, .n = body->n};
    struct stmt *s = db_prepare(db, sql_put);
    if (s == NULL)
        return -1;
    stmt_bind_text(s, 1, PATCH_HANDHELD);
    stmt_bind_text(s, 2, p->version);
    stmt_bind_text(s, 3, p->digest);
    stmt_bind(s, 4, &blob);
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

int patch_stage(struct db *db, const char *path, const char *version, const char *key, struct patch *out)
{
    struct patch before, new = {0};
    struct buf payload = {0}, body = {0};
    if (!patch_version(version))
        return fail(ERR_USAGE, "'%s' is no version: letters, digits, . _ - only, 63 at most", version);
    int rc = patch_staged(db, &before);
    if (rc == 1 && patch_compare(version, before.version) <= 0)
        return fail(
            ERR_REFUSED,
            "version %s is staged, and %s is not newer; devices take newer ones only (to take it back: "
            "txnroute patch DB --withdraw)",
            before.version, version);
    rc = rc < 0 || pack(path, &payload) || compose(&payload, version, key, &body) ? -1 : 0;
    if (rc == 0) {
        snprintf(new.version, sizeof new.version, "%s", version);
        sha_hex(body.p, body.n, new.digest);
        new.bytes = (int64_t)body.n;
        rc = put(db, &new, &body);
        *out = new;
    }
    buf_free(&payload);
    buf_free(&body);
    return rc;
}

int patch_withdraw(struct db *db)
{
    bool there;
    return present(db, &there) || (there && db_exec(db, "DELETE FROM dx_patch")) ? -1 : 0;
}

int patch_write(struct db *db, int fd, const char *name)
{
    struct stmt *s = db_prepare(db, sql_body);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    int rc = step == STEP_ERROR ? -1 : step == STEP_DONE ? fail(ERR_AGAIN, "the patch was withdrawn") : 0;
    if (rc == 0) {
        struct val body = stmt_val(s, 0);
        rc = file_write(fd, body.p, body.n, name);
    }
    stmt_free(s);
    return rc;
}

/* ---- unpacking ---- */

/* Removes a directory and all below it; nothing is followed. */
static int remove_tree(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return errno == ENOENT ? 0 : unlinkat(at, name, 0);
    }
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlinkat(fd, e->d_name, 0))
            rc = errno == EISDIR || errno == EPERM ? remove_tree(fd, e->d_name) : -1;
    closedir(d);
    return rc ? -1 : unlinkat(at, name, AT_REMOVEDIR);
}

/* The directory in which the file lies, below `root`, made where it is missing. What is there was made by this unpacking: no
 * link is followed. */
static int open_parent(int root, const char *name, const char **last)
{
    int at = dup(root);
    for (const char *slash; at >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
        char *part = mem_printf("%.*s", (int)(slash - name), name);
        int next = mkdirat(at, part, 0777) && errno != EEXIST
                       ? -1
                       : openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        free(part);
        close(at);
        at = next;
    }
    *last = name;
    return at;
}

static int unpack_file(struct tar_reader *t, int root, const char *name)
{
    char piece[1 << 16];
    const char *last;
    long n = 0;
    int parent = open_parent(root, name, &last);
    int fd =
        parent < 0 ? -1 : openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    int rc = fd < 0 ? fail_errno("%s: cannot be made", name) : 0;
    while (rc == 0 && (n = tar_read(t, piece, sizeof piece)) > 0)
        rc = file_write(fd, piece, (size_t)n, name);
    if (fd >= 0)
        close(fd);
    if (parent >= 0)
        close(parent);
    return n < 0 ? -1 : rc;
}

static long from_frames(void *ctx, const void **p)
{
    return zst_read(ctx, p);
}

/* All files, into the directory `root`. */
static int unpack(const struct file *f, int root)
{
    const char *member;
    uint64_t size, all = 0;
    size_t files = 0;
    int more = 0, rc = 0;
    if (lseek(f->fd, f->payload, SEEK_SET) < 0)
        return fail_errno("%s: cannot be read", f->name);
    struct zst_reader *z = zst_reader_new(f->fd, f->name);
    struct tar_reader *t = z && zst_more(z) > 0 ? tar_reader_new(from_frames, z, f->name) : NULL;
    if (t == NULL)
        rc = no_patch(f);
    while (rc == 0 && (more = tar_next(t, &member, &size)) > 0) {
        char *name = mem_text(member);
        if (!good_name(name) || ++files > PATCH_FILES || (all += size) > PATCH_EXPANDED)
            rc = fail(ERR_REFUSED, "%s: a file with a name that leads elsewhere, or too much in it", f->name);
        else
            rc = unpack_file(t, root, name);
        free(name);
    }
    tar_reader_free(t);
    zst_reader_free(z);
    return rc || more < 0 ? -1 : file_sync_system(root, f->name);
}

/* DEVICE.db-app, opened. */
static int open_app(const char *device)
{
    char *path = mem_printf("%s-app", device);
    int fd = mkdir(path, 0777) && errno != EEXIST
                 ? -1
                 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        fail_errno("%s: cannot be made", path);
    free(path);
    return fd;
}

/* The directory of the version, whole or not at all. */
static int unpack_version(const struct file *f, int app)
{
    struct stat st;
    char *part = mem_printf(".%s.part", f->about.version);
    int rc = remove_tree(app, part) && errno != ENOENT ? fail_errno("%s: cannot be removed", part) : 0,
        fd = -1;
    if (rc == 0 && fstatat(app, f->about.version, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        free(part); /* an installation that was cut off behind this step; it is whole */
        return 0;
    }
    if (rc == 0 && (mkdirat(app, part, 0777) ||
                    (fd = openat(app, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0))
        rc = fail_errno("%s: cannot be made", part);
    if (rc == 0)
        rc = unpack(f, fd);
    crashpoint();
    if (rc == 0 && (renameat(app, part, app, f->about.version) || fsync(app)))
        rc = fail_errno("%s: cannot be made", f->about.version);
    if (rc)
        remove_tree(app, part);
    if (fd >= 0)
        close(fd);
    free(part);
    return rc;
}

/* ---- on the device ---- */

static struct db *open_device(const char *path, enum db_mode mode)
{
    char *why = NULL;
    if (handheld_hold(path, &why)) /* refuses what is no paired device */
        return NULL;
    free(why);
    return db_open(path, mode);
}

int patch_software(const char *device, char **version)
{
    struct db *db = open_device(device, DB_READ);
    int rc = db ? meta_get_text(db, "software", version) : -1;
    db_close(db);
    return rc;
}

int patch_set_software(const char *device, const char *version)
{
    if (!patch_version(version))
        return fail(ERR_USAGE, "'%s' is no version: letters, digits, . _ - only, 63 at most", version);
    struct db *db = open_device(device, DB_WRITE);
    int rc = db ? db_begin_write(db) || meta_set_text(db, "software", version) || db_commit(db) : -1;
    db_close(db);
    return rc ? -1 : 0;
}

/* Makes `current` lead to what the database says is in use. A link is replaced as a whole. */
static int point(int app, const char *version)
{
    char now[PATCH_VERSION + 1] = "";
    ssize_t n = readlinkat(app, "current", now, sizeof now - 1);
    struct stat st;
    if ((n > 0 && strcmp(now, version) == 0) || fstatat(app, version, &st, AT_SYMLINK_NOFOLLOW))
        return 0;
    unlinkat(app, ".current.new", 0);
    if (symlinkat(version, app, ".current.new") || renameat(app, ".current.new", app, "current") ||
        fsync(app))
        return fail_errno("current: cannot be made");
    return 0;
}

/* In one transaction: what is in use now, and that the device must synchronize before it starts. */
static int note_installed(struct db *db, const char *version, const char *before, const char *skip)
{
    char *why = mem_printf("version %s was installed", version);
    int rc = meta_set_text(db, "software", version) || meta_set_text(db, "software_before", before) ||
                     meta_set_text(db, "software_skip", skip) || meta_set_text(db, "hold", why) ||
                     meta_set_text(db, "hold_by", "patch") || db_commit(db)
                 ? -1
                 : 0;
    free(why);
    return rc;
}

/* What the device has of versions. */
struct installed {
    char *software, *before, *skip;
};

static int read_installed(struct db *db, struct installed *i)
{
    return meta_get_text(db, "software", &i->software) || meta_get_text(db, "software_before", &i->before) ||
                   meta_get_text(db, "software_skip", &i->skip)
               ? -1
               : 0;
}

static void free_installed(struct installed *i)
{
    free(i->software);
    free(i->before);
    free(i->skip);
}

static bool wanted(const struct installed *i, const char *version)
{
    return (i->software == NULL || patch_compare(version, i->software) > 0) &&
           (i->skip == NULL || strcmp(version, i->skip) != 0);
}

static int check_signature(const struct file *f, const struct signers *signers)
{
    struct buf claim = {0};
    put_claim(&claim, f->about.version, f->sha);
    int rc = signers ? signature_check_text(&f->signature, &claim, signers, SIGNATURE_SERVER, f->name) : 0;
    buf_free(&claim);
    return rc;
}

/* The files are there before the database says so, and the link follows: an application that starts in between is told to wait. */
static int install(const struct file *f, const char *device, const struct signers *signers)
{
    struct installed i = {0};
    int app = -1, done = 0;
    struct db *db = open_device(device, DB_WRITE);
    int rc = db && db_begin_write(db) == 0 ? read_installed(db, &i) : -1;
    if (rc == 0 && wanted(&i, f->about.version)) {
        done = 1;
        rc = check_signature(f, signers) || (app = open_app(device)) < 0 || unpack_version(f, app) ||
                     note_installed(db, f->about.version, i.software, NULL)
                 ? -1
                 : 0;
        crashpoint();
        if (rc == 0)
            rc = point(app, f->about.version);
        if (rc == 0 && i.before) /* two versions are kept */
            remove_tree(app, i.before);
    }
    if (app >= 0)
        close(app);
    db_close(db);
    free_installed(&i);
    return rc ? -1 : done;
}

int patch_install(const char *file, const char *device, const struct signers *signers, struct patch *out)
{
    struct file f = {.name = file};
    *out = (struct patch){0};
    f.fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (f.fd < 0)
        return errno == ENOENT ? 0 : fail_errno("%s: cannot be read", file);
    int rc = read_head(&f) || sum_up(&f) ? -1 : install(&f, device, signers);
    *out = f.about;
    buf_free(&f.signature);
    close(f.fd);
    return rc;
}

int patch_rollback(const char *device, char version[PATCH_VERSION])
{
    struct installed i = {0};
    struct stat st;
    int app = -1;
    struct db *db = open_device(device, DB_WRITE);
    int rc = db && db_begin_write(db) == 0 ? read_installed(db, &i) : -1;
    if (rc == 0)
        rc = (app = open_app(device)) < 0 ? -1 : 0;
    if (rc == 0 && (i.before == NULL || fstatat(app, i.before, &st, AT_SYMLINK_NOFOLLOW)))
        rc = fail(ERR_REFUSED, "%s: there is no version before %s to go back to", device,
                  i.software ? i.software : "the first");
    if (rc == 0)
        rc = note_installed(db, i.before, NULL, i.software) || point(app, i.before) ? -1 : 0;
    if (rc == 0)
        snprintf(version, PATCH_VERSION, "%s", i.before);
    if (app >= 0)
        close(app);
    db_close(db);
    free_installed(&i);
    return rc;
}

int patch_settle(const char *device)
{
    char *by = NULL, *software = NULL;
    struct db *db = open_device(device, DB_WRITE);
    int rc = db && db_begin_write(db) == 0 ? meta_get_text(db, "hold_by", &by) : -1;
    if (rc == 0 && by)
        rc = meta_get_text(db, "software", &software);
    if (rc == 0 && software) {
        int app = open_app(device); /* an installation that was cut off before its last step */
        rc = app < 0 ? -1 : point(app, software);
        if (app >= 0)
            close(app);
    }
    if (rc == 0 && by)
        rc = meta_set_text(db, "hold", NULL) || meta_set_text(db, "hold_by", NULL) || db_commit(db) ? -1 : 0;
    db_close(db);
    free(by);
    free(software);
    return rc;
}
