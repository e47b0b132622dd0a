/* site_status: see report/site_status.h. */
#define _GNU_SOURCE
#include "report/site_status.h"

#include "apply/conflict_print.h"
#include "apply/quarantine.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "nodes/departure.h"
#include "nodes/hold.h"
#include "nodes/site_conf.h"
#include "session/site_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DAY = 86400 };

/* ---- fields ---- */

#define NODE(name, type, member)                         \
    {                                                    \
        name, type, offsetof(struct node_status, member) \
    }
const struct field node_status_fields[] = {
    NODE("name", FIELD_TEXT, node.name),
    NODE("user", FIELD_TEXT, node.user),
    NODE("package", FIELD_TEXT, node.package),
    NODE("status", FIELD_TEXT, status),
    NODE("epoch", FIELD_TEXT, node.epoch),
    NODE("archive", FIELD_INT, node.archive),
    NODE("position", FIELD_INT, node.position),
    NODE("applied", FIELD_INT, node.applied),
    NODE("merged", FIELD_INT, node.merged),
    NODE("backlog_archives", FIELD_INT, waiting.archives),
    NODE("backlog_rows", FIELD_INT, waiting.changes),
    NODE("backlog_bytes", FIELD_INT, waiting.bytes),
    NODE("backlog_age", FIELD_INT, age),
    NODE("set_aside", FIELD_INT, aside),
    NODE("outbox_files", FIELD_INT, outbox.files),
    NODE("outbox_bytes", FIELD_INT, outbox.bytes),
    NODE("outbox_missing", FIELD_INT, missing),
    NODE("uploads", FIELD_INT, uploads),
    NODE("uploads_bytes", FIELD_INT, uploads_bytes),
    NODE("blocked", FIELD_INT, blocked),
    NODE("blocked_time", FIELD_TIME, blocked_time),
    NODE("ends", FIELD_TIME, ends),
    NODE("moved", FIELD_TEXT, moved),
    NODE("held", FIELD_TEXT, hold_reason),
    NODE("conflicts", FIELD_INT, conflicts),
    NODE("quarantined", FIELD_INT, quarantined),
    NODE("session", FIELD_TIME, session),
    NODE("session_exit", FIELD_INT, session_exit),
    NODE("session_why", FIELD_TEXT, session_why),
    NODE("release", FIELD_TEXT, release),
    NODE("proof", FIELD_TIME, proof),
    NODE("proof_differs", FIELD_FLAG, differs),
    NODE("disk", FIELD_INT, disk),
    NODE("disk_free", FIELD_KNOWN, free),
    NODE("attachments_waiting", FIELD_INT, attachments),
    NODE("behind", FIELD_FLAG, behind),
    NODE("stuck", FIELD_FLAG, stuck),
    NODE("silent", FIELD_FLAG, silent),
    {0},
};

#define SITE(name, type, member)                         \
    {                                                    \
        name, type, offsetof(struct site_status, member) \
    }
const struct field site_status_fields[] = {
    SITE("time", FIELD_TIME, time),
    SITE("routed", FIELD_INT, routed),
    SITE("journal", FIELD_INT, end),
    SITE("journal_entries", FIELD_INT, journal),
    SITE("database", FIELD_TEXT, database_path),
    SITE("database_bytes", FIELD_INT, database),
    SITE("docking", FIELD_TEXT, docking),
    SITE("docking_missing", FIELD_FLAG, docking_missing),
    SITE("disk_free", FIELD_INT, free),
    SITE("attachments_missing", FIELD_KNOWN, attachments),
    SITE("last_run", FIELD_TIME, run),
    SITE("last_success", FIELD_TIME, success),
    SITE("last_exit", FIELD_INT, run_exit),
    {0},
};

/* ---- a node's files ---- */

/* Where the node is, and where the site: DOCKING/NODE, DOCKING/cron.lock. */
struct reading {
    struct db *db;
    struct site_status *site;
    bool conflicts, quarantine; /* those tables are there */
    bool running;               /* a run of dxcron is at work */
    bool only_missing;          /* of nodes only what site_status_missing tells */
    bool departures;            /* there are dates at which nodes end */
};

static char *node_path(const struct reading *r, const struct node_status *s, const char *name)
{
    return mem_printf("%s/%s/%s", r->site->docking, s->node.name, name);
}

static bool node_stat(const struct reading *r, const struct node_status *s, const char *name, struct stat *st)
{
    char *path = node_path(r, s, name);
    bool there = lstat(path, st) == 0;
    free(path);
    return there;
}

/* What the node said in its last session that it has applied is in DOCKING/NODE/applied: the epoch of the numbering, and
 * the number. Uploads tell it, too, but later. */
static void read_applied(const struct reading *r, struct node_status *s)
{
    enum { LINE = 128 };
    char *path = node_path(r, s, "applied");
    struct buf line = {0};
    size_t n = strlen(s->node.epoch);
    if (file_load(path, LINE, &line) == 0 && strncmp(buf_text(&line), s->node.epoch, n) == 0) {
        int64_t applied = strtoll(buf_text(&line) + n, NULL, 10);
        if (applied > s->node.applied && applied <= s->node.archive)
            s->node.applied = applied;
    }
    buf_free(&line);
    free(path);
}

/* A word of the session's line, "name=value" or name="a value": the value to free, or NULL. */
static char *word_of(const char *line, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = line; (p = strstr(p, name)) != NULL; p += n)
        if ((p == line || p[-1] == ' ') && p[n] == '=') {
            const char *from = p + n + 1;
            size_t length = *from == '"' ? strcspn(++from, "\"") : strcspn(from, " \n");
            return mem_printf("%.*s", (int)length, from);
        }
    return NULL;
}

/* The last lines of a file of at most a few megabytes, to free; "" when there are none. */
static char *last_lines(const char *path)
{
    enum { TAIL = 1 << 13 };
    char tail[TAIL + 1];
    FILE *f = fopen(path, "re");
    size_t n = 0;
    if (f && fseek(f, 0, SEEK_END) == 0) {
        long size = ftell(f);
        if (size >= 0 && fseek(f, size > TAIL ? size - TAIL : 0, SEEK_SET) == 0)
            n = fread(tail, 1, TAIL, f);
    }
    if (f)
        fclose(f);
    while (n && tail[n - 1] == '\n')
        n--;
    tail[n] = 0;
    return mem_text(tail);
}

static void read_last_session(struct node_status *s, const char *line)
{
    char *end = word_of(line, "end"), *code = word_of(line, "exit");
    int64_t at = fields_time_get(end);
    s->session = at > s->session ? at : s->session;
    s->session_exit = code ? strtoll(code, NULL, 10) : 0;
    s->release = word_of(line, "release");
    free(end);
    free(code);
}

/* A session in which the node asked for digests of what it should hold: where they differed it went on to rows. A whole
 * copy that came since leaves open how the node stands. */
static bool read_proof(struct node_status *s, const char *line)
{
    char *proof = word_of(line, "proof"), *end = word_of(line, "end");
    if (proof && strcmp(proof, "copy") != 0) {
        s->proof = fields_time_get(end);
        s->differs = strcmp(proof, "rows") == 0;
    }
    bool found = proof != NULL;
    free(proof);
    free(end);
    return found;
}

/* A session holds DOCKING/NODE/lock; DOCKING/NODE/session.log has a line for each that has ended. */
static void read_session(const struct reading *r, struct node_status *s)
{
    struct stat st;
    if (node_stat(r, s, "lock", &st))
        s->session = st.st_mtime;
    char *path = node_path(r, s, "session.log"), *lines = last_lines(path);
    bool last = true, proven = false;
    s->free = -1;
    for (char *line = NULL; *lines && line != lines && !(s->free >= 0 && proven); last = false) {
        if (line)
            line[-1] = 0;
        line = strrchr(lines, '\n');
        line = line ? line + 1 : lines;
        if (last)
            s->session_why = word_of(line, "why");
        char *why = strstr(line, " why=\"");
        if (why) /* no word of that is one of the line's */
            *why = 0;
        if (last)
            read_last_session(s, line);
        proven = proven || read_proof(s, line);
        char *room = s->free < 0 ? word_of(line, "free") : NULL;
        s->free = room ? strtoll(room, NULL, 10) : s->free;
        free(room);
    }
    free(lines);
    free(path);
}

/* The bytes of the files in a directory, without its directories; for each, fn. */
static int64_t walk(const char *path, void (*fn)(void *ctx, const char *name, const struct stat *st),
                    void *ctx)
{
    int64_t bytes = 0;
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL) {
        struct stat st;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
            continue;
        bytes += st.st_size;
        if (fn)
            fn(ctx, entry->d_name, &st);
    }
    if (dir)
        closedir(dir);
    return bytes;
}

struct inbox {
    const struct reading *reading;
    struct node_status *node;
};

/* An upload that was there before the last run of dxcron, and still is, could not be merged. */
static void on_upload(void *ctx, const char *name, const struct stat *st)
{
    struct inbox *i = ctx;
    struct node_status *s = i->node;
    char *end;
    int64_t number = strtoll(name, &end, 10);
    if (end == name || strcmp(end, ".dx") != 0)
        return;
    s->uploads++;
    s->uploads_bytes += st->st_size;
    bool left = i->reading->site->run > st->st_mtime && !i->reading->running;
    if (left && (s->blocked == 0 || number < s->blocked)) {
        s->blocked = number;
        s->blocked_time = st->st_mtime;
    }
}

static void on_attachment(void *ctx, const char *name, const struct stat *st)
{
    struct node_status *s = ctx;
    (void)st;
    s->attachments += *name != '.'; /* one that is coming has a name with a dot before it */
}

static void read_files(const struct reading *r, struct node_status *s)
{
    struct inbox inbox = {r, s};
    const struct {
        const char *name;
        void (*fn)(void *ctx, const char *name, const struct stat *st);
        void *ctx;
    } directories[] = {
        {"", NULL, NULL}, {"outbox", NULL, NULL}, {"files", on_attachment, s}, {"inbox", on_upload, &inbox}};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        char *path = node_path(r, s, directories[i].name);
        s->disk += walk(path, directories[i].fn, directories[i].ctx);
        free(path);
    }
}

/* Whether the archive is in the outbox, or the router is about to name it. */
static bool in_outbox(const struct reading *r, const struct node_status *s, int64_t number)
{
    struct stat st;
    char name[40];
    int n = snprintf(name, sizeof name, "outbox/%08lld.dx", (long long)number);
    if (node_stat(r, s, name, &st))
        return true;
    snprintf(name + n, sizeof name - (size_t)n, ".new");
    return node_stat(r, s, name, &st);
}

/* Archives beyond the newest confirmed that the outbox should have. */
static int count_missing(const struct reading *r, struct node_status *s)
{
    struct stmt *q =
        db_prepare(r->db, "SELECT number FROM dx_archive WHERE node = ?1 AND number > ?2 AND NOT snapshot");
    enum step step = STEP_ERROR;
    if (q) {
        stmt_bind_int(q, 1, s->node.id);
        stmt_bind_int(q, 2, s->node.applied);
    }
    s->missing = 0;
    while (q && (step = stmt_step(q)) == STEP_ROW)
        s->missing += !in_outbox(r, s, stmt_int(q, 0));
    stmt_free(q);
    return step == STEP_DONE ? 0 : -1;
}

/* A session that is at work says what the node has applied, and then removes it: who misses a file looks at that again. */
static int read_missing(const struct reading *r, struct node_status *s)
{
    int64_t before;
    if (s->waiting.archives == s->outbox.later)
        return 0;
    do {
        before = s->node.applied;
        if (count_missing(r, s))
            return -1;
        read_applied(r, s);
    } while (s->missing && s->node.applied != before);
    return 0;
}

/* ---- a node ---- */

static void judge(const struct reading *r, struct node_status *s)
{
    if (!s->node.active)
        return;
    s->behind = s->waiting.archives > 0 || s->aside > 0 || s->uploads > 0;
    s->stuck = s->hold_reason != NULL || s->blocked > 0 || s->missing > 0 || s->session_exit == ERR_REFUSED ||
               s->session_exit == ERR_GUARD || s->differs;
    s->silent = s->session > 0 && r->site->time - s->session > r->site->silent_days * DAY;
}

/* A node that has come to its end by its date is as ended, though no run of the router has noted it. */
static int read_departure(const struct reading *r, struct node_status *s)
{
    struct departure d;
    int noted = departure_find(r->db, s->node.id, &d);
    if (noted <= 0)
        return noted;
    s->node.active = s->node.active && !departure_due(&d);
    s->ends = d.time;
    s->moved = *d.site ? mem_text(d.site) : NULL;
    departure_free(&d);
    return 0;
}

/* Only whether archives are missing that the node has not confirmed. Of most nodes the database tells that there are none, of
 * most others what they said last. */
static int read_only_missing(const struct reading *r, struct node_status *s)
{
    if (!s->node.active || s->node.archive <= s->node.applied)
        return 0;
    read_applied(r, s);
    if (s->node.archive <= s->node.applied)
        return 0;
    return membership_log_waiting(r->db, s->node.id, s->node.applied, &s->waiting) ||
                   outbox_waiting(r->site->docking, s->node.name, s->node.applied, &s->outbox) ||
                   read_missing(r, s)
               ? -1
               : 0;
}

static int read_node(const struct reading *r, struct node_status *s)
{
    if (r->only_missing)
        return read_only_missing(r, s);
    if (r->departures && read_departure(r, s))
        return -1;
    s->status = s->node.active ? "active" : "ended";
    s->aside = s->node.active && s->node.suspended_at >= 0 ? r->site->end - s->node.suspended_at : 0;
    read_applied(r, s);
    if (membership_log_waiting(r->db, s->node.id, s->node.applied, &s->waiting) ||
        outbox_waiting(r->site->docking, s->node.name, s->node.applied, &s->outbox))
        return -1;
    read_session(r, s);
    read_files(r, s);
    if (read_missing(r, s))
        return -1;
    int64_t oldest = fields_time_get(s->waiting.oldest);
    s->age = oldest && r->site->time > oldest ? r->site->time - oldest : 0;
    if ((r->conflicts && db_get_int(r->db, &s->conflicts,
                                    "SELECT count(*) FROM dx_conflict WHERE origin = %Q AND resolved IS NULL",
                                    s->node.name)) ||
        (r->quarantine && db_get_int(r->db, &s->quarantined,
                                     "SELECT count(*) FROM dx_quarantine WHERE origin = %Q", s->node.name)))
        return -1;
    char *since = NULL;
    int held = hold_find(r->db, s->node.id, &s->hold_reason, &since);
    free(since);
    judge(r, s);
    return held < 0 ? -1 : 0;
}

/* ---- the site ---- */

static int64_t bytes_of(const char *path, const char *suffix)
{
    struct stat st;
    char *name = mem_printf("%s%s", path, suffix);
    int64_t n = stat(name, &st) == 0 ? st.st_size : 0;
    free(name);
    return n;
}

/* dxcron holds DOCKING/cron.lock while it runs, and writes its process there when it begins. */
static void read_run(struct reading *r)
{
    struct stat st;
    char *path = file_join(r->site->docking, "cron.lock");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        r->site->run = st.st_mtime;
    r->running = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (fd >= 0)
        close(fd);
    free(path);
}

/* A line for each run is in DOCKING/cron.log. */
static void read_runs(struct reading *r)
{
    char *path = file_join(r->site->docking, "cron.log"), *line = NULL;
    size_t room = 0;
    FILE *f = fopen(path, "re");
    while (f && getline(&line, &room, f) > 0) {
        char *end = word_of(line, "end"), *code = word_of(line, "exit");
        r->site->run_exit = code ? strtoll(code, NULL, 10) : 0;
        if (code && r->site->run_exit <= ERR_LOOK)
            r->site->success = fields_time_get(end);
        free(end);
        free(code);
    }
    if (f)
        fclose(f);
    free(line);
    free(path);
}

static int read_site(struct db *db, const char *docking, struct reading *r)
{
    struct site_status *s = r->site;
    struct site_conf conf;
    int64_t conflicts, quarantine;
    s->time = time(NULL);
    s->docking = outbox_directory(db, docking);
    if (!file_exists(s->docking)) {
        int64_t any;
        if (db_get_int(db, &any, "SELECT EXISTS (SELECT 1 FROM dx_nodes WHERE active AND archive > applied)"))
            return -1;
        s->docking_missing = docking || any;
    }
    s->database_path = mem_text(db_path(db));
    s->database = bytes_of(db_path(db), "") + bytes_of(db_path(db), "-wal");
    s->free = file_free(file_exists(s->docking) ? s->docking : db_path(db));
    s->free = s->free < 0 ? 0 : s->free;
    if (site_files_count_missing(
            db, &s->attachments)) /* a table is not what its package says: status names that elsewhere */
        s->attachments = -1;
    int rc = site_conf_of(db, &conf);
    s->silent_days = conf.silent_days;
    site_conf_free(&conf);
    if (rc || db_get_int(db, &conflicts, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_conflict'") ||
        db_get_int(db, &quarantine, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_quarantine'") ||
        db_get_int(db, &s->journal, "SELECT count(*) FROM dx_journal"))
        return -1;
    r->conflicts = conflicts > 0;
    r->quarantine = quarantine > 0;
    read_run(r);
    read_runs(r);
    return 0;
}

/* ---- quarantine ---- */

struct listing {
    struct targets targets;
    struct site_status *site;
};

static int list_quarantined(void *ctx, const struct quarantined *q)
{
    struct listing *l = ctx;
    struct site_status *s = l->site;
    struct buf what = {0};
    if (s->nquarantine == SITE_STATUS_QUARANTINE)
        return 1;
    if (conflict_print_quarantined_what(&l->targets, q, &what)) { /* its table is not what it was */
        buf_clear(&what);
        buf_addf(&what, "change of %s", q->table);
    }
    s->quarantine = mem_grow(s->quarantine, s->nquarantine + 1, sizeof *s->quarantine);
    s->quarantine[s->nquarantine++] =
        (struct quarantine_line){.id = q->id,
                                 .node = mem_text(q->origin ? q->origin : ""),
                                 .what = mem_text(buf_text(&what)),
                                 .reason = mem_text(q->reason ? q->reason : "")};
    buf_free(&what);
    return 0;
}

static int read_quarantine(struct reading *r)
{
    struct listing l = {.site = r->site};
    if (!r->quarantine)
        return 0;
    targets_init(&l.targets, r->db);
    int rc = db_get_int(r->db, &r->site->quarantined, "SELECT count(*) FROM dx_quarantine") ||
                     quarantine_each(r->db, list_quarantined, &l) < 0
                 ? -1
                 : 0;
    targets_free(&l.targets);
    return rc;
}

static int read_all(struct db *db, const char *docking, struct site_status *s, bool only_missing)
{
    int departures = departure_present(db);
    struct reading r = {.db = db, .site = s, .only_missing = only_missing, .departures = departures > 0};
    struct node *node;
    *s = (struct site_status){0};
    if (departures < 0 || meta_require(db) || meta_get_int(db, "routed", &s->routed) ||
        journal_end(db, &s->end) || read_site(db, docking, &r) || read_quarantine(&r) ||
        set_aside_lines(db, &s->set_aside, &s->naside) || node_list(db, &node, &s->n))
        return -1;
    s->node = mem_zero(s->n, sizeof *s->node);
    int rc = 0;
    for (size_t i = 0; i < s->n; i++) {
        s->node[i].node = node[i];
        rc = rc || read_node(&r, &s->node[i]) ? -1 : 0;
    }
    free(node);
    return rc;
}

int site_status_read(struct db *db, const char *docking, struct site_status *s)
{
    return read_all(db, docking, s, false);
}

int site_status_read_missing(struct db *db, const char *docking, struct site_status *s)
{
    return read_all(db, docking, s, true);
}

static void free_node(struct node_status *n)
{
    node_free(&n->node);
    free(n->waiting.oldest);
    free(n->hold_reason);
    free(n->moved);
    free(n->session_why);
    free(n->release);
}

void site_status_free(struct site_status *s)
{
    for (size_t i = 0; i < s->n; i++)
        free_node(&s->node[i]);
    set_aside_lines_free(s->set_aside, s->naside);
    for (size_t i = 0; i < s->nquarantine; i++) {
        free(s->quarantine[i].node);
        free(s->quarantine[i].what);
        free(s->quarantine[i].reason);
    }
    free(s->quarantine);
    free(s->node);
    free(s->docking);
    free(s->database_path);
    *s = (struct site_status){0};
}

static int by_need(const void *a, const void *b)
{
    const struct node_status *x = a, *y = b;
    if (x->stuck != y->stuck)
        return x->stuck ? -1 : 1;
    if (x->age != y->age)
        return x->age > y->age ? -1 : 1;
    return x->session != y->session ? (x->session < y->session ? -1 : 1) : strcmp(x->node.name, y->node.name);
}

void site_status_sort(struct site_status *s)
{
    if (s->n > 1)
        qsort(s->node, s->n, sizeof *s->node, by_need);
}

size_t site_status_behind(struct site_status *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->node[i].behind || s->node[i].stuck || s->node[i].silent)
            s->node[n++] = s->node[i];
        else
            free_node(&s->node[i]);
    s->n = n;
    site_status_sort(s);
    return n;
}
