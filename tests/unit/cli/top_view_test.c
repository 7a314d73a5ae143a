/* The screen of `lunette top` as text: widths, names, numbers, sorting, scrolling; and the keys of a terminal. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/terminal.h"
#include "cli/top_view.h"

static json_t *item(const char *name, double iops, double latency)
{
	return json_pack("{s:o, s:s, s:{s:f, s:f, s:f, s:n, s:f, s:i, s:i}}", "object", json_sprintf("lun:%s", name), "name", name,
			 "values", "read_iops", iops, "write_iops", iops / 2, "read_latency_p99", latency, "write_latency_p99",
			 "read_bytes_per_s", 4096 * iops, "queue_depth", 3, "size_bytes", 1 << 30);
}

/* Three LUNs: "vol1" with most operations, "vol2" the slowest, "idle" of which nothing is known. */
static json_t *three(void)
{
	return json_pack("{s:[o, o, o]}", "items", json_pack("{s:s, s:{s:n}}", "name", "idle", "values", "read_iops"),
			 item("vol2", 100, 0.25), item("vol1", 12000, 0.0014));
}

static unsigned lines_of(const char *text)
{
	unsigned lines = 1;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* The longest line, in columns; every byte of these tests is one. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (;; text++) {
		size_t len = strcspn(text, "\n");

		width = len > width ? len : width;
		text += len;
		if (!*text)
			return width;
	}
}

static const char *line_of(const char *text, unsigned number, char line[512])
{
	while (number--)
		text += strcspn(text, "\n") + 1;
	snprintf(line, 512, "%.*s", (int)strcspn(text, "\n"), text);
	return line;
}

static char *screen_of(struct top_view *view, const json_t *list, unsigned rows, unsigned columns)
{
	json_t *health = json_pack("{s:s, s:s}", "status", "ok", "summary", "Everything is served.");
	struct top_data data = { .health = health, .list = list };
	struct top_screen screen = top_screen(view, &data, rows, columns);

	assert_non_null(screen.text);
	json_decref(health);
	return screen.text;
}

static void a_screen_says_health_totals_and_the_busiest_first(void **state)
{
	struct top_view view = { 0 };
	json_t *list = three();
	json_t *host = json_pack("{s:[{s:{s:f, s:f, s:f, s:f, s:f}}]}", "items", "values", "read_iops", 12100.0, "write_iops", 6050.0,
				 "read_latency_p99", 0.002, "cpu_percent", 134.4, "read_bytes_per_s", 50e6);
	json_t *health = json_pack("{s:s, s:s}", "status", "ok", "summary", "Everything is served.");
	struct top_data data = { .health = health, .list = list, .host = host };
	struct top_screen screen = top_screen(&view, &data, 24, 100);
	char line[512];

	(void)state;
	assert_string_equal(line_of(screen.text, 0, line), "lunette: ok. Everything is served.");
	assert_string_equal(line_of(screen.text, 1, line),
			    "18.1k IOPS  47.7M/s  p99 2ms  host CPU 134%, memory -  - sessions");
	assert_string_equal(line_of(screen.text, 2, line), "LUNs by iops, 1-3 of 3  (h: help)");
	assert_int_equal(screen.heading, 3);
	assert_ptr_equal(strstr(line_of(screen.text, 3, line), "NAME"), line);
	assert_ptr_equal(strstr(line_of(screen.text, 4, line), "vol1 "), line);
	assert_non_null(strstr(line, " 18k "));
	assert_non_null(strstr(line, " 1.4ms "));
	assert_ptr_equal(strstr(line_of(screen.text, 5, line), "vol2 "), line);
	assert_ptr_equal(strstr(line_of(screen.text, 6, line), "idle "), line);
	assert_non_null(strstr(line, " - "));
	assert_int_equal(lines_of(screen.text), 7);
	free(screen.text);
	json_decref(list);
	json_decref(host);
	json_decref(health);
}

static void no_line_is_wider_and_no_screen_higher_than_the_terminal(void **state)
{
	json_t *list = three();
	static char name[10001];

	(void)state;
	memset(name, 'x', sizeof name - 1);
	json_array_append_new(json_object_get(list, "items"), item(name, 5, 0.1));
	for (unsigned columns = 1; columns <= 300; columns++)
		for (unsigned rows = 1; rows <= 12; rows++)
			for (int help = 0; help < 2; help++) {
				struct top_view view = { .help = help };
				char *text = screen_of(&view, list, rows, columns);

				assert_in_range(width_of(text), 0, columns);
				assert_in_range(lines_of(text), 1, rows);
				free(text);
			}
	json_decref(list);
}

static void a_terminal_of_20_columns_shows_names_and_operations(void **state)
{
	struct top_view view = { 0 };
	json_t *list = three();
	char *text = screen_of(&view, list, 10, 20), line[512];

	(void)state;
	assert_string_equal(line_of(text, 3, line), "NAME            IOPS");
	assert_string_equal(line_of(text, 4, line), "vol1             18k");
	free(text);
	json_decref(list);
}

static void a_wider_terminal_never_shows_fewer_columns(void **state)
{
	json_t *list = three();
	size_t words = 0;

	(void)state;
	for (unsigned columns = 20; columns <= 150; columns++) {
		struct top_view view = { 0 };
		char *text = screen_of(&view, list, 10, columns), line[512], *save = NULL;
		size_t now = 0;

		line_of(text, 3, line);
		for (char *word = strtok_r(line, " ", &save); word; word = strtok_r(NULL, " ", &save))
			now++;
		assert_true(now >= words);
		words = now;
		free(text);
	}
	assert_int_equal(words, 13); /* NAME and the twelve of a LUN */
	json_decref(list);
}

static void a_huge_terminal_is_as_good_as_a_wide_one(void **state)
{
	struct top_view view = { 0 };
	json_t *list = three();
	char *text = screen_of(&view, list, 65535, 65535);

	(void)state;
	assert_int_equal(lines_of(text), 7);
	free(text);
	json_decref(list);
}

static void a_name_cannot_reach_the_terminal_raw(void **state)
{
	struct top_view view = { 0 };
	json_t *list = json_object(), *items = json_array();
	char *text;

	(void)state;
	setlocale(LC_CTYPE, "C.UTF-8");
	json_object_set_new(list, "items", items);
	json_array_append_new(items, item("a\033[2Jb\nc\177d", 1, 1));
	json_array_append_new(items, item("e\xc2\x9b" "31mf", 1, 1)); /* U+009B: CSI in one character */
	json_array_append_new(items, item("g\xe2\x80\xae" "h", 1, 1)); /* U+202E turns the text round */
	text = screen_of(&view, list, 10, 60);
	assert_non_null(strstr(text, "a?[2Jb?c?d "));
	assert_non_null(strstr(text, "e?31mf "));
	assert_non_null(strstr(text, "gh "));
	for (const char *c = text; *c; c++)
		assert_false(((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7f);
	free(text);
	text = top_table(&view, &(struct top_data){ .list = list });
	assert_null(strchr(text, '\033'));
	assert_null(strstr(text, "\xc2\x9b"));
	free(text);
	json_decref(list);
}

static void text_is_cut_by_columns_not_by_bytes(void **state)
{
	static const struct {
		const char *text;
		unsigned room, taken;
		const char *want;
	} cases[] = {
		{ "vol1", 4, 4, "vol1" }, { "vol1", 3, 3, "vo~" }, { "vol1", 1, 1, "~" }, { "vol1", 0, 0, "" }, { "", 5, 0, "" },
		{ "gr\xc3\xb6\xc3\x9f" "e", 5, 5, "gr\xc3\xb6\xc3\x9f" "e" }, { "gr\xc3\xb6\xc3\x9f" "e", 4, 4, "gr\xc3\xb6~" },
		{ "\xe6\x97\xa5\xe6\x9c\xac", 4, 4, "\xe6\x97\xa5\xe6\x9c\xac" }, /* two columns each */
		{ "\xe6\x97\xa5\xe6\x9c\xac", 3, 3, "\xe6\x97\xa5~" }, { "\xe6\x97\xa5\xe6\x9c\xac", 2, 1, "~" },
		{ "\xff\xc3", 5, 2, "??" }, { "e\xcc\x81x", 5, 2, "ex" },
	};
	char text[64];

	(void)state;
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		skip();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(top_fit(cases[i].text, cases[i].room, text, sizeof text), cases[i].taken);
		assert_string_equal(text, cases[i].want);
	}
	assert_int_equal(top_fit("0123456789", 10, text, 6), 5); /* no room in the buffer */
	assert_string_equal(text, "0123~");
	setlocale(LC_CTYPE, "C");
	assert_int_equal(top_fit("\xc3\xb6", 5, text, sizeof text), 2);
	assert_string_equal(text, "??");
}

static void numbers_are_short_and_unknown_is_a_dash(void **state)
{
	static const struct {
		void (*write)(double value, char ret_text[16]);
		double value;
		const char *want;
	} cases[] = {
		{ top_number, NAN, "-" }, { top_number, 0, "0" }, { top_number, 0.5, "0.5" }, { top_number, 999, "999" },
		{ top_number, 1000, "1k" }, { top_number, 12345, "12.3k" }, { top_number, 123456, "123k" },
		{ top_number, 1e300, "99999T" }, { top_number, INFINITY, "99999T" }, { top_number, -INFINITY, "-9999T" },
		{ top_bytes, NAN, "-" }, { top_bytes, 512, "512" }, { top_bytes, 1536, "1.5K" }, { top_bytes, 1 << 30, "1G" },
		{ top_duration, NAN, "-" }, { top_duration, 0.00023, "230us" }, { top_duration, 0.0014, "1.4ms" },
		{ top_duration, 2.04, "2s" }, { top_duration, 0.0360001, "36ms" }, { top_duration, 3600, "3600s" },
	};
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		cases[i].write(cases[i].value, text);
		assert_string_equal(text, cases[i].want);
	}
	for (double value = 1e-9; value < 1e30; value *= 1.07) {
		top_number(value, text);
		assert_in_range(strlen(text), 1, 7);
		top_bytes(value, text);
		assert_in_range(strlen(text), 1, 7);
		top_duration(value, text);
		assert_in_range(strlen(text), 1, 7);
	}
}

static void each_order_has_its_first_and_unknown_is_last(void **state)
{
	static const char *const first[TOP_SORTS] = { "vol1", "vol1", "vol2", "vol2" };
	json_t *list = three();

	(void)state;
	for (int sort = 0; sort < TOP_SORTS; sort++) {
		json_t *sorted = top_sorted(list, (enum top_sort)sort);

		assert_int_equal(json_array_size(sorted), 3);
		assert_string_equal(json_string_value(json_object_get(json_array_get(sorted, 0), "name")), first[sort]);
		assert_string_equal(json_string_value(json_object_get(json_array_get(sorted, 2), "name")), "idle");
		assert_int_equal(top_sort_find(top_sort_names[sort]), sort);
		json_decref(sorted);
	}
	assert_int_equal(top_sort_find("name"), -1);
	assert_int_equal(top_kind_find("host"), -1);
	json_decref(list);
}

static void scrolling_stops_at_the_end(void **state)
{
	struct top_view view = { .first = 1000 };
	json_t *list = json_object(), *items = json_array();
	char name[16], *text, line[512];

	(void)state;
	json_object_set_new(list, "items", items);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "vol%d", i);
		json_array_append_new(items, item(name, 100 - i, 1));
	}
	text = screen_of(&view, list, 14, 80);
	assert_int_equal(view.first, 40);
	assert_string_equal(line_of(text, 2, line), "LUNs by iops, 41-50 of 50  (h: help)");
	assert_ptr_equal(strstr(line_of(text, 13, line), "vol49"), line);
	free(text);
	json_decref(list);
}

static void a_session_is_told_by_its_initiator(void **state)
{
	struct top_view view = { .kind = TOP_SESSION };
	json_t *list = json_pack("{s:[o]}", "items", item("0-7", 5, 0.1));
	json_t *sessions = json_pack("{s:[{s:s, s:s, s:s}]}", "items", "id", "0-7", "initiator", "iqn.a", "target", "iqn.b");
	char *text = top_table(&view, &(struct top_data){ .list = list, .sessions = sessions });

	(void)state;
	assert_non_null(strstr(text, "\n0-7 iqn.a > iqn.b "));
	free(text);
	json_decref(list);
	json_decref(sessions);
}

static void answers_of_any_shape_do_no_harm(void **state)
{
	static const char *const shapes[] = {
		"null", "[]", "{}", "{\"items\":7}", "{\"items\":[]}", "{\"items\":[7,null,\"x\",[]]}", "{\"items\":[{\"name\":7}]}",
		"{\"items\":[{\"name\":\"x\",\"values\":[]}]}", "{\"items\":[{\"name\":\"x\",\"values\":{\"read_iops\":\"many\"}}]}",
		"{\"status\":7,\"summary\":[]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
		for (int kind = 0; kind < TOP_KINDS; kind++) {
			json_t *any = json_loads(shapes[i], JSON_DECODE_ANY, NULL);
			struct top_view view = { .kind = (enum top_kind)kind };
			struct top_data data = { any, any, any, any, "" };
			struct top_screen screen = top_screen(&view, &data, 10, 80);
			char *table = top_table(&view, &data);

			assert_non_null(screen.text);
			assert_non_null(table);
			free(screen.text);
			free(table);
			json_decref(any);
		}
}

static void keys_are_read_from_their_sequences(void **state)
{
	static const struct {
		const char *bytes;
		int key;
		size_t used;
	} cases[] = {
		{ "q", 'q', 1 }, { "qs", 'q', 1 }, { "\033[A", KEY_UP, 3 }, { "\033OBx", KEY_DOWN, 3 }, { "\033[5~", KEY_PAGE_UP, 4 },
		{ "\033[6~q", KEY_PAGE_DOWN, 4 }, { "\033[1;5Aq", KEY_OTHER, 6 }, { "\033", KEY_OTHER, 1 }, { "\033[", KEY_OTHER, 2 },
		{ "\033[12", KEY_OTHER, 4 }, { "\033q", KEY_OTHER, 1 }, { "\xff", 0xff, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t used;

		assert_int_equal(terminal_key(cases[i].bytes, strlen(cases[i].bytes), &used), cases[i].key);
		assert_int_equal(used, cases[i].used);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_screen_says_health_totals_and_the_busiest_first),
		cmocka_unit_test(no_line_is_wider_and_no_screen_higher_than_the_terminal),
		cmocka_unit_test(a_terminal_of_20_columns_shows_names_and_operations),
		cmocka_unit_test(a_wider_terminal_never_shows_fewer_columns),
		cmocka_unit_test(a_huge_terminal_is_as_good_as_a_wide_one),
		cmocka_unit_test(a_name_cannot_reach_the_terminal_raw),
		cmocka_unit_test(text_is_cut_by_columns_not_by_bytes),
		cmocka_unit_test(numbers_are_short_and_unknown_is_a_dash),
		cmocka_unit_test(each_order_has_its_first_and_unknown_is_last),
		cmocka_unit_test(scrolling_stops_at_the_end),
		cmocka_unit_test(a_session_is_told_by_its_initiator),
		cmocka_unit_test(answers_of_any_shape_do_no_harm),
		cmocka_unit_test(keys_are_read_from_their_sequences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
