/* audience_diff: see route/audience_diff.h. */
#include "route/audience_diff.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_LOG = 15, SLOTS = 1 << SLOTS_LOG };

/* One answer; a newer one takes the place of another in its slot. */
struct slot {
    int64_t old, new, but, only;
    struct audience_diff share;
    bool known;
};

struct audience_diffs {
    struct audiences *audiences;
    struct audience_diff same; /* the answer where nothing moved */
    bool used;
    struct slot slot[SLOTS];
};

struct audience_diffs *audience_diffs_open(struct audiences *a)
{
    struct audience_diffs *s = mem_zero(1, sizeof *s);
    s->audiences = a;
    return s;
}

void audience_diffs_close(struct audience_diffs *s)
{
    free(s);
}

void audience_diffs_forget(struct audience_diffs *s)
{
    if (s->used)
        memset(s->slot, 0, sizeof s->slot);
    s->used = false;
}

static bool good(const struct audience_diff *x)
{
    return x->enter != AUDIENCE_ERROR && x->leave != AUDIENCE_ERROR && x->stay != AUDIENCE_ERROR;
}

static int work_out(struct audiences *a, struct slot *s)
{
    struct audience_diff x = {audience_minus(a, s->new, s->old), audience_minus(a, s->old, s->new),
                              audience_both(a, s->old, s->new)};
    if (good(&x) && s->but)
        x = (struct audience_diff){audience_minus(a, x.enter, s->but), audience_minus(a, x.leave, s->but),
                                   audience_minus(a, x.stay, s->but)};
    if (good(&x) && s->only != AUDIENCE_ALL)
        x = (struct audience_diff){audience_both(a, x.enter, s->only), audience_both(a, x.leave, s->only),
                                   audience_both(a, x.stay, s->only)};
    s->share = x;
    return good(&x) ? 0 : -1;
}

const struct audience_diff *audience_diffs_of(struct audience_diffs *s, int64_t old, int64_t new, int64_t but,
                                              int64_t only)
{
    if (but == AUDIENCE_NOBODY && only == AUDIENCE_ALL && old == new) {
        s->same.stay = old;
        return &s->same;
    }
    uint64_t h = (uint64_t)old;
    h = h * 0x9e3779b97f4a7c15ULL + (uint64_t) new;
    h = h * 0x9e3779b97f4a7c15ULL + (uint64_t)but;
    struct slot *slot = &s->slot[(h * 0x9e3779b97f4a7c15ULL) >> (64 - SLOTS_LOG)];
    if (slot->known && slot->old == old && slot->new == new && slot->but == but && slot->only == only)
        return &slot->share;
    s->used = true;
    *slot = (struct slot){.old = old, .new = new, .but = but, .only = only};
    slot->known = work_out(s->audiences, slot) == 0;
    return slot->known ? &slot->share : NULL;
}
