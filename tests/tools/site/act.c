/* act: see act.h. */
#include "act.h"

#include "../sync/files.h"
#include "../sync/stage.h"
#include "../sync/step.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "change.h"
#include "lie.h"
#include "plot.h"
#include "way.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int act_begin(struct place *p)
{
    struct buf schema = {0}, package = {0}, handheld = {0};
    files_schema(p->h, &schema);
    files_package(p->h, 0, NULL, &package);
    if (p->h->categories)
        files_handheld(p->h, &handheld);
    int rc = system("rm -rf site backup kept p app *.db *.db-* messages; mkdir -p site/docking backup kept p "
                    "app; : >messages") ||
                     step_write_file("p/package.conf", &package) ||
                     step_write_file("handheld.conf", &handheld)
                 ? stage_broke("cannot write here")
                 : 0;
    struct db *db = rc ? NULL : db_open("site/hq.db", DB_CREATE);
    if (rc == 0 && (db == NULL || db_exec(db, "PRAGMA journal_mode = WAL") || db_exec(db, buf_text(&schema))))
        rc = stage_broke("%s", err_message());
    db_close(db);
    rc = rc || WAY(p, NULL, NULL, NULL, 0, "txnlog", "attach", "site/hq.db") ||
         WAY(p, NULL, NULL, NULL, 1, "txnroute", "load", "site/hq.db", "p");
    for (int n = 0; rc == 0 && n < p->h->nnode; n++) {
        char *node = mem_printf("n%d", n), *user = mem_printf("u%d", n % USERS);
        rc = WAY(p, NULL, NULL, NULL, 0, "txnroute", "node", "add", "site/hq.db", node, "--package", "p",
                 "--user", user);
        free(node);
        free(user);
    }
    p->complaints = 0;
    buf_free(&schema);
    buf_free(&package);
    buf_free(&handheld);
    return rc ? -1 : 0;
}

/* The copy that a step of a node is about: the second one of its file at times. */
static int file_of(const struct place *p, const struct sim_step *s)
{
    if (s->node == SERVER)
        return SERVER;
    if (s->device)
        return s->which % 2 && p->there[DEVICE_TWINS + s->node] ? DEVICE_TWINS + s->node : DEVICES + s->node;
    return s->which % 2 && p->there[TWINS + s->node] ? TWINS + s->node : s->node;
}

/* Puts a file back. What goes wrong then is found by the next session, or the way in dx(7) is taken at once. */
static int restore(struct place *p, const struct sim_step *s)
{
    int file = file_of(p, s);
    int rc = place_restore(p, file, s->place % 3);
    if (rc == 0 && file == SERVER)
        rc = s->place % 2 ? way_cron(p, NULL) : 0;
    else if (rc == 0 && s->place / 8 % 2 && file < DEVICES && p->there[file])
        rc = way_initsync(p, NULL, file);
    return rc;
}

static int lose(const struct sim_step *s)
{
    char *command =
        s->which < 25   ? mem_text("rm -rf site/docking")
        : s->which < 45 ? mem_text("rm -rf site/docking/*")
        : s->which < 65 ? mem_printf("rm -rf site/docking/n%d", s->node)
        : s->which < 90
            ? mem_printf("find site/docking/n%d/outbox -name '*.dx' 2>/dev/null | head -n %d | xargs -r rm",
                         s->node, 1 + s->place % 3)
            : mem_printf("find site/docking/n%d/inbox n%d.db-dx/outbox n%d.db-dx/inbox -name '*.dx' "
                         "2>/dev/null | xargs -r rm",
                         s->node, s->node, s->node);
    int rc = system(command) ? stage_broke("%s", command) : 0;
    free(command);
    return rc;
}

/* The file is copied, with or without what lies beside it. */
static int make_twin(struct place *p, const struct sim_step *s)
{
    int file = s->device ? DEVICES + s->node : s->node;
    int twin = s->device ? DEVICE_TWINS + s->node : TWINS + s->node;
    if (!p->there[file] || p->there[twin])
        return 0;
    char *from = place_path(file), *to = place_path(twin);
    int rc = place_copy(file, to);
    char *command = mem_printf("rm -rf %s-dx; [ ! -e %s-dx ] || cp -r %s-dx %s-dx; rm -rf %s-dx/saved", to,
                               from, from, to, to);
    rc = rc || (s->place % 2 && system(command));
    p->there[twin] = true;
    free(command);
    free(from);
    free(to);
    return rc ? -1 : 0;
}

/* What initsync saved of a copy is put back into the server, as the message says. */
static int put_back(struct place *p, const struct sim_step *s)
{
    glob_t files;
    char *pattern = mem_printf("n%d.db-dx/saved/restored-*.dx", s->node);
    int rc = 0;
    if (glob(pattern, 0, NULL, &files) == 0)
        for (size_t i = 0; rc == 0 && i < files.gl_pathc; i++) {
            char *done = mem_printf("%s.done", files.gl_pathv[i]);
            if (!file_exists(done)) {
                rc = WAY(p, NULL, files.gl_pathv[i], NULL, 1, "dxapply", "--log", "site/hq.db");
                rc = rc || link(files.gl_pathv[i], done);
            }
            free(done);
        }
    globfree(&files);
    free(pattern);
    return rc;
}

static int set_user(struct place *p, const struct sim_step *s)
{
    char *node = mem_printf("n%d", s->node), *user = mem_printf("u%d", s->place % USERS);
    int rc = WAY(p, NULL, NULL, NULL, 0, "txnroute", "node", "set", "site/hq.db", node, "--user", user);
    free(node);
    free(user);
    return rc;
}

static int resolve(struct place *p, const struct sim_step *s)
{
    static const char *const sides[] = {"ours", "theirs", "base"};
    struct db *db = place_open(SERVER);
    int64_t id = 0;
    int rc = db == NULL
                 ? -1
                 : db_get_int(db, &id, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_conflict'");
    if (rc == 0 && id)
        rc = db_get_int(db, &id,
                        "SELECT id FROM dx_conflict WHERE resolved IS NULL ORDER BY id LIMIT 1 OFFSET %d",
                        s->which % 4);
    db_close(db);
    if (rc || id == 0)
        return rc;
    char *number = mem_printf("%lld", (long long)id);
    rc = WAY(p, NULL, NULL, NULL, 3, "dxapply", "resolve", "site/hq.db", number, sides[s->place % 3]);
    free(number);
    return rc;
}

/* Versions are the steps in which they were made. */
static int stage_patch(struct place *p, const struct sim_step *s)
{
    char *version = mem_printf("%d", p->clock);
    struct buf b = {0};
    buf_addf(&b, "version %s\n", version);
    int rc = step_write_file("app/field", &b) || WAY(p, s, NULL, NULL, 0, "txnroute", "patch", "site/hq.db",
                                                     "app", "--version", version, "--for", "handheld");
    buf_free(&b);
    free(version);
    return rc ? -1 : 0;
}

static int run(struct place *p, const struct sim_step *s)
{
    int file = s->node == SERVER ? SERVER : file_of(p, s);
    switch (s->kind) {
    case STEP_SQL:
        return place_has(p, file) ? place_write(p, file, s->sql, STATEMENTS) : 0;
    case ACT_SESSION:
        return place_has(p, file) && file != SERVER ? way_session(p, s, file, s->which < 70) : 0;
    case ACT_CRON:
        return way_cron(p, s);
    case ACT_INITSYNC:
        return way_initsync(p, s, s->node);
    case ACT_BACK_UP:
        return place_back_up(p, file);
    case ACT_RESTORE:
        return restore(p, s);
    case ACT_LOSE:
        return lose(s);
    case ACT_TWIN:
        return make_twin(p, s);
    case ACT_PUT_BACK:
        return put_back(p, s);
    case ACT_USER:
        return set_user(p, s);
    case ACT_RESOLVE:
        return resolve(p, s);
    case ACT_PAIR:
        return way_pair(p, DEVICES + s->node, false);
    case ACT_DEVICE:
        return way_device(p, s, file, s->place % 2);
    case ACT_PATCH:
        return stage_patch(p, s);
    case ACT_LIE:
        return lie(p, s);
    default:
        return change_schema(p, s, file);
    }
}

int act_run(struct place *p, const struct sim_step *s)
{
    p->clock++;
    if (run(p, s) || place_follow(p))
        return -1;
    return p->lies ? lie_follow(p) : 0;
}
