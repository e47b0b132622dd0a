/* side: see compare/side.h. */
#include "compare/side.h"

int side_describe(struct side *s, struct described *out)
{
    return s->ops->describe(s, out);
}

int side_identify(struct side *s, const char *pair, struct side_identity *out)
{
    *out = (struct side_identity){0};
    return s->ops->identify(s, pair, out);
}

int side_use(struct side *s, const struct specs *specs)
{
    return s->ops->use(s, specs);
}

int side_agreed(struct side *s, struct base *b)
{
    return s->ops->agreed(s, b);
}

int side_begin(struct side *s)
{
    return s->ops->begin(s);
}

int side_end(struct side *s)
{
    return s->ops->end(s);
}

int side_marks(struct side *s, int64_t since, pair_record_fn *fn, void *ctx)
{
    return s->ops->marks(s, since, fn, ctx);
}

int side_list(struct side *s, size_t object)
{
    return s->ops->list(s, object);
}

int side_next(struct side *s, const struct val **row)
{
    return s->ops->next(s, row);
}

int side_fetch(struct side *s, struct work *w, const char *condition)
{
    return s->ops->fetch(s, w, condition);
}

int side_write(struct side *s, struct work *w, const struct side_write *how, struct side_written *out)
{
    *out = (struct side_written){0};
    return s->ops->write(s, w, how, out);
}

void side_close(struct side *s)
{
    if (s)
        s->ops->close(s);
}
