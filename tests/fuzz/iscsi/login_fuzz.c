/*
 * A whole login. PDUs, each as byte 0 of its header (XOR 0x43, so that zero
 * is a Login Request), byte 1 (flags and stages), two bytes of data length and the data. Never full feature phase without
 * the authentication that the rule asks for; every byte of every response is there.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

static const char serve[] =
	"{\"portals\":{\"default\":{\"address\":\"127.0.0.1:3260\"}},"
	"\"discovery_auth\":{\"chap\":{\"user\":\"d\",\"secret\":\"discoverysecret\"}},\"targets\":{"
	"\"iqn.2026-11.io.lunette:t1\":{\"alias\":\"a\"},"
	"\"iqn.2026-11.io.lunette:t2\":{\"worker\":1},"
	"\"iqn.2026-11.io.lunette:t3\":{\"redirect\":{\"address\":\"10.0.0.2:3260\"}},"
	"\"iqn.2026-11.io.lunette:t4\":{\"params\":{\"header_digest\":\"crc32c\"}},"
	"\"iqn.2026-11.io.lunette:c1\":{\"auth\":{\"chap\":{\"user\":\"u\",\"secret\":\"secretofhosts01\"}}},"
	"\"iqn.2026-11.io.lunette:c2\":{\"auth\":{\"chap\":{\"user\":\"u\",\"secret\":\"secretofhosts01\"},"
	"\"mutual\":{\"user\":\"t\",\"secret\":\"secretoftarget1\"}}}}}";

static struct iscsi_config *config;

static void set_up(void)
{
	json_t *json = json_loads(serve, 0, NULL);

	config = iscsi_config_new(json, NULL);
	json_decref(json);
	if (!config)
		abort();
}

static void touch_response(const struct iscsi_login_response *response)
{
	unsigned sum = 0;

	if (response->data_bytes > ISCSI_LOGIN_DATA_MAX || response->bhs[0] != ISCSI_LOGIN_RESPONSE ||
	    get_be24(response->bhs + 5) != response->data_bytes)
		abort();
	for (uint32_t i = 0; i < response->data_bytes; i++)
		sum += response->data[i];
	if (sum == 1)
		abort(); /* so that the loop is not optimised away; no text has that sum */
}

/* By what iscsi_login_facts() says: is there a proof where the rule asks for one? */
static void check_done(struct iscsi_login *login)
{
	const struct iscsi_login_facts *facts = iscsi_login_facts(login);
	bool chap = facts->discovery || strstr(iscsi_target_name(facts->target), ":c");
	struct iscsi_login_response response;

	if (chap && !facts->authenticated)
		abort();
	if (!facts->discovery && strcmp(iscsi_target_name(facts->target), "iqn.2026-11.io.lunette:t3") == 0)
		abort();
	if (iscsi_login_params(login)->first_burst_bytes > iscsi_login_params(login)->max_burst_bytes)
		abort();
	iscsi_login_finish(login, 0, 1, &response);
	touch_response(&response);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct iscsi_peer peer = { 0 };
	struct iscsi_login *login;
	enum iscsi_login_next next = ISCSI_LOGIN_REPLY;

	if (!config)
		set_up();
	memcpy(&peer.peer, &in, sizeof in);
	memcpy(&peer.local, &in, sizeof in);
	peer.portal = iscsi_config_find_portal(config, "default");
	login = iscsi_login_new(config, 0, &peer);
	while (login && next == ISCSI_LOGIN_REPLY && len_bytes >= 4) {
		uint8_t bhs[ISCSI_BHS_BYTES] = { bytes[0] ^ 0x43, bytes[1], 0 };
		size_t data_bytes = get_be16(bytes + 2);
		struct iscsi_login_response response;
		uint8_t *data;

		bytes += 4;
		len_bytes -= 4;
		data_bytes = data_bytes < len_bytes ? data_bytes : len_bytes;
		put_be24(bhs + 5, (uint32_t)data_bytes);
		data = malloc(data_bytes ? data_bytes : 1);
		memcpy(data, bytes, data_bytes);
		next = iscsi_login_step(login, bhs, data, &response);
		free(data);
		if (next == ISCSI_LOGIN_REPLY || next == ISCSI_LOGIN_FAILED)
			touch_response(&response);
		if (next == ISCSI_LOGIN_FAILED && !*iscsi_login_facts(login)->reason)
			abort();
		if (next == ISCSI_LOGIN_DONE)
			check_done(login);
		bytes += data_bytes;
		len_bytes -= data_bytes;
	}
	iscsi_login_free(login);
	return 0;
}
