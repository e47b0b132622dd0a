/* resolve: answers to the conflicts of a base, from JSON Lines or asked for on a terminal. The next run heeds them.
 *
 *   {"id":3,"take":"mine"}                            the whole row as mine has it
 *   {"id":4,"columns":{"name":"mine","city":"theirs"}} column by column; those not named as theirs
 *   {"id":5,"take":null}                              takes an answer back */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "compare/base.h"

#include <stdio.h>

/* Takes answers from `in`, all or none. *n of them. */
int resolve_lines(struct base *b, FILE *in, int64_t *n);

/* Shows each conflict without an answer in `width` columns and asks on the terminal. *n answers were given. */
int resolve_ask(struct base *b, FILE *in, FILE *out, int width, int64_t *n);

#endif
