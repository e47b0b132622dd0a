/* clock: how much time passes. It is never set, so it tells no date. */
#ifndef CLOCK_H
#define CLOCK_H

double clock_seconds(void); /* since some moment in the past */

#endif
