/* Addresses, ranges and endpoints as they stand in the configuration: what is accepted comes back the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_storage sockaddr, again;
	char *text = malloc(size + 1), formatted[64];
	struct ip_address address;
	struct ip_range range;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (ip_range_parse(text, &range)) {
		assert(range.prefix_bits <= (range.network.family == AF_INET ? 32 : 128));
		assert(ip_range_contains(&range, &range.network));
	}
	if (ip_endpoint_parse(text, &sockaddr)) {
		address = ip_address_of(&sockaddr);
		ip_endpoint_format(&address, formatted, sizeof formatted);
		assert(ip_endpoint_parse(formatted, &again));
		assert(ip_address_of(&again).port == address.port);
	}
	free(text);
	return 0;
}
