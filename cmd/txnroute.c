/* txnroute: gives each node its share of what changed. */
#include "verbs/node_verbs.h"
#include "verbs/patch_verbs.h"
#include "verbs/route_verbs.h"
#include "verbs/rule_verbs.h"
#include "verbs/site_verbs.h"
#include "verbs/store_verbs.h"
#include "verbs/user_verbs.h"

static const struct cli_verb *const verbs[] = {
    &route_verb_load,   &node_verb_node,     &user_verb_user,     &user_verb_responsibility,
    &user_verb_package, &route_verb_run,     &route_verb_extract, &rule_verb_why,
    &rule_verb_rules,   &store_verb_arrived, &store_verb_files,   &patch_verb_patch,
    &rule_verb_propose, &rule_verb_try,      &site_verb_status,   &site_verb_check,
    &site_verb_init,    &site_verb_metrics,  &site_verb_report,
};

int main(int argc, char **argv)
{
    static const struct cli_command command = {.name = "txnroute",
                                               .help = "give each node its share of what changed",
                                               .verb = verbs,
                                               .nverb = sizeof verbs / sizeof *verbs,
                                               .exits = "012346"};
    return cli_main(&command, argc, argv);
}
