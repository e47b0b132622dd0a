/* log_apply: changes that belong to no node's numbering: a log as txnlog reads it, an archive made by hand, what takes an
 * apply back. Merged like an upload, with nobody to send anything back to. */
#ifndef LOG_APPLY_H
#define LOG_APPLY_H

#include "apply/merge_context.h"

/* As download_begin. A log that says from which epoch and up to where it was read is taken once. */
int log_apply_begin(struct apply_context *w);
int log_apply_end(struct apply_context *w);

#endif
