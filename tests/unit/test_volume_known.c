/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest's relay answers the kernel without asking the host, and what it must not. */
#include "test.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "codec/volume.h"
#include "guest/volume_known.h"

#define NOW    (1000 * NANOSECONDS_PER_SECOND)
#define SECOND NANOSECONDS_PER_SECOND
#define PARENT 77u
#define MADE   78u
#define VALID  300u /* seconds */

struct asked {
	bool here;
	struct fuse_out_header head;
	uint8_t body[REQUEST_REPLY_MAX];
};

static uint64_t unique = 2;

/* A request with a body of `fixed` bytes and a name, or two. */
static struct asked ask(struct known *k, uint64_t now, uint32_t opcode, uint64_t node, const void *fixed,
	size_t size, const char *name, const char *second)
{
	uint8_t bytes[1024], reply[REQUEST_REPLY_MAX];
	struct fuse_in_header h = {.opcode = opcode, .unique = unique += 2, .nodeid = node};
	size_t n = sizeof h + size, got;
	struct asked a = {0};

	if (fixed)
		memcpy(bytes + sizeof h, fixed, size);
	else
		memset(bytes + sizeof h, 0, size);
	for (int i = 0; i < 2; i++) {
		const char *text = i ? second : name;

		if (!text)
			continue;
		memcpy(bytes + n, text, strlen(text) + 1);
		n += strlen(text) + 1;
	}
	h.len = (uint32_t)n;
	memcpy(bytes, &h, sizeof h);
	a.here = known_answer(k, bytes, n, now, reply, &got);
	if (a.here) {
		memcpy(&a.head, reply, sizeof a.head);
		CHECK_INT(a.head.len, got);
		CHECK_INT(a.head.unique, unique);
		memcpy(a.body, reply + sizeof a.head, got - sizeof a.head);
	}
	return a;
}

static struct asked look(struct known *k, uint64_t now, uint64_t node, const char *name)
{
	return ask(k, now, FUSE_LOOKUP, node, NULL, 0, name, NULL);
}

static struct asked attribute(struct known *k, uint64_t now, uint64_t node, const char *name)
{
	return ask(k, now, FUSE_GETXATTR, node, NULL, sizeof(struct fuse_getxattr_in), name, NULL);
}

static bool hear(struct known *k, uint64_t number, int32_t error, const void *body, size_t size)
{
	struct fuse_out_header h = {.len = (uint32_t)(sizeof h + size), .error = error, .unique = number};
	uint8_t bytes[512];

	memcpy(bytes, &h, sizeof h);
	memcpy(bytes + sizeof h, body, size);
	return known_heard(k, bytes, h.len, NOW);
}

static void made(struct known *k, uint64_t node)
{
	const struct fuse_entry_out e = {.nodeid = node, .entry_valid = VALID, .attr_valid = VALID};

	CHECK(!hear(k, unique, 0, &e, sizeof e));
}

static struct known *with_directory(void)
{
	struct known *k = known_new();

	CHECK(k);
	CHECK(!ask(k, NOW, FUSE_MKDIR, PARENT, NULL, sizeof(struct fuse_mkdir_in), "d", NULL).here);
	made(k, MADE);
	return k;
}

static void check_absent(const struct asked *a)
{
	struct fuse_entry_out e;

	CHECK(a->here);
	CHECK_INT(a->head.error, 0);
	memcpy(&e, a->body, sizeof e);
	CHECK_INT(e.nodeid, 0);
}

TEST(what_was_not_put_into_a_new_directory_is_not_there)
{
	struct known *k = with_directory();
	struct asked a = look(k, NOW, MADE, "x");

	check_absent(&a);
	CHECK(!look(k, NOW, PARENT, "x").here);
	CHECK(!look(k, NOW + (VALID + 1) * SECOND, MADE, "x").here);
	known_free(k);
}

TEST(each_way_to_put_a_name_into_a_directory_is_seen)
{
	const struct fuse_rename_in here = {.newdir = MADE};
	const struct fuse_rename2_in here2 = {.newdir = MADE};
	const struct fuse_rename2_in away = {.newdir = PARENT};
	struct known *k = with_directory();

	ask(k, NOW, FUSE_CREATE, MADE, NULL, sizeof(struct fuse_create_in), "a", NULL);
	ask(k, NOW, FUSE_MKNOD, MADE, NULL, sizeof(struct fuse_mknod_in), "b", NULL);
	ask(k, NOW, FUSE_MKDIR, MADE, NULL, sizeof(struct fuse_mkdir_in), "c", NULL);
	ask(k, NOW, FUSE_SYMLINK, MADE, NULL, 0, "d", "target");
	ask(k, NOW, FUSE_LINK, MADE, NULL, sizeof(struct fuse_link_in), "e", NULL);
	ask(k, NOW, FUSE_RENAME, PARENT, &here, sizeof here, "old", "f");
	ask(k, NOW, FUSE_RENAME2, PARENT, &here2, sizeof here2, "old", "g");
	ask(k, NOW, FUSE_RENAME2, MADE, &away, sizeof away, "h", "new"); /* it may be an exchange */
	for (const char *c = "abcdefgh"; *c; c++)
		CHECK(!look(k, NOW, MADE, (const char[]){*c, 0}).here);
	CHECK(look(k, NOW, MADE, "i").here);
	CHECK(look(k, NOW, MADE, "target").here);
	CHECK(look(k, NOW, MADE, "old").here);
	known_free(k);
}

TEST(a_directory_with_too_many_names_is_asked_for)
{
	struct known *k = with_directory();
	char name[16];

	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "%d", i);
		CHECK(look(k, NOW, MADE, name).here);
		ask(k, NOW, FUSE_CREATE, MADE, NULL, sizeof(struct fuse_create_in), name, NULL);
		CHECK(!look(k, NOW, MADE, name).here);
	}
	CHECK(look(k, NOW, MADE, "x").here);
	for (int i = 5000; i < 100000; i++) {
		snprintf(name, sizeof name, "%d", i);
		ask(k, NOW, FUSE_CREATE, MADE, NULL, sizeof(struct fuse_create_in), name, NULL);
	}
	CHECK(!look(k, NOW, MADE, "x").here);
	/* What it had is there for others. */
	ask(k, NOW, FUSE_MKDIR, PARENT, NULL, sizeof(struct fuse_mkdir_in), "e", NULL);
	made(k, MADE + 1);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "%d", i);
		ask(k, NOW, FUSE_CREATE, MADE + 1, NULL, sizeof(struct fuse_create_in), name, NULL);
	}
	CHECK(look(k, NOW, MADE + 1, "x").here);
	known_free(k);
}

TEST(what_others_do_and_forgetting_end_what_is_known)
{
	const struct fuse_notify_inval_entry_out entry = {.parent = MADE, .namelen = 1};
	const struct fuse_notify_inval_inode_out inode = {.ino = MADE};
	struct {
		struct fuse_batch_forget_in head;
		struct fuse_forget_one one[2];
	} many = {{.count = 2}, {{.nodeid = 5}, {.nodeid = MADE}}};
	struct known *k = with_directory();

	CHECK(!hear(k, 0, FUSE_NOTIFY_INVAL_ENTRY, &entry, sizeof entry));
	CHECK(!look(k, NOW, MADE, "x").here);
	known_free(k);

	k = with_directory();
	CHECK_INT(attribute(k, NOW, MADE, "user.x").head.error, -ENODATA);
	CHECK(!hear(k, 0, FUSE_NOTIFY_INVAL_INODE, &inode, sizeof inode));
	CHECK(!attribute(k, NOW, MADE, "user.x").here);
	known_free(k);

	k = with_directory();
	ask(k, NOW, FUSE_FORGET, MADE, NULL, sizeof(struct fuse_forget_in), NULL, NULL);
	CHECK(!look(k, NOW, MADE, "x").here && !attribute(k, NOW, MADE, "user.x").here);
	known_free(k);

	k = with_directory();
	ask(k, NOW, FUSE_BATCH_FORGET, 0, &many, sizeof many, NULL, NULL);
	CHECK(!look(k, NOW, MADE, "x").here);
	known_free(k);
}

TEST(a_new_object_has_no_attributes_until_it_gets_one)
{
	struct known *k = with_directory();

	CHECK_INT(attribute(k, NOW, MADE, "security.capability").head.error, -ENODATA);
	CHECK(!attribute(k, NOW, PARENT, "security.capability").here);
	CHECK_INT(attribute(k, NOW, PARENT, "system.posix_acl_access").head.error, -EOPNOTSUPP);
	ask(k, NOW, FUSE_SETXATTR, MADE, NULL, 16, "user.x", "v");
	CHECK(!attribute(k, NOW, MADE, "security.capability").here);
	known_free(k);
}

TEST(an_object_that_is_said_to_be_bare_is_until_it_gets_an_attribute)
{
	const uint64_t bare[] = {PARENT, VALID};
	const struct fuse_notify_inval_inode_out inode = {.ino = PARENT};
	struct known *k = known_new();

	CHECK(hear(k, 0, VOLUME_BARE, bare, sizeof bare));
	CHECK_INT(attribute(k, NOW, PARENT, "security.selinux").head.error, -ENODATA);
	CHECK(!attribute(k, NOW + (VALID + 1) * SECOND, PARENT, "security.selinux").here);
	CHECK(!hear(k, 0, FUSE_NOTIFY_INVAL_INODE, &inode, sizeof inode));
	CHECK(!attribute(k, NOW, PARENT, "security.selinux").here);
	known_free(k);
}

TEST(what_could_not_be_made_teaches_nothing)
{
	struct known *k = known_new();
	const struct fuse_entry_out e = {.nodeid = MADE, .entry_valid = VALID, .attr_valid = VALID};

	ask(k, NOW, FUSE_MKDIR, PARENT, NULL, sizeof(struct fuse_mkdir_in), "d", NULL);
	CHECK(!hear(k, unique, -EEXIST, &e, sizeof e));
	CHECK(!look(k, NOW, MADE, "x").here);
	/* Nor the reply to something else. */
	look(k, NOW, PARENT, "d");
	CHECK(!hear(k, unique, 0, &e, sizeof e));
	CHECK(!look(k, NOW, MADE, "x").here);
	known_free(k);
}

static void tell_ahead(struct known *k, uint64_t size)
{
	struct {
		uint64_t node;
		struct fuse_attr_out attributes;
	} m = {PARENT, {.attr_valid = VALID, .attr.size = size}};

	CHECK(hear(k, 0, VOLUME_AHEAD, &m, sizeof m));
}

static struct asked attributes(struct known *k, uint64_t now)
{
	return ask(k, now, FUSE_GETATTR, PARENT, NULL, sizeof(struct fuse_getattr_in), NULL, NULL);
}

TEST(attributes_that_are_told_ahead_are_given_for_a_moment_and_not_over_a_change)
{
	struct known *k = known_new();
	struct fuse_attr_out a;
	struct asked q;

	CHECK(!attributes(k, NOW).here);
	tell_ahead(k, 1);
	tell_ahead(k, 2);
	q = attributes(k, NOW);
	CHECK(q.here);
	memcpy(&a, q.body, sizeof a);
	CHECK_INT(a.attr.size, 2);
	CHECK(!attributes(k, NOW + SECOND).here);
	static const uint32_t changes[] = {FUSE_UNLINK, FUSE_RMDIR, FUSE_SETATTR};

	for (size_t i = 0; i < 3; i++) {
		tell_ahead(k, 3);
		ask(k, NOW, changes[i], PARENT, NULL, 88, "x", NULL);
		CHECK(!attributes(k, NOW).here);
	}
	tell_ahead(k, 4);
	ask(k, NOW, FUSE_CREATE, PARENT, NULL, sizeof(struct fuse_create_in), "x", NULL);
	CHECK(!attributes(k, NOW).here);
	known_free(k);
}

TEST(closing_what_the_host_never_opened_is_no_question)
{
	struct fuse_release_in in = {.fh = VOLUME_NO_HANDLE};
	struct known *k = known_new();

	CHECK_INT(ask(k, NOW, FUSE_RELEASE, MADE, &in, sizeof in, NULL, NULL).head.error, 0);
	CHECK(ask(k, NOW, FUSE_RELEASE, MADE, &in, sizeof in, NULL, NULL).here);
	in.fh = 3;
	CHECK(!ask(k, NOW, FUSE_RELEASE, MADE, &in, sizeof in, NULL, NULL).here);
	CHECK(!ask(k, NOW, FUSE_RELEASE, MADE, NULL, 4, NULL, NULL).here);
	known_free(k);
}

TEST(messages_that_are_cut_off_are_for_the_host)
{
	static const uint32_t all[] = {FUSE_LOOKUP, FUSE_MKDIR, FUSE_CREATE, FUSE_SYMLINK, FUSE_LINK,
		FUSE_RENAME, FUSE_RENAME2, FUSE_GETXATTR, FUSE_FORGET, FUSE_BATCH_FORGET};
	struct known *k = with_directory();
	uint8_t reply[REQUEST_REPLY_MAX];
	size_t got;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (size_t n = 0; n < 120; n++) {
			uint8_t *bytes = malloc(n ? n : 1); /* exactly so many, for the sanitizer */
			struct fuse_in_header h = {
				.len = (uint32_t)n, .opcode = all[i], .unique = unique += 2, .nodeid = MADE};

			memset(bytes, 'x', n);
			memcpy(bytes, &h, n < sizeof h ? n : sizeof h);
			CHECK(!known_answer(k, bytes, n, NOW, reply, &got));
			free(bytes);
		}
	known_free(k);
}
