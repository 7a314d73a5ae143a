/* The persistent reservation state machine and its document; see pr_state.h. Clauses are of SPC-4. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/scsi/pr_state.h"

enum { UA_RESERVATIONS_PREEMPTED = 0x2a03, UA_RESERVATIONS_RELEASED = 0x2a04, UA_REGISTRATIONS_PREEMPTED = 0x2a05 };

static const struct {
	bool valid, registrants, all, no_reads;
} types[] = {
	[PR_WRITE_EXCLUSIVE] = { true, false, false, false },
	[PR_EXCLUSIVE_ACCESS] = { true, false, false, true },
	[PR_WRITE_EXCLUSIVE_REGISTRANTS] = { true, true, false, false },
	[PR_EXCLUSIVE_ACCESS_REGISTRANTS] = { true, true, false, true },
	[PR_WRITE_EXCLUSIVE_ALL] = { true, true, true, false },
	[PR_EXCLUSIVE_ACCESS_ALL] = { true, true, true, true },
};

#define TYPES (sizeof types / sizeof types[0])

bool pr_type_valid(uint8_t type)
{
	return type < TYPES && types[type].valid;
}

bool pr_type_all_registrants(uint8_t type)
{
	return type < TYPES && types[type].all;
}

bool pr_type_registrants_only(uint8_t type)
{
	return type < TYPES && types[type].registrants;
}

bool pr_type_excludes_reads(uint8_t type)
{
	return type < TYPES && types[type].no_reads;
}

static struct pr_state *state_alloc(unsigned room)
{
	return calloc(1, sizeof(struct pr_state) + room * sizeof(struct pr_registration));
}

struct pr_state *pr_state_new(void)
{
	return state_alloc(0);
}

bool pr_nexus_matches(const struct pr_nexus *registered, const struct pr_nexus *nexus)
{
	if (strcmp(registered->initiator, nexus->initiator))
		return false;
	if (!registered->any_isid && (nexus->any_isid || memcmp(registered->isid, nexus->isid, sizeof nexus->isid)))
		return false;
	return registered->target_port == PR_TARGET_PORT_ANY || registered->target_port == nexus->target_port;
}

bool pr_state_same(const struct pr_state *a, const struct pr_state *b)
{
	return a->count == b->count && !memcmp(a, b, sizeof *a + a->count * sizeof a->registration[0]);
}

static bool same_initiator_port(const struct pr_nexus *a, const struct pr_nexus *b)
{
	return !strcmp(a->initiator, b->initiator) &&
	       (a->any_isid || b->any_isid || !memcmp(a->isid, b->isid, sizeof a->isid));
}

int pr_state_find(const struct pr_state *state, const struct pr_nexus *nexus)
{
	for (unsigned i = 0; i < state->count; i++)
		if (pr_nexus_matches(&state->registration[i].nexus, nexus))
			return (int)i;
	return -1;
}

bool pr_state_holds(const struct pr_state *state, unsigned index)
{
	if (state->type == PR_NONE)
		return false;
	return pr_type_all_registrants(state->type) || state->holder == index;
}

/* --- one change: the new state grows beside the old one, which keeps its indexes for the effects --- */

struct change {
	const struct pr_state *old;
	const struct pr_command *command;
	struct pr_state *new;      /* registrations that were removed have key 0 until compact() */
	struct pr_effect *effects; /* by old index */
	int self;                  /* old index of the asking nexus, -1 */
};

static void tell(struct change *c, unsigned index, uint16_t unit_attention)
{
	if ((int)index != c->self && index < c->old->count)
		c->effects[index].unit_attention = unit_attention;
}

static void tell_remaining(struct change *c, uint16_t unit_attention)
{
	for (unsigned i = 0; i < c->old->count; i++)
		if (c->new->registration[i].key)
			tell(c, i, unit_attention);
}

static unsigned remaining(const struct pr_state *state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < state->count; i++)
		n += state->registration[i].key != 0;
	return n;
}

/* 5.13.11.2.2 and 5.13.11.2.3: the reservation is released; registrants of the shared types are told. */
static void release(struct change *c)
{
	if (pr_type_registrants_only(c->new->type))
		tell_remaining(c, UA_RESERVATIONS_RELEASED);
	c->new->type = PR_NONE;
	c->new->holder = 0;
}

/* 5.13.11.2.3: a registration goes; with the last holder the reservation goes too. */
static void unregister(struct change *c, unsigned index)
{
	bool held = pr_state_holds(c->new, index);

	c->new->registration[index].key = 0;
	if (held && (!pr_type_all_registrants(c->new->type) || !remaining(c->new)))
		release(c);
}

/* The holder of an all-registrants reservation is nobody in particular: index 0, so that it always exists. */
static void hold(struct change *c, uint8_t type)
{
	c->new->type = type;
	c->new->holder = pr_type_all_registrants(type) ? 0 : (unsigned)c->self;
}

static void compact(struct pr_state *state)
{
	unsigned to = 0;

	for (unsigned from = 0; from < state->count; from++) {
		if (!state->registration[from].key)
			continue;
		if (state->holder == from)
			state->holder = to;
		state->registration[to++] = state->registration[from];
	}
	state->count = to;
}

static enum pr_outcome add(struct change *c, const struct pr_nexus *nexus, uint64_t key)
{
	if (c->new->count >= PR_REGISTRATIONS_MAX)
		return PR_NO_ROOM;
	c->new->registration[c->new->count].key = key;
	c->new->registration[c->new->count++].nexus = *nexus;
	return PR_GOOD;
}

/*
 * ALL_TG_PT is "as if the command had come through every target port" (6.16.3): what the same initiator port has
 * registered through other ports changes with it. There the key that is given must be right as well; what is left is one
 * registration, `keeper` (-1: none, all go).
 */
static enum pr_outcome absorb_other_ports(struct change *c, int keeper)
{
	for (unsigned i = 0; i < c->old->count; i++) {
		const struct pr_registration *other = &c->old->registration[i];

		if ((int)i == c->self || other->nexus.any_isid || !same_initiator_port(&other->nexus, &c->command->from))
			continue;
		if (c->command->action == PR_REGISTER && other->key != c->command->key)
			return PR_CONFLICT;
		if (keeper < 0) {
			unregister(c, i);
			continue;
		}
		c->new->registration[i].key = 0;
		if (c->new->type != PR_NONE && !pr_type_all_registrants(c->new->type) && c->new->holder == i)
			c->new->holder = (unsigned)keeper;
	}
	return PR_GOOD;
}

/* SPEC_I_PT: all of them, or none (table 67, note b). */
static enum pr_outcome register_others(struct change *c)
{
	enum pr_outcome outcome = PR_GOOD;

	for (unsigned i = 0; outcome == PR_GOOD && i < c->command->others_count; i++) {
		struct pr_nexus other = c->command->others[i];

		other.target_port = c->command->all_target_ports ? PR_TARGET_PORT_ANY : c->command->from.target_port;
		for (unsigned at = 0; at < c->old->count; at++) {
			const struct pr_nexus *there = &c->old->registration[at].nexus;

			if (same_initiator_port(there, &other) &&
			    (c->command->all_target_ports || pr_nexus_matches(there, &other)))
				return PR_INVALID_LIST;
		}
		if (pr_state_find(c->new, &other) >= 0)
			return PR_INVALID_LIST; /* named twice */
		outcome = add(c, &other, c->command->service_key);
	}
	return outcome;
}

static enum pr_outcome do_unregister(struct change *c)
{
	unregister(c, (unsigned)c->self);
	return c->command->all_target_ports ? absorb_other_ports(c, -1) : PR_GOOD;
}

static enum pr_outcome change_key(struct change *c)
{
	struct pr_registration *self = &c->new->registration[c->self];

	self->key = c->command->service_key;
	if (!c->command->all_target_ports)
		return PR_GOOD;
	self->nexus.target_port = PR_TARGET_PORT_ANY;
	return absorb_other_ports(c, c->self);
}

static enum pr_outcome register_new(struct change *c)
{
	struct pr_nexus nexus = c->command->from;
	enum pr_outcome outcome;

	if (c->command->all_target_ports)
		nexus.target_port = PR_TARGET_PORT_ANY;
	outcome = add(c, &nexus, c->command->service_key);
	if (outcome == PR_GOOD && c->command->all_target_ports)
		outcome = absorb_other_ports(c, (int)c->new->count - 1);
	return outcome == PR_GOOD ? register_others(c) : outcome;
}

/* 5.13.7, tables 67 and 68: REGISTER and REGISTER AND IGNORE EXISTING KEY. */
static enum pr_outcome do_register(struct change *c)
{
	const struct pr_command *command = c->command;

	if (command->action == PR_REGISTER &&
	    command->key != (c->self < 0 ? 0 : c->old->registration[c->self].key))
		return PR_CONFLICT;
	if (command->others_count && c->self >= 0)
		return PR_INVALID_LIST; /* SPEC_I_PT is for nexuses that are not registered yet */
	if (c->self < 0 && !command->service_key)
		return PR_GOOD; /* nothing to unregister */
	c->new->generation++;
	c->new->aptpl = command->aptpl;
	if (c->self < 0)
		return register_new(c);
	return command->service_key ? change_key(c) : do_unregister(c);
}

/* 5.13.9 */
static enum pr_outcome do_reserve(struct change *c)
{
	if (c->new->type == PR_NONE) {
		hold(c, c->command->type);
		return PR_GOOD;
	}
	return pr_state_holds(c->old, (unsigned)c->self) && c->old->type == c->command->type ? PR_GOOD : PR_CONFLICT;
}

/* 5.13.11.2.2 */
static enum pr_outcome do_release(struct change *c)
{
	if (!pr_state_holds(c->old, (unsigned)c->self))
		return PR_GOOD;
	if (c->old->type != c->command->type)
		return PR_INVALID_RELEASE;
	release(c);
	return PR_GOOD;
}

/* 5.13.11.2.7 */
static enum pr_outcome do_clear(struct change *c)
{
	for (unsigned i = 0; i < c->old->count; i++) {
		tell(c, i, UA_RESERVATIONS_PREEMPTED);
		c->new->registration[i].key = 0;
	}
	c->new->type = PR_NONE;
	c->new->holder = 0;
	c->new->generation++;
	return PR_GOOD;
}

/* Removes the registrations with the key (every one when all), but for `keep` (-1: none); returns how many matched. */
static unsigned remove_key(struct change *c, uint64_t key, bool all, int keep)
{
	unsigned matched = 0;

	for (unsigned i = 0; i < c->old->count; i++) {
		if (!all && c->old->registration[i].key != key)
			continue;
		matched++;
		if ((int)i == keep)
			continue;
		c->new->registration[i].key = 0;
		tell(c, i, UA_REGISTRATIONS_PREEMPTED);
		c->effects[i].preempted = c->command->action == PR_PREEMPT_AND_ABORT;
	}
	return matched;
}

/* 5.13.11.2.4.3: the reservation changes hands. */
static enum pr_outcome preempt_reservation(struct change *c, bool all)
{
	bool changed = c->old->type != c->command->type;

	if (!pr_type_valid(c->command->type))
		return PR_INVALID_TYPE;
	remove_key(c, c->command->service_key, all, c->self);
	if (changed)
		for (unsigned i = 0; i < c->old->count; i++)
			if (c->new->registration[i].key)
				tell(c, i, UA_RESERVATIONS_RELEASED);
	hold(c, c->command->type);
	c->new->generation++;
	return PR_GOOD;
}

/* 5.13.11.2.4, table 72: PREEMPT, PREEMPT AND ABORT. Where only registrations go, SCOPE and TYPE are ignored. */
static enum pr_outcome do_preempt(struct change *c)
{
	uint64_t key = c->command->service_key;
	bool all = pr_type_all_registrants(c->old->type), held = c->old->type != PR_NONE;

	if (held && all && !key)
		return preempt_reservation(c, true);
	if (held && !all && key && key == c->old->registration[c->old->holder].key)
		return preempt_reservation(c, false);
	if (!key)
		return PR_INVALID_LIST;
	if (!remove_key(c, key, false, -1))
		return PR_CONFLICT;
	if (held && !remaining(c->new)) {
		c->new->type = PR_NONE;
		c->new->holder = 0;
	}
	c->new->generation++;
	return PR_GOOD;
}

/* 5.13.8, table 70 */
static enum pr_outcome do_register_and_move(struct change *c)
{
	const struct pr_nexus *to = &c->command->others[0];
	int target;
	enum pr_outcome outcome = PR_GOOD;

	if (c->old->type == PR_NONE)
		return PR_INVALID_ACTION;
	if (pr_type_all_registrants(c->old->type) || !pr_state_holds(c->old, (unsigned)c->self))
		return PR_CONFLICT;
	if (c->command->others_count != 1 || !c->command->service_key || same_initiator_port(&c->command->from, to))
		return PR_INVALID_LIST;
	target = pr_state_find(c->old, to);
	if (target < 0) {
		target = (int)c->new->count;
		outcome = add(c, to, c->command->service_key);
	} else {
		c->new->registration[target].key = c->command->service_key;
	}
	c->new->holder = (unsigned)target;
	c->new->aptpl = c->command->aptpl;
	c->new->generation++;
	if (c->command->unregister)
		c->new->registration[c->self].key = 0;
	return outcome;
}

static const struct {
	enum pr_outcome (*apply)(struct change *c);
	bool registered; /* only for registered nexuses that know their key */
	bool typed;      /* SCOPE and TYPE are looked at in any case */
} actions[] = {
	[PR_REGISTER] = { do_register, false, false },
	[PR_RESERVE] = { do_reserve, true, true },
	[PR_RELEASE] = { do_release, true, true },
	[PR_CLEAR] = { do_clear, true, false },
	[PR_PREEMPT] = { do_preempt, true, false },
	[PR_PREEMPT_AND_ABORT] = { do_preempt, true, false },
	[PR_REGISTER_AND_IGNORE] = { do_register, false, false },
	[PR_REGISTER_AND_MOVE] = { do_register_and_move, true, false },
};

static enum pr_outcome run(struct change *c)
{
	if ((unsigned)c->command->action >= sizeof actions / sizeof actions[0])
		return PR_INVALID_LIST;
	if (actions[c->command->action].registered &&
	    (c->self < 0 || c->old->registration[c->self].key != c->command->key))
		return PR_CONFLICT;
	if (actions[c->command->action].typed && !pr_type_valid(c->command->type))
		return PR_INVALID_TYPE;
	return actions[c->command->action].apply(c);
}

enum pr_outcome pr_apply(const struct pr_state *old, const struct pr_command *command, struct pr_state **ret_state,
			 struct pr_effect **ret_effects)
{
	struct change c = { .old = old, .command = command, .self = pr_state_find(old, &command->from) };
	enum pr_outcome outcome = PR_NO_MEMORY;

	c.new = state_alloc(old->count + 1 + command->others_count);
	c.effects = calloc(old->count + 1, sizeof *c.effects);
	if (c.new && c.effects) {
		memcpy(c.new, old, sizeof *old + old->count * sizeof old->registration[0]);
		outcome = run(&c);
	}
	if (outcome != PR_GOOD) {
		free(c.new);
		free(c.effects);
		return outcome;
	}
	compact(c.new);
	*ret_state = c.new;
	*ret_effects = c.effects;
	return PR_GOOD;
}

/* --- the document --- */

static json_t *encode_registration(const struct pr_registration *registration)
{
	const struct pr_nexus *nexus = &registration->nexus;
	char key[17], isid[13];

	snprintf(key, sizeof key, "%016llx", (unsigned long long)registration->key);
	snprintf(isid, sizeof isid, "%02x%02x%02x%02x%02x%02x", nexus->isid[0], nexus->isid[1], nexus->isid[2],
		 nexus->isid[3], nexus->isid[4], nexus->isid[5]);
	return json_pack("{s:s, s:s, s:s*, s:i}", "key", key, "initiator", nexus->initiator, "isid",
			 nexus->any_isid ? NULL : isid, "target_port", nexus->target_port);
}

json_t *pr_state_encode(const struct pr_state *state, uint64_t epoch)
{
	json_t *list = json_array();
	char epoch_text[17];

	for (unsigned i = 0; list && i < state->count; i++)
		if (json_array_append_new(list, encode_registration(&state->registration[i]))) {
			json_decref(list);
			list = NULL;
		}
	if (!list)
		return NULL;
	snprintf(epoch_text, sizeof epoch_text, "%016llx", (unsigned long long)epoch);
	return json_pack("{s:s, s:b, s:I, s:i, s:i, s:o}", "epoch", epoch_text, "aptpl", state->aptpl, "generation",
			 (json_int_t)state->generation, "type", state->type, "holder", (int)state->holder,
			 "registrations", list);
}

static bool decode_hex(const char *text, size_t digits, uint64_t *ret_value)
{
	char *end;

	if (strlen(text) != digits || strspn(text, "0123456789abcdef") != digits)
		return false;
	errno = 0;
	*ret_value = strtoull(text, &end, 16);
	return !errno && !*end;
}

static bool decode_registration(json_t *json, struct pr_registration *registration)
{
	const char *key, *initiator, *isid = NULL;
	uint64_t value = 0;
	int port;

	if (json_unpack(json, "{s:s, s:s, s?s, s:i}", "key", &key, "initiator", &initiator, "isid", &isid,
			"target_port", &port))
		return false;
	if (!decode_hex(key, 16, &registration->key) || !registration->key || port < 0 || port > UINT16_MAX ||
	    strlen(initiator) >= sizeof registration->nexus.initiator)
		return false;
	strcpy(registration->nexus.initiator, initiator);
	registration->nexus.target_port = (uint16_t)port;
	registration->nexus.any_isid = !isid;
	if (isid && !decode_hex(isid, 12, &value))
		return false;
	for (int i = 5; i >= 0; i--, value >>= 8)
		registration->nexus.isid[i] = (uint8_t)value;
	return true;
}

static struct pr_state *decode_current(json_int_t generation, int type, int holder, bool aptpl, json_t *list)
{
	size_t count = json_array_size(list);
	struct pr_state *state;

	if (count > PR_REGISTRATIONS_MAX || generation < 0 || generation > UINT32_MAX ||
	    (type != PR_NONE && (type < 0 || type > 15 || !pr_type_valid((uint8_t)type))) ||
	    (type != PR_NONE && (holder < 0 || (size_t)holder >= count)))
		return NULL;
	state = state_alloc((unsigned)count);
	if (!state)
		return NULL;
	state->generation = (uint32_t)generation;
	state->type = (uint8_t)type;
	state->aptpl = aptpl;
	state->holder = type == PR_NONE ? 0 : (unsigned)holder;
	state->count = (unsigned)count;
	for (size_t i = 0; i < count; i++) {
		if (!decode_registration(json_array_get(list, i), &state->registration[i])) {
			free(state);
			return NULL;
		}
	}
	return state;
}

struct pr_state *pr_state_decode(const json_t *json, uint64_t epoch, struct err *err)
{
	const char *epoch_text;
	json_int_t generation;
	uint64_t written = 0;
	int type, holder, aptpl;
	struct pr_state *state;
	json_t *list;

	if (!json) {
		state = pr_state_new();
		if (!state)
			err_set(err, -ENOMEM, "no memory");
		return state;
	}
	if (json_unpack((json_t *)json, "{s:s, s:b, s:I, s:i, s:i, s:o}", "epoch", &epoch_text, "aptpl", &aptpl,
			"generation", &generation, "type", &type, "holder", &holder, "registrations", &list) ||
	    !json_is_array(list) || !decode_hex(epoch_text, 16, &written)) {
		err_set(err, -EBADMSG, "the reservation document is damaged");
		return NULL;
	}
	if (written != epoch && !aptpl)
		return pr_state_decode(NULL, epoch, err);
	state = decode_current(generation, type, holder, aptpl, list);
	if (!state)
		err_set(err, -EBADMSG, "the reservation document is damaged");
	else if (written != epoch)
		state->generation = 0; /* PRGENERATION does not survive a power loss, 6.15.2 */
	return state;
}
