/* fields: a record as a table of its fields, from which JSON and text are made: each is named and described once. */
#ifndef FIELDS_H
#define FIELDS_H

#include "base/buf.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
    FIELD_INT,   /* int64_t */
    FIELD_KNOWN, /* int64_t, null in JSON for -1 */
    FIELD_TEXT,  /* char *, or const char *; NULL is null in JSON */
    FIELD_FLAG,  /* bool */
    FIELD_TIME   /* int64_t, seconds since 1970: RFC 3339 in JSON, null for 0 */
};

struct field {
    const char *name; /* in JSON */
    enum field_type type;
    size_t at; /* offsetof in the record */
};

/* Up to a field without name. The caller's to release. */
json_t *fields_json(const struct field *f, const void *record);

/* Prints a document, indented, or (`line`) an object on a line of its own, and releases it. -1 when stdout cannot be
 * written. */
int fields_print(json_t *j);
int fields_print_line(json_t *j);

/* A time as RFC 3339 has it, in UTC: 2026-01-31T12:00:00Z. */
enum { FIELDS_TIME = 32 };
void fields_time(int64_t t, char text[FIELDS_TIME]);

/* The time that such a text tells, or one as SQLite's datetime writes it; 0 for another. */
int64_t fields_time_get(const char *text);

/* The same of such a text, 0, or of a day, "2026-12-31", its beginning, 1; -1 for another, without a message. */
int fields_date_get(const char *text, int64_t *at);

/* For columns: numbers in at most six characters. "950", "12.3k" or, of bytes, "12.3K"; "45 s", "3 min", "2 h", "5 d". */
enum { FIELDS_SHORT = 32 };
const char *fields_count(int64_t n, char text[FIELDS_SHORT]);
const char *fields_bytes(int64_t n, char text[FIELDS_SHORT]);
const char *fields_age(int64_t seconds, char text[FIELDS_SHORT]);

/* Appends text cut or padded to so many columns of a terminal; UTF-8 is counted by characters, and what is cut ends
 * with "~". */
void fields_column(struct buf *out, const char *text, int width);

#endif
