/* pairing: see session/pairing.h. */
#include "session/pairing.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "device/handheld.h"
#include "journal/meta.h"
#include "nodes/node.h"
#include "session/handshake.h"

#include <stdlib.h>
#include <string.h>

#define ADOPT                                                                                                \
    "hhextract pair --adopt %s %s --device %s makes it right, and keeps what was changed on it and was not " \
    "sent"

struct db *pairing_open(const char *path)
{
    if (file_exists(path))
        return db_open(path, DB_READ);
    fail(ERR_REFUSED, "%s: no such database", path);
    return NULL;
}

static int read_device(struct db *db, struct standing *at, char **companion)
{
    const char *path = db_path(db);
    int present = meta_present(db);
    if (present < 0 || (present && meta_get_text(db, "companion", companion)))
        return -1;
    return *companion
               ? handshake_of_copy(db, at)
               : fail(ERR_REFUSED, "%s: not a paired device; run: hhextract pair PC.db %s --device NAME",
                      path, path);
}

/* Whether the companion is the one that the device is paired with. */
static int check_companion(struct db *pc, struct db *db, const struct standing *device, const char *companion)
{
    const char *path = db_path(db);
    enum handheld_state state;
    char *id = NULL;
    if (meta_get_text(pc, "workstation", &id))
        return -1;
    int rc =
        id && strcmp(id, companion) == 0
            ? handheld_state_of(db, device->node, id, &state)
            : fail(ERR_REFUSED,
                   "%s: this device is paired with another companion than %s; synchronize it there. If that "
                   "companion's database is lost: hhextract pair --adopt %s %s --device %s, what was changed "
                   "on "
                   "the device is kept",
                   path, db_path(pc), db_path(pc), path, device->node);
    free(id);
    return rc;
}

int pairing_stale(struct db *pc, const char *path, const char *name)
{
    return fail(
        ERR_REFUSED,
        "%s: this is not the newest state of device %s: it was restored from an older file, is a second "
        "copy of it, or %s was restored: " ADOPT,
        path, name, db_path(pc), db_path(pc), path, name);
}

/* Whether the device has applied less than its companion knows that it has: archives up to there are kept no more. 1, 0, -1. */
static int applied_less(struct db *pc, const struct standing *device)
{
    struct node n;
    int found = node_find(pc, device->node, &n);
    if (found <= 0)
        return found;
    bool less = device->archive < n.applied;
    node_free(&n);
    return less;
}

int pairing_check(struct db *pc, struct db *db, char **name)
{
    const char *path = db_path(db);
    struct standing there, here = {0};
    char *companion = NULL;
    *name = NULL;
    int rc = read_device(db, &there, &companion);
    if (rc == 0)
        rc = check_companion(pc, db, &there, companion);
    if (rc == 0)
        rc = handshake_of_server(pc, there.node, &here);
    if (rc == 0 && strcmp(there.epoch, here.epoch) != 0)
        rc = fail(ERR_AGAIN,
                  "%s: device %s was registered again here, and this database does not know it: " ADOPT, path,
                  there.node, db_path(pc), path, there.node);
    int less = rc == 0 ? applied_less(pc, &there) : 0;
    if (less < 0)
        rc = -1;
    else if (rc == 0 && (less || handshake_check(&there, &here) != HANDSHAKE_GO))
        rc = pairing_stale(pc, path, there.node);
    if (rc == 0)
        *name = mem_text(there.node);
    free(companion);
    return rc;
}
