/* SPDX-License-Identifier: Apache-2.0 */
/* Names within a group: who is found by whom, and what never leaves the host. */
#include "test.h"

#include "net/names.h"

#define SUBNET 0x0a000100u

static struct names *group(void)
{
	struct names_config config = {.group = "Default", .subnet = SUBNET, .bits = 24, .host = SUBNET + 2};
	struct names *n;
	struct error err;

	CHECK_OK(names_new(&config, &n, &err));
	return n;
}

static void add(struct names *n, uint32_t id, const char *name, char *const *aliases)
{
	struct names_member m = {.id = id, .address = SUBNET + id, .name = name, .aliases = aliases};
	struct error err;

	CHECK_OK(names_add(n, &m, &err));
}

/* What member 3 finds: addresses' last octets, a name, or a word. */
static const char *find_as(const struct names *n, uint32_t asker, const char *name, uint16_t type)
{
	static const char *const words[] = {"foreign", "", "no data", "none"};
	static char text[300];
	struct names_found f;
	size_t size = 0;

	names_find(n, asker, name, type, &f);
	if (f.answer != NAMES_FOUND)
		return words[f.answer];
	if (!f.count)
		return strcpy(text, f.name);
	for (size_t i = 0; i < f.count; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, "%s%u", i ? " " : "",
			f.addresses[i] >> 8 == SUBNET >> 8 ? f.addresses[i] & 0xff : f.addresses[i]);
	return text;
}

static const char *find(const struct names *n, const char *name, uint16_t type)
{
	return find_as(n, 3, name, type);
}

TEST(members_are_found_by_name_alias_and_full_name)
{
	static char *const aliases[] = {"Database", "db.old.example", NULL};
	_cleanup_(cleanup_names) struct names *n = group();

	add(n, 3, "web", NULL);
	add(n, 4, "DB", aliases);
	CHECK_TEXT(find(n, "db", DNS_A), "4");
	CHECK_TEXT(find(n, "db.default.internal", DNS_A), "4");
	CHECK_TEXT(find(n, "database", DNS_A), "4");
	CHECK_TEXT(find(n, "database.default.internal", DNS_A), "4");
	CHECK_TEXT(find(n, "db.old.example", DNS_A), "4");
	CHECK_TEXT(find(n, "web", DNS_A), "3");
	CHECK_TEXT(find(n, "db", DNS_ANY), "4");
	CHECK_TEXT(find(n, "db", DNS_AAAA), "no data");
	CHECK_TEXT(find(n, "db.default.internal", DNS_HTTPS), "no data");
}

TEST(what_is_ours_and_not_there_does_not_leave_the_host)
{
	_cleanup_(cleanup_names) struct names *n = group();

	add(n, 3, "web", NULL);
	CHECK_TEXT(find(n, "nobody", DNS_A), "none");
	CHECK_TEXT(find(n, "nobody", DNS_AAAA), "none");
	CHECK_TEXT(find(n, "nobody.default.internal", DNS_A), "none");
	CHECK_TEXT(find(n, "www.web.default.internal", DNS_A), "none");
	CHECK_TEXT(find(n, "default.internal", DNS_A), "no data");
	CHECK_TEXT(find(n, "9.1.0.10.in-addr.arpa", DNS_PTR), "none");
}

TEST(a_project_calls_its_group_without_the_projects_name)
{
	static char *const aliases[] = {"db", NULL};
	struct names_config config = {
		.group = "my-shop-back", .subnet = SUBNET, .bits = 24, .host = SUBNET + 2};
	_cleanup_(cleanup_names) struct names *n = NULL;
	struct error err;

	CHECK_OK(names_new(&config, &n, &err));
	add(n, 3, "my-shop-db", aliases);
	CHECK_TEXT(find(n, "db.back.internal", DNS_A), "3");
	CHECK_TEXT(find(n, "db.my-shop-back.internal", DNS_A), "3");
	CHECK_TEXT(find(n, "my-shop-db.back.internal", DNS_A), "3");
	CHECK_TEXT(find(n, "web.back.internal", DNS_A), "none");
	CHECK_TEXT(find(n, "back.internal", DNS_A), "no data");
	CHECK_TEXT(find(n, "db.notback.internal", DNS_A), "foreign");
	CHECK_TEXT(find(n, "db.internal", DNS_A), "foreign");
	CHECK_TEXT(find(n, "3.1.0.10.in-addr.arpa", DNS_PTR), "my-shop-db.my-shop-back.internal");
	CHECK(names_domain("my-shop-back", "DB.BACK.Internal"));
	CHECK(!names_domain("my-shop-back", "db.back.internal.example"));
}

TEST(all_else_is_foreign)
{
	_cleanup_(cleanup_names) struct names *n = group();

	add(n, 3, "web", NULL);
	CHECK_TEXT(find(n, "web.example", DNS_A), "foreign");
	CHECK_TEXT(find(n, "notdefault.internal", DNS_A), "foreign");
	CHECK_TEXT(find(n, "web.other.internal", DNS_A), "foreign");
	CHECK_TEXT(find(n, "com", DNS_NS), "foreign");
	CHECK_TEXT(find(n, "", DNS_NS), "foreign");
	CHECK_TEXT(find(n, "", DNS_A), "foreign");
	CHECK_TEXT(find(n, "1.2.0.10.in-addr.arpa", DNS_PTR), "foreign");
	CHECK_TEXT(find(n, "03.1.0.10.in-addr.arpa", DNS_PTR), "foreign");
	CHECK_TEXT(find(n, "1.0.10.in-addr.arpa", DNS_PTR), "foreign");
	CHECK_TEXT(find(n, "3.1.0.266.in-addr.arpa", DNS_PTR), "foreign");
	CHECK_TEXT(find(n, "3.1.0.10.in-addr.arpa.example", DNS_PTR), "foreign");
}

TEST(this_host_has_a_name_and_so_has_the_sandbox_itself)
{
	_cleanup_(cleanup_names) struct names *n = group();

	CHECK_TEXT(find(n, "host.internal", DNS_A), "2");
	CHECK_TEXT(find(n, "host.internal", DNS_AAAA), "no data");
	CHECK_TEXT(find(n, "2.1.0.10.in-addr.arpa", DNS_PTR), "host.internal");
	CHECK_TEXT(find(n, "localhost", DNS_A), "2130706433");
	CHECK_TEXT(find(n, "x.localhost", DNS_A), "2130706433");
	CHECK_TEXT(find(n, "1.0.0.127.in-addr.arpa", DNS_PTR), "localhost");
	add(n, 3, "host", NULL);
	CHECK_TEXT(find(n, "host", DNS_A), "3");
	CHECK_TEXT(find(n, "host.internal", DNS_A), "2");
}

TEST(addresses_lead_back_to_names)
{
	_cleanup_(cleanup_names) struct names *n = group();

	add(n, 3, "Web", NULL);
	CHECK_TEXT(find(n, "3.1.0.10.in-addr.arpa", DNS_PTR), "web.default.internal");
	CHECK_TEXT(find(n, "3.1.0.10.in-addr.arpa", DNS_A), "no data");
}

TEST(own_names_go_before_aliases_and_shared_ones_give_all)
{
	static char *const aliases[] = {"db", "cache", NULL};
	_cleanup_(cleanup_names) struct names *n = group();

	add(n, 3, "one", aliases);
	add(n, 4, "two", aliases);
	CHECK_TEXT(find(n, "db", DNS_A), "3 4");
	add(n, 5, "db", NULL);
	add(n, 6, "DB", NULL);
	CHECK_TEXT(find(n, "db", DNS_A), "5 6");
	CHECK_TEXT(find(n, "cache", DNS_A), "3 4");
}

TEST(hidden_members_are_seen_by_themselves_only)
{
	_cleanup_(cleanup_names) struct names *n = group();

	add(n, 3, "web", NULL);
	add(n, 4, "db", NULL);
	names_hide(n, 4, true);
	CHECK_TEXT(find(n, "db", DNS_A), "none");
	CHECK_TEXT(find(n, "4.1.0.10.in-addr.arpa", DNS_PTR), "none");
	CHECK_TEXT(find_as(n, 4, "db", DNS_A), "4");
	CHECK_TEXT(find_as(n, 4, "4.1.0.10.in-addr.arpa", DNS_PTR), "db.default.internal");
	names_hide(n, 4, false);
	CHECK_TEXT(find(n, "db", DNS_A), "4");
}

TEST(members_go_and_come)
{
	_cleanup_(cleanup_names) struct names *n = group();
	struct names_member again = {.id = 20, .name = "again"};
	struct error err;

	for (uint32_t id = 3; id < 40; id++) {
		char name[16];

		snprintf(name, sizeof name, "m%u", id);
		add(n, id, name, NULL);
	}
	CHECK_ERROR(names_add(n, &again, &err), ERROR_EXISTS);
	names_remove(n, 20);
	names_remove(n, 20);
	CHECK_TEXT(find(n, "m20", DNS_A), "none");
	CHECK_TEXT(find(n, "m39", DNS_A), "39");
	CHECK_OK(names_add(n, &again, &err));
	CHECK_TEXT(find(n, "again", DNS_A), "0");
}

TEST(names_that_dns_has_not_are_nobodys_and_no_aliases)
{
	static char *const odd[] = {"a..b", NULL};
	_cleanup_(cleanup_names) struct names *n = group();
	struct names_member m = {.id = 9, .address = SUBNET + 9, .name = "x", .aliases = odd};
	struct error err;

	CHECK_ERROR(names_add(n, &m, &err), ERROR_INVALID);
	CHECK(strstr(err.text, "a..b"));
	add(n, 4, "a..b", NULL);
	CHECK_TEXT(find(n, "4.1.0.10.in-addr.arpa", DNS_PTR), "no data");
}

TEST(replies_are_whole_messages)
{
	static const char query[] = "\0\7\1\0\0\1\0\0\0\0\0\0\2db\0\0\1\0\1";
	_cleanup_(cleanup_names) struct names *n = group();
	struct dns_query q;
	struct dns_reply r;
	uint8_t out[512];
	size_t size;

	add(n, 4, "db", NULL);
	CHECK_INT(dns_parse_query((const uint8_t *)query, sizeof query - 1, &q), 0);
	size = names_reply(n, 3, &q, out, sizeof out);
	CHECK(dns_parse_reply(out, size, &q, 7, &r) && r.answers == 1 && r.ttl == NAMES_TTL);
	names_remove(n, 4);
	size = names_reply(n, 3, &q, out, sizeof out);
	CHECK(dns_parse_reply(out, size, &q, 7, &r) && r.rcode == DNS_NXDOMAIN);
	q.type = DNS_NS;
	CHECK_INT(names_reply(n, 3, &q, out, sizeof out), 0);
}
