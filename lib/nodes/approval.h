/* approval: an upload that the guard of an object has stopped (package.conf, `guard`), and what an operator decided about
 * it (dx_approval). Its node is held until then (nodes/hold.h). One upload a node: those behind it wait. */
#ifndef APPROVAL_H
#define APPROVAL_H

#include "base/sha.h"
#include "nodes/node.h"

enum approval_decision { APPROVAL_OPEN, APPROVAL_APPROVED, APPROVAL_REJECTED };

struct approval {
    int64_t upload; /* its number */
    char digest[SHA_HEX];
    enum approval_decision decision;
};

/* Notes that the node's upload waits for a decision, in the caller's transaction. */
int approval_ask(struct db *db, int64_t node, int64_t upload, const char *digest);

/* The upload of the node that waits, or that was decided and is not merged yet: 1, 0 when there is none, -1. */
int approval_find(struct db *db, int64_t node, struct approval *out);

/* Decides about it, in the caller's transaction, and releases the node: 1, 0 when none of the node's uploads waits, -1. */
int approval_decide(struct db *db, const char *name, enum approval_decision decision);

/* The upload is merged, or the decision was about another. */
int approval_forget(struct db *db, int64_t node);

#endif
