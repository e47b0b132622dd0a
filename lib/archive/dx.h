/* dx: the .dx archive, writer and reader. dx(5) is the format's specification.
 *
 * A tar in zstd frames with the members, in this order:
 *
 *   dx.json                  the head, below
 *   changes/000001 ...       rows in SQLite's changeset or patchset format, numbered from 1 without gaps;
 *   changes/000002@NODE      those that came from another node carry its name
 *   end.json                 counts, and the SHA-256 over the lines that sha256sum(1) prints for the members before
 *   end.json.sig             optional: a signature of end.json, by ssh-keygen(1)
 *
 * and behind the last frame the seal, a skippable frame with the SHA-256 of the frames' own.
 *
 * Nothing in it depends on clock, user or host. */
#ifndef DX_H
#define DX_H

#include "base/sha.h"
#include "data/changeset.h"

enum dx_kind {
    DX_CHANGES,  /* a log as read from a journal, or, with a receiver, a node's numbered share */
    DX_UPLOAD,   /* a node's numbered net changes, for its server */
    DX_SNAPSHOT, /* all that a node may see */
    DX_KEYS,     /* (key, change key) of every row, or a plan of keys to fetch */
    DX_ROWS      /* full rows for a plan; the old record holds the change key that must still stand */
};

/* Keys and rows are in full form; sql/changekey.h says what a change key is. Tables stand in the order of their names
 * (strcmp), rows in that of their keys (vals_compare).
 *
 *   keys   table: key columns, then change key columns. A list of keys has inserts only; a plan what is to be done:
 *            insert  new: key and change key at the giver
 *            update  old: key, change key that must still stand at the receiver; new: change key at the giver
 *            delete  old: key, change key that must still stand at the receiver
 *   rows   table: the columns sent, in the giver's order, and behind them a column "dx_hash_..." if the change key is
 *          a hash. Old holds only the key and the change key that must still stand at the receiver, the rest VAL_NONE:
 *            insert  new: every column. The row must not be there, or be the same already
 *            update  new: every column but the key. The row must be there with the change key of old, or already
 *                    with that of new
 *            delete  The row must be there with the change key of old, or be gone already
 *          A row that is not as it must be is left alone: an issue, tried again with the next comparison. */

const char *dx_kind_name(enum dx_kind kind);

/* Limits. What is larger is refused by the writer and by the reader. */
enum {
    DX_JSON_MAX = 4 << 20,     /* bytes of dx.json and of end.json */
    DX_CHANGE_MAX = 128 << 20, /* bytes of a change as encoded */
    DX_BLOCK = 1 << 20,        /* a member of changes that has reached this is ended */
    DX_MEMBER_MAX = DX_BLOCK + DX_CHANGE_MAX + DX_JSON_MAX, /* bytes of a member of changes */
    DX_TABLES_MAX = 10000,
    DX_SIGNATURE_MAX = 16 << 10 /* bytes of end.json.sig */
};

#define DX_SIGNATURE "end.json.sig"

/* A row whose integer key another row has got, under its new key; or one that means the same as the row with the new key,
 * which takes its place (adopt; an integer or a text). What referred to the old key is renamed with it. */
struct dx_rekey {
    char *table;
    struct val old, new; /* VAL_INT or VAL_TEXT, without a NUL in it; the head's */
    int64_t id;          /* the sender's number of it; 0: none is given */
    bool adopt;
    size_t nref;
    char **ref; /* table, column, table, column ... that may refer to it: 2 * nref texts */
};

/* Keys that the receiver may hand out in a table with AUTOINCREMENT. */
struct dx_range {
    char *table;
    int64_t first, last;
};

/* What the sender decided against a change of the receiver's. Texts are the head's. */
struct dx_verdict {
    char *kind, *outcome; /* as in apply/conflict.h */
    char *table, *column; /* column NULL: about the row */
    char *reason;         /* for people; or NULL */
    struct buf change;    /* what the receiver had sent: a record (apply/record.h) */
};

/* What an archive says of itself. Texts are "" and numbers 0 where a kind has no use for them. */
struct dx_head {
    enum dx_kind kind;
    char *from, *to;     /* node names; "" is the server, or nobody in particular */
    char *epoch;         /* of the numbering: archives of another epoch do not follow on */
    int64_t number;      /* from 1 per node and direction; 0: not numbered */
    int64_t after, upto; /* range (after, upto] of the sender's journal */
    int64_t ack;         /* downloads: newest upload merged by the sender */
    int64_t applied;     /* uploads: newest download applied by the sender */
    char *package;       /* downloads and snapshots: the package they were cut for */
    char *continues; /* snapshots: the epoch of another copy, whose archives go on from this one too, or "" */
    char *follows;   /* downloads: the digest of the one before; uploads: of the newest applied; "" unknown */
    enum changeset_form form; /* of the changes */
    size_t ntable;
    struct table **table; /* every table whose rows may follow */
    struct dx_head_tables
        *rendered; /* these tables as they stand in dx.json, once dx_head_settle has been called; else NULL */
    size_t nschema;
    char **schema; /* snapshots: SQL that makes tables and indexes in an empty database */
    size_t nrekey;
    struct dx_rekey
        *rekey; /* downloads: rows of the receiver's that it must rename, before anything else, in order */
    bool earlier_rekeys; /* snapshots: there were some before the first of these, which are left out */
    size_t nrange;
    struct dx_range *range; /* downloads, snapshots: from where the receiver numbers its next rows */
    size_t nverdict;
    struct dx_verdict *verdict; /* downloads: what was decided against changes of the receiver's */
};

/* A head with empty texts and no tables, full form. Free with dx_head_free, which is fine on a zeroed one. */
void dx_head_init(struct dx_head *h, enum dx_kind kind);
void dx_head_free(struct dx_head *h);

/* For a head with which many archives are written: its tables are checked, put into words and compressed once. Another
 * table that is added undoes it. */
int dx_head_settle(struct dx_head *h);

/* Bytes that the head has in an archive as it stands now; DX_JSON_MAX are the most. */
size_t dx_head_bytes(const struct dx_head *h);
void dx_head_add_table(struct dx_head *h, const struct table *t); /* copies */
void dx_head_add_schema(struct dx_head *h, const char *sql);
/* Adds one whose references the caller adds; it is the head's, the values are copied. */
struct dx_rekey *dx_head_add_rekey(struct dx_head *h, const char *table, const struct val *old,
                                   const struct val *new);
void dx_rekey_init(struct dx_rekey *r, const char *table, const struct val *old, const struct val *new);
void dx_rekey_free(struct dx_rekey *r);
size_t dx_rekey_bytes(const struct dx_rekey *r); /* that it takes in dx.json */
void dx_rekey_refer(struct dx_rekey *r, const char *table, const char *column);
void dx_head_add_range(struct dx_head *h, const char *table, int64_t first, int64_t last);
void dx_head_clear_ranges(struct dx_head *h);

/* Adds a verdict with its texts (kind, outcome, table, column, reason) and its change, which are copied. */
void dx_head_add_verdict(struct dx_head *h, const char *const text[5], const void *change, size_t n);
void dx_head_set(char **text, const char *value); /* replaces one of the texts */

/* The layout of that name, or NULL. */
const struct table *dx_head_table(const struct dx_head *h, const char *name);

/* ---- writing ---- */

/* zstd levels of what dx writes, for dx_writer_open and dx_block_end. */
enum {
    DX_LEVEL_PIPE = 1, /* read again at once, or by one receiver: logs, downloads, keys, plans, proofs */
    DX_LEVEL_SNAPSHOT =
        2, /* rows in key order: 3 takes half as long again and makes many a snapshot larger */
    DX_LEVEL_SHARED =
        3, /* compressed once and sent to many, or kept: blocks and heads of many nodes, undo archives */
    DX_LEVEL_SLOW_LINE = 9 /* small, and sent over a slow line or kept: uploads, changes saved */
};

/* Writes to fd; `name` is for messages. The head must outlive the writer. NULL on failure. */
struct dx_writer *dx_writer_open(int fd, const char *name, const struct dx_head *h, int level);

/* The archive's last member will be a signature by the private key in that file (archive/signature.h); NULL: none, the
 * default. The text is the caller's, until the writer is closed. */
void dx_writer_sign(struct dx_writer *w, const char *key);

/* Adds a change of one of the head's tables (c->table may be another layout object, of the same name and columns).
 * Values are copied. */
int dx_write(struct dx_writer *w, const struct change *c);

/* Adds a block made by dx_block_end, compressed once and shared by many archives of the same tables. */
struct dx_block;
int dx_write_block(struct dx_writer *w, const struct dx_block *block);

/* Writes end.json and frees the writer, also on failure; the descriptor stays open. */
int dx_writer_close(struct dx_writer *w);

/* For many archives, one after another, at the level of the first: ends one, with its digest; begins the next. After a
 * failure the writer can only be aborted. */
int dx_writer_end(struct dx_writer *w, char digest[SHA_HEX]);
int dx_writer_next(struct dx_writer *w, int fd, const char *name, const struct dx_head *h);
void dx_writer_abort(
    struct dx_writer *w); /* frees only; what was written has no end and is refused everywhere */
int64_t dx_written(const struct dx_writer *w); /* changes so far */

/* A shared block: changes of one table. Begin, add, end; then write it into any number of archives. A block over
 * DX_BLOCK bytes should be ended and another begun; dx_block_size tells the bytes so far. */
struct dx_block *dx_block_new(const struct table *t, enum changeset_form form);

/* Appends a change as a block of that form takes it: dx_block_add gets those bytes, n of them. Refuses one over
 * DX_CHANGE_MAX. */
int dx_block_encode(struct buf *bytes, const struct change *c, enum changeset_form form);
void dx_block_add(struct dx_block *b, const uint8_t *p, size_t n);
size_t dx_block_size(const struct dx_block *b);
int dx_block_end(struct dx_block *b, int level);
size_t dx_block_memory(const struct dx_block *b); /* bytes of memory that it takes */

/* Puts aside what a block not yet ended has so far; dx_block_end brings it back. The spill must outlive the block. */
struct spill;
int dx_block_park(struct dx_block *b, struct spill *s);

/* Puts an ended block's bytes aside, from where dx_write_block copies them. */
int dx_block_spill(struct dx_block *b, struct spill *s);
void dx_block_free(struct dx_block *b);

/* ---- reading ---- */

/* Reads one archive after another from fd. NULL on failure. */
struct dx_reader *dx_reader_open(int fd, const char *name);

/* Goes on to the next archive: 1 with its head (owned by the reader, until the next dx_next), 0 when there is none,
 * -1. The one before must have been read to its end. */
int dx_next(struct dx_reader *r, const struct dx_head **h);

/* The next change: 1, 0 at the end, when end.json has been found to agree with all that was read, or -1 (ERR_REFUSED:
 * damaged, cut off, out of order, hostile). The change is the reader's, until the next call. */
int dx_read(struct dx_reader *r, struct change *c);

/* Reads what is left of the archive and checks it. */
int dx_skip(struct dx_reader *r);

/* After dx_read gave 0: 0 when nothing follows the archive, else -1 (ERR_REFUSED). */
int dx_require_last(struct dx_reader *r);

/* What end.json says, after dx_read gave 0. */
struct dx_count {
    int64_t inserts, updates, deletes;
};
struct dx_end {
    int64_t changes, bytes;       /* changes, and bytes of the members before it, unpacked */
    const struct dx_count *count; /* per table of the head */
    char sha256[SHA_HEX];         /* the archive's digest */
};
const struct dx_end *dx_end(const struct dx_reader *r);

/* Compressed bytes read so far. */
int64_t dx_packed(const struct dx_reader *r);

/* The signature of the archive that was read to its end, empty when there is none, and in *text what it is of: the bytes
 * of end.json. Both are the reader's, until the next dx_next. */
const struct buf *dx_signature(const struct dx_reader *r, const struct buf **text);
const char *dx_reader_name(const struct dx_reader *r); /* as given to dx_reader_open */
const char *dx_member(const struct dx_reader *r);      /* the member being read, for messages */

/* Tells of the members and their bytes as they are read, before dx_next and dx_read make sense of them; their names
 * have been checked: they are dx.json, those in changes/, end.json and end.json.sig, in order. */
struct dx_watch {
    int (*member)(void *ctx, const char *name, uint64_t size); /* 0, or -1 after fail() to stop */
    int (*bytes)(void *ctx, const void *p, size_t n);          /* may be NULL */
    void *ctx;
};
void dx_reader_watch(struct dx_reader *r, const struct dx_watch *watch); /* copied */
void dx_reader_close(struct dx_reader *r);

/* Opens a path, or stdin for "-" or NULL; *name is for messages. A terminal is refused (ERR_USAGE). -1 on failure. */
int dx_open_input(const char *path, const char **name);

#endif
