/* deferred: the changes that wait, for modules that read or rewrite them; others need only apply/apply_context.h. */
#ifndef DEFERRED_H
#define DEFERRED_H

#include "apply/apply_context.h"
#include "data/arena.h"

struct deferred {
    int64_t n;          /* waiting */
    struct rowset rows; /* theirs */
    int64_t newest;     /* so many came with the archive at hand */
    bool taken;         /* some came from the quarantine */
    bool ready;         /* the tables are there */
    int64_t retrying;   /* seq of the one being tried, 0 while none is */
    int64_t sent_back;  /* its, as entry.sent_back */
    bool blocked;       /* it was deferred again */
    struct stmt *add, *again, *done, *get;
};

/* An entry, with the values it needs beyond the next step of the statement that found it. */
struct deferred_entry {
    int64_t seq,
        quarantine_id; /* the latter: its number in quarantine, 0 when it comes from the archive at hand */
    int64_t sent_back; /* as quarantined.sent_back */
    struct target *target;
    enum apply_way way;
    char *origin, *archive, *reason;
    bool judged;
    struct change change;
    struct arena arena;
};

/* Which entries, and in which order. */
enum deferred_which {
    DEFERRED_ALL,         /* oldest first, as the others unless they say so */
    DEFERRED_JUDGED_DOWN, /* judged; newest first */
    DEFERRED_MERGE,       /* judged, of a merge */
    DEFERRED_TAKEN,       /* judged, and blocked by a value that another row has */
    DEFERRED_QUARANTINED  /* of a merge, in quarantine before, and not judged yet (deferred_judged) */
};

/* Calls fn for each entry; what fn changes of those to come, it will see. fn's first nonzero result: -1. */
typedef int deferred_fn(struct apply_context *w, struct deferred_entry *e, void *ctx);
int deferred_each(struct apply_context *w, enum deferred_which which, deferred_fn *fn, void *ctx);

/* The same for the changes of the table that wait to be merged as that origin's, behind the entry `from`. */
int deferred_each_of(struct apply_context *w, const struct target *t, const char *origin, int64_t from,
                     deferred_fn *fn, void *ctx);

/* Takes out of quarantine what has become due (quarantine_due.h): whether there was any, or -1. */
int deferred_take(struct apply_context *w);

/* What was taken out of quarantine has been judged by today's permissions. */
int deferred_judged(struct apply_context *w);

/* How many of the changes that wait came with the archive at hand. */
int deferred_new(struct apply_context *w, int64_t *n);

/* The entry of that number: 1, 0, -1. Frees what `e` had before. */
int deferred_load(struct apply_context *w, int64_t seq, struct deferred_entry *e);
void deferred_entry_free(struct deferred_entry *e);

/* Rows of which changes wait, by whose they are. A zeroed one is empty. */
struct waiting_rows {
    size_t n;
    struct waiting_origin *origin;
};
bool waiting_rows_find(struct waiting_rows *r, const struct deferred_entry *e);
void waiting_rows_add(struct waiting_rows *r, const struct deferred_entry *e);
void waiting_rows_free(struct waiting_rows *r);

/* The entry's change is done: it waits no more. deferred_note: and is noted as its origin's. */
int deferred_done(struct apply_context *w, const struct deferred_entry *e);
int deferred_note(struct apply_context *w, const struct deferred_entry *e);

/* The entry does not count as blocked by another row's value any more. */
int deferred_not_taken(struct apply_context *w, int64_t seq);

/* The entry's change is another now, perhaps of another key. */
int deferred_rewrite(struct apply_context *w, const struct deferred_entry *e);

#endif
