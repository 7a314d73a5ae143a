/* Values of CHAP keys and numbers: the decoders stay inside their room and agree with themselves. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/iscsi/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len_bytes)
{
	char *text = malloc(len_bytes + 1);
	size_t rooms[] = { 1, 16, 32, 1024 };
	uint32_t number;

	memcpy(text, bytes, len_bytes);
	text[len_bytes] = '\0';
	for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
		uint8_t *room = malloc(rooms[i]);
		ssize_t len = iscsi_binary_decode(text, room, rooms[i]);

		if (len == 0 || len > (ssize_t)rooms[i])
			abort();
		free(room);
	}
	if (iscsi_number_decode(text, 5, 255, &number) && (number < 5 || number > 255))
		abort();
	if (iscsi_list_choose(text, "5,6,7,8", 0xa) > 3 || iscsi_list_choose(text, "5,6,7,8", 0) != -1)
		abort();
	free(text);
	return 0;
}
