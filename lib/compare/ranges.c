/* ranges: see compare/ranges.h. */
#include "compare/ranges.h"

#include "base/mem.h"

#include <stdlib.h>

enum { RANGE_BITS = 0xf, GROUP_BITS = 0xff, RANGE_MAX = 512 };

void ranges_begin(struct ranges *r)
{
    *r = (struct ranges){.one = sha_new(), .several = sha_new(), .all = sha_new()};
}

void ranges_free(struct ranges *r)
{
    sha_free(r->one);
    sha_free(r->several);
    sha_free(r->all);
    buf_free(&r->bytes);
    free(r->range);
    free(r->group);
    free(r->group_end);
    *r = (struct ranges){0};
}

static uint64_t first_bytes(const uint8_t *sum)
{
    struct wire w = wire_over(sum, SHA_BYTES);
    return wire_u64(&w);
}

/* FNV-1a, mixed so that its last bits depend on all. */
static uint64_t hash(const uint8_t *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    return h ^ h >> 33;
}

static void end_group(struct ranges *r)
{
    uint8_t sum[SHA_BYTES];
    sha_end_bytes(r->several, sum);
    r->group = mem_grow(r->group, r->ngroup + 1, sizeof *r->group);
    r->group_end = mem_grow(r->group_end, r->ngroup + 1, sizeof *r->group_end);
    r->group[r->ngroup] = first_bytes(sum);
    r->group_end[r->ngroup++] = r->nrange;
    r->group_open = false;
}

static void end_range(struct ranges *r)
{
    uint8_t sum[SHA_BYTES];
    sha_end_bytes(r->one, sum);
    sha_add(r->several, sum, sizeof sum);
    sha_add(r->all, sum, sizeof sum);
    r->range = mem_grow(r->range, r->nrange + 1, sizeof *r->range);
    r->range[r->nrange++] = first_bytes(sum);
    r->rows = 0;
    r->open = false;
    r->group_open = true;
}

bool ranges_add(struct ranges *r, const struct val *key, size_t nkey, const struct val *version)
{
    buf_clear(&r->bytes);
    for (size_t i = 0; i < nkey; i++)
        val_put(&r->bytes, &key[i]);
    uint64_t h = hash(r->bytes.p, r->bytes.n);
    val_put(&r->bytes, version);
    sha_add(r->one, r->bytes.p, r->bytes.n);
    r->open = true;
    if ((h & RANGE_BITS) != 0 && ++r->rows < RANGE_MAX)
        return false;
    end_range(r);
    if ((h & GROUP_BITS) == 0)
        end_group(r);
    return true;
}

void ranges_end(struct ranges *r)
{
    if (r->open)
        end_range(r);
    if (r->group_open)
        end_group(r);
    sha_end_bytes(r->all, r->root);
}

/* ---- sets ---- */

void range_set_add(struct range_set *s, const uint64_t *sum, size_t n)
{
    s->sum = mem_grow(s->sum, s->n + n + 1, sizeof *s->sum);
    for (size_t i = 0; i < n; i++)
        s->sum[s->n++] = sum[i];
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void range_set_sort(struct range_set *s)
{
    if (s->n)
        qsort(s->sum, s->n, sizeof *s->sum, by_value);
}

bool range_set_has(const struct range_set *s, uint64_t sum)
{
    return s->n && bsearch(&sum, s->sum, s->n, sizeof *s->sum, by_value) != NULL;
}

void range_set_free(struct range_set *s)
{
    free(s->sum);
    *s = (struct range_set){0};
}
