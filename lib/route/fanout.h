/* fanout: what moved and what changed, object by object, to everybody whom it concerns. */
#ifndef FANOUT_H
#define FANOUT_H

#include "route/row_emit.h"

struct fanout {
    struct row_emitter *sender;
    const struct transition_tables *images; /* NULL: any table may have been touched */
    int64_t after, upto;                    /* of the journal */
    int64_t fresh; /* audience of the nodes that hold nothing yet: they get every row that everybody holds */
    bool resumed;  /* what moved is in the table of moves_since, not in the object's own */
    int64_t rows_moved; /* so far, to another audience */
    enum {
        ORIGINS_UNKNOWN,
        ORIGINS_HERE,
        ORIGINS_ELSEWHERE
    } origins; /* of the range: whether nodes wrote in it */
};

/* Sends the rows of one object, whose moves and requests for single rows must have been read (moves.h, row_requests.h). */
int fanout_object(struct fanout *f, const struct object_delta *w);

/* Sends the rows of an object that was set aside to the nodes that came meanwhile and have no snapshot. */
int fanout_bare(struct fanout *f, const struct object_delta *w);

#endif
