/* fanrow: what one row of an object comes to, and for whom: by its audience before and after, who touched it, and who
 * asked for it. */
#ifndef FANROW_H
#define FANROW_H

#include "fan.h"
#include "journal.h"
#include "walk.h"

/* One object on its way. */
struct fanning {
    struct fan *f;
    const struct viewed *w;
    const struct table *sent;
    struct walk *row, *member;
    struct stmt *forcing;
    bool forced; /* there are requests for rows of the object */
    struct journal_net *net;
    struct stmt *moved;
    int *map; /* sent column -> column of the journal's layout, or -1 */
    const struct table *mapped;
    struct val *key, *moved_key, *old, *new;
    struct buf room;
};

/* A row as it is sent: its net change (NULL: none), who touched it, its audiences. */
struct sending {
    const struct change *net;
    struct journal_touch touch;
    bool forced; /* there may be requests for it */
    int64_t old, new;
};

/* Adds to the fan's blocks what the row, whose key is g->key, comes to. */
int fanrow_send(struct fanning *g, const struct sending *r);

/* A row of the object that says nothing of any column. */
void fanrow_clear(const struct fanning *g, struct val *row);

#endif
