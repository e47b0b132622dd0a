/* deleted_row: see apply/deleted_row.h. */
#include "apply/deleted_row.h"

#include "journal/journal.h"

#include <string.h>
#include <strings.h>

/* Takes the row into `row` if the entry deletes the one with that key: 1, 0, -1. */
static int take(struct targets *ts, struct target *t, const struct buf *key, const struct change *entry,
                struct buf *room, struct arena *a, struct val *row)
{
    struct change mapped;
    if (targets_for(ts, entry->table) == NULL)
        return -1;
    target_map(t, entry->table, entry, &mapped);
    buf_clear(room);
    change_key_bytes(&mapped, room);
    int same = room->n == key->n && memcmp(room->p, key->p, key->n) == 0;
    if (same) {
        arena_clear(a);
        for (size_t i = 0; i < t->table->ncol; i++)
            row[i] = arena_val(a, &mapped.old[i]);
    }
    targets_forget(ts, entry->table);
    return same;
}

int deleted_row(struct targets *ts, struct target *t, const struct change *c, struct arena *a,
                struct val *row, int64_t *seq)
{
    struct buf key = {0}, room = {0};
    struct change entry;
    int64_t end;
    int got = -1, found = 0;
    struct journal_reader *j = journal_end(t->db, &end) ? NULL : journal_read(t->db, 0, end);
    change_key_bytes(c, &key);
    while (j && (got = journal_next(j, &entry)) > 0) {
        if (entry.op != CHANGE_DELETE || strcasecmp(entry.table->name, t->table->name) != 0)
            continue;
        int took = take(ts, t, &key, &entry, &room, a, row);
        if (took < 0) {
            got = -1;
            break;
        }
        if (took) {
            found = 1;
            *seq = entry.seq;
        }
    }
    journal_reader_close(j);
    buf_free(&key);
    buf_free(&room);
    return got < 0 ? -1 : found;
}
