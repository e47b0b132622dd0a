/* remote: a side at the other end of a connection, where serve_run answers. */
#ifndef REMOTE_H
#define REMOTE_H

#include "compare/side.h"

/* in and out stay the caller's. NULL on failure. */
struct side *remote_open(int in, int out, const char *name, int which);

/* Answers on in and out for the database until the other end hangs up. */
int serve_run(const char *path, int in, int out);

#endif
