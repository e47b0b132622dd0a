/* patch: see device/patch.h. */
#define _GNU_SOURCE /* strverscmp, O_NOFOLLOW */
#include "device/patch.h"

#include "base/bundle.h"
#include "base/crashpoint.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "device/handheld.h"
#include "journal/meta.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE = 256 };

static const struct bundle_limits limits = {.what = "a patch",
                                            .bytes = PATCH_BYTES - LINE - DX_SIGNATURE_MAX,
                                            .expanded = PATCH_EXPANDED,
                                            .files = PATCH_FILES};

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

/* ---- the file ---- */

static int pack(const char *path, struct buf *payload)
{
    struct bundle *b = bundle_open(payload, &limits);
    int rc = bundle_add(b, path, NULL);
    if (rc == 0 && bundle_files(b) == 0)
        rc = fail(ERR_REFUSED, "%s: there is no file in it", path);
    if (rc) {
        bundle_abort(b);
        return -1;
    }
    return bundle_close(b);
}

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

/* ---- installing ---- */

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
    int rc = bundle_remove(app, part) && errno != ENOENT ? fail_errno("%s: cannot be removed", part) : 0,
        fd = -1;
    if (rc == 0 && fstatat(app, f->about.version, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        free(part); /* an installation that was cut off behind this step; it is whole */
        return 0;
    }
    if (rc == 0 && (mkdirat(app, part, 0777) ||
                    (fd = openat(app, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0))
        rc = fail_errno("%s: cannot be made", part);
    if (rc == 0)
        rc = bundle_unpack(f->fd, f->payload, f->name, &limits, fd);
    crashpoint();
    if (rc == 0 && (renameat(app, part, app, f->about.version) || fsync(app)))
        rc = fail_errno("%s: cannot be made", f->about.version);
    if (rc)
        bundle_remove(app, part);
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

/* The files are there before the database says so, and the link follows: an application that starts in between
 * finds that it must wait. */
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
            bundle_remove(app, i.before);
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

int patch_holds(struct db *device)
{
    char *by = NULL;
    int rc = meta_get_text(device, "hold_by", &by);
    bool holds = by != NULL;
    free(by);
    return rc ? -1 : holds;
}

int patch_settle(const char *device)
{
    char *by = NULL, *software = NULL;
    struct db *db = open_device(device, DB_WRITE);
    int rc = db ? meta_get_text(db, "hold_by", &by) : -1;
    if (rc == 0 && by)
        rc = db_begin_write(db);
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
