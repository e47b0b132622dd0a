/* view: what a comparison found, printed for people and for scripts. */
#ifndef VIEW_H
#define VIEW_H

#include "compare/sync.h"

#include <stdio.h>

/* A line per object: rows, what is to be done on each side, conflicts. */
int view_counts(struct sync *s, FILE *out);

/* A line "conflict: OBJECT KEY: WHAT in mine, WHAT in theirs" each. */
int view_conflicts(struct sync *s, FILE *out);

/* All of it as one JSON object. */
int view_json(struct sync *s, FILE *out);

/* As diffstat: per object a bar of what is inserted, changed and deleted on each side. */
int view_stat(struct sync *s, FILE *out);

/* Each row, column by column, before and after, for each side on which something is to be done; the rows of both sides
 * have been fetched (all_rows). */
int view_rows(struct sync *s, FILE *out);

/* In a check of change keys: the rows that differ under one change key, with their columns. *n of them. */
int view_check(struct sync *s, FILE *out, int64_t *n);

/* Statements that do on a side what is to be done there. */
int view_sql(struct sync *s, int side, FILE *out);

/* What was left for the next run, a line each, by way of say. */
int view_issues(struct base *b, void (*say)(const char *line));

/* The conflicts of a base: as text, each with both sides' values side by side in `width` columns, or JSON Lines. */
int view_base_conflicts(struct base *b, int width, FILE *out);
int view_base_json(struct base *b, FILE *out);

#endif
