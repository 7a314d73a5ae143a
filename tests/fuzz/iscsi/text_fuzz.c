/* Text requests of the full feature phase. The first byte: discovery or normal session; the rest is the text. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

static const char serve[] =
	"{\"portals\":{\"default\":{\"address\":\"0.0.0.0:3260\"}},\"targets\":{\"iqn.2026-11.io.lunette:t1\":{},"
	"\"iqn.2026-11.io.lunette:t2\":{\"open\":true},\"iqn.2026-11.io.lunette:t3\":{\"initiators\":{\"iqn.2000-01.x\":{}}}}}";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	static struct iscsi_config *config;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct iscsi_login_facts facts = { .initiator_name = "iqn.2000-01.y" };
	struct iscsi_params params = { .max_send_bytes = 8192 };
	struct iscsi_peer peer = { 0 };
	char *answer, *text;
	uint8_t reject;
	size_t len;

	if (!config) {
		json_t *json = json_loads(serve, 0, NULL);

		config = iscsi_config_new(json, NULL);
		json_decref(json);
	}
	if (!len_bytes)
		return 0;
	memcpy(&peer.peer, &in, sizeof in);
	memcpy(&peer.local, &in, sizeof in);
	peer.portal = iscsi_config_find_portal(config, "default");
	facts.discovery = bytes[0] & 1;
	if (!facts.discovery)
		facts.target = iscsi_config_find_target(config, "iqn.2026-11.io.lunette:t1");
	text = malloc(len_bytes);
	memcpy(text, bytes + 1, len_bytes - 1);
	answer = iscsi_text_answer(config, &facts, &peer, text, len_bytes - 1, &params, &len, &reject);
	if (!answer == !reject || (answer && len && answer[len - 1]) || params.max_send_bytes < 512)
		abort();
	/* t3 is nothing for this initiator; a normal session learns of no target but its own. */
	if (answer && (memmem(answer, len, "TargetName=iqn.2026-11.io.lunette:t3", 36) ||
		       (!facts.discovery && memmem(answer, len, "TargetName=iqn.2026-11.io.lunette:t2", 36))))
		abort();
	free(answer);
	free(text);
	return 0;
}
