/* progress: how far long work has come, for a caller that shows it. The library shows nothing itself. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *name; /* what is worked on: a file, a table; valid during the call */
    int64_t bytes;    /* read so far of an input */
    int64_t of;       /* its size, or 0 where that is not known */
    int64_t rows;     /* done so far, where rows are counted */
    bool waits;       /* nothing is done here until another end or program has done its part */
};

/* From now on `tell` hears of progress, many times a second; NULL: nobody does. */
void progress_to(void (*tell)(const struct progress *p));
bool progress_heard(void);

/* These cost a comparison when nobody listens. */
void progress_read(const char *name, int fd, int64_t bytes); /* bytes more were read from the descriptor */
void progress_part(const char *name, int64_t bytes, int64_t of); /* so many bytes of so many are done */
void progress_rows(const char *name, int64_t rows);              /* so many rows are done */
void progress_still(const char *name);                           /* work goes on that has no count */
void progress_wait(const char *name);                            /* nothing came for a second from there */

/* Waits until the descriptor has something to read, and says each second that it is waited for. Where nobody listens, or
 * a person types, it does not wait: the read does. */
void progress_await(const char *name, int fd);

#endif
