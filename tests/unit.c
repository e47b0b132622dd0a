/*
 * unit: what shell tests do not reach: the borders of the encodings, the order of values, and how the changes of a row
 * fold into its net change. Speaks TAP.
 */
#include "archive/dx.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "data/changeset.h"
#include "data/jsonl.h"
#include "data/row_intern.h"
#include "journal/capture.h"
#include "journal/journal.h"
#include "sql/bulk_insert.h"
#include "sql/db.h"
#include "sql/key.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;

static void check(bool good, const char *what)
{
    if (!good) {
        printf("not ok - %s\n", what);
        failures++;
    }
}

static void done(int before, const char *what)
{
    if (failures == before)
        printf("ok - %s\n", what);
}

/* ---- wire ---- */

static void test_varint(void)
{
    static const struct {
        uint64_t value;
        size_t n;
        uint8_t bytes[9];
    } cases[] = {{0, 1, {0}},
                 {127, 1, {0x7f}},
                 {128, 2, {0x81, 0x00}},
                 {16383, 2, {0xff, 0x7f}},
                 {16384, 3, {0x81, 0x80, 0x00}},
                 {(1u << 21) - 1, 3, {0xff, 0xff, 0x7f}},
                 {1u << 21, 4, {0x81, 0x80, 0x80, 0x00}},
                 {(UINT64_C(1) << 56) - 1, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
                 {UINT64_C(1) << 56, 9, {0x80 | 0x00, 0xc0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}},
                 {UINT64_MAX, 9, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}};
    int before = failures;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = {0};
        wire_put_varint(&b, cases[i].value);
        check(b.n == cases[i].n && memcmp(b.p, cases[i].bytes, b.n) == 0, "a varint's bytes");
        struct wire w = wire_over(cases[i].bytes, cases[i].n);
        check(wire_varint(&w) == cases[i].value && w.state == WIRE_OK && w.p == w.end, "a varint read");
        for (size_t n = 0; n < cases[i].n; n++) {
            w = wire_over(cases[i].bytes, n);
            wire_varint(&w);
            check(w.state == WIRE_SHORT, "a varint cut off");
        }
        buf_free(&b);
    }
    for (int shift = 0; shift < 64; shift++)
        for (int less = 0; less < 2; less++) {
            struct buf b = {0};
            uint64_t value = (UINT64_C(1) << shift) - (uint64_t)less;
            wire_put_varint(&b, value);
            struct wire w = wire_over(b.p, b.n);
            check(wire_varint(&w) == value && w.p == w.end, "a varint there and back");
            buf_free(&b);
        }
    done(before, "varints at their borders");
}

static void test_wire_sticks(void)
{
    int before = failures;
    struct wire w = wire_over("abc", 3);
    check(wire_text(&w) == NULL && w.state == WIRE_SHORT, "a text without its NUL");
    check(wire_byte(&w) == 0 && wire_u64(&w) == 0 && wire_bytes(&w, 1) == NULL, "reads after a short one");
    w = wire_over("abc", 3);
    check(wire_bytes(&w, UINT64_MAX) == NULL && w.state == WIRE_SHORT, "more bytes than memory has");
    done(before, "a cursor that ran short gives nothing more");
}

/* ---- val ---- */

static struct val real(double r)
{
    return (struct val){.type = VAL_REAL, .r = r};
}

static void test_order(void)
{
    static const char blob[] = "a";
    const struct val rising[] = {{.type = VAL_NULL},
                                 real(-INFINITY),
                                 real(-9.3e18),
                                 val_int(INT64_MIN),
                                 val_int(INT64_MIN + 1),
                                 real(-9.2e18),
                                 val_int(-1),
                                 real(-0.5),
                                 val_int(0),
                                 real(5e-324),
                                 val_int(9007199254740992),
                                 val_int(9007199254740993), /* no real lies between these */
                                 real(9007199254740994.0),
                                 val_int(INT64_MAX - 1),
                                 val_int(INT64_MAX),
                                 real(9223372036854775808.0),
                                 real(INFINITY),
                                 val_text(""),
                                 val_text("a"),
                                 val_text("aa"),
                                 val_text("b"),
                                 {.type = VAL_BLOB, .p = blob, .n = 0},
                                 {.type = VAL_BLOB, .p = blob, .n = 1}};
    size_t n = sizeof rising / sizeof *rising;
    int before = failures;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            int order = val_compare(&rising[i], &rising[k]);
            check((order > 0) - (order < 0) == (i > k) - (i < k), "the order of two values");
            check(val_same(&rising[i], &rising[k]) == (i == k), "the sameness of two values");
        }
    const struct val two = val_int(2), two_real = real(2), zero = real(0.0), minus = real(-0.0);
    check(val_compare(&two, &two_real) == 0 && !val_same(&two, &two_real), "2 and 2.0");
    check(val_compare(&zero, &minus) == 0 && !val_same(&zero, &minus), "0.0 and -0.0");
    done(before, "values have SQLite's order, and sameness is by type and bit");
}

static void test_key_pack(void)
{
    int before = failures;
    struct buf room = {0};
    struct val key[2] = {val_text("a"), val_int(7)}, back[3];
    struct val packed = key_pack(key, 2, &room);
    check(packed.type == VAL_BLOB && key_unpack(&packed, 2, back) && vals_compare(key, back, 2) == 0,
          "two columns");
    check(!key_unpack(&packed, 3, back) && !key_unpack(&key[0], 2, back),
          "as many as there are, and no text");
    packed = key_pack(key, 1, &room);
    check(packed.type == VAL_TEXT && key_unpack(&packed, 1, back) && val_same(key, back), "one column");
    buf_free(&room);
    done(before, "keys packed into one value");
}

/* ---- texts ---- */

static void test_utf8(void)
{
    static const struct {
        const char *text;
        bool sound;
    } cases[] = {{"", true},
                 {"plain", true},
                 {"\xc2\x80", true},
                 {"\xc1\xbf", false}, /* overlong */
                 {"\xe0\xa0\x80", true},
                 {"\xe0\x9f\xbf", false}, /* overlong */
                 {"\xed\x9f\xbf", true},  /* the last before the surrogates */
                 {"\xed\xa0\x80", false}, /* a surrogate */
                 {"\xf0\x90\x80\x80", true},
                 {"\xf0\x8f\xbf\xbf", false}, /* overlong */
                 {"\xf4\x8f\xbf\xbf", true},
                 {"\xf4\x90\x80\x80", false}, /* over U+10FFFF */
                 {"\xf5\x80\x80\x80", false},
                 {"\x80", false},
                 {"a\xc3", false},
                 {"\xe2\x82", false},
                 {"\xe2\x82x", false},
                 {"\xff", false}};
    int before = failures;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(utf8_sound(cases[i].text, strlen(cases[i].text)) == cases[i].sound, cases[i].text);
    done(before, "UTF-8 told from what only looks like it");
}

static void test_base64(void)
{
    /* RFC 4648, section 10, and what is no base64. */
    static const char *const good[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "Z===", "====", "Zm 9", "Zm9-"};
    int before = failures;
    uint8_t out[64];
    size_t n;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct buf b = {0};
        base64_put(&b, good[i][0], strlen(good[i][0]));
        check(strcmp(buf_text(&b), good[i][1]) == 0, good[i][1]);
        check(base64_get(good[i][1], strlen(good[i][1]), out, &n) && n == strlen(good[i][0]) &&
                  memcmp(out, good[i][0], n) == 0,
              good[i][1]);
        buf_free(&b);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check(!base64_get(bad[i], strlen(bad[i]), out, &n), bad[i]);
    done(before, "base64 as in its RFC, and nothing else");
}

/* ---- changeset ---- */

static void test_changeset_bytes(void)
{
    /* The example of dx(5). */
    static const uint8_t want[] = {0x54, 0x02, 0x01, 0x00, 0x74, 0x00, 0x12, 0x00, 0x01, 0x00, 0x00,
                                   0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x6f, 0x6e, 0x65};
    static const char *const col[] = {"id", "name"};
    static const uint8_t pk[] = {1, 0};
    int before = failures;
    struct table *t = table_new("t", 2, col, pk);
    struct val old[2] = {{0}}, new[2] = {val_int(1), val_text("one")};
    struct change c = {.table = t, .op = CHANGE_INSERT, .old = old, .new = new};
    struct buf b = {0};
    changeset_put_table(&b, t, CHANGESET_FULL);
    changeset_put_change(&b, &c, CHANGESET_FULL);
    check(b.n == sizeof want && memcmp(b.p, want, b.n) == 0, "the example of dx(5)");
    buf_free(&b);
    table_free(t);
    done(before, "a changeset as dx(5) shows it");
}

static void test_too_large(void)
{
    static const char *const col[] = {"id", "body"};
    static const uint8_t pk[] = {1, 0};
    int before = failures, fd = open("/dev/null", O_WRONLY);
    struct table *t = table_new("t", 2, col, pk);
    size_t n = DX_CHANGE_MAX + 1;
    struct val old[2] = {{0}}, new[2] = {val_int(7), {.type = VAL_BLOB, .p = mem_zero(n, 1), .n = n}};
    struct change c = {.table = t, .op = CHANGE_INSERT, .old = old, .new = new};
    struct dx_head h;
    dx_head_init(&h, DX_CHANGES);
    dx_head_add_table(&h, t);
    struct dx_writer *w = dx_writer_open(fd, "null", &h, 1);
    check(dx_write(w, &c) == -1 && err_code() == ERR_REFUSED &&
              strstr(err_message(), "t 7: a change of 134217") == err_message(),
          err_message());
    dx_writer_abort(w);
    struct buf bytes = {0};
    check(dx_block_encode(&bytes, &c, CHANGESET_FULL) == -1 && err_code() == ERR_REFUSED &&
              strstr(err_message(), "t 7: a change of 134217") == err_message(),
          err_message());
    buf_free(&bytes);
    dx_head_free(&h);
    free((void *)(uintptr_t) new[1].p);
    table_free(t);
    close(fd);
    done(before, "a row too large for an archive is refused by the writer, by name");
}

/* ---- net ---- */

/* Every scenario begins with the rows (1, 'x', 1) and (2, 'y', 2), and tells what became of them as JSON Lines. */
static const struct {
    const char *name, *sql, *net;
} folds[] = {
    {"insert, delete: nothing", "INSERT INTO t VALUES (3, 'z', 3); DELETE FROM t WHERE a = 3", ""},
    {"insert, update: an insert", "INSERT INTO t VALUES (3, 'z', 3); UPDATE t SET b = 'w' WHERE a = 3",
     "insert {\"a\":3} new {\"a\":3,\"b\":\"w\",\"c\":3}"},
    {"insert, delete, insert: an insert",
     "INSERT INTO t VALUES (3, 'z', 3); DELETE FROM t WHERE a = 3; INSERT INTO t VALUES (3, NULL, 4)",
     "insert {\"a\":3} new {\"a\":3,\"b\":null,\"c\":4}"},
    {"update, update: first old, last new",
     "UPDATE t SET b = 'm' WHERE a = 1; UPDATE t SET b = 'n' WHERE a = 1",
     "update {\"a\":1} old {\"b\":\"x\"} new {\"b\":\"n\"}"},
    {"updates of two columns", "UPDATE t SET b = 'm' WHERE a = 1; UPDATE t SET c = NULL WHERE a = 1",
     "update {\"a\":1} old {\"b\":\"x\",\"c\":1} new {\"b\":\"m\",\"c\":null}"},
    {"update there and back: nothing", "UPDATE t SET b = NULL WHERE a = 1; UPDATE t SET b = 'x' WHERE a = 1",
     ""},
    {"update of one column there and back, of another for good",
     "UPDATE t SET b = 'm', c = 5 WHERE a = 1; UPDATE t SET b = 'x' WHERE a = 1",
     "update {\"a\":1} old {\"c\":1} new {\"c\":5}"},
    {"update to another type: an update", "UPDATE t SET c = 1.0 WHERE a = 1",
     "update {\"a\":1} old {\"c\":1} new {\"c\":1.0}"},
    {"update, delete: a delete of what was first",
     "UPDATE t SET b = 'm' WHERE a = 1; DELETE FROM t WHERE a = 1",
     "delete {\"a\":1} old {\"a\":1,\"b\":\"x\",\"c\":1}"},
    {"delete, insert of the same: nothing", "DELETE FROM t WHERE a = 1; INSERT INTO t VALUES (1, 'x', 1)",
     ""},
    {"delete, insert of another: an update", "DELETE FROM t WHERE a = 1; INSERT INTO t VALUES (1, 'm', 1)",
     "update {\"a\":1} old {\"b\":\"x\"} new {\"b\":\"m\"}"},
    {"update, delete, insert: an update from what was first",
     "UPDATE t SET b = 'm' WHERE a = 1; DELETE FROM t WHERE a = 1; INSERT INTO t VALUES (1, 'm', 2)",
     "update {\"a\":1} old {\"b\":\"x\",\"c\":1} new {\"b\":\"m\",\"c\":2}"},
    {"delete, insert, delete: a delete",
     "DELETE FROM t WHERE a = 1; INSERT INTO t VALUES (1, 'm', 2); DELETE FROM t WHERE a = 1",
     "delete {\"a\":1} old {\"a\":1,\"b\":\"x\",\"c\":1}"},
    {"replace: an update", "INSERT OR REPLACE INTO t VALUES (1, 'r', 1)",
     "update {\"a\":1} old {\"b\":\"x\"} new {\"b\":\"r\"}"},
    {"key change: a delete and an insert", "UPDATE t SET a = 9 WHERE a = 1",
     "delete {\"a\":1} old {\"a\":1,\"b\":\"x\",\"c\":1}; insert {\"a\":9} new "
     "{\"a\":9,\"b\":\"x\",\"c\":1}"},
    {"key change there and back: nothing", "UPDATE t SET a = 9 WHERE a = 1; UPDATE t SET a = 1 WHERE a = 9",
     ""},
    {"key change there, update, and back: an update",
     "UPDATE t SET a = 9 WHERE a = 1; UPDATE t SET b = 'm' WHERE a = 9; UPDATE t SET a = 1 WHERE a = 9",
     "update {\"a\":1} old {\"b\":\"x\"} new {\"b\":\"m\"}"},
    {"keys exchanged: two updates",
     "UPDATE t SET a = 9 WHERE a = 1; UPDATE t SET a = 1 WHERE a = 2; UPDATE t SET a = 2 WHERE a = 9",
     "update {\"a\":1} old {\"b\":\"x\",\"c\":1} new {\"b\":\"y\",\"c\":2}; "
     "update {\"a\":2} old {\"b\":\"y\",\"c\":2} new {\"b\":\"x\",\"c\":1}"},
    {"key change onto a row that was deleted", "DELETE FROM t WHERE a = 1; UPDATE t SET a = 1 WHERE a = 2",
     "update {\"a\":1} old {\"b\":\"x\",\"c\":1} new {\"b\":\"y\",\"c\":2}; "
     "delete {\"a\":2} old {\"a\":2,\"b\":\"y\",\"c\":2}"},
    {"insert, key change: one insert", "INSERT INTO t VALUES (3, 'z', 3); UPDATE t SET a = 4 WHERE a = 3",
     "insert {\"a\":4} new {\"a\":4,\"b\":\"z\",\"c\":3}"},
    {"a column added since: an insert has it, an update of it counts",
     "ALTER TABLE t ADD COLUMN d; UPDATE t SET d = 4 WHERE a = 2",
     "update {\"a\":2} old {\"d\":null} new {\"d\":4}"},
};

/* "op key old new" of a line, which is easier to write down than the line. */
static void brief(struct buf *out, const struct change *c)
{
    struct buf line = {0};
    jsonl_put(&line, c);
    char *text = (char *)(uintptr_t)buf_text(&line), *key = strstr(text, "\"key\":") + 6;
    char *old = strstr(key, ",\"old\":"), *new = strstr(key, ",\"new\":"), *end = strrchr(text, '}');
    *end = 0;
    buf_addf(out, "%s%s ", out->n ? "; " : "", change_op_name(c->op));
    if (old)
        *old = 0;
    if (new)
        *new = 0;
    buf_puts(out, key);
    if (old)
        buf_addf(out, " old %s", old + 7);
    if (new)
        buf_addf(out, " new %s", new + 7);
    buf_free(&line);
}

static int net_of(struct db *db, struct buf *out)
{
    int64_t end;
    struct change c;
    int got = -1;
    struct journal_net *r = journal_end(db, &end) ? NULL : journal_net(db, "t", 0, end, JOURNAL_ALL);
    while (r && (got = journal_net_next(r, &c)) > 0)
        brief(out, &c);
    journal_net_close(r);
    return got;
}

/* Runs statements one by one; attaches again after one that changes the layout. */
static int run_all(struct db *db, const char *sql)
{
    char *all = mem_text(sql), *rest = all;
    int rc = 0;
    while (rc == 0 && *rest) {
        size_t n = strcspn(rest, ";");
        bool last = rest[n] == 0;
        rest[n] = 0;
        rc = db_exec(db, rest);
        if (rc == 0 && strstr(rest, "ALTER"))
            rc = db_begin_write(db) || capture_attach(db, NULL, 0, NULL) || db_commit(db) ? -1 : 0;
        rest += last ? n : n + 1;
    }
    free(all);
    return rc;
}

static void test_fold(const char *name, const char *sql, const char *want)
{
    struct buf got = {0};
    struct db *db = db_open(":memory:", DB_CREATE);
    int rc = db == NULL || db_exec(db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c)") ||
             db_exec(db, "INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2)") || db_begin_write(db) ||
             capture_attach(db, NULL, 0, NULL) || db_commit(db) || run_all(db, sql) || net_of(db, &got);
    int before = failures;
    check(rc == 0, rc ? err_message() : "");
    check(strcmp(buf_text(&got), want) == 0, name);
    if (failures != before)
        printf("# got:  %s\n# want: %s\n", buf_text(&got), want);
    done(before, name);
    buf_free(&got);
    db_close(db);
}

/* ---- bulk ---- */

/* Rows of numbers and texts, each put from the same memory, and what SQL then counts of them. */
static void test_bulk(int64_t rows, size_t length)
{
    struct db *db = db_open(":memory:", DB_CREATE);
    struct bulk_insert *b = bulk_insert_open(db, "t (b, a)", 2);
    char *text = mem_alloc(length);
    int before = failures, rc = db_exec(db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)");
    for (int64_t i = 0; rc == 0 && i < rows; i++) {
        memset(text, 'a' + (int)(i % 26), length);
        rc = bulk_insert_put(b, (struct val[]){{.type = VAL_TEXT, .p = text, .n = length}, val_int(i)});
    }
    int64_t good;
    check(rc == 0 && bulk_insert_end(b) == 0 && bulk_insert_end(b) == 0, "all are put");
    check(db_get_int(db, &good,
                     "SELECT count(*) FROM t WHERE b NOT GLOB '*[^' || char(97 + a %% 26) || ']*' AND "
                     "length(b) = %lld",
                     (long long)length) == 0 &&
              good == rows,
          "each as it was");
    check(bulk_insert_put(b, (struct val[]){{.type = VAL_NULL}, val_int(0)}) == 0 && bulk_insert_end(b) != 0,
          "a key that is there already is refused");
    bulk_insert_close(b);
    db_close(db);
    free(text);
    done(before, "rows put in bulk are in the table as they were");
}

/* ---- tuples ---- */

static void test_tuples(void)
{
    static const struct val row[][2] = {{{.type = VAL_INT, .i = 2}, {.type = VAL_NULL}},
                                        {{.type = VAL_REAL, .r = 2}, {.type = VAL_NULL}},
                                        {{.type = VAL_NULL}, {.type = VAL_INT, .i = 2}},
                                        {{.type = VAL_TEXT, .p = "22", .n = 2}, {.type = VAL_NULL}},
                                        {{.type = VAL_BLOB, .p = "22", .n = 2}, {.type = VAL_NULL}},
                                        {{.type = VAL_TEXT, .p = "2", .n = 1}, {.type = VAL_NULL}}};
    enum { ROWS = sizeof row / sizeof *row, MANY = 5000 };
    struct row_intern t = {0};
    int before = failures;
    check(row_intern_number(&t, NULL) == 1 && row_intern_number(&t, NULL) == 1,
          "rows without values are one");
    row_intern_clear(&t, 2);
    for (int again = 0; again < 2; again++)
        for (size_t i = 0; i < ROWS; i++)
            check(row_intern_number(&t, row[i]) == i + 1, "rows that differ in type or bits, in order");
    for (int again = 0; again < 2; again++)
        for (int64_t i = 0; i < MANY; i++) {
            struct val v[] = {val_int(i), val_int(-i)};
            check(row_intern_number(&t, v) == (size_t)i + ROWS + 1, "a row among many");
        }
    struct val large[] = {{.type = VAL_BLOB, .n = TUPLES_BYTES}, {.type = VAL_NULL}};
    void *bytes = mem_zero(1, TUPLES_BYTES);
    large[0].p = bytes;
    check(row_intern_number(&t, large) == MANY + ROWS + 1, "the last row that memory is taken for");
    check(row_intern_number(&t, (struct val[]){val_int(MANY), val_int(0)}) == 0,
          "a new row, and no memory for it");
    check(row_intern_number(&t, large) == MANY + ROWS + 1 && row_intern_number(&t, row[2]) == 3,
          "rows known already");
    row_intern_free(&t);
    free(bytes);
    done(before,
         "distinct rows are numbered by type and bits, and no more of them than the limit on memory allows");
}

/* ---- transactions ---- */

/* Numbers that differ in their first bits only share no slot of a table; the same bytes in pieces have one hash. */
static void test_hash(void)
{
    enum { SLOTS = 1024, NUMBERS = 4 * SLOTS, MANY = 40 };
    static size_t slot[SLOTS];
    size_t most = 0;
    uint64_t one[2], other[2];
    int before = failures;
    for (uint64_t i = 0; i < NUMBERS; i++) {
        struct hash h = hash_begin();
        hash_word(&h, i << 52);
        size_t n = ++slot[hash_end(&h) & (SLOTS - 1)];
        most = n > most ? n : most;
    }
    check(most < MANY, "the numbers are spread");
    struct hash a = hash_begin(), b = hash_begin(), c = hash_begin();
    hash_bytes(&a, "abcdefghij", 10);
    hash_bytes(&b, "abcdefghij", 10);
    hash_bytes(&c, "abcdefghi", 9);
    hash_bytes(&c, "j", 1);
    hash_end_wide(&a, one);
    hash_end_wide(&b, other);
    check(hash_end(&a) == hash_end(&b) && one[0] == other[0] && one[1] == other[1], "the same bytes");
    check(hash_end(&a) != hash_end(&c), "where pieces end counts");
    done(before, "hashes in memory are spread whatever the bytes are");
}

static int64_t trusts(struct db *db)
{
    int64_t n = -1;
    return db_get_int(db, &n, "SELECT trusted_schema FROM pragma_trusted_schema") ? -1 : n;
}

/* What a hostile database may have SQLite do when we read or write it: every connection is made by db_open. */
static void test_hostile_schema(void)
{
    static const char *const refused[] = {
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE a(x, y)' WHERE name = 'a'",
        "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('table', 'b', 'b', 9, '-- b')",
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema",
        "UPDATE words_content SET c0x = 'y'",
        "INSERT INTO words_segdir VALUES (0, 0, 0, 0, 0, x'00')",
        "SELECT load_extension('/nowhere')",
        "SELECT fts3_tokenizer('simple', x'4141414141414141')",
        "SELECT x FROM loads",
        "SELECT x FROM tokens",
        "INSERT INTO a VALUES (2)",
        "ATTACH 'other.db' AS other"};
    static const char wild[] =
        "SELECT count(*) FROM pragma_function_list WHERE flags & 0x280000 = 0 AND name NOT LIKE 'json%' AND "
        "name NOT LIKE 'rtree%' AND name NOT LIKE 'fts5%' AND name NOT IN ('->', '->>', 'match', 'snippet', "
        "'offsets', 'matchinfo', 'optimize', 'highlight', 'bm25')";
    int before = failures;
    int64_t n = -1, unsafe = -1;
    struct db *db = db_open("hostile.db", DB_CREATE);
    check(db &&
              db_exec(db,
                      "CREATE TABLE a(x); INSERT INTO a VALUES (1); CREATE VIRTUAL TABLE words USING fts4(x);"
                      "CREATE VIEW loads AS SELECT load_extension('/nowhere') AS x;"
                      "CREATE VIEW tokens AS SELECT fts3_tokenizer('simple', x'4141414141414141') AS x;"
                      "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT load_extension('/nowhere'); END") == 0,
          "a hostile database can be made");
    db_close(db);
    db = db_open("hostile.db", DB_WRITE);
    for (size_t i = 0; db && i < sizeof refused / sizeof *refused; i++)
        check(db_exec(db, refused[i]) != 0, refused[i]);
    check(db &&
              db_get_int(db, &n,
                         "SELECT count(*) FROM sqlite_schema WHERE name = 'a' AND sql LIKE '%%a(x)'") == 0 &&
              n == 1,
          "the schema is as it was");
    check(db && db_get_int(db, &n, "%s", wild) == 0 && n == 0,
          "no schema can call a function that could do harm");
    db_close(db);
    db = db_open("plain.db", DB_CREATE);
    check(db && trusts(db) == 0, "a schema is not trusted");
    struct db *other = db_open("plain.db", DB_WRITE);
    if (other)
        db_trust_schema(other);
    check(other && db_exec(other, "CREATE TABLE j(x CHECK (json_valid(x)), y AS (x->>'a'))") == 0,
          "JSON is added to it");
    db_close(other);
    check(db && db_begin_write(db) == 0 && db_exec(db, "INSERT INTO j (x) VALUES ('{}')") == 0 &&
              db_commit(db) == 0,
          "... that uses JSON works, also where another has made it so meanwhile");
    check(db &&
              db_get_int(db, &unsafe,
                         "SELECT EXISTS (SELECT 1 FROM pragma_function_list WHERE name = 'json_extract' AND "
                         "flags & 0x200000 = 0)") == 0 &&
              trusts(db) == unsafe,
          "... and is trusted only where SQLite does not call JSON harmless");
    check(db && db_exec(db, "DROP TABLE j; CREATE TABLE k(x)") == 0 && db_begin_write(db) == 0 &&
              trusts(db) == 0,
          "... and no longer than that");
    db_close(db);
    unlink("hostile.db");
    unlink("plain.db");
    done(before,
         "a hostile schema writes no schema, loads no code, and calls no function that could do harm");
}

/* SQLite takes a transaction back of its own accord where memory or disk is short; OR ROLLBACK makes it do so. */
static void test_lost_transaction(void)
{
    int before = failures;
    int64_t n = -1;
    struct db *db = db_open(":memory:", DB_CREATE);
    check(db && db_exec(db, "CREATE TABLE t (x UNIQUE)") == 0 && db_begin_write(db) == 0 &&
              db_exec(db, "INSERT INTO t VALUES (1)") == 0,
          "a transaction begins");
    struct stmt *again = db_prepare(db, "INSERT OR ROLLBACK INTO t VALUES (1)");
    struct stmt *other = db_prepare(db, "INSERT INTO t VALUES (2)");
    check(stmt_step(again) == STEP_CONSTRAINT, "it is taken back");
    check(stmt_step(other) == STEP_ERROR && err_code() == ERR_SYSTEM, "a step after that fails");
    check(db_exec(db, "INSERT INTO t VALUES (3)") && err_code() == ERR_SYSTEM, "so does SQL");
    check(db_commit(db) && err_code() == ERR_SYSTEM, "so does the commit");
    check(db_get_int(db, &n, "SELECT count(*) FROM t") == 0 && n == 0, "nothing was done");
    check(db_begin_write(db) == 0 && stmt_run(other) == 0 && db_commit(db) == 0, "another one is fine");
    check(db_begin_write(db) == 0 && stmt_step(again) == STEP_DONE && stmt_step(again) == STEP_CONSTRAINT,
          "it is taken back once more");
    db_rollback(db);
    check(db_get_int(db, &n, "SELECT count(*) FROM t") == 0 && n == 1, "after a rollback, too, all is well");
    db_close(db);
    done(before, "a transaction that SQLite has taken back is over, and nothing is done outside of it");
}

/* Bytes of the file. */
static long size_of(const char *path)
{
    FILE *f = fopen(path, "rb");
    long n = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (f)
        fclose(f);
    return n;
}

/* A connection that still reads when it commits cannot checkpoint then. As it closes it does, but not while another one has
 * the write lock. */
static void test_checkpoint(void)
{
    static const char big[] = "UPDATE t SET v = randomblob(8000000)";
    int before = failures;
    char dir[] = "/tmp/unit-XXXXXX";
    char *path = mkdtemp(dir) ? mem_printf("%s/x.db", dir) : NULL;
    struct db *other = path ? db_open(path, DB_CREATE) : NULL;
    check(other &&
              db_exec(other, "PRAGMA journal_mode = WAL; CREATE TABLE t (v); INSERT INTO t VALUES (0)") == 0,
          "a database in WAL mode");
    for (int locked = 1; other && locked >= 0; locked--) {
        struct db *db = db_open(path, DB_WRITE);
        struct stmt *s = db ? db_prepare(db, "SELECT 1 UNION ALL SELECT v FROM t") : NULL;
        check(s && stmt_step(s) == STEP_ROW && db_exec(db, big) == 0, "a commit while a statement reads");
        check(size_of(path) < 100000, "is not checkpointed at once");
        check(!locked || db_begin_write(other) == 0, "another connection takes the write lock");
        db_close(db);
        check(locked == (size_of(path) < 100000), "a checkpoint is made with the write lock only");
        db_rollback(other);
    }
    db_close(other);
    if (path) {
        unlink(path);
        rmdir(dir);
    }
    free(path);
    done(before, "a checkpoint is made under the write lock, and not while another connection has it");
}

int main(void)
{
    test_varint();
    test_wire_sticks();
    test_order();
    test_key_pack();
    test_utf8();
    test_base64();
    test_changeset_bytes();
    test_too_large();
    test_hash();
    test_hostile_schema();
    test_lost_transaction();
    test_checkpoint();
    for (size_t i = 0; i < sizeof folds / sizeof *folds; i++)
        test_fold(folds[i].name, folds[i].sql, folds[i].net);
    test_tuples();
    test_bulk(1, 0);
    test_bulk(1000, 3);
    test_bulk(70, 50000);
    return failures != 0;
}
