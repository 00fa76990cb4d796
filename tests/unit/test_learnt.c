/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox has learnt from the resolver: expiry, bounds, and random schedules beside a list. */
#include <stdlib.h>

#include "net/learnt.h"
#include "test.h"

#define SECONDS 1000000000ULL

static const uint64_t seed[2] = {3, 4};
static struct error err;

static struct learnt *fresh(void)
{
	struct learnt *l;

	CHECK_OK(learnt_new(seed, &l, &err));
	return l;
}

static size_t names_of(const struct learnt *l, const struct address *a, uint64_t at)
{
	uint32_t walk = 0;
	size_t n = 0;

	while (learnt_next(l, a, at, &walk))
		n++;
	return n;
}

TEST(a_name_is_known_until_its_ttl_and_the_grace_are_over)
{
	struct learnt *l = fresh();
	struct address a = address_from_ipv4(0x01020304), b = address_from_ipv4(0x01020305);
	uint32_t walk = 0;

	CHECK_OK(learnt_add(l, "A.Example.COMZ.", &a, 30, 100 * SECONDS, &err));
	CHECK_TEXT(learnt_next(l, &a, 190 * SECONDS, &walk), "a.example.comz");
	CHECK(!learnt_next(l, &a, 190 * SECONDS, &walk));
	CHECK_INT(names_of(l, &a, 190 * SECONDS + 1), 0);
	CHECK_INT(names_of(l, &b, 0), 0);
	CHECK_INT(names_of(NULL, &a, 0), 0);
	/* anew: the later end holds, and a shorter answer takes nothing back */
	CHECK_OK(learnt_add(l, "a.example.comz", &a, 100, 150 * SECONDS, &err));
	CHECK_OK(learnt_add(l, "a.example.comz", &a, 0, 151 * SECONDS, &err));
	CHECK_INT(names_of(l, &a, 310 * SECONDS), 1);
	CHECK_INT(names_of(l, &a, 310 * SECONDS + 1), 0);
	CHECK_INT(learnt_count(l), 1);
	learnt_free(l);
}

TEST(no_ttl_keeps_a_name_for_more_than_a_day)
{
	struct learnt *l = fresh();
	struct address a = address_from_ipv4(1);

	CHECK_OK(learnt_add(l, "a.test", &a, UINT32_MAX, 0, &err));
	CHECK_INT(names_of(l, &a, (86400 + 60) * SECONDS), 1);
	CHECK_INT(names_of(l, &a, (86400 + 60) * SECONDS + 1), 0);
	learnt_free(l);
}

TEST(what_is_no_name_is_not_learnt)
{
	struct learnt *l = fresh();
	struct address a = address_from_ipv4(1);
	char name[300];

	memset(name, 'a', sizeof name);
	name[254] = 0;
	CHECK_OK(learnt_add(l, name, &a, 1, 0, &err));
	CHECK_OK(learnt_add(l, "", &a, 1, 0, &err));
	CHECK_OK(learnt_add(l, ".", &a, 1, 0, &err));
	CHECK_INT(learnt_count(l), 0);
	name[253] = '.';
	CHECK_OK(learnt_add(l, name, &a, 1, 0, &err));
	CHECK_INT(learnt_count(l), 1);
	learnt_free(l);
}

TEST(a_fingerprint_is_of_the_name_however_it_is_written)
{
	struct learnt *l = fresh();

	CHECK(learnt_fingerprint(l, "A.test.") == learnt_fingerprint(l, "a.TEST"));
	CHECK(learnt_fingerprint(l, "a.test") != learnt_fingerprint(l, "b.test"));
	CHECK(learnt_fingerprint(l, "") != 0);
	learnt_free(l);
}

TEST(the_oldest_goes_when_there_is_no_more_room)
{
	struct learnt *l = fresh();
	struct address a;

	for (uint32_t i = 0; i < LEARNT_MAX; i++) {
		a = address_from_ipv4(i);
		CHECK_OK(learnt_add(l, "a.test", &a, 600, i, &err));
	}
	a = address_from_ipv4(0);
	CHECK_OK(learnt_add(l, "a.test", &a, 600, LEARNT_MAX, &err)); /* the newest now */
	for (uint32_t i = 0; i < 10; i++) {
		a = address_from_ipv4(LEARNT_MAX + i);
		CHECK_OK(learnt_add(l, "a.test", &a, 600, LEARNT_MAX + 1, &err));
	}
	CHECK_INT(learnt_count(l), LEARNT_MAX);
	for (uint32_t i = 0; i < LEARNT_MAX + 10; i++) {
		a = address_from_ipv4(i);
		CHECK_INT(names_of(l, &a, 0), !(i >= 1 && i <= 10));
	}
	learnt_free(l);
}

TEST(an_address_has_few_names_so_that_looking_up_is_short)
{
	struct learnt *l = fresh();
	struct address a = address_from_ipv4(7);
	uint32_t walk = 0;
	char name[32];

	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "n%u.test", i);
		CHECK_OK(learnt_add(l, name, &a, 1000 + i, 0, &err));
	}
	CHECK_INT(names_of(l, &a, 0), LEARNT_NAMES_MAX);
	CHECK_INT(learnt_count(l), LEARNT_NAMES_MAX);
	for (const char *known; (known = learnt_next(l, &a, 0, &walk));)
		CHECK(atoi(known + 1) >= 1000 - LEARNT_NAMES_MAX);
	learnt_free(l);
}

/* The same by a list in the order of learning. */
struct model {
	struct entry {
		uint32_t address;
		uint32_t name;
		uint64_t expires;
	} entries[LEARNT_MAX + 1];
	size_t count;
};

static void forget(struct model *m, size_t i)
{
	memmove(&m->entries[i], &m->entries[i + 1], (--m->count - i) * sizeof *m->entries);
}

static void model_add(struct model *m, uint32_t address, uint32_t name, uint32_t ttl, uint64_t now)
{
	uint64_t expires = now + (ttl + LEARNT_GRACE_SECONDS) * SECONDS;
	size_t names = 0, first = SIZE_MAX;

	for (size_t i = 0; i < m->count; i++) {
		if (m->entries[i].address != address)
			continue;
		if (m->entries[i].name == name) {
			if (m->entries[i].expires > expires)
				expires = m->entries[i].expires;
			forget(m, i);
			names = 0;
			first = SIZE_MAX;
			break;
		}
		names++;
		if (first == SIZE_MAX || m->entries[i].expires < m->entries[first].expires)
			first = i;
	}
	if (names >= LEARNT_NAMES_MAX)
		forget(m, first);
	else if (m->count == LEARNT_MAX)
		forget(m, 0);
	m->entries[m->count++] = (struct entry){address, name, expires};
}

static bool model_knows(const struct model *m, uint32_t address, uint32_t name, uint64_t at)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->entries[i].address == address && m->entries[i].name == name)
			return m->entries[i].expires >= at;
	return false;
}

static void compare(const struct model *m, const struct learnt *l, uint32_t address, uint64_t at)
{
	struct address a = address_from_ipv4(address);
	size_t expected = 0;
	uint32_t walk = 0;

	for (size_t i = 0; i < m->count; i++)
		expected += m->entries[i].address == address && m->entries[i].expires >= at;
	CHECK_INT(names_of(l, &a, at), expected);
	for (const char *name; (name = learnt_next(l, &a, at, &walk));)
		CHECK(model_knows(m, address, (uint32_t)atoi(name + 1), at));
}

TEST(random_schedules_are_as_a_list_would_have_them)
{
	static struct model model;
	struct learnt *l = fresh();
	uint64_t now = 0, state = 1;
	char name[32];

	for (uint32_t i = 0; i < 30000; i++) {
		uint32_t address, number;
		struct address a;

		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		/* few addresses with many names, and many with one; times that differ, so that one ends first
		 */
		address = state >> 63 ? (uint32_t)(state >> 40) % 8 : (uint32_t)(state >> 40) % 20000;
		number = address < 8 ? (uint32_t)(state >> 50) % 60 : 0;
		now += state >> 33 & 0xfffffff;
		a = address_from_ipv4(address);
		snprintf(name, sizeof name, "n%u.test", number);
		CHECK_OK(learnt_add(l, name, &a, (uint32_t)(state >> 20) % 3600, now, &err));
		model_add(&model, address, number, (uint32_t)(state >> 20) % 3600, now);
		if (i % 8 == 0) {
			compare(&model, l, address, now);
			compare(&model, l, (uint32_t)(state >> 12) % 20000, now);
			compare(&model, l, (uint32_t)(state >> 5) % 8, 0);
		}
		CHECK_INT(learnt_count(l), model.count);
	}
	learnt_free(l);
}
