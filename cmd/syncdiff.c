/* syncdiff: compares two databases by key and change key with what they agreed on last, and brings them together. */
#include "verbs/answer_verbs.h"
#include "verbs/plan_verbs.h"
#include "verbs/sync_verbs.h"

static const struct cli_verb *const verbs[] = {
    &sync_verb_sync,  &sync_verb_compare, &answer_verb_conflicts, &answer_verb_resolve,
    &plan_verb_serve, &plan_verb_keys,    &plan_verb_rows,        &plan_verb_screen,
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {
        .name = "syncdiff",
        .help = "compare two databases by key and change key, and bring them together",
        .verb = verbs,
        .nverb = sizeof verbs / sizeof *verbs,
        .exits = "0123456"};
    return cli_main(&command, argc, argv);
}
