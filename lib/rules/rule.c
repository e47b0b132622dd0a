/* rule: see rules/rule.h. */
#include "rules/rule.h"

#include "rules/package_nodes.h"

#include <stdlib.h>
#include <string.h>

void rule_put_name(struct buf *b, const struct occurrence *o, const char *name)
{
    buf_puts(b, name);
    if (o->as) {
        buf_puts(b, " AS ");
        buf_name(b, o->relation->name);
    }
}

void rule_sql(struct buf *sql, const struct arm *a, const char *const *use)
{
    rule_cut_sql(sql, a, use, 0, strlen(a->sql), NULL, 0);
}

void rule_cut_sql(struct buf *sql, const struct arm *a, const char *const *use, size_t from, size_t to,
                  const struct cut *cut, size_t ncut)
{
    size_t at = from, c = 0;
    for (size_t i = 0; i <= a->noccurrence; i++) {
        const struct occurrence *o = i < a->noccurrence ? &a->occurrence[i] : NULL;
        size_t next = o && o->at < to ? o->at : to;
        for (; cut && c < ncut && cut[c].at < next; c++) {
            if (cut[c].at < at)
                continue;
            buf_add(sql, a->sql + at, cut[c].at - at);
            buf_puts(sql, cut[c].text);
            at = cut[c].end;
        }
        const char *name = o == NULL ? NULL : use[i] ? use[i] : o->relation->layout ? NULL : PACKAGE_NODES;
        if (o == NULL || o->at < at || o->at >= to || name == NULL)
            continue;
        buf_add(sql, a->sql + at, o->at - at);
        rule_put_name(sql, o, name);
        at = o->end;
    }
    buf_add(sql, a->sql + at, to - at);
}

static bool touched(const struct reading *x)
{
    for (size_t c = 0; c < x->relation->ncol; c++)
        if (x->column[c] && x->relation->moved[c])
            return true;
    return x->relation->came;
}

bool rule_touched(const struct rule *r)
{
    for (size_t i = 0; i < r->nreading; i++)
        if (touched(&r->reading[i]))
            return true;
    return false;
}

const char *rule_broken(const struct rule *r)
{
    for (size_t i = 0; i < r->nreading; i++)
        if (r->reading[i].relation->broken)
            return r->reading[i].relation->broken;
    return r->relation->broken;
}

bool rule_touched_by(const struct rule *r, const struct relation *relation)
{
    for (size_t i = 0; i < r->nreading; i++)
        if (r->reading[i].relation == relation)
            return touched(&r->reading[i]);
    return false;
}

void rule_free(struct rule *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->narm; i++) {
        free(r->arm[i].sql);
        for (size_t k = 0; k < r->arm[i].noccurrence; k++)
            free(r->arm[i].occurrence[k].alias);
        free(r->arm[i].occurrence);
        free(r->arm[i].dual);
        free(r->arm[i].class_column);
    }
    for (size_t i = 0; i < r->nreading; i++)
        free(r->reading[i].column);
    free(r->arm);
    free(r->reading);
    free(r->why);
    free(r->keep);
    buf_free(&r->terms);
    free(r);
}
