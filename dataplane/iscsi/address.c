#include "dataplane/iscsi/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/iscsi/keys.h"

struct ip_address ip_address_of(const struct sockaddr_storage *sockaddr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ip_address address = { .family = sockaddr->ss_family };
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (sockaddr->ss_family == AF_INET) {
		memcpy(&in, sockaddr, sizeof in);
		memcpy(address.bytes, &in.sin_addr, 4);
		address.port = ntohs(in.sin_port);
	} else if (sockaddr->ss_family == AF_INET6) {
		memcpy(&in6, sockaddr, sizeof in6);
		address.port = ntohs(in6.sin6_port);
		if (memcmp(&in6.sin6_addr, mapped, sizeof mapped) == 0) {
			address.family = AF_INET;
			memcpy(address.bytes, (const uint8_t *)&in6.sin6_addr + 12, 4);
		} else {
			memcpy(address.bytes, &in6.sin6_addr, 16);
		}
	}
	return address;
}

static size_t address_bytes(const struct ip_address *address)
{
	return address->family == AF_INET ? 4 : address->family == AF_INET6 ? 16 : 0;
}

bool ip_is_loopback(const struct ip_address *address)
{
	if (address->family == AF_INET)
		return address->bytes[0] == 127;
	return address->family == AF_INET6 && memcmp(address->bytes, &in6addr_loopback, 16) == 0;
}

bool ip_is_any(const struct ip_address *address)
{
	static const uint8_t zeroes[16];

	return address_bytes(address) && memcmp(address->bytes, zeroes, address_bytes(address)) == 0;
}

bool ip_equal(const struct ip_address *a, const struct ip_address *b)
{
	return a->family == b->family && address_bytes(a) && memcmp(a->bytes, b->bytes, address_bytes(a)) == 0;
}

/* Numeric, either family, IPv4-mapped folded. */
static bool address_parse(const char *text, struct ip_address *ret_address)
{
	struct sockaddr_storage sockaddr = { 0 };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		memcpy(&sockaddr, &in, sizeof in);
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		memcpy(&sockaddr, &in6, sizeof in6);
	else
		return false;
	*ret_address = ip_address_of(&sockaddr);
	return true;
}

bool ip_range_parse(const char *text, struct ip_range *ret_range)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char address[INET6_ADDRSTRLEN];
	struct ip_range range;
	uint32_t bits, all;

	if (len >= sizeof address)
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (!address_parse(address, &range.network))
		return false;
	all = range.network.family == AF_INET ? 32 : 128;
	bits = all;
	if (slash && !iscsi_number_decode(slash + 1, 0, all, &bits))
		return false;
	range.prefix_bits = (uint8_t)bits;
	*ret_range = range;
	return true;
}

bool ip_range_contains(const struct ip_range *range, const struct ip_address *address)
{
	unsigned whole = range->prefix_bits / 8, rest = range->prefix_bits % 8;

	if (range->network.family != address->family || memcmp(range->network.bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 || (range->network.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

bool ip_endpoint_parse(const char *text, struct sockaddr_storage *ret_sockaddr)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	bool bracketed = text[0] == '[';
	const char *close = bracketed ? strchr(text, ']') : strchr(text, ':'), *host_at = text + bracketed;
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE], *zone;
	uint32_t port;
	size_t len = close ? (size_t)(close - host_at) : sizeof host;

	if (len >= sizeof host || (bracketed && close[1] != ':') ||
	    !iscsi_number_decode(close + 1 + bracketed, 1, 65535, &port))
		return false;
	memcpy(host, host_at, len);
	host[len] = '\0';
	memset(ret_sockaddr, 0, sizeof *ret_sockaddr);
	in.sin_port = in6.sin6_port = htons((uint16_t)port);
	if (!bracketed) {
		if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
			return false;
		memcpy(ret_sockaddr, &in, sizeof in);
		return true;
	}
	zone = strchr(host, '%');
	if (zone) {
		*zone = '\0';
		in6.sin6_scope_id = if_nametoindex(zone + 1);
	}
	if (inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
		return false;
	memcpy(ret_sockaddr, &in6, sizeof in6);
	return true;
}

void ip_endpoint_format(const struct ip_address *address, char *ret_text, size_t room_bytes)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address_bytes(address))
		inet_ntop(address->family, address->bytes, host, sizeof host);
	snprintf(ret_text, room_bytes, address->family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, address->port);
}
