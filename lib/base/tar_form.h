/*
 * tar_form: what of tar is taken (dx(5)): ustar headers of regular files, and extended headers of pax that say only what a
 * reader does not look at, or a member's name. A parser of tar knows much more; nothing else reaches it.
 */
#ifndef TAR_FORM_H
#define TAR_FORM_H

#include "base/tar.h"

/* A follower of one tar's bytes; `name` is for messages and must outlive it. */
struct tar_form *tar_form_new(const char *name, enum tar_names names);

/* The next n bytes, before anything reads them: 0, or -1 after fail() where they are of another form. */
int tar_form_check(struct tar_form *f, const void *p, size_t n);
void tar_form_free(struct tar_form *f);

#endif
