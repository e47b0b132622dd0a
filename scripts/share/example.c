/* Prints how many rows of each table the archives on stdin insert, update and delete; says when one is not sound.
 * cc -o example example.c $(pkg-config --cflags --libs dx) && ./example < some.dx */
#include <libdx.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    libdx *x = libdx_open(0, "stdin");
    int got = -1;
    while (x && (got = libdx_next(x)) == 1) {
        char table[256] = "";
        long n = 0;
        printf("%s %lld from '%s'\n", libdx_head_text(x, "kind"), (long long)libdx_head_number(x, "number"),
               libdx_head_text(x, "from"));
        while ((got = libdx_row(x)) == 1) { /* rows come table by table */
            if (strcmp(table, libdx_table(x)) != 0 && n)
                printf("  %s: %ld\n", table, n), n = 0;
            snprintf(table, sizeof table, "%s", libdx_table(x));
            n++;
        }
        if (n)
            printf("  %s: %ld\n", table, n);
        if (got < 0)
            break;
        printf("  sound, digest %s\n", libdx_digest(x));
    }
    if (got < 0)
        fprintf(stderr, "%s\n", libdx_error());
    libdx_close(x);
    return got < 0 ? 3 : 0;
}
