/* apply_context: one archive being applied, inside its transaction: what the ways of applying share. */
#ifndef APPLY_CONTEXT_H
#define APPLY_CONTEXT_H

#include "apply/change_log.h"
#include "apply/rowset.h"
#include "archive/signature.h"
#include "data/arena.h"

/* What is to become of one row in quarantine. */
struct quarantine_row {
    int64_t id;         /* its number; 0: nothing is asked of any */
    const char *values; /* a JSON object of columns: it is tried with these; or NULL */
    bool discard;       /* it is given up */
};

/* What the caller asked for. */
struct apply_options {
    bool dry;                /* do everything, then take it back */
    bool strict;             /* refuse the archive when a row cannot be applied, instead of quarantining it */
    bool as_local;           /* journal what is merged as made here */
    bool log;                /* the archive is a log, and may do everything */
    const char *upload_from; /* the archive is exactly one upload of that node; or NULL */
    bool resend;             /* snapshots: what they acknowledge is another copy's; settle nothing by it */
    bool settle_sent;        /* snapshots: all uploads made here are settled; the caller applies them again */
    const char *approve;     /* the digest of an archive that guards let through, or NULL */
    struct signers signers; /* file NULL: none; else the archive is refused unless its sender has signed it */
    const char *undo;       /* where to write the archive that takes this apply back, or NULL */
    const char *save;   /* snapshots: where to save changes made here that have no place any more, or NULL */
    int64_t guard_rows; /* at most so many rows of a table deleted or overwritten; -1: no guard */
    int64_t guard_percent;
    struct quarantine_row quarantined;
};

/* What was done. */
struct apply_count {
    int64_t inserted, updated, deleted;
    int64_t kept;        /* incoming changes held back for the sake of pending local ones */
    int64_t missing;     /* changes of rows that are not there (downloads) */
    int64_t conflicts;   /* recorded by this apply */
    int64_t refused;     /* rows of an upload that its node may not write; recorded too */
    int64_t rejected;    /* changes of an upload that an operator rejected */
    int64_t quarantined; /* rows put into quarantine by this apply */
    int64_t left;        /* rows that a comparison asked for, left alone: they are not what they were in it */
    int64_t tried;       /* rows in quarantine that were tried again */
    int64_t given_up;    /* rows in quarantine that were given up */
    int64_t decided;     /* 1 when the row in quarantine that the options name was there */
    int64_t released;    /* rows that were in quarantine and are applied now */
    int64_t unplaced;    /* changes that set a column which is not here: that value was left out */
    char *unplaced_why;  /* of the first: the caller's to free */
    int64_t indexes_due; /* unique indexes that rows here violate: not made yet */
    int64_t saved;       /* changes made here that have no place any more, saved */
    int64_t renamed;     /* rows that got other keys from the server, or went over to another row */
    bool repeat;         /* was applied before: nothing done */
};

/* How a change comes to its row. */
enum apply_way { WORK_DOWNLOAD, WORK_MERGE };

struct apply_context;

/* Judges one change and does what it should do to its row, or defers it. The change is the callee's to alter. */
typedef int apply_one_fn(struct apply_context *w, struct target *t, struct change *c);

struct apply_context {
    struct db *db;
    const char *name; /* of the database, for messages */
    struct dx_reader *reader;
    const struct dx_head *head;
    const struct apply_options *options;
    struct apply_count *count;
    struct targets targets;
    struct change_log effect;
    enum apply_way way;
    struct rowset pending; /* downloads: what was changed here and is not judged by the server yet */
    int64_t
        settled_before; /* downloads: where that began in the journal before this archive acknowledged anything */
    struct stmt *conflict; /* records one; NULL until the first */
    struct deferred *defer;
    struct snapshot *snapshot;
    struct merge *merge;
    struct fk_optimistic *optimistic;
    struct plan_apply *rows;
    struct change read; /* the change being judged, in the archive's columns */
    bool indexed;       /* indexes were made: capture has to know */
    bool leave;         /* what cannot be done is left alone, not quarantined */
    char *archive;      /* what conflicts and quarantined rows say they came from */
};

/* Does a change whose judgement is over: inserts, updates or deletes its row, notes the effect, defers it when another
 * row or a constraint stands in the way. An update's old values and a delete's row must be given if
 * change_log_wants_old. */
int apply_change(struct apply_context *w, struct target *t, const struct change *c);

/* ---- apply/deferred.c: changes that cannot be done yet ---- */

/* Before the first change: takes what is due of the quarantine to be tried again, ahead of all that comes. */
int deferred_begin(struct apply_context *w);
void deferred_free(struct apply_context *w);

/* Whether a change of the same row waits, so that this one must wait behind it. */
bool deferred_blocks(struct apply_context *w, struct target *t, const struct change *c);

/* What waits for the change's row at this moment: the first change of it, by that origin (NULL: by any), whose
 * values are the arena's. 1, 0 when nothing does, -1. */
int deferred_find(struct apply_context *w, struct target *t, const struct change *c, const char *origin,
                  struct arena *a, struct change *out);

/* The same, from any origin, one after another: *seq is 0 at first. */
int deferred_find_next(struct apply_context *w, struct target *t, const struct change *c, int64_t *seq,
                       struct arena *a, struct change *out);

/* Puts the change aside if it must wait behind another of its row, to be judged after that: 1, 0 when it need not,
 * -1. */
int deferred_behind(struct apply_context *w, struct target *t, const struct change *c);

/* Whether all of the archive has been read, and what is judged is tried again. */
bool deferred_retrying(const struct apply_context *w);

/* Puts a change aside. judged: apply_change would do it; else it is judged again. taken: what stands in its way is a value
 * that another row has. */
int deferred_add(struct apply_context *w, struct target *t, const struct change *c, bool judged, bool taken,
                 const char *reason);

#endif
