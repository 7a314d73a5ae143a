/* The serve document: what is accepted can be asked everything. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

static void ask(const struct iscsi_config *config, const json_t *serve)
{
	static const char initiator[] = "iqn.1994-05.com.example:h1";
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct iscsi_peer peer = { 0 };
	struct iscsi_grant grant;
	const char *name;
	json_t *value;
	unsigned count;
	size_t len;

	memcpy(&peer.peer, &in, sizeof in);
	memcpy(&peer.local, &in, sizeof in);
	peer.portal = iscsi_config_find_portal(config, "default");
	json_object_foreach(json_object_get(serve, "targets"), name, value) {
		const struct iscsi_target *target = iscsi_config_find_target(config, name);

		if (!target || strcmp(iscsi_target_name(target), name) != 0)
			abort();
		iscsi_access_check(config, target, initiator, &peer, &grant);
		free(iscsi_target_luns(target, initiator, &count));
		iscsi_target_relative_port(target, 1);
	}
	free(iscsi_send_targets(config, "All", NULL, initiator, &peer, &len));
	iscsi_discovery_auth(config, &grant.auth);
	if (grant.auth.mutual && secret_equal(&grant.auth.peer.secret, &grant.auth.own.secret))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	json_t *serve = json_loadb((const char *)bytes, len_bytes, JSON_DECODE_ANY, NULL);
	struct iscsi_config *config;
	struct err err = { 0 };

	if (!serve)
		return 0;
	config = iscsi_config_new(serve, &err);
	if (!config && (!err.code || !*err.text))
		abort();
	if (config)
		ask(config, serve);
	iscsi_config_unref(config);
	json_decref(serve);
	return 0;
}
