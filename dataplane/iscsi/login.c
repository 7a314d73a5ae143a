/*
 * Login phase (RFC 7143 sections 6.3, 11.12, 11.13, 13). A request goes down one road:
 *
 *   check_form()      fields that must be right whatever the text says, and constant over the login
 *   collect()         text of C-bit requests is put together; long answers are handed out one response at a time
 *   negotiate()       whole text: keys.c checks it, identify() (first text: names, access rule), authenticate()
 *                     (security stage: chap.c), answers and our own declarations
 *   answer()          response, stage transit; DONE when the full feature phase may begin
 *
 * Each step returns a login status: 0 goes on, anything else is refused with that status and facts.reason. There is one
 * gate to the full feature phase (may_enter_full_feature) and it asks the access rule again.
 */
#include "dataplane/iscsi/login.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dataplane/iscsi/chap.h"
#include "dataplane/iscsi/keys.h"
#include "dataplane/iscsi/name.h"
#include "log.h"

#define LOGIN_REQUESTS_MAX       256 /* of one login; a C=1 request each costs a response */
#define LOGIN_EMPTY_REQUESTS_MAX 8   /* with C=1 and no data: legal and useless */
#define LOGIN_FLAG_TRANSIT       0x80
#define LOGIN_FLAG_CONTINUE      0x40
#define LOGIN_VERSION            0

struct iscsi_login {
	struct iscsi_config *config;
	struct iscsi_peer peer;
	unsigned worker;
	bool begun;       /* a request has come */
	bool identified;  /* its text was whole: initiator, session type, target are known */
	bool auth_agreed; /* AuthMethod was answered */
	bool declared;    /* our MaxRecvDataSegmentLength */
	bool over;        /* no further step */
	uint8_t stage;    /* enum iscsi_stage */
	uint8_t flags, version_max; /* of the last request, of the first */
	uint32_t itt;
	unsigned requests, empty_requests;
	uint32_t text_bytes;   /* of all requests */
	struct iscsi_text in;  /* request text so far */
	struct iscsi_text out; /* answer text */
	uint32_t out_sent;     /* bytes of it that earlier responses carried */
	struct iscsi_auth auth;
	struct iscsi_chap chap;
	struct iscsi_keys keys;
	struct iscsi_login_facts facts;
	struct iscsi_params params;
};

const char *iscsi_login_status_words(uint16_t status)
{
	switch (status) {
#define LOGIN_STATUS(id, value, words)                                                                         \
	case value:                                                                                            \
		return words;
#include "dataplane/iscsi/login_status.def"
#undef LOGIN_STATUS
	default:
		return "unknown status";
	}
}

struct iscsi_login *iscsi_login_new(struct iscsi_config *config, unsigned worker, const struct iscsi_peer *peer)
{
	struct iscsi_login *login = calloc(1, sizeof *login);

	if (!login)
		return NULL;
	login->config = iscsi_config_ref(config);
	login->worker = worker;
	login->peer = *peer;
	iscsi_text_init(&login->in, iscsi_config_settings(config)->max_login_text_bytes);
	iscsi_text_init(&login->out, iscsi_config_settings(config)->max_login_text_bytes);
	iscsi_chap_init(&login->chap);
	iscsi_keys_init(&login->keys);
	return login;
}

void iscsi_login_free(struct iscsi_login *login)
{
	if (!login)
		return;
	iscsi_chap_fini(&login->chap);
	iscsi_text_fini(&login->in);
	iscsi_text_fini(&login->out);
	iscsi_config_unref(login->config);
	explicit_bzero(&login->auth, sizeof login->auth);
	free(login);
}

const struct iscsi_login_facts *iscsi_login_facts(const struct iscsi_login *login)
{
	return &login->facts;
}

const struct iscsi_params *iscsi_login_params(const struct iscsi_login *login)
{
	return &login->params;
}

struct iscsi_config *iscsi_login_config(const struct iscsi_login *login)
{
	return login->config;
}

/* Notes why and returns the status, for `return refuse(login, ISCSI_LOGIN_..., "...")`. */
static uint16_t __attribute__((format(printf, 3, 4)))
refuse(struct iscsi_login *login, uint16_t status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(login->facts.reason, sizeof login->facts.reason, format, args);
	va_end(args);
	return status;
}

static void make_response(const struct iscsi_login *login, uint8_t flags, uint16_t status, const void *data,
			  uint32_t data_bytes, struct iscsi_login_response *ret_response)
{
	uint8_t *bhs = ret_response->bhs;

	memset(ret_response, 0, sizeof *ret_response);
	bhs[0] = ISCSI_LOGIN_RESPONSE;
	bhs[1] = flags;
	bhs[2] = bhs[3] = LOGIN_VERSION;
	put_be24(bhs + 5, data_bytes);
	memcpy(bhs + 8, login->facts.isid, sizeof login->facts.isid);
	put_be16(bhs + 14, login->facts.tsih);
	put_be32(bhs + 16, login->itt);
	put_be16(bhs + 36, status);
	ret_response->data = data;
	ret_response->data_bytes = data_bytes;
}

/* The last response: T, C and NSG are zero, the text is empty but for the new address of a moved target. */
static enum iscsi_login_next fail(struct iscsi_login *login, uint16_t status, struct iscsi_login_response *ret_response)
{
	bool moved = status == ISCSI_LOGIN_MOVED_TEMPORARILY || status == ISCSI_LOGIN_MOVED_PERMANENTLY;

	login->over = true;
	make_response(login, (uint8_t)(login->flags & 0x0c), status, moved ? login->out.bytes : NULL,
		      moved ? login->out.len_bytes : 0, ret_response);
	return ISCSI_LOGIN_FAILED;
}

/* --- form of a request --- */

/* What every request must satisfy by itself. */
static uint16_t check_fields(struct iscsi_login *login, const uint8_t *bhs)
{
	uint8_t csg = bhs_login_csg(bhs), nsg = bhs_login_nsg(bhs);
	bool transit = bhs_final(bhs);

	if (bhs_ahs_bytes(bhs))
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "additional header segment");
	if (bhs_data_bytes(bhs) > ISCSI_LOGIN_DATA_MAX)
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "data segment of %u bytes", bhs_data_bytes(bhs));
	if (transit && bhs_continue(bhs))
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "T and C together");
	if (csg > ISCSI_STAGE_OPERATIONAL)
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "current stage %u", csg);
	if (transit && (nsg <= csg || nsg == 2))
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "transit from stage %u to %u", csg, nsg);
	return 0;
}

/* What must not change during a login. CSG may only be the stage that we moved to. */
static uint16_t check_constancy(struct iscsi_login *login, const uint8_t *bhs)
{
	const struct iscsi_login_facts *facts = &login->facts;
	const char *changed = NULL;

	if (bhs_itt(bhs) != login->itt)
		changed = "initiator task tag";
	else if (memcmp(bhs_isid(bhs), facts->isid, sizeof facts->isid) != 0)
		changed = "ISID";
	else if (bhs_tsih(bhs) != facts->tsih)
		changed = "TSIH";
	else if (bhs_cid(bhs) != facts->cid)
		changed = "CID";
	else if (bhs_cmdsn(bhs) != facts->cmdsn)
		changed = "CmdSN";
	else if (bhs[2] != login->version_max)
		changed = "version";
	if (changed)
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "%s changed during login", changed);
	if (bhs_login_csg(bhs) != login->stage)
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "request of stage %u in stage %u", bhs_login_csg(bhs),
			      login->stage);
	return 0;
}

static uint16_t check_form(struct iscsi_login *login, const uint8_t *bhs)
{
	uint16_t status;

	login->flags = bhs[1];
	if (!login->begun) {
		login->begun = true;
		login->stage = bhs_login_csg(bhs);
		login->version_max = bhs[2];
		login->itt = bhs_itt(bhs);
		memcpy(login->facts.isid, bhs_isid(bhs), sizeof login->facts.isid);
		login->facts.tsih = bhs_tsih(bhs);
		login->facts.cid = bhs_cid(bhs);
		login->facts.cmdsn = bhs_cmdsn(bhs);
	}
	login->facts.expstatsn = bhs_expstatsn(bhs);
	if (bhs[3] > LOGIN_VERSION)
		return refuse(login, ISCSI_LOGIN_UNSUPPORTED_VERSION, "version %u or later", bhs[3]);
	status = check_fields(login, bhs);
	return status ? status : check_constancy(login, bhs);
}

/* --- who, and to what --- */

static void copy_alias(char ret_alias[ISCSI_NAME_MAX], const char *alias)
{
	size_t i;

	for (i = 0; alias[i] && i < ISCSI_NAME_MAX - 1; i++)
		ret_alias[i] = alias[i] >= ' ' && alias[i] <= '~' ? alias[i] : '?';
	ret_alias[i] = '\0';
}

static uint16_t identify_session_type(struct iscsi_login *login, const char *session_type)
{
	if (session_type && strcmp(session_type, "Discovery") == 0)
		login->facts.discovery = login->keys.discovery = true;
	else if (session_type && strcmp(session_type, "Normal") != 0)
		return refuse(login, ISCSI_LOGIN_SESSION_TYPE, "session type %s", log_quoted_n(session_type,
			      strnlen(session_type, 32)));
	return 0;
}

/* Not found and not admitted look the same from outside. */
static uint16_t refuse_access(struct iscsi_login *login, const struct iscsi_grant *grant, const char *name)
{
	static const struct { uint16_t status; const char *reason; } refusals[] = {
		[ISCSI_ACCESS_NO_TARGET] = { ISCSI_LOGIN_NOT_FOUND, "no such target" },
		[ISCSI_ACCESS_DENIED] = { ISCSI_LOGIN_NOT_FOUND, "initiator not admitted to target" },
		[ISCSI_ACCESS_PORTAL] = { ISCSI_LOGIN_NOT_FOUND, "target not served by this portal" },
		[ISCSI_ACCESS_REDIRECT_TEMPORARY] = { ISCSI_LOGIN_MOVED_TEMPORARILY, "redirected" },
		[ISCSI_ACCESS_REDIRECT_PERMANENT] = { ISCSI_LOGIN_MOVED_PERMANENTLY, "redirected for good" },
		[ISCSI_ACCESS_UNAVAILABLE] = { ISCSI_LOGIN_SERVICE_UNAVAILABLE, "target disabled" },
	};

	if (*grant->redirect)
		iscsi_text_put(&login->out, "TargetAddress", "%s", grant->redirect);
	if (login->out.bad)
		return refuse(login, ISCSI_LOGIN_OUT_OF_RESOURCES, "out of memory");
	return refuse(login, refusals[grant->access].status, "%s target=%s", refusals[grant->access].reason,
		      log_quoted_n(name, strnlen(name, 100)));
}

/* The first whole text: InitiatorName, SessionType, TargetName; then the access rule. */
static uint16_t identify(struct iscsi_login *login, const struct iscsi_offers *offers)
{
	const char *initiator = offers->value[ISCSI_KEY_INITIATOR_NAME];
	const char *alias = offers->value[ISCSI_KEY_INITIATOR_ALIAS];
	const char *target = offers->value[ISCSI_KEY_TARGET_NAME];
	struct iscsi_login_facts *facts = &login->facts;
	struct iscsi_grant grant;
	uint16_t status;

	if (!initiator)
		return refuse(login, ISCSI_LOGIN_MISSING_PARAMETER, "no InitiatorName");
	if (iscsi_name_complaint(initiator))
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "InitiatorName: %s", iscsi_name_complaint(initiator));
	iscsi_name_fold(facts->initiator_name, initiator);
	if (alias)
		copy_alias(facts->initiator_alias, alias);
	status = identify_session_type(login, offers->value[ISCSI_KEY_SESSION_TYPE]);
	if (status)
		return status;
	login->identified = true;
	if (facts->discovery) {
		facts->target = NULL;
		iscsi_discovery_auth(login->config, &login->auth);
		return 0;
	}
	if (!target)
		return refuse(login, ISCSI_LOGIN_MISSING_PARAMETER, "no TargetName");
	facts->target = iscsi_config_find_target(login->config, target);
	iscsi_access_check(login->config, facts->target, facts->initiator_name, &login->peer, &grant);
	login->auth = grant.auth;
	explicit_bzero(&grant.auth, sizeof grant.auth);
	if (grant.access != ISCSI_ACCESS_OK)
		return refuse_access(login, &grant, target);
	iscsi_keys_set_ours(&login->keys, iscsi_target_params(facts->target));
	return 0;
}

/* Declarations of the first text that come again must say the same. */
static uint16_t check_repeated(struct iscsi_login *login, const struct iscsi_offers *offers)
{
	const struct iscsi_login_facts *facts = &login->facts;
	const struct { enum iscsi_key_id id; const char *known; } repeated[] = {
		{ ISCSI_KEY_INITIATOR_NAME, facts->initiator_name },
		{ ISCSI_KEY_SESSION_TYPE, facts->discovery ? "Discovery" : "Normal" },
		{ ISCSI_KEY_TARGET_NAME, facts->target ? iscsi_target_name(facts->target) : "" },
	};

	for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) {
		const char *value = offers->value[repeated[i].id];

		if (value && strcasecmp(value, repeated[i].known) != 0)
			return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "%s changed during login",
				      iscsi_key_get(repeated[i].id)->name);
	}
	return 0;
}

/* Of a target that another worker owns only the first request is looked at, so that it can be passed on as it came. */
static bool belongs_elsewhere(struct iscsi_login *login)
{
	struct iscsi_login_facts *facts = &login->facts;

	if (!facts->target || iscsi_target_worker(facts->target) == login->worker)
		return false;
	facts->owner = iscsi_target_worker(facts->target);
	return true;
}

/* The target of a first request that is continued (C=1), when its name is there already. */
static void find_target_early(struct iscsi_login *login)
{
	const char *at = login->in.bytes, *end = at ? at + login->in.len_bytes : NULL;
	struct iscsi_pair pair;

	while (at < end && iscsi_pair_next(&at, end, &pair))
		if (iscsi_key_find(pair.name, pair.name_len) == ISCSI_KEY_TARGET_NAME)
			login->facts.target = iscsi_config_find_target(login->config, pair.value);
}

/* --- negotiation --- */

/* Security stage: AuthMethod, then the CHAP exchange. */
static uint16_t authenticate(struct iscsi_login *login, const struct iscsi_offers *offers)
{
	const char *offer = offers->value[ISCSI_KEY_AUTH_METHOD], *reason = NULL;
	const char *method = login->auth.chap ? "CHAP" : "None";
	uint16_t status;

	status = iscsi_chap_step(&login->chap, &login->auth, offers, &login->out, &reason);
	if (status)
		return refuse(login, status, "%s", reason);
	if (login->chap.state == ISCSI_CHAP_PROVED && !login->facts.authenticated) {
		login->facts.authenticated = true;
		strcpy(login->facts.chap_user, login->auth.peer.user);
	}
	if (!offer)
		return 0;
	if (iscsi_list_choose(offer, method, 1) < 0)
		return refuse(login, ISCSI_LOGIN_AUTHENTICATION_FAILURE, "AuthMethod=%s is not among %s", method,
			      log_quoted_n(offer, strnlen(offer, 64)));
	iscsi_text_put(&login->out, "AuthMethod", "%s", method);
	login->auth_agreed = true;
	if (login->auth.chap)
		login->chap.state = ISCSI_CHAP_CHOSEN;
	return 0;
}

/* Ours: in the first response of a normal session the portal group, in the operational stage the data segment size. */
static void declare(struct iscsi_login *login, bool first)
{
	const struct iscsi_target *target = login->facts.target;

	if (first && target) {
		if (login->peer.portal)
			iscsi_text_put(&login->out, "TargetPortalGroupTag", "%u", login->peer.portal->tag);
		if (*iscsi_target_alias(target))
			iscsi_text_put(&login->out, "TargetAlias", "%s", iscsi_target_alias(target));
	}
	if (login->stage == ISCSI_STAGE_OPERATIONAL && !login->declared) {
		login->declared = true;
		iscsi_text_put(&login->out, "MaxRecvDataSegmentLength", "%u",
			       login->keys.ours[ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH]);
	}
}

/* A whole text. The answer is in login->out afterwards. */
static uint16_t negotiate(struct iscsi_login *login)
{
	const char *text = login->in.bytes ? login->in.bytes : "";
	bool first = !login->identified;
	struct iscsi_offers offers;
	uint16_t status;

	status = iscsi_keys_parse(&login->keys, login->stage, text, login->in.len_bytes, &offers, login->facts.reason,
				  sizeof login->facts.reason);
	if (!status)
		status = first ? identify(login, &offers) : check_repeated(login, &offers);
	if (status || belongs_elsewhere(login))
		return status;
	if (login->stage == ISCSI_STAGE_SECURITY)
		status = authenticate(login, &offers);
	else if (login->auth.chap && !login->facts.authenticated)
		status = refuse(login, ISCSI_LOGIN_AUTHENTICATION_FAILURE, "security stage skipped, CHAP is required");
	if (status)
		return status;
	iscsi_keys_resolve(&login->keys, &offers);
	iscsi_keys_answer(&login->keys, text, login->in.len_bytes, &login->out);
	declare(login, first);
	if (login->out.bad)
		return refuse(login, ISCSI_LOGIN_OUT_OF_RESOURCES, "answer text too long or out of memory");
	return 0;
}

/* The request's text is added to what is there. */
static uint16_t collect(struct iscsi_login *login, const uint8_t *bhs, const uint8_t *data)
{
	if (++login->requests > LOGIN_REQUESTS_MAX)
		return refuse(login, ISCSI_LOGIN_OUT_OF_RESOURCES, "more than %d login requests", LOGIN_REQUESTS_MAX);
	if (bhs_continue(bhs) && !bhs_data_bytes(bhs) && ++login->empty_requests > LOGIN_EMPTY_REQUESTS_MAX)
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "empty requests with C=1");
	login->text_bytes += bhs_data_bytes(bhs);
	if (login->text_bytes > login->in.limit_bytes)
		return refuse(login, ISCSI_LOGIN_OUT_OF_RESOURCES, "login text longer than %u bytes",
			      login->in.limit_bytes);
	iscsi_text_append(&login->in, data, bhs_data_bytes(bhs));
	return login->in.bad ? refuse(login, ISCSI_LOGIN_OUT_OF_RESOURCES, "out of memory") : 0;
}

/* --- responses --- */

/* The one gate to the full feature phase. */
static uint16_t may_enter_full_feature(struct iscsi_login *login)
{
	static const enum iscsi_key_id digests[] = { ISCSI_KEY_HEADER_DIGEST, ISCSI_KEY_DATA_DIGEST };

	if (!login->identified)
		return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "nothing negotiated");
	if (login->auth.chap && !login->facts.authenticated)
		return refuse(login, ISCSI_LOGIN_AUTHENTICATION_FAILURE, "CHAP is required");
	for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
		if (login->keys.ours[digests[i]] == ISCSI_DIGEST_CRC32C && !login->keys.value[digests[i]])
			return refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "%s=CRC32C is required",
				      iscsi_key_get(digests[i])->name);
	return 0;
}

static void fill_params(struct iscsi_login *login)
{
	const uint32_t *value = login->keys.value;

	login->params = (struct iscsi_params){
		.header_digest = value[ISCSI_KEY_HEADER_DIGEST],
		.data_digest = value[ISCSI_KEY_DATA_DIGEST],
		.initial_r2t = value[ISCSI_KEY_INITIAL_R2T],
		.immediate_data = value[ISCSI_KEY_IMMEDIATE_DATA],
		.max_recv_bytes = login->declared ? login->keys.ours[ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH] :
						    ISCSI_LOGIN_DATA_MAX,
		.max_send_bytes = value[ISCSI_KEY_MAX_RECV_DATA_SEGMENT_LENGTH],
		.max_burst_bytes = value[ISCSI_KEY_MAX_BURST_LENGTH],
		.first_burst_bytes = value[ISCSI_KEY_FIRST_BURST_LENGTH],
		.max_outstanding_r2t = (uint16_t)value[ISCSI_KEY_MAX_OUTSTANDING_R2T],
		.time2wait_s = (uint16_t)value[ISCSI_KEY_DEFAULT_TIME2WAIT],
		.time2retain_s = (uint16_t)value[ISCSI_KEY_DEFAULT_TIME2RETAIN],
		.error_recovery_level = (uint8_t)value[ISCSI_KEY_ERROR_RECOVERY_LEVEL],
	};
}

/* The initiator asks for transit: may it be granted now? *ret_transit false without a refusal: not yet, CHAP goes on. */
static uint16_t consider_transit(struct iscsi_login *login, uint8_t nsg, bool *ret_transit)
{
	*ret_transit = false;
	if (login->auth.chap && !login->facts.authenticated)
		return login->auth_agreed ? 0 : refuse(login, ISCSI_LOGIN_AUTHENTICATION_FAILURE, "CHAP is required");
	*ret_transit = true;
	return nsg == ISCSI_STAGE_FULL_FEATURE ? may_enter_full_feature(login) : 0;
}

static const void *unsent_answer(const struct iscsi_login *login)
{
	return login->out.bytes ? login->out.bytes + login->out_sent : NULL;
}

/* Hands out the next piece of the answer; stage transit goes with the last one. */
static enum iscsi_login_next answer(struct iscsi_login *login, struct iscsi_login_response *ret_response)
{
	uint32_t left = login->out.len_bytes - login->out_sent;
	uint32_t now = left < ISCSI_LOGIN_DATA_MAX ? left : ISCSI_LOGIN_DATA_MAX;
	uint8_t flags = (uint8_t)(login->stage << 2), nsg = login->flags & 3;
	bool transit = false;
	uint16_t status = 0;

	if (left > now)
		flags |= LOGIN_FLAG_CONTINUE;
	else if (login->flags & LOGIN_FLAG_TRANSIT)
		status = consider_transit(login, nsg, &transit);
	if (status)
		return fail(login, status, ret_response);
	if (transit && nsg == ISCSI_STAGE_FULL_FEATURE) {
		fill_params(login);
		login->over = true;
		return ISCSI_LOGIN_DONE;
	}
	if (transit) {
		flags |= LOGIN_FLAG_TRANSIT | nsg;
		login->stage = nsg;
	}
	make_response(login, flags, ISCSI_LOGIN_SUCCESS, unsent_answer(login), now, ret_response);
	login->out_sent += now;
	return ISCSI_LOGIN_REPLY;
}

static bool answer_pending(const struct iscsi_login *login)
{
	return login->out_sent < login->out.len_bytes;
}

/* Not a Login Request. Opcodes of initiators get a word, anything else is not iSCSI. */
static enum iscsi_login_next refuse_opcode(struct iscsi_login *login, const uint8_t *bhs,
					   struct iscsi_login_response *ret_response)
{
	uint8_t opcode = bhs_opcode(bhs);

	refuse(login, 0, "opcode 0x%02x during login", opcode);
	login->over = true;
	if (bhs[0] & 0x80 || (opcode > ISCSI_LOGOUT_REQUEST && opcode != ISCSI_SNACK_REQUEST))
		return ISCSI_LOGIN_DROP;
	login->itt = bhs_itt(bhs);
	return fail(login, ISCSI_LOGIN_INVALID_DURING_LOGIN, ret_response);
}

enum iscsi_login_next iscsi_login_step(struct iscsi_login *login, const uint8_t *bhs, const uint8_t *data,
				       struct iscsi_login_response *ret_response)
{
	uint16_t status;

	if (login->over)
		return ISCSI_LOGIN_DROP;
	if (bhs_opcode(bhs) != ISCSI_LOGIN_REQUEST || bhs[0] & 0x80)
		return refuse_opcode(login, bhs, ret_response);
	status = check_form(login, bhs);
	if (!status && answer_pending(login)) {
		if (bhs_data_bytes(bhs) || bhs_continue(bhs))
			status = refuse(login, ISCSI_LOGIN_INITIATOR_ERROR, "text while an answer is continued");
		return status ? fail(login, status, ret_response) : answer(login, ret_response);
	}
	login->out.len_bytes = login->out_sent = 0;
	if (!status)
		status = collect(login, bhs, data);
	if (!status && bhs_continue(bhs)) {
		if (login->requests == 1)
			find_target_early(login);
	} else if (!status) {
		status = negotiate(login);
		login->in.len_bytes = 0;
	}
	if (status)
		return fail(login, status, ret_response);
	if (!belongs_elsewhere(login))
		return answer(login, ret_response);
	if (login->requests > 1) {
		status = refuse(login, ISCSI_LOGIN_SERVICE_UNAVAILABLE, "target of another worker not named at once");
		return fail(login, status, ret_response);
	}
	login->over = true;
	return ISCSI_LOGIN_HANDOVER;
}

void iscsi_login_finish(struct iscsi_login *login, uint16_t status, uint16_t tsih,
			struct iscsi_login_response *ret_response)
{
	uint8_t flags = (uint8_t)(LOGIN_FLAG_TRANSIT | login->stage << 2 | ISCSI_STAGE_FULL_FEATURE);

	if (status) {
		refuse(login, status, "%s", iscsi_login_status_words(status));
		fail(login, status, ret_response);
		return;
	}
	login->facts.tsih = tsih;
	make_response(login, flags, ISCSI_LOGIN_SUCCESS, unsent_answer(login), login->out.len_bytes - login->out_sent,
		      ret_response);
}
