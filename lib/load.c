/* load: a package into a database that routes by it (route_load, route.h). */
#include "route.h"

#include "analyse.h"
#include "err.h"
#include "journal.h"
#include "moment.h"
#include "package.h"
#include "store.h"

#include <stdlib.h>

static void tell_rule(const struct rule *r, void (*tell)(const char *fmt, ...))
{
    if (r->whole)
        tell("object %s: evaluated whole whenever what it reads changes, because of: %s", r->object->name,
             r->why);
    if (r->terms.n)
        tell("object %s: evaluated whole when the time in it moves on, for a date once a day",
             r->object->name);
}

int route_load(struct db *db, const char *directory, void (*tell)(const char *fmt, ...))
{
    char now[MOMENT_ROOM];
    int64_t routed = 0, known;
    moment_now(now);
    struct package *p = package_read(db, directory);
    struct images *im = p ? images_open(db) : NULL;
    int rc = im ? package_put(db, p) : -1;
    for (size_t i = 0; rc == 0 && i < p->nobject; i++) {
        struct rule *rule = rule_new(db, im, &p->object[i], now);
        if (rule == NULL)
            rc = fail_in("%s/package.conf", directory);
        else
            tell_rule(rule, tell);
        rule_free(rule);
    }
    /* What was before the first package was loaded was never routed to anybody. */
    rc = rc || db_get_int(db, &known, "SELECT count(*) FROM dx_meta WHERE name = 'routed'") ? -1 : 0;
    if (rc == 0 && !known)
        rc = journal_end(db, &routed) || store_set_int(db, "routed", routed) ? -1 : 0;
    if (rc == 0)
        rc = db_exec(
            db, "INSERT INTO dx_meta (name, value) VALUES ('routes', 1) ON CONFLICT (name) DO UPDATE SET "
                "value = value + 1");
    images_close(im);
    package_free(p);
    return rc;
}
