/* Answers for people and for programs. Text that came from the service is made harmless for a terminal. */
#ifndef LUNETTE_CLI_OUTPUT_H
#define LUNETTE_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The value as JSON, indented, with a newline. */
void output_json(FILE *out, const json_t *value);
/* The objects of an array as a table. columns: "HEADING=member HEADING=a.b:size" (command.h). */
void output_table(FILE *out, const json_t *items, const char *columns);
/* One "member: value" a line, nested ones as a.b; arrays of objects as indented blocks. */
void output_object(FILE *out, const json_t *object);
/* "warnings" and "unreachable" of an answer, on standard error. */
void output_warnings(const json_t *answer);
/* One value for people: text, number, yes/no, "a,b", "-". format: "", "size", "count". malloc'ed; never NULL but without
 * memory. */
char *output_value(const json_t *value, const char *format);
/* "text" printed with control characters as '?'. */
void output_text(FILE *out, const char *text);

#endif
