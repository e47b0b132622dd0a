/* json_scan: a bounded, sticky cursor over one JSON text in memory (RFC 8259). It takes the parts that its caller asks
 * for, builds no tree, and allocates nothing: strings are decoded where they stand. What it takes and refuses is what
 * jansson takes and refuses; tests/fuzz/jsonl.c compares the two. */
#ifndef JSON_SCAN_H
#define JSON_SCAN_H

#include "data/val.h"

struct json_scan {
    char *at, *end;      /* what is not read yet; strings in it are overwritten */
    const char *problem; /* once not NULL it stays, and every call gives nothing */
};

/* Whether the next character behind white space is c; it stays. */
bool scan_is(struct json_scan *s, char c);

/* The same, and takes it. */
bool scan_took(struct json_scan *s, char c);

/* Takes c, or has a problem. */
void scan_need(struct json_scan *s, char c);

/* Takes a string: its bytes, UTF-8, *n of them and a NUL behind them; NULL when there is a problem. */
char *scan_text(struct json_scan *s, size_t *n);

/* The same for one without NULs inside. */
char *scan_name(struct json_scan *s);

/* Takes a number. Without point and exponent it is an integer, of 64 bits or refused. */
struct val scan_number(struct json_scan *s);

/* Takes null. */
void scan_null(struct json_scan *s);

/* Nothing but white space may be left. */
void scan_end(struct json_scan *s);

#endif
