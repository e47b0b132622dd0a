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

/* What the handheld.conf that the package was made of says beside it: the least release of the device's software, to free,
 * NULL for any. */
int device_package_release(struct db *pc, const char *package, char **release);

/* An object that a device gets: its filter in words, and the most rows of it that the device may hold (-1: any number). */
struct device_object {
    const struct object *object;
    const char *filter;
    int64_t limit;
};

/* Calls fn with each object that travels to the node. */
typedef int device_package_fn(void *ctx, const struct device_object *d);
int device_package_each(struct db *pc, const struct node *n, device_package_fn *fn, void *ctx);

#endif
