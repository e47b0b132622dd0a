/* spool: a temporary file without a name, for what must be read more than once or in another order. */
#ifndef SPOOL_H
#define SPOOL_H

#include <stdio.h>
#include <sys/types.h>

/* An empty one, in $TMPDIR or /tmp; it goes with the descriptor. -1 on failure. */
int spool_new(void);
FILE *spool_stream(void); /* the same, to read and write; NULL on failure */

/* The rest of fd where it can be sought: fd itself, or a spool that it has been copied into. *start is where it
 * begins. -1 on failure. */
int spool_of(int fd, const char *name, off_t *start);

int spool_seek(int fd, off_t at, const char *name);

#endif
