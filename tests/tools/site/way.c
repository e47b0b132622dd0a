/* way: see way.h. */
#include "way.h"

#include "../sync/stage.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TURNS = 6, BUSY = 6, AGAIN = 7 };

/* What the last command said goes to the other messages; to be freed. */
static char *keep_messages(struct place *p, const char *what, int code)
{
    struct buf b = {0};
    FILE *f = fopen("messages", "a");
    if (file_load("err", 1 << 20, &b) || f == NULL)
        abort();
    fprintf(f, "== step %d: %s: exit %d\n%s", p->clock, what, code, buf_text(&b));
    fclose(f);
    p->complaints += code != 0;
    return buf_take(&b);
}

/* A database whose capture somebody has ended, to drop a column: captured again, as the message says. */
static bool attaches(const char *said)
{
    const char *what = strstr(said, ": no table is captured; run `txnlog attach`"), *from = what;
    while (from && from > said && from[-1] != ' ')
        from--;
    char *db = what ? mem_printf("%.*s", (int)(what - from), from) : NULL;
    bool done = db && RUN(NULL, NULL, NULL, "txnlog", "attach", db) <= 1;
    free(db);
    return done;
}

/* Runs it; while something that was killed still ends, it is busy. */
static int run(struct place *p, const struct sim_step *s, const char *in, const char *out,
               const char *const argv[], char **said)
{
    int code = 0;
    for (int i = 0; i < 100; i++) {
        code = stage_run(s, in, out, argv);
        *said = keep_messages(p, argv[0], code);
        if (code != BUSY && !(code == 3 && i == 0 && attaches(*said)))
            break;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        if (i < 99)
            free(*said);
    }
    return code;
}

int way_run(struct place *p, const struct sim_step *s, const char *in, const char *out, int most,
            const char *const argv[])
{
    char *said;
    int code = run(p, s, in, out, argv, &said);
    free(said);
    bool hurt = s && s->hurt != HURT_NOT;
    return hurt || (code >= 0 && code <= most) ? 0 : stage_surprise(argv[0], code);
}

int way_initsync(struct place *p, const struct sim_step *s, int file)
{
    char *db = place_path(file), *node = mem_printf("n%d", place_node(file));
    int rc = WAY(p, s, NULL, NULL, 1, "initsync", db, "site", "--node", node);
    if (file_exists(db))
        p->there[file] = true;
    free(db);
    free(node);
    return rc;
}

/* A message that asks for a copy of the database to be kept. */
static int keep_copy(struct place *p, int file)
{
    char *path = mem_printf("kept/%d.db", p->nkept++);
    int rc = place_copy(file, path);
    struct db *db = rc ? NULL : db_open(path, DB_WRITE);
    rc = rc || db == NULL || token_in_tables(&p->kept, db);
    db_close(db);
    free(path);
    return rc ? -1 : 0;
}

/* What a session asked for could not be had: its message stands in "err" again. -1. */
static int no_way(const char *what, const char *said, int code)
{
    FILE *f = fopen("err", "w");
    fputs(said ? said : "", f);
    fclose(f);
    return stage_surprise(what, code);
}

int way_session(struct place *p, const struct sim_step *s, int file, bool now)
{
    char *db = place_path(file), *said = NULL;
    bool hurt = s && s->hurt != HURT_NOT;
    int rc = 0, code = AGAIN;
    for (int turn = 0; rc == 0 && turn < TURNS && code > 1; turn++) {
        free(said);
        code = run(p, s, NULL, NULL,
                   now ? (const char *const[]){"remotesync", "--now", db, "site", NULL}
                       : (const char *const[]){"remotesync", db, "site", NULL},
                   &said);
        if (hurt)
            break;
        if ((code == 3 || code == AGAIN) && strstr(said, "initsync")) {
            if (strstr(said, "save a copy of that"))
                rc = keep_copy(p, file);
            rc = rc || way_initsync(p, NULL, file);
        } else if (code > 1 && (code != AGAIN || (!now && turn > 1)))
            break;
        if (code == AGAIN && !now)
            rc = way_cron(p, NULL);
    }
    if (rc == 0 && !hurt && (code < 0 || code > 1)) {
        char *what = mem_printf("remotesync %s", db);
        rc = no_way(what, said, code);
        free(what);
    }
    free(said);
    free(db);
    return rc ? -1 : 0;
}

int way_pair(struct place *p, int file, bool adopt)
{
    int node = place_node(file);
    char *pc = place_path(node), *device = place_path(file);
    int rc =
        !p->there[node] ? 0
        : adopt ? WAY(p, NULL, NULL, NULL, 1, "hhextract", "pair", "--adopt", "--device", "palm", pc, device)
        : p->h->categories ? WAY(p, NULL, NULL, NULL, 1, "hhextract", "pair", "--device", "palm", "--conf",
                                 "handheld.conf", pc, device)
                           : WAY(p, NULL, NULL, NULL, 1, "hhextract", "pair", "--device", "palm", pc, device);
    p->there[file] |= file_exists(device);
    free(pc);
    free(device);
    return rc;
}

int way_device(struct place *p, const struct sim_step *s, int file, bool integrated)
{
    int node = place_node(file);
    if (!p->there[node] || !p->there[file])
        return 0;
    char *pc = place_path(node), *device = place_path(file), *said = NULL;
    bool hurt = s && s->hurt != HURT_NOT;
    int rc = 0, code = AGAIN;
    for (int turn = 0; rc == 0 && turn < TURNS && code > 1 && !(hurt && turn); turn++) {
        free(said);
        code = run(p, s, NULL, NULL,
                   integrated ? (const char *const[]){"integratedsync", "--now", pc, device, "site", NULL}
                              : (const char *const[]){"companionsync", pc, device, NULL},
                   &said);
        if (hurt || code <= 1)
            continue;
        if (strstr(said, "--adopt"))
            rc = way_pair(p, file, true);
        else if (strstr(said, "initsync"))
            rc = way_initsync(p, NULL, node);
        else if (code != AGAIN)
            break;
    }
    if (rc == 0 && !hurt && (code < 0 || code > 1))
        rc = no_way(device, said, code);
    free(said);
    free(pc);
    free(device);
    return rc ? -1 : 0;
}

int way_cron(struct place *p, const struct sim_step *s)
{
    return WAY(p, s, NULL, NULL, 1, "dxcron", "site");
}
