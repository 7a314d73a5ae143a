#include "json_text.h"

#include <stdio.h>
#include <stdlib.h>

static __thread bool out_of_memory; /* some allocation of jansson's failed on this thread */
static __thread bool reading;       /* in json_read() */

/* A string that had no room for its closing quote is looked through for it beyond its end, and copied. Before that, jansson
 * asks for room for the copy: once something failed it gets none. */
static void *allocate(size_t len_bytes)
{
	void *memory = reading && out_of_memory ? NULL : malloc(len_bytes);

	out_of_memory |= !memory;
	return memory;
}

__attribute__((constructor)) void json_watch_memory(void)
{
	json_set_alloc_funcs(allocate, free);
}

void json_memory_begin(void)
{
	out_of_memory = false;
}

bool json_memory_sufficed(void)
{
	return !out_of_memory;
}

char *json_text(const json_t *json, size_t flags)
{
	bool failed_before = out_of_memory, failed;
	char *text;

	out_of_memory = false;
	text = json_dumps(json, flags);
	failed = out_of_memory;
	out_of_memory |= failed_before;
	if (!failed)
		return text;
	free(text);
	return NULL;
}

json_t *json_read(const char *text, size_t len_bytes, size_t flags, json_error_t *ret_error)
{
	bool failed_before = out_of_memory, failed;
	json_t *json;

	out_of_memory = false;
	reading = true;
	json = json_loadb(text, len_bytes, flags, ret_error);
	reading = false;
	failed = out_of_memory;
	out_of_memory |= failed_before;
	if (!failed)
		return json;
	json_decref(json);
	if (ret_error)
		snprintf(ret_error->text, sizeof ret_error->text, "out of memory");
	return NULL;
}
