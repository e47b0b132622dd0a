/* package_files: see nodes/package_files.h. */
#include "nodes/package_files.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 384 };

static const struct bundle_limits limits = {.what = "the files of a package",
                                            .bytes = PACKAGE_FILES_BYTES - LINE - DX_SIGNATURE_MAX,
                                            .expanded = 1 << 30,
                                            .files = 10000};

static const char sql_make[] = "CREATE TABLE IF NOT EXISTS dx_package_file (package TEXT PRIMARY KEY, sha256 "
                               "TEXT NOT NULL, body BLOB NOT NULL, sections TEXT NOT NULL) WITHOUT ROWID";
static const char sql_present[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_package_file'";
static const char sql_put[] =
    "INSERT OR REPLACE INTO dx_package_file (package, sha256, body, sections) VALUES (?1, ?2, ?3, ?4)";

/* ---- on the server ---- */

static int add(struct bundle *b, const char *directory, const char *name)
{
    char *path = file_join(directory, name);
    int rc = file_exists(path) ? bundle_add(b, path, name) : 0;
    free(path);
    return rc;
}

int package_files_pack(const char *directory, const struct buf *attachments, struct buf *out)
{
    size_t before = out->n;
    struct bundle *b = bundle_open(out, &limits);
    if ((attachments->n && bundle_add_bytes(b, PACKAGE_FILES_SECTIONS, attachments->p, attachments->n)) ||
        add(b, directory, PACKAGE_FILES_SQL) || add(b, directory, PACKAGE_FILES_DIRECTORY)) {
        bundle_abort(b);
        return -1;
    }
    bool any = bundle_files(b) > 0;
    int rc = bundle_close(b);
    if (!any)
        out->n = before;
    return rc;
}

static int put(struct db *db, const char *package, const struct buf *payload, const char *sections)
{
    char sha[SHA_HEX];
    struct val body = {.type = VAL_BLOB, .p = payload->p, .n = payload->n};
    struct stmt *s = db_exec(db, sql_make) ? NULL : db_prepare(db, sql_put);
    if (s == NULL)
        return -1;
    sha_hex(payload->p, payload->n, sha);
    stmt_bind_text(s, 1, package);
    stmt_bind_text(s, 2, sha);
    stmt_bind(s, 3, &body);
    stmt_bind_text(s, 4, sections ? sections : "");
    int rc = stmt_run(s);
    stmt_free(s);
    return rc;
}

int package_files_put(struct db *db, const char *package, const struct buf *payload, const char *sections)
{
    char had[SHA_HEX];
    struct buf none = {0};
    if (package_files_digest(db, package, had))
        return -1;
    if (payload->n)
        return put(db, package, payload, sections);
    int rc = *had ? bundle_close(bundle_open(&none, &limits)) || put(db, package, &none, NULL) : 0;
    buf_free(&none);
    return rc ? -1 : 0;
}

int package_files_sections(struct db *db, const char *package, char **sections)
{
    int64_t there;
    *sections = NULL;
    if (db_get_int(db, &there, "%s", sql_present))
        return -1;
    return there ? db_get_text(db, sections,
                               "SELECT nullif(sections, '') FROM dx_package_file WHERE package = %Q", package)
                 : 0;
}

int package_files_digest(struct db *db, const char *package, char digest[SHA_HEX])
{
    int64_t there;
    char *sha = NULL;
    *digest = 0;
    int rc = db_get_int(db, &there, "%s", sql_present);
    if (rc == 0 && there)
        rc = db_get_text(db, &sha, "SELECT sha256 FROM dx_package_file WHERE package = %Q", package);
    if (sha)
        snprintf(digest, SHA_HEX, "%s", sha);
    free(sha);
    return rc;
}

/* What is signed. */
static void put_claim(struct buf *out, const char *package, const char *sha)
{
    buf_addf(out, "dx-package 1 %s %s", package, sha);
}

int package_files_write(struct db *db, const char *package, const char *key, int fd, const char *name)
{
    struct buf head = {0}, signature = {0};
    struct stmt *s = db_preparef(db, "SELECT sha256, body FROM dx_package_file WHERE package = %Q", package);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    int rc = step == STEP_ROW ? 0 : step == STEP_DONE ? fail(ERR_AGAIN, "the package's files are gone") : -1;
    if (rc == 0) {
        struct val body = stmt_val(s, 1);
        put_claim(&head, package, stmt_text(s, 0));
        rc = *key ? signature_make(key, head.p, head.n, &signature) : 0;
        buf_addf(&head, " %zu\n", signature.n);
        buf_add(&head, signature.p, signature.n);
        rc = rc || file_write(fd, head.p, head.n, name) || file_write(fd, body.p, body.n, name) ? -1 : 0;
    }
    stmt_free(s);
    buf_free(&head);
    buf_free(&signature);
    return rc;
}

/* ---- on a copy ---- */

static int no_files(const char *name)
{
    return fail(ERR_REFUSED, "%s: no file of a package's files, or a damaged one", name);
}

/* The line, and the signature behind it. */
static int read_head(int fd, const char *name, struct package_files *f)
{
    char line[LINE + 1];
    unsigned long signature;
    int end = 0;
    ssize_t n = pread(fd, line, LINE, 0);
    line[n > 0 ? n : 0] = 0;
    char *newline = memchr(line, '\n', n > 0 ? (size_t)n : 0);
    if (newline)
        *newline = 0;
    if (newline == NULL ||
        sscanf(line, "dx-package 1 %127s %64[0-9a-f] %6lu%n", f->package, f->digest, &signature, &end) != 3 ||
        line[end] || !meta_node_name(f->package) || strlen(f->digest) != SHA_HEX - 1 ||
        signature > DX_SIGNATURE_MAX)
        return no_files(name);
    off_t at = newline - line + 1;
    f->payload = at + (off_t)signature;
    if (signature && pread(fd, buf_reserve(&f->signature, signature), signature, at) != (ssize_t)signature)
        return no_files(name);
    f->signature.n = signature;
    return 0;
}

int package_files_read(int fd, const char *name, struct package_files *f)
{
    uint8_t piece[1 << 16];
    char sha[SHA_HEX];
    *f = (struct package_files){0};
    if (read_head(fd, name, f))
        return -1;
    struct sha *sum = sha_new();
    off_t at = f->payload;
    ssize_t n;
    while ((n = pread(fd, piece, sizeof piece, at)) > 0 && at < PACKAGE_FILES_BYTES) {
        sha_add(sum, piece, (size_t)n);
        at += n;
    }
    sha_end(sum, sha);
    sha_free(sum);
    if (n < 0)
        return fail_errno("%s: cannot be read", name);
    return n > 0 || strcmp(sha, f->digest) != 0 ? no_files(name) : 0;
}

int package_files_signed(const struct package_files *f, const struct signers *signers, const char *name)
{
    struct buf claim = {0};
    put_claim(&claim, f->package, f->digest);
    int rc = signature_check_text(&f->signature, &claim, signers, SIGNATURE_SERVER, name);
    buf_free(&claim);
    return rc;
}

void package_files_free(struct package_files *f)
{
    buf_free(&f->signature);
}

int package_files_unpack(int fd, const struct package_files *f, const char *name, int root)
{
    return bundle_unpack(fd, f->payload, name, &limits, root);
}
