/* merge_context: what merging knows of each origin (its node, package and new keys) and of each table (its policies and
 * foreign keys). */
#ifndef MERGE_CONTEXT_H
#define MERGE_CONTEXT_H

#include "apply/conflict.h"
#include "apply/fk_children.h"
#include "apply/fk_parents.h"
#include "apply/rejected_rows.h"
#include "apply/upload_guard.h"
#include "apply/upload_quota.h"
#include "apply/upload_rows.h"
#include "apply/userkey.h"
#include "nodes/attachment.h"
#include "nodes/membership.h"
#include "nodes/node.h"
#include "nodes/package.h"
#include "nodes/rekey_map.h"

enum merge_prefer { MERGE_OURS, MERGE_THEIRS, MERGE_NEWEST, MERGE_ASK };

/* What a table's conflicts are decided by. */
struct merge_policy {
    enum merge_prefer prefer;
    int newest;    /* MERGE_NEWEST: the column whose greater value wins */
    int64_t ahead; /* ... unless it is a time more than so many seconds ahead */
    bool rekey;    /* an integer key that is taken gives the newcomer a fresh one */
    bool adopt;    /* an insert whose user key another row has is that row */
    bool lose;     /* a delete loses against an update */
};

struct merge_table {
    bool known;
    bool follows; /* its integer key is that of its parent's row */
    struct merge_policy policy;
    struct fk_parents *parents;
    struct fk_children *children;
    struct userkey *userkey;        /* NULL: duplicates are kept */
    const struct object *object;    /* uploads: NULL when it does not travel */
    struct membership_asker *asker; /* uploads: which rows the node holds; NULL until it is wanted */
    struct parent_view *seen; /* uploads: the rows that its rows refer to (node_view.h); NULL until wanted */
    struct rowset lost;       /* uploads: rows the node held when it made its upload, and holds no more */
    bool lost_known;
    struct rowset
        lost_lately; /* those of them that the node lost within the days of `late`; where there is such a limit */
    int64_t late;  /* that limit, as object_late gives it */
    uint8_t *sent; /* uploads: a byte a column, 1 where it travels */
    struct stmt *
        inside; /* uploads of a handheld: finds a row by its key that is not only there because others refer to it;
                          * NULL where all may be changed */
};

/* What merging needs beside the work, for the changes of one origin; the first is made by merge_begin. */
struct merge {
    struct merge *next; /* for another origin; they are a ring */
    char *origin;       /* NULL: the sender of the archive that is being applied */
    bool noded;         /* it is a node: node and package are set */
    struct node node;
    struct package *package;
    struct attachment_view *files; /* which files the node may have; NULL until wanted, or without a node */
    struct rekey_map rekeys;       /* keys of the node's that are others here */
    size_t kept;                   /* so many of them at merge_keep */
    int64_t start;                 /* end of the journal before the upload */
    struct rowset
        inserted; /* rows the node inserted that no archive for it contains, up to this entry of the journal */
    int64_t inserted_upto;      /* 0: none are known */
    struct stmt *hide, *hidden; /* hidden_columns.h; NULL until wanted */
    int64_t nhidden;
    struct rejected_rows rejected;
    struct upload_rows rows; /* of an upload: those it has changed so far */
    struct upload_quota quota;
    struct upload_guard guard;
    size_t n;
    struct merge_table *table; /* per target */
};

/* Makes the context ready for merging; always, because what is in quarantine may have to be merged, as its own origin's. */
void merge_begin(struct apply_context *w);
void merge_free(struct merge *m); /* and those for other origins */

/* To be called before the commit (fk_children_end). */
int merge_end_children(struct apply_context *w);

/* What is known of the target; NULL on failure. */
struct merge_table *merge_table(struct apply_context *w, struct target *t);

/* Remembers what is known beside the database; has that known again, when the database is as it was then. */
void merge_keep(struct apply_context *w);
void merge_back(struct apply_context *w);

/* Has what follows judged as that origin's, until w->merge is put back: 0, -1. */
int merge_as(struct apply_context *w, const char *origin);

/* Whether the row may be written: 1; 0 not now, as a row that it refers to is not here or not seen by its node (*reason
 * says which); -1. To be asked before each write, deletes too. */
int merge_may_write(struct apply_context *w, struct target *t, const struct change *c, const char **reason);

/* Has the row sent to the node of that name with its next archive; nothing for an origin that is no node, or whose
 * package does not give it the table. */
int merge_force(struct apply_context *w, struct target *t, const struct change *c, const char *origin);

/* Calls fn for each change that the upload has made so far to the table, oldest first, in the columns of the table's target:
 * 0, -1 when fn is not 0 or on failure. */
typedef int merge_change_fn(void *ctx, struct apply_context *w, struct target *t, struct change *c);
int merge_upload_changes(struct apply_context *w, const char *table, merge_change_fn *fn, void *ctx);

/* The number of the archive that will bring to that origin, a node, what becomes of its changes; 0: it is no node. */
int merge_next_archive(struct apply_context *w, const char *origin, int64_t *archive);

#endif
