/* unpack: an archive's members as files. */
#ifndef UNPACK_H
#define UNPACK_H

#include "archive/dx.h"

/* Writes the members of the one archive that r reads into a directory, made when absent: dx.json, changes/ and end.json
 * appear there when all of it has been read and found right, or not at all. Refuses (ERR_REFUSED) to replace one that
 * is there, and a second archive behind the first. */
int unpack(struct dx_reader *r, const char *directory);

#endif
