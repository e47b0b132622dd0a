/* dxpack: makes, lists, prints, verifies, signs, joins, inverts and encrypts archives. */
#include "verbs/archive_verbs.h"
#include "verbs/make_verbs.h"
#include "verbs/seal_verbs.h"
#include "verbs/session_verbs.h"

static const struct cli_verb *const verbs[] = {
    &archive_verb_list,    &archive_verb_verify, &archive_verb_cat,      &make_verb_make,
    &archive_verb_extract, &make_verb_sign,      &seal_verb_seal,        &seal_verb_unseal,
    &make_verb_join,       &make_verb_invert,    &session_verb_exchange, &session_verb_serve,
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {
        .name = "dxpack",
        .help = "make, list, print, verify, sign, join and invert archives",
        .verb = verbs,
        .nverb = sizeof verbs / sizeof *verbs,
        .exits = "01234567",
        .notes = "Archives are read from FILE, or stdin for - or none, several in a row as well;\n"
                 "what is made goes to stdout.\n"};
    return cli_main(&command, argc, argv);
}
