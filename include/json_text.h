/*
 * JSON from and to text, whole or not at all. When jansson (2.14 at least) has no memory it may go on: json_dumps() leaves out
 * the key of a member, json_loads() shortens a string, and both succeed; or json_loads() writes beyond a string that lost its
 * closing quote. Everything that becomes a document, a message or an answer, or comes from one, goes through here.
 */
#ifndef LUNETTE_JSON_TEXT_H
#define LUNETTE_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>

/* json_dumps() and json_loadb(), with their flags; NULL also when there was no memory for something. The caller frees. */
char *json_text(const json_t *json, size_t flags);
json_t *json_read(const char *text, size_t len_bytes, size_t flags, json_error_t *ret_error);

/* Around what builds something of many pieces: whether jansson had all the memory that it asked for on this thread since. */
void json_memory_begin(void);
bool json_memory_sufficed(void);

/* Lets jansson allocate by us, to see what fails. Done when a program starts that uses the two; tests do it by themselves. */
void json_watch_memory(void);

#endif
