/* SPDX-License-Identifier: Apache-2.0 */
/* The group's DNS service when memory runs out: each allocation fails once, in its turn; nobody waits for an
 * answer for ever, nothing is leaked, and the loop gets empty. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#include "base/clock.h"
#include "fault.h"
#include "net/dns_cache.h"
#include "net/server/resolver.h"

#define BOUND (20 * NANOSECONDS_PER_SECOND)

static const struct names_config group = {
	.group = "default", .subnet = 0x0a000000, .bits = 24, .host = 0x0a000002};

static size_t make_query(uint8_t *out, const char *name)
{
	struct dns_query q = {.type = DNS_A, .class = 1};

	snprintf(q.name, sizeof q.name, "%s", name);
	return dns_build_query(&q, 7, true, out, DNS_QUERY_MOST);
}

/* Runs `call` with each allocation failing in its turn. It returns whether it noticed. */
static void each_allocation(bool (*call)(void))
{
	bool happened = true;

	CHECK(!call());
	for (unsigned n = 1; happened; n++) {
		long before = fault_blocks(), after;
		bool noticed;

		fault_disarm();
		fault_arm(FAULT_MEMORY, n);
		noticed = call();
		happened = fault_happened();
		fault_disarm();
		after = fault_blocks();
		if (noticed && !happened)
			test_fail(__FILE__, __LINE__, "a failure without a cause");
		if (after != before)
			test_fail(
				__FILE__, __LINE__, "allocation %u: %ld blocks are left", n, after - before);
		CHECK(n < 200);
	}
}

static bool fill_names(void)
{
	static char *aliases[] = {"One", "two", NULL};
	_cleanup_(cleanup_names) struct names *n = NULL;
	struct names_found found;
	bool failed = names_new(&group, &n, NULL) < 0;

	for (uint32_t id = 3; !failed && id < 20; id++) {
		struct names_member m = {
			.id = id, .address = 0x0a000000 + id, .name = "db", .aliases = aliases};

		failed = names_add(n, &m, NULL) < 0;
		names_find(n, 3, "two", DNS_A, &found);
		CHECK_INT(found.count, id - 2 - failed);
	}
	return failed;
}

TEST(members_are_there_as_a_whole_or_not)
{
	each_allocation(fill_names);
}

static bool fill_cache(void)
{
	static const uint32_t address = 0xc0000201;
	_cleanup_(cleanup_dns_cache) struct dns_cache *c = NULL;
	uint8_t query[DNS_QUERY_MOST], out[512];
	struct dns_query q;
	struct dns_reply r;
	uint32_t age;
	bool failed = dns_cache_new(10000, &c, NULL) < 0;

	for (int i = 0; !failed && i < 5; i++) {
		char name[32];
		size_t n;

		snprintf(name, sizeof name, "n%d.example", i);
		CHECK_INT(dns_parse_query(query, make_query(query, name), &q), 0);
		n = dns_build_addresses(&q, &address, 1, 60, out, sizeof out);
		CHECK(dns_parse_reply(out, n, &q, 7, &r));
		dns_cache_put(c, &q, &r, 0);
		failed = !dns_cache_get(c, &q, 0, &r, &age);
	}
	return failed;
}

TEST(a_reply_that_cannot_be_kept_is_not)
{
	each_allocation(fill_cache);
}

/* ---- the resolver ------------------------------------------------------------------------------------ */

static unsigned answers;
static bool closed;

static bool allowed(void *context, uint32_t id, const char *name, char why[RESOLVER_WHY_SIZE])
{
	(void)context;
	(void)id;
	(void)name;
	(void)why;
	return true;
}

static bool services(void *context, uint32_t id)
{
	(void)context;
	(void)id;
	return true;
}

static void learn(void *context, uint32_t id, const char *name, uint32_t address, uint32_t ttl)
{
	(void)context;
	(void)id;
	(void)name;
	(void)address;
	(void)ttl;
}

static void answer(void *context, const struct resolver_asker *asker, const uint8_t *reply, size_t n)
{
	(void)context;
	(void)asker;
	CHECK(n > 12 && (reply[3] & 15) == DNS_SERVFAIL);
	answers++;
}

static void on_closed(void *context)
{
	(void)context;
	closed = true;
}

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

static int make_listener(struct sockaddr_un *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* An abstract name: nothing is left of it. */
	*at = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(at->sun_path + 1, sizeof at->sun_path - 1, "mc-test-fault-dns-%d", getpid());
	CHECK(bind(fd, (struct sockaddr *)at, sizeof *at) == 0 && listen(fd, 4) == 0);
	return fd;
}

/* A guest that asks by TCP and waits for the answer or the end. */
static void ask_by_tcp(uv_loop_t *loop, const struct sockaddr_un *at)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t deadline = clock_monotonic() + BOUND;
	uint8_t query[2 + DNS_QUERY_MOST] = {0};
	size_t n = make_query(query + 2, "a.example");
	ssize_t got;

	query[1] = (uint8_t)n;
	if (connect(fd, (const struct sockaddr *)at, sizeof *at) < 0)
		return; /* the listener is not there */
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	CHECK(send(fd, query, n + 2, MSG_NOSIGNAL) == (ssize_t)n + 2);
	do {
		uv_run(loop, UV_RUN_ONCE);
		got = read(fd, query, sizeof query);
	} while (got < 0 && errno == EAGAIN && clock_monotonic() < deadline);
	CHECK(got >= 0 || errno == ECONNRESET);
}

static bool serve(void)
{
	static const struct resolver_calls calls = {allowed, services, learn, answer};
	static const struct resolver_config config = {.resolv_conf = "/nonexistent/resolv.conf", .port = 1};
	struct resolver_asker asker = {.id = 3};
	uint8_t query[DNS_QUERY_MOST];
	struct resolver *r = NULL;
	struct names *names = NULL;
	struct sockaddr_un at;
	uv_loop_t loop;
	uv_timer_t tick;
	bool failed;

	answers = 0;
	closed = false;
	CHECK(uv_loop_init(&loop) == 0 && uv_timer_init(&loop, &tick) == 0);
	CHECK_INT(uv_timer_start(&tick, on_tick, 5, 5), 0);
	failed = names_new(&group, &names, NULL) < 0 ||
		 resolver_new(&loop, names, &config, &calls, NULL, &r, NULL) < 0;
	if (!failed) {
		failed = resolver_listen(r, 3, make_listener(&at), NULL) < 0;
		resolver_ask(r, &asker, query, make_query(query, "b.example"));
		ask_by_tcp(&loop, &at);
		resolver_close(r, on_closed, NULL);
	}
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	CHECK_INT(uv_loop_close(&loop), 0);
	CHECK(!r || closed);
	names_free(names);
	return failed || !answers;
}

TEST(nobody_waits_for_ever_and_the_loop_gets_empty)
{
	each_allocation(serve);
}
