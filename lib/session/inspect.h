/* inspect: whether a file that has come is the archive that it should be. It is read to its end, in bounded memory, so that
 * what is damaged, or grows beyond the limits when unpacked, is found before it gets its name. */
#ifndef INSPECT_H
#define INSPECT_H

#include "archive/dx.h"

struct inspect_limits {
    int64_t expanded_bytes, expanded_ratio, rows; /* nodes/site_conf.h; 0: no limit */
};

/* What it should be. Texts NULL and numbers 0: whatever. */
struct inspect_want {
    enum dx_kind kind;
    const char *from, *epoch, *before; /* before: another epoch that will do */
    int64_t number;
};

/* fd stands at the beginning; `name` is for messages, in which there is no path. Exactly one archive, and nothing behind
 * it. -1 (ERR_REFUSED). */
int inspect_archive(int fd, const char *name, const struct inspect_want *want,
                    const struct inspect_limits *limits);

#endif
