/* An initiator for the login tests: builds Login Requests, feeds a login object, looks at the responses. */
#ifndef LUNETTE_TEST_LOGIN_CLIENT_H
#define LUNETTE_TEST_LOGIN_CLIENT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/config.h"
#include "dataplane/iscsi/login.h"

#define INITIATOR "iqn.1994-05.com.example:h1"
#define TARGET    "iqn.2026-11.io.lunette:t1"

enum { SECURITY = 0, OPERATIONAL = 1, FULL_FEATURE = 3 };
enum { TRANSIT = 0x80, CONTINUE = 0x40 };

static inline struct iscsi_config *config_of(const char *serve)
{
	json_error_t json_err;
	struct err err = { 0 };
	json_t *json = json_loads(serve, 0, &json_err);
	struct iscsi_config *config;

	if (!json)
		fail_msg("test document: %s", json_err.text);
	config = iscsi_config_new(json, &err);
	if (!config)
		fail_msg("test document: %s", err.text);
	json_decref(json);
	return config;
}

/* Single quotes for double ones, to be readable in C. */
static inline struct iscsi_config *config_of_quoted(const char *serve)
{
	char *copy = strdup(serve);
	struct iscsi_config *config;

	for (char *c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	config = config_of(copy);
	free(copy);
	return config;
}

static inline struct sockaddr_storage sockaddr_of(const char *address, uint16_t port)
{
	struct sockaddr_storage storage = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
		memcpy(&storage, &in, sizeof in);
	else if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)
		memcpy(&storage, &in6, sizeof in6);
	else
		fail_msg("address %s", address);
	return storage;
}

static inline struct iscsi_peer peer_of(const struct iscsi_config *config, const char *from, const char *to)
{
	return (struct iscsi_peer){ sockaddr_of(from, 50000), sockaddr_of(to, 3260),
				    iscsi_config_find_portal(config, "default") };
}

struct client {
	struct iscsi_config *config;
	struct iscsi_login *login;
	struct iscsi_login_response response;
	uint8_t bhs[ISCSI_BHS_BYTES]; /* of the next request */
};

static inline struct client client_of(const char *serve)
{
	struct client client = { .config = config_of_quoted(serve) };
	struct iscsi_peer peer = peer_of(client.config, "127.0.0.1", "127.0.0.1");

	client.login = iscsi_login_new(client.config, 0, &peer);
	assert_non_null(client.login);
	client.bhs[0] = 0x43;
	memcpy(client.bhs + 8, "\x00\x02\x3d\x01\x02\x03", 6);
	put_be32(client.bhs + 16, 0x1234);
	put_be16(client.bhs + 20, 1);
	put_be32(client.bhs + 24, 77);
	return client;
}

static inline void client_end(struct client *client)
{
	iscsi_login_free(client->login);
	iscsi_config_unref(client->config);
}

/* flags: TRANSIT, CONTINUE; text: len bytes. The data is a heap copy of its exact size, so that ASan sees an overread. */
static inline enum iscsi_login_next client_send(struct client *client, int csg, int flags, int nsg, const void *text,
						size_t len)
{
	uint8_t *data = malloc(len ? len : 1);
	enum iscsi_login_next next;

	assert_non_null(data);
	if (len)
		memcpy(data, text, len);
	client->bhs[1] = (uint8_t)(flags | csg << 2 | nsg);
	put_be24(client->bhs + 5, (uint32_t)len);
	memset(&client->response, 0xee, sizeof client->response);
	next = iscsi_login_step(client->login, client->bhs, data, &client->response);
	free(data);
	return next;
}

/* text: pairs separated by newlines; each gets its NUL. */
static inline enum iscsi_login_next client_say(struct client *client, int csg, int flags, int nsg, const char *text)
{
	char *copy = strdup(text);
	size_t len = *text ? strlen(text) + 1 : 0;
	enum iscsi_login_next next;

	for (char *c = copy; *c; c++)
		if (*c == '\n')
			*c = '\0';
	next = client_send(client, csg, flags, nsg, copy, len);
	free(copy);
	return next;
}

static inline uint16_t client_status(const struct client *client)
{
	return get_be16(client->response.bhs + 36);
}

/* Value of a key in the last response, in a ring of static buffers; NULL when it is not there. */
static inline const char *client_value(const struct client *client, const char *key)
{
	static char ring[4][9000];
	static unsigned next;
	const char *at = (const char *)client->response.data, *end = at ? at + client->response.data_bytes : NULL;
	size_t len = strlen(key);

	for (; at < end; at += strnlen(at, (size_t)(end - at)) + 1) {
		if ((size_t)(end - at) <= len || memcmp(at, key, len) != 0 || at[len] != '=')
			continue;
		next = (next + 1) % 4;
		snprintf(ring[next], sizeof ring[next], "%s", at + len + 1);
		return ring[next];
	}
	return NULL;
}

/* Finishes a DONE login with success, so that the final response can be looked at. */
static inline void client_finish(struct client *client)
{
	iscsi_login_finish(client->login, 0, 1, &client->response);
}

#define OPEN_SERVE                                                                                             \
	"{'portals':{'default':{'address':'127.0.0.1:3260','tag':1}},'targets':{'" TARGET "':{}}}"
#define NAMES        "InitiatorName=" INITIATOR "\nSessionType=Normal\nTargetName=" TARGET
#define DISCOVERY    "InitiatorName=" INITIATOR "\nSessionType=Discovery"

#endif
