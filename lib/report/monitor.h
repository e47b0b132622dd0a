/* monitor: a site's status measured against limits, as a monitoring plugin tells it: one line, and a code of 0 to 3. */
#ifndef MONITOR_H
#define MONITOR_H

#include "report/site_status.h"

enum monitor_code { MONITOR_OK, MONITOR_WARNING, MONITOR_CRITICAL, MONITOR_UNKNOWN };

/* Limits; -1: none. From "NAME=N,NAME=N" with the names age, rows, bytes, silent, conflicts, quarantined, run, free:
 * seconds (or with s, m, h or d behind the number), rows, bytes (or with K, M, G or T). */
enum { MONITOR_LIMITS = 8 };
struct monitor_limits {
    int64_t limit[MONITOR_LIMITS];
};

/* Reads them. -1 (ERR_USAGE) naming `what` and the names. NULL text: no limits. */
int monitor_limits_read(const char *text, const char *what, struct monitor_limits *out);

/* Appends the line: "DX CRITICAL - alice: upload 7 blocked for 2 d | age=...". A node that is stuck is critical whatever
 * the limits. */
enum monitor_code monitor_check(const struct site_status *s, const struct monitor_limits *warning,
                                const struct monitor_limits *critical, struct buf *out);

#endif
