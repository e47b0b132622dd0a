/* pack: see compare/pack.h. */
#include "compare/pack.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 32767 }; /* SQLite's own limit */

void pack_int(struct buf *b, int64_t v)
{
    struct val i = val_int(v);
    val_put(b, &i);
}

void pack_text(struct buf *b, const char *s)
{
    struct val v = val_text(s ? s : "");
    val_put(b, &v);
}

void pack_row(struct buf *b, const struct val *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        val_put(b, &v[i]);
}

void pack_table(struct buf *b, const struct table *t)
{
    pack_text(b, t->name);
    pack_int(b, (int64_t)t->ncol);
    for (size_t i = 0; i < t->ncol; i++) {
        pack_text(b, t->col[i]);
        pack_int(b, t->pk[i]);
    }
}

int64_t unpack_int(struct wire *w, int64_t max)
{
    struct val v = val_get(w);
    if (w->state == WIRE_OK && (v.type != VAL_INT || v.i < 0 || v.i > max))
        w->state = WIRE_BAD;
    return w->state == WIRE_OK ? v.i : 0;
}

char *unpack_text(struct wire *w)
{
    struct val v = val_get(w);
    if (w->state == WIRE_OK && (v.type != VAL_TEXT || memchr(v.p, 0, v.n)))
        w->state = WIRE_BAD;
    if (w->state != WIRE_OK)
        return mem_text("");
    char *s = mem_alloc(v.n + 1);
    memcpy(s, v.p, v.n);
    s[v.n] = 0;
    return s;
}

bool unpack_row(struct wire *w, struct val *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = val_get(w);
    return w->state == WIRE_OK;
}

/* Whether the key's places are 1, 2, ... each once. */
static bool sound_key(const uint8_t *pk, size_t n)
{
    size_t seen[UINT8_MAX + 1] = {0}, nkey = 0;
    for (size_t i = 0; i < n; i++) {
        nkey += pk[i] != 0;
        seen[pk[i]]++;
    }
    for (size_t i = 1; i <= nkey; i++)
        if (i > UINT8_MAX || seen[i] != 1)
            return false;
    return nkey > 0;
}

struct table *unpack_table(struct wire *w)
{
    char *name = unpack_text(w);
    size_t n = (size_t)unpack_int(w, COLUMNS_MAX);
    char **col = mem_zero(n, sizeof *col);
    uint8_t *pk = mem_zero(n, 1);
    for (size_t i = 0; i < n; i++) {
        col[i] = unpack_text(w);
        pk[i] = (uint8_t)unpack_int(w, UINT8_MAX);
    }
    struct table *t = NULL;
    if (w->state == WIRE_OK && sound_key(pk, n))
        t = table_new(name, n, (const char *const *)col, pk);
    else
        w->state = WIRE_BAD;
    for (size_t i = 0; i < n; i++)
        free(col[i]);
    free(col);
    free(pk);
    free(name);
    return t;
}
