/* fan: what moved and what changed, as blocks of an archive: each made once for all nodes that get the same rows, and
 * kept in a temporary file until the nodes' archives are written. */
#ifndef FAN_H
#define FAN_H

#include "piece.h"
#include "share.h"
#include "view.h"

struct fan {
    struct db *db;
    struct audiences *audiences;
    const struct images *images; /* NULL: any table may have been touched */
    int64_t after, upto;         /* of the journal */
    int64_t fresh; /* audience of the nodes that hold nothing yet: they get every row that everybody holds */
    int64_t only;  /* audience of the nodes that are dealt with; AUDIENCE_NOBODY: all are */
    enum {
        ORIGINS_UNKNOWN,
        ORIGINS_HERE,
        ORIGINS_ELSEWHERE
    } origins;          /* of the range: whether nodes wrote in it */
    const char *moved;  /* the table of what moved: temp.dx_moved, or temp.dx_woken */
    int64_t rows_moved; /* so far, to another audience */
    struct pieces pieces;
    struct shares *shares;
    size_t nname; /* the package's nodes by name, for echoes: ascending */
    char **name;
    int64_t *id;
};

/* An empty fan; what it puts aside goes to the spill. */
void fan_init(struct fan *f, struct db *db, struct audiences *a, struct spill *spill);
void fan_free(struct fan *f);

/* Reads the package's nodes from temp.dx_node_now. */
int fan_nodes(struct fan *f);

/* Makes the blocks of one object; temp.dx_moved must be filled for it, and temp.dx_forcing(obj, key, node) with the
 * requests for single rows. */
int fan_object(struct fan *f, const struct viewed *w);

#endif
