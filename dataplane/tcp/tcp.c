/* Connections: attach, close, and the datamover operations. See tcp.h; receive.c and send.c have the two directions. */
#include "dataplane/tcp/tcp.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/iscsi/iscsi.h"
#include "dataplane/tcp/connection.h"

int tcp_reactor_init(struct tcp_reactor *reactor, int epoll_fd)
{
	memset(reactor, 0, sizeof *reactor);
	reactor->epoll_fd = epoll_fd;
	list_init(&reactor->dirty);
	list_init(&reactor->free_batches);
	reactor->receive = malloc(TCP_RECEIVE_BYTES);
	return reactor->receive ? 0 : -ENOMEM;
}

void tcp_reactor_fini(struct tcp_reactor *reactor)
{
	struct list *node;

	while ((node = list_take(&reactor->free_batches)))
		free(container_of(node, struct tcp_batch, link));
	free(reactor->receive);
}

void tcp_reactor_flush(struct tcp_reactor *reactor)
{
	struct list *node;

	while ((node = list_take(&reactor->dirty)))
		tcp_flush(container_of(node, struct tcp_connection, dirty_link));
}

void tcp_want(struct tcp_connection *tcp, uint32_t events)
{
	if (tcp->closed || tcp->events == events)
		return;
	if (poller_set(tcp->reactor->epoll_fd, EPOLL_CTL_MOD, tcp->fd, events, &tcp->source) == 0)
		tcp->events = events;
}

static void ready(struct poll_source *source, uint32_t events)
{
	struct tcp_connection *tcp = container_of(source, struct tcp_connection, source);

	if (tcp->closed)
		return;
	if (events & EPOLLOUT)
		tcp_flush(tcp);
	if (tcp->closed || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	if (tcp->paused && events & (EPOLLHUP | EPOLLERR)) /* epoll would go on saying it, and we do not read */
		iscsi_transport_lost(tcp->mover.connection, "closed by the peer");
	else
		tcp_receive(tcp);
}

void tcp_queue(struct tcp_connection *tcp, struct iscsi_pdu *pdu)
{
	list_append(&tcp->queue, &pdu->link);
	if (list_empty(&tcp->dirty_link) && !tcp->blocked)
		list_append(&tcp->reactor->dirty, &tcp->dirty_link);
}

static void send_control(struct datamover *mover, struct iscsi_pdu *pdu)
{
	tcp_queue(tcp_of(mover), pdu);
}

static void put_data(struct datamover *mover, struct iscsi_pdu *pdu)
{
	pdu->sent_bytes = 0;
	pdu->next_datasn = 0;
	tcp_queue(tcp_of(mover), pdu);
}

static void get_data(struct datamover *mover, struct iscsi_r2t *r2t)
{
	r2t->pdu.advances_statsn = false;
	tcp_queue(tcp_of(mover), &r2t->pdu);
}

static void enable(struct datamover *mover, const struct iscsi_params *params)
{
	struct tcp_connection *tcp = tcp_of(mover);

	tcp->header_digest = params->header_digest;
	tcp->data_digest = params->data_digest;
	tcp->max_send_bytes = params->max_send_bytes < TCP_SEND_MAX ? params->max_send_bytes : TCP_SEND_MAX;
	tcp->max_burst_bytes = params->max_burst_bytes;
}

static void set_max_send(struct datamover *mover, uint32_t max_send_bytes)
{
	tcp_of(mover)->max_send_bytes = max_send_bytes < TCP_SEND_MAX ? max_send_bytes : TCP_SEND_MAX;
}

static void resume(struct datamover *mover)
{
	struct tcp_connection *tcp = tcp_of(mover);

	if (!tcp->closed)
		tcp_resume(tcp);
}

static void finish(struct datamover *mover)
{
	struct tcp_connection *tcp = tcp_of(mover);

	tcp->finishing = true;
	if (list_empty(&tcp->dirty_link) && !tcp->blocked)
		list_append(&tcp->reactor->dirty, &tcp->dirty_link);
}

/* What the peer does not take would stay in the kernel for many minutes after the end: a RST lets go of it. */
static void close_socket(struct tcp_connection *tcp)
{
	const struct linger discard = { .l_onoff = 1, .l_linger = 0 };

	epoll_ctl(tcp->reactor->epoll_fd, EPOLL_CTL_DEL, tcp->fd, NULL);
	if (tcp->blocked)
		setsockopt(tcp->fd, SOL_SOCKET, SO_LINGER, &discard, sizeof discard);
	close(tcp->fd);
}

static void terminate(struct datamover *mover)
{
	struct tcp_connection *tcp = tcp_of(mover);

	if (tcp->closed)
		return;
	tcp->closed = true;
	list_remove(&tcp->dirty_link);
	if (tcp->fd >= 0)
		close_socket(tcp);
	tcp_drop_queue(tcp);
}

static bool peer_closed(const struct datamover *mover)
{
	struct pollfd socket = { .fd = container_of(mover, struct tcp_connection, mover)->fd, .events = POLLRDHUP };

	return poll(&socket, 1, 0) == 1;
}

static void mover_free(struct datamover *mover)
{
	struct tcp_connection *tcp = tcp_of(mover);

	free(tcp->stash);
	free(tcp);
}

static int release(struct datamover *mover)
{
	struct tcp_connection *tcp = tcp_of(mover);
	int fd = tcp->fd;

	epoll_ctl(tcp->reactor->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	tcp->fd = -1;
	return fd;
}

static const struct datamover_ops ops = {
	.name = "tcp",
	.send_control = send_control,
	.put_data = put_data,
	.get_data = get_data,
	.enable = enable,
	.set_max_send = set_max_send,
	.resume = resume,
	.finish = finish,
	.terminate = terminate,
	.peer_closed = peer_closed,
	.free = mover_free,
	.release = release,
};

int tcp_attach(struct tcp_reactor *reactor, struct iscsi_connection *connection, int fd, const void *bytes,
	       uint32_t len_bytes)
{
	struct tcp_connection *tcp = calloc(1, sizeof *tcp);
	int result;

	if (!tcp) {
		close(fd);
		return -ENOMEM;
	}
	tcp->mover.ops = &ops;
	tcp->mover.connection = connection;
	tcp->reactor = reactor;
	tcp->source.ready = ready;
	tcp->fd = fd;
	tcp->events = EPOLLIN;
	tcp->max_send_bytes = ISCSI_LOGIN_DATA_MAX;
	list_init(&tcp->queue);
	list_init(&tcp->dirty_link);
	tcp->max_burst_bytes = UINT32_MAX;
	result = poller_set(reactor->epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN, &tcp->source);
	if (result < 0) {
		close(fd);
		free(tcp);
		return result;
	}
	connection->mover = &tcp->mover;
	if (len_bytes)
		tcp_input(tcp, bytes, len_bytes);
	return 0;
}
