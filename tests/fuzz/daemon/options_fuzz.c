/* The command line of lunetted. Input: the words, separated by newlines. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/options.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *argv[WORDS_MAX + 2] = { (char[]){ "lunetted" } };
	struct options options;
	struct err err = { 0 };
	int argc = 1;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	while (rest && argc <= WORDS_MAX)
		argv[argc++] = strsep(&rest, "\n");
	if (options_parse(argc, argv, &options, &err) == 0) {
		assert(options.workers <= OPTIONS_WORKERS_MAX && options.reactors <= OPTIONS_REACTORS_MAX);
		assert(options.http.count <= OPTIONS_ADDRESSES_MAX && options.portals.count <= OPTIONS_ADDRESSES_MAX);
		assert(!options.tls_cert == !options.tls_key);
	} else {
		assert(err.text[0]);
	}
	free(text);
	return 0;
}
