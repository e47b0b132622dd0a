/* site_print: a site's status as text and as JSON (report/site_status.h). */
#include "base/clean.h"
#include "base/err.h"
#include "base/mem.h"
#include "report/site_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 80, INDENT = 4 };

#define LINE(name, member)                                        \
    {                                                             \
        name, FIELD_TEXT, offsetof(struct set_aside_line, member) \
    }
static const struct field set_aside_fields[] = {
    LINE("kind", kind), LINE("package", package), LINE("object", object), LINE("node", node),
    LINE("key", key),   LINE("reason", reason),   LINE("remedy", remedy), {0},
};

static json_t *set_aside_json(const struct site_status *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->naside; i++) {
        char since[FIELDS_TIME];
        json_t *one = fields_json(set_aside_fields, &s->set_aside[i]);
        fields_time(fields_time_get(s->set_aside[i].since), since);
        json_object_set_new(one, "since", json_string(since));
        json_array_append_new(all, one);
    }
    return all;
}

static const struct field quarantine_fields[] = {
    {"id", FIELD_INT, offsetof(struct quarantine_line, id)},
    {"node", FIELD_TEXT, offsetof(struct quarantine_line, node)},
    {"what", FIELD_TEXT, offsetof(struct quarantine_line, what)},
    {"reason", FIELD_TEXT, offsetof(struct quarantine_line, reason)},
    {0},
};

static json_t *quarantine_json(const struct site_status *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->nquarantine; i++)
        json_array_append_new(all, fields_json(quarantine_fields, &s->quarantine[i]));
    return all;
}

json_t *site_status_json(const struct site_status *s)
{
    json_t *j = fields_json(site_status_fields, s), *nodes = json_array();
    for (size_t i = 0; i < s->n; i++)
        json_array_append_new(nodes, fields_json(node_status_fields, &s->node[i]));
    json_object_set_new(j, "nodes", nodes);
    json_object_set_new(j, "set_aside", set_aside_json(s));
    json_object_set_new(j, "quarantine", quarantine_json(s));
    return j;
}

/* ---- remarks ---- */

static void remark(struct buf *out, const char *text)
{
    buf_puts(out, out->n ? ", " : "");
    buf_puts(out, text);
}

static void count(struct buf *out, int64_t n, const char *one, const char *many)
{
    char text[64];
    if (n == 0)
        return;
    snprintf(text, sizeof text, "%lld %s", (long long)n, n == 1 ? one : many);
    remark(out, text);
}

void site_status_remarks(const struct site_status *s, const struct node_status *n, struct buf *out)
{
    char text[96], age[FIELDS_SHORT];
    if (n->moved) {
        remark(out, "moved to ");
        buf_puts(out, n->moved);
    } else if (!n->node.active)
        remark(out, "ended");
    if (n->ends && !n->moved) {
        fields_time(n->ends, age);
        buf_puts(out, n->node.active ? "ends at " : " at ");
        buf_puts(out, age);
    }
    if (n->hold_reason) {
        remark(out, "held: ");
        buf_puts(out, n->hold_reason);
    }
    if (n->blocked) {
        snprintf(text, sizeof text, "upload %lld blocked for %s", (long long)n->blocked,
                 fields_age(s->time - n->blocked_time, age));
        remark(out, text);
    }
    count(out, n->missing, "file missing from the outbox", "files missing from the outbox");
    if (n->session_exit) {
        snprintf(text, sizeof text, "last session ended with %lld", (long long)n->session_exit);
        remark(out, text);
        if (n->session_why && *n->session_why) {
            buf_puts(out, ": ");
            buf_puts(out, n->session_why);
        }
    }
    if (n->differs) {
        snprintf(text, sizeof text, "copy differs from what it should hold, by its proof %s ago",
                 fields_age(s->time > n->proof ? s->time - n->proof : 0, age));
        remark(out, text);
    }
    count(out, n->uploads, "upload to merge", "uploads to merge");
    count(out, n->attachments, "attachment to take", "attachments to take");
    count(out, n->conflicts, "conflict", "conflicts");
    count(out, n->quarantined, "row in quarantine", "rows in quarantine");
    count(out, n->aside, "log entry set aside", "log entries set aside");
    if (n->silent)
        remark(out, "silent");
}

/* ---- what needs a person ---- */

static void need_docking(const struct site_status *s, site_status_need *need, void *ctx)
{
    if (!s->docking_missing)
        return;
    char *what = mem_printf("%s: no such directory; what waited there for nodes is lost", s->docking);
    need(ctx, "docking", what, "");
    free(what);
}

static void tell_run(const struct site_status *s, site_status_need *need, void *ctx)
{
    char what[96], age[FIELDS_SHORT];
    snprintf(what, sizeof what, "last run %s ago, ended with %lld",
             fields_age(s->time > s->run ? s->time - s->run : 0, age), (long long)s->run_exit);
    need(ctx, "dxcron", what, "");
}

/* What runs could not do, with the reason and the remedy. */
static void need_set_aside(const struct site_status *s, site_status_need *need, void *ctx)
{
    for (size_t i = 0; i < s->naside; i++) {
        const struct set_aside_line *l = &s->set_aside[i];
        char what[96], age[FIELDS_SHORT];
        char *why = mem_printf("%s; %s", l->reason, l->remedy);
        snprintf(what, sizeof what, "set aside for %s", fields_age(s->time - fields_time_get(l->since), age));
        need(ctx, l->what, what, why);
        free(why);
    }
}

/* Rows in quarantine, by the numbers that dxapply takes. */
static void need_quarantine(const struct site_status *s, site_status_need *need, void *ctx)
{
    enum { MOST = 20 };
    for (size_t i = 0; i < s->nquarantine && i < MOST; i++) {
        const struct quarantine_line *l = &s->quarantine[i];
        char who[64];
        char *why =
            mem_printf("%s%s%s: %s", *l->node ? l->node : "", *l->node ? ": " : "", l->what, l->reason);
        struct buf clean = {0};
        clean_text(&clean, why, strlen(why)); /* keys are what a node has sent */
        snprintf(who, sizeof who, "quarantine, row %lld", (long long)l->id);
        need(ctx, who, "", buf_text(&clean));
        buf_free(&clean);
        free(why);
    }
    if (s->quarantined > MOST) {
        char what[96];
        snprintf(what, sizeof what, "%lld rows more; dxapply conflicts HQ.db --kind quarantine",
                 (long long)s->quarantined - MOST);
        need(ctx, "quarantine", what, "");
    }
}

void site_status_needs(const struct site_status *s, site_status_need *need, void *ctx)
{
    need_docking(s, need, ctx);
    if (s->run && s->run_exit > ERR_LOOK && s->run_exit != ERR_BUSY)
        tell_run(s, need, ctx);
    need_set_aside(s, need, ctx);
    need_quarantine(s, need, ctx);
}

/* ---- text ---- */

/* Lines of at most WIDTH columns, broken at spaces; a longer word is broken where it must be. */
static void wrap(struct buf *out, const char *text)
{
    const size_t room = WIDTH - INDENT;
    while (*text) {
        size_t n = strlen(text);
        if (n > room) {
            n = room;
            while (n && text[n] != ' ')
                n--;
            for (n = n ? n : room; n && ((unsigned char)text[n] & 0xc0) == 0x80;) /* not inside a character */
                n--;
        }
        buf_addf(out, "%*s%.*s\n", INDENT, "", (int)n, text);
        text += n + (text[n] == ' ');
    }
}

static void put_need(void *ctx, const char *who, const char *what, const char *why)
{
    buf_addf(ctx, "%s:%s%s\n", who, *what ? " " : "", what);
    wrap(ctx, why);
}

static void heading(const struct site_status *s, struct buf *out)
{
    char text[FIELDS_SHORT];
    buf_addf(out, "journal: routed up to %lld of %lld; %s entries kept", (long long)s->routed,
             (long long)s->end, fields_count(s->journal, text));
    buf_addf(out, "; disk: %s used", fields_bytes(s->database, text));
    buf_addf(out, ", %s free\n", fields_bytes(s->free, text));
    if (s->attachments > 0)
        buf_addf(out, "attachments: %lld named by rows and not here yet\n", (long long)s->attachments);
    need_docking(s, put_need, out);
    if (s->run)
        tell_run(s, put_need, out);
    buf_addf(out, "%-16s %7s %6s %4s %5s %7s %7s %5s %5s  %s\n", "NODE", "ARCHIVE", "UNCONF", "ROWS", "BYTES",
             "AGE", "SEEN", "DISK", "FREE", "RELEASE");
}

static void node_line(const struct site_status *s, const struct node_status *n, struct buf *out)
{
    char archive[FIELDS_SHORT], waiting[FIELDS_SHORT], rows[FIELDS_SHORT], bytes[FIELDS_SHORT],
        age[FIELDS_SHORT], seen[FIELDS_SHORT], disk[FIELDS_SHORT], room[FIELDS_SHORT];
    struct buf remarks = {0};
    fields_column(out, n->node.name, 16);
    buf_addf(out, " %7s %6s %4s %5s %7s %7s %5s %5s  ", fields_count(n->node.archive, archive),
             fields_count(n->waiting.archives, waiting), fields_count(n->waiting.changes, rows),
             fields_bytes(n->waiting.bytes, bytes), n->waiting.archives ? fields_age(n->age, age) : "-",
             n->session ? fields_age(s->time > n->session ? s->time - n->session : 0, seen) : "never",
             fields_bytes(n->disk, disk), n->free >= 0 ? fields_bytes(n->free, room) : "-");
    fields_column(out, n->release ? n->release : "-", 7);
    while (out->n && out->p[out->n - 1] == ' ')
        out->n--;
    buf_byte(out, '\n');
    site_status_remarks(s, n, &remarks);
    if (remarks.n)
        wrap(out, buf_text(&remarks));
    buf_free(&remarks);
}

size_t site_status_missing(const struct site_status *s, struct buf *out)
{
    size_t nodes = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct node_status *n = &s->node[i];
        if (!n->node.active || n->missing == 0)
            continue;
        nodes++;
        buf_addf(
            out,
            "node %s: archives after %lld are not confirmed, and %lld of them not in %s/%s/outbox; unless "
            "it has got them in another way, its next session is refused, and initsync LOCAL.db SITE "
            "--node %s makes its copy again, with what was changed in it\n",
            n->node.name, (long long)n->node.applied, (long long)n->missing, s->docking, n->node.name,
            n->node.name);
    }
    return nodes;
}

void site_status_text(const struct site_status *s, struct buf *out)
{
    heading(s, out);
    for (size_t i = 0; i < s->n; i++)
        node_line(s, &s->node[i], out);
    need_set_aside(s, put_need, out);
    need_quarantine(s, put_need, out);
}
