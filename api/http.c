/*
 * libmicrohttpd under struct request: see http.h.
 *
 * Life of an exchange: on_uri makes it (the only place where the target is seen raw), on_access is called with the header,
 * then for each piece of the body, then once more at its end; a request that is not answered by then is suspended and
 * resumed by on_answered, which leads to one more on_access call. on_completed frees.
 */
#include "api/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "api/request.h"
#include "api/service.h"
#include "api/stream.h"
#include "clock.h"
#include "log.h"

#define SWEEP_MS            1000
#define HTTP_SINGLE_HEADERS 4

struct listener {
	struct http *http;
	struct MHD_Daemon *daemon;
	struct loop_watch watch;
};

struct http {
	struct service *service;
	struct loop *loop;
	struct listener listeners[CONTROL_ADDRESSES_MAX];
	unsigned listener_count;
	struct list connections; /* struct peer */
	struct list exchanges;
	struct loop_timer sweep;
	bool resumed; /* a connection was resumed: libmicrohttpd without its own thread must be run to notice */
	bool stopping;
};

/* A connection, for the deadlines that libmicrohttpd does not have. */
struct peer {
	struct list link;
	int fd;
	uint64_t since_ns; /* it owes us a request, or the rest of one, since then; 0: it does not */
};

struct exchange {
	struct list link;
	struct http *http;
	struct MHD_Connection *connection;
	struct request *rq;
	char *target;
	bool begun, ran, suspended;
};

static struct peer *peer_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void peer_owes(struct MHD_Connection *connection, bool owes)
{
	struct peer *peer = peer_of(connection);

	if (peer)
		peer->since_ns = owes ? clock_now_ns() : 0;
}

static void peer_address(struct MHD_Connection *connection, char *text, size_t size)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;

	snprintf(text, size, "unknown");
	if (address && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text, (socklen_t)size);
	else if (address && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text,
			  (socklen_t)size);
}

/* --- answers --- */

static void resume(struct exchange *x)
{
	if (x->suspended) {
		x->suspended = false;
		x->http->resumed = true;
		MHD_resume_connection(x->connection);
	}
}

static void on_answered(struct request *rq)
{
	resume(rq->owner);
}

static void on_stream(void *reader)
{
	resume(reader);
}

static ssize_t read_stream(void *arg, uint64_t position, char *buffer, size_t size)
{
	struct exchange *x = arg;
	struct stream *stream = x->rq->answer.stream;
	size_t n;

	(void)position;
	if (x->http->stopping)
		return MHD_CONTENT_READER_END_OF_STREAM;
	n = stream->read(stream, buffer, size);
	if (n == 0) {
		x->suspended = true;
		MHD_suspend_connection(x->connection);
	}
	return (ssize_t)n;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (value && value[0])
		MHD_add_response_header(response, name, value);
}

static void add_headers(struct MHD_Response *response, const struct request *rq)
{
	const struct answer *a = &rq->answer;
	char number[16];

	add_header(response, "Content-Type", a->content_type);
	add_header(response, "ETag", a->etag);
	add_header(response, "Location", a->location);
	add_header(response, "Allow", a->allow);
	add_header(response, "Cache-Control", a->cache_control);
	add_header(response, "Content-Disposition", a->disposition);
	add_header(response, "Content-Encoding", a->content_encoding);
	add_header(response, "Vary", a->vary);
	add_header(response, "Set-Cookie", a->set_cookie);
	add_header(response, "X-Request-Id", rq->id);
	add_header(response, "X-Content-Type-Options", "nosniff");
	add_header(response, "Referrer-Policy", "no-referrer");
	add_header(response, "Cross-Origin-Opener-Policy", "same-origin");
	add_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	add_header(response, "Content-Security-Policy", a->policy ? a->policy : "default-src 'none'; style-src 'unsafe-inline'");
	if (a->authenticate)
		add_header(response, "WWW-Authenticate", "Bearer");
	if (a->retry_after_s) {
		snprintf(number, sizeof number, "%u", a->retry_after_s);
		add_header(response, "Retry-After", number);
	}
}

static struct MHD_Response *make_response(struct exchange *x)
{
	struct answer *a = &x->rq->answer;
	struct MHD_Response *response;

	if (a->stream) {
		a->stream->wake = on_stream;
		a->stream->reader = x;
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_stream, x, NULL);
	}
	if (!a->body)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	response = MHD_create_response_from_buffer(a->len_bytes, a->body, MHD_RESPMEM_MUST_FREE);
	if (response)
		a->body = NULL;
	return response;
}

static enum MHD_Result queue_answer(struct exchange *x)
{
	struct MHD_Response *response = make_response(x);
	enum MHD_Result result;

	peer_owes(x->connection, false);
	if (!response)
		return MHD_NO;
	add_headers(response, x->rq);
	result = MHD_queue_response(x->connection, (unsigned)x->rq->answer.status, response);
	MHD_destroy_response(response);
	return result;
}

/* --- the way in --- */

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct listener *listener = arg;
	struct exchange *x = calloc(1, sizeof *x);
	char peer[REQUEST_PEER_MAX];

	if (!x)
		return NULL;
	peer_address(connection, peer, sizeof peer);
	x->http = listener->http;
	x->connection = connection;
	x->target = strdup(uri);
	x->rq = request_new(x->http->service, peer);
	list_append(&x->http->exchanges, &x->link);
	if (x->rq) {
		x->rq->owner = x;
		x->rq->on_answered = on_answered;
	}
	return x;
}

/* Headers of which there is one, or two readers of the request might each believe another (RFC 9112 6.3, 3.2). */
static enum MHD_Result count_single(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	static const char *const single[HTTP_SINGLE_HEADERS] = { "Content-Length", "Transfer-Encoding", "Host", "Authorization" };
	unsigned *count = arg;

	(void)kind, (void)value;
	for (unsigned i = 0; i < HTTP_SINGLE_HEADERS; i++)
		count[i] += strcasecmp(name, single[i]) == 0;
	return MHD_YES;
}

static bool has_repeated_header(struct MHD_Connection *connection)
{
	unsigned count[HTTP_SINGLE_HEADERS] = { 0 };

	MHD_get_connection_values(connection, MHD_HEADER_KIND, count_single, count);
	for (unsigned i = 0; i < HTTP_SINGLE_HEADERS; i++)
		if (count[i] > 1)
			return true;
	return false;
}

static bool begin(struct exchange *x, const char *method)
{
	struct request_headers headers = {
#define HEADER(member, name) .member = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name),
		REQUEST_HEADERS
#undef HEADER
	};

	headers.repeated = has_repeated_header(x->connection);
	return request_begin(x->rq, method, x->target, &headers);
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
				 const char *version, const char *upload, size_t *upload_len, void **cls)
{
	struct exchange *x = *cls;

	(void)arg, (void)url, (void)version, (void)connection;
	if (!x || !x->rq || !x->target)
		return MHD_NO;
	if (!x->begun) {
		x->begun = true;
		peer_owes(x->connection, true);
		return begin(x, method) ? MHD_YES : queue_answer(x);
	}
	if (*upload_len) {
		/* an answer cannot go out between pieces of a body: a peer that lied about its length is cut off */
		if (!request_body(x->rq, upload, *upload_len))
			return MHD_NO;
		*upload_len = 0;
		return MHD_YES;
	}
	if (!x->ran) {
		x->ran = true;
		peer_owes(x->connection, false);
		request_run(x->rq);
	}
	if (request_answered(x->rq))
		return queue_answer(x);
	x->suspended = true;
	MHD_suspend_connection(x->connection);
	return MHD_YES;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **cls, enum MHD_RequestTerminationCode why)
{
	struct exchange *x = *cls;

	(void)arg, (void)why;
	*cls = NULL;
	peer_owes(connection, true);
	if (!x)
		return;
	list_remove(&x->link);
	request_free(x->rq);
	free(x->target);
	free(x);
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct listener *listener = arg;
	struct peer *peer = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

		peer = calloc(1, sizeof *peer);
		*context = peer;
		if (!peer)
			return;
		peer->fd = info ? info->connect_fd : -1;
		peer->since_ns = clock_now_ns();
		list_append(&listener->http->connections, &peer->link);
	} else if (peer) {
		list_remove(&peer->link);
		free(peer);
		*context = NULL;
	}
}

/* libmicrohttpd would decode the path in place; target_uri.c does that, strictly. */
static size_t no_unescape(void *arg, struct MHD_Connection *connection, char *text)
{
	(void)arg, (void)connection;
	return strlen(text);
}

__attribute__((format(printf, 2, 0))) static void on_log(void *arg, const char *fmt, va_list args)
{
	char text[256];

	(void)arg;
	vsnprintf(text, sizeof text, fmt, args);
	log_limited(LOG_DEBUG, "http text=%s", log_quoted(text));
}

/* --- the loop --- */

static void on_ready(struct loop_watch *watch)
{
	MHD_run(container_of(watch, struct listener, watch)->daemon);
}

static void sweep(struct loop_timer *timer)
{
	struct http *http = container_of(timer, struct http, sweep);
	uint64_t now_ns = clock_now_ns();

	list_for_each(pos, &http->connections) {
		struct peer *peer = container_of(pos, struct peer, link);

		if (peer->since_ns && now_ns - peer->since_ns > HTTP_RECEIVE_MS * NS_PER_MS) {
			shutdown(peer->fd, SHUT_RDWR);
			peer->since_ns = 0;
		}
	}
	loop_timer_start(http->loop, timer, SWEEP_MS);
}

struct http *http_new(struct service *service, struct loop *loop)
{
	struct http *http = calloc(1, sizeof *http);

	if (!http)
		return NULL;
	http->service = service;
	http->loop = loop;
	list_init(&http->connections);
	list_init(&http->exchanges);
	loop_timer_init(&http->sweep, sweep);
	loop_timer_start(loop, &http->sweep, SWEEP_MS);
	return http;
}

static struct MHD_Daemon *start(struct listener *l, int fd, const char *certificate, const char *key)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (certificate ? MHD_USE_TLS : 0);
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)certificate },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3" },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem none[] = { { MHD_OPTION_END, 0, NULL } };

	/* libmicrohttpd wants the logger first, so that it can report on the options behind it */
	return MHD_start_daemon(flags, 0, NULL, NULL, on_access, l,
				MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
				MHD_OPTION_LISTEN_SOCKET, fd,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_MEMORY_BYTES,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
				MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_PER_ADDRESS,
				MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_STALL_S,
				MHD_OPTION_STRICT_FOR_CLIENT, 1,
				MHD_OPTION_URI_LOG_CALLBACK, on_uri, l,
				MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, NULL,
				MHD_OPTION_NOTIFY_COMPLETED, on_completed, l,
				MHD_OPTION_NOTIFY_CONNECTION, on_connection, l,
				MHD_OPTION_ARRAY, certificate ? tls : none,
				MHD_OPTION_END);
}

int http_listen(struct http *http, int fd, const char *certificate, const char *key, struct err *err)
{
	struct listener *l = &http->listeners[http->listener_count];
	const union MHD_DaemonInfo *info;
	int error;

	if (http->listener_count == CONTROL_ADDRESSES_MAX)
		return err_set(err, -ENOSPC, "too many HTTP addresses");
	l->http = http;
	l->daemon = start(l, fd, certificate, key);
	if (!l->daemon)
		return err_set(err, -EINVAL, "cannot start the HTTP service%s",
			       certificate ? " (are the certificate and the key a pair of PEM files?)" : "");
	info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	l->watch.fd = info->listen_fd;
	l->watch.ready = on_ready;
	error = loop_watch(http->loop, &l->watch);
	if (error) {
		MHD_stop_daemon(l->daemon);
		return err_errno(err, error, "cannot watch the HTTP service");
	}
	http->listener_count++;
	return 0;
}

uint64_t http_wait_ms(const struct http *http, uint64_t max_ms)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	if (http->resumed)
		return 0;
	for (unsigned i = 0; i < http->listener_count; i++)
		if (MHD_get_timeout(http->listeners[i].daemon, &wait_ms) == MHD_YES && wait_ms < max_ms)
			max_ms = wait_ms;
	return max_ms;
}

void http_turn(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;
	bool resumed = http->resumed;

	http->resumed = false;
	for (unsigned i = 0; i < http->listener_count; i++)
		if (resumed || (MHD_get_timeout(http->listeners[i].daemon, &wait_ms) == MHD_YES && wait_ms == 0))
			MHD_run(http->listeners[i].daemon);
}

void http_free(struct http *http)
{
	if (!http)
		return;
	http->stopping = true;
	loop_timer_stop(&http->sweep);
	list_for_each_safe(pos, &http->exchanges) {
		struct exchange *x = container_of(pos, struct exchange, link);

		if (x->suspended && !request_answered(x->rq))
			answer_error(x->rq, 503, "stopping", "The daemon is stopping.");
		resume(x);
	}
	for (unsigned i = 0; i < http->listener_count; i++) {
		loop_unwatch(http->loop, &http->listeners[i].watch);
		MHD_run(http->listeners[i].daemon);
		MHD_stop_daemon(http->listeners[i].daemon);
	}
	free(http);
}
