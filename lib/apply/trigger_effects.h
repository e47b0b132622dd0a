/* trigger_effects: what the application's triggers write while a merge writes rows: changes of the server's own, noted
 * behind the change that set them off. Capture's triggers are away meanwhile. */
#ifndef TRIGGER_EFFECTS_H
#define TRIGGER_EFFECTS_H

#include "apply/target.h"

struct change_log;

/* From now on, what triggers write to captured tables is noted in the log as made here. The log and the targets must
 * outlive it. Frees with trigger_effects_end, which is safe on NULL. */
struct trigger_effects *trigger_effects_begin(struct targets *ts, struct change_log *log);
void trigger_effects_end(struct trigger_effects *e);

/* The statement that set them off is noted: now they are. */
int trigger_effects_note(struct trigger_effects *e);

/* What was written since is taken back. NULL is fine. */
void trigger_effects_forget(struct trigger_effects *e);

#endif
