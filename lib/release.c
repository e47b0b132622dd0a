/* release: see release.h. */
#include "release.h"

#include "accept.h"
#include "waiting.h"

static const char sql_held[] = DEFER_COLUMNS "WHERE seq > ?1 AND held AND way = 1 ORDER BY seq LIMIT 1";

_Static_assert(WORK_MERGE == 1, "sql_held names it by its number");

static int wait_on(struct work *w)
{
    w->defer->blocked = true;
    return 0;
}

/* For a change behind another of its row. */
static int ask(struct work *w, struct target *t, struct change *c)
{
    int may = accept_still(w, t, c);
    return may > 0 ? wait_on(w) : may;
}

static int ask_first(struct work *w, struct target *t, struct change *c)
{
    int may = accept_still(w, t, c);
    if (may <= 0)
        return may;
    int here = c->op == CHANGE_INSERT ? target_row(t, c, NULL) : 0;
    return here > 0 ? merge_one(w, t, c) : here < 0 ? -1 : wait_on(w);
}

int release_check(struct work *w)
{
    struct stmt *s = NULL;
    struct rowset met = {0};
    struct entry e = {0};
    int64_t seq = INT64_MIN;
    if (w->defer->n == 0)
        return 0;
    int got = (s = db_prepare(w->db, sql_held)) ? 1 : -1;
    while (got > 0 && (got = defer_next(w, s, seq, &e)) > 0) {
        seq = e.seq;
        if (defer_try(w, &e, rowset_find(&met, e.target, &e.change) ? ask : ask_first))
            got = -1;
        else if (w->defer->blocked)
            rowset_add(&met, e.target, &e.change);
    }
    defer_entry_free(&e);
    rowset_free(&met);
    stmt_free(s);
    return got;
}
