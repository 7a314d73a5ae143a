/* Choosing what a client takes: the Accept and Accept-Encoding headers (RFC 9110 section 12.5). Pure; safe on any text. */
#ifndef LUNETTE_API_ACCEPT_H
#define LUNETTE_API_ACCEPT_H

#include <stdbool.h>

/* Index of the type of `types` (type/subtype, best first) that `accept` (RFC 9110 section 12.5.1) likes most; -1: none of
 * them. "" likes all. */
int accept_choose(const char *accept, const char *const *types, int count);
/* `text` (RFC 9110 section 12.5.3) takes the content coding. */
bool encoding_accepted(const char *text, const char *coding);

#endif
