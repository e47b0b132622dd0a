/* talk: what two ends of a comparison say to each other: turns of messages. A turn is a zstd stream with its seal
 * (base/zst.h), which is looked at with the turn after it, as it may be long in coming; a message is its length as a varint and packed values (compare/pack.h), the first a number that says what
 * it is. An end that fails says TALK_FAILED with its exit code and message. */
#ifndef TALK_H
#define TALK_H

#include "base/wire.h"

enum talk_message {
    TALK_FAILED = 0,
    TALK_HELLO,    /* format, role; answered by the description of the tables */
    TALK_IDENTIFY, /* pair; answered by what the side keeps of it */
    TALK_USE,      /* specs */
    TALK_BEGIN,    /* a snapshot begins */
    TALK_MARKS,    /* since; answered by a message each */
    TALK_LIST,     /* object, 0: answered by its rows; 1: by the root of its ranges (compare/ranges.h) */
    TALK_RANGES,   /* object, level, numbers; answered by sums, or by rows */
    TALK_FETCH,    /* id, object, key; answered by the row, if it is there */
    TALK_END,      /* the snapshot ends */
    TALK_ITEM,     /* something to write */
    TALK_WRITE,    /* writes the items before it; answered by what became of each, and a sum */
    TALK_ROW,
    TALK_DONE, /* of an answer of many messages */
    TALK_TURN  /* the turn's last message */
};

/* What TALK_RANGES asks for: the sums of all groups; those of the ranges of these groups; the rows of these ranges. */
enum talk_level { TALK_LEVEL_GROUPS = 1, TALK_LEVEL_RANGES, TALK_LEVEL_ROWS };

struct talk;

/* Over descriptors that stay the caller's; name is for messages. */
struct talk *talk_open(int in, int out, const char *name);
void talk_close(struct talk *t); /* NULL is fine */
const char *talk_name(const struct talk *t);

/* Adds a message to the turn; b is cleared. talk_turn ends and sends the turn. */
int talk_say(struct talk *t, struct buf *b);
int talk_turn(struct talk *t);

/* The next message of the other end's turn: 1 with its kind and a cursor over the rest, valid until the next call; 0 at the
 * end of the turn; -1, also for the other end's TALK_FAILED. */
int talk_next(struct talk *t, enum talk_message *kind, struct wire *w);

/* Whether another turn comes: 1, 0 at the end of the connection, -1. */
int talk_more(struct talk *t);

#endif
