/* tar: see base/tar.h. */
#include "base/tar.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/tar_form.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

size_t tar_padding(uint64_t size)
{
    return (TAR_RECORD - (size_t)(size % TAR_RECORD)) % TAR_RECORD;
}

struct tar_writer {
    struct archive *a;
    struct archive_entry *entry;
    tar_sink *sink;
    void *ctx;
    bool unsaid;
};

static la_ssize_t on_write(struct archive *a, void *ctx, const void *p, size_t n)
{
    struct tar_writer *t = ctx;
    (void)a;
    if (t->unsaid || n == 0)
        return (la_ssize_t)n;
    return t->sink(t->ctx, p, n) ? -1 : (la_ssize_t)n;
}

struct tar_writer *tar_writer_new(tar_sink *sink, void *ctx, enum tar_names names)
{
    struct tar_writer *t = mem_zero(1, sizeof *t);
    t->sink = sink;
    t->ctx = ctx;
    t->a = archive_write_new();
    t->entry = archive_entry_new();
    if (t->a == NULL || t->entry == NULL || archive_write_set_format_pax_restricted(t->a) != ARCHIVE_OK ||
        (names == TAR_NAMES_ANY && archive_write_set_options(t->a, "pax:hdrcharset=BINARY") != ARCHIVE_OK) ||
        archive_write_set_bytes_per_block(t->a, 0) != ARCHIVE_OK ||
        archive_write_open(t->a, t, NULL, on_write, NULL) != ARCHIVE_OK)
        mem_out();
    return t;
}

/* The sink's own message stands when it failed; libarchive's is the rest. */
static int write_result(struct tar_writer *t, la_ssize_t rc)
{
    const char *why = archive_error_string(t->a);
    if (rc >= 0)
        return 0;
    return why ? fail(ERR_SYSTEM, "tar: %s", why) : -1;
}

static int begin(struct tar_writer *t, const char *name, uint64_t size, mode_t mode)
{
    archive_entry_clear(t->entry);
    archive_entry_set_pathname(t->entry, name);
    archive_entry_set_size(t->entry, (la_int64_t)size);
    archive_entry_set_filetype(t->entry, AE_IFREG);
    archive_entry_set_perm(t->entry, mode);
    archive_entry_set_mtime(t->entry, 0, 0);
    return write_result(t, archive_write_header(t->a, t->entry));
}

int tar_begin(struct tar_writer *t, const char *name, uint64_t size)
{
    return begin(t, name, size, 0644);
}

int tar_begin_executable(struct tar_writer *t, const char *name, uint64_t size)
{
    return begin(t, name, size, 0755);
}

int tar_data(struct tar_writer *t, const void *p, size_t n)
{
    return n ? write_result(t, archive_write_data(t->a, p, n)) : 0;
}

int tar_end(struct tar_writer *t)
{
    return write_result(t, archive_write_finish_entry(t->a));
}

int tar_end_unsaid(struct tar_writer *t)
{
    t->unsaid = true;
    int rc = tar_end(t);
    t->unsaid = false;
    return rc;
}

/* libarchive would end its own work with them. */
int tar_finish(struct tar_writer *t)
{
    static const uint8_t empty[2 * TAR_RECORD];
    return t->sink(t->ctx, empty, sizeof empty);
}

void tar_writer_free(struct tar_writer *t)
{
    if (t == NULL)
        return;
    t->unsaid = true; /* what free would still write must not reach the sink */
    archive_entry_free(t->entry);
    archive_write_free(t->a);
    free(t);
}

struct tar_reader {
    struct archive *a;
    struct tar_form *form;
    tar_source *source;
    void *ctx;
    char *name;
    bool source_failed, opened, executable;
};

static la_ssize_t on_read(struct archive *a, void *ctx, const void **p)
{
    struct tar_reader *t = ctx;
    long n = t->source(t->ctx, p);
    if (n > 0 && tar_form_check(t->form, *p, (size_t)n))
        n = -1;
    if (n < 0) {
        t->source_failed = true;
        archive_set_error(a, ARCHIVE_FATAL, "read");
    }
    return n;
}

struct tar_reader *tar_reader_new(tar_source *source, void *ctx, const char *name, enum tar_names names)
{
    struct tar_reader *t = mem_zero(1, sizeof *t);
    t->source = source;
    t->ctx = ctx;
    t->name = mem_text(name);
    t->form = tar_form_new(t->name, names);
    t->a = archive_read_new();
    if (t->a == NULL || archive_read_support_format_tar(t->a) != ARCHIVE_OK ||
        archive_read_set_options(t->a, "tar:read_concatenated_archives") != ARCHIVE_OK)
        mem_out();
    return t;
}

static int read_failed(struct tar_reader *t)
{
    if (t->source_failed)
        return -1;
    if (archive_errno(t->a) == ENOMEM)
        mem_out();
    const char *why = archive_error_string(t->a);
    return fail(ERR_REFUSED, "%s: not a dx archive, or damaged (%s)", t->name, why ? why : "no tar inside");
}

int tar_next(struct tar_reader *t, const char **member, uint64_t *size)
{
    struct archive_entry *entry;
    if (!t->opened && archive_read_open(t->a, t, NULL, on_read, NULL) != ARCHIVE_OK)
        return read_failed(t);
    t->opened = true;
    int rc = archive_read_next_header(t->a, &entry);
    if (rc == ARCHIVE_EOF)
        return t->source_failed ? -1 : 0;
    if (rc != ARCHIVE_OK)
        return read_failed(t);
    *member = archive_entry_pathname(entry);
    if (*member == NULL)
        *member = "";
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
        archive_entry_symlink(entry) || archive_entry_sparse_count(entry) ||
        !archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)
        return fail(ERR_REFUSED, "%s: member '%.100s' is not a plain file", t->name, *member);
    *size = (uint64_t)archive_entry_size(entry);
    t->executable = archive_entry_perm(entry) & S_IXUSR;
    return 1;
}

bool tar_executable(const struct tar_reader *t)
{
    return t->executable;
}

long tar_read(struct tar_reader *t, void *p, size_t n)
{
    la_ssize_t got = archive_read_data(t->a, p, n);
    return got < 0 ? read_failed(t) : (long)got;
}

void tar_reader_free(struct tar_reader *t)
{
    if (t == NULL)
        return;
    archive_read_free(t->a);
    tar_form_free(t->form);
    free(t->name);
    free(t);
}
