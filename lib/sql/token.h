/* token: SQL text as tokens, for finding words and names in a rule without parsing it. */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <stddef.h>

enum token_kind { TOKEN_NAME, TOKEN_QUOTED, TOKEN_STRING, TOKEN_NUMBER, TOKEN_OTHER };

struct token {
    enum token_kind kind; /* QUOTED: a name in "", `` or [] */
    size_t at, end;       /* its bytes in the text */
    int depth;            /* parentheses open around it; a parenthesis has the depth outside it */
};

/* The tokens of the text, comments and blanks left out; the caller frees. Their number in *n. */
struct token *tokens_of(const char *sql, size_t *n);

/* Whether it is that word or sign; words in any case, not when quoted. */
bool token_is(const char *sql, const struct token *t, const char *word);
bool token_in(const char *sql, const struct token *t, const char *const *words); /* up to NULL */

/* The name without its quotes; the caller frees. NULL when it is no name. */
char *token_name(const char *sql, const struct token *t);

/* The number of the parenthesis that closes the one at i, or n. */
size_t token_close(const char *sql, const struct token *t, size_t n, size_t i);

#endif
