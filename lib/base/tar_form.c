/* tar_form: see base/tar_form.h. The layout of headers is that of POSIX, pax, "ustar Interchange Format". */
#include "base/tar_form.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZE_AT = 124,
    SIZE_DIGITS = 11,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    NAME_BYTES = 100,
    EXTENDED_MAX = 16 << 10
};

static const char magic[] = "ustar\0"
                            "00";

struct tar_form {
    const char *name;
    enum tar_names names;
    uint8_t header[TAR_RECORD];
    size_t have;        /* bytes of it so far */
    uint64_t left;      /* of a member's content and padding */
    uint64_t extended;  /* bytes of an extended header that are still to come */
    struct buf records; /* of that header */
    bool member, empty; /* a member was seen; an empty record was */
};

struct tar_form *tar_form_new(const char *name, enum tar_names names)
{
    struct tar_form *f = mem_zero(1, sizeof *f);
    f->name = name;
    f->names = names;
    return f;
}

void tar_form_free(struct tar_form *f)
{
    if (f == NULL)
        return;
    buf_free(&f->records);
    free(f);
}

static int refuse(const struct tar_form *f, const char *what)
{
    char member[NAME_BYTES + 1] = "";
    memcpy(member, f->header, NAME_BYTES);
    return fail(ERR_REFUSED, "%s: member '%.100s' is not a plain file (%s)", f->name, member, what);
}

/* ---- headers ---- */

static bool is_empty(const uint8_t *record)
{
    for (size_t i = 0; i < TAR_RECORD; i++)
        if (record[i])
            return false;
    return true;
}

/* Octal digits, then a space or NUL. */
static int get_size(const struct tar_form *f, uint64_t *size)
{
    const uint8_t *p = f->header + SIZE_AT;
    *size = 0;
    for (size_t i = 0; i < SIZE_DIGITS; i++) {
        if (p[i] < '0' || p[i] > '7')
            return refuse(f, "its size is not written in 11 octal digits");
        *size = *size * 8 + (uint64_t)(p[i] - '0');
    }
    return p[SIZE_DIGITS] == ' ' || p[SIZE_DIGITS] == 0 ? 0 : refuse(f, "its size has more than 11 digits");
}

static int take_header(struct tar_form *f)
{
    uint64_t size;
    uint8_t type = f->header[TYPE_AT];
    if (is_empty(f->header)) {
        f->empty = true; /* the end, also of a tar without members: a package may have no files */
        return 0;
    }
    if (f->empty)
        return fail(ERR_REFUSED,
                    f->member ? "%s: the archive goes on behind its last member"
                              : "%s: not a dx archive: empty records before its first member",
                    f->name);
    if (type == 'g')
        return refuse(f, "a global header");
    if (type != '0' && type != 0 && type != 'x')
        return refuse(f, "of another type");
    if (memcmp(f->header + MAGIC_AT, magic, sizeof magic - 1) != 0)
        return refuse(f, "the tar is neither ustar nor pax");
    if (get_size(f, &size))
        return -1;
    if (type == 'x' && (size == 0 || size > EXTENDED_MAX))
        return refuse(f, "an extended header that is empty or over 16 KiB");
    f->member |= type != 'x';
    f->extended = type == 'x' ? size : 0;
    f->left = size + tar_padding(size);
    return 0;
}

/* ---- extended headers: records of "LENGTH KEY=VALUE\n" ---- */

/* What changes no member's content; a name only where names may be of any length and in any script. */
static bool may_say(const struct tar_form *f, const char *key, size_t n)
{
    static const char *const keys[] = {"atime", "ctime", "mtime",   "uid",  "gid",
                                       "uname", "gname", "comment", "path", "hdrcharset"};
    enum { ALL = sizeof keys / sizeof *keys, OF_NAMES = 2 };
    size_t known = f->names == TAR_NAMES_ANY ? ALL : ALL - OF_NAMES;
    for (size_t i = 0; i < known; i++)
        if (strlen(keys[i]) == n && memcmp(keys[i], key, n) == 0)
            return true;
    return false;
}

/* One record at p, of at most n bytes: its length, or 0 where it is not sound or says more than it may. */
static size_t take_record(const struct tar_form *f, const char *p, size_t n)
{
    size_t length = 0, at = 0;
    while (at < n && p[at] >= '0' && p[at] <= '9' && length <= EXTENDED_MAX)
        length = length * 10 + (size_t)(p[at++] - '0');
    if (at == 0 || at == n || p[at] != ' ' || length > n || length <= at + 1 || p[length - 1] != '\n')
        return 0;
    const char *key = p + at + 1, *equals = memchr(key, '=', length - at - 1);
    return equals && may_say(f, key, (size_t)(equals - key)) ? length : 0;
}

static int take_extended(struct tar_form *f)
{
    const char *p = (const char *)f->records.p;
    for (size_t at = 0, n; at < f->records.n; at += n)
        if ((n = take_record(f, p + at, f->records.n - at)) == 0)
            return refuse(f, f->names == TAR_NAMES_ANY
                                 ? "an extended header says more than name, times, owner and comment"
                                 : "an extended header says more than times, owner and comment");
    buf_clear(&f->records);
    return 0;
}

/* ---- the bytes ---- */

/* Passes over up to n bytes of content, and gathers those of an extended header. */
static size_t pass(struct tar_form *f, const uint8_t *p, size_t n)
{
    size_t some = n < f->left ? n : (size_t)f->left;
    size_t kept = some < f->extended ? some : (size_t)f->extended;
    buf_add(&f->records, p, kept);
    f->extended -= kept;
    f->left -= some;
    return some;
}

static size_t gather(struct tar_form *f, const uint8_t *p, size_t n)
{
    size_t some = n < TAR_RECORD - f->have ? n : TAR_RECORD - f->have;
    memcpy(f->header + f->have, p, some);
    f->have += some;
    return some;
}

int tar_form_check(struct tar_form *f, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    while (n) {
        size_t some = f->left ? pass(f, p, n) : gather(f, p, n);
        p += some;
        n -= some;
        if (f->left == 0 && f->records.n && take_extended(f))
            return -1;
        if (f->left == 0 && f->have == TAR_RECORD) {
            f->have = 0;
            if (take_header(f))
                return -1;
        }
    }
    return 0;
}
