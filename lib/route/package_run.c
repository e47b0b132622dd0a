/* package_run: see route/package_run.h. */
#include "route/package_run.h"

#include "base/err.h"
#include "base/mem.h"
#include "journal/meta.h"
#include "nodes/membership.h"
#include "nodes/membership_log.h"
#include "route/moves.h"
#include "route/set_aside.h"
#include "rules/fixed_now.h"
#include "rules/rule_compile.h"

#include <stdlib.h>
#include <string.h>

static enum view_was was_of(const char *text)
{
    if (text == NULL)
        return WAS_SAME;
    return strcmp(text, "all") == 0 ? WAS_WHOLE : strcmp(text, "member") == 0 ? WAS_MEMBER : WAS_NONE;
}

/* Whether the object was set aside, or rows of it were. */
static int read_aside(struct db *db, struct object_delta *w)
{
    int64_t owed = 0;
    int there = set_aside_present(db),
        aside = there > 0 ? set_aside_since(db, w->object->id, &w->since, &w->since_run) : there;
    if (aside < 0 || (there && db_get_int(db, &owed,
                                          "SELECT EXISTS (SELECT 1 FROM dx_set_aside WHERE kind = 'row' AND "
                                          "obj = %lld)",
                                          (long long)w->object->id)))
        return -1;
    w->retry = aside;
    w->owed = owed;
    if (aside)
        return 0;
    return meta_get_int(db, "routed", &w->since) || meta_get_int(db, "routes", &w->since_run) ? -1 : 0;
}

/* What dx_object notes of an object for the router. */
static int read_state(struct db *db, struct object_delta *w)
{
    struct stmt *s =
        db_preparef(db, "SELECT was, fresh, bound FROM dx_object WHERE id = %lld", (long long)w->object->id);
    enum step step = s ? stmt_step(s) : STEP_ERROR;
    if (step == STEP_ROW) {
        w->was = was_of(stmt_text(s, 0));
        w->fresh = stmt_int(s, 1) != 0;
        w->bound = mem_text(stmt_text(s, 2));
    }
    stmt_free(s);
    return step == STEP_ERROR ? -1 : read_aside(db, w);
}

static int read_declaration(struct db *db, struct object_delta *w)
{
    return w->object->visible != VISIBLE_NONE &&
                   (declare_object(db, w->object, &w->declared) ||
                    declare_changed(db, w->object, &w->declared, w->was == WAS_NONE, &w->redeclared))
               ? -1
               : 0;
}

/* A parent that everybody holds needs images of the rows that come and go, for its children. */
static void link_parents(struct package_run *p)
{
    for (size_t i = 0; i < p->package->nobject; i++) {
        const char *parent = p->viewed[i].object->via_object;
        for (size_t k = 0; parent && k < i; k++)
            if (strcmp(p->viewed[k].object->name, parent) == 0) {
                p->viewed[i].parent = &p->viewed[k];
                if (p->viewed[k].aside)
                    continue;
                transition_read(p->viewed[k].rule->relation, "");
                if (membership_whole(p->viewed[k].object))
                    transition_both(p->viewed[k].rule->relation);
            }
    }
}

static int compile(struct db *db, struct transition_tables *im, const char *now, struct object_delta *w)
{
    if ((w->rule = rule_compile(db, im, w->object, now)) == NULL || read_declaration(db, w))
        return -1;
    if (w->rule->terms.n && (w->bound_now = fixed_now_bound(db, buf_text(&w->rule->terms))) == NULL)
        return fail_in("object %s", w->object->name);
    /* Rows that everybody held follow from those of now, without what came since. */
    if (w->was == WAS_WHOLE)
        transition_both(w->rule->relation);
    return 0;
}

/* v->aside NULL: what cannot be compiled is a failure. */
static int open_objects(struct object_deltas *v, struct transition_tables *im, const char *now,
                        struct package_run *p)
{
    p->viewed = mem_zero(p->package->nobject, sizeof *p->viewed);
    for (size_t i = 0; i < p->package->nobject; i++) {
        struct object_delta *w = &p->viewed[p->n++];
        w->object = &p->package->object[i];
        w->place = i;
        if (read_state(v->db, w) || moves_make(v->db, w) ||
            (compile(v->db, im, now, w) && (v->aside == NULL || object_delta_set_aside(v, w))))
            return -1;
    }
    return 0;
}

/* The objects that the package no longer has, whose rows have to go. */
static int open_gone(struct db *db, struct package_run *p)
{
    struct package *gone = package_gone(db, p->package->name);
    if (gone == NULL)
        return -1;
    p->old = gone->object;
    p->nold = gone->nobject;
    gone->object = NULL;
    gone->nobject = 0;
    package_free(gone);
    p->viewed = mem_grow(p->viewed, p->n + p->nold, sizeof *p->viewed);
    for (size_t i = 0; i < p->nold; i++) {
        struct object_delta *w = &p->viewed[p->n++];
        *w = (struct object_delta){.object = &p->old[i], .gone = true, .place = p->n + i};
        if (read_state(db, w) || moves_make(db, w))
            return -1;
    }
    return 0;
}

int package_runs_open(struct object_deltas *v, struct transition_tables *im, const char *now,
                      struct package_run **out, size_t *n)
{
    struct db *db = v->db;
    char **name;
    size_t count;
    *out = NULL;
    *n = 0;
    if (package_names(db, &name, &count))
        return -1;
    *out = mem_zero(count, sizeof **out);
    int rc = 0;
    for (size_t i = 0; i < count; i++) {
        struct package_run *p = &(*out)[i];
        if (rc == 0) {
            (*n)++;
            p->package = package_get(db, name[i]);
            rc = p->package && open_objects(v, im, now, p) == 0 && open_gone(db, p) == 0 ? 0 : -1;
            if (rc == 0)
                link_parents(p);
        }
        free(name[i]);
    }
    free(name);
    return rc;
}

void package_runs_close(struct package_run *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < p[i].n; k++) {
            rule_free(p[i].viewed[k].rule);
            declare_free(&p[i].viewed[k].declared);
            free(p[i].viewed[k].bound);
            free(p[i].viewed[k].bound_now);
        }
        free(p[i].viewed);
        object_free(p[i].old, p[i].nold);
        package_free(p[i].package);
    }
    free(p);
}

bool package_run_defined_anew(const struct package_run *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->viewed[i].gone || p->viewed[i].fresh || p->viewed[i].redeclared ||
            p->viewed[i].was != WAS_SAME)
            return true;
    return false;
}

bool package_run_redeclared(const struct package_run *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->viewed[i].redeclared)
            return true;
    return false;
}

int package_run_settle(struct db *db, const struct package_run *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct object_delta *w = &p->viewed[i];
        long long id = (long long)w->object->id;
        if (w->aside)
            continue;
        int rc = declare_store(db, w->object, &w->declared);
        if (rc == 0 && w->gone)
            rc = db_execf(db,
                          "DELETE FROM main.dx_object WHERE id = %lld; DELETE FROM main.dx_set_aside_node "
                          "WHERE obj = %lld",
                          id, id) ||
                 membership_drop(db, w->object->id) || membership_log_drop(db, w->object->id);
        else if (rc == 0 && (w->fresh || object_delta_redefined(w)))
            rc = db_execf(db, "UPDATE main.dx_object SET was = NULL, fresh = 0, bound = %Q WHERE id = %lld",
                          w->bound_now, id);
        if (rc)
            return -1;
    }
    return 0;
}
