/* conflict: what a merge decided against somebody, kept so that it can be seen and changed (dx_conflict). */
#ifndef CONFLICT_H
#define CONFLICT_H

#include "apply/apply_context.h"

/* What met what. */
#define CONFLICT_UPDATE     "update"     /* both changed the column */
#define CONFLICT_GONE       "gone"       /* they changed a row that is deleted here */
#define CONFLICT_DELETED    "deleted"    /* they deleted a row that was changed here */
#define CONFLICT_INSERT     "insert"     /* both made a row with this key */
#define CONFLICT_DUPLICATE  "duplicate"  /* they made a row whose user key another row has */
#define CONFLICT_CHILDREN   "children"   /* they deleted a row that others here refer to */
#define CONFLICT_REKEY      "rekey"      /* both made a row with this integer key: theirs got another */
#define CONFLICT_PARENT     "parent"     /* their row belongs to one that was not taken */
#define CONFLICT_PERMISSION "permission" /* the node may not do that */
#define CONFLICT_QUARANTINE "quarantine" /* own only: the change waits at the server for another row */
#define CONFLICT_MOVED      "moved"      /* a row of a plan is not as it was when the plan was made */

/* What became of it. */
#define CONFLICT_OURS   "ours"   /* what was here stands */
#define CONFLICT_THEIRS "theirs" /* what came was taken */
#define CONFLICT_ASK    "ask"    /* what was here stands until somebody decides */
#define CONFLICT_WAITS  "waits"  /* own only: it is in quarantine at the server */

/* One record. In a conflict on a column, base, ours and theirs are its values: before, here, and as it came. In one on
 * a row they are none, and `row` is the row here as a record (NULL when there was none), `incoming` the change. */
struct conflict {
    int64_t id;
    const char *kind, *table, *column; /* column: NULL for the row */
    struct val key;                    /* key_pack */
    struct val base, ours, theirs;
    struct val row, incoming;
    const char *outcome, *reason, *origin, *archive;
    /* A verdict of the server about a change made here. Of a column: ours is the value that the change wrote, theirs the
     * one that was here when the verdict came. Of a row: incoming is the change. */
    bool own;
    const char *made;     /* when it was recorded, UTC; NULL when not known */
    const char *resolved; /* NULL while it stands as decided */
};

/* Records a conflict about the change's row, with the origin and archive of the work. column: its number, or -1 for
 * the row; then `here` tells whether t->now is the row as it is here. */
int conflict_column(struct apply_context *w, struct target *t, const struct change *c, int column,
                    const char *outcome);
int conflict_row(struct apply_context *w, struct target *t, const struct change *c, bool here,
                 const char *kind, const char *outcome, const char *reason);

/* Records, as settled, that the insert's integer key was taken and it got another. */
int conflict_rekeyed(struct apply_context *w, struct target *t, const struct change *c);

/* Records, as settled, that the insert means the same as the row in t->now, which has taken its place. What it says
 * otherwise is something to look at, also for its node. */
int conflict_adopted(struct apply_context *w, struct target *t, const struct change *c);

/* Records, as settled, that the change is dropped: it belongs to a row that was decided against. */
int conflict_dropped(struct apply_context *w, struct target *t, const struct change *c, bool here);

/* The same for a change of a table that the database does not have. */
int conflict_stranger(struct apply_context *w, const struct change *c, const char *reason);

/* A verdict of the server's about the change (NULL: of a table that is not here), unless it is recorded already. */
int conflict_own(struct apply_context *w, const struct change *c, struct conflict *k);

/* Calls fn for each record, oldest first; open: only those not resolved. Stops at the first nonzero result and returns
 * it. Texts and bytes live until fn returns. */
typedef int conflict_fn(void *ctx, const struct conflict *c);
int conflict_each(struct db *db, bool open, conflict_fn *fn, void *ctx);

/* Calls fn for the record with that id: what it returns, or -1 (ERR_REFUSED) when there is none. */
int conflict_get(struct db *db, int64_t id, conflict_fn *fn, void *ctx);
int conflict_note_resolved(struct db *db, int64_t id, const char *how);

#endif
