/* channel: the two descriptors to the other end of a session, without blocking: lines and the bytes of files come in,
 * lines and bytes go out, and none of it waits longer than a deadline for the other end. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "base/buf.h"

#include <stdbool.h>

enum {
    CHANNEL_LINE = 1024,     /* bytes of a line at most, with its newline */
    CHANNEL_CHUNK = 32768,   /* bytes of a file behind one `data` line at most */
    CHANNEL_FULL = 2 * 65536 /* so much waits to go out before more of a file is read */
};

struct channel_limits {
    double timeout; /* seconds without a byte from the other end */
    int64_t rate;   /* bytes a second in each direction; 0: no limit */
};

enum channel_event {
    CHANNEL_END,   /* the other end has closed its side */
    CHANNEL_TEXT,  /* a line; it is in channel_line until the next call */
    CHANNEL_BYTES, /* bytes of a file, as asked for with channel_expect */
    CHANNEL_QUIET, /* nothing came for a second, or something has gone out and there is room for more */
    CHANNEL_EXTRA  /* the extra descriptor can be read */
};

/* What has gone through, in bytes, lines included. */
struct channel_count {
    int64_t in, out;
};

struct channel *channel_open(int in, int out, const struct channel_limits *limits);
void channel_close(struct channel *c); /* frees; the descriptors stay open; NULL is fine */

/* Waits also for this descriptor; -1: for none. */
void channel_extra(struct channel *c, int fd);

/* Puts a line, without its newline, behind what waits to go out. */
void channel_put(struct channel *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void channel_put_bytes(struct channel *c, const void *p, size_t n);
bool channel_full(const struct channel *c);
bool channel_empty(const struct channel *c); /* all that was put has gone out */

/* The next n bytes that come are those of a file. */
void channel_expect(struct channel *c, int64_t n);

/* Waits for the next event: CHANNEL_..., or -1: the deadline has passed (ERR_SYSTEM), a line is too long or holds what
 * is no text (ERR_REFUSED), or a descriptor fails. Says `tick` to the other end when it has said nothing for a while. */
int channel_next(struct channel *c);
const char *channel_line(const struct channel *c);             /* of CHANNEL_TEXT */
const void *channel_bytes(const struct channel *c, size_t *n); /* of CHANNEL_BYTES */

/* Sends what waits, as far as it goes within `seconds`, and hears nothing more: for a last word. */
void channel_flush(struct channel *c, double seconds);

/* How often to say `tick`, so that the other end, which waits `timeout` seconds, goes on waiting. */
void channel_tick(struct channel *c, double timeout);

/* Seconds since anything came in. */
double channel_silence(const struct channel *c);
struct channel_count channel_count(const struct channel *c);

/* Seconds of a clock that only goes forward. */
double channel_clock(void);

#endif
