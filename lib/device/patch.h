/* patch: a new version of a handheld's software: staged at the server, carried to companions, installed on devices.
 *
 * A patch file is
 *
 *   dx-patch 1 TARGET VERSION SHA256 SIGNATURE-BYTES    a line; the digest is that of the payload
 *   the signature, if any                               by ssh-keygen(1), of that line up to the digest
 *   the payload                                         files, as a tar in zstd frames
 *
 * On the server it is a row of dx_patch, made when the first one is staged. On a companion it is PC.db-dx/patch. On a device
 * the files of each version are a directory DEVICE.db-app/VERSION, and DEVICE.db-app/current is a link to the one in use.
 * Facts in dx_meta of the device: software, software_before (for a rollback), software_skip (rolled back: not again). */
#ifndef PATCH_H
#define PATCH_H

#include "archive/signature.h"
#include "sql/db.h"

enum {
    PATCH_BYTES = 64 << 20,   /* of a patch file at most */
    PATCH_EXPANDED = 1 << 30, /* of its files together */
    PATCH_FILES = 10000,
    PATCH_VERSION = 64 /* bytes of a version, with a NUL */
};

#define PATCH_HANDHELD "handheld" /* the one target that there is */

struct patch {
    char version[PATCH_VERSION];
    char digest[SHA_HEX]; /* of the patch file */
    int64_t bytes;
};

/* 1 to 63 of A-Z a-z 0-9 . _ -, beginning with a letter or a digit, and not "current". */
bool patch_version(const char *text);

/* Numbers in versions count as numbers: 2.10 is after 2.9. As strcmp. */
int patch_compare(const char *a, const char *b);

/* Stages the file or the directory at `path`; the one staged before is replaced. key: signs it; NULL. In the caller's write
 * transaction. Refused: a version that is not newer than the one staged, a link or a device among the files. */
int patch_stage(struct db *db, const char *path, const char *version, const char *key, struct patch *out);
int patch_withdraw(struct db *db);

/* The one that is staged: 1, 0 for none, -1. */
int patch_staged(struct db *db, struct patch *out);
int patch_write(struct db *db, int fd, const char *name); /* its file */

/* Reads and checks a patch file from its start, the payload's digest too. -1 (ERR_REFUSED). */
int patch_check(int fd, const char *name, struct patch *out);

/* Installs the patch file on the device if it is newer than what the device has: 1, 0 when there is nothing to do, -1 with
 * the device as it was. The device must then synchronize before it starts. signers: demand a signature of the server; NULL.
 * A file that is absent is nothing to do. */
int patch_install(const char *file, const char *device, const struct signers *signers, struct patch *out);

/* Back to the version before, which is then not installed again. Refused when there is none. */
int patch_rollback(const char *device, char version[PATCH_VERSION]);

/* A synchronization of the device is complete: what was held back by a patch may start. */
int patch_settle(const char *device);

/* Whether a patch holds it back: 1, 0, -1. */
int patch_holds(struct db *device);

/* The version of the device's software, to free; NULL when it is not known. */
int patch_software(const char *device, char **version);
int patch_set_software(const char *device, const char *version);

#endif
