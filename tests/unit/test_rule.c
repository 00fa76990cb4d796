/* SPDX-License-Identifier: Apache-2.0 */
/* The text of rules and of reach. */
#include "net/policy.h"
#include "test.h"

static struct error err;

TEST(rules_are_written_in_their_canonical_form)
{
	static const char *const texts[][2] = {
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"10.1.2.3/32", "10.1.2.3"},
		{"10.1.2.3:22", "10.1.2.3:22"},
		{"10.1.0.0/16:5432/tcp", "10.1.0.0/16:5432/tcp"},
		{"10.1.0.0/16/udp", "10.1.0.0/16/udp"},
		{"0.0.0.0/0:80", "0.0.0.0/0:80"},
		{"2001:DB8::/32", "2001:db8::/32"},
		{"[2001:db8::/32]", "2001:db8::/32"},
		{"[2001:db8::1]:443/tcp", "[2001:db8::1]:443/tcp"},
		{"[2001:db8::/32]:8000-8080", "[2001:db8::/32]:8000-8080"},
		{"2001:db8::1/tcp", "2001:db8::1/tcp"},
		{"[::ffff:10.0.0.0/104]:1", "10.0.0.0/8:1"},
		{"Example.COM", "example.com"},
		{"example.com.:443", "example.com:443"},
		{"*.PyPI.org:443/tcp", "*.pypi.org:443/tcp"},
		{"*.org", "*.org"},
		{"_sip._tcp.example.com", "_sip._tcp.example.com"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"1.example", "1.example"},
		{"AZaz09-_.example", "azaz09-_.example"},
		{"host.internal", "host.internal"},
		{"HOST.internal:5432", "host.internal:5432"},
		{"*", "*"},
		{"*:53/udp", "*:53/udp"},
		{":8080", "*:8080"},
		{"*/icmp", "*/icmp"},
		{"/tcp", "*/tcp"},
		{"*:1-65535", "*:1-65535"},
		{"*:007", "*:7"},
	};
	char text[RULE_TEXT_MAX], again[RULE_TEXT_MAX];
	struct rule r;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		CHECK_OK(rule_parse(texts[i][0], false, &r, &err));
		CHECK_TEXT(rule_format(&r, text), texts[i][1]);
		CHECK_OK(rule_parse(text, false, &r, &err));
		CHECK_TEXT(rule_format(&r, again), text);
	}
}

TEST(errors_say_which_part_is_wrong_and_what_was_expected)
{
	static const char *const texts[][2] = {
		{"", "'*' means anywhere"},
		{"10.1.2.3/16", "the one around this address is 10.1.0.0/16"},
		{"10.1.2", "'10.1.2' is no IP address"},
		{"10.1.2.300", "'10.1.2.300' is no IP address"},
		{"10.0.0.0/8:", "'' is no port"},
		{"10.0.0.0/8:http", "'http' is no port: a number from 1 to 65535"},
		{"*:0", "'0' is no port"},
		{"*:65536", "'65536' is no port"},
		{"*:99999999999999999999", "is no port"},
		{"*:80-", "'80-' is no port"},
		{"*:80,443", "'80,443' is no port"},
		{"*:90-80", "ends before it begins"},
		{"*:80/tpc", "did you mean 'tcp'?"},
		{"*:80/TCP", "is no protocol"},
		{"*:80/sctp", "'sctp' is no protocol"},
		{"*/", "'' is no protocol"},
		{"*:1/icmp", "icmp has no ports"},
		{"[2001:db8::1", "']' is missing"},
		{"[2001:db8::]/32", "'[2001:db8::/32]'"},
		{"[2001:db8::1]443", "':' and a port are expected"},
		{"[2001:db8::1]:", "'' is no port"},
		{"[]", "is no IP address"},
		{"2001:db8::1/129", "from 0 to 128"},
		{"https://example.com/", "not a URL"},
		{"localhost:80", "the host's is 'host.internal'"},
		{"host.internl:80", "did you mean 'host.internal'?"},
		{"host.docker.internal", "did you mean 'host.internal'?"},
		{"example", "neither an address nor a domain"},
		{"foo.*.com", "'*' stands only before the first dot"},
		{"**.com", "'*' stands only before the first dot"},
		{"*.", "a domain is expected after '*.'"},
		{"*.*.com", "'*' stands only before the first dot"},
		{"a..b", "'' cannot stand in a domain"},
		{"-a.com", "'-a' cannot stand in a domain"},
		{"a b.com", "'a b' cannot stand in a domain"},
		{"b\xc3\xbc"
		 "cher.example",
			"'xn--'"},
		{"example.com/path/tcp", "neither a domain nor a network"},
		{"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg.com",
			"cannot stand in a domain"},
	};
	struct rule r;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (rule_parse(texts[i][0], false, &r, &err) == 0 &&
			strcmp(texts[i][0], "host.docker.internal"))
			test_fail(__FILE__, __LINE__, "'%s' was taken", texts[i][0]);
		if (!strstr(err.text, texts[i][1]))
			test_fail(__FILE__, __LINE__, "'%s' lacks '%s'", err.text, texts[i][1]);
	}
}

TEST(a_long_rule_is_refused)
{
	char text[RULE_TEXT_MAX + 8], label[] = "abcdefg.";
	struct rule r;

	for (size_t i = 0; i < sizeof text - 1; i++)
		text[i] = label[i % 8];
	text[sizeof text - 1] = 0;
	CHECK_ERROR(rule_parse(text, true, &r, &err), ERROR_INVALID);
	text[260] = 0;
	CHECK_ERROR(rule_parse(text, true, &r, &err), ERROR_INVALID);
	CHECK(strstr(err.text, "longer than 253"));
	text[253] = 0;
	CHECK_OK(rule_parse(text, true, &r, &err));
	CHECK_INT(strlen(r.domain), 253);
}

TEST(rules_that_could_open_nothing_are_refused_and_may_deny)
{
	static const char *const texts[][2] = {
		{"127.0.0.1:80", "'host.internal'"},
		{"127.0.0.0/8", "'host.internal'"},
		{"0.0.0.0", "'host.internal'"},
		{"[::1]:80", "'host.internal'"},
		{"224.0.0.251", "multicast"},
		{"255.255.255.255", "broadcast"},
		{"example.com:443/udp", "QUIC"},
	};
	struct rule r;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		CHECK_ERROR(rule_parse(texts[i][0], true, &r, &err), ERROR_INVALID);
		if (!strstr(err.text, texts[i][1]))
			test_fail(__FILE__, __LINE__, "'%s' lacks '%s'", err.text, texts[i][1]);
		CHECK_OK(rule_parse(texts[i][0], false, &r, &err));
	}
	CHECK_OK(rule_parse("0.0.0.0/0", true, &r, &err));
	CHECK_OK(rule_parse("::/0", true, &r, &err));
	CHECK_OK(rule_parse("example.com:443/tcp", true, &r, &err));
	CHECK_OK(rule_parse("example.com:443", true, &r, &err));
	CHECK_OK(rule_parse("example.com:442-443/udp", true, &r, &err));
	CHECK_OK(rule_parse("10.1.2.3:443/udp", true, &r, &err));
}

TEST(reach_is_read_by_its_name_and_its_alias)
{
	enum reach reach;

	CHECK_OK(reach_parse("none", &reach, &err));
	CHECK_INT(reach, REACH_NONE);
	CHECK_OK(reach_parse("local", &reach, &err));
	CHECK_INT(reach, REACH_LOCAL);
	CHECK_OK(reach_parse("group", &reach, &err));
	CHECK_INT(reach, REACH_LOCAL);
	CHECK_OK(reach_parse("public", &reach, &err));
	CHECK_INT(reach, REACH_PUBLIC);
	CHECK_OK(reach_parse("any", &reach, &err));
	CHECK_TEXT(reach_name(reach), "any");
	CHECK_ERROR(reach_parse("pubic", &reach, &err), ERROR_INVALID);
	CHECK(strstr(err.text, "did you mean 'public'?"));
	CHECK_ERROR(reach_parse("", &reach, &err), ERROR_INVALID);
	CHECK_ERROR(reach_parse("everything", &reach, &err), ERROR_INVALID);
	CHECK(strstr(err.text, "none, local, public"));
}
