/* extract_report: see device/extract_report.h. */
#include "device/extract_report.h"

#include "archive/dx.h"
#include "base/mem.h"
#include "base/spool.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct extract_cost *by_table(struct extract_report *r, const char *table)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcasecmp(r->cost[i].table, table) == 0)
            return &r->cost[i];
    return NULL;
}

void extract_report_object(struct extract_report *r, const struct object *o, const char *filter, int64_t rows)
{
    struct extract_cost *c = by_table(r, o->table);
    if (c == NULL) {
        r->cost = mem_grow(r->cost, r->n + 1, sizeof *r->cost);
        c = &r->cost[r->n++];
        *c = (struct extract_cost){.object = mem_text(o->name), .table = mem_text(o->table)};
    }
    free(c->filter);
    c->filter = mem_text(filter);
    c->rows = rows;
}

void extract_report_took(struct extract_report *r, const struct object *o, double seconds)
{
    struct extract_cost *c = by_table(r, o->table);
    if (c)
        c->seconds += seconds;
}

static int read_archive(struct extract_report *r, struct dx_reader *reader)
{
    struct change c;
    struct buf bytes = {0};
    int got;
    while ((got = dx_read(reader, &c)) > 0) {
        struct extract_cost *cost = by_table(r, c.table->name);
        if (cost == NULL)
            continue;
        buf_clear(&bytes);
        changeset_put_change(&bytes, &c, CHANGESET_PATCH);
        cost->changes++;
        cost->bytes += (int64_t)bytes.n;
    }
    buf_free(&bytes);
    return got;
}

int extract_report_read(struct extract_report *r, int fd)
{
    const struct dx_head *head;
    int got = spool_seek(fd, 0, "extract");
    struct dx_reader *reader = got ? NULL : dx_reader_open(fd, "extract");
    if (reader == NULL)
        return -1;
    while ((got = dx_next(reader, &head)) > 0)
        if (read_archive(r, reader)) {
            got = -1;
            break;
        }
    dx_reader_close(reader);
    return got;
}

void extract_report_free(struct extract_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->cost[i].object);
        free(r->cost[i].table);
        free(r->cost[i].filter);
    }
    free(r->cost);
    *r = (struct extract_report){0};
}
