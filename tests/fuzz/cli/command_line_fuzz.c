/* The command line of `lunette`, and sizes as it takes them. Input: the words, separated by newlines. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/size.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_size(const char *text)
{
	char formatted[64];
	int64_t bytes;

	if (size_parse(text, &bytes) != 0)
		return;
	assert(bytes >= 0);
	size_format(bytes, formatted, sizeof formatted);
	assert(formatted[0] && strlen(formatted) < sizeof formatted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *argv[WORDS_MAX + 2] = { (char[]){ "lunette" } };
	struct invocation invocation;
	struct err err = { 0 };
	int argc = 1;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	while (rest && argc <= WORDS_MAX)
		argv[argc++] = strsep(&rest, "\n");
	for (int i = 1; i < argc; i++)
		check_size(argv[i]);
	if (invocation_parse(argc, argv, &invocation, &err) != 0)
		assert(err.text[0]);
	free(text);
	return 0;
}
