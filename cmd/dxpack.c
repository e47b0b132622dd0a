/* dxpack: makes, lists, prints and verifies archives. */
#include "cli.h"
#include "dx.h"

#include <stdio.h>

static int verify(int argc, char **argv)
{
    const char *name;
    int fd = dx_open_input(argc ? argv[0] : NULL, &name);
    struct dx_reader *r = fd < 0 ? NULL : dx_reader_open(fd, name);
    const struct dx_head *h;
    int got = -1;
    while (r && (got = dx_next(r, &h)) > 0) {
        if (dx_skip(r)) {
            got = -1;
            break;
        }
        cli_say("%s %lld changes, %s", dx_kind_name(h->kind), (long long)dx_end(r)->changes,
                dx_end(r)->sha256);
    }
    dx_reader_close(r);
    return got;
}

static const struct cli_verb verbs[] = {
    {.name = "verify", .operands = "[FILE]", .max = 1, .help = "check every byte", .run = verify},
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {
        .name = "dxpack", .help = "make, list, print and verify archives", .verb = verbs, .nverb = 1};
    return cli_main(&command, argc, argv);
}
