#include "initiator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOGIN_STEPS 8
#define WAIT_MS     10000
#define PDU_MAX     (384u << 10) /* more than the MaxRecvDataSegmentLength that we declare */

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int complain(const char *what)
{
	fprintf(stderr, "initiator: %s\n", what);
	return -1;
}

static int connect_to(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	char host[64];
	unsigned port;
	int fd, one = 1;

	if (sscanf(address, "%63[^:]:%u", host, &port) != 2 || inet_pton(AF_INET, host, &to.sin_addr) != 1)
		return complain("the address must be IPV4:PORT");
	to.sin_port = htons((uint16_t)port);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
		perror(address);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return fd;
}

uint8_t *initiator_room(struct initiator *i, enum opcode opcode, uint32_t data_bytes)
{
	size_t need = BHS_BYTES + ((size_t)data_bytes + 3) / 4 * 4;
	uint8_t *pdu;

	if (i->out_from == i->out_to)
		i->out_from = i->out_to = 0;
	if (SEND_BYTES - i->out_to < need)
		return NULL;
	pdu = i->out + i->out_to;
	memset(pdu, 0, BHS_BYTES);
	pdu[0] = (uint8_t)opcode;
	give_be32(pdu + 4, data_bytes);
	i->out_to += need;
	return pdu;
}

bool initiator_flush(struct initiator *i)
{
	while (i->out_from < i->out_to) {
		ssize_t n = send(i->fd, i->out + i->out_from, i->out_to - i->out_from, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		i->out_from += (size_t)n;
	}
	return true;
}

/* Reads what is there. False: the connection is gone. */
static bool fill(struct initiator *i)
{
	ssize_t n;

	if (i->in_from == i->in_to)
		i->in_from = i->in_to = 0;
	if (RECEIVE_BYTES - i->in_to < PDU_MAX) {
		memmove(i->in, i->in + i->in_from, i->in_to - i->in_from);
		i->in_to -= i->in_from;
		i->in_from = 0;
	}
	n = recv(i->fd, i->in + i->in_to, RECEIVE_BYTES - i->in_to, 0);
	if (n > 0)
		i->in_to += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void take_serials(struct initiator *i, const uint8_t *h)
{
	uint32_t max = take_be32(h + 32);
	bool carries_status = h[0] != OP_R2T && (h[0] != OP_DATA_IN || h[1] & 1) &&
			      !(h[0] == OP_NOP_IN && take_be32(h + 16) == 0xffffffff);

	if (carries_status)
		i->exp_stat_sn = take_be32(h + 24) + 1;
	if ((int32_t)(max - i->max_cmd_sn) > 0)
		i->max_cmd_sn = max;
}

/* A ping of the target wants its answer (RFC 7143 section 11.18); an immediate PDU, CmdSN does not advance. */
static void answer_ping(struct initiator *i, const uint8_t *h)
{
	uint8_t *pdu;

	if (take_be32(h + 20) == 0xffffffff)
		return;
	pdu = initiator_room(i, OP_NOP_OUT, 0);
	if (!pdu)
		return;
	pdu[0] |= 0x40;
	pdu[1] = 0x80;
	memcpy(pdu + 8, h + 8, 8);
	give_be32(pdu + 16, 0xffffffff);
	memcpy(pdu + 20, h + 20, 4);
	give_be32(pdu + 24, i->cmd_sn);
	give_be32(pdu + 28, i->exp_stat_sn);
	initiator_flush(i);
}

/* The whole PDU at in_from, or 0 when it is not there yet. */
static size_t whole_pdu(const struct initiator *i)
{
	const uint8_t *h = i->in + i->in_from;
	size_t here = i->in_to - i->in_from, need = BHS_BYTES;

	if (here >= BHS_BYTES)
		need += (size_t)h[4] * 4 + ((take_be32(h + 4) & 0xffffff) + 3) / 4 * 4;
	return here >= need ? need : 0;
}

int initiator_receive(struct initiator *i, const uint8_t **ret_header)
{
	const uint8_t *h;

	i->in_from += i->taken;
	i->taken = whole_pdu(i);
	if (!i->taken) {
		if (!fill(i))
			return -1;
		i->taken = whole_pdu(i);
		if (!i->taken)
			return 0;
	}
	h = i->in + i->in_from;
	take_serials(i, h);
	if (h[0] == OP_NOP_IN)
		answer_ping(i, h);
	if (h[0] == OP_REJECT) {
		fprintf(stderr, "initiator: the target sent a Reject, reason %02x\n", h[2]);
		return -1;
	}
	*ret_header = h;
	return 1;
}

static bool wait_for(struct initiator *i, short events)
{
	struct pollfd pfd = { .fd = i->fd, .events = events };

	return poll(&pfd, 1, WAIT_MS) == 1;
}

int initiator_command(struct initiator *i, uint64_t lun, const uint8_t *cdb, size_t cdb_bytes, void *data, uint32_t len)
{
	uint8_t *pdu = initiator_room(i, OP_COMMAND, 0);
	const uint8_t *h;
	int rc;

	pdu[1] = (uint8_t)(0x80 | (len ? 0x40 : 0));
	pdu[8] = (uint8_t)(lun >> 8 & 0x3f);
	pdu[9] = (uint8_t)lun;
	give_be32(pdu + 16, 0x7fffffff);
	give_be32(pdu + 20, len);
	give_be32(pdu + 24, i->cmd_sn++);
	give_be32(pdu + 28, i->exp_stat_sn);
	memcpy(pdu + 32, cdb, cdb_bytes);
	if (!initiator_flush(i))
		return -1;
	for (;;) {
		rc = initiator_receive(i, &h);
		if (rc < 0 || (rc == 0 && !wait_for(i, POLLIN)))
			return complain("no answer to a command");
		if (rc == 0)
			continue;
		if (h[0] == OP_DATA_IN) {
			uint32_t n = take_be32(h + 4) & 0xffffff;

			memcpy(data, h + BHS_BYTES, n < len ? n : len);
		}
		if (h[0] == OP_RESPONSE || (h[0] == OP_DATA_IN && h[1] & 1))
			return h[3];
	}
}

/* ------------------------------------------------ login */

static void take_key(struct initiator *i, const char *text)
{
	unsigned long n = 0;
	const char *value = strchr(text, '=');

	if (!value)
		return;
	n = strtoul(++value, NULL, 0);
	if (strncmp(text, "InitialR2T=", 11) == 0)
		i->initial_r2t = *value == 'Y';
	else if (strncmp(text, "ImmediateData=", 14) == 0)
		i->immediate_data = *value == 'Y';
	else if (strncmp(text, "FirstBurstLength=", 17) == 0)
		i->first_burst = (uint32_t)n;
	else if (strncmp(text, "MaxBurstLength=", 15) == 0)
		i->max_burst = (uint32_t)n;
	else if (strncmp(text, "MaxRecvDataSegmentLength=", 25) == 0)
		i->target_mrdsl = (uint32_t)n;
}

static size_t login_text(char *text, size_t room, const char *target, uint32_t host)
{
	int n = snprintf(text, room,
			 "InitiatorName=iqn.2026-11.io.lunette.bench:%x%cSessionType=Normal%cTargetName=%s%c"
			 "HeaderDigest=None%cDataDigest=None%cErrorRecoveryLevel=0%cInitialR2T=No%cImmediateData=Yes%c"
			 "MaxRecvDataSegmentLength=262144%cMaxBurstLength=1048576%cFirstBurstLength=262144%c"
			 "MaxOutstandingR2T=4%cMaxConnections=1%cDataPDUInOrder=Yes%cDataSequenceInOrder=Yes%c"
			 "DefaultTime2Wait=2%cDefaultTime2Retain=0%c",
			 host, 0, 0, target, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	return (size_t)n;
}

/* One login request (operational stage, wants full feature phase) and its response. 1: logged in; 0: go on; -1: refused. */
static int login_step(struct initiator *i, const char *text, size_t len, uint32_t isid)
{
	uint8_t *pdu = initiator_room(i, OP_LOGIN, (uint32_t)len);
	const uint8_t *h;
	const char *text_in;
	uint32_t text_bytes;
	int rc;

	pdu[0] |= 0x40;
	pdu[1] = 0x87;
	pdu[8] = 0x80;
	give_be32(pdu + 9, isid << 8 | (isid >> 24));
	give_be32(pdu + 28, i->exp_stat_sn);
	give_be32(pdu + 24, i->cmd_sn);
	memcpy(pdu + BHS_BYTES, text, len);
	memset(pdu + BHS_BYTES + len, 0, (4 - len % 4) % 4);
	if (!initiator_flush(i))
		return -1;
	while ((rc = initiator_receive(i, &h)) == 0)
		if (!wait_for(i, POLLIN))
			return complain("no login response");
	if (rc < 0 || h[0] != OP_LOGIN_RESPONSE)
		return complain("the connection ended during login");
	if (h[36] || h[37]) {
		fprintf(stderr, "initiator: login refused, status %02x%02x\n", h[36], h[37]);
		return -1;
	}
	text_in = (const char *)h + BHS_BYTES;
	text_bytes = take_be32(h + 4) & 0xffffff;
	for (uint32_t at = 0; at < text_bytes; at += (uint32_t)strnlen(text_in + at, text_bytes - at) + 1)
		take_key(i, text_in + at);
	return (h[1] & 0x83) == 0x83;
}

int initiator_open(struct initiator *i, const char *address, const char *target, uint32_t host, uint32_t isid)
{
	char text[2048];
	size_t len = login_text(text, sizeof text, target, host);
	int rc = 0;

	*i = (struct initiator){ .cmd_sn = 1, .immediate_data = true, .initial_r2t = false, .first_burst = 262144,
				 .max_burst = 1048576, .target_mrdsl = 8192 };
	i->in = malloc(RECEIVE_BYTES);
	i->out = malloc(SEND_BYTES);
	i->fd = connect_to(address);
	if (i->fd < 0 || !i->in || !i->out)
		return -1;
	for (int step = 0; step < LOGIN_STEPS && rc == 0; step++) {
		rc = login_step(i, text, len, isid);
		len = 0;
	}
	if (rc != 1)
		return complain("login does not end");
	return fcntl(i->fd, F_SETFL, O_NONBLOCK);
}

void initiator_close(struct initiator *i)
{
	if (i->fd >= 0)
		close(i->fd);
	free(i->in);
	free(i->out);
}
