/* verdict_receive: what the server decided against changes made here, as its archive tells, recorded among the conflicts
 * of this copy (apply/conflict.h, `own`). */
#ifndef VERDICT_RECEIVE_H
#define VERDICT_RECEIVE_H

#include "apply/apply_context.h"

/* Records those of the archive's head that are not recorded yet. When the rows are as the archive leaves them. */
int verdict_receive(struct apply_context *w);

#endif
