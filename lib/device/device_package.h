/* device_package: the package of handhelds: what a companion's devices get of its copy. */
#ifndef DEVICE_PACKAGE_H
#define DEVICE_PACKAGE_H

#include "nodes/node.h"
#include "nodes/package.h"

/* Sees that the package is loaded as it is in `conf` (a handheld.conf, a package.conf, or the directory that holds one), in
 * the caller's write transaction; its name in *name, to free. conf NULL: the package HANDPACK_NAME, made with every table of the
 * copy, visible to all, if there is none yet. tell as in route/route.h. */
#define HANDPACK_NAME "handheld"
int device_package_load(struct db *pc, const char *conf, void (*tell)(const char *fmt, ...), char **name);

/* What the handheld.conf that the package was made of says beside it: at most so many rows of an object (-1: any number);
 * the least release of the device's software, to free, NULL for any. */
int device_package_limit(struct db *pc, const char *package, const char *object, int64_t *rows);
int device_package_release(struct db *pc, const char *package, char **release);

/* Calls fn with each object that travels: its filter in words, and the rows that the node holds. */
typedef int device_package_fn(void *ctx, const struct object *o, const char *filter, int64_t rows);
int device_package_each(struct db *pc, const struct node *n, device_package_fn *fn, void *ctx);

#endif
