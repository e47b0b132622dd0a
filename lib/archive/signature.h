/* signature: signs archives and checks their signatures, with ssh-keygen(1) in the namespace "dx". What is signed is
 * the text of end.json, which holds the digest of all members before it; the signature is the member end.json.sig. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include "archive/dx.h"

/* Appends the signature of n bytes by the private key in the file `key` (or by ssh-agent, for a public one). -1. */
int signature_make(const char *key, const void *p, size_t n, struct buf *out);

/* Whose signatures are good. */
struct signers {
    const char *file;    /* in the form ALLOWED SIGNERS of ssh-keygen(1); its principals are node names */
    const char *revoked; /* a key revocation list, or public keys, or NULL */
};

/* The principal of the server, which has no name in archives. No node can be called so. */
#define SIGNATURE_SERVER "@server"

/* Refuses (ERR_REFUSED) the archive that has been read to its end unless `principal` has signed it; NULL: the sender
 * that its head names. `name` is for messages. */
int signature_check(const struct dx_reader *r, const struct dx_head *h, const struct signers *s,
                    const char *principal, const char *name);

/* The same of any text: refuses it unless `principal` has signed it so. */
int signature_check_text(const struct buf *signature, const struct buf *text, const struct signers *s,
                         const char *principal, const char *name);

/* Copies one archive to `out` with a signature as its last member; one that it has already is replaced. Everything is
 * checked on the way. The input holds exactly one archive. */
int signature_add(int in, const char *name, const char *key, int out, int level);

#endif
