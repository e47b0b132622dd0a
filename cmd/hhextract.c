/* hhextract: extracts a handheld's share of its companion's database, pairs devices, tells whether one may start. */
#include "verbs/device_verbs.h"
#include "verbs/pair_verbs.h"

static const struct cli_verb *const verbs[] = {
    &pair_verb_pair,    &device_verb_check, &pair_verb_run,
    &device_verb_patch, &device_verb_ready, &device_verb_status,
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {.name = "hhextract",
                                               .help = "extract a handheld's share, pair devices",
                                               .verb = verbs,
                                               .nverb = sizeof verbs / sizeof *verbs,
                                               .exits = "0123467"};
    return cli_main(&command, argc, argv);
}
