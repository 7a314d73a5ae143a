/* The ring of events and the streams that read it. */
#include "api/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct loop loop;
static struct events events;
static struct stream *stream;
static unsigned wakes;

static void wake(void *reader)
{
	assert_ptr_equal(reader, &stream);
	wakes++;
}

static void leave(void)
{
	if (stream)
		stream->leave(stream);
	stream = NULL;
}

static void join(const char *last_event_id)
{
	leave();
	stream = events_join(&events, last_event_id);
	assert_non_null(stream);
	stream->wake = wake;
	stream->reader = &stream;
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	events_init(&events, &loop);
	wakes = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	leave();
	events_fini(&events);
	loop_fini(&loop);
	return 0;
}

/* All that there is to read, in pieces of `size`. */
static void drain(char *text, size_t room, size_t size)
{
	size_t len = 0, n;

	while ((n = stream->read(stream, text + len, size < room - len - 1 ? size : room - len - 1)) > 0)
		len += n;
	text[len] = '\0';
}

static void a_stream_starts_with_the_next_event(void **state)
{
	char text[4096];

	(void)state;
	events_add(&events, "old", "x", "before");
	join("");
	events_add(&events, "new", "x", "after %d", 1);
	assert_int_equal(wakes, 1);
	drain(text, sizeof text, sizeof text);
	assert_null(strstr(text, "before"));
	assert_non_null(strstr(text, "event: new\ndata: {"));
	assert_non_null(strstr(text, "after 1"));
}

static void small_reads_give_the_same_bytes(void **state)
{
	char whole[4096], pieces[4096], last[32];

	(void)state;
	snprintf(last, sizeof last, "%llu", (unsigned long long)events.next_id - 1);
	for (int i = 0; i < 5; i++)
		events_add(&events, "kind", "object", "text number %d", i);
	join(last);
	drain(whole, sizeof whole, sizeof whole);
	join(last);
	drain(pieces, sizeof pieces, 7);
	assert_string_equal(whole, pieces);
	assert_non_null(strstr(whole, "number 4"));
}

static void a_stream_that_missed_events_is_told(void **state)
{
	static char text[1 << 20];
	char first[64];

	(void)state;
	join("");
	for (int i = 0; i < EVENTS_KEPT + 10; i++)
		events_add(&events, "kind", "object", "number <%d>", i);
	drain(text, sizeof text, 4096);
	snprintf(first, sizeof first, "event: lost\ndata: {\"first_id\":%llu}", (unsigned long long)events.first_id);
	assert_non_null(strstr(text, first));
	assert_null(strstr(text, "number <9>"));
	assert_non_null(strstr(text, "number <10>"));
}

static void text_of_a_peer_cannot_make_an_event_of_its_own(void **state)
{
	char text[4096];

	(void)state;
	join("");
	events_add(&events, "login", "session:\n\nevent: evil", "a\n\nid: 1\xff");
	drain(text, sizeof text, sizeof text);
	assert_null(strstr(text, "\nevent: evil"));
	assert_null(strstr(text, "\nid: 1\n"));
}

static void streams_are_limited(void **state)
{
	struct stream *many[EVENT_STREAMS_MAX];

	(void)state;
	for (int i = 0; i < EVENT_STREAMS_MAX; i++) {
		many[i] = events_join(&events, "");
		assert_non_null(many[i]);
	}
	assert_null(events_join(&events, ""));
	for (int i = 0; i < EVENT_STREAMS_MAX; i++)
		many[i]->leave(many[i]);
	join("rubbish");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_stream_starts_with_the_next_event, setup, teardown),
		cmocka_unit_test_setup_teardown(small_reads_give_the_same_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stream_that_missed_events_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(text_of_a_peer_cannot_make_an_event_of_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(streams_are_limited, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
