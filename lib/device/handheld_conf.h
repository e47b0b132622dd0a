/* handheld_conf: handheld.conf, which says what a device gets of its companion's copy; dx-handheld.conf(5). It becomes a
 * package.conf (dx-package(5)) like any other, so that routing has one way in. */
#ifndef HANDHELD_CONF_H
#define HANDHELD_CONF_H

#include "base/buf.h"
#include "sql/db.h"

/* Whether the file is one: it has a section [handheld]. -1: it cannot be read. */
int handheld_conf_is(const char *path);

/* What of it no package can say. */
struct handheld_limits {
    char *release; /* the least release of the device's software; "" for any */
    size_t n;
    struct handheld_object {
        char *name, *filter; /* the filter as a person wrote it */
        char *inside;        /* finds a row by its key ?1 that is there for itself; NULL where all are */
        int64_t rows;        /* at most so many rows; -1: any number */
    } * object;
};
void handheld_limits_free(struct handheld_limits *l);

/* Reads and checks the file against the companion's tables, and appends the package.conf that it stands for. -1 with
 * file, line, reason and remedy (ERR_REFUSED): also when work done on the device could be lost. */
int handheld_conf_read(struct db *pc, const char *path, struct buf *package, struct handheld_limits *limits);

#endif
