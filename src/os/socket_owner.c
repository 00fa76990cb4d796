/* SPDX-License-Identifier: Apache-2.0 */
#include "os/socket_owner.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define ANSWER_SECONDS 2
#define ANSWER_BYTES   4096

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

int socket_owner_open(int *diag, struct error *err)
{
	struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	_cleanup_fd_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	/* Connected to the kernel: nobody else's messages come. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
		connect(fd, (struct sockaddr *)&kernel, sizeof kernel) < 0)
		return error_errno(err, errno, "ask the kernel for the owners of sockets");
	*diag = TAKE_FD(fd);
	return 0;
}

static void put_address(const struct sockaddr_storage *a, uint32_t words[4], uint16_t *port)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)a;
	const struct sockaddr_in *four = (const struct sockaddr_in *)a;

	memset(words, 0, 4 * sizeof *words);
	if (a->ss_family == AF_INET6) {
		memcpy(words, &six->sin6_addr, 4 * sizeof *words);
		*port = six->sin6_port;
	} else {
		words[0] = four->sin_addr.s_addr;
		*port = four->sin_port;
	}
}

/* What the peer's socket has as its own is what ours has as the peer's. */
static int make_request(int fd, struct request *q, struct error *err)
{
	struct sockaddr_storage ours, theirs;
	socklen_t size = sizeof ours, peer_size = sizeof theirs;
	struct inet_diag_sockid *id = &q->body.id;

	if (getsockname(fd, (struct sockaddr *)&ours, &size) < 0 ||
		getpeername(fd, (struct sockaddr *)&theirs, &peer_size) < 0)
		return error_set(err, errno == ENOTCONN ? ERROR_NOT_FOUND : ERROR_SYSTEM,
			"find the owner of a connection: %s", strerror(errno));
	if ((ours.ss_family != AF_INET && ours.ss_family != AF_INET6) || ours.ss_family != theirs.ss_family)
		return error_set(err, ERROR_INVALID, "find the owner of a connection: it is not TCP");
	*q = (struct request){.header = {.nlmsg_len = sizeof *q,
				      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				      .nlmsg_flags = NLM_F_REQUEST,
				      .nlmsg_seq = 1},
		.body = {.sdiag_family = (uint8_t)ours.ss_family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = 1u << TCP_ESTABLISHED}};
	put_address(&theirs, id->idiag_src, &id->idiag_sport);
	put_address(&ours, id->idiag_dst, &id->idiag_dport);
	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return 0;
}

/* A socket of family IPv6 that is connected over IPv4 tells mapped addresses. */
static bool same_address(const uint32_t asked[4], const uint32_t told[4], bool four, bool told_six)
{
	if (!four)
		return !memcmp(asked, told, 4 * sizeof *asked);
	if (!told_six)
		return asked[0] == told[0];
	return told[0] == 0 && told[1] == 0 && told[2] == htonl(0xffff) && told[3] == asked[0];
}

/* Where no connection has these addresses the kernel looks for a listening socket of that port: not what was
 * asked for. */
static bool is_answer(const struct request *q, const struct inet_diag_msg *m)
{
	const struct inet_diag_sockid *asked = &q->body.id, *told = &m->id;
	bool four = q->body.sdiag_family == AF_INET, told_six = m->idiag_family == AF_INET6;

	return m->idiag_state == TCP_ESTABLISHED && asked->idiag_sport == told->idiag_sport &&
	       asked->idiag_dport == told->idiag_dport &&
	       same_address(asked->idiag_src, told->idiag_src, four, told_six) &&
	       same_address(asked->idiag_dst, told->idiag_dst, four, told_six);
}

static int read_answer(const struct request *q, const void *bytes, size_t size, struct socket_owner *owner,
	struct error *err)
{
	const struct nlmsghdr *h = bytes;
	const struct nlmsgerr *e;
	const struct inet_diag_msg *m;

	if (size < sizeof *h || h->nlmsg_len > size || h->nlmsg_seq != q->header.nlmsg_seq)
		return error_set(
			err, ERROR_SYSTEM, "find the owner of a connection: the kernel's answer is cut");
	if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len >= NLMSG_LENGTH(sizeof *e)) {
		e = NLMSG_DATA(h);
		return error_errno(err, -e->error, "find the owner of a connection");
	}
	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof *m))
		return error_set(err, ERROR_SYSTEM, "find the owner of a connection: an unknown answer");
	m = NLMSG_DATA(h);
	if (!is_answer(q, m))
		return error_set(err, ERROR_NOT_FOUND, "find the owner of a connection: it is gone");
	*owner = (struct socket_owner){.uid = m->idiag_uid, .inode = m->idiag_inode};
	return 0;
}

/* What an earlier question left unread, after its time was up, answers nothing now. */
static void drop_old(int diag)
{
	char bytes[64];

	while (recv(diag, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
}

int socket_owner_of_peer(int diag, int fd, struct socket_owner *owner, struct error *err)
{
	union {
		struct nlmsghdr header;
		char bytes[ANSWER_BYTES];
	} answer;
	struct request q;
	ssize_t n;
	int r = make_request(fd, &q, err);

	if (r < 0)
		return r;
	drop_old(diag);
	if (send(diag, &q, sizeof q, 0) != sizeof q)
		return error_errno(err, errno, "find the owner of a connection");
	do
		n = recv(diag, &answer, sizeof answer, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "find the owner of a connection");
	return read_answer(&q, &answer, (size_t)n, owner, err);
}

bool socket_owner_allows(void *policy, int fd)
{
	const struct socket_owner_policy *p = policy;
	struct socket_owner owner;

	if (socket_owner_of_peer(p->diag, fd, &owner, NULL) < 0)
		return false;
	return owner.uid == p->uid || (p->kernel && owner.uid == 0);
}

/* ---- trying ------------------------------------------------------------------------------------------ */

/* A connection to ourselves; *ends are the caller's, also where it fails. */
static int connect_to_self(int ends[3])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof a;

	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ends[0] < 0 || ends[1] < 0 || bind(ends[0], (struct sockaddr *)&a, sizeof a) < 0 ||
		listen(ends[0], 1) < 0 || getsockname(ends[0], (struct sockaddr *)&a, &size) < 0 ||
		connect(ends[1], (struct sockaddr *)&a, sizeof a) < 0)
		return -1;
	/* Somebody else may have been faster. */
	ends[2] = accept4(ends[0], NULL, NULL, SOCK_CLOEXEC);
	return ends[2];
}

int socket_owner_examine(struct error *err)
{
	int ends[3] = {-1, -1, -1}, r = 0;
	_cleanup_fd_ int diag = -1;
	struct socket_owner owner;
	struct error why = {0};

	if (connect_to_self(ends) < 0)
		r = error_errno(err, errno, "try a connection over loopback");
	else if (socket_owner_open(&diag, &why) < 0 || socket_owner_of_peer(diag, ends[2], &owner, &why) < 0)
		r = error_set(err, ERROR_UNAVAILABLE,
			"this kernel does not tell whose connections over loopback are (sock_diag; it needs "
			"the "
			"modules inet_diag and tcp_diag): %s",
			why.text);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (ends[i] >= 0)
			close(ends[i]);
	return r;
}
