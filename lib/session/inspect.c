/* inspect: see session/inspect.h. */
#include "session/inspect.h"

#include "base/err.h"
#include "nodes/site_conf.h"

#include <string.h>
#include <sys/stat.h>

struct inspection {
    const char *name;
    const struct inspect_limits *limits;
    int64_t packed, expanded;
};

static int on_member(void *ctx, const char *name, uint64_t size)
{
    struct inspection *i = ctx;
    const struct inspect_limits *l = i->limits;
    (void)name;
    if (size > INT64_MAX / 2 || i->expanded > INT64_MAX / 2)
        return fail(ERR_REFUSED, "%s: a member of that size cannot be", i->name);
    i->expanded += (int64_t)size;
    if (l->expanded_bytes && i->expanded > l->expanded_bytes)
        return fail(ERR_REFUSED, "%s: unpacks to more than the %lld bytes that are allowed here", i->name,
                    (long long)l->expanded_bytes);
    if (site_conf_expands(l->expanded_ratio, i->packed, i->expanded))
        return fail(ERR_REFUSED, "%s: unpacks to more than %lld times its size, which is not allowed here",
                    i->name, (long long)l->expanded_ratio);
    return 0;
}

static int check_head(const char *name, const struct dx_head *h, const struct inspect_want *want)
{
    if (h->kind != want->kind)
        return fail(ERR_REFUSED, "%s: is of kind %s, not %s", name, dx_kind_name(h->kind),
                    dx_kind_name(want->kind));
    if (want->from && strcmp(h->from, want->from) != 0)
        return fail(ERR_REFUSED, "%s: is none of '%s', but from '%.64s'", name, want->from, h->from);
    if (want->epoch && strcmp(h->epoch, want->epoch) != 0 &&
        !(want->before && *want->before && strcmp(h->epoch, want->before) == 0))
        return fail(ERR_REFUSED, "%s: is of epoch %.64s, here it is %s", name, h->epoch, want->epoch);
    if (want->number && h->number != want->number)
        return fail(ERR_REFUSED, "%s: says that it is number %lld", name, (long long)h->number);
    return 0;
}

static int check(struct dx_reader *r, const char *name, const struct inspect_want *want,
                 const struct inspect_limits *limits)
{
    const struct dx_head *h;
    int got = dx_next(r, &h);
    if (got <= 0)
        return got < 0 ? -1 : fail(ERR_REFUSED, "%s: is empty", name);
    if (check_head(name, h, want) || dx_skip(r))
        return -1;
    if (limits->rows && dx_end(r)->changes > limits->rows)
        return fail(ERR_REFUSED, "%s: %lld changes, more than the %lld that are allowed here", name,
                    (long long)dx_end(r)->changes, (long long)limits->rows);
    got = dx_next(r, &h);
    return got > 0 ? fail(ERR_REFUSED, "%s: a second archive stands behind the first", name) : got;
}

int inspect_archive(int fd, const char *name, const struct inspect_want *want,
                    const struct inspect_limits *limits)
{
    struct stat st;
    struct inspection i = {.name = name, .limits = limits};
    if (fstat(fd, &st))
        return fail_errno("%s: cannot read", name);
    i.packed = st.st_size;
    struct dx_reader *r = dx_reader_open(fd, name);
    struct dx_watch watch = {.member = on_member, .ctx = &i};
    dx_reader_watch(r, &watch);
    int rc = check(r, name, want, limits);
    dx_reader_close(r);
    return rc;
}
