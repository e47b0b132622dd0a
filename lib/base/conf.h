/* conf: a file in INI form as a list of entries. The only module that knows ini.h. */
#ifndef CONF_H
#define CONF_H

#include <stddef.h>

/* One `name = value` of a section. Lines that go on indented are joined to the value by newlines; comments begin
 * with ; or #, or with " ;" behind a value. */
struct conf_entry {
    char *section, *name, *value;
    int line;   /* where it begins, from 1 */
    char *path; /* of the file it is from, where that was included; else NULL */
};

struct conf {
    char *path;
    size_t n;
    struct conf_entry *entry; /* as in the file */
    size_t nsection;
    char **section;    /* as in the file; one that comes again is there once */
    int *section_line; /* where each begins */
};

/* Reads a file of at most 1 MiB. NULL with file, line and reason (ERR_REFUSED; ERR_SYSTEM when it cannot be read). */
struct conf *conf_read(const char *path);

/* The same, where a section may have nothing under it: its name says enough. */
struct conf *conf_read_sparse(const char *path);
void conf_free(struct conf *c); /* NULL is fine */

/* Moves the entries of `from`, which is freed, behind those of c, but for the section `without` and for what c says itself:
 * a name that c has in a section of that name counts, and of the names in `either` (up to NULL) any one for all. */
void conf_include(struct conf *c, struct conf *from, const char *without, const char *const *either);

/* The value of the last entry of that section and name, or NULL. */
const char *conf_get(const struct conf *c, const char *section, const char *name);

/* fail(ERR_REFUSED) with "PATH:LINE: [SECTION] NAME: why". */
int conf_refuse(const struct conf *c, const struct conf_entry *e, const char *why);

/* The next word of a list "a, b, c": skips blanks and one separator. Returns a copy to free, or NULL at the end;
 * *list moves on. `separator` is the list's, e.g. ','. */
char *conf_word(const char **list, char separator);

#endif
