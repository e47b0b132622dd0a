/* pairing: whether a device and a companion belong together and may synchronize; looked at before anything moves. */
#ifndef PAIRING_H
#define PAIRING_H

#include "sql/db.h"

/* Opens the device at `path` for reading; NULL with the reason, also when there is no such file. */
struct db *pairing_open(const char *path);

/* Compares the device with its companion: whose device it is, and where each of the two stands (session/handshake.h).
 * *name is the device's, to free. Refused (ERR_REFUSED) with the way out: another companion's device, one that has ended
 * here, one that was restored from an older file or is a second copy, a companion that was restored. ERR_AGAIN: it is this
 * companion's, but its numbering has ended here: to be adopted. */
int pairing_check(struct db *pc, struct db *device, char **name);

/* Refuses a device at `path` that is not in the newest state that its companion knows of, with the way out: -1. */
int pairing_stale(struct db *pc, const char *path, const char *name);

#endif
