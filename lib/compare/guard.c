/* guard: see compare/guard.h. */
#include "compare/guard.h"

#include "base/err.h"
#include "base/sha.h"
#include "compare/pack.h"

#include <string.h>

static const char *const side_name[SIDES] = {"mine", "theirs"};

struct guard_limits guard_defaults(void)
{
    return (struct guard_limits){.deletes = -1,
                                 .updates = -1,
                                 .delete_percent = 50,
                                 .update_percent = 50,
                                 .free_deletes = 1,
                                 .free_updates = 10};
}

struct summing {
    struct sha *sha;
    const struct specs *specs;
};

static int sum_one(void *ctx, struct item *i)
{
    const struct summing *s = ctx;
    struct buf b = {0};
    pack_int(&b, (int64_t)i->object);
    pack_row(&b, i->key, s->specs->spec[i->object].row->nkey);
    for (int side = 0; side < SIDES; side++) {
        struct val v = i->version[side];
        pack_int(&b, i->op[side]);
        if (v.type == VAL_NONE)
            v.type = VAL_NULL;
        val_put(&b, &v);
    }
    sha_add(s->sha, b.p, b.n);
    buf_free(&b);
    return 0;
}

int guard_digest(struct work *w, char hex[SHA_HEX])
{
    struct sha *sha = sha_new();
    for (size_t i = 0; i < w->specs->n; i++)
        sha_add(sha, w->specs->spec[i].name, strlen(w->specs->spec[i].name) + 1);
    struct summing s = {sha, w->specs};
    int rc = work_each(w, sum_one, &s, "op0 <> 0 OR op1 <> 0 ORDER BY id");
    sha_end(sha, hex);
    sha_free(sha);
    return rc;
}

static int64_t count(struct work *w, size_t object, int side, const char *what)
{
    int64_t n;
    return db_get_int(w->db, &n, "SELECT count(*) FROM item WHERE object = %lld AND %s%d", (long long)object,
                      what, side)
               ? -1
               : n;
}

static int64_t count_op(struct work *w, size_t object, int side, enum change_op op)
{
    int64_t n;
    return db_get_int(w->db, &n, "SELECT count(*) FROM item WHERE object = %lld AND op%d = %d",
                      (long long)object, side, op)
               ? -1
               : n;
}

static bool over(int64_t n, int64_t limit, int percent, int64_t free, int64_t of)
{
    return (limit >= 0 && n > limit) || (percent < 100 && n > free && (double)n * 100 > (double)of * percent);
}

static void complain(struct buf *b, const char *name, const char *why, int64_t n, int64_t of,
                     const char *what, int side)
{
    buf_addf(b, "%s%s: %s%lld of %lld rows would be %s in %s", b->n ? "; " : "", name, why, (long long)n,
             (long long)of, what, side_name[side]);
}

static int check_side(struct work *w, size_t object, int side, const struct threeway_counts *n,
                      const struct guard_limits *l, struct buf *refused)
{
    const char *name = w->specs->spec[object].name;
    int64_t deletes = count_op(w, object, side, CHANGE_DELETE),
            updates = count_op(w, object, side, CHANGE_UPDATE),
            backwards = count(w, object, !side, "backwards");
    int64_t of = n->base ? n->base : n->rows[side];
    if (deletes < 0 || updates < 0 || backwards < 0)
        return -1;
    if (deletes && n->rows[!side] == 0)
        complain(refused, name, "all rows are gone on the other side, ", deletes, of, "deleted", side);
    else if (over(deletes, l->deletes, l->delete_percent, l->free_deletes, of))
        complain(refused, name, "", deletes, of, "deleted", side);
    if (n->base && updates >= 3 && updates == n->base && l->update_percent < 100)
        complain(refused, name, "every row is changed, ", updates, of, "overwritten", side);
    else if (over(updates, l->updates, l->update_percent, l->free_updates, of))
        complain(refused, name, "", updates, of, "overwritten", side);
    if (backwards)
        buf_addf(refused,
                 "%s%s: the change key of %lld rows went backwards in %s, as after a restore from a backup",
                 refused->n ? "; " : "", name, (long long)backwards, side_name[!side]);
    return 0;
}

int guard_check(struct work *w, const struct threeway_counts *n, const struct guard_limits *limits,
                const char *approve)
{
    char digest[SHA_HEX];
    struct buf refused = {0};
    int rc = guard_digest(w, digest);
    for (size_t i = 0; i < w->specs->n && rc == 0; i++)
        for (int side = 0; side < SIDES && rc == 0; side++)
            rc = check_side(w, i, side, &n[i], limits, &refused);
    if (rc == 0 && refused.n && (approve == NULL || strcmp(approve, digest) != 0))
        rc = fail(ERR_GUARD, "%s; nothing was written. If that is what is wanted: --approve %s",
                  buf_text(&refused), digest);
    buf_free(&refused);
    return rc;
}
