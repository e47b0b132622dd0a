/* head_read: dx.json and end.json, read (archive/head_read.c) and written (archive/head_write.c). */
#ifndef HEAD_READ_H
#define HEAD_READ_H

#include "archive/dx.h"
#include "archive/shared_frame.h"

enum { DX_FORMAT = 1 };

/* Whether two columns have one name, as SQL has it. */
bool head_twins(const char *const *col, size_t ncol);

/* Whether a text can be the name of a node in a member's name: letters, digits, "._-^", at most 64. */
bool head_is_node(const char *text);

/* The tables of a settled head: the text, and its frame, which all archives that carry them share. */
struct dx_head_tables {
    struct buf text;
    struct shared_frame frame;
};
void head_unsettle(struct dx_head *h); /* it is no longer settled */

/* Appends the JSON text; in *tables (or NULL) where that of the tables begins. Refuses what no reader would take: names
 * that are not UTF-8, two columns of one name, a head over DX_JSON_MAX; `name` is for messages. */
int head_put(struct buf *b, const char *name, const struct dx_head *h, size_t *tables);

/* Reads it into a head that the caller frees. Refuses what it does not understand; `name` is for messages. */
int head_get(const struct buf *b, const char *name, struct dx_head *h);

/* The same for end.json; e->count holds h->ntable entries. */
void head_put_end(struct buf *b, const struct dx_head *h, const struct dx_end *e);
int head_get_end(const struct buf *b, const char *name, const struct dx_head *h, struct dx_end *e,
                 struct dx_count *count);

#endif
