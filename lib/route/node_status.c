/* node_status: see route/node_status.h. */
#include "route/node_status.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "route/outbox.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* A session holds DOCKING/NODE/lock, and writes its holder there. */
static void last_session(const char *docking, struct node_status *s)
{
    char *lock = mem_printf("%s/%s/lock", docking, s->node.name);
    struct stat st;
    struct tm tm;
    if (stat(lock, &st) == 0) {
        gmtime_r(&st.st_mtime, &tm);
        strftime(s->session, sizeof s->session, "%Y-%m-%d %H:%M:%S", &tm);
    }
    free(lock);
}

/* What the node said in its last session that it has applied is in DOCKING/NODE/applied: the epoch of the numbering, and
 * the number. Uploads tell it, too, but later. */
static void last_applied(const char *docking, struct node_status *s)
{
    enum { LINE = 128 };
    char *path = mem_printf("%s/%s/applied", docking, s->node.name);
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

static int read_node(struct db *db, const char *docking, bool conflicts, struct node_status *s)
{
    last_applied(docking, s);
    if (membership_log_waiting(db, s->node.id, s->node.applied, &s->waiting) ||
        outbox_waiting(docking, s->node.name, &s->files, &s->bytes))
        return -1;
    last_session(docking, s);
    if (s->waiting.oldest &&
        db_get_int(db, &s->age, "SELECT max(0, strftime('%%s', 'now') - strftime('%%s', %Q))",
                   s->waiting.oldest))
        return -1;
    return conflicts ? db_get_int(db, &s->conflicts,
                                  "SELECT count(*) FROM dx_conflict WHERE origin = %Q AND resolved IS NULL",
                                  s->node.name)
                     : 0;
}

int node_status_read(struct db *db, const char *docking, struct node_statuses *s)
{
    struct node *node;
    int64_t conflicts;
    *s = (struct node_statuses){0};
    if (docking && !file_exists(docking))
        return fail_errno("%s: cannot open", docking);
    if (meta_require(db) || meta_get_int(db, "routed", &s->routed) || journal_end(db, &s->end) ||
        db_get_int(db, &conflicts, "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_conflict'") ||
        node_list(db, &node, &s->n))
        return -1;
    s->docking = outbox_directory(db, docking);
    s->node = mem_zero(s->n, sizeof *s->node);
    int rc = 0;
    for (size_t i = 0; i < s->n; i++) {
        s->node[i].node = node[i];
        s->node[i].aside = node[i].active && node[i].asleep >= 0 ? s->end - node[i].asleep : 0;
        rc = rc || read_node(db, s->docking, conflicts > 0, &s->node[i]) ? -1 : 0;
    }
    free(node);
    return rc;
}

void node_status_free(struct node_statuses *s)
{
    for (size_t i = 0; i < s->n; i++) {
        node_free(&s->node[i].node);
        free(s->node[i].waiting.oldest);
    }
    free(s->node);
    free(s->docking);
    *s = (struct node_statuses){0};
}
