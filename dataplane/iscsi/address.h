/*
 * IP addresses as the access rules and SendTargets see them: an IPv4-mapped IPv6 address (::ffff:a.b.c.d, what a dual-stack
 * listener reports) is the IPv4 address. Pure functions.
 */
#ifndef LUNETTE_ISCSI_ADDRESS_H
#define LUNETTE_ISCSI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct ip_address {
	int family;        /* AF_INET, AF_INET6; anything else: matches nothing */
	uint8_t bytes[16]; /* AF_INET: the first four */
	uint16_t port;
};
struct ip_range {
	struct ip_address network;
	uint8_t prefix_bits;
};

struct ip_address ip_address_of(const struct sockaddr_storage *sockaddr);
bool ip_is_loopback(const struct ip_address *address);
bool ip_is_any(const struct ip_address *address);     /* 0.0.0.0, :: */
bool ip_equal(const struct ip_address *a, const struct ip_address *b); /* without the port */

/* "10.0.0.0/8", "fd00::/8", or an address alone. False: malformed. */
bool ip_range_parse(const char *text, struct ip_range *ret_range);
bool ip_range_contains(const struct ip_range *range, const struct ip_address *address);

/* "10.0.0.7:3260" or "[fd00::7]:3260", numeric; a zone ("%eth0") is allowed. False: malformed. */
bool ip_endpoint_parse(const char *text, struct sockaddr_storage *ret_sockaddr);
/* The same form, without zone. Always fits into 64 bytes. */
void ip_endpoint_format(const struct ip_address *address, char *ret_text, size_t room_bytes);

#endif
