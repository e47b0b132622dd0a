/* settle: see settle.h. */
#include "settle.h"

#include "../sim/same.h"
#include "../sync/files.h"
#include "../sync/mail.h"
#include "../sync/stage.h"
#include "base/err.h"
#include "base/mem.h"
#include "lie.h"
#include "way.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 6 };

/* A file that waits; to be freed. NULL: none. */
static char *waiting_file(void)
{
    static const char *const patterns[] = {"site/docking/*/inbox/[0-9]*", "site/docking/*/outbox/[0-9]*",
                                           "*.db-dx/inbox/*", "*.db-dx/outbox/[0-9]*", "*.db-dx/replay/*"};
    char *found = NULL;
    for (size_t i = 0; found == NULL && i < sizeof patterns / sizeof *patterns; i++) {
        glob_t files;
        if (glob(patterns[i], 0, NULL, &files) == 0)
            found = mem_text(files.gl_pathv[0]);
        globfree(&files);
    }
    return found;
}

/* Changes of a copy that its server has not judged. */
static int64_t pending(int file)
{
    static const char own[] = "SELECT count(*) FROM dx_journal WHERE origin IS NOT '^' AND seq > "
                              "coalesce((SELECT value FROM dx_meta WHERE name = 'settled'), 0)";
    struct db *db = place_open(file);
    int64_t n = -1;
    if (db && db_get_int(db, &n, "%s", own))
        n = -1;
    db_close(db);
    return n;
}

/* A second copy of a file, or of a device's, hands over what it has, and is used no more. */
static int retire_twin(struct place *p, int f)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < 2; i++)
        rc = f < DEVICES ? way_session(p, NULL, f, true) : way_device(p, NULL, f, false);
    char *path = place_path(f);
    if (rc == 0 && pending(f))
        rc = stage_broke("%s: something is pending after two sessions", path);
    char *command =
        mem_printf("mkdir -p kept/%s-dx && mv %s kept && { [ ! -e %s-dx ] || cp -r %s-dx/. kept/%s-dx; } "
                   "&& rm -rf %s-dx/[a-r]*",
                   path, path, path, path, path, path);
    p->there[f] = false;
    if (rc == 0 && system(command))
        rc = stage_broke("%s cannot be moved away", path);
    free(command);
    free(path);
    return rc;
}

static int retire_twins(struct place *p)
{
    int rc = 0;
    for (int f = TWINS; rc == 0 && f < FILES; f++)
        if ((f < DEVICES || f >= DEVICE_TWINS) && p->there[f])
            rc = retire_twin(p, f);
    return rc;
}

static int round_of_sessions(struct place *p)
{
    int rc = way_cron(p, NULL);
    for (int n = 0; rc == 0 && n < p->h->nnode; n++) {
        if (!p->there[n])
            rc = way_initsync(p, NULL, n);
        rc = rc || way_session(p, NULL, n, true) || way_device(p, NULL, DEVICES + n, true);
    }
    return rc ? -1 : 0;
}

/* Rows in quarantine there, those that a companion has of its handheld left out. */
/* On a copy those of what its server sent: others came from its handheld, or from a saved archive that was put back. */
static int64_t quarantined(int file)
{
    struct db *db = place_open(file);
    int64_t n = -1;
    if (db && db_get_int(db, &n, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_quarantine'") == 0 && n)
        db_get_int(db, &n, "SELECT count(*) FROM dx_quarantine WHERE %s",
                   file == SERVER ? "TRUE" : "way = 0");
    db_close(db);
    return n;
}

/* What waits in quarantine could not be taken if it were tried again. */
static int check_quarantine(struct place *p)
{
    int64_t was = quarantined(SERVER);
    if (was <= 0)
        return was < 0 ? -1 : 0;
    if (WAY(p, NULL, NULL, NULL, 1, "dxapply", "retry", "site/hq.db"))
        return -1;
    int64_t is = quarantined(SERVER);
    if (is != was)
        return stage_broke("%lld rows waited in quarantine although nothing kept them from being taken",
                           (long long)(was - is));
    int code = stage_run(NULL, NULL, NULL, (const char *const[]){"dxapply", "conflicts", "site/hq.db", NULL});
    return code == 1 ? 0 : stage_surprise("dxapply conflicts, with rows in quarantine", code);
}

int settle(struct place *p)
{
    char *file = NULL;
    p->clock++;
    if (lie_amends(p) || retire_twins(p))
        return -1;
    for (int round = 0; round < ROUNDS; round++) {
        if (round_of_sessions(p) || place_follow(p))
            return -1;
        int64_t n = 0;
        for (int f = 0; n == 0 && f < FILES; f++)
            n = p->there[f] ? pending(f) : 0;
        free(file);
        file = waiting_file();
        if (file == NULL && n == 0 && round > 0)
            return check_quarantine(p);
        if (n < 0)
            return -1;
    }
    int rc = file ? stage_broke("after %d rounds of sessions %s still waits", ROUNDS, file)
                  : stage_broke("after %d rounds of sessions changes are still pending", ROUNDS);
    free(file);
    return rc;
}

/* The columns of the server's table that a node gets. */
static int put_columns(const struct place *p, struct db *db, const char *table, bool hides, struct buf *b)
{
    struct stmt *s = db_preparef(db, "SELECT name FROM pragma_table_info(%Q) ORDER BY name", table);
    int n = 0;
    while (s && stmt_step(s) == STEP_ROW)
        if (!(hides && strcmp(stmt_text(s, 0), "h") == 0) && !place_hides(p, stmt_text(s, 0)))
            buf_addf(b, "%sr.%s", n++ ? ", " : "", stmt_text(s, 0));
    stmt_free(s);
    return n ? 0 : -1;
}

/* Rows of a table of the server, under a condition, and those of a node's copy. */
static int compare_rows(const struct place *p, struct db *server, struct db *copy, int node,
                        const char *table, bool hides, const char *condition)
{
    struct buf view = {0}, have = {0}, why = {0};
    size_t n;
    buf_puts(&view, "SELECT ");
    int rc = put_columns(p, server, table, hides, &view);
    buf_add(&have, view.p, view.n);
    buf_addf(&have, " FROM %s r", table);
    buf_addf(&view, " FROM %s r WHERE %s", table, condition);
    int same = rc ? -1 : same_rows(server, buf_text(&view), copy, buf_text(&have), &why, &n);
    if (same <= 0)
        rc = stage_broke("n%d, %s: %s", node, table, same ? err_message() : buf_text(&why));
    buf_free(&view);
    buf_free(&have);
    buf_free(&why);
    return rc;
}

static int compare_table(struct place *p, struct db *server, struct db *copy, int node, int t)
{
    struct buf seen = {0};
    files_seen(p->h, t, "r", node, 0, &seen);
    int rc = compare_rows(p, server, copy, node, p->h->table[t].name, p->h->table[t].hides, buf_text(&seen));
    buf_free(&seen);
    return rc;
}

/* Tables that were added at the server. */
static int compare_added(struct place *p, struct db *server, struct db *copy, int node)
{
    char *mine = mem_printf("own = (SELECT user FROM dx_node WHERE name = 'n%d')", node);
    int rc = place_has_column(server, "e0", "id") ? compare_rows(p, server, copy, node, "e0", false, "1") : 0;
    if (rc == 0 && place_has_column(server, "e1", "id"))
        rc = compare_rows(p, server, copy, node, "e1", false, mine);
    free(mine);
    return rc;
}

/* Of the categories of a row the device holds the first. */
static int compare_categories(struct place *p, struct db *copy, struct db *device, int node)
{
    struct buf why = {0};
    size_t n;
    int same = p->h->categories ? same_rows(copy, "SELECT r, min(c) FROM cat GROUP BY r", device,
                                            "SELECT r, c FROM cat", &why, &n)
                                : 1;
    if (same <= 0)
        stage_broke("d%d, categories: %s", node, same ? err_message() : buf_text(&why));
    buf_free(&why);
    return same > 0 ? 0 : -1;
}

/* The device may start, and has the software that the server has staged, or a newer one. */
static int check_software(struct db *device, int node)
{
    struct db *server = place_open(SERVER);
    int64_t there = 0, staged = 0, has = 0;
    int rc = server ? 0 : -1;
    if (rc == 0)
        rc = db_get_int(server, &there, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_patch'");
    if (rc == 0 && there)
        rc = db_get_int(server, &staged, "SELECT max(CAST(version AS INTEGER)) FROM dx_patch");
    if (rc == 0)
        rc = db_get_int(device, &has, "SELECT CAST(value AS INTEGER) FROM dx_meta WHERE name = 'software'");
    db_close(server);
    if (rc)
        return stage_broke("d%d: %s", node, err_message());
    if (has < staged)
        return stage_broke("d%d: its software is %lld, and %lld is staged", node, (long long)has,
                           (long long)staged);
    char *path = place_path(DEVICES + node);
    int code = stage_run(NULL, NULL, NULL, (const char *const[]){"hhextract", "ready", path, NULL});
    free(path);
    return code ? stage_surprise("hhextract ready", code) : 0;
}

/* The device holds what its companion holds. */
static int compare_device(struct place *p, struct db *copy, int node)
{
    struct db *device = p->there[DEVICES + node] ? place_open(DEVICES + node) : NULL;
    int rc = device || !p->there[DEVICES + node] ? 0 : -1;
    for (int t = 0; device && rc == 0 && t < p->h->ntable; t++) {
        struct buf sql = {0}, why = {0};
        size_t n;
        buf_puts(&sql, "SELECT ");
        rc = put_columns(p, copy, p->h->table[t].name, p->h->table[t].hides, &sql);
        buf_addf(&sql, " FROM %s r", p->h->table[t].name);
        int same = rc ? -1 : same_rows(copy, buf_text(&sql), device, buf_text(&sql), &why, &n);
        if (same <= 0)
            rc = stage_broke("d%d, %s: %s", node, p->h->table[t].name, same ? err_message() : buf_text(&why));
        buf_free(&sql);
        buf_free(&why);
    }
    if (device && rc == 0)
        rc = compare_categories(p, copy, device, node) || check_software(device, node) ? -1 : 0;
    if (device && rc == 0 && quarantined(DEVICES + node))
        rc = stage_broke("d%d: rows wait in quarantine", node);
    db_close(device);
    return rc;
}

static int compare_digest(int node)
{
    char *name = mem_printf("n%d", node), *db = place_path(node);
    int a = RUN(NULL, NULL, "digest-server", "txnlog", "digest", "site/hq.db", "--node", name);
    int b = a ? 0 : RUN(NULL, NULL, "digest-copy", "txnlog", "digest", db);
    int rc = a || b ? stage_surprise("txnlog digest", a + b) : 0;
    if (rc == 0 && !mail_same("digest-server", "digest-copy"))
        rc = stage_broke("%s: the copy is right, but its digest is not the server's", name);
    free(name);
    free(db);
    return rc;
}

int settle_compare(struct place *p)
{
    struct db *server = place_open(SERVER);
    int rc = server ? 0 : -1;
    for (int n = 0; rc == 0 && n < p->h->nnode; n++) {
        struct db *copy = place_open(n);
        rc = copy ? 0 : -1;
        for (int t = 0; rc == 0 && t < p->h->ntable; t++)
            rc = compare_table(p, server, copy, n, t);
        rc = rc || compare_added(p, server, copy, n) || compare_device(p, copy, n);
        db_close(copy);
        if (rc == 0 && quarantined(n))
            rc = stage_broke("n%d: rows of its server wait in quarantine", n);
        rc = rc || compare_digest(n);
    }
    db_close(server);
    return rc || place_account(p) ? -1 : 0;
}
