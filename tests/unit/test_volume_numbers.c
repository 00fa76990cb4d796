/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of what was made before the host knew: how they are changed on the way, and for how long. */
#include "test.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <string.h>

#include "codec/volume.h"
#include "guest/volume_numbers.h"

#define HOST  4711u /* what the host calls what was made */
#define OTHER 4712u

struct message {
	union {
		struct fuse_in_header in;
		struct fuse_out_header out;
	};
	uint8_t body[600];
};

static uint64_t unique = 2;

static uint64_t number_in(const uint8_t *at)
{
	uint64_t number;

	memcpy(&number, at, sizeof number);
	return number;
}

/* A request as the host gets it; size: of its body. */
static struct message request(
	struct numbers *n, uint32_t opcode, uint64_t node, const void *body, size_t size)
{
	struct message m = {.in = {.len = (uint32_t)(sizeof m.in + size),
				    .opcode = opcode,
				    .unique = unique += 2,
				    .nodeid = node}};

	if (size)
		memcpy(m.body, body, size);
	CHECK(numbers_to_host(n, (uint8_t *)&m, m.in.len));
	return m;
}

/* The reply to it as the kernel gets it; a message of the host's begins with 16 bytes, and so does its body.
 */
static const uint8_t *reply(struct numbers *n, uint64_t number, int error, const void *body, size_t size)
{
	static uint8_t bytes[600];
	struct fuse_out_header h = {.len = (uint32_t)(sizeof h + size), .error = error, .unique = number},
			       now;

	memcpy(bytes, &h, sizeof h);
	if (size)
		memcpy(bytes + sizeof h, body, size);
	numbers_to_kernel(n, bytes, h.len);
	memcpy(&now, bytes, sizeof now);
	CHECK_INT(now.unique, number & ~(UINT64_C(15) << 60));
	CHECK_INT(now.len, h.len);
	return bytes + sizeof h;
}

static uint64_t entry(struct numbers *n, const struct message *m, uint64_t host)
{
	const struct fuse_entry_out e = {.nodeid = host, .generation = 9};

	return number_in(reply(n, m->in.unique, 0, &e, sizeof e));
}

static uint64_t give(struct numbers *n)
{
	uint64_t given = numbers_give(n, unique += 2);

	CHECK(volume_is_given(given));
	CHECK(!numbers_are_settled(n));
	return given;
}

/* The host has made what the last request asked for. */
static void settle(struct numbers *n, uint64_t made_by, uint64_t host, int error)
{
	const struct fuse_entry_out e = {.nodeid = host};

	reply(n, made_by | VOLUME_GIVES, error, &e, error ? 0 : sizeof e);
}

TEST(the_host_gets_its_own_numbers_as_soon_as_it_has_told_them)
{
	struct numbers *n = numbers_new();
	uint64_t given = give(n);

	CHECK_INT(request(n, FUSE_WRITE, given, "", 1).in.nodeid, given);
	CHECK_INT(request(n, FUSE_WRITE, OTHER, "", 1).in.nodeid, OTHER);
	settle(n, unique - 4, HOST, 0);
	CHECK(numbers_are_settled(n));
	CHECK_INT(request(n, FUSE_WRITE, given, "", 1).in.nodeid, HOST);
	CHECK_INT(request(n, FUSE_WRITE, OTHER, "", 1).in.nodeid, OTHER);
	numbers_free(n);
}

TEST(the_kernel_gets_the_number_that_it_knows_however_it_hears_of_the_object)
{
	const struct fuse_notify_inval_inode_out gone = {.ino = HOST, .off = -1};
	struct numbers *n = numbers_new();
	uint64_t given = give(n), made_by = unique;
	struct message lookup, list;
	struct fuse_direntplus d[2] = {{.entry_out.nodeid = OTHER, .dirent.namelen = 0},
		{.entry_out = {.nodeid = HOST, .generation = 3}, .dirent.namelen = 0}};
	const uint8_t *at;

	lookup = request(n, FUSE_LOOKUP, OTHER, "a", 2);
	settle(n, made_by, HOST, 0);
	CHECK_INT(entry(n, &lookup, HOST), given);
	CHECK_INT(entry(n, &lookup, OTHER), OTHER);
	list = request(n, FUSE_READDIRPLUS, OTHER, "", 1);
	at = reply(n, list.in.unique, 0, d, 2 * FUSE_DIRENTPLUS_SIZE(&d[0]));
	CHECK_INT(number_in(at), OTHER);
	CHECK_INT(number_in(at + FUSE_DIRENTPLUS_SIZE(&d[0])), given);
	CHECK_INT(number_in(at + FUSE_DIRENTPLUS_SIZE(&d[0]) + 8), 0); /* generation */
	CHECK_INT(number_in(reply(n, 0, FUSE_NOTIFY_INVAL_INODE, &gone, sizeof gone)), given);
	/* An attribute's value is no number. */
	CHECK_INT(number_in(reply(n, request(n, FUSE_GETXATTR, OTHER, "", 1).in.unique, 0, &gone, 8)), HOST);
	numbers_free(n);
}

TEST(numbers_are_kept_until_the_kernel_has_forgotten_all_that_it_looked_up)
{
	const struct fuse_forget_in two = {.nlookup = 2}, one = {.nlookup = 1};
	struct {
		struct fuse_batch_forget_in head;
		struct fuse_forget_one list[2];
	} many = {{.count = 2}, {{OTHER, 1}, {0, 1}}};
	struct numbers *n = numbers_new();
	uint64_t given = give(n);
	struct message lookup;

	settle(n, unique, HOST, 0);
	lookup = request(n, FUSE_LOOKUP, OTHER, "a", 2);
	CHECK_INT(entry(n, &lookup, HOST), given);
	CHECK_INT(entry(n, &lookup, HOST), given);
	CHECK_INT(request(n, FUSE_FORGET, given, &two, sizeof two).in.nodeid, HOST);
	CHECK_INT(entry(n, &lookup, HOST), given); /* on its way meanwhile */
	many.list[1].nodeid = given;
	CHECK_INT(number_in(request(n, FUSE_BATCH_FORGET, 0, &many, sizeof many).body +
			    offsetof(__typeof__(many), list[1])),
		HOST);
	CHECK_INT(request(n, FUSE_FORGET, given, &one, sizeof one).in.nodeid, HOST);
	CHECK_INT(entry(n, &lookup, HOST), HOST);
	CHECK_INT(request(n, FUSE_WRITE, given, "", 1).in.nodeid, given);
	numbers_free(n);
}

TEST(what_the_host_could_not_make_is_no_object_of_its)
{
	struct numbers *n = numbers_new();
	uint64_t given = give(n);

	settle(n, unique, 0, -ENOSPC);
	CHECK(numbers_are_settled(n));
	CHECK_INT(request(n, FUSE_WRITE, given, "", 1).in.nodeid, 0);
	numbers_free(n);
}

TEST(requests_about_two_objects_wait_for_their_numbers)
{
	struct fuse_link_in link = {0};
	struct numbers *n = numbers_new();
	struct message m = {
		.in = {.len = sizeof m.in + sizeof link + 2, .opcode = FUSE_LINK, .nodeid = OTHER}};

	link.oldnodeid = give(n);
	memcpy(m.body, &link, sizeof link);
	CHECK(!numbers_to_host(n, (uint8_t *)&m, m.in.len));
	settle(n, unique, HOST, 0);
	CHECK(numbers_to_host(n, (uint8_t *)&m, m.in.len));
	CHECK_INT(number_in(m.body), HOST);
	m.in.opcode = FUSE_BATCH_FORGET;
	give(n);
	CHECK(!numbers_to_host(n, (uint8_t *)&m, m.in.len));
	numbers_free(n);
}

TEST(no_more_are_given_than_the_other_side_keeps)
{
	struct numbers *n = numbers_new();
	uint64_t first = unique + 2;

	for (uint32_t i = 0; i < VOLUME_GIVEN_MAX; i++)
		give(n);
	CHECK(!numbers_give(n, unique += 2));
	settle(n, first + 2, HOST, 0); /* the second: the first has its place still */
	CHECK(!numbers_give(n, unique += 2));
	settle(n, first, OTHER, 0);
	CHECK(numbers_give(n, unique += 2));
	CHECK(numbers_give(n, unique += 2));
	CHECK(!numbers_give(n, unique += 2));
	numbers_free(n);
}

TEST(replies_that_are_cut_anywhere_are_left_as_they_are)
{
	struct fuse_direntplus d = {.entry_out.nodeid = HOST, .dirent.namelen = 100};
	struct numbers *n = numbers_new();

	give(n);
	settle(n, unique, HOST, 0);
	for (size_t size = 0; size <= sizeof d; size++) {
		reply(n, request(n, FUSE_LOOKUP, OTHER, "a", 2).in.unique, 0, &d, size);
		reply(n, request(n, FUSE_READDIRPLUS, OTHER, "a", 2).in.unique, 0, &d, size);
		reply(n, VOLUME_GIVES | 999, 0, &d, size);
		reply(n, 0, FUSE_NOTIFY_INVAL_INODE, &d, size);
	}
	numbers_free(n);
}
