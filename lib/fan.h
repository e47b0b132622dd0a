/* fan: what moved and what changed, as blocks of an archive: each made once for all nodes that get the same rows, and
 * kept in a temporary file until the nodes' archives are written. */
#ifndef FAN_H
#define FAN_H

#include "piece.h"
#include "view.h"

struct fan {
    struct db *db;
    struct audiences *audiences;
    const struct images *images;
    int64_t after, upto; /* of the journal */
    int64_t fresh; /* audience of the nodes that hold nothing yet: they get every row that everybody holds */
    struct pieces pieces;
    size_t nname; /* the package's nodes by name, for echoes: ascending */
    char **name;
    int64_t *id;
};

/* An empty fan; spill is a descriptor to write to. */
int fan_init(struct fan *f, struct db *db, struct audiences *a, int spill);
void fan_free(struct fan *f);

/* Reads the package's nodes from temp.dx_node_now. */
int fan_nodes(struct fan *f);

/* Makes the blocks of one object; temp.dx_moved must be filled for it, and temp.dx_forcing(obj, key, node) with the
 * requests for single rows. */
int fan_object(struct fan *f, const struct viewed *w);

/* Fills temp.dx_forcing from dx_force for the object (and names those rows in temp.dx_moved). */
int fan_force(struct fan *f, const struct viewed *w);

#endif
