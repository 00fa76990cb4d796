/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver between guests and real sockets of resolvers, which lose, forge, cut and stall. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "dns_server.h"
#include "net/server/resolver.h"

#define ADDRESS 0xc0000201u /* 192.0.2.1 */
#define SUBNET  0x0a000000u
#define BOUND   (20 * NANOSECONDS_PER_SECOND)

struct world {
	uv_loop_t loop;
	uv_timer_t tick; /* wakes the loop, so that nothing waits for ever */
	struct names *names;
	struct resolver *resolver;
	struct dns_server servers[2];
	uint16_t port;
	char directory[32], conf[64];
	unsigned answers;
	uint8_t reply[65536];
	size_t reply_size;
	struct resolver_asker to;
	char learnt[2000];
	bool no_services, done;
};

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

static bool allowed(void *context, uint32_t id, const char *name, char why[RESOLVER_WHY_SIZE])
{
	(void)context;
	if (id != 9 && !strstr(name, "forbidden"))
		return true;
	snprintf(why, RESOLVER_WHY_SIZE, "no rule allows %s", name);
	return false;
}

static bool services(void *context, uint32_t id)
{
	struct world *w = context;

	(void)id;
	return !w->no_services;
}

static void learn(void *context, uint32_t id, const char *name, uint32_t address, uint32_t ttl)
{
	struct world *w = context;
	size_t n = strlen(w->learnt);

	if (n < sizeof w->learnt - 100)
		snprintf(w->learnt + n, sizeof w->learnt - n, "%u:%.40s=%x/%u ", id, name, address, ttl);
}

static void answer(void *context, const struct resolver_asker *asker, const uint8_t *reply, size_t n)
{
	struct world *w = context;

	w->answers++;
	w->to = *asker;
	CHECK(n <= 1232);
	memcpy(w->reply, reply, n);
	w->reply_size = n;
}

static const struct resolver_calls calls = {allowed, services, learn, answer};

static void write_conf(const struct world *w, const char *text)
{
	char other[80];
	FILE *f;

	snprintf(other, sizeof other, "%s.new", w->conf);
	f = fopen(other, "we");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
	CHECK(rename(other, w->conf) == 0);
}

static void begin(struct world *w, const char *conf)
{
	static const struct names_config group = {
		.group = "default", .subnet = SUBNET, .bits = 24, .host = SUBNET + 2};
	static const struct names_member db = {.id = 4, .address = SUBNET + 4, .name = "db"};
	struct resolver_config config = {.resolv_conf = w->conf};
	struct error err;

	memset(w, 0, sizeof *w);
	signal(SIGPIPE, SIG_IGN);
	CHECK_INT(uv_loop_init(&w->loop), 0);
	CHECK_INT(uv_timer_init(&w->loop, &w->tick), 0);
	CHECK_INT(uv_timer_start(&w->tick, on_tick, 10, 10), 0);
	strcpy(w->directory, "/tmp/mc-resolver-XXXXXX");
	CHECK(mkdtemp(w->directory));
	snprintf(w->conf, sizeof w->conf, "%s/resolv.conf", w->directory);
	write_conf(w, conf);
	w->port = dns_server_start(&w->servers[0], &w->loop, 1, 0, ADDRESS);
	dns_server_start(&w->servers[1], &w->loop, 2, w->port, ADDRESS + 1);
	CHECK_OK(names_new(&group, &w->names, &err));
	CHECK_OK(names_add(w->names, &db, &err));
	config.port = w->port;
	CHECK_OK(resolver_new(&w->loop, w->names, &config, &calls, w, &w->resolver, &err));
}

static void on_done(void *context)
{
	struct world *w = context;

	w->done = true;
}

static void run_until(struct world *w, const unsigned *counter, unsigned wanted)
{
	uint64_t deadline = clock_monotonic() + BOUND;

	while (*counter < wanted && clock_monotonic() < deadline)
		uv_run(&w->loop, UV_RUN_ONCE);
	CHECK_INT(*counter, wanted);
}

/* Nothing may be left in the loop. */
static void end(struct world *w)
{
	resolver_close(w->resolver, on_done, w);
	dns_server_stop(&w->servers[0]);
	dns_server_stop(&w->servers[1]);
	uv_close((uv_handle_t *)&w->tick, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	CHECK(w->done);
	CHECK_INT(uv_loop_close(&w->loop), 0);
	names_free(w->names);
	unlink(w->conf);
	rmdir(w->directory);
}

static size_t make_query(uint8_t *out, const char *name, uint16_t type, uint16_t id, bool edns)
{
	struct dns_query q = {.type = type, .class = 1};

	snprintf(q.name, sizeof q.name, "%s", name);
	return dns_build_query(&q, id, edns, out, DNS_QUERY_MOST);
}

static void ask_as(struct world *w, uint32_t id, const char *name, uint16_t type)
{
	struct resolver_asker asker = {.id = id, .address = SUBNET + id, .port = 40000};
	uint8_t query[DNS_QUERY_MOST];

	resolver_ask(w->resolver, &asker, query, make_query(query, name, type, 77, true));
}

/* The latest answer, as a code and its first address. */
static const char *said(const struct world *w, const char *name, uint16_t type)
{
	static const char *const codes[] = {"ok", "formerr", "servfail", "nxdomain", "notimp", "refused"};
	static char text[100];
	uint8_t query[DNS_QUERY_MOST];
	size_t n = make_query(query, name, type, 77, true);
	struct dns_walk walk = {0};
	struct dns_record record = {0};
	struct dns_query q;
	struct dns_reply r;

	CHECK_INT(dns_parse_query(query, n, &q), 0);
	CHECK(dns_parse_reply(w->reply, w->reply_size, &q, 77, &r));
	while (dns_next_answer(&r, &walk, &record) && record.type != DNS_A)
		;
	if (r.truncated)
		return "cut";
	if (!r.answers)
		return codes[r.rcode];
	snprintf(text, sizeof text, "%x", record.address);
	return text;
}

static const char *resolve(struct world *w, const char *name)
{
	w->answers = 0;
	ask_as(w, 3, name, DNS_A);
	run_until(w, &w->answers, 1);
	return said(w, name, DNS_A);
}

#define ONE "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n"
#define TWO "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1 attempts:1\n"

TEST(names_of_the_group_are_answered_at_once_by_us)
{
	struct world w;

	begin(&w, ONE);
	ask_as(&w, 3, "db.default.internal", DNS_A);
	CHECK(w.answers == 1 && w.to.id == 3 && w.to.port == 40000 && w.to.address == SUBNET + 3);
	CHECK_TEXT(said(&w, "db.default.internal", DNS_A), "a000004");
	ask_as(&w, 9, "db", DNS_A); /* who may ask nobody, too */
	CHECK_TEXT(said(&w, "db", DNS_A), "a000004");
	ask_as(&w, 3, "nobody", DNS_A);
	CHECK_TEXT(said(&w, "nobody", DNS_A), "nxdomain");
	CHECK_INT(w.servers[0].queries, 0);
	CHECK_TEXT(w.learnt, "");
	end(&w);
}

TEST(what_a_policy_forbids_is_refused_at_once_and_not_forwarded)
{
	struct world w;

	begin(&w, ONE);
	ask_as(&w, 3, "a.forbidden.example", DNS_A);
	CHECK_TEXT(said(&w, "a.forbidden.example", DNS_A), "refused");
	CHECK(memmem(w.reply, w.reply_size, "no rule allows a.forbidden.example", 34));
	ask_as(&w, 9, "a.example", DNS_AAAA);
	CHECK_TEXT(said(&w, "a.example", DNS_AAAA), "refused");
	CHECK_INT(w.answers, 2);
	CHECK_INT(w.servers[0].queries, 0);
	end(&w);
}

TEST(there_is_no_ipv6_and_no_encrypted_hello_where_names_are_judged)
{
	struct world w;

	begin(&w, ONE);
	ask_as(&w, 3, "a.example", DNS_AAAA);
	CHECK_TEXT(said(&w, "a.example", DNS_AAAA), "ok");
	w.no_services = true;
	ask_as(&w, 3, "a.example", DNS_HTTPS);
	CHECK_TEXT(said(&w, "a.example", DNS_HTTPS), "ok");
	CHECK(w.answers == 2 && w.servers[0].queries == 0);
	w.no_services = false;
	ask_as(&w, 3, "a.example", DNS_HTTPS);
	run_until(&w, &w.answers, 3);
	CHECK_INT(w.servers[0].queries, 1);
	end(&w);
}

TEST(the_rest_is_forwarded_learnt_and_kept)
{
	struct world w;

	begin(&w, ONE);
	CHECK_TEXT(resolve(&w, "a.example"), "c0000201");
	CHECK_TEXT(w.learnt, "3:a.example=c0000201/300 ");
	w.learnt[0] = 0;
	ask_as(&w, 5, "A.Example", DNS_A);
	CHECK_INT(w.answers, 2); /* at once */
	CHECK_TEXT(said(&w, "a.example", DNS_A), "c0000201");
	CHECK(memcmp(w.reply + 12, "\1A\7Example", 10) == 0);
	CHECK(strstr(w.learnt, "5:a.example=c0000201/"));
	CHECK_INT(w.servers[0].queries, 1);
	w.learnt[0] = 0;
	CHECK_TEXT(resolve(&w, "chain.example"), "c0000201");
	CHECK_TEXT(w.learnt, "3:chain.example=c0000201/60 ");
	CHECK_TEXT(resolve(&w, "nx.example"), "nxdomain");
	CHECK_TEXT(resolve(&w, "nx.example"), "nxdomain");
	CHECK_INT(w.servers[0].queries, 3);
	end(&w);
}

TEST(forged_replies_and_garbage_are_as_if_they_had_not_come)
{
	struct world w;

	begin(&w, ONE);
	CHECK_TEXT(resolve(&w, "spoof.example"), "c0000201");
	CHECK_TEXT(w.learnt, "3:spoof.example=c0000201/300 ");
	CHECK_INT(w.servers[0].queries, 1);
	end(&w);
}

TEST(each_question_has_a_port_and_an_id_of_its_own)
{
	uint32_t seen[32];
	unsigned ports = 0, ids = 0;
	struct world w;

	begin(&w, ONE);
	for (unsigned i = 0; i < 32; i++) {
		char name[32];
		bool port = true, id = true;

		snprintf(name, sizeof name, "n%u.example", i);
		CHECK_TEXT(resolve(&w, name), "c0000201");
		seen[i] = (uint32_t)w.servers[0].last_port << 16 | w.servers[0].last_id;
		for (unsigned j = 0; j < i; j++) {
			port = port && seen[j] >> 16 != seen[i] >> 16;
			id = id && (seen[j] & 0xffff) != (seen[i] & 0xffff);
		}
		ports += port;
		ids += id;
	}
	/* Of 32 random ones, seldom more than one is there twice. */
	CHECK(ports > 28 && ids > 28);
	end(&w);
}

TEST(what_is_lost_is_asked_again)
{
	struct world w;

	begin(&w, ONE);
	CHECK_TEXT(resolve(&w, "lost.example"), "c0000201");
	CHECK_INT(w.servers[0].queries, 2);
	end(&w);
}

TEST(a_server_that_is_silent_or_fails_is_followed_by_the_next)
{
	struct world w;

	begin(&w, TWO);
	CHECK_TEXT(resolve(&w, "fail.example"), "servfail");
	CHECK(w.servers[0].queries == 1 && w.servers[1].queries == 1);
	w.servers[1].lost = true;
	CHECK_TEXT(resolve(&w, "lost.example"), "c0000202");
	/* The one that did not answer is not asked first now. */
	CHECK_TEXT(resolve(&w, "next.example"), "c0000202");
	CHECK(w.servers[0].queries == 2 && w.servers[1].queries == 3);
	end(&w);
}

TEST(nobody_there_is_told_at_once)
{
	uint64_t began = clock_monotonic();
	struct world w;

	begin(&w, "nameserver 127.0.0.3\nnameserver 127.0.0.4\noptions timeout:30\n");
	CHECK_TEXT(resolve(&w, "a.example"), "servfail");
	CHECK(memmem(w.reply, w.reply_size, "none of this host's resolvers answers", 37));
	CHECK(clock_monotonic() - began < BOUND);
	end(&w);
}

TEST(replies_that_are_cut_are_fetched_by_tcp)
{
	struct world w;

	begin(&w, ONE);
	CHECK_TEXT(resolve(&w, "big.example"), "cut"); /* too long for a guest's UDP, too */
	CHECK(w.servers[0].queries == 1 && w.servers[0].streams == 1);
	CHECK_TEXT(resolve(&w, "half.example"), "servfail");
	end(&w);
}

TEST(a_server_without_edns_is_asked_without)
{
	struct world w;

	begin(&w, ONE);
	CHECK_TEXT(resolve(&w, "old.example"), "c0000201");
	CHECK_INT(w.servers[0].queries, 2);
	end(&w);
}

TEST(what_is_known_is_forgotten_when_its_time_is_over)
{
	struct world w;

	begin(&w, ONE);
	CHECK_TEXT(resolve(&w, "brief.example"), "c0000201");
	for (uint64_t until = clock_monotonic() + NANOSECONDS_PER_SECOND; clock_monotonic() < until;)
		uv_run(&w.loop, UV_RUN_ONCE);
	CHECK_TEXT(resolve(&w, "brief.example"), "c0000201");
	CHECK_INT(w.servers[0].queries, 2);
	end(&w);
}

TEST(a_changed_resolv_conf_is_followed_and_what_was_known_before_is_not_believed)
{
	struct world w;

	begin(&w, ONE);
	CHECK_TEXT(resolve(&w, "a.example"), "c0000201");
	write_conf(&w, "nameserver 127.0.0.2\n");
	for (uint64_t until = clock_monotonic() + NANOSECONDS_PER_SECOND; clock_monotonic() < until;)
		uv_run(&w.loop, UV_RUN_ONCE);
	CHECK_TEXT(resolve(&w, "a.example"), "c0000202");
	CHECK(w.servers[0].queries == 1 && w.servers[1].queries == 1);
	end(&w);
}

TEST(the_same_question_of_many_is_asked_once)
{
	struct world w;

	begin(&w, ONE);
	for (uint32_t id = 3; id < 8; id++)
		ask_as(&w, id, "held.example", DNS_A);
	run_until(&w, &w.servers[0].held, 1);
	CHECK_INT(w.answers, 0);
	dns_server_release(&w.servers[0]);
	run_until(&w, &w.answers, 5);
	CHECK_INT(w.servers[0].queries, 1);
	end(&w);
}

TEST(one_sandbox_has_so_many_questions_under_way_and_others_theirs)
{
	struct world w;
	unsigned most = RESOLVER_QUERIES_MOST;

	begin(&w, "nameserver 127.0.0.1\noptions timeout:30\n");
	for (unsigned i = 0; i < most + 10; i++) {
		char name[32];

		snprintf(name, sizeof name, "held-%u.example", i);
		ask_as(&w, 3, name, DNS_A);
	}
	CHECK_INT(w.answers, 10);
	CHECK_TEXT(said(&w, "held-73.example", DNS_A), "servfail");
	run_until(&w, &w.servers[0].held, most);
	ask_as(&w, 4, "a.example", DNS_A);
	run_until(&w, &w.answers, 11);
	CHECK_TEXT(said(&w, "a.example", DNS_A), "c0000201");
	/* Who goes gets no answers any more. */
	resolver_forget(w.resolver, 3);
	dns_server_release(&w.servers[0]);
	ask_as(&w, 4, "b.example", DNS_A);
	run_until(&w, &w.answers, 12);
	end(&w);
}

TEST(many_who_ask_as_much_as_they_may_leave_room_for_another)
{
	struct world w;
	unsigned held = 0;

	begin(&w, "nameserver 127.0.0.1\noptions timeout:30\n");
	for (uint32_t id = 10; id < 20; id++)
		for (unsigned i = 0; i < RESOLVER_QUERIES_MOST; i++) {
			char name[32];

			snprintf(name, sizeof name, "held-%u-%u.example", id, i);
			ask_as(&w, id, name, DNS_A);
			held += i < (id < 18 ? RESOLVER_QUERIES_MOST : 4);
			run_until(&w, &w.servers[0].held, held);
		}
	CHECK_INT(w.answers, 2 * (RESOLVER_QUERIES_MOST - 4)); /* those of the last two */
	w.answers = 0;
	CHECK_TEXT(resolve(&w, "a.example"), "c0000201");
	end(&w);
}

TEST(what_is_no_question_gets_an_error_or_nothing)
{
	struct resolver_asker asker = {.id = 3};
	uint8_t query[DNS_QUERY_MOST];
	struct world w;
	size_t n = make_query(query, "a.example", DNS_A, 77, false);

	begin(&w, ONE);
	resolver_ask(w.resolver, &asker, query, 11);
	CHECK_INT(w.answers, 0);
	resolver_ask(w.resolver, &asker, query, n - 1);
	CHECK(w.answers == 1 && (w.reply[3] & 15) == DNS_FORMERR);
	query[2] |= 0x80; /* a reply */
	resolver_ask(w.resolver, &asker, query, n);
	CHECK_INT(w.answers, 1);
	query[2] = 0x28; /* an update */
	resolver_ask(w.resolver, &asker, query, n);
	CHECK(w.answers == 2 && (w.reply[3] & 15) == DNS_NOTIMP);
	end(&w);
}

/* ---- guests by TCP ----------------------------------------------------------------------------------- */

static struct sockaddr_un socket_path(const struct world *w)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(at.sun_path, sizeof at.sun_path, "%s/dns", w->directory);
	return at;
}

static void listen_for(struct world *w, uint32_t id)
{
	struct sockaddr_un at = socket_path(w);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error err;

	CHECK(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 16) == 0);
	CHECK_OK(resolver_listen(w->resolver, id, fd, &err));
}

static int dial(const struct world *w)
{
	struct sockaddr_un at = socket_path(w);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	return fd;
}

static void put_tcp(struct buffer *b, const char *name)
{
	uint8_t query[DNS_QUERY_MOST];
	size_t n = make_query(query, name, DNS_A, 77, true);

	buffer_u8(b, (uint8_t)(n >> 8));
	buffer_u8(b, (uint8_t)n);
	buffer_append(b, query, n);
}

/* n bytes, or until the end: how many. */
static size_t read_from(struct world *w, int fd, void *out, size_t n)
{
	uint64_t deadline = clock_monotonic() + BOUND;
	size_t have = 0;

	while (have < n && clock_monotonic() < deadline) {
		ssize_t got = read(fd, (char *)out + have, n - have);

		if (got == 0)
			return have;
		if (got > 0)
			have += (size_t)got;
		uv_run(&w->loop, UV_RUN_ONCE);
	}
	CHECK_INT(have, n);
	return have;
}

static const char *read_tcp(struct world *w, int fd, const char *name)
{
	uint8_t length[2];

	CHECK_INT(read_from(w, fd, length, 2), 2);
	w->reply_size = (size_t)(length[0] << 8 | length[1]);
	CHECK_INT(read_from(w, fd, w->reply, w->reply_size), w->reply_size);
	return said(w, name, DNS_A);
}

static void end_tcp(struct world *w)
{
	unlink(socket_path(w).sun_path);
	end(w);
}

TEST(guests_ask_by_tcp_many_at_once_and_in_pieces)
{
	_cleanup_buffer_ struct buffer b = {0};
	_cleanup_fd_ int fd = -1;
	struct world w;

	begin(&w, ONE);
	listen_for(&w, 3);
	fd = dial(&w);
	put_tcp(&b, "db");
	put_tcp(&b, "big.example");
	for (size_t i = 0; i < b.size; i++) {
		CHECK(write(fd, b.data + i, 1) == 1);
		if (i % 7 == 0)
			uv_run(&w.loop, UV_RUN_ONCE);
	}
	CHECK_TEXT(read_tcp(&w, fd, "db"), "a000004");
	CHECK_TEXT(read_tcp(&w, fd, "big.example"), "c0000201");
	CHECK(w.reply_size > 3000);
	CHECK(strstr(w.learnt, "3:big.example=c0000201/300 "));
	end_tcp(&w);
}

TEST(who_says_that_it_sends_no_more_gets_its_answers_and_the_end)
{
	_cleanup_buffer_ struct buffer b = {0};
	_cleanup_fd_ int fd = -1;
	struct world w;
	char more;

	begin(&w, ONE);
	listen_for(&w, 3);
	fd = dial(&w);
	put_tcp(&b, "a.example");
	CHECK(write(fd, b.data, b.size) == (ssize_t)b.size && shutdown(fd, SHUT_WR) == 0);
	CHECK_TEXT(read_tcp(&w, fd, "a.example"), "c0000201");
	CHECK_INT(read_from(&w, fd, &more, 1), 0);
	end_tcp(&w);
}

TEST(connections_that_send_no_queries_or_are_too_many_are_closed)
{
	struct world w;
	int fds[RESOLVER_CLIENTS_MOST + 1], odd;
	char more;

	begin(&w, ONE);
	listen_for(&w, 3);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = dial(&w);
		uv_run(&w.loop, UV_RUN_ONCE);
	}
	CHECK_INT(read_from(&w, fds[0], &more, 1), 0); /* the oldest */
	close(fds[0]);
	for (unsigned i = 1; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	odd = dial(&w);
	CHECK(write(odd, "\xff\xff", 2) == 2);
	CHECK_INT(read_from(&w, odd, &more, 1), 0);
	close(odd);
	end_tcp(&w);
}

TEST(a_client_that_does_not_read_is_closed_and_so_are_the_connections_of_who_goes)
{
	_cleanup_buffer_ struct buffer b = {0};
	uint64_t deadline = clock_monotonic() + BOUND;
	struct world w;
	int fd, waiting;
	char byte;
	bool closed = false;

	begin(&w, ONE);
	listen_for(&w, 3);
	CHECK_TEXT(resolve(&w, "big.example"), "cut"); /* known from here on */
	fd = dial(&w);
	put_tcp(&b, "big.example");
	while (!closed && clock_monotonic() < deadline) {
		ssize_t n = write(fd, b.data, b.size);

		closed = n < 0 && errno != EAGAIN;
		uv_run(&w.loop, UV_RUN_NOWAIT);
	}
	CHECK(closed);
	close(fd);
	waiting = dial(&w);
	buffer_clear(&b);
	put_tcp(&b, "held.example");
	CHECK(write(waiting, b.data, b.size) == (ssize_t)b.size);
	run_until(&w, &w.servers[0].held, 1);
	resolver_forget(w.resolver, 3);
	dns_server_release(&w.servers[0]);
	CHECK_INT(read_from(&w, waiting, &byte, 1), 0);
	close(waiting);
	end_tcp(&w);
}
