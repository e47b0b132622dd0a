/* key_text: see sql/key_text.h. */
#include "sql/key_text.h"

#include "base/err.h"
#include "base/mem.h"

#include <stdlib.h>

/* A key given as text, as the column would hold it: SQLite's own conversion says. As in a column, an INTEGER that is too
 * large, or has a fraction, is a REAL. */
static int typed_part(struct db *db, const struct layout *l, size_t part, const char *text, struct buf *room,
                      struct val *out)
{
    enum affinity a = l->column[l->table->key[part]].affinity;
    char *end;
    strtod(text, &end);
    bool number = end != text && *end == 0;
    struct stmt *s = db_preparef(db, a == AFFINITY_TEXT || !number ? "SELECT %Q" : "SELECT CAST(%Q AS %s)",
                                 text, a == AFFINITY_REAL ? "REAL" : "NUMERIC");
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    if (step == STEP_ROW) {
        struct val v = stmt_val(s, 0);
        val_put(room, &v);
    }
    stmt_free(s);
    if (step != STEP_ROW)
        return -1;
    struct wire w = wire_over(room->p, room->n);
    *out = val_get(&w);
    return 0;
}

int key_from_text(struct db *db, const struct layout *l, char *const *text, size_t n, struct buf *packed,
                  struct val *key)
{
    if (n != l->table->nkey)
        return fail(ERR_USAGE, "the key of %s has %zu columns, %zu values were given", l->table->name,
                    l->table->nkey, n);
    struct buf *room = mem_zero(n, sizeof *room);
    struct val *part = mem_zero(n, sizeof *part);
    int rc = 0;
    for (size_t i = 0; i < n; i++)
        rc = rc || typed_part(db, l, i, text[i], &room[i], &part[i]) ? -1 : 0;
    if (rc == 0) {
        struct buf one = {0};
        struct val v = key_pack(part, n, &one);
        val_put(packed, &v);
        buf_free(&one);
        struct wire wire = wire_over(packed->p, packed->n);
        *key = val_get(&wire);
    }
    for (size_t i = 0; i < n; i++)
        buf_free(&room[i]);
    free(room);
    free(part);
    return rc;
}
