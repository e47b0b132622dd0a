/* key_cursor: rows by their keys, asked for in ascending order: stepping on where the next one is near, seeking where it is
 * far. */
#ifndef KEY_CURSOR_H
#define KEY_CURSOR_H

#include "sql/db.h"

struct key_cursor;

/* By a statement of "... WHERE key >= ?1 ORDER BY key", for a key of one column, compared bytewise; `at` is the number
 * of the key's column in the result. NULL on failure. */
struct key_cursor *key_cursor_steps(struct db *db, const char *sql, int at);

/* By a statement that finds one row: "... WHERE a = ?1 AND b = ?2". Keys may come in any order. */
struct key_cursor *key_cursor_seeks(struct db *db, const char *sql);
void key_cursor_close(struct key_cursor *w);

/* Finds the row with the key: STEP_ROW, STEP_DONE when there is none, STEP_ERROR. The key must not be less than the one
 * asked for before; it lives until the next call. */
enum step key_cursor_find(struct key_cursor *w, const struct val *key, size_t n);

/* The statement, on the row found. */
struct stmt *key_cursor_row(struct key_cursor *w);

#endif
