/* place: see place.h. */
#include "place.h"

#include "../sync/stage.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *place_path(int file)
{
    static const char names[] = "nmde"; /* a copy, a second one of its file, a device, a second one of it */
    return file == SERVER ? mem_text("site/hq.db") : mem_printf("%c%d.db", names[file / NODES], file % NODES);
}

int place_node(int file)
{
    return file == SERVER ? SERVER : file % NODES;
}

bool place_has(const struct place *p, int file)
{
    return file == SERVER || p->there[file];
}

struct db *place_open(int file)
{
    char *path = place_path(file);
    struct db *db = db_open(path, DB_WRITE);
    if (db == NULL)
        stage_broke("%s", err_message());
    free(path);
    return db;
}

bool place_has_column(struct db *db, const char *table, const char *column)
{
    int64_t n = 0;
    return db_get_int(db, &n, "SELECT count(*) FROM pragma_table_info(%Q) WHERE name = %Q", table, column) ==
               0 &&
           n > 0;
}

bool place_hides(const struct place *p, const char *column)
{
    return column[0] == 'z' && p->hidden >> (column[1] - '0') & 1;
}

/* ---- values ---- */

static struct token *token_at(struct place *p, int number)
{
    if (number >= p->ntoken) {
        p->token = mem_grow(p->token, (size_t)number + 64, sizeof *p->token);
        memset(p->token + p->ntoken, 0, (size_t)(number + 64 - p->ntoken) * sizeof *p->token);
        p->ntoken = number + 64;
    }
    return &p->token[number];
}

static int values_of(int file, struct token_set *set)
{
    struct db *db = place_open(file);
    int rc = db == NULL ? -1 : token_in_tables(set, db) ? stage_broke("%s", err_message()) : 0;
    db_close(db);
    return rc;
}

/* Values in columns that the copy has and the server has not, or does not send: they stay there. */
static int values_of_own_columns(const struct place *p, struct db *copy, struct token_set *set)
{
    static const char columns[] =
        "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' "
        "AND m.name NOT GLOB 'dx_*' AND m.name NOT GLOB 'sqlite_*' AND (c.name GLOB 'z*' OR m.name GLOB "
        "'e*')";
    struct db *server = place_open(SERVER);
    struct stmt *s = server ? db_prepare(copy, columns) : NULL;
    int rc = s ? 0 : -1;
    while (rc == 0 && stmt_step(s) == STEP_ROW) {
        const char *table = stmt_text(s, 0), *column = stmt_text(s, 1);
        bool travels = place_has_column(server, table, column) && !place_hides(p, column);
        rc = travels ? 0 : token_in_column(set, copy, table, column);
    }
    stmt_free(s);
    db_close(server);
    return rc ? -1 : 0;
}

static void note_values(struct place *p, int file, const struct token_set *before,
                        const struct token_set *after, const struct token_set *own)
{
    for (int i = 0; i < after->n || i < before->n; i++) {
        bool was = token_has(before, i), is = token_has(after, i);
        struct token *t = is || was ? token_at(p, i) : NULL;
        if (is && !was && !t->born && !token_has(own, i))
            *t = (struct token){.born = true, .origin = file, .made = p->clock};
        if (is && (!was || t->gone_in == file)) /* written once more, or the file was put back */
            t->gone = false;
        else if (was && !is) {
            t->gone = true;
            t->gone_in = file;
        }
    }
}

int place_write(struct place *p, int file, char *const *sql, int n)
{
    struct token_set before = {0}, after = {0}, own = {0};
    struct db *db = place_open(file);
    int rc = db == NULL || token_in_tables(&before, db) || db_exec(db, "PRAGMA synchronous = OFF") ||
             (p->h->enforced && db_exec(db, "PRAGMA foreign_keys = ON")) || db_begin_write(db);
    for (int i = 0; rc == 0 && i < n && sql[i]; i++)
        if (db_exec(db, sql[i])) /* a constraint, or no such column here: it does nothing */
            db_exec(db, "DROP TABLE IF EXISTS temp.s");
    rc = rc || db_commit(db) || token_in_tables(&after, db) ||
         (file != SERVER && values_of_own_columns(p, db, &own));
    if (rc)
        stage_broke("%s", err_message());
    else
        note_values(p, file, &before, &after, &own);
    token_free(&before);
    token_free(&after);
    token_free(&own);
    db_close(db);
    return rc ? -1 : 0;
}

int place_note_gone(struct place *p, struct db *db, const struct token_set *before)
{
    struct token_set after = {0};
    int rc = token_in_tables(&after, db);
    for (int i = 0; rc == 0 && i < p->ntoken; i++)
        if (token_has(before, i) && !token_has(&after, i))
            p->token[i].gone = true;
    token_free(&after);
    return rc;
}

/* ---- backups ---- */

int place_copy(int file, const char *to)
{
    char *path = place_path(file), *backup = mem_printf(".backup %s", to);
    int code = RUN(NULL, NULL, NULL, "sqlite3", "-batch", path, backup);
    free(path);
    free(backup);
    return code ? stage_surprise("sqlite3 .backup", code) : 0;
}

int place_back_up(struct place *p, int file)
{
    if (!place_has(p, file))
        return 0;
    p->backup = mem_grow(p->backup, (size_t)p->nbackup + 1, sizeof *p->backup);
    struct backup *b = &p->backup[p->nbackup];
    *b = (struct backup){mem_printf("backup/%d.db", p->nbackup), file, p->clock, p->hidden};
    p->nbackup++;
    return place_copy(file, b->path);
}

/* What all copies that there are hold, those of a file left out. */
static int values_of_copies(struct place *p, int but, struct token_set *set)
{
    for (int f = 0; f < FILES; f++)
        if (f != but && p->there[f] && values_of(f, set))
            return -1;
    return 0;
}

static const struct backup *find_backup(const struct place *p, int file, int back)
{
    const struct backup *found = NULL;
    for (int i = p->nbackup; i-- > 0 && back >= 0;)
        if (p->backup[i].file == file) {
            found = &p->backup[i];
            back--;
        }
    return found;
}

/* What was written in a copy after the backup, and is nowhere else, is lost with the file. */
static int note_lost_of_copy(struct place *p, int file, int made)
{
    struct token_set elsewhere = {0};
    struct db *db = place_open(SERVER);
    int rc = db == NULL || values_of_copies(p, file, &elsewhere) || token_in_records(&elsewhere, db);
    for (int i = 0; rc == 0 && i < p->ntoken; i++) {
        struct token *t = &p->token[i];
        if (t->born && t->origin == file && t->made > made && !token_has(&elsewhere, i) &&
            !token_has(&p->server_had, i))
            t->lost = true;
    }
    db_close(db);
    token_free(&elsewhere);
    p->restored[file] = p->clock;
    return rc;
}

/* What the office wrote after the backup is lost unless a copy has it. What a copy sent, the copy sends again, unless that
 * was put back from a backup, too. */
static int note_lost_of_server(struct place *p)
{
    struct token_set copies = {0};
    struct db *db = place_open(SERVER);
    token_clear(&p->server_had);
    p->journal_at = 0;
    int rc =
        db == NULL || place_follow(p) || values_of_copies(p, -1, &copies) || token_in_records(&copies, db);
    for (int i = 0; rc == 0 && i < p->ntoken; i++) {
        struct token *t = &p->token[i];
        bool again = t->origin != SERVER && p->restored[t->origin] <= t->made;
        if (t->born && !again && !token_has(&copies, i) && !token_has(&p->server_had, i))
            t->lost = true;
    }
    db_close(db);
    token_free(&copies);
    return rc;
}

int place_restore(struct place *p, int file, int back)
{
    const struct backup *b = find_backup(p, file, back);
    if (b == NULL || !place_has(p, file))
        return 0;
    char *path = place_path(file);
    char *command = mem_printf("rm -f %s-wal %s-shm %s-journal && cp %s %s", path, path, path, b->path, path);
    int rc = file == SERVER ? 0 : note_lost_of_copy(p, file, b->made);
    rc = rc || system(command) ||
         (file == SERVER && (system("rm -rf site/docking/*") || note_lost_of_server(p)));
    if (file == SERVER)
        p->hidden = b->hidden;
    free(command);
    free(path);
    return rc ? stage_broke("a backup cannot be put back: %s", err_message()) : 0;
}

/* ---- the account ---- */

int place_follow(struct place *p)
{
    static const char mark[] =
        "INSERT INTO dx_peer VALUES ('account', %lld, (SELECT value FROM dx_meta WHERE name = "
        "'epoch')) ON CONFLICT (name) DO UPDATE SET mark = excluded.mark, epoch = excluded.epoch";
    struct db *db = place_open(SERVER);
    int rc = db == NULL || token_in_tables(&p->server_had, db) ||
             token_in_journal(&p->server_had, db, p->journal_at, &p->journal_at) ||
             (p->journal_at && db_execf(db, mark, (long long)p->journal_at));
    if (rc)
        stage_broke("site/hq.db: %s", err_message());
    db_close(db);
    return rc ? -1 : 0;
}

/* What lies in archives that match. Those in saved/ must have been named by a message, the others count where one names
 * them all: EPOCH.*.dx. */
static int values_of_archives(const char *pattern, bool must, const char *said, struct token_set *set)
{
    glob_t files;
    int rc = 0;
    if (glob(pattern, 0, NULL, &files) == 0)
        for (size_t i = 0; rc == 0 && i < files.gl_pathc; i++) {
            const char *path = files.gl_pathv[i];
            char *name = must ? mem_text(path) : mem_printf("%.*s*.dx", (int)strlen(path) - 11, path);
            bool named = strstr(said, name) != NULL;
            rc = named || must ? token_in_archive(set, path) : 0;
            if (rc == 0 && must && !named)
                rc = stage_broke("%s was saved, and no message names it", path);
            free(name);
        }
    globfree(&files);
    return rc;
}

static int saved_values(struct token_set *set)
{
    struct buf said = {0};
    int rc = file_exists("messages") && file_load("messages", 1 << 26, &said) ? -1 : 0;
    rc = rc || values_of_archives("*-dx/saved/*.dx", true, buf_text(&said), set) ||
         values_of_archives("*-dx/outbox/sent/*.dx", false, buf_text(&said), set);
    buf_free(&said);
    return rc ? -1 : 0;
}

/* What the companions of handhelds record of these. */
static int records_of_copies(struct place *p, struct token_set *set)
{
    int rc = 0;
    for (int n = 0; rc == 0 && n < NODES; n++) {
        struct db *db = p->there[DEVICES + n] && p->there[n] ? place_open(n) : NULL;
        rc = db ? token_in_records(set, db) : 0;
        db_close(db);
    }
    return rc;
}

int place_account(struct place *p)
{
    struct token_set recorded = {0}, saved = {0}, copies = {0};
    struct db *db = place_open(SERVER);
    int rc = db == NULL || place_follow(p) || token_in_records(&recorded, db) ||
             records_of_copies(p, &recorded) || saved_values(&saved) || values_of_copies(p, -1, &copies);
    for (int i = 0; rc == 0 && i < p->ntoken; i++) {
        const struct token *t = &p->token[i];
        if (!t->born || t->gone || t->lost || token_has(&p->server_had, i))
            continue;
        bool found = token_has(&recorded, i) || token_has(&saved, i) || token_has(&p->kept, i);
        char *path = place_path(t->origin);
        if (!found)
            rc = stage_broke(
                "%s wrote number %d in step %d; the server does not have it, and nothing says why%s", path, i,
                t->made, token_has(&copies, i) ? "; a copy still has it" : "");
        else if (p->complaints == 0)
            rc = stage_broke("%s wrote number %d, which was not taken, but every exit code was 0", path, i);
        free(path);
    }
    db_close(db);
    token_free(&recorded);
    token_free(&saved);
    token_free(&copies);
    return rc ? -1 : 0;
}

void place_free(struct place *p)
{
    for (int i = 0; i < p->nbackup; i++)
        free(p->backup[i].path);
    free(p->backup);
    free(p->token);
    token_free(&p->server_had);
    token_free(&p->kept);
    buf_free(&p->seen);
}
