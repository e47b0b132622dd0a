/* row_emit: what one row comes to, and for whom: by its audience before and after, who touched it, and who asked for it.
 * The changes go into pieces, the blocks of archives. */
#ifndef ROW_EMIT_H
#define ROW_EMIT_H

#include "journal/journal.h"
#include "route/audience_diff.h"
#include "route/block_pool.h"
#include "route/object_delta.h"
#include "sql/key_cursor.h"

struct row_emitter {
    struct db *db;
    struct audiences *audiences;
    int64_t only; /* audience of the nodes that are dealt with; AUDIENCE_ALL: new ones, too */
    struct block_pool pieces;
    struct audience_diffs *shares;
    struct set_aside *aside; /* gets the rows that no archive carries */
    size_t nname;            /* the package's nodes by name, for echoes: ascending */
    char **name;
    int64_t *id;
};

/* What it puts aside goes to the spill. */
void row_emit_init(struct row_emitter *s, struct db *db, struct audiences *a, struct spill *spill);
void row_emit_free(struct row_emitter *s);

/* Reads the package's nodes from rules/package_nodes.h. */
int row_emit_nodes(struct row_emitter *s);

/* An object whose rows are sent one by one, in the order of their keys. */
struct row_emit_object {
    struct row_emitter *sender;
    const struct object_delta *w;
    const struct table *table; /* as it travels */
    struct val *key;           /* of the row at hand: set by the caller, in the table's key order */
    struct val *old, *new;     /* room for a change */
    struct key_cursor *row;    /* the table as it is now */
    struct stmt *forcing;
    bool forced; /* there are requests for rows of the object */
    struct stmt *
        owed; /* asks whether a row was set aside, and so is sent whole to all that hold it; NULL: none was */
    int64_t
        late; /* audience of nodes that got a snapshot while the object was set aside: of what they wrote they know
                        * nothing any more */
    int *map; /* column of the table -> column of `mapped`, or -1 */
    const struct table *mapped;
    struct buf room;
};

/* row_requests_read must have been called for the object. What was opened is to be closed on failure, too. */
int row_emit_object_open(struct row_emit_object *g, struct row_emitter *s, const struct object_delta *w);
void row_emit_object_close(struct row_emit_object *g);

/* What is known of a row: its net change (NULL: none), who touched it, its audiences. */
struct known_row {
    const struct change *net;
    struct journal_touch touch;
    bool forced; /* there may be requests for it, or it may have been set aside */
    int64_t old, new;
};

/* Sends the row under g->key to everybody whom it concerns. */
int row_emit_object_row(struct row_emit_object *g, const struct known_row *r);

/* Sends the row at which a statement over the table's columns stands, whole. */
int row_emit_object_whole(struct row_emit_object *g, int64_t audience, struct stmt *row);

#endif
