/* way: the commands that a site's people run, and what they run next: what the message of the one before says. */
#ifndef WAY_H
#define WAY_H

#include "place.h"

/* A session of a file with the server, hurt as the step says (NULL: not at all). Unhurt, it and what its messages ask for
 * must end with 0 or 1. */
int way_session(struct place *p, const struct sim_step *s, int file, bool now);

/* Makes a file's copy again, or for the first time. */
int way_initsync(struct place *p, const struct sim_step *s, int file);

/* A handheld, which is a file, beside its node's copy; `adopt`: it was another's, or is not the newest. */
int way_pair(struct place *p, int file, bool adopt);

/* A handheld with its companion, and with the server where `integrated`. */
int way_device(struct place *p, const struct sim_step *s, int file, bool integrated);

/* The server's work. */
int way_cron(struct place *p, const struct sim_step *s);

/* Any command, which must end with 0, or with 1 where that is allowed. Its messages are kept. */
#define WAY(p, s, in, out, most, ...) way_run(p, s, in, out, most, (const char *const[]){__VA_ARGS__, NULL})
int way_run(struct place *p, const struct sim_step *s, const char *in, const char *out, int most,
            const char *const argv[]);

#endif
