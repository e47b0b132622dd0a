/* signature: see archive/signature.h. */
#include "archive/signature.h"

#include "archive/shared_frame.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/spool.h"
#include "base/tar.h"
#include "base/zst.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int signature_make(const char *key, const void *p, size_t n, struct buf *out)
{
    const char *const argv[] = {"ssh-keygen", "-q", "-Y", "sign", "-n", "dx", "-f", key, NULL};
    struct buf err = {0};
    size_t before = out->n;
    int status = process_run(argv, p, n, -1, out, &err);
    if (status > 0 || (status == 0 && out->n == before))
        status = fail(ERR_SYSTEM, "%s: cannot sign with this key: %s", key, process_first_line(&err));
    else if (status == 0 && out->n - before > DX_SIGNATURE_MAX)
        status =
            fail(ERR_SYSTEM, "%s: its signature is over %d bytes; use another key", key, DX_SIGNATURE_MAX);
    buf_free(&err);
    return status;
}

/* Has ssh-keygen check the signature, which it reads from the spool. */
static int run_check(const struct signers *s, const char *principal, int spool, const void *p, size_t n,
                     struct buf *err)
{
    char *path = mem_printf("/dev/fd/%d", spool);
    struct buf out = {0}; /* the same in other words */
    const char *const argv[] = {"ssh-keygen", "-Y", "verify", "-n", "dx", "-I",
                                principal,    "-f", s->file,  "-s", path, s->revoked ? "-r" : NULL,
                                s->revoked,   NULL};
    int status = process_run(argv, p, n, spool, &out, err);
    buf_free(&out);
    free(path);
    return status;
}

int signature_check(const struct dx_reader *r, const struct dx_head *h, const struct signers *s,
                    const char *principal, const char *name)
{
    const struct buf *text, *signature = dx_signature(r, &text);
    if (principal == NULL)
        principal = *h->from ? h->from : SIGNATURE_SERVER;
    return signature_check_text(signature, text, s, principal, name);
}

int signature_check_text(const struct buf *signature, const struct buf *text, const struct signers *s,
                         const char *principal, const char *name)
{
    if (signature->n == 0)
        return fail(ERR_REFUSED,
                    "%s: not signed, and a signature of %s is required; its sender signs it with "
                    "`dxpack sign`",
                    name, principal);
    if (access(s->file, R_OK))
        return fail_errno("%s: cannot read who may sign", s->file);
    int spool = spool_new();
    struct buf err = {0};
    int status = spool < 0 || file_write(spool, signature->p, signature->n, "temporary file")
                     ? -1
                     : run_check(s, principal, spool, text->p, text->n, &err);
    if (status > 0)
        status = fail(ERR_REFUSED, "%s: the signature is not one of %s by a key in %s%s%s", name, principal,
                      s->file, err.n ? ": " : "", err.n ? process_first_line(&err) : "");
    buf_free(&err);
    if (spool >= 0)
        close(spool);
    return status;
}

/* ---- signing an archive that is there ---- */

struct copy {
    struct zst_writer *zst;
    struct tar_writer *tar;
    int fd;
    bool member, skip; /* one is begun; it is the old signature, to be left out */
};

static int to_file(void *ctx, const void *p, size_t n)
{
    struct copy *c = ctx;
    return file_write(c->fd, p, n, "stdout");
}

static int to_zst(void *ctx, const void *p, size_t n)
{
    struct copy *c = ctx;
    return zst_write(c->zst, p, n);
}

static int end_member(struct copy *c)
{
    int rc = c->member ? tar_end(c->tar) : 0;
    c->member = false;
    return rc;
}

static int on_member(void *ctx, const char *name, uint64_t size)
{
    struct copy *c = ctx;
    if (end_member(c))
        return -1;
    c->skip = strcmp(name, DX_SIGNATURE) == 0;
    c->member = !c->skip;
    return c->skip ? 0 : tar_begin(c->tar, name, size);
}

static int on_bytes(void *ctx, const void *p, size_t n)
{
    struct copy *c = ctx;
    return c->skip ? 0 : tar_data(c->tar, p, n);
}

static int only_one(struct dx_reader *r)
{
    const struct dx_head *h;
    dx_reader_watch(r, &(struct dx_watch){0});
    int got = dx_next(r, &h);
    return got > 0 ? fail(ERR_REFUSED, "several archives in a row; sign them one at a time") : got;
}

/* The end is written only when nothing follows in the input, so that a refused one has none. */
static int put_signature(struct copy *c, struct dx_reader *r, const char *key)
{
    const struct buf *text;
    struct buf signature = {0};
    dx_signature(r, &text);
    int rc = end_member(c) || signature_make(key, text->p, text->n, &signature) || only_one(r) ||
             tar_begin(c->tar, DX_SIGNATURE, signature.n) || tar_data(c->tar, signature.p, signature.n) ||
             tar_end(c->tar) || tar_finish(c->tar) || zst_seal(c->zst);
    buf_free(&signature);
    return rc ? -1 : 0;
}

int signature_add(int in, const char *name, const char *key, int out, int level)
{
    struct copy c = {.fd = out};
    struct dx_reader *r = dx_reader_open(in, name);
    const struct dx_head *h;
    c.zst = zst_writer_new(level, to_file, &c);
    c.tar = tar_writer_new(to_zst, &c, TAR_NAMES_SHORT);
    dx_reader_watch(r, &(struct dx_watch){on_member, on_bytes, &c});
    int rc = shared_frame_open(c.zst, false) || dx_next(r, &h) <= 0 || dx_skip(r) || put_signature(&c, r, key)
                 ? -1
                 : 0;
    dx_reader_close(r);
    tar_writer_free(c.tar);
    zst_writer_free(c.zst);
    return rc;
}
