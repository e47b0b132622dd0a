/* row_intern: see data/row_intern.h. */
#include "data/row_intern.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 1024 };

void row_intern_clear(struct row_intern *t, size_t width)
{
    row_intern_free(t);
    t->width = width;
}

void row_intern_free(struct row_intern *t)
{
    free(t->value);
    free(t->slot);
    arena_free(&t->text);
    *t = (struct row_intern){0};
}

/* The values are chosen by who wrote the rows. */
static uint64_t hash_row(const struct val *row, size_t n)
{
    struct hash h = hash_begin();
    uint64_t bits;
    for (size_t i = 0; i < n; i++) {
        hash_word(&h, row[i].type);
        switch (row[i].type) {
        case VAL_INT:
            hash_word(&h, (uint64_t)row[i].i);
            break;
        case VAL_REAL:
            memcpy(&bits, &row[i].r, sizeof bits);
            hash_word(&h, bits);
            break;
        case VAL_TEXT:
        case VAL_BLOB:
            hash_bytes(&h, row[i].p, row[i].n);
            break;
        default:
            break;
        }
    }
    return hash_end(&h);
}

static bool same_row(const struct row_intern *t, const struct val *one, const struct val *other)
{
    for (size_t i = 0; i < t->width; i++)
        if (!val_same(&one[i], &other[i]))
            return false;
    return true;
}

/* The row's slot, or the free one where it belongs. */
static size_t *find(const struct row_intern *t, const struct val *row)
{
    size_t i = hash_row(row, t->width) & (t->nslot - 1);
    while (t->slot[i] && !same_row(t, row, t->value + (t->slot[i] - 1) * t->width))
        i = (i + 1) & (t->nslot - 1);
    return &t->slot[i];
}

/* What the table takes for so many rows: their values, and two slots each. */
static size_t table_bytes(const struct row_intern *t, size_t rows)
{
    return rows * (t->width * sizeof *t->value + 2 * sizeof *t->slot);
}

static void widen(struct row_intern *t, size_t rows)
{
    t->room = rows;
    t->value = mem_grow(t->value, rows * t->width, sizeof *t->value);
    t->nslot = rows * 2;
    free(t->slot);
    t->slot = mem_zero(t->nslot, sizeof *t->slot);
    for (size_t i = 0; i < t->n; i++)
        *find(t, t->value + i * t->width) = i + 1;
}

static size_t add(struct row_intern *t, const struct val *row)
{
    struct val *copy = t->value + t->n * t->width;
    for (size_t i = 0; i < t->width; i++) {
        copy[i] = arena_val(&t->text, &row[i]);
        if (row[i].type == VAL_TEXT || row[i].type == VAL_BLOB)
            t->bytes += row[i].n;
    }
    return ++t->n;
}

size_t row_intern_number(struct row_intern *t, const struct val *row)
{
    if (t->nslot == 0)
        widen(t, FEW);
    size_t *slot = find(t, row), known = *slot;
    if (known)
        return known;
    size_t room = t->n == t->room ? t->room * 2 : t->room;
    if (t->bytes + table_bytes(t, room) > TUPLES_BYTES)
        return 0;
    if (room > t->room) {
        widen(t, room);
        slot = find(t, row);
    }
    return *slot = add(t, row);
}
