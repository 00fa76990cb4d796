/* SPDX-License-Identifier: Apache-2.0 */
/* Subnets and addresses: no two the same, whoever asks, in whatever order, and whatever is killed. */
#include "test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/host.h"
#include "net/ipam_store.h"
#include "os/fs.h"

struct place {
	char home[32];
	struct ipam_store *store;
	struct ipam_pool pool;
};

static void open_place(struct place *p, const char *pool)
{
	struct error err;

	strcpy(p->home, "/tmp/mc-ipam-XXXXXX");
	CHECK(mkdtemp(p->home));
	CHECK_OK(ipam_store_open(p->home, &p->store, &err));
	CHECK_OK(ipam_parse_pool(pool, &p->pool, &err));
}

static void close_place(struct place *p)
{
	struct error err;

	ipam_store_free(p->store);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->home, &err));
}

static int take(struct place *p, const char *group, const char *sandbox, const char *subnet, uint32_t address,
	struct ipam_lease *lease, struct error *err)
{
	struct ipam_request request = {
		.group = group, .sandbox = sandbox, .address = address, .pool = &p->pool};
	struct prefix wanted;

	if (subnet) {
		CHECK_INT(prefix_parse(subnet, &wanted, err), 0);
		request.subnet = &wanted;
	}
	return ipam_store_take(p->store, &request, lease, err);
}

static void check_lease(const struct ipam_lease *lease, const char *subnet, const char *address)
{
	char text[PREFIX_TEXT_MAX], at[ADDRESS_TEXT_MAX];

	CHECK_TEXT(prefix_format(&lease->subnet, text), subnet);
	CHECK_TEXT(address_format_ipv4(lease->address, at), address);
}

static uint32_t ipv4(const char *text)
{
	struct address a;

	CHECK(address_parse(text, &a, NULL) == 0);
	return address_ipv4(&a);
}

/* ---- the core --------------------------------------------------------------------------------------- */

TEST(a_range_of_subnets_is_read_or_told_why_not)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{"10.0.0.1", "a prefix"},
		{"10.0.0.1/8", "10.0.0.0/8"},
		{"8.8.0.0/16", "not private"},
		{"10.0.0.0/8:4", "8 to 28"},
		{"10.0.0.0/8:30", "8 to 28"},
		{"10.0.0.0/8:29", "8 to 28"},
		{"fd00::/8", "fd00"},
		{"", "subnets ''"},
	};
	struct ipam_pool pool;
	struct error err;

	CHECK_OK(ipam_parse_pool(IPAM_POOL_DEFAULT, &pool, &err));
	CHECK(pool.bits == 24 && pool.range.bits == 104);
	CHECK_OK(ipam_parse_pool("172.16.0.0/12:28", &pool, &err));
	CHECK(pool.bits == 28);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_INT(ipam_parse_pool(bad[i].text, &pool, &err), -ERROR_INVALID);
		if (!strstr(err.text, bad[i].error))
			test_fail(__FILE__, __LINE__, "'%s': %s", bad[i].text, err.text);
	}
}

TEST(a_pool_is_given_out_to_its_last_subnet_and_what_the_host_routes_is_skipped)
{
	const struct ipam_taken route = {prefix_ipv4(ipv4("192.168.4.0"), 22), "a route of this host (eth0)"};
	struct ipam_taken taken[64] = {route};
	struct ipam_pool pool;
	struct error err;
	size_t n = 1;

	CHECK_OK(ipam_parse_pool("192.168.0.0/20:26", &pool, &err));
	for (; n < 1 + 64 - 16; n++) {
		char group[16];

		snprintf(group, sizeof group, "g%zu", n);
		CHECK_OK(ipam_pick_subnet(&pool, group, taken, n, &taken[n].subnet, &err));
		CHECK(taken[n].subnet.bits == 96 + 26 &&
			prefix_contains(&pool.range, &taken[n].subnet.address));
		for (size_t i = 0; i < n; i++)
			CHECK(!prefix_overlaps(&taken[i].subnet, &taken[n].subnet));
	}
	CHECK_INT(ipam_pick_subnet(&pool, "late", taken, n, &taken[n].subnet, &err), -ERROR_LIMIT);
	CHECK(strstr(err.text, "MONOCORE_NETWORK_POOL") && strstr(err.text, "192.168.0.0/20"));
}

TEST(a_route_larger_than_the_pool_leaves_nothing_and_one_beside_it_all)
{
	struct ipam_taken taken = {prefix_ipv4(ipv4("10.0.0.0"), 8), "a route of this host (vpn)"};
	struct ipam_pool pool;
	struct prefix subnet;
	struct error err;

	CHECK_OK(ipam_parse_pool("10.64.0.0/16", &pool, &err));
	CHECK_INT(ipam_pick_subnet(&pool, "web", &taken, 1, &subnet, &err), -ERROR_LIMIT);
	taken.subnet = prefix_ipv4(ipv4("10.65.0.0"), 16);
	CHECK_OK(ipam_pick_subnet(&pool, "web", &taken, 1, &subnet, &err));
}

TEST(addresses_are_given_from_the_lowest_to_the_last_before_the_broadcast)
{
	struct prefix subnet = prefix_ipv4(ipv4("10.1.2.0"), 28);
	uint32_t taken[16], address;
	struct error err;
	size_t n = 0;

	while (ipam_pick_address(&subnet, taken, n, &address, &err) == 0) {
		CHECK_INT(address, ipv4("10.1.2.3") + n);
		taken[n++] = address;
	}
	CHECK_INT(n, 12);
	CHECK_INT(err.code, ERROR_LIMIT);
	taken[0] = ipv4("10.1.2.0"); /* an order with a gap in it */
	CHECK_OK(ipam_pick_address(&subnet, taken, 1, &address, &err));
	CHECK_INT(address, ipv4("10.1.2.3"));
	CHECK_INT(ipam_check_address(&subnet, ipv4("10.1.2.2"), &err), -ERROR_INVALID);
	CHECK(strstr(err.text, "10.1.2.3 to 10.1.2.14"));
	CHECK_INT(ipam_check_address(&subnet, ipv4("10.1.2.15"), NULL), -ERROR_INVALID);
	CHECK_OK(ipam_check_address(&subnet, ipv4("10.1.2.14"), &err));
}

/* ---- the store -------------------------------------------------------------------------------------- */

TEST(a_sandbox_keeps_its_address_until_it_gives_it_back_and_another_gets_it_then)
{
	struct ipam_lease lease, again;
	struct error err;
	struct place p;

	open_place(&p, "10.9.0.0/16:24");
	CHECK_OK(take(&p, "web", "a", NULL, 0, &lease, &err));
	CHECK_OK(take(&p, "web", "b", NULL, 0, &again, &err));
	CHECK(prefix_overlaps(&lease.subnet, &again.subnet) && again.address == lease.address + 1);
	ipam_store_free(p.store);
	CHECK_OK(ipam_store_open(p.home, &p.store, &err));
	CHECK_OK(take(&p, "web", "a", NULL, 0, &again, &err));
	CHECK_INT(again.address, lease.address);
	CHECK_OK(ipam_store_release(p.store, "a", &err));
	CHECK_INT(ipam_store_find(p.store, "web", "a", &again, &err), -ERROR_NOT_FOUND);
	CHECK_OK(take(&p, "web", "c", NULL, 0, &again, &err));
	CHECK_INT(again.address, lease.address);
	CHECK_OK(ipam_store_release(p.store, "b", &err));
	CHECK_OK(ipam_store_release(p.store, "c", &err));
	CHECK_OK(take(&p, "other", "a", "10.9.0.0/16", 0, &again, &err)); /* the subnet went, too */
	close_place(&p);
}

TEST(a_sandbox_has_an_address_in_each_of_its_groups_and_gives_all_back_at_once)
{
	struct ipam_lease one, two;
	struct error err;
	struct place p;

	open_place(&p, IPAM_POOL_DEFAULT);
	CHECK_OK(take(&p, "front", "a", NULL, 0, &one, &err));
	CHECK_OK(take(&p, "back", "a", NULL, 0, &two, &err));
	CHECK(!prefix_overlaps(&one.subnet, &two.subnet));
	CHECK_OK(ipam_store_release(p.store, "a", &err));
	CHECK_INT(ipam_store_find(p.store, "front", "a", &one, NULL), -ERROR_NOT_FOUND);
	CHECK_INT(ipam_store_find(p.store, "back", "a", &one, NULL), -ERROR_NOT_FOUND);
	CHECK_OK(ipam_store_release(p.store, "a", &err));
	close_place(&p);
}

TEST(what_is_asked_for_is_given_or_who_has_it_is_told)
{
	struct ipam_lease lease;
	struct error err;
	struct place p;

	open_place(&p, IPAM_POOL_DEFAULT);
	CHECK_OK(take(&p, "web", "a", "10.7.1.0/24", ipv4("10.7.1.5"), &lease, &err));
	check_lease(&lease, "10.7.1.0/24", "10.7.1.5");
	CHECK_INT(take(&p, "web", "b", NULL, ipv4("10.7.1.5"), &lease, &err), -ERROR_EXISTS);
	CHECK(strstr(err.text, "10.7.1.5") && strstr(err.text, "sandbox a"));
	CHECK_INT(take(&p, "web", "b", NULL, ipv4("10.7.2.5"), &lease, &err), -ERROR_INVALID);
	CHECK_INT(take(&p, "web", "b", "10.7.2.0/24", 0, &lease, &err), -ERROR_BUSY);
	CHECK(strstr(err.text, "10.7.1.0/24"));
	CHECK_INT(take(&p, "db", "b", "10.7.0.0/16", 0, &lease, &err), -ERROR_EXISTS);
	CHECK(strstr(err.text, "group web"));
	CHECK_INT(take(&p, "db", "b", "1.2.3.0/24", 0, &lease, &err), -ERROR_INVALID);
	CHECK_INT(take(&p, "web", "a", NULL, ipv4("10.7.1.6"), &lease, &err), -ERROR_BUSY);
	CHECK_OK(take(&p, "web", "a", "10.7.1.0/24", ipv4("10.7.1.5"), &lease, &err));
	close_place(&p);
}

static bool is_a(void *context, const char *sandbox)
{
	(void)context;
	return !strcmp(sandbox, "a");
}

TEST(what_nobody_lives_to_use_is_swept_away)
{
	struct ipam_lease lease;
	struct error err;
	struct place p;

	open_place(&p, IPAM_POOL_DEFAULT);
	CHECK_OK(take(&p, "web", "a", NULL, 0, &lease, &err));
	CHECK_OK(take(&p, "web", "gone", NULL, 0, &lease, &err));
	CHECK_OK(take(&p, "db", "gone", NULL, 0, &lease, &err));
	CHECK_OK(ipam_store_sweep(p.store, is_a, NULL, &err));
	CHECK_OK(ipam_store_find(p.store, "web", "a", &lease, &err));
	CHECK_INT(ipam_store_find(p.store, "web", "gone", &lease, NULL), -ERROR_NOT_FOUND);
	CHECK_INT(ipam_store_find(p.store, "db", "gone", &lease, NULL), -ERROR_NOT_FOUND);
	close_place(&p);
}

/* ---- random schedules ------------------------------------------------------------------------------- */

static unsigned first_seed(void)
{
	const char *given = getenv("MC_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);

	printf("# MC_SEED=%u\n", seed);
	return seed;
}

struct seen {
	char group[16];
	struct ipam_lease lease;
	struct ipam_lease all[64];
	char groups[64][16];
	size_t count;
};

/* Sorted by group and address: the same group has one subnet, another's does not overlap it, and no address
 * comes twice. */
static int check_row(void *context, const char *group, const char *sandbox, const struct ipam_lease *lease,
	struct error *err)
{
	struct seen *s = context;

	(void)sandbox;
	CHECK_INT(ipam_check_address(&lease->subnet, lease->address, err), 0);
	for (size_t i = 0; i < s->count; i++) {
		bool same = !strcmp(group, s->groups[i]);

		CHECK_INT(prefix_overlaps(&lease->subnet, &s->all[i].subnet), same);
		CHECK(!same || lease->subnet.bits == s->all[i].subnet.bits);
		CHECK(lease->address != s->all[i].address);
	}
	CHECK(s->count < ARRAY_SIZE(s->all));
	snprintf(s->groups[s->count], sizeof s->groups[0], "%s", group);
	s->all[s->count++] = *lease;
	return 0;
}

/* Few groups and sandboxes, and a pool that is too small for them, so that they meet. */
static int act(struct place *p, unsigned *seed)
{
	struct ipam_lease lease;
	char group[16], sandbox[16];
	struct error err;
	int r;

	snprintf(group, sizeof group, "g%u", (unsigned)rand_r(seed) % 6);
	snprintf(sandbox, sizeof sandbox, "s%u", (unsigned)rand_r(seed) % 8);
	if (rand_r(seed) % 3 == 0)
		return ipam_store_release(p->store, sandbox, &err);
	r = take(p, group, sandbox, rand_r(seed) % 5 ? NULL : "10.5.0.64/26",
		rand_r(seed) % 5 ? 0 : ipv4("10.5.0.72"), &lease, &err);
	if (r == -ERROR_LIMIT || r == -ERROR_EXISTS || r == -ERROR_BUSY || r == -ERROR_INVALID)
		return 0;
	return r;
}

TEST(any_order_of_taking_and_giving_back_leaves_no_two_with_the_same)
{
	unsigned seed = first_seed();
	struct error err;
	struct place p;

	open_place(&p, "10.5.0.0/24:28");
	for (unsigned turn = 0; turn < 300; turn++) {
		struct seen seen = {.count = 0};

		CHECK_INT(act(&p, &seed), 0);
		if (turn % 10 == 0)
			CHECK_OK(ipam_store_each(p.store, check_row, &seen, &err));
	}
	close_place(&p);
}

static bool is_none(void *context, const char *sandbox)
{
	(void)context;
	(void)sandbox;
	return false;
}

TEST(processes_that_take_at_once_and_are_killed_at_any_instant_leave_no_two_with_the_same)
{
	unsigned seed = first_seed();
	struct seen seen = {.count = 0};
	struct error err;
	struct place p;

	open_place(&p, "10.5.0.0/24:28");
	for (unsigned turn = 0; turn < 12; turn++) {
		const struct timespec while_they_work = {.tv_nsec = 20000000 + rand_r(&seed) % 30000000};
		pid_t pids[3];

		for (unsigned i = 0; i < ARRAY_SIZE(pids); i++) {
			unsigned own = seed + turn * 10 + i;

			pids[i] = fork();
			if (pids[i] != 0)
				continue;
			if (ipam_store_open(p.home, &p.store, NULL) < 0)
				_exit(1);
			while (act(&p, &own) == 0)
				;
			_exit(2);
		}
		nanosleep(&while_they_work, NULL);
		for (unsigned i = 0; i < ARRAY_SIZE(pids); i++) {
			int status;

			kill(pids[i], SIGKILL);
			CHECK(waitpid(pids[i], &status, 0) == pids[i]);
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		}
		seen.count = 0;
		CHECK_OK(ipam_store_each(p.store, check_row, &seen, &err));
	}
	CHECK_OK(ipam_store_sweep(p.store, is_none, NULL, &err));
	seen.count = 0;
	CHECK_OK(ipam_store_each(p.store, check_row, &seen, &err));
	CHECK_INT(seen.count, 0);
	close_place(&p);
}

/* ---- the host --------------------------------------------------------------------------------------- */

TEST(the_hosts_addresses_are_those_that_it_can_bind)
{
	struct host_addresses addresses;
	struct address loopback = address_from_ipv4(INADDR_LOOPBACK);
	bool found = false;
	struct error err;

	CHECK_OK(host_addresses_read(&addresses, &err));
	for (size_t i = 0; i < addresses.count; i++) {
		const struct address *a = &addresses.items[i].address;
		struct sockaddr_in name = {.sin_family = AF_INET};
		_cleanup_fd_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		found = found || prefix_contains(&addresses.items[i], &loopback);
		if (!address_is_ipv4(a))
			continue;
		name.sin_addr.s_addr = htonl(address_ipv4(a));
		CHECK(bind(fd, (struct sockaddr *)&name, sizeof name) == 0);
	}
	CHECK(found);
	host_addresses_free(&addresses);
}

TEST(the_hosts_addresses_are_among_what_no_group_gets)
{
	struct host_addresses addresses;
	struct host_routes routes;
	struct error err;

	CHECK_OK(host_addresses_read(&addresses, &err));
	CHECK_OK(host_routes_read(&routes, &err));
	for (size_t i = 0; i < addresses.count; i++) {
		const struct address *is = &addresses.items[i].address;
		uint32_t a = address_is_ipv4(is) ? address_ipv4(is) : 0;
		bool found = a == 0 || a >> 24 == 127;

		for (size_t k = 0; k < routes.count; k++)
			found = found || prefix_contains(&routes.items[k].subnet, is);
		CHECK(found);
	}
	for (size_t k = 0; k < routes.count; k++)
		CHECK(strstr(routes.items[k].by, "route of this host") && routes.items[k].subnet.bits > 96);
	host_routes_free(&routes);
	host_addresses_free(&addresses);
}
