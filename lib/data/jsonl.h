/* jsonl: a change as a line of JSON, encode beside decode. dxpack(1) tells the form:
 *
 *   {"table":"t","op":"insert","key":{"id":1},"new":{"id":1,"name":"x"}}
 *   {"table":"t","op":"update","key":{"id":1},"old":{"name":"x"},"new":{"name":"y"}}
 *   {"table":"t","op":"delete","origin":"alice","key":{"id":1},"old":{"id":1,"name":"y"}}
 *
 * Columns stand in the table's order, the key's in the key's order. "origin" is there when the change has one; "old"
 * is left out where it would tell no more than the key. Values: null; numbers, integers without and reals with a point
 * or exponent, in the 17 digits that give the same bits back; strings; {"blob":BASE64}; {"text":BASE64} for text that
 * is not UTF-8 or holds NULs; {"real":"inf"}, {"real":"-inf"}, or the 16 hex digits of another real that is no
 * number. */
#ifndef JSONL_H
#define JSONL_H

#include "data/change.h"

/* Appends the line, newline included. */
void jsonl_put(struct buf *b, const struct change *c);

/* Appends one value, or a string, as it stands in such a line. */
void jsonl_value(struct buf *b, const struct val *v);
void jsonl_string(struct buf *b, const void *p, size_t n);

/* A line as parsed. One object serves any number of lines. */
struct jsonl *jsonl_new(void);
void jsonl_free(struct jsonl *l);

/* Parses one line of n bytes. -1 (ERR_REFUSED, the message tells no file or line) when it is none that tells of a
 * change. What the calls below return lives until the next parse. */
int jsonl_parse(struct jsonl *l, const char *text, size_t n);
const char *jsonl_table(const struct jsonl *l);
enum change_op jsonl_op(const struct jsonl *l);

enum jsonl_part { JSONL_KEY, JSONL_OLD, JSONL_NEW };

/* The names of the columns in a part, in the line's order, *n of them, and their values. */
const char *const *jsonl_names(const struct jsonl *l, enum jsonl_part part, size_t *n);
const struct val *jsonl_values(const struct jsonl *l, enum jsonl_part part);

/* The change, in the columns of t; values and arrays are l's. -1 (ERR_REFUSED) when a column is unknown, the key is
 * not whole, or parts contradict each other. */
int jsonl_change(struct jsonl *l, const struct table *t, struct change *c);

#endif
