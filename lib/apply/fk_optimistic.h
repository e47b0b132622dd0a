/* fk_optimistic: a row goes although another still refers to it, because that one waits to refer to a row that waits itself,
 * perhaps for this very delete. Where that one cannot come in after all, the row stays. */
#ifndef FK_OPTIMISTIC_H
#define FK_OPTIMISTIC_H

#include "apply/merge.h"

/* Whether the row (whole, of that target) may go on the word of a child of it that waits to move away. Only while
 * fk_optimistic_settle runs, which is when such questions arise. */
bool fk_optimistic_asked(struct apply_context *w, struct target *t, struct val *row);

/* After the last change: does what waits (deferred_retry), at first without trust. Where trust has left a row that refers
 * to nothing, all is as before, and is tried again without trusting there. What is left goes into quarantine, or fails
 * the apply when strict. */
int fk_optimistic_settle(struct apply_context *w);

#endif
