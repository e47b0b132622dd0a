/* attachment: files that rows name by their SHA-256: the sections [files NAME] of a package, kept as JSON on the server (in
 * dx_package_file) and on copies (dx_meta `files`), and which node may have which file.
 *
 * A node may fetch a file if it holds a row that names the file. Whoever writes a row can name any file by its digest: a
 * row in which a node's upload names a file that the node was not given is noted as its claim (dx_file_claim), and gives that
 * file to nobody until the node has shown that it has it, by sending it. */
#ifndef ATTACHMENT_H
#define ATTACHMENT_H

#include "base/conf.h"
#include "base/sha.h"
#include "nodes/node.h"
#include "nodes/package.h"

enum attachment_delivery { DELIVERY_REQUESTED, DELIVERY_PUBLISHED, DELIVERY_BROADCAST };

struct attachment_section {
    char *name, *table;
    char *digest;       /* the column that holds the SHA-256, as 64 lower-case hex digits; NULL: no file */
    char *size, *label; /* columns of its size in bytes and of its name for people; "" for none */
    char *type;         /* column of its media type; "" for none */
    char *types;        /* those that travel: "image/ *, application/pdf"; "" for all */
    char *rule;         /* published: a SELECT of (node, key); "" */
    enum attachment_delivery delivery;
    int64_t max; /* bytes; larger ones do not travel; 0: no limit */
};

struct attachments {
    struct attachment_section *section;
    size_t n;
};

/* Reads the sections of package.conf, whose objects are complete in p. -1 with file, line and remedy. */
int attachments_read(struct db *db, const struct conf *c, const struct package *p, struct attachments *out);
void attachments_free(struct attachments *a);

/* As JSON; `rules`: with those, which are not for copies. "" where there is no section. And back, from what either side has
 * stored; a copy's are checked to be of its own tables. */
void attachments_json(const struct attachments *a, bool rules, struct buf *out);
int attachments_of_package(struct db *db, const char *package, struct attachments *out);
int attachments_of_copy(struct db *db, struct attachments *out);

/* Whether files of that type travel, by a list of types. type: NULL for none. */
bool attachment_type_travels(const char *types, const char *type);

/* The number of a file in a session: the first 48 bits of its digest. */
int64_t attachment_number(const char *sha);

/* Appends SELECT of (digest, size, type, packed key) of the section's rows, up to "WHERE digest column". */
void attachment_select(const struct attachment_section *s, const struct table *t, struct buf *sql);

/* ---- on the server ---- */

/* Makes dx_file_claim and dx_file_unused, if not there. */
int attachment_init(struct db *db);

/* What a node may have, asked for many files; the node must outlive it. A rule that does not work any more, as when its table
 * was changed, gives to nobody: uploads and rows are not held up. NULL on failure. */
struct attachment_view *attachment_view_open(struct db *db, const struct node *n);
void attachment_view_close(struct attachment_view *v); /* NULL is fine */

/* Whether the node may have the file now: 1, 0, -1. all: by what it sees, whatever limits and delivery say. */
int attachment_view_may(struct attachment_view *v, const char *sha, bool all);

/* In a merge: the node's upload has put these values into the row with that packed key. A digest among them that the node
 * may not have by another row is noted: by this row nobody gets the file until the node has sent it. */
int attachment_claim(struct attachment_view *v, const struct table *t, const struct val *values,
                     const struct val *key);

/* Whether the node has claimed it: 1, 0, -1; and that it has shown that it has it. */
int attachment_claimed(struct db *db, int64_t node, const char *sha);
int attachment_prove(struct db *db, int64_t node, const char *sha);

#endif
