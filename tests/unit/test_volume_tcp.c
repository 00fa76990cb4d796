/* SPDX-License-Identifier: Apache-2.0 */
/* The relay of volumes that come by NFS is a process of its own here, as it is in the guest: this one is the
 * host at the other end of its port, and the kernel's client on the loopback interface. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/volume.h"
#include "guest/volume_relay.h"
#include "test.h"

#define VOLUME   1     /* the one that is served, of two */
#define PATIENCE 20000 /* milliseconds for what must come */
#define QUIET    150   /* ... in which nothing may */
#define BROKEN   1     /* how the relay ends where the host breaks the protocol */

/* So that a fault that a sanitizer finds is no such end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "abort_on_error=1";
}

struct relay {
	pid_t child;
	int port;              /* the host's end */
	uint16_t at;           /* where it listens */
	uint32_t sent, credit; /* bytes of DATA to it, and what it says of them */
};

/* ---- the relay's process ------------------------------------------------------------------------------ */

static bool write_to(const char *path, const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* In a namespace where whoever runs this is root. */
static bool become_root(void)
{
	char uids[64];

	snprintf(uids, sizeof uids, "0 %u 1", geteuid());
	return geteuid() == 0 || (unshare(CLONE_NEWUSER) == 0 && write_to("/proc/self/uid_map", uids));
}

static _Noreturn void run_relay(int port, int say, bool as_root)
{
	_Atomic uint32_t unsettled = 0;
	struct volume_relay *relay;
	struct error err;
	uint16_t at;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if ((as_root && !become_root()) || volume_relay_new(port, 2, &unsettled, &relay, &err) < 0 ||
		volume_relay_add_nfs(relay, VOLUME, &at, &err) < 0 || volume_relay_start(relay, &err) < 0 ||
		write(say, &at, sizeof at) != sizeof at)
		_exit(90);
	for (;;)
		pause();
}

static struct relay relay_start(bool as_root)
{
	int port[2], say[2];
	struct relay r = {0};

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, port), 0);
	CHECK_INT(pipe2(say, O_CLOEXEC), 0);
	fflush(stdout);
	r.child = fork();
	CHECK(r.child >= 0);
	if (r.child == 0) {
		close(port[0]);
		run_relay(port[1], say[1], as_root);
	}
	close(port[1]);
	close(say[1]);
	CHECK_INT(read(say[0], &r.at, sizeof r.at), sizeof r.at);
	close(say[0]);
	r.port = port[0];
	return r;
}

static void relay_end(struct relay *r)
{
	kill(r->child, SIGKILL);
	waitpid(r->child, NULL, 0);
	close(r->port);
}

#define RELAY(name, as_root) __attribute__((cleanup(relay_end))) struct relay name = relay_start(as_root)

static void check_runs(struct relay *r)
{
	CHECK_INT(waitpid(r->child, NULL, WNOHANG), 0);
}

/* ---- the host ----------------------------------------------------------------------------------------- */

static bool readable(int fd, int milliseconds)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, milliseconds) > 0;
}

static void read_fully(int fd, void *out, size_t size)
{
	uint8_t *to = out;

	while (size) {
		ssize_t n = readable(fd, PATIENCE) ? read(fd, to, size) : -1;

		CHECK(n > 0);
		to += n;
		size -= (size_t)n;
	}
}

/* The port is read all the time by both ends, so this never waits for long. */
static void host_send(struct relay *r, unsigned type, const void *payload, uint32_t size)
{
	uint8_t bytes[VOLUME_HEADER_SIZE + VOLUME_PAYLOAD_MAX];

	volume_frame_encode(&(struct volume_frame){size, VOLUME, (uint16_t)type}, bytes);
	if (size)
		memcpy(bytes + VOLUME_HEADER_SIZE, payload, size);
	CHECK_INT(send(r->port, bytes, VOLUME_HEADER_SIZE + size, MSG_NOSIGNAL), VOLUME_HEADER_SIZE + size);
	r->sent += type == VOLUME_DATA ? size : 0;
}

static void host_credit(struct relay *r, uint32_t n)
{
	uint8_t bytes[4];

	volume_u32_encode(n, bytes);
	host_send(r, VOLUME_CREDIT, bytes, sizeof bytes);
}

/* What the host has heard; `data` may be NULL. */
struct heard {
	uint8_t *data;
	uint32_t size, resets;
};

static void host_hear(struct relay *r, struct heard *h)
{
	uint8_t head[VOLUME_HEADER_SIZE], payload[VOLUME_PAYLOAD_MAX];
	struct volume_frame f;
	struct error err;

	read_fully(r->port, head, sizeof head);
	CHECK_OK(volume_frame_decode(head, &f, &err));
	CHECK_INT(f.volume, VOLUME);
	CHECK(f.length + VOLUME_HEADER_SIZE <= 32768);
	read_fully(r->port, payload, f.length);
	if (f.type == VOLUME_CREDIT)
		r->credit += volume_u32_decode(payload);
	CHECK(r->credit <= r->sent);
	h->resets += f.type == VOLUME_RESET;
	if (f.type != VOLUME_DATA)
		return;
	if (h->data)
		memcpy(h->data + h->size, payload, f.length);
	h->size += f.length;
}

static void host_hear_until(struct relay *r, struct heard *h, uint32_t size, uint32_t resets)
{
	while (h->size < size || h->resets < resets)
		host_hear(r, h);
	CHECK_INT(h->size, size);
	CHECK_INT(h->resets, resets);
}

static void check_says_nothing(struct relay *r)
{
	CHECK(!readable(r->port, QUIET));
	check_runs(r);
}

static void check_breaks(struct relay *r)
{
	int status;

	CHECK_INT(waitpid(r->child, &status, 0), r->child);
	CHECK_INT(status, W_EXITCODE(BROKEN, 0));
}

/* ---- the client --------------------------------------------------------------------------------------- */

static int client_connect(struct relay *r, int room)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(r->at)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	if (room)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	CHECK_INT(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void client_send(int fd, const void *bytes, size_t size)
{
	CHECK_INT(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

/* That a word comes through, and its answer back. */
static void check_served(struct relay *r, int client, const char *word)
{
	uint8_t data[64], answer[64];
	struct heard h = {data};
	uint32_t size = (uint32_t)strlen(word);

	client_send(client, word, size);
	host_hear_until(r, &h, size, 0);
	CHECK(!memcmp(data, word, size));
	host_send(r, VOLUME_DATA, word, size);
	read_fully(client, answer, size);
	CHECK(!memcmp(answer, word, size));
}

/* A client that reads an end would wait before it connects anew. */
static void check_was_reset(int client)
{
	char bytes[65536];
	ssize_t n;

	do {
		CHECK(readable(client, PATIENCE));
		n = recv(client, bytes, sizeof bytes, 0);
	} while (n > 0);
	CHECK(n < 0 && errno == ECONNRESET);
}

static uint8_t *make_bytes(size_t size)
{
	uint8_t *bytes = malloc(size);

	CHECK(bytes);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 11));
	return bytes;
}

/* ---- promises ----------------------------------------------------------------------------------------- */

TEST(what_a_client_says_and_is_answered_goes_through_unchanged_and_is_accounted_for)
{
	enum { SIZE = VOLUME_WINDOW / 2, ROUNDS = 3 };
	RELAY(r, true);
	_cleanup_fd_ int client = client_connect(&r, 0);
	_cleanup_free_ uint8_t *bytes = make_bytes(SIZE), *came = malloc(SIZE);
	struct heard h = {came};

	for (unsigned round = 0; round < ROUNDS; round++) {
		h.size = 0;
		for (uint32_t at = 0, n; at < SIZE; at += n) {
			n = SIZE - at < 50021 ? SIZE - at : 50021;
			client_send(client, bytes + at, n);
			host_hear_until(&r, &h, at + n, 0);
			host_credit(&r, n);
			host_send(&r, VOLUME_DATA, bytes + at, n);
			read_fully(client, came + at, n);
			CHECK(!memcmp(came + at, bytes + at, n));
		}
	}
	/* All but what is less than a quarter of the window. */
	while (r.credit + VOLUME_WINDOW / 4 <= r.sent)
		host_hear(&r, &h);
}

/* A process that says more and more. */
static pid_t flood(int client)
{
	static const char bytes[65536];
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (send(client, bytes, sizeof bytes, MSG_NOSIGNAL) > 0)
			;
		_exit(0);
	}
	close(client);
	return child;
}

TEST(no_more_than_the_host_gives_credit_for_is_sent_whatever_it_says)
{
	RELAY(r, true);
	pid_t child = flood(client_connect(&r, 0));
	struct heard h = {0};

	host_hear_until(&r, &h, VOLUME_WINDOW, 0);
	check_says_nothing(&r);
	host_credit(&r, 12345);
	host_hear_until(&r, &h, VOLUME_WINDOW + 12345, 0);
	check_says_nothing(&r);
	/* More than was ever sent is no more than the window. */
	host_credit(&r, 1);
	host_credit(&r, UINT32_MAX);
	while (h.size < 2 * VOLUME_WINDOW + 12345)
		host_hear(&r, &h);
	while (readable(r.port, QUIET))
		host_hear(&r, &h);
	CHECK(h.size <= 2 * VOLUME_WINDOW + 12345 + 1);
	/* Nor does what waits for credit keep a connection. */
	host_send(&r, VOLUME_RESET, NULL, 0);
	host_hear_until(&r, &h, h.size, 1);
	CHECK_INT(waitpid(child, NULL, 0), child);
}

static void send_window(struct relay *r)
{
	static const uint8_t bytes[32768];

	for (uint32_t left; (left = VOLUME_WINDOW - (r->sent - r->credit));)
		host_send(r, VOLUME_DATA, bytes, left < sizeof bytes ? left : sizeof bytes);
}

/* Until no credit comes for it: the client's socket is full, and the relay's window. */
static void fill(struct relay *r)
{
	struct heard h = {0};

	do {
		send_window(r);
		CHECK(r->sent < 64u << 20);
	} while (readable(r->port, QUIET) && (host_hear(r, &h), true));
	CHECK_INT(h.resets, 0);
}

static long resident(pid_t pid)
{
	char path[64];
	long pages = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	CHECK(f && fscanf(f, "%*d %ld", &pages) == 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

#ifdef __SANITIZE_THREAD__ /* which keeps more of memory that is used */
#define SHADOW 16
#else
#define SHADOW 1
#endif

TEST(a_client_that_never_reads_costs_a_window_and_the_next_one_is_served)
{
	RELAY(r, true);
	long before = resident(r.child);
	_cleanup_fd_ int client = client_connect(&r, 4096), next = -1;
	struct heard h = {0};

	fill(&r);
	CHECK(resident(r.child) - before < SHADOW * 2 * (long)VOLUME_WINDOW);
	host_send(&r, VOLUME_RESET, NULL, 0);
	host_hear_until(&r, &h, 0, 1);
	check_was_reset(client);
	next = client_connect(&r, 0);
	check_served(&r, next, "next");
}

TEST(data_beyond_the_window_ends_the_relay)
{
	RELAY(r, true);
	_cleanup_fd_ int client = client_connect(&r, 4096);
	uint8_t bytes[VOLUME_HEADER_SIZE + VOLUME_PAYLOAD_MAX] = {0};

	fill(&r);
	check_runs(&r);
	/* What the client took and the relay has not told yet is less than a quarter. */
	volume_frame_encode(&(struct volume_frame){VOLUME_PAYLOAD_MAX, VOLUME, VOLUME_DATA}, bytes);
	for (uint32_t more = 0; more < VOLUME_WINDOW / 4; more += VOLUME_PAYLOAD_MAX)
		send(r.port, bytes, sizeof bytes, MSG_NOSIGNAL);
	check_breaks(&r);
}

TEST(a_reset_of_the_host_resets_the_client_and_nothing_of_one_connection_reaches_the_next)
{
	RELAY(r, true);
	_cleanup_fd_ int client = client_connect(&r, 0), next = -1;
	struct heard h = {0};

	check_served(&r, client, "hello");
	host_send(&r, VOLUME_RESET, NULL, 0);
	host_hear_until(&r, &h, 0, 1);
	check_was_reset(client);
	next = client_connect(&r, 0);
	check_served(&r, next, "again");
	check_says_nothing(&r);
}

TEST(data_for_a_client_that_went_is_dropped_and_accounted_for)
{
	RELAY(r, true);
	_cleanup_fd_ int next = -1;
	int client = client_connect(&r, 0);
	struct heard h = {0};

	check_served(&r, client, "hello");
	close(client);
	host_hear_until(&r, &h, 0, 1);
	/* Its RESET has not been answered: nobody is served, and data are the old connection's. */
	next = client_connect(&r, 0);
	client_send(next, "next", 4);
	send_window(&r);
	while (r.credit + VOLUME_WINDOW / 4 <= r.sent)
		host_hear(&r, &h);
	check_says_nothing(&r);
	host_send(&r, VOLUME_RESET, NULL, 0);
	host_hear_until(&r, &h, 4, 1);
	check_served(&r, next, "again");
}

TEST(resets_that_cross_are_one_each)
{
	RELAY(r, true);

	for (unsigned i = 0; i < 20; i++) {
		int client = client_connect(&r, 0);
		struct heard h = {0};

		check_served(&r, client, "hello");
		host_send(&r, VOLUME_DATA, "unread", 6);
		if (i % 2)
			close(client);
		host_send(&r, VOLUME_RESET, NULL, 0);
		if (i % 2 == 0)
			close(client);
		host_hear_until(&r, &h, 0, 1);
	}
	check_says_nothing(&r);
}

TEST(a_reset_where_there_is_no_client_is_answered)
{
	RELAY(r, true);
	_cleanup_fd_ int client = -1;
	struct heard h = {0};

	for (unsigned i = 1; i <= 3; i++) {
		host_send(&r, VOLUME_DATA, "nobody's", 8);
		host_send(&r, VOLUME_RESET, NULL, 0);
		host_hear_until(&r, &h, 0, i);
	}
	client = client_connect(&r, 0);
	check_served(&r, client, "somebody");
}

/* Until it waits for the relay, which waits for its port, which nobody reads. */
static void stuff(int client)
{
	static const char bytes[65536];
	struct pollfd p = {.fd = client, .events = POLLOUT};

	CHECK_INT(fcntl(client, F_SETFL, O_NONBLOCK), 0);
	while (send(client, bytes, sizeof bytes, MSG_NOSIGNAL) > 0 || poll(&p, 1, QUIET) > 0)
		;
}

TEST(a_second_reset_before_the_first_is_answered_ends_the_relay)
{
	RELAY(r, true);
	_cleanup_fd_ int client = client_connect(&r, 0);

	stuff(client);
	host_send(&r, VOLUME_RESET, NULL, 0);
	check_runs(&r);
	host_send(&r, VOLUME_RESET, NULL, 0);
	check_breaks(&r);
}

TEST(a_half_closed_client_is_at_its_end_whether_it_reads_or_not)
{
	RELAY(r, true);
	_cleanup_fd_ int reads = client_connect(&r, 0), never = -1, next = -1;
	struct heard h = {0};

	check_served(&r, reads, "hello");
	CHECK_INT(shutdown(reads, SHUT_WR), 0);
	host_hear_until(&r, &h, 0, 1);
	host_send(&r, VOLUME_RESET, NULL, 0);
	check_was_reset(reads);

	never = client_connect(&r, 4096);
	fill(&r);
	CHECK_INT(shutdown(never, SHUT_WR), 0);
	/* The host goes on until it hears of that. */
	for (; h.resets < 2; send_window(&r))
		host_hear(&r, &h);
	host_send(&r, VOLUME_RESET, NULL, 0);
	check_was_reset(never);
	next = client_connect(&r, 0);
	client_send(next, "next", 4);
	while (h.size < 4)
		host_hear(&r, &h);
}

TEST(many_connections_are_served_one_after_the_other)
{
	enum { ROUNDS = 10, AT_ONCE = 12 };
	RELAY(r, true);

	for (unsigned round = 0; round < ROUNDS; round++) {
		int clients[AT_ONCE];

		for (unsigned i = 0; i < AT_ONCE; i++) {
			clients[i] = client_connect(&r, 0);
			client_send(clients[i], &i, sizeof i);
		}
		for (unsigned i = 0; i < AT_ONCE; i++) {
			unsigned from = AT_ONCE;
			struct heard h = {(uint8_t *)&from};

			host_hear_until(&r, &h, sizeof from, 0);
			CHECK_INT(from, i);
			host_send(&r, VOLUME_DATA, &i, sizeof i);
			read_fully(clients[i], &from, sizeof from);
			CHECK_INT(from, i);
			close(clients[i]);
			host_hear_until(&r, &h, sizeof from, 1);
			host_send(&r, VOLUME_RESET, NULL, 0);
		}
	}
	check_says_nothing(&r);
}

static void check_is_refused(int client)
{
	char byte;

	CHECK(readable(client, PATIENCE));
	CHECK(recv(client, &byte, 1, 0) <= 0);
}

TEST(what_another_user_than_root_says_is_not_heard)
{
	RELAY(r, false);
	uid_t self = geteuid();

	for (unsigned i = 0; i < 50; i++) {
		int client, r_ = self == 0 ? seteuid(65534) : 0;

		client = client_connect(&r, 0);
		r_ |= self == 0 ? seteuid(0) : 0;
		CHECK_INT(r_, 0);
		if (send(client, "forged", 6, MSG_NOSIGNAL) == 6 && i % 2)
			check_is_refused(client);
		close(client);
	}
	check_says_nothing(&r);
}

/* To the kernel's list, a socket that its owner has closed is root's. */
TEST(what_somebody_said_who_has_gone_is_not_heard_since_nobody_knows_who_it_was)
{
	RELAY(r, true);
	int client = client_connect(&r, 0), gone;
	_cleanup_fd_ int next = -1;
	struct heard h = {0};

	check_served(&r, client, "hello");
	gone = client_connect(&r, 0);
	client_send(gone, "forged", 6);
	close(gone);
	next = client_connect(&r, 0);
	close(client);
	host_hear_until(&r, &h, 0, 1);
	host_send(&r, VOLUME_RESET, NULL, 0);
	check_served(&r, next, "next");
}

TEST(frames_that_break_the_protocol_end_the_relay)
{
	static const struct {
		uint32_t length;
		uint16_t volume, type;
	} table[] = {{0, VOLUME, 0}, {0, VOLUME, VOLUME_RESET + 1}, {0, VOLUME, 65535},
		{0, VOLUME, VOLUME_DATA}, {VOLUME_PAYLOAD_MAX + 1, VOLUME, VOLUME_DATA},
		{UINT32_MAX, VOLUME, VOLUME_DATA}, {3, VOLUME, VOLUME_CREDIT}, {5, VOLUME, VOLUME_CREDIT},
		{0, VOLUME, VOLUME_CREDIT}, {1, VOLUME, VOLUME_RESET}, {1, VOLUME, VOLUME_END},
		{1, 2, VOLUME_DATA}, {1, VOLUMES_MAX, VOLUME_DATA}, {0, 65535, VOLUME_RESET},
		/* Of a volume that does not come by NFS. */
		{0, 0, VOLUME_RESET}};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		RELAY(r, true);
		_cleanup_fd_ int client = client_connect(&r, 0);
		uint8_t bytes[VOLUME_HEADER_SIZE];

		check_served(&r, client, "hello");
		volume_frame_encode(
			&(struct volume_frame){table[i].length, table[i].volume, table[i].type}, bytes);
		CHECK_INT(send(r.port, bytes, sizeof bytes, MSG_NOSIGNAL), sizeof bytes);
		check_breaks(&r);
	}
}

TEST(garbage_ends_the_relay_and_does_it_no_harm)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		RELAY(r, true);
		_cleanup_fd_ int client = client_connect(&r, 0);
		uint8_t bytes[4096];

		srand(seed);
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (uint8_t)rand();
		check_served(&r, client, "hello");
		/* Behind honest frames, and where one is cut. */
		host_send(&r, VOLUME_DATA, bytes, seed);
		send(r.port, bytes, sizeof bytes, MSG_NOSIGNAL);
		shutdown(r.port, SHUT_WR);
		check_breaks(&r);
	}
}

TEST(after_the_hosts_end_clients_are_reset_and_refused_and_nothing_is_sent)
{
	RELAY(r, true);
	_cleanup_fd_ int client = client_connect(&r, 0),
			 late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons(r.at)};

	check_served(&r, client, "hello");
	host_send(&r, VOLUME_DATA, "unread", 6);
	host_send(&r, VOLUME_END, NULL, 0);
	check_was_reset(client);
	host_send(&r, VOLUME_DATA, "late", 4);
	host_credit(&r, 6);
	while (connect(late, (struct sockaddr *)&a, sizeof a) == 0) {
		check_was_reset(late);
		close(late);
		late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	}
	CHECK_INT(errno, ECONNREFUSED);
	check_says_nothing(&r);
}
