/* handheld: a device and its companion: which belongs to which, what the device still has to send, and whether it may
 * start. To each other they are node and server: a device is a node of its companion's database.
 *
 * Facts kept in dx_meta:
 *   workstation   on the companion: its random id, made at the first pairing
 *   device:NAME   on the companion: where that device's database is
 *   companion     on the device: the id of its companion
 *   hold          on the device: why it must synchronize again before it starts; absent when it may start */
#ifndef HANDHELD_H
#define HANDHELD_H

#include "nodes/node.h"

/* The companion's id, made when there is none yet; to free. Inside a write transaction. */
int handheld_workstation(struct db *pc, char **id);

/* Notes on the companion where a device's database is, and reads it (to free; NULL when unknown). */
int handheld_set_path(struct db *pc, const char *device, const char *path);
int handheld_path(struct db *pc, const char *device, char **path);

/* What the file at `path` is to the companion with this id. */
enum handheld_state {
    HANDHELD_NONE, /* nothing there, or an empty database */
    HANDHELD_OURS  /* the device of that name, paired with this companion */
};

/* With id NULL any companion's device of that name is HANDHELD_OURS. Anything else is refused: another companion's device, a device of another name, a database that is no device. */
int handheld_state(const char *path, const char *device, const char *id, enum handheld_state *state);
int handheld_state_of(struct db *db, const char *device, const char *id, enum handheld_state *state);

/* Makes the device's database from the snapshot on fd (read from its start), bound to the companion: whole, or not at
 * all. */
int handheld_make(const char *path, int fd, const char *id);

/* Binds the device at `path`, of that name, to another companion than it had: what the snapshot on fd holds is laid over it,
 * what was changed on it and is not settled is kept, and goes to the new companion. *saved, to free: the archive with the rows
 * that the snapshot removed or overwrote, as they were; NULL when there were none. */
int handheld_adopt(const char *path, const char *device, int fd, const char *id, char **saved);

/* The directory beside a device, DEVICE.db-dx, in which companionsync keeps files on their way. Before the device's numbering
 * ends: refused (ERR_REFUSED) when an upload lies there that was not merged and that the device's database does not know,
 * so that it would be lost. After it: removes what belongs to the old numbering. */
int handheld_check_spool(struct db *pc, const char *path, const char *device);
int handheld_clear_spool(const char *path);

/* How far the device at `path` is: the newest archive it has applied, and its changes that have not been merged here. */
struct handheld_progress {
    int64_t applied, pending;
    bool
        amiss; /* tables are, or were, not captured: what was changed in them is to be found by a synchronization */
};
int handheld_progress(struct db *device, const struct node *n, struct handheld_progress *out);

/* Why the device must synchronize again, to free; NULL when it may start. One of which a table is not captured must, too. Refused (ERR_REFUSED) when it is not paired. */
int handheld_hold(const char *path, char **why);

/* Says why it must, or (NULL) that it may start. */
int handheld_set_hold(const char *path, const char *why);

#endif
