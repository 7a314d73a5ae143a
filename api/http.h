/*
 * HTTP/1.1 over libmicrohttpd in external epoll mode: between sockets (or TLS) and struct request. One thread: the loop's.
 *
 * Limits: HTTP_MEMORY_BYTES for request line and header, HTTP_CONNECTIONS_MAX in all and HTTP_CONNECTIONS_PER_ADDRESS from
 * one address; a request's header and its body must each be complete within HTTP_RECEIVE_MS, whatever the pace of its bytes,
 * else the connection is closed; idle connections are closed after the same time. A request that waits (for a worker, for
 * the disk) is suspended and costs nothing. Event streams end when the daemon stops or the peer does not read.
 */
#ifndef LUNETTE_API_HTTP_H
#define LUNETTE_API_HTTP_H

#include <stdint.h>

#include "api/control.h"
#include "api/loop.h"
#include "err.h"

#define HTTP_MEMORY_BYTES            (32 * 1024)
#define HTTP_CONNECTIONS_MAX         1024
#define HTTP_CONNECTIONS_PER_ADDRESS 256
#define HTTP_RECEIVE_MS              20000
#define HTTP_STALL_S                 30 /* a peer that takes no byte of its answer */

struct service;
struct http;

/* NULL: no memory. */
struct http *http_new(struct service *service, struct loop *loop);
/* Serves the listening socket (taken over on success). certificate and key: PEM texts, or NULL for plain HTTP.
 * 0 or negative errno. */
int http_listen(struct http *http, int fd, const char *certificate, const char *key, struct err *err);
/* Milliseconds until http_turn must run, at most max_ms. */
uint64_t http_wait_ms(const struct http *http, uint64_t max_ms);
/* Once after every turn of the loop. */
void http_turn(struct http *http);
/* Ends streams and requests that wait, closes everything. */
void http_free(struct http *http);

#endif
