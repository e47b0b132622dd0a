/* repack: archives out of archives. */
#ifndef REPACK_H
#define REPACK_H

#include "archive/dx.h"

/* Where archives are read: one or several in a row. */
struct repack_input {
    int fd;
    const char *name;
};

/* Writes the changes of all inputs as one archive. They must be logs (kind changes, not numbered) of one sender,
 * receiver, epoch and form, whose ranges follow on, and agree about their tables. Inputs are read twice, those that
 * cannot be sought by way of a temporary file; all are checked before anything is written. */
int repack_join(const struct repack_input *in, size_t n, int out, int level);

/* Writes the archive that takes the input back: its changes in reverse order, each the other way round, by way of a
 * temporary file. The head has neither range nor number nor receiver. Refuses archives without old values. */
int repack_invert(const struct repack_input *in, int out, int level);

#endif
