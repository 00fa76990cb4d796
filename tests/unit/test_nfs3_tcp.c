/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NFS server over TCP: connections that are honest, slow, mad, or another user's; and whom the kernel
 * says a connection belongs to. As root once more, since only root can be two users.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/nfs3.h"
#include "codec/rpc.h"
#include "nfs3_service.h"
#include "test.h"

#define OTHER    12345u /* another user */
#define HITS     60     /* fewer than a backlog holds */
#define PATIENCE (20 * NANOSECONDS_PER_SECOND)

static const struct nfs3_options options = {.export_stays = true};

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct timeval patience = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	CHECK(connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
	return fd;
}

static void put_call(struct buffer *out, uint32_t xid, uint32_t program, uint32_t procedure,
	const struct buffer *arguments)
{
	struct rpc_call call = {.xid = xid,
		.version = RPC_VERSION,
		.program = program,
		.program_version = 3,
		.procedure = procedure};
	size_t begun = rpc_record_begin(out);

	rpc_call_write(out, &call);
	buffer_append(out, arguments->data, arguments->size);
	rpc_record_end(out, begun, 0);
}

static void put_nfs(struct buffer *out, uint32_t xid, uint32_t procedure, struct nfs3_arguments *a)
{
	_cleanup_buffer_ struct buffer arguments = {0};
	struct xdr x = xdr_writer(&arguments);

	nfs3_code_arguments(&x, procedure, a);
	put_call(out, xid, NFS3_PROGRAM, procedure, &arguments);
}

static bool send_all(int fd, const void *bytes, size_t size)
{
	size_t sent = 0;

	while (sent < size) {
		ssize_t n = send(fd, (const char *)bytes + sent, size - sent, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		sent += (size_t)n;
	}
	return true;
}

/* The next record; false: the end. */
static bool receive(int fd, struct rpc_reader *reader, struct buffer *record)
{
	int got;

	buffer_free(record);
	while ((got = rpc_reader_next(reader, record)) == 0) {
		size_t room;
		uint8_t *space = rpc_reader_space(reader, &room);
		ssize_t n = recv(fd, space, room, 0);

		if (n <= 0)
			return false;
		rpc_reader_filled(reader, (size_t)n);
	}
	CHECK_INT(got, 1);
	return true;
}

/* The xid of the next reply, which must be a success; its results are in *x. */
static uint32_t receive_reply(int fd, struct rpc_reader *reader, struct buffer *record, struct xdr *x)
{
	struct rpc_reply reply;

	CHECK(receive(fd, reader, record));
	*x = xdr_reader(record->data, record->size);
	CHECK(rpc_reply_read(x, &reply) && !reply.denied && reply.status == RPC_SUCCESS);
	return reply.xid;
}

/* One call and its results. */
static struct nfs3_results call(int fd, uint32_t procedure, struct nfs3_arguments *a, struct buffer *record)
{
	_cleanup_(rpc_reader_free) struct rpc_reader reader = {.most = 2 << 20};
	_cleanup_buffer_ struct buffer out = {0};
	struct nfs3_results r = {0};
	struct xdr x;

	put_nfs(&out, 77, procedure, a);
	CHECK(send_all(fd, out.data, out.size));
	CHECK_INT(receive_reply(fd, &reader, record, &x), 77);
	nfs3_code_results(&x, procedure, &r);
	CHECK(xdr_done(&x));
	return r;
}

static bool answers(int fd)
{
	_cleanup_(rpc_reader_free) struct rpc_reader reader = {.most = 4096};
	_cleanup_buffer_ struct buffer out = {0}, record = {0};
	struct nfs3_arguments none = {0};

	put_nfs(&out, 1, NFS3_NULL, &none);
	return send_all(fd, out.data, out.size) && receive(fd, &reader, &record);
}

static struct nfs3_handle mount_root(int fd)
{
	_cleanup_(rpc_reader_free) struct rpc_reader reader = {.most = 4096};
	_cleanup_buffer_ struct buffer out = {0}, arguments = {0}, record = {0};
	struct xdr_bytes path = {(const uint8_t *)SERVICE_EXPORT, sizeof SERVICE_EXPORT - 1};
	struct xdr x = xdr_writer(&arguments);
	struct nfs3_handle root = {0};
	uint32_t status = 1, flavor;

	mount3_code_path(&x, &path);
	put_call(&out, 9, MOUNT3_PROGRAM, MOUNT3_MNT, &arguments);
	CHECK(send_all(fd, out.data, out.size));
	receive_reply(fd, &reader, &record, &x);
	mount3_code_mounted(&x, &status, &root, &flavor);
	CHECK_INT(status, NFS3_OK);
	return root;
}

static struct nfs3_handle make_file(int fd, struct nfs3_handle root, const char *name, uint64_t size)
{
	_cleanup_buffer_ struct buffer record = {0};
	struct nfs3_arguments a = {.object = root,
		.name = {(const uint8_t *)name, (uint32_t)strlen(name)},
		.set = {.set_mode = true, .mode = 0644, .set_size = true, .size = size}};
	struct nfs3_results r = call(fd, NFS3_CREATE, &a, &record);

	CHECK_INT(r.status, NFS3_OK);
	return r.handle;
}

/* ---- connections ------------------------------------------------------------------------------------ */

TEST(one_port_serves_both_programs)
{
	_cleanup_service_ struct service s;
	_cleanup_buffer_ struct buffer record = {0};
	_cleanup_fd_ int fd = -1;
	struct nfs3_arguments a = {0};

	service_open(&s, &options, &(struct nfs3_tcp_options){0});
	fd = connect_to(s.port);
	a.object = mount_root(fd);
	CHECK_INT(call(fd, NFS3_GETATTR, &a, &record).object.a.type, NF3DIR);
}

static void *run_until_its_end(void *tcp)
{
	return nfs3_tcp_run(tcp, NULL) == 0 ? tcp : NULL;
}

TEST(a_server_that_was_given_its_connection_ends_with_it)
{
	_cleanup_service_ struct service s;
	_cleanup_buffer_ struct buffer record = {0};
	const struct nfs3_tcp_options one = {.connections = 1};
	struct nfs3_arguments a = {0};
	struct nfs3_tcp *tcp;
	struct error err;
	pthread_t thread;
	void *result;
	int ends[2];

	service_open(&s, &options, &(struct nfs3_tcp_options){0});
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK_OK(nfs3_tcp_new(s.server, -1, &one, &tcp, &err));
	CHECK_OK(nfs3_tcp_adopt(tcp, ends[1], &err));
	CHECK_INT(pthread_create(&thread, NULL, run_until_its_end, tcp), 0);
	a.object = mount_root(ends[0]);
	CHECK_INT(call(ends[0], NFS3_GETATTR, &a, &record).object.a.type, NF3DIR);
	close(ends[0]);
	CHECK_INT(pthread_join(thread, &result), 0);
	CHECK(result == tcp);
	nfs3_tcp_free(tcp);
}

TEST(it_listens_on_loopback_unless_told_otherwise)
{
	struct sockaddr_in a;
	socklen_t size = sizeof a;
	uint16_t port;
	struct error err;
	int fd;

	CHECK_OK(nfs3_listen(NULL, 0, &fd, &port, &err));
	CHECK(getsockname(fd, (struct sockaddr *)&a, &size) == 0);
	CHECK_INT(ntohl(a.sin_addr.s_addr), INADDR_LOOPBACK);
	CHECK_INT(ntohs(a.sin_port), port);
	close(fd);
	CHECK_ERROR(nfs3_listen("localhost", 0, &fd, &port, &err), ERROR_INVALID);
}

TEST(many_calls_at_once_are_all_answered)
{
	_cleanup_service_ struct service s;
	_cleanup_(rpc_reader_free) struct rpc_reader reader = {.most = 4096};
	_cleanup_buffer_ struct buffer out = {0}, record = {0};
	_cleanup_fd_ int fd = -1;
	bool seen[500] = {0};
	struct nfs3_arguments none = {0};
	struct xdr x;

	service_open(&s, &options, &(struct nfs3_tcp_options){.calls = 4, .threads = 3});
	fd = connect_to(s.port);
	for (uint32_t i = 0; i < 500; i++)
		put_nfs(&out, i, NFS3_NULL, &none);
	CHECK(send_all(fd, out.data, out.size));
	for (uint32_t i = 0; i < 500; i++) {
		uint32_t xid = receive_reply(fd, &reader, &record, &x);

		CHECK(xid < 500 && !seen[xid]);
		seen[xid] = true;
	}
}

#define STUCK 3

static sem_t let_go;

static int wait_for_release(struct vfs *fs, struct vfs_statistics *out)
{
	(void)fs;
	*out = (struct vfs_statistics){0};
	sem_wait(&let_go);
	return 0;
}

/* They look, as GETATTR does, and so are made one behind the other where they get on. */
TEST(calls_that_should_be_quick_and_are_not_hold_nobody_up)
{
	_cleanup_service_ struct service s;
	_cleanup_(rpc_reader_free) struct rpc_reader reader = {.most = 4096};
	_cleanup_buffer_ struct buffer out = {0}, record = {0};
	_cleanup_fd_ int fd = -1, other = -1;
	struct nfs3_arguments a = {0};
	struct vfs_operations slow;
	struct xdr x;

	sem_init(&let_go, 0, 0);
	service_open(&s, &options, &(struct nfs3_tcp_options){.threads = STUCK + 2});
	slow = *s.fs->operations;
	slow.statfs = wait_for_release;
	s.fs->operations = &slow;
	fd = connect_to(s.port);
	a.object = mount_root(fd);
	for (uint32_t i = 0; i < STUCK; i++)
		put_nfs(&out, i, NFS3_FSSTAT, &a);
	CHECK(send_all(fd, out.data, out.size));
	for (uint32_t i = 0; i < 10; i++) {
		other = connect_to(s.port);
		CHECK_INT(call(other, NFS3_GETATTR, &a, &record).status, NFS3_OK);
		close(TAKE_FD(other));
	}
	for (uint32_t i = 0; i < STUCK; i++)
		sem_post(&let_go);
	for (uint32_t i = 0; i < STUCK; i++)
		CHECK(receive_reply(fd, &reader, &record, &x) < STUCK);
}

TEST(a_burst_of_small_and_large_calls_is_answered_in_full)
{
	_cleanup_service_ struct service s;
	_cleanup_(rpc_reader_free) struct rpc_reader reader = {.most = 2 << 20};
	_cleanup_buffer_ struct buffer out = {0}, record = {0};
	_cleanup_fd_ int fd = -1;
	struct nfs3_arguments a = {0};
	bool seen[60] = {0};
	struct xdr x;

	service_open(&s, &options, &(struct nfs3_tcp_options){0});
	fd = connect_to(s.port);
	a.object = make_file(fd, mount_root(fd), "f", 2 << 20);
	for (uint32_t i = 0; i < ARRAY_SIZE(seen); i++) {
		a.count = i % 7 == 3 ? 1 << 20 : 4096;
		put_nfs(&out, i, i % 3 ? NFS3_READ : NFS3_GETATTR, &a);
	}
	CHECK(send_all(fd, out.data, out.size));
	for (uint32_t i = 0; i < ARRAY_SIZE(seen); i++) {
		uint32_t xid = receive_reply(fd, &reader, &record, &x);
		struct nfs3_results r = {0};

		CHECK(xid < ARRAY_SIZE(seen) && !seen[xid]);
		seen[xid] = true;
		nfs3_code_results(&x, xid % 3 ? NFS3_READ : NFS3_GETATTR, &r);
		CHECK(xdr_done(&x));
		CHECK_INT(r.status, NFS3_OK);
		if (xid % 3)
			CHECK_INT(r.count, xid % 7 == 3 ? 1 << 20 : 4096);
	}
}

TEST(calls_may_come_a_byte_at_a_time)
{
	_cleanup_service_ struct service s;
	_cleanup_(rpc_reader_free) struct rpc_reader reader = {.most = 4096};
	_cleanup_buffer_ struct buffer out = {0}, record = {0};
	_cleanup_fd_ int fd = -1;
	struct nfs3_arguments none = {0};
	struct xdr x;

	service_open(&s, &options, &(struct nfs3_tcp_options){0});
	fd = connect_to(s.port);
	put_nfs(&out, 5, NFS3_NULL, &none);
	for (size_t i = 0; i < out.size; i++) {
		CHECK(send_all(fd, out.data + i, 1));
		usleep(500);
	}
	CHECK_INT(receive_reply(fd, &reader, &record, &x), 5);
}

TEST(large_data_goes_there_and_back)
{
	_cleanup_service_ struct service s;
	_cleanup_free_ uint8_t *data = malloc(VFS_IO_MAX);
	_cleanup_buffer_ struct buffer record = {0};
	_cleanup_fd_ int fd = -1;
	struct nfs3_arguments a = {.count = VFS_IO_MAX, .data = {data, VFS_IO_MAX}};
	struct nfs3_results r;

	service_open(&s, &options, &(struct nfs3_tcp_options){0});
	for (uint32_t i = 0; i < VFS_IO_MAX; i++)
		data[i] = (uint8_t)(i * 31 >> 7);
	fd = connect_to(s.port);
	a.object = make_file(fd, mount_root(fd), "f", 0);
	r = call(fd, NFS3_WRITE, &a, &record);
	CHECK(r.status == NFS3_OK && r.count == VFS_IO_MAX);
	r = call(fd, NFS3_READ, &a, &record);
	CHECK(r.status == NFS3_OK && r.count == VFS_IO_MAX && r.end);
	CHECK(!memcmp(r.data.data, data, VFS_IO_MAX));
}

TEST(garbage_ends_its_own_connection_only)
{
	_cleanup_service_ struct service s;
	_cleanup_fd_ int good = -1;
	static const char *const garbage[] = {"\xff\xff\xff\xff", "\x80\0\0\4abcd", "\x80\0\0\0",
		"\x7f\xff\xff\xff\0\0\0\0", "\x80\0\0\x28GET / HTTP/1.1\r\nHost: localhost:2049\r\n\r\n  "};
	static const size_t sizes[] = {4, 8, 4, 8, 44};
	char byte;

	service_open(&s, &options, &(struct nfs3_tcp_options){0});
	good = connect_to(s.port);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		_cleanup_fd_ int fd = connect_to(s.port);

		CHECK(send_all(fd, garbage[i], sizes[i]));
		CHECK(recv(fd, &byte, 1, 0) <= 0);
		CHECK(errno != EAGAIN);
		CHECK(answers(good));
	}
}

TEST(a_client_that_does_not_read_stops_itself_only)
{
	_cleanup_service_ struct service s;
	_cleanup_buffer_ struct buffer out = {0}, record = {0};
	_cleanup_(rpc_reader_free) struct rpc_reader reader = {.most = 2 << 20};
	_cleanup_fd_ int slow = -1, good = -1;
	struct nfs3_arguments a = {.count = VFS_IO_MAX};
	struct xdr x;

	service_open(&s, &options, &(struct nfs3_tcp_options){.calls = 4, .threads = 2});
	slow = connect_to(s.port);
	good = connect_to(s.port);
	a.object = make_file(good, mount_root(good), "f", 2 << 20);
	for (uint32_t i = 0; i < 40; i++)
		put_nfs(&out, i, NFS3_READ, &a);
	CHECK(send_all(slow, out.data, out.size));
	for (int i = 0; i < 50; i++)
		CHECK(answers(good));
	/* And when it reads at last, everything is there. */
	for (uint32_t i = 0; i < 40; i++) {
		struct nfs3_results r = {0};

		CHECK(receive_reply(slow, &reader, &record, &x) < 40);
		nfs3_code_results(&x, NFS3_READ, &r);
		CHECK(xdr_done(&x) && r.count == VFS_IO_MAX);
	}
}

TEST(clients_that_go_in_the_middle_leave_nothing)
{
	_cleanup_service_ struct service s;
	_cleanup_buffer_ struct buffer out = {0};
	_cleanup_fd_ int good = -1;
	struct nfs3_arguments a = {.count = VFS_IO_MAX};

	service_open(&s, &options, &(struct nfs3_tcp_options){.connections = 4, .calls = 4});
	good = connect_to(s.port);
	a.object = make_file(good, mount_root(good), "f", 2 << 20);
	for (uint32_t i = 0; i < 20; i++)
		put_nfs(&out, i, NFS3_READ, &a);
	for (int i = 0; i < 200; i++) {
		struct linger now = {.l_onoff = 1};
		int fd = connect_to(s.port);

		/* It may be one too many while the ones before are being closed. */
		send_all(fd, out.data, out.size - (size_t)i % 3 * 7);
		if (i % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(fd);
	}
	for (int i = 0; i < 3; i++)
		CHECK(answers(good));
	for (uint64_t end = clock_monotonic() + PATIENCE;;) {
		_cleanup_fd_ int fd = connect_to(s.port);

		if (answers(fd))
			break;
		CHECK(clock_monotonic() < end);
		usleep(10000);
	}
}

TEST(connections_beyond_the_limit_are_closed)
{
	_cleanup_service_ struct service s;
	int fds[5];

	service_open(&s, &options, &(struct nfs3_tcp_options){.connections = 3});
	for (int i = 0; i < 5; i++) {
		fds[i] = connect_to(s.port);
		CHECK(answers(fds[i]) == (i < 3));
	}
	close(fds[0]);
	for (uint64_t end = clock_monotonic() + PATIENCE;;) {
		_cleanup_fd_ int fd = connect_to(s.port);

		if (answers(fd))
			break;
		CHECK(clock_monotonic() < end);
		usleep(10000);
	}
	for (int i = 1; i < 5; i++)
		close(fds[i]);
}

struct client {
	uint16_t port;
	int number;
	bool good;
};

static void *be_client(void *context)
{
	struct client *c = context;
	_cleanup_fd_ int fd = connect_to(c->port);
	struct nfs3_handle root = mount_root(fd);

	c->good = true;
	for (int i = 0; i < 100 && c->good; i++) {
		_cleanup_buffer_ struct buffer record = {0};
		char name[32];
		struct nfs3_arguments a = {0};

		snprintf(name, sizeof name, "%d-%d", c->number, i);
		a.object = make_file(fd, root, name, 10);
		c->good = call(fd, NFS3_GETATTR, &a, &record).object.a.size == 10;
	}
	return NULL;
}

TEST(clients_at_once_do_not_mix)
{
	_cleanup_service_ struct service s;
	struct client clients[8];
	pthread_t threads[8];

	service_open(&s, &options, &(struct nfs3_tcp_options){.threads = 4});
	for (int i = 0; i < 8; i++) {
		clients[i] = (struct client){.port = s.port, .number = i};
		CHECK_INT(pthread_create(&threads[i], NULL, be_client, &clients[i]), 0);
	}
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 8; i++)
		CHECK(clients[i].good);
}

/* ---- whose connection it is ---------------------------------------------------------------------------- */

/* Both ends of a connection over loopback. */
static void make_pair(int family, int *client, int *server)
{
	struct sockaddr_storage a = {.ss_family = (sa_family_t)family};
	socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	_cleanup_fd_ int listening = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (family == AF_INET)
		((struct sockaddr_in *)&a)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&a)->sin6_addr = in6addr_loopback;
	CHECK(bind(listening, (struct sockaddr *)&a, size) == 0 && listen(listening, 1) == 0);
	CHECK(getsockname(listening, (struct sockaddr *)&a, &size) == 0);
	*client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(*client, (struct sockaddr *)&a, size) == 0);
	*server = accept(listening, NULL, NULL);
	CHECK(*server >= 0);
}

TEST(the_owner_of_the_other_end_is_found)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct socket_owner owner;
	struct error err;
	_cleanup_fd_ int diag = -1;

	CHECK_OK(socket_owner_open(&diag, &err));
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		int client, server;
		struct stat s;

		make_pair(families[i], &client, &server);
		CHECK_OK(socket_owner_of_peer(diag, server, &owner, &err));
		CHECK(fstat(client, &s) == 0);
		CHECK_INT(owner.uid, geteuid());
		CHECK_INT(owner.inode, s.st_ino);
		close(client);
		close(server);
	}
}

TEST(a_socket_that_was_closed_has_no_owner)
{
	struct socket_owner owner;
	struct error err;
	_cleanup_fd_ int diag = -1;
	int client, server;

	CHECK_OK(socket_owner_open(&diag, &err));
	make_pair(AF_INET, &client, &server);
	CHECK(send_all(client, "x", 1));
	close(client);
	CHECK_ERROR(socket_owner_of_peer(diag, server, &owner, &err), ERROR_NOT_FOUND);
	close(server);
	/* Closed without a goodbye. */
	make_pair(AF_INET, &client, &server);
	CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
		      sizeof(struct linger)) == 0);
	close(client);
	CHECK_ERROR(socket_owner_of_peer(diag, server, &owner, &err), ERROR_NOT_FOUND);
	close(server);
}

TEST(who_listens_on_the_port_of_a_client_is_not_its_owner)
{
	struct sockaddr_in a;
	socklen_t size = sizeof a;
	struct socket_owner owner;
	struct error err;
	_cleanup_fd_ int diag = -1, listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client, server;

	CHECK_OK(socket_owner_open(&diag, &err));
	for (unsigned tries = 0;; tries++) { /* somebody else may be faster to take the port */
		make_pair(AF_INET, &client, &server);
		CHECK(getsockname(client, (struct sockaddr *)&a, &size) == 0);
		CHECK(setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
			      sizeof(struct linger)) == 0);
		close(client);
		if (bind(listening, (struct sockaddr *)&a, size) == 0)
			break;
		CHECK(errno == EADDRINUSE && tries < 20);
		close(server);
	}
	CHECK(listen(listening, 1) == 0);
	CHECK_ERROR(socket_owner_of_peer(diag, server, &owner, &err), ERROR_NOT_FOUND);
	close(server);
}

TEST(what_is_no_tcp_connection_has_no_owner)
{
	struct socket_owner owner;
	struct error err;
	_cleanup_fd_ int diag = -1;
	int pair[2];

	CHECK_OK(socket_owner_open(&diag, &err));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK_ERROR(socket_owner_of_peer(diag, pair[0], &owner, &err), ERROR_INVALID);
	CHECK_ERROR(socket_owner_of_peer(diag, -1, &owner, &err), ERROR_SYSTEM);
	close(pair[0]);
	close(pair[1]);
}

/* A child that is another user does what `what` says; gives what it said. */
static int as_other(int (*what)(uint16_t port), uint16_t port)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (setgid(OTHER) < 0 || setuid(OTHER) < 0)
			_exit(99);
		_exit(what(port));
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Bytes that come as an answer to a NULL call, 0 to 98. */
static int try_null(uint16_t port)
{
	_cleanup_buffer_ struct buffer out = {0};
	_cleanup_fd_ int fd = connect_to(port);
	struct nfs3_arguments none = {0};
	char bytes[98];
	ssize_t n;

	put_nfs(&out, 1, NFS3_NULL, &none);
	send_all(fd, out.data, out.size);
	n = recv(fd, bytes, sizeof bytes, 0);
	if (n < 0 && errno != ECONNRESET && errno != EPIPE)
		return 98;
	return n < 0 ? 0 : (int)n;
}

/* Says something and is gone at once, many times. */
static int hit_and_run(uint16_t port)
{
	_cleanup_buffer_ struct buffer out = {0}, arguments = {0};
	struct xdr_bytes path = {(const uint8_t *)SERVICE_EXPORT, sizeof SERVICE_EXPORT - 1};
	struct xdr x = xdr_writer(&arguments);

	mount3_code_path(&x, &path);
	for (int i = 0; i < HITS; i++) {
		int fd = connect_to(port);

		put_call(&out, 9, MOUNT3_PROGRAM, MOUNT3_MNT, &arguments);
		send_all(fd, out.data, out.size);
		close(fd);
	}
	return 0;
}

TEST(another_user_gets_not_even_null)
{
	_cleanup_service_ struct service s;
	_cleanup_fd_ int fd = -1;

	service_open(&s, &options, &(struct nfs3_tcp_options){0});
	fd = connect_to(s.port);
	CHECK(answers(fd));
	if (geteuid() != 0) {
		/* Then the server is another's. */
		s.policy.uid = geteuid() + 1;
		CHECK_INT(try_null(s.port), 0);
		return;
	}
	CHECK_INT(as_other(try_null, s.port), 0);
	s.policy.kernel = true;
	CHECK_INT(as_other(try_null, s.port), 0);
	s.policy.uid = OTHER;
	CHECK(as_other(try_null, s.port) > 0);
	s.policy.kernel = false; /* root itself is then another user */
	CHECK_INT(try_null(s.port), 0);
	CHECK(answers(fd));
}

struct gate {
	struct socket_owner_policy *policy;
	_Atomic unsigned asked, allowed;
};

static bool count_allowed(void *context, int fd)
{
	struct gate *g = context;
	bool allowed;

	usleep(1000); /* until the other side has closed */
	allowed = socket_owner_allows(g->policy, fd);
	g->asked++;
	g->allowed += allowed;
	return allowed;
}

TEST(another_user_that_closes_at_once_is_not_taken_for_the_kernel)
{
	struct gate gate = {0};
	struct nfs3_tcp_options tcp = {.allowed = count_allowed, .context = &gate};
	struct service s;

	gate.policy = &s.policy;
	service_open(&s, &options, &tcp);
	s.policy.uid = OTHER + 1;
	s.policy.kernel = true;
	if (geteuid() == 0)
		CHECK_INT(as_other(hit_and_run, s.port), 0);
	else
		hit_and_run(s.port);
	for (uint64_t end = clock_monotonic() + PATIENCE; gate.asked < HITS && clock_monotonic() < end;)
		usleep(1000);
	service_close(&s);
	CHECK_INT(gate.asked, HITS);
	CHECK_INT(gate.allowed, 0);
}
