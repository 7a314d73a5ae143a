/* Text requests of the full feature phase (RFC 7143 sections 6.4, 11.10): the same table of keys as login. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/keys.h"
#include "dataplane/iscsi/login.h"

/* Appendix C: "All" in discovery sessions only; without a value in normal sessions only; a normal session learns about no
 * target but its own. */
static char *answer_send_targets(const struct iscsi_config *config, const struct iscsi_login_facts *session,
				 const struct iscsi_peer *peer, const char *which, size_t *ret_len_bytes)
{
	const char *own = session->target ? iscsi_target_name(session->target) : NULL;

	*ret_len_bytes = 0;
	if (own && *which && strcmp(which, own) != 0)
		return malloc(1);
	return iscsi_send_targets(config, which, own, session->initiator_name, peer, ret_len_bytes);
}

static bool send_targets_refused(const struct iscsi_login_facts *session, const char *which)
{
	return session->discovery ? !*which : strcmp(which, "All") == 0;
}

char *iscsi_text_answer(const struct iscsi_config *config, const struct iscsi_login_facts *session,
			const struct iscsi_peer *peer, const char *text, size_t text_bytes, struct iscsi_params *params,
			size_t *ret_len_bytes, uint8_t *ret_reject)
{
	struct iscsi_offers offers;
	struct iscsi_keys keys;
	struct iscsi_text answer;
	const char *which;
	char reason[160], *targets = NULL;
	size_t targets_len = 0;

	*ret_len_bytes = 0;
	*ret_reject = 0;
	iscsi_keys_init(&keys);
	keys.discovery = session->discovery;
	if (iscsi_keys_parse(&keys, ISCSI_STAGE_FULL_FEATURE, text, text_bytes, &offers, reason, sizeof reason)) {
		*ret_reject = ISCSI_REJECT_PROTOCOL;
		return NULL;
	}
	iscsi_keys_resolve(&keys, &offers);
	if (offers.value[ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH] &&
	    !(keys.rejected & UINT64_C(1) << ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH))
		params->max_send_bytes = keys.value[ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH];

	iscsi_text_init(&answer, UINT32_MAX);
	iscsi_text_append(&answer, "", 1); /* so that an empty answer is memory, too */
	answer.len_bytes = 0;
	iscsi_keys_answer(&keys, text, text_bytes, &answer);
	which = offers.value[ISCSI_KEY_SEND_TARGETS];
	if (which && send_targets_refused(session, which)) {
		iscsi_text_put(&answer, "SendTargets", "Reject");
	} else if (which) {
		targets = answer_send_targets(config, session, peer, which, &targets_len);
		answer.bad |= !targets;
		iscsi_text_append(&answer, targets, targets_len);
		free(targets);
	}
	if (answer.bad) {
		iscsi_text_fini(&answer);
		return NULL;
	}
	*ret_len_bytes = answer.len_bytes;
	return answer.bytes;
}
