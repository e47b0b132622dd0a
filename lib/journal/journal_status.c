/* journal_status: see journal/journal_status.h. */
#include "journal/journal_status.h"

#include "journal/applied_digests.h"
#include "journal/capture.h"
#include "journal/consumer.h"
#include "journal/journal.h"
#include "journal/meta.h"
#include "journal/upload.h"

#include <stdlib.h>

static int add_table(void *ctx, const char *table, bool captured, const char *amiss)
{
    json_array_append_new(ctx,
                          json_pack("{s:s, s:b, s:s}", "table", table, "captured", captured, "amiss", amiss));
    return 0;
}

static int add_peers(struct db *db, json_t *list, int64_t end)
{
    struct consumer *peers;
    size_t n;
    if (consumer_list(db, &peers, &n))
        return -1;
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "peer", peers[i].name, "mark",
                                              (json_int_t)peers[i].mark, "behind",
                                              (json_int_t)(end - peers[i].mark)));
    consumer_list_free(peers, n);
    return 0;
}

/* The digest of the archive applied last. */
static int add_digest(struct db *db, json_t *out)
{
    char *digest;
    const char *epoch = json_string_value(json_object_get(out, "server"));
    int64_t applied = (int64_t)json_integer_value(json_object_get(out, "applied"));
    if (applied_digests_digest(db, "changes", epoch, applied, &digest))
        return -1;
    json_object_set_new(out, "digest", json_string(digest));
    free(digest);
    return 0;
}

/* The tables that wait to be compared with the server. */
static int add_uncaptured(struct db *db, json_t *out)
{
    struct uncaptured *u;
    size_t n;
    if (capture_uncaptured(db, &u, &n))
        return -1;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(u[i].table));
    json_object_set_new(out, "uncaptured", list);
    capture_uncaptured_free(u, n);
    return 0;
}

/* How a node's copy stands with its server. */
static int add_copy(struct db *db, json_t *out)
{
    static const char *const texts[] = {"server", "package"}, *const numbers[] = {"applied", "sent", "acked"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *text = NULL;
        if (meta_get_text(db, texts[i], &text))
            return -1;
        json_object_set_new(out, texts[i], json_string(text ? text : ""));
        free(text);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int64_t n;
        if (meta_get_int(db, numbers[i], &n))
            return -1;
        json_object_set_new(out, numbers[i], json_integer((json_int_t)n));
    }
    int64_t changes, uploads;
    if (upload_due(db, &changes, &uploads) || add_uncaptured(db, out))
        return -1;
    json_object_set_new(out, "unsent", json_integer((json_int_t)changes));
    json_object_set_new(out, "uploads", json_integer((json_int_t)uploads));
    return add_digest(db, out);
}

json_t *journal_status_read(struct db *db)
{
    json_t *tables = json_array(), *peers = json_array(), *out = NULL;
    int64_t first, end, entries;
    char *epoch = NULL, *node = NULL;
    if (meta_require(db) == 0 && journal_end(db, &end) == 0 &&
        db_get_int(db, &first, "SELECT min(seq) FROM dx_journal") == 0 &&
        db_get_int(db, &entries, "SELECT count(*) FROM dx_journal") == 0 &&
        meta_get_text(db, "epoch", &epoch) == 0 && meta_get_text(db, "node", &node) == 0 &&
        capture_each(db, add_table, tables) == 0 && capture_each_gone(db, add_table, tables) == 0 &&
        add_peers(db, peers, end) == 0)
        out = json_pack("{s:s, s:s, s:I, s:I, s:I, s:O, s:O}", "epoch", epoch ? epoch : "", "node",
                        node ? node : "", "first", (json_int_t)first, "last", (json_int_t)end, "entries",
                        (json_int_t)entries, "tables", tables, "peers", peers);
    if (out && node && add_copy(db, out)) {
        json_decref(out);
        out = NULL;
    }
    free(epoch);
    free(node);
    json_decref(tables);
    json_decref(peers);
    return out;
}

static const char *text_at(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static long long number_at(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

static void put_table(struct buf *b, const json_t *row)
{
    bool captured = json_is_true(json_object_get(row, "captured"));
    buf_addf(b, "table %s: %s%s%s\n", text_at(row, "table"), captured ? "captured" : "not captured",
             *text_at(row, "amiss") ? ": " : "", text_at(row, "amiss"));
}

static void put_peer(struct buf *b, const json_t *row)
{
    buf_addf(b, "peer %s: at %lld, %lld behind\n", text_at(row, "peer"), number_at(row, "mark"),
             number_at(row, "behind"));
}

void journal_status_text(const json_t *s, struct buf *b)
{
    const json_t *tables = json_object_get(s, "tables"), *peers = json_object_get(s, "peers");
    buf_addf(b, "epoch %s%s%s, %lld entries, newest %lld\n", text_at(s, "epoch"),
             *text_at(s, "node") ? ", node " : "", text_at(s, "node"), number_at(s, "entries"),
             number_at(s, "last"));
    if (text_at(s, "server"))
        buf_addf(
            b, "archive %lld applied, %lld changes to send, upload %lld made, upload %lld acknowledged\n",
            number_at(s, "applied"), number_at(s, "unsent"), number_at(s, "sent"), number_at(s, "acked"));
    for (size_t i = 0; i < json_array_size(tables); i++)
        put_table(b, json_array_get(tables, i));
    const json_t *waiting = json_object_get(s, "uncaptured");
    for (size_t i = 0; i < json_array_size(waiting); i++)
        buf_addf(b, "table %s: changed while it was not captured; waits to be compared with the server\n",
                 json_string_value(json_array_get(waiting, i)));
    for (size_t i = 0; i < json_array_size(peers); i++)
        put_peer(b, json_array_get(peers, i));
}

bool journal_status_amiss(const json_t *s)
{
    const json_t *row;
    size_t i;
    bool any = false, none = true;
    json_array_foreach (json_object_get(s, "tables"), i, row) {
        bool captured = json_is_true(json_object_get(row, "captured"));
        any |= captured && *text_at(row, "amiss");
        none &= !captured;
    }
    any |= json_array_size(json_object_get(s, "uncaptured")) > 0;
    return any || (none && text_at(s, "server"));
}
