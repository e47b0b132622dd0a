/* infer_columns: the layouts of tables, learnt from lines that each name some of the columns in their order. */
#ifndef INFER_COLUMNS_H
#define INFER_COLUMNS_H

#include "data/table.h"

struct shapes *shapes_new(void);
void shapes_free(struct shapes *s);

/* A layout that is known from elsewhere: nothing is learnt for it, what contradicts it is refused. */
void shapes_fix(struct shapes *s, const struct table *t);

/* The shape of the table of that name, new if it was not known; owned by s. */
struct shape *shapes_find(struct shapes *s, const char *table);

/* The key of a line. Every line of a table has the same columns in the same order: -1 (ERR_REFUSED) if not. */
int shape_key(struct shape *p, const char *const *name, size_t n);

/* Columns that a line names one after another. -1 (ERR_REFUSED) when a layout that is fixed has not got one. */
int shape_columns(struct shape *p, const char *const *name, size_t n);
bool shape_is_key(const struct shape *p, const char *column);

/* What is known so far: the layout with the columns in the order of their first mention, which later ones follow. It
 * is p's, until more is learnt. */
const struct table *shape_table(struct shape *p);

size_t shape_number(const struct shape *p); /* in the order in which tables were first named, from 0 */
size_t shapes_count(const struct shapes *s);
struct shape *shapes_get(const struct shapes *s, size_t number);

/* The layout of all that was learnt, which the caller frees. Its columns stand so that every line's order is kept, as
 * long as lines agree; otherwise the one named first comes first. place[i], of as many as there are columns, is where
 * column i of shape_table has come to stand. */
struct table *shape_layout(struct shape *p, size_t *place);

#endif
