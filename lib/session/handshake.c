/* handshake: see session/handshake.h. */
#include "session/handshake.h"

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "device/patch.h"
#include "journal/applied_digests.h"
#include "journal/meta.h"
#include "nodes/departure.h"
#include "nodes/hold.h"
#include "nodes/membership_log.h"
#include "nodes/node.h"
#include "nodes/offer.h"
#include "nodes/package.h"
#include "nodes/package_files.h"
#include "nodes/responsibility.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AGAIN "make this copy once more, it keeps what was changed in it: initsync LOCAL.db SITE --node NAME"

/* ---- what an end knows ---- */

/* Takes a text that may be NULL, and frees it. */
static void take_text(char out[HANDSHAKE_TEXT], char *text)
{
    snprintf(out, HANDSHAKE_TEXT, "%s", text ? text : "");
    free(text);
}

/* Whether the node is served here; refused with where it is now, or since when it is not. */
static int check_served(struct db *db, const struct node *n, struct standing *s)
{
    struct departure d;
    int noted = departure_find(db, n->id, &d), rc = noted < 0 ? -1 : 0;
    bool over = !n->active || (noted > 0 && departure_due(&d));
    if (rc == 0 && over && noted > 0 && *d.site) {
        snprintf(s->moved, sizeof s->moved, "%s", d.site);
        rc = fail(ERR_REFUSED, "node '%s' has another server now", n->name);
    } else if (rc == 0 && over && noted > 0) {
        char day[32];
        time_t at = (time_t)d.time;
        struct tm tm;
        gmtime_r(&at, &tm);
        strftime(day, sizeof day, "%Y-%m-%d %H:%M", &tm);
        rc = fail(ERR_REFUSED, "node '%s' has come to its end here on %s UTC; ask the server's operator",
                  n->name, day);
    } else if (rc == 0 && over)
        rc = fail(ERR_REFUSED, "node '%s' has been ended here; ask the server's operator", n->name);
    departure_free(&d);
    return rc;
}

int handshake_of_server(struct db *db, const char *name, struct standing *s)
{
    struct node n;
    char *digest = NULL, *why = NULL, *since = NULL, *offer = NULL;
    int held = 0;
    *s = (struct standing){.release = DX_VERSION};
    int found = meta_require(db) ? -1 : node_find(db, name, &n);
    if (found < 0)
        return -1;
    if (found == 0)
        return fail(ERR_REFUSED, "there is no node %s; ask the server's operator to register it", name);
    struct patch patch;
    int rc = patch_staged(db, &patch) < 0 ? -1 : 0;
    if (rc == 0)
        rc = check_served(db, &n, s) ? -1 : responsibility_check(db, &n, false);
    int in_use = rc == 0 ? offer_in_use(db, &n) : 0;
    if (in_use < 0)
        rc = -1;
    char *needs = NULL;
    char files[SHA_HEX], *sections = NULL;
    if (rc == 0 && (package_release(db, n.package, &needs) || package_files_digest(db, n.package, files) ||
                    package_files_sections(db, n.package, &sections) ||
                    membership_log_digest(db, n.id, n.archive, &digest) ||
                    (held = hold_find(db, n.id, &why, &since)) < 0 || offer_find(db, &n, &offer) < 0))
        rc = -1;
    free(why);
    free(since);
    if (rc == 0) {
        snprintf(s->node, sizeof s->node, "%s", n.name);
        snprintf(s->epoch, sizeof s->epoch, "%s", n.epoch);
        snprintf(s->package, sizeof s->package, "%s", n.package);
        snprintf(s->files, sizeof s->files, "%s", files);
        snprintf(s->patch, sizeof s->patch, "%s", patch.digest);
        take_text(s->digest, digest);
        take_text(s->offer, offer);
        take_text(s->needs, needs);
        s->in_use = in_use > 0;
        s->archive = n.archive;
        s->upload = n.merged;
        s->attachments = sections != NULL;
        s->behind = n.suspended_at >= 0;
        s->held = held ? n.merged + 1 : 0;
    } else {
        free(digest);
        free(offer);
        free(needs);
    }
    free(sections);
    node_free(&n);
    return rc;
}

int handshake_of_copy(struct db *db, struct standing *s)
{
    char *before = NULL, *node = NULL, *epoch = NULL, *package = NULL, *digest = NULL, *workstation = NULL,
         *files = NULL;
    *s = (struct standing){.release = DX_VERSION};
    int rc = meta_require(db) || meta_get_text(db, "node", &node) || meta_get_text(db, "server", &epoch) ||
                     meta_get_text(db, "server_before", &before) || meta_get_text(db, "package", &package) ||
                     meta_get_text(db, "workstation", &workstation) ||
                     meta_get_text(db, "package_files", &files) || meta_get_int(db, "applied", &s->archive) ||
                     meta_get_int(db, "sent", &s->sent) || meta_get_int(db, "acked", &s->upload) ||
                     (epoch && applied_digests_digest(db, "changes", epoch, s->archive, &digest))
                 ? -1
                 : 0;
    if (rc == 0 && (node == NULL || epoch == NULL))
        rc = fail(ERR_REFUSED, "%s is no copy of a node; make one with initsync", db_path(db));
    if (workstation)
        snprintf(s->patch, sizeof s->patch, "-");
    free(workstation);
    take_text(s->files, files ? files : mem_text("-"));
    take_text(s->node, node);
    take_text(s->epoch, epoch);
    take_text(s->before, before);
    take_text(s->package, package);
    take_text(s->digest, digest);
    int64_t room = file_free(db_path(db));
    s->free = room > 0 ? room : 0;
    return rc;
}

int handshake_former(struct db *db, const char *node, const struct standing *copy, enum handshake_former *out)
{
    struct node n;
    char *digest = NULL;
    *out = FORMER_SAME;
    int found = *copy->was ? node_find(db, node, &n) : 0;
    if (found <= 0)
        return found;
    int known = membership_log_knows(db, n.id, copy->was);
    if (known == 0)
        known = offer_knows(db, n.id, copy->was);
    if (known > 0 && membership_log_digest(db, n.id, copy->was_archive, &digest))
        known = -1;
    if (known == 0)
        *out = FORMER_UNKNOWN;
    else if (known > 0 && (copy->was_archive > n.archive ||
                           (*copy->was_digest && *digest && strcmp(copy->was_digest, digest) != 0)))
        *out = FORMER_DIFFERS;
    free(digest);
    node_free(&n);
    return known < 0 ? -1 : 0;
}

/* ---- in words ---- */

static const struct field {
    const char *name;
    size_t at;
    bool text;
} fields[] = {
    {"node", offsetof(struct standing, node), true},
    {"epoch", offsetof(struct standing, epoch), true},
    {"was", offsetof(struct standing, was), true},
    {"was_archive", offsetof(struct standing, was_archive), false},
    {"was_digest", offsetof(struct standing, was_digest), true},
    {"archive", offsetof(struct standing, archive), false},
    {"upload", offsetof(struct standing, upload), false},
    {"sent", offsetof(struct standing, sent), false},
    {"digest", offsetof(struct standing, digest), true},
    {"package", offsetof(struct standing, package), true},
    {"release", offsetof(struct standing, release), true},
    {"files", offsetof(struct standing, files), true},
    {"patch", offsetof(struct standing, patch), true},
    {"timeout", offsetof(struct standing, timeout), false},
    {"free", offsetof(struct standing, free), false},
    {"keep_days", offsetof(struct standing, keep_days), false},
    {"keep_bytes", offsetof(struct standing, keep_bytes), false},
};

void handshake_put(struct buf *out, const struct standing *s)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const void *at = (const char *)s + fields[i].at;
        int64_t number = fields[i].text ? 0 : *(const int64_t *)at;
        if (fields[i].text && *(const char *)at)
            buf_addf(out, " %s=%s", fields[i].name, (const char *)at);
        else if (number)
            buf_addf(out, " %s=%lld", fields[i].name, (long long)number);
    }
}

static int get_field(const struct field *f, const char *value, struct standing *out)
{
    char *end;
    void *at = (char *)out + f->at;
    if (f->text) {
        if (strlen(value) >= HANDSHAKE_TEXT)
            return fail(ERR_REFUSED, "hello: %s is longer than %d bytes", f->name, HANDSHAKE_TEXT - 1);
        snprintf(at, HANDSHAKE_TEXT, "%s", value);
        return 0;
    }
    long long n = strtoll(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || end - value > 18)
        return fail(ERR_REFUSED, "hello: %s= is no number from 0 on", f->name);
    *(int64_t *)at = n;
    return 0;
}

int handshake_get(char *const *word, size_t n, struct standing *out)
{
    *out = (struct standing){0};
    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(word[i], '=');
        if (equals == NULL)
            return fail(ERR_REFUSED, "hello: words are NAME=VALUE");
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            if (strlen(fields[k].name) == (size_t)(equals - word[i]) &&
                strncmp(fields[k].name, word[i], (size_t)(equals - word[i])) == 0 &&
                get_field(&fields[k], equals + 1, out))
                return -1;
    }
    return 0;
}

/* ---- whether they may go on ---- */

bool handshake_older(const char *release, const char *than)
{
    for (;;) {
        char *a, *b;
        long x = strtol(release, &a, 10), y = strtol(than, &b, 10);
        if (x != y || (a == release) != (b == than))
            return x < y;
        if (*b != '.')
            return false;
        if (*a != '.') /* 1.2 is 1.2.0 */
            return strspn(b, ".0") != strlen(b);
        release = a + 1;
        than = b + 1;
    }
}

static enum handshake_verdict refused(int failed)
{
    (void)failed;
    return HANDSHAKE_REFUSED;
}

static enum handshake_verdict again(int failed)
{
    (void)failed;
    return HANDSHAKE_AGAIN;
}

static enum handshake_verdict restored(int failed)
{
    (void)failed;
    return HANDSHAKE_SERVER_RESTORED;
}

enum handshake_verdict handshake_check(const struct standing *node, const struct standing *server)
{
    if (strcmp(node->node, server->node) != 0)
        return refused(fail(ERR_REFUSED, "this key belongs to node '%s', the database to node '%.64s'",
                            server->node, node->node));
    if (*server->needs && handshake_older(node->release, server->needs))
        return refused(fail(ERR_REFUSED,
                            "package '%s' needs dx %s or newer, and here is %.64s; install that, then "
                            "synchronize again: nothing is lost",
                            server->package, server->needs, *node->release ? node->release : "an older one"));
    if (*node->epoch == 0)
        return HANDSHAKE_GO;
    if (strcmp(node->epoch, server->epoch) != 0 && !server->in_use)
        return again(fail(ERR_REFUSED,
                          "node '%s' has another package here, or was registered again: its numbering is "
                          "%s, that of this copy %.64s; " AGAIN,
                          server->node, server->epoch, node->epoch));
    if (strcmp(node->epoch, server->epoch) != 0)
        return refused(
            fail(ERR_REFUSED,
                 "this copy of '%s' is not the one that is kept here now: its epoch is %.64s, here "
                 "%s; " AGAIN,
                 server->node, node->epoch, server->epoch));
    if (node->archive > server->archive)
        return restored(fail(ERR_REFUSED,
                             "this copy has applied archive %lld, the newest here is %lld: the server was "
                             "restored from a backup; " AGAIN,
                             (long long)node->archive, (long long)server->archive));
    if (node->archive == server->archive && *node->digest && *server->digest &&
        strcmp(node->digest, server->digest) != 0)
        return restored(
            fail(ERR_REFUSED,
                 "this copy has applied another archive %lld than the one made here: the server was "
                 "restored from a backup; " AGAIN,
                 (long long)node->archive));
    if (node->upload > server->upload)
        return restored(fail(ERR_REFUSED,
                             "upload %lld is acknowledged, the newest merged here is %lld: the server was "
                             "restored from a backup; " AGAIN,
                             (long long)node->upload, (long long)server->upload));
    if (node->sent < server->upload)
        return refused(
            fail(ERR_REFUSED,
                 "upload %lld is merged here, this copy has made only %lld: it was restored from a "
                 "backup; " AGAIN,
                 (long long)server->upload, (long long)node->sent));
    return HANDSHAKE_GO;
}
