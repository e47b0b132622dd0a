/* package_files: the files that belong to a package beside package.conf: local.sql, which is run on the copies, and what is
 * below files/, for the client's application. On the server they are a row of dx_package_file, made when there are some.
 *
 * They travel as a file
 *
 *   dx-package 1 PACKAGE SHA256 SIGNATURE-BYTES    a line; the digest is that of the payload
 *   the signature, if any                          by ssh-keygen(1), of that line up to the digest
 *   the payload                                    a bundle (base/bundle.h)
 *
 * in which a package that has no files any more has an empty bundle. */
#ifndef PACKAGE_FILES_H
#define PACKAGE_FILES_H

#include "archive/signature.h"
#include "base/bundle.h"
#include "sql/db.h"

#define PACKAGE_FILES_SQL       "local.sql"
#define PACKAGE_FILES_DIRECTORY "files"
#define PACKAGE_FILES_SECTIONS  "files.json"

enum {
    PACKAGE_FILES_BYTES = 64 << 20, /* of the file that travels at most */
    PACKAGE_FILES_NAME = 128        /* bytes of a package's name, with a NUL */
};

/* Appends the bundle of what lies in the package's directory, and of `attachments` (nodes/attachment.h, for copies; "" for
 * none) as PACKAGE_FILES_SECTIONS; nothing where there is none of them. */
int package_files_pack(const char *directory, const struct buf *attachments, struct buf *out);

/* Stores the bundle as that of the package, with `sections` (attachments_json; NULL), in the caller's write transaction. */
int package_files_put(struct db *db, const char *package, const struct buf *payload, const char *sections);

/* The sections that were stored, to free; NULL where there are none. */
int package_files_sections(struct db *db, const char *package, char **sections);

/* The digest of the package's bundle; "" where it never had files. */
int package_files_digest(struct db *db, const char *package, char digest[SHA_HEX]);

/* Writes the file that travels. key: signs it; "" for no signature. */
int package_files_write(struct db *db, const char *package, const char *key, int fd, const char *name);

/* A file that came. */
struct package_files {
    char package[PACKAGE_FILES_NAME];
    char digest[SHA_HEX]; /* of the payload */
    off_t payload;        /* where it begins */
    struct buf signature;
};

/* Reads its head and checks the payload's digest. package_files_free in any case. -1 (ERR_REFUSED). */
int package_files_read(int fd, const char *name, struct package_files *out);

/* Refuses it unless the server has signed it. */
int package_files_signed(const struct package_files *f, const struct signers *signers, const char *name);
void package_files_free(struct package_files *f);

/* Unpacks the payload into the empty directory `root`. */
int package_files_unpack(int fd, const struct package_files *f, const char *name, int root);

#endif
