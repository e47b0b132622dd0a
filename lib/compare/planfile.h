/* planfile: what is to be done on a side as an archive of kind keys (archive/dx.h), for syncdiff rows at the other side. */
#ifndef PLANFILE_H
#define PLANFILE_H

#include "compare/work.h"

/* Writes the plan for the side to `path`; one of nothing is not written, and a file that is there is removed. Refused
 * (ERR_REFUSED) for what such a plan cannot say: rows put together column by column. */
int planfile_write(struct work *w, int side, const char *path);

#endif
