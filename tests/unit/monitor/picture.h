/*
 * Reading SVG in tests: is it well-formed, which elements of a class does it have, what do they say, where do texts lie.
 */
#ifndef TESTS_UNIT_MONITOR_PICTURE_H
#define TESTS_UNIT_MONITOR_PICTURE_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define PICTURE_DEPTH_MAX 32

/* The end of the entity that starts at `at` ("&amp;"), or NULL: not one that every XML parser knows. */
static inline const char *picture_entity(const char *at)
{
	static const char *const entities[] = { "&lt;", "&gt;", "&amp;", "&quot;" };

	for (unsigned i = 0; i < 4; i++)
		if (strncmp(at, entities[i], strlen(entities[i])) == 0)
			return at + strlen(entities[i]);
	return NULL;
}

/* ` name="value"` and so on up to the end of the tag, or NULL. */
static inline const char *picture_attributes(const char *at)
{
	while (*at == ' ') {
		size_t name = strspn(++at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789");

		at += name;
		if (name == 0 || at[0] != '=' || at[1] != '"')
			return NULL;
		for (at += 2; *at != '"';) {
			if (*at == '\0' || *at == '<' || (unsigned char)*at < 0x20)
				return NULL;
			at = *at == '&' ? picture_entity(at) : at + 1;
			if (!at)
				return NULL;
		}
		at++;
	}
	return at;
}

/* Every tag is closed by its own, attributes are quoted, nothing is in the text that XML cannot say. */
static inline bool picture_is_well_formed(const char *at)
{
	const char *open[PICTURE_DEPTH_MAX];
	size_t open_len[PICTURE_DEPTH_MAX];
	unsigned depth = 0;

	while (*at) {
		size_t len;

		if (*at == '&' || ((unsigned char)*at < 0x20 && *at != '\n')) {
			at = *at == '&' ? picture_entity(at) : NULL;
			if (!at)
				return false;
			continue;
		}
		if (*at != '<') {
			if (depth == 0 && *at != '\n')
				return false;
			at++;
			continue;
		}
		if (at[1] == '/') {
			at += 2;
			if (depth-- == 0 || strncmp(at, open[depth], open_len[depth]) != 0 || at[open_len[depth]] != '>')
				return false;
			at += open_len[depth] + 1;
			continue;
		}
		len = strspn(++at, "abcdefghijklmnopqrstuvwxyzG");
		if (len == 0 || depth == PICTURE_DEPTH_MAX)
			return false;
		open[depth] = at;
		open_len[depth++] = len;
		at = picture_attributes(at + len);
		if (!at || (*at == '/' && at[1] != '>') || (*at != '/' && *at != '>'))
			return false;
		if (*at == '/')
			depth--;
		at += *at == '/' ? 2 : 1;
	}
	return depth == 0;
}

/* The next element whose tag has the text `mark`, such as class="third"; NULL: none. */
static inline const char *picture_next(const char *at, const char *mark)
{
	const char *found = at ? strstr(at, mark) : NULL;

	while (found && found > at && *found != '<')
		found--;
	return found;
}

static inline unsigned picture_count(const char *svg, const char *mark)
{
	unsigned count = 0;

	for (const char *at = strstr(svg, mark); at; at = strstr(at + 1, mark))
		count++;
	return count;
}

/* The attribute of the element that starts at `tag` as a number; NAN: it has none. */
static inline double picture_number(const char *tag, const char *name)
{
	const char *end = strchr(tag, '>');
	char mark[64];
	const char *at;

	snprintf(mark, sizeof mark, " %s=\"", name);
	at = strstr(tag, mark);
	return at && at < end ? strtod(at + strlen(mark), NULL) : NAN;
}

struct picture_text {
	double left, right, baseline;
	bool turned;
	const char *tag;
};

/* Where the texts of the picture lie, by what a character is wide at least. Returns their number. */
static inline size_t picture_texts(const char *svg, struct picture_text *ret_text, size_t room)
{
	size_t count = 0;
	const char *turned_end = svg;

	for (const char *at = svg; *at && count < room; at++) {
		double width = 0, x;

		if (strncmp(at, "<g transform", 12) == 0)
			turned_end = strstr(at, "</g>");
		if (strncmp(at, "<text ", 6) != 0)
			continue;
		for (const char *c = strchr(at, '>') + 1; *c != '<'; c++) {
			width += ((unsigned char)*c & 0xc0) != 0x80 ? (strchr("iljt.:,1 /", *c) ? 3.2 : 5.4) : 0;
			c = *c == '&' ? picture_entity(c) - 1 : c;
		}
		x = picture_number(at, "x");
		if (strstr(at, "text-anchor=\"middle\"") && strstr(at, "text-anchor=\"middle\"") < strchr(at, '>'))
			x -= width / 2;
		if (strstr(at, "text-anchor=\"end\"") && strstr(at, "text-anchor=\"end\"") < strchr(at, '>'))
			x -= width;
		ret_text[count++] = (struct picture_text){ x, x + width, picture_number(at, "y"), at < turned_end, at };
	}
	return count;
}

/* No text is cut by the edge of the picture or lies on another. */
static inline void picture_check_texts(const char *svg, unsigned width_px, unsigned height_px)
{
	static struct picture_text text[4096];
	size_t count = picture_texts(svg, text, sizeof text / sizeof text[0]);

	assert_true(count > 0 && count < sizeof text / sizeof text[0]);
	for (size_t i = 0; i < count; i++) {
		if (text[i].turned)
			continue;
		if (text[i].left < -0.5 || text[i].right > width_px + 0.5 || text[i].baseline < 8 || text[i].baseline > height_px)
			fail_msg("%ux%u: outside: %.120s", width_px, height_px, text[i].tag);
		for (size_t k = 0; k < i; k++)
			if (!text[k].turned && fabs(text[i].baseline - text[k].baseline) < 8 && text[i].left < text[k].right &&
			    text[k].left < text[i].right)
				fail_msg("%ux%u: one on the other: %.120s\n%.120s", width_px, height_px, text[i].tag, text[k].tag);
	}
}

#endif
