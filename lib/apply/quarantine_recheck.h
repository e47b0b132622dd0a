/* quarantine_recheck: what uploads left in quarantine meets a database that may have changed since: nodes that may do less, and rows
 * that have taken a waiting row's key. */
#ifndef QUARANTINE_RECHECK_H
#define QUARANTINE_RECHECK_H

#include "apply/apply_context.h"

/* Before the first change of an archive is read, so that whatever the archive says of a row is understood by the key that
 * this has then: refuses what its node may not do any more, and judges inserts whose key another row has now. */
int quarantine_recheck(struct apply_context *w);

#endif
