/* txnlog: captures committed changes in a log in the database, and reads them out as archives. */
#include "verbs/attachment_verbs.h"
#include "verbs/capture_verbs.h"
#include "verbs/journal_verbs.h"
#include "verbs/proof_verbs.h"

static const struct cli_verb *const verbs[] = {
    &capture_verb_attach, &capture_verb_detach, &journal_verb_read,   &journal_verb_ack,
    &capture_verb_trim,   &journal_verb_upload, &capture_verb_status, &attachment_verb_files,
    &proof_verb_digest,   &proof_verb_recover,  &proof_verb_prove,
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {.name = "txnlog",
                                               .help = "the log of committed changes in a database",
                                               .verb = verbs,
                                               .nverb = sizeof verbs / sizeof *verbs,
                                               .exits = "0123467"};
    return cli_main(&command, argc, argv);
}
