/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports as text, and the messages to a group's process. */
#include "test.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "net/control.h"

static struct error err;

static void check_ports(const char *text, const char *const *expected)
{
	struct port *list = NULL;
	size_t count = 0, n = 0;
	char shown[PORT_TEXT_MAX];

	CHECK_OK(ports_parse(text, &list, &count, &err));
	for (; n < count && expected[n]; n++)
		CHECK_TEXT(port_format(&list[n], shown), expected[n]);
	CHECK_INT(n, count);
	CHECK(!expected[n]);
	free(list);
}

TEST(ports_are_read_as_they_are_meant)
{
	check_ports("8080:80", (const char *[]){"127.0.0.1:8080:80/tcp", NULL});
	check_ports(":80", (const char *[]){"127.0.0.1:0:80/tcp", NULL});
	check_ports("80", (const char *[]){"127.0.0.1:0:80/tcp", NULL});
	check_ports("0:80/udp", (const char *[]){"127.0.0.1:0:80/udp", NULL});
	check_ports("0.0.0.0:8080:80/tcp,proxy=2", (const char *[]){"0.0.0.0:8080:80/tcp,proxy=2", NULL});
	check_ports("0.0.0.0::80", (const char *[]){"0.0.0.0:0:80/tcp", NULL});
	check_ports("[::1]:8080:80", (const char *[]){"[::1]:8080:80/tcp", NULL});
	check_ports("8000-8002:80-82", (const char *[]){"127.0.0.1:8000:80/tcp", "127.0.0.1:8001:81/tcp",
					       "127.0.0.1:8002:82/tcp", NULL});
	check_ports("80-81", (const char *[]){"127.0.0.1:0:80/tcp", "127.0.0.1:0:81/tcp", NULL});
}

TEST(what_is_no_port_is_refused)
{
	static const char *const wrong[] = {"", ":", "0", "65536", "80:", "x:80", "80-79", "8000-8001:80",
		"8000:80-81", "0-1:80-81", "80/sctp", "80/udp,proxy=1", "80,proxy=3",
		"80,proxy=", "::1:80:80", "[127.0.0.1]:80:80", "[::1:80:80", "1.2.3:80:80", "80:80:80:80",
		"-80", "80-", "+80", " 80", "1.2.3.4:80-:80", NULL};

	for (size_t i = 0; wrong[i]; i++) {
		struct port *list = NULL;
		size_t count = 0;

		if (ports_parse(wrong[i], &list, &count, &err) != -ERROR_INVALID)
			test_fail(__FILE__, __LINE__, "'%s' is taken", wrong[i]);
		CHECK(!list);
	}
}

TEST(more_ports_than_a_sandbox_has_are_refused)
{
	struct port *list = NULL;
	size_t count = 0;

	CHECK_OK(ports_parse("1-232", &list, &count, &err));
	CHECK_ERROR(ports_parse("2000-2024", &list, &count, &err), ERROR_LIMIT);
	CHECK_OK(ports_parse("2000-2023", &list, &count, &err));
	CHECK_INT(count, PORTS_MAX);
	free(list);
}

TEST(ports_that_would_be_one_are_seen)
{
	struct port *p = NULL;
	size_t n = 0;
	static const char *const texts[] = {
		"80:1", "0.0.0.0:80:1", "80:1/udp", "[::]:80:1", "1.2.3.4:80:1", "0:1"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		CHECK_OK(ports_parse(texts[i], &p, &n, &err));
	CHECK(port_conflicts(&p[0], &p[0]));
	CHECK(port_conflicts(&p[0], &p[1]) && port_conflicts(&p[1], &p[4]));
	CHECK(!port_conflicts(&p[0], &p[2]) && !port_conflicts(&p[0], &p[3]) &&
		!port_conflicts(&p[0], &p[4]));
	CHECK(!port_conflicts(&p[5], &p[5]));
	free(p);
}

static void make_attach(struct net_attach *m)
{
	*m = (struct net_attach){.subnet = 0x0a010200,
		.subnet_bits = 24,
		.address = 0x0a010203,
		.main = true,
		.bandwidth = 1234567890123,
		.policy = {.reach = 2}};
	m->sandbox = text_copy("0123456789ab", NULL);
	m->name = text_copy("web", NULL);
	m->group = text_copy("default", NULL);
	CHECK_OK(text_list_add(&m->aliases, "www", &err));
	CHECK_OK(text_list_add(&m->aliases, "front.end", &err));
	CHECK_OK(text_list_add(&m->others, "back", &err));
	CHECK_OK(text_list_add(&m->policy.rules, "allow *.example.org:443", &err));
	CHECK_OK(text_list_add(&m->policy.rules, "deny *:25/tcp", &err));
	CHECK_OK(ports_parse("0.0.0.0:8080:80,proxy=1", &m->ports, &m->port_count, &err));
	CHECK_OK(ports_parse("53:5353/udp", &m->ports, &m->port_count, &err));
}

TEST(an_attach_arrives_as_it_was_sent)
{
	struct net_attach m, got;
	_cleanup_buffer_ struct buffer bytes = {0}, again = {0};

	make_attach(&m);
	net_attach_encode(&m, &bytes);
	CHECK(!bytes.failed);
	CHECK_OK(net_attach_decode(cursor_of(bytes.data, bytes.size), &got, &err));
	CHECK_TEXT(got.sandbox, m.sandbox);
	CHECK_TEXT(got.aliases[1], "front.end");
	CHECK_TEXT(got.others[0], "back");
	CHECK_TEXT(got.policy.rules[0], "allow *.example.org:443");
	CHECK(got.main && got.address == m.address && got.bandwidth == m.bandwidth && got.port_count == 2);
	CHECK(got.ports[0].proxy == 1 && got.ports[1].protocol == PORT_PROTOCOL_UDP);
	net_attach_encode(&got, &again);
	CHECK(again.size == bytes.size && !memcmp(again.data, bytes.data, bytes.size));
	net_attach_free(&got);
	net_attach_free(&m);
}

TEST(an_attach_that_is_cut_or_longer_is_refused)
{
	struct net_attach m, got;
	_cleanup_buffer_ struct buffer bytes = {0};

	make_attach(&m);
	net_attach_encode(&m, &bytes);
	buffer_u8(&bytes, 0);
	for (size_t n = 0; n <= bytes.size; n++)
		if (n != bytes.size - 1)
			CHECK_ERROR(net_attach_decode(cursor_of(bytes.data, n), &got, &err), ERROR_INVALID);
	net_attach_free(&m);
}

static void check_place(uint32_t subnet, uint8_t bits, uint32_t address, bool right)
{
	struct net_attach m, got;
	_cleanup_buffer_ struct buffer bytes = {0};

	make_attach(&m);
	m.subnet = subnet;
	m.subnet_bits = bits;
	m.address = address;
	net_attach_encode(&m, &bytes);
	CHECK_INT(
		net_attach_decode(cursor_of(bytes.data, bytes.size), &got, &err), right ? 0 : -ERROR_INVALID);
	if (right)
		net_attach_free(&got);
	net_attach_free(&m);
}

TEST(an_address_that_no_sandbox_can_have_is_refused)
{
	check_place(0x0a000000, 24, 0x0a000003, true);
	check_place(0x0a000000, 24, 0x0a0000fe, true);
	check_place(0x0a000000, 29, 0x0a000006, true);
	check_place(0x0a000000, 24, 0x0a000000, false);
	check_place(0x0a000000, 24, 0x0a000001, false);
	check_place(0x0a000000, 24, 0x0a000002, false);
	check_place(0x0a000000, 24, 0x0a0000ff, false);
	check_place(0x0a000000, 24, 0x0a000103, false);
	check_place(0x0a000001, 24, 0x0a000003, false);
	check_place(0x0a000000, 30, 0x0a000003, false);
	check_place(0x0a000000, 0, 0x0a000003, false);
	check_place(0x0a000000, 255, 0x0a000003, false);
}

TEST(what_breaks_a_bound_of_a_message_is_refused)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	struct net_policy policy = {.reach = 4}, got;
	struct port port = {.guest = 80, .protocol = PORT_PROTOCOL_UDP, .proxy = 1}, *list;
	size_t count;

	net_policy_encode(&policy, &bytes);
	CHECK_ERROR(net_policy_decode(cursor_of(bytes.data, bytes.size), &got, &err), ERROR_INVALID);
	policy.reach = 1;
	CHECK_OK(text_list_add(&policy.rules, "permit 1.2.3.4", &err));
	buffer_clear(&bytes);
	net_policy_encode(&policy, &bytes);
	CHECK_ERROR(net_policy_decode(cursor_of(bytes.data, bytes.size), &got, &err), ERROR_INVALID);
	net_policy_free(&policy);
	for (int i = 0; i <= NET_RULES_MAX; i++)
		CHECK_OK(text_list_add(&policy.rules, "allow *", &err));
	buffer_clear(&bytes);
	net_policy_encode(&policy, &bytes);
	CHECK_ERROR(net_policy_decode(cursor_of(bytes.data, bytes.size), &got, &err), ERROR_INVALID);
	net_policy_free(&policy);
	for (int i = 0; i < 3; i++) {
		static const struct port wrong[] = {{.guest = 80, .protocol = PORT_PROTOCOL_UDP, .proxy = 1},
			{.guest = 0, .protocol = PORT_PROTOCOL_TCP}, {.guest = 80, .protocol = 1}};

		port = wrong[i];
		buffer_clear(&bytes);
		net_ports_encode(&port, 1, &bytes);
		CHECK_ERROR(net_ports_decode(cursor_of(bytes.data, bytes.size), &list, &count, &err),
			ERROR_INVALID);
		CHECK(!list && count == 0);
	}
}
