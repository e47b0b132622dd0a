/* stage: a command run for a step, and what is to be said when a history went wrong. */
#ifndef STAGE_H
#define STAGE_H

#include "history.h"

/* What went wrong last. */
extern char stage_trouble[4096];

/* Says it: -1. */
int stage_broke(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Runs a command, hurt as the step says (NULL: not at all); its stdin and stdout are these files, NULL: none, and "out".
 * Its exit code, or -1 when it was killed. */
int stage_run(const struct sim_step *s, const char *in, const char *out, const char *const argv[]);
#define RUN(step, in, out, ...) stage_run(step, in, out, (const char *const[]){__VA_ARGS__, NULL})

/* The last command ended with a code that it should not have: -1. */
int stage_surprise(const char *what, int code);

/* Whether a hurt stage may end so: killed, done, or with system trouble. */
bool stage_was_hurt(const struct sim_step *s, int code);

#endif
