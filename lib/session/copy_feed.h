/* copy_feed: passes the whole copy on to a process that applies it while it comes. What has come is on disk, in the part of the
 * file: from there it is read, as fast as the other process takes it, so that neither the line nor the session waits for it. */
#ifndef COPY_FEED_H
#define COPY_FEED_H

#include <stdint.h>

struct copy_feed {
    int fd;     /* a pipe to the other process; -1: there is none, or it takes nothing more */
    int64_t at; /* bytes passed on */
};

/* Takes the descriptor, which no command started later inherits. */
void copy_feed_begin(struct copy_feed *f, int fd);

/* Passes on what the pipe takes without waiting, of the first `upto` bytes of the file. */
void copy_feed_more(struct copy_feed *f, int file, int64_t upto);

/* Passes on what is left of the file, waits for the other process meanwhile, and closes the pipe. A process that has ended is
 * no error: its exit code says why. */
void copy_feed_rest(struct copy_feed *f, int file);

/* Closes the pipe: the other process finds the copy cut off. */
void copy_feed_end(struct copy_feed *f);

#endif
