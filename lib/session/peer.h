/* peer: what is the same at both ends of a session: files are offered, asked for, sent and received, in both directions at
 * once. dxserve(1) tells the protocol.
 *
 * A file on its way is an item: a letter for what it is, and a number. The sender says
 *
 *   offer ITEM SIZE SHA256 FROM   FROM is the byte from which it sends at once, or -: it waits to be asked
 *   data ITEM OFFSET LENGTH       LENGTH bytes of the file follow
 *
 * and the receiver
 *
 *   part ITEM SHA256 OFFSET       it has so many bytes of that file: before it is offered
 *   want ITEM OFFSET              send it, from there on
 *   have ITEM                     it has it already
 *   pass ITEM                     it is not taken, now; the session goes on
 *   kept ITEM                     all of it has come, and is whole and on disk
 *
 * What has come is written at once, under a temporary name, so that a connection that ends loses nothing. */
#ifndef PEER_H
#define PEER_H

#include "base/sha.h"
#include "session/channel.h"

#define PEER_ATTACHMENT 'f' /* of an item: a file that rows name */

enum { PEER_WORDS = 24 }; /* words of a line at most */

struct item {
    char kind; /* a lower-case letter */
    int64_t number;
};

/* Where an incoming file goes: in an opened directory, first as `.NUMBER.SHA256.part`. The directory is the role's. */
struct peer_place {
    int dir;
    const char *dir_name; /* for messages */
    char name[80];        /* what it is called when it is whole */
    bool fresh;           /* what an earlier session left of it is not resumed */
    bool spared;          /* without room or damaged on the way, it is passed over, and the session goes on */
    int64_t part;         /* the number in the part's name, where it is not the item's; 0: it is */
};

enum peer_accept { PEER_HAVE, PEER_WANT, PEER_PASS };

/* What the two roles, node and server, decide by themselves. -1 after fail() ends the session. */
struct peer_role {
    /* An item is offered: PEER_HAVE, PEER_PASS, or PEER_WANT with its place. */
    int (*accept)(void *ctx, struct item item, int64_t size, const char *sha, struct peer_place *place);
    /* It has come with the digest that was announced: is it what it should be? `fd` stands at its beginning. */
    int (*inspect)(void *ctx, struct item item, int fd, const char *name);
    /* Opens the outgoing item, of a directory of -1, to read. NULL where there is none. */
    int (*open)(void *ctx, struct item item);
    void *ctx;
    int64_t file_bytes;         /* a larger file is refused */
    size_t files;               /* more items are refused */
    const char *sent, *fetched; /* what outgoing and incoming files are called in messages: "upload" */
};

struct peer_traffic {
    int64_t sent_files, sent_bytes, fetched_files,
        fetched_bytes; /* files that went or came; bytes of files */
};

enum peer_event {
    PEER_END,   /* the other end has closed */
    PEER_LINE,  /* a line for the role: peer->word[0 .. nword - 1] */
    PEER_MOVED, /* something was sent or received */
    PEER_EXTRA  /* the channel's extra descriptor can be read */
};

struct peer {
    struct channel *channel;
    struct peer_role role;
    struct peer_traffic traffic;
    char line[CHANNEL_LINE]; /* the line at hand, cut into words */
    char *word[PEER_WORDS];
    size_t nword;
    size_t nout, nin;
    struct outgoing *out;
    struct incoming *in;
    int64_t skip;  /* bytes of a file that is here already, on their way */
    int open;      /* the incoming file that is open, or -1 */
    int sending;   /* the outgoing file that is open, or -1 */
    bool replayed; /* what comes in was said before: answers to what is not offered now are passed over */
};

void peer_init(struct peer *p, struct channel *c, const struct peer_role *role);
void peer_free(struct peer *p);

/* The next event: PEER_..., or -1. */
int peer_next(struct peer *p);

/* Offers the regular file `name` of the directory. from: the byte from which it is sent at once; -1: it is sent when
 * asked for. 0, or -1. A file that is gone is no error: nothing is offered. */
int peer_offer(struct peer *p, struct item item, int dir, const char *name, int64_t from);

/* The same where the digest is known. */
int peer_offer_known(struct peer *p, struct item item, int dir, const char *name, int64_t size,
                     const char *sha, int64_t from);

/* Says `part`: so many bytes of the item, of the file with that digest, are here. */
void peer_tell_part(struct peer *p, struct item item, const char *sha, int64_t at);

/* All that was offered here has been sent, or is at the other end. received: all that was offered there is here. */
bool peer_all_sent(const struct peer *p);
bool peer_all_kept(const struct peer *p); /* ... and the other end has said that it is there */
bool peer_all_received(const struct peer *p);

/* Whether the other end is known to have the item that was offered. */
bool peer_has_kept(const struct peer *p, struct item item);

/* How many files were passed over that came damaged. */
size_t peer_damaged(const struct peer *p);

/* The part of an item that is being received, open to read, with the bytes that have come; -1: there is none now. */
int peer_part(const struct peer *p, struct item item, int64_t *size);

/* Whether the item was offered to us, or is here. */
bool peer_was_offered(const struct peer *p, struct item item);

/* Numbers and digests as the protocol writes them. -1 when the text is none. */
int64_t peer_number(const char *text);
bool peer_is_sha(const char *text);

/* Size and SHA-256 of a regular file below a directory: 1, 0 when there is none, -1. */
int peer_sum(int dir, const char *name, int64_t *size, char sha[SHA_HEX]);

/* ".NUMBER.SHA256.part" */
void peer_part_name(char out[128], int64_t number, const char *sha);

/* The opposite: 1, or 0 when it is no such name. */
int peer_part_of(const char *name, int64_t *number, char sha[SHA_HEX]);

/* "00000012.dx", and the opposite: the number, 0 when it is no such name. */
void peer_file_name(char out[80], int64_t number);
int64_t peer_file_number(const char *name);

/* The numbers of the files NNNNNNNN.dx in a directory, in order; the caller frees the array. */
int peer_numbers(int dir, int64_t **number, size_t *n);

/* What sessions that were cut off have left in a directory, at most `most` of them; the caller frees the array. */
struct peer_part {
    int64_t number, size;
    char sha[SHA_HEX];
};
int peer_parts(int dir, size_t most, struct peer_part **part, size_t *n);

/* Removes the parts of files of that number, but not the one with that digest (NULL: all of them). */
int peer_drop_parts(int dir, int64_t number, const char *but);

/* Opens a directory below another, made with mode 0700 when absent; no symbolic link. -1 on failure. */
int peer_directory(int at, const char *name, const char *label);

#endif
