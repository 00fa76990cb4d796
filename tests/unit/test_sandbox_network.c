/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox's networks: what is wished, network.json, ports, and addresses that are taken and given back. */
#include "sandbox/network.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/json.h"
#include "os/fs.h"
#include "sandbox/home.h"
#include "test.h"

#define OWN "0123456789abcde"

static const char *const none[] = {NULL};

static char *describe(const struct network *n)
{
	_cleanup_json_ json_t *json = network_describe(n);

	return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

static const struct network_wishes all_wishes = {
	.groups = (const char *const[]){"back:10.7.0.9", "front", NULL},
	.aliases = (const char *const[]){"db", "db.example", NULL},
	.subnet = "10.7.0.0/24",
	.reach = "group",
	.allow = (const char *const[]){"*.PyPI.org:443", "10.1.0.0/16:5432/tcp", NULL},
	.deny = (const char *const[]){":25", NULL},
	.ports = (const char *const[]){"8080-8081:80-81", "0.0.0.0:53:53/udp", "443,proxy=2", NULL},
	.bandwidth = 1 << 20};

TEST(what_is_wished_is_said_in_one_form)
{
	_cleanup_network_ struct network n = {0};
	_cleanup_free_ char *text = NULL;
	struct error err;

	CHECK_OK(network_make(&all_wishes, OWN, &n, &err));
	n.groups[1].subnet = prefix_ipv4(0x0a080000, 24);
	n.groups[1].address = 0x0a080003;
	text = describe(&n);
	CHECK_TEXT(text,
		"{\"groups\":[{\"name\":\"back\",\"subnet\":\"10.7.0.0/24\",\"address\":\"10.7.0.9\"},"
		"{\"name\":\"front\",\"subnet\":\"10.8.0.0/24\",\"address\":\"10.8.0.3\"}],"
		"\"aliases\":[\"db\",\"db.example\"],\"reach\":\"local\",\"rules\":["
		"\"allow *.pypi.org:443\",\"allow 10.1.0.0/16:5432/tcp\",\"deny *:25\"],\"ports\":["
		"\"127.0.0.1:8080:80/tcp\",\"127.0.0.1:8081:81/tcp\",\"0.0.0.0:53:53/udp\","
		"\"127.0.0.1:0:443/tcp,proxy=2\"],\"published\":[],\"bandwidth\":1048576}");
}

TEST(who_wishes_nothing_is_alone_and_reaches_what_is_public)
{
	const struct network_wishes wishes = {0};
	_cleanup_network_ struct network n = {0};
	struct error err;

	CHECK_OK(network_make(&wishes, OWN, &n, &err));
	CHECK_INT(n.group_count, 1);
	CHECK(network_is_own(&n, OWN) && n.reach == REACH_PUBLIC && !n.port_count && !n.rules);
}

static void expect_refused(const struct network_wishes *wishes, enum error_code code, const char *words)
{
	struct network n;
	struct error err;

	CHECK_ERROR(network_make(wishes, OWN, &n, &err), code);
	CHECK(strstr(err.text, words));
	CHECK(!n.group_count && !n.rules && !n.ports);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(wishes_that_make_no_sense_are_refused_and_named)
{
	expect_refused(&(struct network_wishes){.groups = LIST("Back")}, ERROR_INVALID, "Back");
	expect_refused(&(struct network_wishes){.groups = LIST("a", "b", "a")}, ERROR_INVALID, "twice");
	expect_refused(&(struct network_wishes){.groups = LIST("a", "b", "c", "d", "e", "f", "g", "h", "i")},
		ERROR_LIMIT, "8 groups");
	expect_refused(&(struct network_wishes){.groups = LIST("a:10.0.0")}, ERROR_INVALID, "10.0.0");
	expect_refused(&(struct network_wishes){.groups = LIST("a:fd00::1")}, ERROR_INVALID, "IPv4");
	expect_refused(&(struct network_wishes){.groups = LIST("a:10.0.0.3"), .ip = "10.0.0.4"}, ERROR_USAGE,
		"twice");
	expect_refused(&(struct network_wishes){.subnet = "10.0.0.1/24"}, ERROR_INVALID, "10.0.0.0/24");
	expect_refused(&(struct network_wishes){.subnet = "fd00::/64"}, ERROR_INVALID, "IPv4");
	expect_refused(&(struct network_wishes){.aliases = LIST("a b")}, ERROR_INVALID, "a b");
	expect_refused(&(struct network_wishes){.aliases = LIST("-a")}, ERROR_INVALID, "-a");
	expect_refused(&(struct network_wishes){.aliases = LIST("a..b")}, ERROR_INVALID, "a..b");
	expect_refused(&(struct network_wishes){.reach = "far"}, ERROR_INVALID, "far");
	expect_refused(&(struct network_wishes){.allow = LIST("10.1.2.3/8")}, ERROR_INVALID, "10.0.0.0/8");
	expect_refused(
		&(struct network_wishes){.ports = LIST("80:80", "0.0.0.0:80:81")}, ERROR_INVALID, "twice");
	expect_refused(&(struct network_wishes){.ports = LIST("80:x")}, ERROR_INVALID, "80:x");
	expect_refused(&(struct network_wishes){.bandwidth = 1000}, ERROR_INVALID, "bandwidth");
}

TEST(network_json_is_read_as_written)
{
	_cleanup_network_ struct network n = {0}, again = {0};
	_cleanup_free_ char *written = NULL, *read = NULL;
	char folder[] = "/tmp/mc-network-XXXXXX";
	struct port chosen[4];
	struct error err;
	int fd;

	CHECK(mkdtemp(folder));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_ERROR(network_read(fd, &again, &err), ERROR_NOT_FOUND);
	CHECK_OK(network_make(&all_wishes, OWN, &n, &err));
	n.groups[1].subnet = prefix_ipv4(0x0a080000, 24);
	n.groups[1].address = 0x0a080003;
	memcpy(chosen, n.ports, sizeof chosen);
	chosen[3].host = 40000;
	n.published = malloc(sizeof chosen);
	memcpy(n.published, chosen, sizeof chosen);
	n.published_count = 4;
	CHECK_OK(network_write(fd, &n, false, &err));
	CHECK_OK(network_read(fd, &again, &err));
	written = describe(&n);
	read = describe(&again);
	CHECK_TEXT(read, written);
	CHECK(strstr(read, "127.0.0.1:40000:443/tcp,proxy=2"));
	close(fd);
	fs_remove_tree(AT_FDCWD, folder, NULL);
}

static void expect_corrupt(int fd, const char *text)
{
	struct network n;
	struct error err;

	CHECK_OK(fs_write_atomic(fd, "network.json", text, strlen(text), 0600, &err));
	CHECK_ERROR(network_read(fd, &n, &err), ERROR_CORRUPT);
	CHECK(strstr(err.text, "network.json"));
}

#define GROUP "\"groups\":[{\"name\":\"a\",\"subnet\":\"10.0.0.0/24\",\"address\":\"10.0.0.3\"}]"

TEST(a_damaged_network_json_is_refused)
{
	char folder[] = "/tmp/mc-network-XXXXXX";
	int fd;

	CHECK(mkdtemp(folder));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	expect_corrupt(fd, "{");
	expect_corrupt(fd, "{\"version\":2," GROUP ",\"reach\":\"any\"}");
	expect_corrupt(fd, "{\"version\":1,\"reach\":\"any\"}");
	expect_corrupt(fd, "{\"version\":1," GROUP "}");
	expect_corrupt(fd, "{\"version\":1,\"groups\":[{\"name\":\"../a\",\"subnet\":\"10.0.0.0/24\","
			   "\"address\":\"10.0.0.3\"}],\"reach\":\"any\"}");
	expect_corrupt(fd, "{\"version\":1,\"groups\":[7],\"reach\":\"any\"}");
	expect_corrupt(fd, "{\"version\":1," GROUP ",\"reach\":\"any\",\"rules\":[\"allow\"]}");
	expect_corrupt(fd, "{\"version\":1," GROUP ",\"reach\":\"any\",\"rules\":[\"allow 10.1.2.3/8\"]}");
	expect_corrupt(fd, "{\"version\":1," GROUP ",\"reach\":\"any\",\"ports\":[80]}");
	expect_corrupt(fd, "{\"version\":1," GROUP ",\"reach\":\"any\",\"published\":[\"80:80\"]}");
	close(fd);
	fs_remove_tree(AT_FDCWD, folder, NULL);
}

static char *rules_of(const struct network *n)
{
	char *all = calloc(1, 1024);

	for (char **r = n->rules; all && r && *r; r++)
		snprintf(all + strlen(all), 1024 - strlen(all), "%s;", *r);
	return all;
}

TEST(rules_are_added_to_those_there_are_or_take_their_place)
{
	const struct network_wishes wishes = {.allow = LIST("1.1.1.1"), .deny = LIST("2.2.2.2")};
	_cleanup_network_ struct network n = {0};
	_cleanup_free_ char *added = NULL, *replaced = NULL, *emptied = NULL;
	struct error err;

	CHECK_OK(network_make(&wishes, OWN, &n, &err));
	CHECK_OK(network_set_rules(&n, LIST("3.3.3.3"), NULL, true, &err));
	added = rules_of(&n);
	CHECK_TEXT(added, "allow 1.1.1.1;allow 3.3.3.3;deny 2.2.2.2;");
	CHECK_ERROR(network_set_rules(&n, NULL, LIST("10.1.2.3/8"), true, &err), ERROR_INVALID);
	CHECK_OK(network_set_rules(&n, LIST("4.4.4.4"), NULL, false, &err));
	replaced = rules_of(&n);
	CHECK_TEXT(replaced, "allow 4.4.4.4;deny 2.2.2.2;");
	CHECK_OK(network_set_rules(&n, none, none, false, &err));
	emptied = rules_of(&n);
	CHECK_TEXT(emptied, "");
	for (int i = 0; i < POLICY_RULES_MAX; i++)
		CHECK_OK(network_set_rules(&n, LIST("9.9.9.9"), NULL, true, &err));
	CHECK_ERROR(network_set_rules(&n, LIST("9.9.9.9"), NULL, true, &err), ERROR_LIMIT);
}

TEST(a_port_goes_with_what_became_of_it)
{
	const struct network_wishes wishes = {.ports = LIST("0:80", "0:81", "8082:82")};
	_cleanup_network_ struct network n = {0};
	struct port published[3], more;
	struct error err;

	CHECK_OK(network_make(&wishes, OWN, &n, &err));
	memcpy(published, n.ports, sizeof published);
	published[0].host = 40000;
	published[1].host = 40001;
	n.published = malloc(sizeof published);
	memcpy(n.published, published, sizeof published);
	n.published_count = 3;
	network_remove_ports(&n, &published[1], 1);
	CHECK(n.port_count == 2 && n.published_count == 2);
	CHECK(n.ports[0].guest == 80 && n.ports[1].guest == 82 && n.published[0].host == 40000);
	more = (struct port){.address = published[0].address, .host = 8083, .guest = 83, .protocol = 6};
	CHECK_OK(network_append_ports(&n, &more, &more, 1, &err));
	CHECK(n.port_count == 3 && n.published_count == 3);
	CHECK_OK(network_add_ports(
		&n, &(struct port){.address = more.address, .host = 1, .guest = 1, .protocol = 6}, 1, &err));
	CHECK(n.port_count == 4 && n.published_count == 0);
	CHECK_ERROR(network_add_ports(&n, &more, 1, &err), ERROR_INVALID);
}

/* ---- addresses ---------------------------------------------------------------------------------------- */

static int take(const struct home *home, const char *id, const struct network_wishes *wishes,
	struct network *n, struct error *err)
{
	int r = network_make(wishes, id, n, err);

	mkdirat(home->sandboxes, id, 0700);
	return r == 0 ? network_take(home, id, n, id[14] & 1, err) : r;
}

TEST(an_address_is_taken_once_and_given_back_also_by_sandboxes_that_are_gone)
{
	const struct network_wishes wishes = {.groups = LIST("back"), .subnet = "10.241.7.0/29"};
	struct network n[5] = {{{{0}}}};
	char folder[] = "/tmp/mc-network-XXXXXX";
	struct home home = {0};
	struct error err;

	CHECK(mkdtemp(folder));
	CHECK_OK(home_open(folder, &home, &err));
	CHECK_OK(take(&home, "000000000000001", &wishes, &n[0], &err));
	CHECK_OK(take(&home, "000000000000002", &wishes, &n[1], &err));
	CHECK_OK(take(&home, "000000000000003", &wishes, &n[2], &err));
	CHECK_OK(take(&home, "00000000000000a", &wishes, &n[4], &err));
	CHECK(n[0].groups[0].address == 0x0af10703 && n[2].groups[0].address == 0x0af10705);
	CHECK_ERROR(take(&home, "000000000000004", &wishes, &n[3], &err), ERROR_LIMIT);
	network_free(&n[3]);
	unlinkat(home.sandboxes, "000000000000002", AT_REMOVEDIR); /* it went without a word */
	CHECK_OK(take(&home, "000000000000004", &wishes, &n[3], &err));
	CHECK_INT(n[3].groups[0].address, 0x0af10704);
	network_release(&home, "000000000000001");
	network_free(&n[0]);
	CHECK_OK(take(&home, "000000000000005", &wishes, &n[0], &err));
	CHECK_INT(n[0].groups[0].address, 0x0af10703);
	for (size_t i = 0; i < ARRAY_SIZE(n); i++)
		network_free(&n[i]);
	home_close(&home);
	fs_remove_tree(AT_FDCWD, folder, NULL);
}

TEST(an_address_alone_brings_its_subnet_along)
{
	const struct network_wishes wishes = {.groups = LIST("back"), .ip = "10.242.9.77"};
	const struct network_wishes other = {.groups = LIST("back"), .ip = "10.242.10.77"};
	_cleanup_network_ struct network n = {0};
	struct network second;
	char folder[] = "/tmp/mc-network-XXXXXX", subnet[PREFIX_TEXT_MAX];
	struct home home = {0};
	struct error err;

	CHECK(mkdtemp(folder));
	CHECK_OK(home_open(folder, &home, &err));
	CHECK_OK(take(&home, "000000000000001", &wishes, &n, &err));
	CHECK_TEXT(prefix_format(&n.groups[0].subnet, subnet), "10.242.9.0/24");
	CHECK_ERROR(take(&home, "000000000000002", &other, &second, &err), ERROR_INVALID);
	CHECK(strstr(err.text, "10.242.9.3"));
	network_free(&second);
	home_close(&home);
	fs_remove_tree(AT_FDCWD, folder, NULL);
}
