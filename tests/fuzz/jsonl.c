/*
 * jsonl: JSON Lines as they come, made into an archive. What is taken must give an archive that is sound, prints as
 * lines, and those lines make an archive that prints the same. And each line alone is read as jansson reads it: the same
 * lines are taken, with the same names and values.
 */
#include "data/jsonl.h"
#include "archive/archive_jsonl.h"
#include "base/base64.h"
#include "base/err.h"
#include "target.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "fuzz jsonl: %s: %s\n", what, err_message());
    abort();
}

static FILE *emptied(FILE *f)
{
    if (f == NULL && (f = tmpfile()) == NULL)
        abort();
    if (ftruncate(fileno(f), 0) || fseek(f, 0, SEEK_SET) != 0)
        abort();
    return f;
}

/* Lines into an archive: whether they were taken. */
static bool pack(FILE *lines, FILE *archive)
{
    struct dx_head h;

    if (lseek(fileno(lines), 0, SEEK_SET) != 0)
        abort();
    dx_head_init(&h, DX_CHANGES);
    int rc = lines_pack(fileno(lines), "lines", &h, false, fileno(archive), 1);
    dx_head_free(&h);
    return rc == 0;
}

static void print(FILE *archive, FILE *lines)
{
    const struct dx_head *h;

    if (lseek(fileno(archive), 0, SEEK_SET) != 0)
        abort();
    struct dx_reader *r = dx_reader_open(fileno(archive), "archive");
    require(dx_next(r, &h) == 1 && lines_print(r, lines) == 0 && dx_next(r, &h) == 0,
            "what was made is not sound");
    dx_reader_close(r);
    fflush(lines);
}

static bool same(FILE *a, FILE *b)
{
    int ca, cb;

    rewind(a);
    rewind(b);
    do {
        ca = getc(a);
        cb = getc(b);
    } while (ca == cb && ca != EOF);
    return ca == cb;
}

/* ---- the same line, read by jansson ---- */

static const char *const part_names[] = {"key", "old", "new"};

static bool plain_string(json_t *j)
{
    return json_is_string(j) && strlen(json_string_value(j)) == json_string_length(j);
}

/* {"blob":...}, {"text":...} or {"real":...}; `bytes` is freed by the caller. */
static bool wrapped_value(json_t *j, struct val *v, uint8_t **bytes)
{
    void *only = json_object_iter(j);
    const char *as = json_object_iter_key(only);
    json_t *inner = json_object_iter_value(only);
    if (json_object_size(j) != 1 || !json_is_string(inner))
        return false;
    const char *text = json_string_value(inner);
    size_t n = json_string_length(inner);
    if (strcmp(as, "real") == 0) {
        bool infinite = strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0;
        if (!plain_string(inner) || (!infinite && (n != 16 || strspn(text, "0123456789abcdef") != 16)))
            return false;
        uint64_t bits = infinite ? 0 : strtoull(text, NULL, 16);
        v->type = VAL_REAL;
        memcpy(&v->r, &bits, sizeof bits);
        if (infinite)
            v->r = *text == '-' ? -INFINITY : INFINITY;
        return true;
    }
    *bytes = malloc(base64_room(n) + 1);
    *v = (struct val){.type = *as == 'b' ? VAL_BLOB : VAL_TEXT, .p = *bytes};
    return *bytes && (strcmp(as, "blob") == 0 || strcmp(as, "text") == 0) &&
           base64_get(text, n, *bytes, &v->n);
}

static bool value(json_t *j, struct val *v, uint8_t **bytes)
{
    *bytes = NULL;
    *v = (struct val){.type = VAL_NULL};
    if (json_is_object(j))
        return wrapped_value(j, v, bytes);
    if (json_is_integer(j))
        *v = val_int(json_integer_value(j));
    else if (json_is_real(j))
        *v = (struct val){.type = VAL_REAL, .r = json_real_value(j)};
    else if (json_is_string(j))
        *v = (struct val){.type = VAL_TEXT, .p = json_string_value(j), .n = json_string_length(j)};
    return json_is_null(j) || v->type != VAL_NULL;
}

/* Whether all values of the part can be read; where `read` is given, it has the same ones. */
static bool same_part(json_t *part, const struct jsonl *read, enum jsonl_part number)
{
    size_t n = 0, i = 0;
    const char *const *names = read ? jsonl_names(read, number, &n) : NULL;
    const struct val *values = read ? jsonl_values(read, number) : NULL;
    const char *name;
    json_t *j;
    bool sound = part == NULL || json_is_object(part);
    json_object_foreach (part, name, j) {
        struct val v;
        uint8_t *bytes = NULL;
        sound = sound && value(j, &v, &bytes);
        if (sound && read)
            sound = i < n && strcmp(names[i], name) == 0 && val_same(&values[i], &v);
        free(bytes);
        i++;
    }
    return sound && (read == NULL || i == n);
}

/* Whether the line tells of a change; where `read` is given, of the one that it read. */
static bool same_line(json_t *j, const struct jsonl *read)
{
    static const char *const known[] = {"table", "op", "origin", "key", "old", "new"};
    size_t members = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        members += json_object_get(j, known[i]) != NULL;
    json_t *table = json_object_get(j, "table"), *op = json_object_get(j, "op"),
           *origin = json_object_get(j, "origin");
    if (!json_is_object(j) || members != json_object_size(j) || !plain_string(table) || !plain_string(op) ||
        (origin && !plain_string(origin)) || *json_string_value(table) == 0)
        return false;
    const char *word = json_string_value(op);
    bool insert = strcmp(word, "insert") == 0, delete = strcmp(word, "delete") == 0;
    size_t keys = json_object_size(json_object_get(j, "key"));
    if ((!insert && !delete &&strcmp(word, "update") != 0) || keys == 0 || keys > 255 ||
        (insert && json_object_get(j, "old")) || (delete &&json_object_get(j, "new")))
        return false;
    if (read && (strcmp(jsonl_table(read), json_string_value(table)) != 0 ||
                 strcmp(change_op_name(jsonl_op(read)), word) != 0))
        return false;
    for (int i = 0; i < 3; i++)
        if (!same_part(json_object_get(j, part_names[i]), read, (enum jsonl_part)i))
            return false;
    return true;
}

/* jansson refuses a name that is there twice in one object; the columns of "old" and "new" are compared with the table,
 * later. */
static void compare_line(const char *line, size_t n)
{
    struct jsonl *l = jsonl_new();
    bool taken = jsonl_parse(l, line, n) == 0;
    json_t *strict = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    json_t *loose = strict ? NULL : json_loadb(line, n, JSON_ALLOW_NUL, NULL);
    if (strict)
        require(same_line(strict, taken ? l : NULL) == taken, "a line is not read as jansson reads it");
    else
        require(!taken || loose, "a line is taken that is no JSON");
    json_decref(strict);
    json_decref(loose);
    jsonl_free(l);
}

static void compare_lines(const char *text, size_t n)
{
    while (n > 0) {
        const char *end = memchr(text, '\n', n);
        size_t length = end ? (size_t)(end - text) + 1 : n;
        compare_line(text, length);
        text += length;
        n -= length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *in, *archive, *once, *twice;

    compare_lines((const char *)data, size);
    in = emptied(in);
    archive = emptied(archive);
    if (write(fileno(in), data, size) != (ssize_t)size)
        abort();
    if (!pack(in, archive))
        return 0;
    once = emptied(once);
    print(archive, once);
    archive = emptied(archive);
    require(pack(once, archive), "lines that were printed are refused");
    twice = emptied(twice);
    print(archive, twice);
    require(same(once, twice), "another print after a round trip");
    return 0;
}
