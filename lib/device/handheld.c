/* handheld: see device/handheld.h. */
#include "device/handheld.h"

#include "apply/apply.h"
#include "apply/pending.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha.h"
#include "journal/capture.h"
#include "journal/meta.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char sql_merged[] = "SELECT max(upto) FROM dx_upload WHERE number <= %lld";
static const char sql_pending[] =
    "SELECT count(*) FROM dx_journal WHERE seq > %lld AND origin IS NOT '" STORE_UPSTREAM "'";

enum { ID_BYTES = 16 };

int handheld_workstation(struct db *pc, char **id)
{
    if (meta_get_text(pc, "workstation", id))
        return -1;
    if (*id)
        return 0;
    *id = mem_zero(2 * ID_BYTES + 1, 1);
    sha_random_hex(ID_BYTES, *id);
    return meta_set_text(pc, "workstation", *id);
}

static char *path_name(const char *device)
{
    return mem_printf("device:%s", device);
}

/* The path from the root; what it names need not be there yet. */
static char *whole_path(const char *path)
{
    if (*path == '/')
        return mem_text(path);
    struct buf here = {0};
    for (size_t room = 256;; room *= 2) {
        buf_clear(&here);
        if (getcwd((char *)buf_reserve(&here, room), room)) {
            char *whole = file_join((const char *)here.p, path);
            buf_free(&here);
            return whole;
        }
        if (errno != ERANGE) {
            buf_free(&here);
            fail_errno("%s: cannot find its directory", path);
            return NULL;
        }
    }
}

int handheld_set_path(struct db *pc, const char *device, const char *path)
{
    char *name = path_name(device), *whole = whole_path(path);
    int rc = whole ? meta_set_text(pc, name, whole) : -1;
    free(whole);
    free(name);
    return rc;
}

int handheld_path(struct db *pc, const char *device, char **path)
{
    char *name = path_name(device);
    int rc = meta_get_text(pc, name, path);
    free(name);
    return rc;
}

/* ---- whose device ---- */

static int judge(struct db *db, const char *device, const char *id, const char *companion, const char *node)
{
    if (companion == NULL)
        return fail(ERR_REFUSED,
                    "%s: a database that is no device's; name a new file, or the one made when it was paired",
                    db_path(db));
    if (id && strcmp(companion, id) != 0)
        return fail(ERR_REFUSED,
                    "%s: this device is paired with another companion; synchronize it there, or, to move it "
                    "here, remove "
                    "its database after its last synchronization there",
                    db_path(db));
    if (node == NULL || strcmp(node, device) != 0)
        return fail(ERR_REFUSED, "%s: this is device %s, not %s", db_path(db), node ? node : "(unnamed)",
                    device);
    return 0;
}

int handheld_state_of(struct db *db, const char *device, const char *id, enum handheld_state *state)
{
    char *companion = NULL, *node = NULL;
    int64_t tables;
    int present = meta_present(db);
    if (present < 0 || db_get_int(db, &tables, "SELECT count(*) FROM sqlite_schema"))
        return -1;
    *state = tables ? HANDHELD_OURS : HANDHELD_NONE;
    if (tables == 0)
        return 0;
    int rc = present ? meta_get_text(db, "companion", &companion) || meta_get_text(db, "node", &node) : 0;
    rc = rc ? -1 : judge(db, device, id, companion, node);
    free(companion);
    free(node);
    return rc;
}

int handheld_state(const char *path, const char *device, const char *id, enum handheld_state *state)
{
    *state = HANDHELD_NONE;
    if (!file_exists(path))
        return 0;
    struct db *db = db_open(path, DB_READ);
    int rc = db ? handheld_state_of(db, device, id, state) : -1;
    db_close(db);
    return rc;
}

/* ---- making one ---- */

/* undo: the database is there. What was uploaded from it and is not settled goes up again, to the present companion, and the
 * file is an archive of what was replaced; *replaced: so many rows. */
static int fill(const char *path, int fd, const char *id, const char *undo, int64_t *replaced)
{
    const struct dx_head *h;
    const struct apply_options options = {
        .guard_rows = -1, .guard_percent = -1, .resend = undo != NULL, .undo = undo};
    struct apply_count count = {0};
    struct dx_reader *r = dx_reader_open(fd, "extract");
    struct db *db = r ? db_open(path, DB_CREATE) : NULL;
    int rc = db && dx_next(r, &h) > 0 && apply_archive(db, r, h, &options, &count) == 0 ? 0 : -1;
    if (rc == 0)
        rc = db_begin_write(db) || meta_set_text(db, "companion", id) || db_commit(db) ? -1 : 0;
    free(count.unplaced_why);
    db_close(db);
    dx_reader_close(r);
    *replaced = count.updated + count.deleted;
    return rc;
}

/* Removes what a database may have beside it. */
static void remove_database(const char *path)
{
    static const char *const beside[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        char *name = mem_printf("%s%s", path, beside[i]);
        unlink(name);
        free(name);
    }
}

static int sync_directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? mem_printf("%.*s", (int)(slash - path + 1), path) : mem_text(".");
    int rc = file_sync_directory(directory);
    free(directory);
    return rc;
}

int handheld_make(const char *path, int fd, const char *id)
{
    int64_t replaced;
    char *new = mem_printf("%s.new", path);
    remove_database(new); /* left by an attempt that was interrupted */
    int rc = lseek(fd, 0, SEEK_SET) < 0 ? fail_errno("extract: cannot read it again")
                                        : fill(new, fd, id, NULL, &replaced);
    if (rc == 0 && rename(new, path))
        rc = fail_errno("%s: cannot be named", path);
    if (rc == 0)
        rc = sync_directory_of(path);
    else
        remove_database(new);
    free(new);
    return rc;
}

/* A name in DEVICE.db-dx/saved that is free. NULL after fail(). */
static char *saved_name(const char *path)
{
    char *directory = mem_printf("%s-dx/saved", path), *name = NULL;
    if (file_make_directory(directory) == 0)
        for (int n = 1; name == NULL || file_exists(name); n++) {
            free(name);
            name = mem_printf("%s/adopted-%d.dx", directory, n);
        }
    free(directory);
    return name;
}

int handheld_adopt(const char *path, const char *device, int fd, const char *id, char **saved)
{
    enum handheld_state state;
    int64_t replaced;
    *saved = NULL;
    if (handheld_state(path, device, NULL, &state))
        return -1;
    if (state == HANDHELD_NONE)
        return fail(ERR_REFUSED, "%s: there is no device to adopt; pair a new one without --adopt", path);
    if (lseek(fd, 0, SEEK_SET) < 0)
        return fail_errno("extract: cannot read it again");
    char *undo = saved_name(path);
    int rc = undo ? fill(path, fd, id, undo, &replaced) : -1;
    if (undo && (rc || replaced == 0)) {
        unlink(undo);
        free(undo);
    } else
        *saved = undo;
    return rc;
}

/* ---- files on their way ---- */

/* Calls fn with each file of DEVICE.db-dx/FOLDER, not with folders; a directory that is not there has none. */
typedef int spool_fn(void *ctx, const char *path);

static int each_file(const char *path, const char *folder, spool_fn *fn, void *ctx)
{
    char *directory = mem_printf("%s-dx/%s", path, folder);
    DIR *d = opendir(directory);
    int rc = d || errno == ENOENT ? 0 : fail_errno("%s: cannot read the directory", directory);
    for (struct dirent *e; d && rc == 0 && (e = readdir(d)) != NULL;) {
        char *file = file_join(directory, e->d_name);
        struct stat st;
        if (lstat(file, &st) == 0 && !S_ISDIR(st.st_mode))
            rc = fn(ctx, file);
        free(file);
    }
    if (d)
        closedir(d);
    free(directory);
    return rc;
}

struct left_over {
    struct node node;
    int64_t sent; /* newest upload that the device's database knows */
    const char *pc;
};

/* Whether the file is an upload of the present numbering that nobody else has. */
static int check_left(void *ctx, const char *path)
{
    const struct left_over *l = ctx;
    const struct dx_head *h;
    size_t n = strlen(path);
    if (n < 3 || strcmp(path + n - 3, ".dx") != 0)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct dx_reader *r = fd < 0 ? NULL : dx_reader_open(fd, path);
    bool ours = r && dx_next(r, &h) > 0 && h->kind == DX_UPLOAD && strcmp(h->from, l->node.name) == 0 &&
                strcmp(h->epoch, l->node.epoch) == 0 && h->number > l->node.merged && h->number > l->sent;
    dx_reader_close(r);
    if (fd >= 0)
        close(fd);
    return ours ? fail(ERR_REFUSED,
                       "%s: changes of device %s that are nowhere else; take them first: dxapply --as-local "
                       "--upload-from "
                       "%s %s < %s, then pair again",
                       path, l->node.name, l->node.name, l->pc, path)
                : 0;
}

static int read_sent(const char *path, int64_t *sent)
{
    struct db *db = db_open(path, DB_READ);
    int present = db ? meta_present(db) : -1;
    int rc = present > 0 ? meta_get_int(db, "sent", sent) : present;
    db_close(db);
    return rc;
}

int handheld_check_spool(struct db *pc, const char *path, const char *device)
{
    struct left_over l = {.pc = db_path(pc)};
    int found = node_find(pc, device, &l.node);
    if (found <= 0)
        return found;
    int rc = file_exists(path) ? read_sent(path, &l.sent) : 0;
    if (rc == 0)
        rc = each_file(path, "outbox", check_left, &l);
    node_free(&l.node);
    return rc;
}

static int remove_left(void *ctx, const char *path)
{
    (void)ctx;
    return unlink(path) && errno != ENOENT ? fail_errno("%s: cannot be removed", path) : 0;
}

int handheld_clear_spool(const char *path)
{
    static const char *const folders[] = {"outbox", "outbox/sent", "inbox"};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof folders / sizeof *folders; i++)
        rc = each_file(path, folders[i], remove_left, NULL);
    return rc;
}

/* ---- how far it is ---- */

/* Whether capture is amiss, or what it missed is not found yet; err_message() says how. 1, 0, -1. */
static int not_captured(struct db *db)
{
    if (capture_check(db) == 0)
        return 0;
    return err_code() == ERR_REFUSED || err_code() == ERR_AGAIN ? 1 : -1;
}

int handheld_progress(struct db *device, const struct node *n, struct handheld_progress *out)
{
    int64_t settled, merged;
    *out = (struct handheld_progress){0};
    int rc = db_begin_read(device);
    if (rc == 0)
        rc = meta_require(device) || meta_get_int(device, "applied", &out->applied) ||
                     pending_settled(device, &settled) ||
                     db_get_int(device, &merged, sql_merged, (long long)n->merged) ||
                     db_get_int(device, &out->pending, sql_pending,
                                (long long)(merged > settled ? merged : settled))
                 ? -1
                 : 0;
    int amiss = rc == 0 ? not_captured(device) : 0;
    out->amiss = amiss > 0;
    db_rollback(device);
    return rc || amiss < 0 ? -1 : 0;
}

/* ---- may it start ---- */

static struct db *open_device(const char *path, enum db_mode mode)
{
    char *companion = NULL;
    if (!file_exists(path)) {
        fail(ERR_REFUSED, "%s: no such database; pair the device: hhextract pair PC.db %s --device NAME",
             path, path);
        return NULL;
    }
    struct db *db = db_open(path, mode);
    int present = db ? meta_present(db) : -1;
    int rc = present < 0 || (present && meta_get_text(db, "companion", &companion)) ? -1 : 0;
    if (rc == 0 && companion == NULL)
        rc = fail(ERR_REFUSED, "%s: not a paired device; run: hhextract pair PC.db %s --device NAME", path,
                  path);
    free(companion);
    if (rc == 0)
        return db;
    db_close(db);
    return NULL;
}

int handheld_hold(const char *path, char **why)
{
    struct db *db = open_device(path, DB_READ);
    int rc = db ? meta_get_text(db, "hold", why) : -1, amiss = rc == 0 && *why == NULL ? not_captured(db) : 0;
    if (amiss > 0)
        *why =
            mem_text("a table was written while it was not captured; companionsync finds what was changed");
    db_close(db);
    return rc || amiss < 0 ? -1 : 0;
}

int handheld_set_hold(const char *path, const char *why)
{
    struct db *db = open_device(path, DB_WRITE);
    int rc = db ? db_begin_write(db) || meta_set_text(db, "hold", why) || db_commit(db) : -1;
    db_close(db);
    return rc ? -1 : 0;
}
