/* package_load: a package into a database that routes by it (route_load, route/route.h). */
#include "route/route.h"

#include "base/err.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/membership.h"
#include "route/continuity.h"
#include "route/local_check.h"
#include "route/lookalike.h"
#include "route/package_lint.h"
#include "route/schema_effect.h"
#include "rules/fixed_now.h"
#include "rules/package_nodes.h"
#include "rules/rule_compile.h"

static void tell_rule(const struct rule *r, void (*tell)(const char *fmt, ...))
{
    if (r->full_refresh)
        tell("object %s: evaluated whole whenever what it reads changes, because of: %s", r->object->name,
             r->why);
    if (r->terms.n)
        tell("object %s: evaluated whole when the time in it moves on, for a date once a day",
             r->object->name);
}

/* The nodes in the middle of what there may be, for SQLite's plans. */
static const char sql_nodes[] =
    "DELETE FROM " PACKAGE_NODES ";"
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 100) INSERT "
    "INTO " PACKAGE_NODES " SELECT i, i, i, 'p', 'active' FROM r; ANALYZE " PACKAGE_NODES
    "; DELETE FROM " PACKAGE_NODES;

/* Analyses one object's rule, and says what is to be said of it. */
static int check_object(struct db *db, struct transition_tables *im, const struct package *p,
                        const struct object *o, const char *now, void (*tell)(const char *fmt, ...))
{
    struct object_delta w = {.object = o, .rule = rule_compile(db, im, o, now)};
    if (w.rule == NULL)
        return -1;
    tell_rule(w.rule, tell);
    int rc = package_lint_indexes(db, &w, tell) || package_lint_references(db, p, o, tell) ||
                     package_lint_triggers(db, o, tell) || package_lint_merges(db, o, tell)
                 ? -1
                 : 0;
    rule_free(w.rule);
    return rc;
}

static int check_objects(struct db *db, const struct package *p, const char *directory,
                         void (*tell)(const char *fmt, ...))
{
    char now[MOMENT_ROOM];
    struct transition_tables *im = transition_open(db);
    fixed_now_now(now);
    int rc = im && membership_functions(db) == 0 && object_delta_init(db) == 0 && db_exec(db, sql_nodes) == 0
                 ? 0
                 : -1;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++)
        if (check_object(db, im, p, &p->object[i], now, tell))
            rc = fail_in("%s/package.conf", directory);
    transition_close(im);
    return rc;
}

/* The tables of what is held. */
static int make_held(struct db *db, const struct package *p)
{
    for (size_t i = 0; i < p->nobject; i++)
        if (membership_make(db, &p->object[i]))
            return -1;
    return 0;
}

/* Nobody holds anything. */
static int forget_held(struct db *db)
{
    return membership_each(db, "iif(gone, 'DROP TABLE', 'DELETE FROM') || ' dx_member_' || id") ||
                   db_exec(db, "DELETE FROM dx_object WHERE gone")
               ? -1
               : 0;
}

/* What was before the first package was loaded was never routed to anybody. Where the journal has been broken off since,
 * nobody knows what copies lack: all begins again, and every node needs a snapshot. */
static int begin(struct db *db, void (*tell)(const char *fmt, ...))
{
    int64_t known, routed, end;
    if (db_get_int(db, &known, "SELECT count(*) FROM dx_meta WHERE name = 'routed'") ||
        meta_get_int(db, "routed", &routed) || journal_end(db, &end))
        return -1;
    if (known && continuity_check_journal(db, routed, end) == 0)
        return 0;
    if (known && err_code() != ERR_REFUSED)
        return -1;
    if (known)
        tell("%s; routing begins again, and every node needs a new snapshot", err_message());
    return meta_set_int(db, "routed", end) || continuity_note(db) || forget_held(db) ||
                   db_exec(db,
                           "DELETE FROM dx_set_aside; DELETE FROM dx_set_aside_node; DELETE FROM dx_routed; "
                           "DELETE FROM dx_force; DELETE FROM dx_history; UPDATE "
                           "dx_object SET was = 'none', bound = NULL; UPDATE dx_nodes SET suspended_at = "
                           "NULL, epoch = "
                           "lower(hex(randomblob(8)))")
               ? -1
               : 0;
}

/* What nodes get, or need, since their tables are declared otherwise. */
static int tell_schema(struct db *db, const char *package, void (*tell)(const char *fmt, ...))
{
    struct schema_effect *e;
    size_t n;
    int rc = schema_effects(db, package, &e, &n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct buf text = {0};
        schema_effect_text(&e[i], &text);
        tell("%s", buf_text(&text));
        buf_free(&text);
    }
    schema_effects_free(e, n);
    return rc;
}

int route_load(struct db *db, const char *directory, void (*tell)(const char *fmt, ...))
{
    struct package *p = package_read(db, directory);
    int rc = p && lookalike_check(db, p, directory) == 0 && package_put(db, p) == 0 &&
                     make_held(db, p) == 0 && check_objects(db, p, directory, tell) == 0 &&
                     local_check(db, p, directory, tell) == 0 && package_lint_files(db, p, tell) == 0 &&
                     tell_schema(db, p->name, tell) == 0
                 ? begin(db, tell)
                 : -1;
    if (rc == 0)
        rc = db_exec(
            db,
            "DELETE FROM dx_meta WHERE name = 'routed_schema';" /* the next run looks which nodes need the declarations */
            "INSERT INTO dx_meta (name, value) VALUES ('routes', 1) ON CONFLICT (name) DO UPDATE SET "
            "value = value + 1");
    package_free(p);
    return rc;
}
