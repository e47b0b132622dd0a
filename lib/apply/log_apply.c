/* log_apply: see apply/log_apply.h. */
#include "apply/log_apply.h"

#include "apply/upload_apply.h"
#include "base/err.h"
#include "journal/meta.h"

#include <stdlib.h>
#include <string.h>

/* How far each log, known by its epoch, has been taken. */
static const char sql_make[] =
    "CREATE TABLE IF NOT EXISTS dx_source (epoch TEXT PRIMARY KEY, upto INTEGER) WITHOUT ROWID";

static bool followed(const struct dx_head *h)
{
    return *h->epoch && h->upto > 0;
}

/* Whether the log was read from this very database. */
static int is_own(struct apply_context *w, bool *own)
{
    char *epoch = NULL;
    *own = false;
    int present = meta_present(w->db);
    if (present < 0 || (present && meta_get_text(w->db, "epoch", &epoch)))
        return -1;
    *own = epoch && strcmp(epoch, w->head->epoch) == 0;
    free(epoch);
    return 0;
}

static int check(struct apply_context *w)
{
    const struct dx_head *h = w->head;
    int64_t upto, there;
    bool own;
    if (is_own(w, &own))
        return -1;
    if (own)
        return fail(ERR_REFUSED, "%s: the log was read from this very database, it is all here already",
                    w->name);
    if (db_exec(w->db, sql_make) ||
        db_get_int(w->db, &there, "SELECT count(*) FROM dx_source WHERE epoch = %Q", h->epoch) ||
        db_get_int(w->db, &upto, "SELECT upto FROM dx_source WHERE epoch = %Q", h->epoch))
        return -1;
    if (!there)
        return 1;
    if (h->upto <= upto)
        return 0;
    if (h->after > upto)
        return fail(
            ERR_REFUSED,
            "%s: the log begins after entry %lld, but entry %lld is missing; read it with --after %lld",
            w->name, (long long)h->after, (long long)upto + 1, (long long)upto);
    if (h->after < upto)
        return fail(
            ERR_REFUSED,
            "%s: the log begins after entry %lld, but was taken up to %lld; read it with --after %lld",
            w->name, (long long)h->after, (long long)upto, (long long)upto);
    return 1;
}

int log_apply_begin(struct apply_context *w)
{
    int64_t captured;
    w->way = WORK_MERGE;
    int go = followed(w->head) ? check(w) : 1;
    if (go <= 0)
        return go;
    if (db_get_int(w->db, &captured, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_table'") ||
        change_log_begin(&w->effect, w->db, captured > 0, w->options->undo != NULL))
        return -1;
    upload_apply_watch(w);
    return 1;
}

int log_apply_end(struct apply_context *w)
{
    if (!followed(w->head))
        return 0;
    return db_execf(w->db, "INSERT OR REPLACE INTO dx_source (epoch, upto) VALUES (%Q, %lld)", w->head->epoch,
                    (long long)w->head->upto);
}
