/* dxapply: applies archives to a database: downloads and snapshots on a client, uploads on a server, logs anywhere. */
#include "verbs/apply_verbs.h"
#include "verbs/conflict_verbs.h"

static const struct cli_verb *const verbs[] = {
    &conflict_verb_conflicts, &apply_verb_renamed, &conflict_verb_resolve, &conflict_verb_retry,
    &conflict_verb_discard,   &apply_verb_package, &apply_verb_apply,
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {.name = "dxapply",
                                               .help = "apply archives to a database",
                                               .verb = verbs,
                                               .nverb = sizeof verbs / sizeof *verbs,
                                               .exits = "01234567"};
    return cli_main(&command, argc, argv);
}
