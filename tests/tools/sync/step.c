/* step: see step.h. */
#include "step.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "files.h"
#include "mail.h"
#include "stage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROUNDS = 8 };

int step_write_file(const char *name, struct buf *b)
{
    FILE *f = fopen(name, "w");
    if (f == NULL)
        return stage_broke("cannot write %s", name);
    fwrite(b->p, 1, b->n, f);
    fclose(f);
    return 0;
}

static int make_upload(struct run *r, const struct sim_step *s, int node)
{
    if (r->client[node].db == NULL)
        return 0;
    char *db = party_database(node), *spool = mem_printf("spool-n%d", node);
    int code = RUN(s, NULL, NULL, "txnlog", "upload", db, spool);
    int rc = code == 0 || stage_was_hurt(s, code) ? 0 : stage_surprise("txnlog upload", code);
    party_note_cuts(&r->client[node]);
    if (rc == 0 && !r->client[node].stale)
        rc = mail_keep(r, "up", node, spool);
    free(db);
    free(spool);
    return rc;
}

static int route(struct run *r, const struct sim_step *s)
{
    bool log = s && s->which < 30;
    char *after = mem_printf(
        "%lld", (long long)party_number(r->server.db, "SELECT value FROM dx_meta WHERE name = 'routed'", 0));
    int code = log ? RUN(NULL, NULL, "log", "txnlog", "read", "hq.db", "--after", after) : 0;
    free(after);
    if (code)
        return stage_surprise("txnlog read", code);
    code = RUN(s, log ? "log" : NULL, NULL, "txnroute", "run", "hq.db", "docking");
    return code == 0 || stage_was_hurt(s, code) ? mail_keep_downloads(r)
                                                : stage_surprise("txnroute run", code);
}

static void empty_directory(const char *path)
{
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        char *file = file_join(path, e->d_name);
        unlink(file);
        free(file);
    }
    if (d)
        closedir(d);
}

/* A copy's application has its triggers; ours must be younger than they are. */
static int make_triggers(struct run *r, struct db *copy, const char *path)
{
    struct buf sql = {0};
    files_triggers(r->h, 0, &sql);
    int rc = db_exec(copy, buf_text(&sql)) ? stage_broke("%s", err_message()) : 0;
    int code = rc ? 0 : RUN(NULL, NULL, NULL, "txnlog", "attach", path, "--again");
    if (code > 1)
        rc = stage_surprise("txnlog attach --again", code);
    buf_free(&sql);
    return rc;
}

static int apply_snapshot(struct run *r, const struct sim_step *s, int node)
{
    struct party *p = &r->client[node];
    char *snapshot = mem_printf("snap-n%d", node), *db = party_database(node),
         *spool = mem_printf("spool-n%d", node);
    empty_directory(spool);
    int code = RUN(s, snapshot, NULL, "dxapply", db);
    int rc =
        code == 0 || code == 1 || stage_was_hurt(s, code) ? 0 : stage_surprise("dxapply of a snapshot", code);
    if (rc == 0 && (code == 0 || code == 1))
        p->stale = false;
    if (rc == 0 && p->db == NULL && !p->stale) {
        p->db = db_open(db, DB_WRITE);
        if (p->db == NULL || (r->h->enforced && db_exec(p->db, "PRAGMA foreign_keys = ON")) ||
            db_exec(p->db, "PRAGMA synchronous = OFF"))
            rc = stage_broke("%s", err_message());
        rc = rc || make_triggers(r, p->db, db);
    }
    if (p->db)
        party_note_cuts(p);
    free(snapshot);
    free(db);
    free(spool);
    return rc;
}

/* Makes the node's copy again: extract, and the snapshot's way to the client. */
static int extract(struct run *r, const struct sim_step *s)
{
    struct party *p = &r->client[s->node];
    char *snapshot = mem_printf("snap-n%d", s->node), *node = mem_printf("n%d", s->node);
    int rc = party_gather(p);
    int code = rc ? 0 : RUN(s->which < 50 ? s : NULL, NULL, snapshot, "txnroute", "extract", "hq.db", node);
    if (rc == 0 && code != 0 && !stage_was_hurt(s, code))
        rc = stage_surprise("txnroute extract", code);
    /* Killed, it may have begun the numbering again or not: the caller asks again. */
    if (rc == 0 && code != 0)
        code = RUN(NULL, NULL, snapshot, "txnroute", "extract", "hq.db", node);
    if (rc == 0 && code)
        rc = stage_surprise("txnroute extract again", code);
    if (rc == 0) {
        p->stale = true;
        p->generation++;
        char *up = mail_kept("up", r, s->node, 1), *down = mail_kept("down", r, s->node, 1);
        up[strlen(up) - 12] = down[strlen(down) - 12] = 0;
        mkdir(up, 0777);
        mkdir(down, 0777);
        free(up);
        free(down);
        rc = mail_keep_downloads(r);
    }
    if (rc == 0)
        rc = apply_snapshot(r, s->which < 50 ? NULL : s, s->node);
    free(snapshot);
    free(node);
    return rc;
}

static int trim(struct run *r, const struct sim_step *s)
{
    struct party *p = party_of(r, s->node);
    if (p->db == NULL || party_gather(p))
        return p->db ? -1 : 0;
    char *db = party_database(s->node);
    int code = RUN(s, NULL, NULL, "txnlog", "trim", db);
    free(db);
    return code == 0 || stage_was_hurt(s, code) ? 0 : stage_surprise("txnlog trim", code);
}

static int write_rows(struct run *r, const struct sim_step *s)
{
    struct party *p = party_of(r, s->node);
    if (p->db == NULL)
        return 0;
    int rc = db_exec(p->db, "BEGIN IMMEDIATE");
    for (int i = 0; rc == 0 && i < STATEMENTS && s->sql[i]; i++)
        /* A statement may violate a constraint: then it does nothing. */
        if (db_exec(p->db, s->sql[i])) {
            rc = err_code() != ERR_REFUSED;
            db_exec(p->db, "DROP TABLE IF EXISTS temp.s");
        }
    return rc || db_commit(p->db) ? stage_broke("%s", err_message()) : party_gather(p);
}

static int set_user(const struct sim_step *s)
{
    char *node = mem_printf("n%d", s->node), *user = mem_printf("u%d", s->place % USERS);
    int code = RUN(NULL, NULL, NULL, "txnroute", "node", "set", "hq.db", node, "--user", user);
    free(node);
    free(user);
    return code ? stage_surprise("txnroute node set", code) : 0;
}

/* Another package of that name: some table may be written otherwise. */
static int allow(struct run *r, const struct sim_step *s)
{
    struct buf package = {0};
    files_package(r->h, s->place, NULL, &package);
    int rc = step_write_file("p/package.conf", &package);
    int code = rc ? 0 : RUN(s, NULL, NULL, "txnroute", "load", "hq.db", "p");
    buf_free(&package);
    return rc || code == 0 || code == 1 || stage_was_hurt(s, code) ? rc
                                                                   : stage_surprise("txnroute load", code);
}

/* Somebody decides a conflict. What cannot be taken any more is refused. */
static int resolve(struct run *r, const struct sim_step *s)
{
    static const char *const sides[] = {"ours", "theirs", "base"};
    static const char any[] =
        "SELECT id FROM dx_conflict WHERE resolved IS NULL ORDER BY id LIMIT 1 OFFSET %d";
    int64_t id =
        party_number(r->server.db, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_conflict'", 0);
    id = id ? party_number(r->server.db, any, s->which % 8) : 0;
    if (id <= 0)
        return 0;
    char *number = mem_printf("%lld", (long long)id);
    int code = RUN(s, NULL, NULL, "dxapply", "resolve", "hq.db", number, sides[s->place % 3]);
    free(number);
    return code == 0 || code == 3 || stage_was_hurt(s, code) ? party_gather(&r->server)
                                                             : stage_surprise("dxapply resolve", code);
}

int step_run(struct run *r, const struct sim_step *s)
{
    switch (s->kind) {
    case STEP_SQL:
        return write_rows(r, s);
    case STEP_UPLOAD:
        return make_upload(r, s, s->node);
    case STEP_MERGE:
        return mail_deliver(r, s, true);
    case STEP_ROUTE:
        return route(r, s);
    case STEP_APPLY:
        if (r->client[s->node].db && r->client[s->node].stale)
            return apply_snapshot(r, s, s->node);
        return mail_deliver(r, s, false);
    case STEP_TRIM:
        return trim(r, s);
    case STEP_USER:
        return set_user(s);
    case STEP_ALLOW:
        return allow(r, s);
    case STEP_RESOLVE:
        return resolve(r, s);
    default:
        return extract(r, s);
    }
}

int step_settle(struct run *r)
{
    int moved = 1;
    for (int round = 0; moved && round < ROUNDS; round++) {
        moved = 0;
        for (int n = 0; n < r->h->nnode; n++) {
            if (r->client[n].db == NULL)
                continue;
            if (r->client[n].stale && apply_snapshot(r, NULL, n))
                return -1;
            int got = make_upload(r, NULL, n) ? -1 : mail_deliver_all(r, true, n);
            if (got < 0)
                return -1;
            moved += got;
        }
        if (route(r, NULL))
            return -1;
        for (int n = 0; n < r->h->nnode; n++) {
            int got = r->client[n].db ? mail_deliver_all(r, false, n) : 0;
            if (got < 0)
                return -1;
            moved += got;
        }
    }
    return moved ? stage_broke("after %d rounds there is still something to exchange", ROUNDS) : 0;
}
