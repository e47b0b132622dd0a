/* conflict_print: conflicts and quarantined rows as lines for people and for scripts. */
#ifndef CONFLICT_PRINT_H
#define CONFLICT_PRINT_H

#include "apply/conflict.h"
#include "apply/quarantine.h"
#include "data/arena.h"

/* The conflict's row and incoming change, decoded. Free with conflict_print_free. */
struct conflict_view {
    struct target *target;       /* NULL: the table is not here any more */
    struct val *key;             /* its values */
    bool here;                   /* `row` is the row as it was here */
    struct change row, incoming; /* incoming.old and new NULL: a conflict on a column */
    struct arena arena;
};
int conflict_print_conflict(struct targets *ts, const struct conflict *c, struct conflict_view *out);
void conflict_print_free(struct conflict_view *r);

/* Appends {"id":1,"kind":"update","table":...} and a newline. In a conflict on a row base, ours and theirs are objects:
 * what it held before, holds here (null: no row), and would hold by the change (null: a delete). */
int conflict_print_json(struct targets *ts, const struct conflict *c, struct buf *out);

/* Appends a line of columns under those of conflict_print_heading. */
int conflict_print_text(struct targets *ts, const struct conflict *c, struct buf *out);
void conflict_print_heading(struct buf *out);

/* The same for a quarantined row. */
int conflict_print_quarantined_json(struct targets *ts, const struct quarantined *q, struct buf *out);
int conflict_print_quarantined_text(struct targets *ts, const struct quarantined *q, struct buf *out);

/* ... and what the change is in few words: "insert of line 1". */
int conflict_print_quarantined_what(struct targets *ts, const struct quarantined *q, struct buf *out);

#endif
