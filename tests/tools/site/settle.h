/* settle: the end of a site's history: faults stop, and a bounded number of sessions empties every queue; then every copy is
 * the server's view of its node. */
#ifndef SETTLE_H
#define SETTLE_H

#include "place.h"

int settle(struct place *p);
int settle_compare(struct place *p);

#endif
