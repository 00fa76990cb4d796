/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, networks, and the table of what they are for. */
#include "net/address.h"
#include "net/special.h"
#include "test.h"

static struct error err;

static struct address address(const char *text)
{
	struct address a;

	CHECK_OK(address_parse(text, &a, &err));
	return a;
}

static struct prefix network(const char *text)
{
	struct prefix p;

	CHECK_OK(prefix_parse(text, &p, &err));
	return p;
}

TEST(addresses_are_written_as_rfc_5952_says)
{
	static const char *const texts[][2] = {
		{"10.1.2.3", "10.1.2.3"},
		{"255.255.255.255", "255.255.255.255"},
		{"::ffff:10.1.2.3", "10.1.2.3"},
		{"::FFFF:0a01:0203", "10.1.2.3"},
		{"2001:DB8::1", "2001:db8::1"},
		{"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"::", "::"},
		{"::1", "::1"},
		{"64:ff9b::10.1.2.3", "64:ff9b::a01:203"},
	};
	char text[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct address a = address(texts[i][0]);

		CHECK_TEXT(address_format(&a, text), texts[i][1]);
	}
}

TEST(what_is_no_address_is_refused)
{
	static const char *const texts[] = {"", "10.1.2", "10.1.2.3.4", "10.1.2.256", "010.1.2.3",
		"0x0a.1.2.3", "10.1.2.3 ", " 10.1.2.3", "1", "::g", "1::2::3", "1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9", "fe80::1%eth0", "[::1]", "::1/128", "12345::", "::ffff:10.1.2.3.4"};
	struct address a;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		CHECK_ERROR(address_parse(texts[i], &a, &err), ERROR_INVALID);
}

TEST(an_ipv4_address_and_its_mapped_form_are_one)
{
	struct address a = address("192.0.2.1"), b = address("::ffff:192.0.2.1"),
		       c = address_from_ipv4(0xc0000201);

	CHECK(address_equal(&a, &b) && address_equal(&a, &c) && address_is_ipv4(&b));
	CHECK_INT(address_ipv4(&b), 0xc0000201);
	b = address("::fffe:192.0.2.1");
	CHECK(!address_is_ipv4(&b));
}

TEST(networks_are_read_strictly_and_written_back)
{
	static const char *const texts[][2] = {
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"10.1.2.3", "10.1.2.3"},
		{"10.1.2.3/32", "10.1.2.3"},
		{"10.1.2.2/31", "10.1.2.2/31"},
		{"::/0", "::/0"},
		{"2001:db8::/32", "2001:db8::/32"},
		{"2001:db8::1/128", "2001:db8::1"},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8"},
		{"::ffff:0:0/96", "0.0.0.0/0"},
	};
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct prefix p = network(texts[i][0]);

		CHECK_TEXT(prefix_format(&p, text), texts[i][1]);
	}
}

TEST(an_error_names_the_network_that_was_meant)
{
	static const char *const texts[][2] = {
		{"10.1.2.3/16", "10.1.0.0/16"},
		{"10.1.2.3/0", "0.0.0.0/0"},
		{"192.168.1.1/30", "192.168.1.0/30"},
		{"2001:db8::1/32", "2001:db8::/32"},
		{"10.0.0.0/33", "from 0 to 32"},
		{"10.0.0.0/", "from 0 to 32"},
		{"10.0.0.0/255.0.0.0", "from 0 to 32"},
		{"10.0.0.0/+8", "from 0 to 32"},
		{"0.0.0.0/1;", "from 0 to 32"},
		{"10.0.0.0/ 8", "from 0 to 32"},
		{"::/129", "from 0 to 128"},
		{"10.0.0/8", "'10.0.0' is no IP address"},
		{"/8", "'' is no IP address"},
	};
	struct prefix p;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		CHECK_ERROR(prefix_parse(texts[i][0], &p, &err), ERROR_INVALID);
		if (!strstr(err.text, texts[i][1]))
			test_fail(__FILE__, __LINE__, "'%s' lacks '%s'", err.text, texts[i][1]);
	}
}

TEST(a_network_contains_its_first_and_last_address_and_no_other)
{
	static const char *const networks[][5] = {
		{"10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
		{"100.64.0.0/10", "100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
		{"192.0.2.4/31", "192.0.2.4", "192.0.2.5", "192.0.2.3", "192.0.2.6"},
		{"192.0.2.4", "192.0.2.4", "192.0.2.4", "192.0.2.3", "192.0.2.5"},
		{"0.0.0.0/0", "0.0.0.0", "255.255.255.255", "::fffe:ffff:ffff", "::1:0:0:0"},
		{"::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0", "255.255.255.255"},
		{"fe80::/10", "fe80::", "febf:ffff::", "fe7f:ffff::", "fec0::"},
	};

	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
		struct prefix p = network(networks[i][0]);

		for (int k = 1; k < 5; k++) {
			struct address a = address(networks[i][k]);

			CHECK_INT(prefix_contains(&p, &a), k < 3);
		}
	}
}

TEST(networks_overlap_where_one_contains_the_other)
{
	struct prefix a = network("10.0.0.0/8"), b = network("10.9.0.0/16"), c = network("11.0.0.0/8"),
		      d = network("::/0");

	CHECK(prefix_overlaps(&a, &b) && prefix_overlaps(&b, &a) && prefix_overlaps(&a, &a));
	CHECK(!prefix_overlaps(&a, &c) && !prefix_overlaps(&d, &a) && !prefix_overlaps(&a, &d));
	a = prefix_ipv4(0x0a0102ff, 24);
	b = network("10.1.2.0/24");
	CHECK(address_equal(&a.address, &b.address) && a.bits == b.bits);
}

/* Each row: an address, the length of its carrier, and what it carries. */
TEST(addresses_that_carry_others_are_unwrapped)
{
	static const struct {
		const char *text;
		unsigned bits;
		const char *carried[ADDRESS_CARRIED + 1];
	} rows[] = {
		{"10.1.2.3", 0, {NULL}},
		{"2001:db8::1", 0, {NULL}},
		{"::", 0, {NULL}},
		{"::1", 0, {NULL}},
		{"::10.1.2.3", 96, {"10.1.2.3"}},
		{"::127.0.0.1", 96, {"127.0.0.1"}},
		{"64:ff9b::127.0.0.1", 96, {"127.0.0.1"}},
		{"64:ff9b::1:0:0", 0, {NULL}},
		{"2002:a01:203::", 16, {"10.1.2.3"}},
		{"2002:7f00:1:ffff::1", 16, {"127.0.0.1"}},
		{"2001:0:cb00:7101:0:1234:f5fe:fdfc", 32, {"10.1.2.3", "203.0.113.1"}},
		/* RFC 6052 §2.2: an address behind 48, 56, 64 and 96 bits */
		{"64:ff9b:1:a01:2:300::", 48, {"10.1.2.3", "1.2.3.0", "2.3.0.0"}},
		{"64:ff9b:1:a:1:203::", 48, {"10.1.2.3", "1.2.3.0"}},
		{"64:ff9b:1:0:a:102:300::", 48, {"10.1.2.3", "3.0.0.0"}},
		{"64:ff9b:1::10.1.2.3", 48, {"10.1.2.3"}},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct address a = address(rows[i].text), out[ADDRESS_CARRIED];
		unsigned bits;
		size_t n = address_unwrap(&a, out, &bits), k;
		char text[ADDRESS_TEXT_MAX];

		CHECK_INT(bits, rows[i].bits);
		for (k = 0; rows[i].carried[k]; k++) {
			CHECK(k < n);
			CHECK_TEXT(address_format(&out[k], text), rows[i].carried[k]);
		}
		CHECK_INT(n, k);
	}
}

TEST(the_table_of_special_addresses_is_well_formed)
{
	for (int i = 0; i < SPECIAL_COUNT; i++) {
		const struct special *row = &special_table[i];
		char text[PREFIX_TEXT_MAX];
		struct prefix again;

		CHECK_OK(prefix_parse(prefix_format(&row->prefix, text), &again, &err));
		CHECK_INT(again.bits, row->prefix.bits);
		CHECK_INT(special_find(&row->prefix.address) == (enum special_row)i ||
				  special_table[special_find(&row->prefix.address)].prefix.bits >
					  row->prefix.bits,
			1);
		for (int k = 0; k < i; k++)
			CHECK(special_table[k].prefix.bits != row->prefix.bits ||
				!address_equal(&special_table[k].prefix.address, &row->prefix.address));
	}
}

/* By hand, from the registries' pages. */
TEST(addresses_are_what_the_registries_say)
{
	static const struct {
		enum special_scope scope;
		const char *addresses[16];
	} known[] = {
		{SCOPE_PUBLIC,
			{"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
				"172.15.0.1", "172.32.0.1", "192.0.0.9", "192.0.0.10", "192.0.1.0",
				"192.31.196.1", "198.17.255.255", "198.20.0.0", "223.255.255.255"}},
		{SCOPE_PUBLIC, {"2000::", "2001:200::1", "2001:1::1", "2001:1::2", "2001:1::3", "2001:3::1",
				       "2001:4:112::1", "2001:20::1", "2001:30::1", "2606:4700::1111",
				       "2620:4f:8000::1", "3fff:1000::1", "2001:4860:4860::8888", "3ffe::1"}},
		{SCOPE_PRIVATE, {"10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
					"192.0.0.1", "192.0.0.8", "192.0.0.11", "192.0.0.170", "192.0.2.1",
					"192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1",
					"203.0.113.1", "240.0.0.1"}},
		{SCOPE_PRIVATE, {"fc00::1", "fdff::1", "fe80::1", "fec0::1", "2001:db8::1", "3fff::1",
					"100::1", "100:0:0:1::1", "5f00::1", "2001:2::1", "2001:10::1",
					"2001:1::4", "64:ff9b:1::1", "4000::1", "1::1", "200::1"}},
		{SCOPE_HOST, {"127.0.0.1", "127.255.255.255", "0.0.0.0", "0.1.2.3", "::1", "::"}},
		{SCOPE_CARRIED, {"2002::1", "64:ff9b::1", "2001::1", "::2"}},
		{SCOPE_NOBODY, {"224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1"}},
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		for (size_t k = 0; k < 16 && known[i].addresses[k]; k++) {
			struct address a = address(known[i].addresses[k]);
			const struct special *row = &special_table[special_find(&a)];

			if (row->scope != known[i].scope)
				test_fail(__FILE__, __LINE__, "%s is %s", known[i].addresses[k], row->what);
		}
}
