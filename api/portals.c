/* Listening sockets of portals: see portals.h. */
#include "api/portals.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

/* --- addresses --- */

static int parse(const char *address, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(address, ':'), *host = address;
	struct addrinfo *info;
	char text[80];
	size_t len;

	if (!colon || colon == address)
		return -EINVAL;
	len = (size_t)(colon - address);
	if (address[0] == '[' && address[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(address, ':', len)) {
		return -EINVAL;
	}
	snprintf(text, sizeof text, "%.*s", (int)len, host);
	if (getaddrinfo(text, colon + 1, &hints, &info))
		return -EINVAL;
	memcpy(ret, info->ai_addr, info->ai_addrlen);
	*ret_len = info->ai_addrlen;
	freeaddrinfo(info);
	return 0;
}

bool address_is_loopback(const char *address)
{
	struct sockaddr_storage s;
	socklen_t len;

	if (parse(address, &s, &len))
		return false;
	if (s.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *)(void *)&s)->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)(void *)&s)->sin6_addr);
}

void socket_bound(int fd, char *ret_bound)
{
	struct sockaddr_storage s = { 0 };
	socklen_t len = sizeof s;
	char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";

	getsockname(fd, (struct sockaddr *)&s, &len);
	getnameinfo((struct sockaddr *)&s, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(ret_bound, 80, s.ss_family == AF_INET6 ? "[%.64s]:%.8s" : "%.64s:%.8s", host, port);
}

int socket_listen(const char *address, char *ret_bound, struct err *err)
{
	struct sockaddr_storage s;
	socklen_t len;
	int fd, error, on = 1;

	if (parse(address, &s, &len))
		return err_set(err, -EINVAL, "\"%s\" is no address with a port, like 127.0.0.1:3260 or [::1]:3260", address);
	fd = socket(s.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(err, -errno, "cannot make a socket for %s", address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (s.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&s, len) || listen(fd, PORTAL_BACKLOG)) {
		error = -errno;
		close(fd);
		return err_errno(err, error, "cannot listen on %s", address);
	}
	socket_bound(fd, ret_bound);
	return fd;
}

/* --- sockets kept by the supervisor --- */

void portals_keep(struct portals *portals, const char *name, int fd)
{
	struct msg_KEEP_FD message = { .fd = fd };

	snprintf(message.name, sizeof message.name, "%s", name);
	if (channel_send(portals->supervisor_fd, MSG_KEEP_FD, &message))
		log_warning("cannot leave a listening socket with the supervisor name=%s", name);
}

void portals_kept(struct portals *portals, const char *name, int fd)
{
	struct kept_socket *kept = calloc(1, sizeof *kept);

	portals->anything_kept = true;
	if (!kept) {
		close(fd);
		return;
	}
	snprintf(kept->name, sizeof kept->name, "%s", name);
	kept->fd = fd;
	list_append(&portals->kept, &kept->link);
}

int portals_take_kept(struct portals *portals, const char *name)
{
	list_for_each_safe(pos, &portals->kept) {
		struct kept_socket *kept = container_of(pos, struct kept_socket, link);
		int fd = kept->fd;

		if (strcmp(kept->name, name) != 0)
			continue;
		list_remove(&kept->link);
		free(kept);
		return fd;
	}
	return -1;
}

static void give_up(struct portals *portals, const char *name)
{
	struct msg_DROP_FD message;

	snprintf(message.name, sizeof message.name, "%s", name);
	channel_send(portals->supervisor_fd, MSG_DROP_FD, &message);
}

void portals_drop_kept(struct portals *portals)
{
	list_for_each_safe(pos, &portals->kept) {
		struct kept_socket *kept = container_of(pos, struct kept_socket, link);

		give_up(portals, kept->name);
		list_remove(&kept->link);
		close(kept->fd);
		free(kept);
	}
}

/* --- portals --- */

static void keep_name(const struct portal *portal, char *text, size_t size)
{
	snprintf(text, size, "portal:%s:%s", portal->name, portal->address);
}

static void send_listen(const struct portal *portal, const struct worker *worker)
{
	struct msg_LISTEN message = { .tag = portal->tag, .fd = portal->fd };

	snprintf(message.name, sizeof message.name, "%s", portal->name);
	snprintf(message.address, sizeof message.address, "%s", portal->bound);
	if (portal->fd >= 0 && channel_send(worker->watch.fd, MSG_LISTEN, &message))
		log_warning("cannot send a portal to worker%u name=%s", worker->index, portal->name);
}

static bool listens(const struct worker *worker)
{
	return worker_up(worker) && worker->listens;
}

static void announce(const struct portals *portals, const struct portal *portal)
{
	for (unsigned i = 0; i < portals->workers->count; i++)
		if (listens(&portals->workers->worker[i]))
			send_listen(portal, &portals->workers->worker[i]);
}

static void open_portal(struct portals *portals, struct portal *portal)
{
	struct err err = { 0 };
	char name[256];

	keep_name(portal, name, sizeof name);
	portal->fd = portals_take_kept(portals, name);
	if (portal->fd >= 0) {
		socket_bound(portal->fd, portal->bound);
	} else {
		portal->fd = socket_listen(portal->address, portal->bound, &err);
		if (portal->fd < 0) {
			if (strcmp(portal->trouble, err.text) != 0)
				log_warning("portal not served name=%s: %s", portal->name, err.text);
			snprintf(portal->trouble, sizeof portal->trouble, "%.255s", err.text);
			portal->fd = -1;
			loop_timer_start(portals->loop, &portals->retry, PORTAL_RETRY_MS);
			return;
		}
		portals_keep(portals, name, portal->fd);
	}
	portal->trouble[0] = '\0';
	announce(portals, portal);
}

static void withdraw(struct portals *portals, const struct portal *portal)
{
	struct msg_UNLISTEN message;

	snprintf(message.name, sizeof message.name, "%s", portal->name);
	workers_broadcast(portals->workers, MSG_UNLISTEN, &message);
}

/* Another tag on the same socket: nobody who connects meanwhile is refused. */
static void change_tag(struct portals *portals, struct portal *portal, uint32_t tag)
{
	portal->tag = tag;
	if (portal->fd < 0)
		return;
	withdraw(portals, portal);
	announce(portals, portal);
}

static void close_portal(struct portals *portals, struct portal *portal)
{
	char name[256];

	if (portal->fd < 0)
		return;
	withdraw(portals, portal);
	keep_name(portal, name, sizeof name);
	give_up(portals, name);
	close(portal->fd);
	portal->fd = -1;
	portal->bound[0] = '\0';
}

static void retry(struct loop_timer *timer)
{
	struct portals *portals = container_of(timer, struct portals, retry);

	list_for_each(pos, &portals->list) {
		struct portal *portal = container_of(pos, struct portal, link);

		if (portal->fd < 0)
			open_portal(portals, portal);
	}
}

void portals_init(struct portals *portals, struct loop *loop, struct workers *workers, int supervisor_fd)
{
	memset(portals, 0, sizeof *portals);
	list_init(&portals->list);
	list_init(&portals->kept);
	portals->loop = loop;
	portals->workers = workers;
	portals->supervisor_fd = supervisor_fd;
	loop_timer_init(&portals->retry, retry);
}

void portals_fini(struct portals *portals)
{
	loop_timer_stop(&portals->retry);
	for (struct list *node; (node = list_take(&portals->list));) {
		struct portal *portal = container_of(node, struct portal, link);

		if (portal->fd >= 0)
			close(portal->fd);
		free(portal);
	}
	for (struct list *node; (node = list_take(&portals->kept));) {
		struct kept_socket *kept = container_of(node, struct kept_socket, link);

		close(kept->fd);
		free(kept);
	}
}

const struct portal *portals_find(const struct portals *portals, const char *name)
{
	list_for_each(pos, &portals->list) {
		struct portal *portal = container_of(pos, struct portal, link);

		if (strcmp(portal->name, name) == 0)
			return portal;
	}
	return NULL;
}

static struct portal *new_portal(struct portals *portals, const char *name)
{
	struct portal *portal = calloc(1, sizeof *portal);

	if (!portal)
		return NULL;
	snprintf(portal->name, sizeof portal->name, "%s", name);
	portal->fd = -1;
	list_append(&portals->list, &portal->link);
	return portal;
}

static void apply_one(struct portals *portals, const char *name, const char *address, uint32_t tag)
{
	struct portal *portal = (struct portal *)(uintptr_t)portals_find(portals, name);

	if (!portal)
		portal = new_portal(portals, name);
	if (!portal || !address)
		return;
	portal->wanted = true;
	if (portal->tag != tag)
		change_tag(portals, portal, tag);
	if (strcmp(portal->address, address) == 0)
		return;
	close_portal(portals, portal);
	snprintf(portal->address, sizeof portal->address, "%s", address);
	open_portal(portals, portal);
}

void portals_apply(struct portals *portals, const json_t *configured)
{
	const char *name;
	json_t *row;

	list_for_each(pos, &portals->list)
		container_of(pos, struct portal, link)->wanted = false;
	json_object_foreach((json_t *)(uintptr_t)configured, name, row) {
		json_t *tag = json_object_get(row, "tag");

		apply_one(portals, name, json_string_value(json_object_get(row, "address")),
			  tag ? (uint32_t)json_integer_value(tag) : 1);
	}
	list_for_each_safe(pos, &portals->list) {
		struct portal *portal = container_of(pos, struct portal, link);

		if (portal->wanted)
			continue;
		close_portal(portals, portal);
		list_remove(&portal->link);
		free(portal);
	}
}

void portals_send_to(struct portals *portals, struct worker *worker)
{
	list_for_each(pos, &portals->list)
		send_listen(container_of(pos, struct portal, link), worker);
}

json_t *portal_status(const struct portals *portals, const char *name)
{
	const struct portal *portal = portals_find(portals, name);

	if (portal && portal->fd >= 0)
		return json_pack("{s:s, s:s}", "state", "listening", "address", portal->bound);
	return json_pack("{s:s, s:s}", "state", "error", "detail", portal ? portal->trouble : "not bound yet");
}
