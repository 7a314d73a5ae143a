#include "dataplane/scsi/alua.h"

#include <stddef.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)

static const char *const names[16] = {
	[ALUA_OPTIMIZED] = "active_optimized", [ALUA_NONOPTIMIZED] = "active_nonoptimized", [ALUA_STANDBY] = "standby",
	[ALUA_UNAVAILABLE] = "unavailable", [ALUA_TRANSITIONING] = "transitioning",
};

const char *alua_state_name(uint8_t state)
{
	return state < 16 ? names[state] : NULL;
}

int alua_state_of_name(const char *name)
{
	for (int state = 0; state < 16; state++)
		if (names[state] && strcmp(names[state], name) == 0)
			return state;
	return -1;
}

static enum alua_effect enter(struct alua_group *group, uint8_t state, uint8_t status, uint64_t now_ns)
{
	if (state == group->state)
		return ALUA_NOTHING;
	group->from = group->state == ALUA_TRANSITIONING ? group->from : group->state;
	group->state = state;
	group->status = status;
	group->deadline_ns = state == ALUA_TRANSITIONING ? now_ns + ALUA_TRANSITION_S * NS_PER_S : 0;
	return ALUA_CHANGED;
}

void alua_init(struct alua_group *group, const struct alua_configured *configured, uint64_t now_ns)
{
	*group = (struct alua_group){ .configured = *configured, .state = ALUA_UNAVAILABLE, .from = ALUA_UNAVAILABLE };
	enter(group, configured->state, ALUA_STATUS_NONE, now_ns);
}

/* The same words again change nothing: neither a state that was set since nor a transition that is over. */
static enum alua_effect configured(struct alua_group *group, const struct alua_event *event)
{
	const struct alua_configured old = group->configured;

	group->configured = event->configured;
	if (old.revision == event->configured.revision && old.state == event->configured.state)
		return ALUA_NOTHING;
	return enter(group, event->configured.state, ALUA_STATUS_IMPLICIT, event->now_ns);
}

enum alua_effect alua_step(struct alua_group *group, const struct alua_event *event)
{
	switch (event->kind) {
	case ALUA_CONFIGURED:
		return configured(group, event);
	case ALUA_SET:
		return enter(group, event->state, ALUA_STATUS_EXPLICIT, event->now_ns);
	case ALUA_UNSET:
		return group->status == ALUA_STATUS_EXPLICIT ?
			enter(group, group->configured.state, ALUA_STATUS_IMPLICIT, event->now_ns) : ALUA_NOTHING;
	case ALUA_TIME:
		if (group->state != ALUA_TRANSITIONING || event->now_ns < group->deadline_ns)
			return ALUA_NOTHING;
		enter(group, group->from, ALUA_STATUS_IMPLICIT, event->now_ns);
		return ALUA_TRANSITION_FAILED;
	}
	return ALUA_NOTHING;
}
