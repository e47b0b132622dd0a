/* changeset: SQLite's changeset and patchset formats, encode beside decode.
 *
 * Format, from the comment "CHANGESET FORMAT" in SQLite's ext/session/sqlite3session.c:
 *
 *   table header  'T' (changeset) or 'P' (patchset), varint number of columns, a byte per column (its place
 *                 in the key, 0 for none), the table's name, NUL
 *   change        op byte (18 insert, 23 update, 9 delete), indirect byte, then records:
 *                   changeset: insert new; delete old; update old, new
 *                   patchset:  insert new; delete the key's values only; update one record (key, new values)
 *   record        a value per column; see val_put
 *
 * A table header governs the changes up to the next one. */
#ifndef CHANGESET_H
#define CHANGESET_H

#include "data/change.h"

enum changeset_form { CHANGESET_FULL = 'T', CHANGESET_PATCH = 'P' };

enum { CHANGESET_COLUMNS_MAX = 32767 };

void changeset_put_table(struct buf *b, const struct table *t, enum changeset_form form);

/* Appends a change. In full form an update's old must hold the key and the old value of each changed column, as far
 * as it is known (VAL_NONE where it is not, as in archives of rows), a delete's old every column that is known. */
void changeset_put_change(struct buf *b, const struct change *c, enum changeset_form form);

/* A table header as decoded; name and pk point into the bytes. */
struct changeset_table {
    enum changeset_form form;
    size_t ncol;
    const uint8_t *pk;
    const char *name;
};

/* Decodes a table header. Wire state says whether it was whole. */
void changeset_get_table(struct wire *w, struct changeset_table *out);

/* Decodes a change of table c->table into c->op and the arrays c->old and c->new, which the caller provides
 * (ncol values each); texts and blobs point into the wire's bytes. Whatever a record must not hold (a hole in an
 * insert's key, a changed key in an update, an unknown op) makes the wire bad. */
void changeset_get_change(struct wire *w, enum changeset_form form, struct change *c);

#endif
