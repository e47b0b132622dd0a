/* infer_columns: the layouts of tables, learnt from lines that each name some of the columns in their order. */
#ifndef INFER_COLUMNS_H
#define INFER_COLUMNS_H

#include "data/table.h"

struct infer_tables *infer_tables_new(void);
void infer_tables_free(struct infer_tables *s);

/* A layout that is known from elsewhere: nothing is learnt for it, what contradicts it is refused. */
void infer_tables_fix(struct infer_tables *s, const struct table *t);

/* The shape of the table of that name, new if it was not known; owned by s. */
struct infer_table *infer_tables_find(struct infer_tables *s, const char *table);

/* The key of a line. Every line of a table has the same columns in the same order: -1 (ERR_REFUSED) if not. */
int infer_key(struct infer_table *p, const char *const *name, size_t n);

/* Columns that a line names one after another. -1 (ERR_REFUSED) when a layout that is fixed has not got one. */
int infer_columns(struct infer_table *p, const char *const *name, size_t n);
bool infer_is_key(const struct infer_table *p, const char *column);

/* What is known so far: the layout with the columns in the order of their first mention, which later ones follow. It
 * is p's, until more is learnt. */
const struct table *infer_table(struct infer_table *p);

size_t infer_number(const struct infer_table *p); /* in the order in which tables were first named, from 0 */
size_t infer_tables_count(const struct infer_tables *s);
struct infer_table *infer_tables_get(const struct infer_tables *s, size_t number);

/* The layout of all that was learnt, which the caller frees. Its columns stand so that every line's order is kept, as
 * long as lines agree; otherwise the one named first comes first. place[i], of as many as there are columns, is where
 * column i of infer_table has come to stand. */
struct table *infer_layout(struct infer_table *p, size_t *place);

#endif
