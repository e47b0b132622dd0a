/* rename: on a client, rows whose integer key another row has got at the server: they, what refers to them, and what is
 * pending of them get the key that the server gave. */
#ifndef RENAME_H
#define RENAME_H

#include "work.h"

/* Does what the download's head asks for, before its changes and before what is pending is read; `settled` is where
 * pending changes begin in the journal. A companion passes it on to its own nodes. */
int rename_rows(struct work *w, int64_t settled, bool companion);

#endif
