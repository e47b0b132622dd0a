/* val: see data/val.h. */
#include "data/val.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_MAX 1000000000u /* SQLITE_MAX_LENGTH */

struct val val_int(int64_t i)
{
    return (struct val){.type = VAL_INT, .i = i};
}

struct val val_text(const char *s)
{
    if (s == NULL)
        return (struct val){.type = VAL_NULL};
    return (struct val){.type = VAL_TEXT, .p = s, .n = strlen(s)};
}

bool val_same(const struct val *a, const struct val *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VAL_INT:
        return a->i == b->i;
    case VAL_REAL:
        return memcmp(&a->r, &b->r, sizeof a->r) == 0;
    case VAL_TEXT:
    case VAL_BLOB:
        return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
    default:
        return true;
    }
}

/* Exact order of an integer and a real, without rounding the integer. */
static int compare_int_real(int64_t i, double r)
{
    if (r >= 9223372036854775808.0)
        return -1;
    if (r < -9223372036854775808.0)
        return 1;
    int64_t whole = (int64_t)r;
    if (i != whole)
        return i < whole ? -1 : 1;
    double rest = r - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

static int compare_numbers(const struct val *a, const struct val *b)
{
    if (a->type == VAL_INT && b->type == VAL_INT)
        return a->i < b->i ? -1 : a->i > b->i;
    if (a->type == VAL_REAL && b->type == VAL_REAL)
        return a->r < b->r ? -1 : a->r > b->r;
    if (a->type == VAL_INT)
        return compare_int_real(a->i, b->r);
    return -compare_int_real(b->i, a->r);
}

static int rank(const struct val *v)
{
    static const int ranks[] = {
        [VAL_NONE] = 0, [VAL_NULL] = 1, [VAL_INT] = 2, [VAL_REAL] = 2, [VAL_TEXT] = 3, [VAL_BLOB] = 4};
    return ranks[v->type];
}

int val_compare(const struct val *a, const struct val *b)
{
    int ra = rank(a), rb = rank(b);
    if (ra != rb)
        return ra < rb ? -1 : 1;
    if (ra == 2)
        return compare_numbers(a, b);
    if (ra < 2)
        return 0;
    size_t n = a->n < b->n ? a->n : b->n;
    int order = n ? memcmp(a->p, b->p, n) : 0;
    return order ? order : a->n < b->n ? -1 : a->n > b->n;
}

int vals_compare(const struct val *a, const struct val *b, size_t n)
{
    int order = 0;
    for (size_t i = 0; i < n && order == 0; i++)
        order = val_compare(&a[i], &b[i]);
    return order;
}

static void put_number(struct buf *b, enum val_type type, uint64_t bits)
{
    uint8_t *p = buf_reserve(b, 9);
    p[0] = (uint8_t)type;
    for (int i = 0; i < 8; i++)
        p[1 + i] = (uint8_t)(bits >> (56 - 8 * i));
    b->n += 9;
}

void val_put(struct buf *b, const struct val *v)
{
    uint64_t bits;
    switch (v->type) {
    case VAL_INT:
        put_number(b, VAL_INT, (uint64_t)v->i);
        break;
    case VAL_REAL:
        memcpy(&bits, &v->r, sizeof bits);
        put_number(b, VAL_REAL, bits);
        break;
    case VAL_TEXT:
    case VAL_BLOB:
        buf_byte(b, (uint8_t)v->type);
        wire_put_varint(b, v->n);
        buf_add(b, v->p, v->n);
        break;
    default:
        buf_byte(b, (uint8_t)v->type);
        break;
    }
}

struct val val_get(struct wire *w)
{
    struct val v = {.type = VAL_NONE};
    uint8_t type = wire_byte(w);
    uint64_t n;
    switch (type) {
    case VAL_INT:
        v.i = (int64_t)wire_u64(w);
        break;
    case VAL_REAL:
        n = wire_u64(w);
        memcpy(&v.r, &n, sizeof v.r);
        break;
    case VAL_TEXT:
    case VAL_BLOB:
        n = wire_varint(w);
        if (w->state == WIRE_OK && n > LENGTH_MAX)
            w->state = WIRE_BAD;
        v.p = wire_bytes(w, n);
        v.n = (size_t)n;
        break;
    case VAL_NONE:
    case VAL_NULL:
        break;
    default:
        if (w->state == WIRE_OK)
            w->state = WIRE_BAD;
        return v;
    }
    v.type = (enum val_type)type;
    return v;
}

struct val *vals_copy(const struct val *v, size_t n)
{
    size_t bytes = n * sizeof *v;
    for (size_t i = 0; i < n; i++)
        if (v[i].type == VAL_TEXT || v[i].type == VAL_BLOB)
            bytes += v[i].n;
    struct val *copy = mem_alloc(bytes);
    uint8_t *at = (uint8_t *)(copy + n);
    for (size_t i = 0; i < n; i++) {
        copy[i] = v[i];
        if ((v[i].type == VAL_TEXT || v[i].type == VAL_BLOB) && v[i].n) {
            memcpy(at, v[i].p, v[i].n);
            copy[i].p = at;
            at += v[i].n;
        }
    }
    return copy;
}

enum { SHOW_MAX = 60 };

/* The shortest text that means this number. */
static void show_real(char *out, size_t room, double r)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, room, "%.*g", digits, r);
        if (strtod(out, NULL) == r)
            return;
    }
}

static void show(char *out, size_t room, const struct val *v)
{
    int n = v->type == VAL_TEXT ? (int)(v->n < SHOW_MAX ? v->n : SHOW_MAX) : 0;
    switch (v->type) {
    case VAL_INT:
        snprintf(out, room, "%lld", (long long)v->i);
        break;
    case VAL_REAL:
        show_real(out, room, v->r);
        break;
    case VAL_TEXT:
        snprintf(out, room, "'%.*s'%s", n, v->n ? (const char *)v->p : "", v->n > SHOW_MAX ? "..." : "");
        break;
    case VAL_BLOB:
        snprintf(out, room, "a blob of %zu bytes", v->n);
        break;
    default:
        snprintf(out, room, v->type == VAL_NULL ? "NULL" : "(none)");
    }
}

static char *next_slot(size_t *room)
{
    static char slots[8][512];
    static int turn;
    turn = (turn + 1) % 8;
    *room = sizeof slots[0];
    slots[turn][0] = 0;
    return slots[turn];
}

const char *vals_show(const struct val *v, size_t n)
{
    size_t room, used = 0;
    char *out = next_slot(&room);
    for (size_t i = 0; i < n && used + SHOW_MAX + 16 < room; i++) {
        if (i)
            used += (size_t)snprintf(out + used, room - used, ", ");
        show(out + used, room - used, &v[i]);
        used += strlen(out + used);
    }
    return out;
}

const char *val_show(const struct val *v)
{
    return vals_show(v, 1);
}
