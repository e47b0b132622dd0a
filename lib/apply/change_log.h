/* change_log: what an apply really changed: counted, journalled with its origin, and kept for taking it back. */
#ifndef CHANGE_LOG_H
#define CHANGE_LOG_H

#include "apply/target.h"
#include "journal/journal.h"

struct effect_count {
    int64_t inserted, updated, deleted;
};

struct effect {
    struct db *db;
    struct journal_writer *journal; /* NULL: not journalled */
    const char *origin;             /* for the journal; NULL: made here */
    bool undo;                      /* kept in temp.dx_undo */
    struct stmt *keep;
    struct effect_count *count; /* per target */
    size_t n;
};

/* journal: whether the database's journal gets the changes. Inside the transaction. */
int effect_begin(struct effect *e, struct db *db, bool journal, bool undo);
void effect_end(struct effect *e); /* frees; safe on a zeroed one */

/* Whether changes must be told whole: an update with the old values of what it changes, a delete with the whole row. */
bool effect_wants_old(const struct effect *e);

/* One change was made. */
int effect_note(struct effect *e, struct target *t, const struct change *c);

/* Writes an archive that takes back what was noted, newest first, to a file that replaces `path`. */
int effect_write_undo(struct effect *e, struct targets *ts, const char *path);

#endif
