/* token: see sql/token.h. */
#include "sql/token.h"

#include "base/mem.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80);
}

/* Behind a comment or blanks at p, or p. */
static const char *skip(const char *p)
{
    if (isspace((unsigned char)*p))
        return p + 1;
    if (p[0] == '-' && p[1] == '-')
        return p + strcspn(p, "\n");
    if (p[0] == '/' && p[1] == '*') {
        const char *end = strstr(p + 2, "*/");
        return end ? end + 2 : p + strlen(p);
    }
    return p;
}

/* Behind the quoted text at p; a doubled quote belongs to it. */
static const char *quoted_end(const char *p)
{
    char close = *p == '[' ? ']' : *p;
    for (p++; *p; p++) {
        if (*p != close)
            continue;
        if (close == ']' || p[1] != close)
            return p + 1;
        p++;
    }
    return p;
}

static const char *sign_end(const char *p)
{
    static const char *const signs[] = {"->>", "||", "<=", ">=", "<>", "!=", "==", "<<", ">>", "->"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (strncmp(p, signs[i], strlen(signs[i])) == 0)
            return p + strlen(signs[i]);
    return p + 1;
}

static const char *token_end(const char *p, enum token_kind *kind)
{
    *kind = *p == '\'' ? TOKEN_STRING : strchr("\"`[", *p) ? TOKEN_QUOTED : TOKEN_OTHER;
    if (*kind != TOKEN_OTHER)
        return quoted_end(p);
    if ((p[0] == 'x' || p[0] == 'X') && p[1] == '\'') {
        *kind = TOKEN_STRING;
        return quoted_end(p + 1);
    }
    if (isdigit((unsigned char)*p) || (*p == '.' && isdigit((unsigned char)p[1]))) {
        *kind = TOKEN_NUMBER;
        while (name_byte(*p) || *p == '.')
            p++;
        return p;
    }
    if (!name_byte(*p))
        return sign_end(p);
    *kind = TOKEN_NAME;
    while (name_byte(*p))
        p++;
    return p;
}

struct token *tokens_of(const char *sql, size_t *n)
{
    struct token *t = NULL;
    int depth = 0;
    *n = 0;
    for (const char *p = sql; *p;) {
        const char *next = skip(p);
        if (next != p) {
            p = next;
            continue;
        }
        struct token one = {.at = (size_t)(p - sql)};
        p = token_end(p, &one.kind);
        one.end = (size_t)(p - sql);
        depth -= sql[one.at] == ')';
        one.depth = depth;
        depth += sql[one.at] == '(';
        t = mem_grow(t, *n + 1, sizeof *t);
        t[(*n)++] = one;
    }
    return t;
}

bool token_is(const char *sql, const struct token *t, const char *word)
{
    size_t n = strlen(word);
    return (t->kind == TOKEN_NAME || t->kind == TOKEN_OTHER) && t->end - t->at == n &&
           strncasecmp(sql + t->at, word, n) == 0;
}

bool token_in(const char *sql, const struct token *t, const char *const *words)
{
    while (*words && !token_is(sql, t, *words))
        words++;
    return *words != NULL;
}

char *token_name(const char *sql, const struct token *t)
{
    if (t->kind != TOKEN_NAME && t->kind != TOKEN_QUOTED)
        return NULL;
    bool quoted = t->kind == TOKEN_QUOTED;
    size_t n = t->end - t->at - (quoted ? 2 : 0), k = 0;
    char *name = mem_zero(n + 1, 1);
    const char *p = sql + t->at + quoted;
    for (size_t i = 0; i < n; i++) {
        name[k++] = p[i];
        i += quoted && (p[i] == '"' || p[i] == '`') && i + 1 < n && p[i + 1] == p[i];
    }
    name[k] = 0;
    return name;
}

size_t token_close(const char *sql, const struct token *t, size_t n, size_t i)
{
    for (size_t k = i + 1; k < n; k++)
        if (t[k].depth == t[i].depth && sql[t[k].at] == ')' && t[k].kind == TOKEN_OTHER)
            return k;
    return n;
}
