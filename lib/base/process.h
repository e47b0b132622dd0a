/* process: another program, run with bytes on its stdin, its output taken. */
#ifndef PROCESS_H
#define PROCESS_H

#include "base/buf.h"

/* Runs argv[0], found by PATH, with the n bytes at p on its stdin; what it writes to stdout is appended to *out, to
 * stderr to *err, each up to PROCESS_OUTPUT_MAX bytes (the rest is read and dropped). `keep` is a descriptor that the
 * program inherits under its number, or -1; of the caller's other descriptors it gets none. Waits for its end, and
 * returns its exit status, 128 + the signal that ended it, or -1 after fail(): the program is not there, or no process
 * can be made. */
enum { PROCESS_OUTPUT_MAX = 1 << 20 };
int process_run(const char *const argv[], const void *p, size_t n, int keep, struct buf *out,
                struct buf *err);

/* The same for a filter: stdin and stdout are the caller's own, so that any number of bytes pass. */
int process_filter(const char *const argv[], struct buf *err);

/* The first line of what a program wrote, for a message. It is the buffer's, which is cut there. */
const char *process_first_line(struct buf *err);

#endif
