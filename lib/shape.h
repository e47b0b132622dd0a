/* shape: the layouts of tables, learnt from lines that each name some of the columns in their order. */
#ifndef SHAPE_H
#define SHAPE_H

#include "table.h"

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

/* The layouts, in the order in which their tables were first named. A table's columns stand so that every line's order
 * is kept, as long as lines agree; otherwise the one named first comes first. The caller frees each, and the array. */
struct table **shapes_tables(const struct shapes *s, size_t *n);

#endif
