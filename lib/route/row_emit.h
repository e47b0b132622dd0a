/* row_emit: what one row comes to, and for whom: by its audience before and after, who touched it, and who asked for it.
 * The changes go into pieces, the blocks of archives. */
#ifndef ROW_EMIT_H
#define ROW_EMIT_H

#include "journal/journal.h"
#include "route/audience_diff.h"
#include "route/block_pool.h"
#include "route/object_delta.h"
#include "sql/key_cursor.h"

struct sender {
    struct db *db;
    struct audiences *audiences;
    int64_t only; /* audience of the nodes that are dealt with; AUDIENCE_ALL: new ones, too */
    struct pieces pieces;
    struct shares *shares;
    size_t nname; /* the package's nodes by name, for echoes: ascending */
    char **name;
    int64_t *id;
};

/* What it puts aside goes to the spill. */
void sender_init(struct sender *s, struct db *db, struct audiences *a, struct spill *spill);
void sender_free(struct sender *s);

/* Reads the package's nodes from temp.dx_node_now. */
int sender_nodes(struct sender *s);

/* An object whose rows are sent one by one, in the order of their keys. */
struct sending {
    struct sender *sender;
    const struct viewed *w;
    const struct table *table; /* as it travels */
    struct val *key;           /* of the row at hand: set by the caller, in the table's key order */
    struct val *old, *new;     /* room for a change */
    struct walk *row;          /* the table as it is now */
    struct stmt *forcing;
    bool forced; /* there are requests for rows of the object */
    int *map;    /* column of the table -> column of `mapped`, or -1 */
    const struct table *mapped;
    struct buf room;
};

/* temp.dx_forcing must hold the object's requests. What was opened is to be closed on failure, too. */
int sending_open(struct sending *g, struct sender *s, const struct viewed *w);
void sending_close(struct sending *g);

/* What is known of a row: its net change (NULL: none), who touched it, its audiences. */
struct known_row {
    const struct change *net;
    struct journal_touch touch;
    bool forced; /* there may be requests for it */
    int64_t old, new;
};

/* Sends the row under g->key to everybody whom it concerns. */
int sending_row(struct sending *g, const struct known_row *r);

/* Sends the row at which a statement over the table's columns stands, whole. */
int sending_whole(struct sending *g, int64_t audience, struct stmt *row);

#endif
