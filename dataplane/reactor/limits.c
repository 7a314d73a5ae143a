/*
 * How many connections a worker holds, all together and from one address. Loopback addresses have no limit of their own.
 * The table is of this process: connections of every reactor count. Any thread; one lock, taken once a connection.
 *
 * A descriptor is the lowest number that is free. One that leaves fewer than FILES_RESERVED above it is not for a
 * connection: LUNs must be opened and messages received whatever strangers do.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "dataplane/reactor/internal.h"
#include "hash.h"
#include "log.h"

#define BUCKETS        1024
#define FILES_RESERVED 1024 /* or half of them all, where that is less */

struct address_count {
	struct list link;
	struct in6_addr address; /* IPv4 as mapped */
	uint32_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct list buckets[BUCKETS];
static bool ready;
static uint32_t total, max_total = 16384, max_per_address = 1024;
static rlim_t files_for_connections = RLIM_INFINITY;

static void make_ready(void)
{
	for (unsigned i = 0; !ready && i < BUCKETS; i++)
		list_init(&buckets[i]);
	ready = true;
}

void worker_set_limits(uint32_t max_connections, uint32_t max_connections_per_address)
{
	struct rlimit files;
	bool known = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY;

	pthread_mutex_lock(&lock);
	if (known)
		files_for_connections =
			files.rlim_cur - (files.rlim_cur / 2 < FILES_RESERVED ? files.rlim_cur / 2 : FILES_RESERVED);
	max_total = max_connections;
	max_per_address = max_connections_per_address;
	pthread_mutex_unlock(&lock);
}

static struct in6_addr address_of(const struct iscsi_peer *peer)
{
	struct in6_addr address = IN6ADDR_ANY_INIT;

	if (peer->peer.ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)&peer->peer)->sin6_addr;
	address.s6_addr[10] = address.s6_addr[11] = 0xff;
	memcpy(&address.s6_addr[12], &((const struct sockaddr_in *)&peer->peer)->sin_addr, 4);
	return address;
}

static bool is_loopback(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) || (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static struct list *bucket(const struct in6_addr *address)
{
	return &buckets[hash_bytes(HASH_START, address, sizeof *address) % BUCKETS];
}

static struct address_count *find(const struct in6_addr *address)
{
	list_for_each(node, bucket(address)) {
		struct address_count *entry = container_of(node, struct address_count, link);

		if (memcmp(&entry->address, address, sizeof *address) == 0)
			return entry;
	}
	return NULL;
}

/* Lock held. NULL: allowed and counted; otherwise which limit was met. */
static const char *count_in(const struct in6_addr *address, int fd)
{
	struct address_count *entry = find(address);

	if ((rlim_t)fd >= files_for_connections)
		return "open files";
	if (total >= max_total)
		return "max_connections";
	if (!entry) {
		entry = calloc(1, sizeof *entry);
		if (!entry)
			return "memory";
		entry->address = *address;
		list_append(bucket(address), &entry->link);
	}
	if (max_per_address && entry->count >= max_per_address && !is_loopback(address))
		return "max_connections_per_address";
	entry->count++;
	total++;
	return NULL;
}

bool worker_admit_connection(struct worker *worker, const struct iscsi_peer *peer, int fd)
{
	struct in6_addr address = address_of(peer);
	const char *limit;

	pthread_mutex_lock(&lock);
	make_ready();
	limit = count_in(&address, fd);
	pthread_mutex_unlock(&lock);
	if (limit)
		log_limited(LOG_WARNING, "connection refused, limit %s is met on worker %u", limit, worker->options->index);
	return limit == NULL;
}

void worker_connection_closed(const struct iscsi_peer *peer)
{
	struct in6_addr address = address_of(peer);
	struct address_count *entry;

	pthread_mutex_lock(&lock);
	entry = find(&address);
	if (entry && --entry->count == 0) {
		list_remove(&entry->link);
		free(entry);
	}
	total--;
	pthread_mutex_unlock(&lock);
}

unsigned worker_connections(void)
{
	unsigned count;

	pthread_mutex_lock(&lock);
	count = total;
	pthread_mutex_unlock(&lock);
	return count;
}
