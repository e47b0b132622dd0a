/* metrics: see report/metrics.h. */
#include "report/metrics.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Gauges: name, unit or NULL, what it is, and the field. Numbers, flags (0 or 1) and times (seconds since 1970). */
struct family {
    const char *name, *unit, *help;
    enum field_type type;
    size_t at;
};

#define SITE(name, unit, type, member, help)                         \
    {                                                                \
        name, unit, help, type, offsetof(struct site_status, member) \
    }
static const struct family site_families[] = {
    SITE("dx_journal_position", NULL, FIELD_INT, end, "Newest number in the journal of the server."),
    SITE("dx_journal_routed_position", NULL, FIELD_INT, routed, "All up to this number is in the archives."),
    SITE("dx_journal_entries", NULL, FIELD_INT, journal, "Entries that the journal keeps."),
    SITE("dx_database_bytes", "bytes", FIELD_INT, database, "Size of the server database and its WAL."),
    SITE("dx_disk_free_bytes", "bytes", FIELD_INT, free, "Free where the docking directory is."),
    SITE("dx_attachments_missing", NULL, FIELD_KNOWN, attachments,
         "Files that rows name and the store lacks."),
    SITE("dx_last_run_timestamp_seconds", "seconds", FIELD_TIME, run, "When dxcron ran last; 0: never."),
    SITE("dx_last_success_timestamp_seconds", "seconds", FIELD_TIME, success,
         "When a run of dxcron last ended with 0 or 1; 0: never."),
    SITE("dx_last_run_exit_code", NULL, FIELD_INT, run_exit, "Exit code of the last run of dxcron."),
};

#define NODE(name, unit, type, member, help)                         \
    {                                                                \
        name, unit, help, type, offsetof(struct node_status, member) \
    }
static const struct family node_families[] = {
    NODE("dx_node_backlog_archives", NULL, FIELD_INT, waiting.archives,
         "Archives that the node has not confirmed."),
    NODE("dx_node_backlog_rows", NULL, FIELD_INT, waiting.changes, "Rows in them."),
    NODE("dx_node_backlog_bytes", "bytes", FIELD_INT, waiting.bytes, "Their size."),
    NODE("dx_node_backlog_age_seconds", "seconds", FIELD_INT, age, "Age of the oldest of them."),
    NODE("dx_node_set_aside_entries", NULL, FIELD_INT, aside,
         "Journal entries for which archives are set aside."),
    NODE("dx_node_outbox_missing_archives", NULL, FIELD_INT, missing,
         "Archives not confirmed and not in the outbox."),
    NODE("dx_node_uploads", NULL, FIELD_INT, uploads, "Uploads that are not merged."),
    NODE("dx_node_blocked", NULL, FIELD_INT, blocked,
         "Number of the upload that could not be merged; 0: none."),
    NODE("dx_node_open_conflicts", NULL, FIELD_INT, conflicts, "Conflicts that nobody has resolved."),
    NODE("dx_node_quarantined_rows", NULL, FIELD_INT, quarantined, "Changes that could not be applied."),
    NODE("dx_node_last_session_timestamp_seconds", "seconds", FIELD_TIME, session,
         "When its last session was; 0: never."),
    NODE("dx_node_last_session_exit_code", NULL, FIELD_INT, session_exit, "Exit code of its last session."),
    NODE("dx_node_last_proof_timestamp_seconds", "seconds", FIELD_TIME, proof,
         "When its copy was last compared with what it should hold; 0: not known."),
    NODE("dx_node_differs", NULL, FIELD_FLAG, differs, "Whether it was not that."),
    NODE("dx_node_disk_bytes", "bytes", FIELD_INT, disk, "Size of its files in the docking directory."),
    NODE("dx_node_disk_free_bytes", "bytes", FIELD_KNOWN, free,
         "Free where its copy is, as it said in its last session."),
    NODE("dx_node_attachments_waiting", NULL, FIELD_INT, attachments,
         "Files that it sent and that are not in the store."),
    NODE("dx_node_stuck", NULL, FIELD_FLAG, stuck, "Whether it needs a person."),
};

static void head(struct buf *out, const struct family *f)
{
    buf_addf(out, "# TYPE %s gauge\n", f->name);
    if (f->unit)
        buf_addf(out, "# UNIT %s %s\n", f->name, f->unit);
    buf_addf(out, "# HELP %s %s\n", f->name, f->help);
}

/* A line: name, label (""), value; what is not known has none. */
static void value(struct buf *out, const struct family *f, const char *label, const void *record)
{
    const void *at = (const char *)record + f->at;
    int64_t n;
    if (f->type == FIELD_FLAG)
        n = *(const bool *)at;
    else
        memcpy(&n, at, sizeof n);
    if (f->type != FIELD_KNOWN || n >= 0)
        buf_addf(out, "%s%s %lld\n", f->name, label, (long long)n);
}

void metrics_print(const struct site_status *s, struct buf *out)
{
    for (size_t i = 0; i < sizeof site_families / sizeof *site_families; i++) {
        head(out, &site_families[i]);
        value(out, &site_families[i], "", s);
    }
    for (size_t i = 0; i < sizeof node_families / sizeof *node_families; i++) {
        head(out, &node_families[i]);
        for (size_t k = 0; k < s->n; k++)
            if (s->node[k].node.active) {
                char *label = mem_printf("{node=\"%s\"}", s->node[k].node.name);
                value(out, &node_families[i], label, &s->node[k]);
                free(label);
            }
    }
    buf_puts(out, "# EOF\n");
}
