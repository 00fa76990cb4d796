/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest's relay acknowledges before the host has heard of it, and what it must not. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "codec/volume.h"
#include "guest/volume_behind.h"

#define NOW    (1000 * NANOSECONDS_PER_SECOND)
#define SECOND NANOSECONDS_PER_SECOND
#define PARENT 77u
#define FILE_  78u
#define OTHER  79u
#define VALID  300u /* seconds */

static uint64_t unique = 2;

struct answer {
	bool here;
	int error;
	struct fuse_attr_out out;
};

static struct answer ask_at(
	struct behind *b, uint64_t now, uint32_t opcode, uint64_t node, const void *body, size_t size)
{
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof h + size), .opcode = opcode, .unique = unique += 2, .nodeid = node};
	uint8_t bytes[1024], reply[REQUEST_REPLY_MAX];
	struct fuse_out_header out;
	struct answer a = {0};
	size_t n;

	memcpy(bytes, &h, sizeof h);
	if (size)
		memcpy(bytes + sizeof h, body, size);
	a.here = behind_answer(b, bytes, h.len, now, reply, &n);
	if (a.here) {
		memcpy(&out, reply, sizeof out);
		CHECK_INT(out.len, n);
		CHECK_INT(out.unique, unique);
		a.error = out.error;
		if (n == sizeof out + sizeof a.out)
			memcpy(&a.out, reply + sizeof out, sizeof a.out);
	}
	return a;
}

static struct answer ask(struct behind *b, uint32_t opcode, uint64_t node, const void *body, size_t size)
{
	return ask_at(b, NOW, opcode, node, body, size);
}

static struct answer set(struct behind *b, uint64_t node, struct fuse_setattr_in in)
{
	return ask(b, FUSE_SETATTR, node, &in, sizeof in);
}

static struct answer set_mode(struct behind *b, uint64_t node, uint32_t mode)
{
	return set(b, node, (struct fuse_setattr_in){.valid = FATTR_MODE | FATTR_FH, .mode = S_IFREG | mode});
}

static struct answer set_owner(struct behind *b, uint64_t node, uint32_t uid)
{
	return set(b, node,
		(struct fuse_setattr_in){
			.valid = FATTR_UID | FATTR_GID | FATTR_KILL_SUIDGID, .uid = uid, .gid = uid});
}

static struct answer set_mtime(struct behind *b, uint64_t node, uint64_t seconds)
{
	return set(b, node, (struct fuse_setattr_in){.valid = FATTR_MTIME, .mtime = seconds, .mtimensec = 5});
}

static struct answer look(struct behind *b, uint64_t node)
{
	const struct fuse_getattr_in in = {0};

	return ask(b, FUSE_GETATTR, node, &in, sizeof in);
}

/* The reply as the kernel would get it: its error; swallowed: nobody gets it. */
static int hear(
	struct behind *b, uint64_t number, int32_t error, const void *body, size_t size, bool *swallowed)
{
	struct fuse_out_header h = {.len = (uint32_t)(sizeof h + size), .error = error, .unique = number};
	uint8_t bytes[512];
	size_t n = h.len;

	memcpy(bytes, &h, sizeof h);
	if (size)
		memcpy(bytes + sizeof h, body, size);
	*swallowed = behind_heard(b, bytes, &n, NOW);
	memcpy(&h, bytes, sizeof h);
	CHECK_INT(h.len, n);
	return h.error;
}

static int replied(struct behind *b, int32_t error, const void *body, size_t size)
{
	bool swallowed;
	int r = hear(b, unique, error, body, size, &swallowed);

	CHECK(!swallowed);
	return r;
}

static struct fuse_attr attributes(uint64_t node, uint32_t mode)
{
	return (struct fuse_attr){.ino = node, .mode = mode, .nlink = 1, .ctime = 1, .mtime = 1, .size = 10};
}

static void make(struct behind *b, uint64_t node, uint32_t opcode, uint32_t mode)
{
	const struct fuse_entry_out e = {
		.nodeid = node, .entry_valid = VALID, .attr_valid = VALID, .attr = attributes(node, mode)};

	CHECK(!ask(b, opcode, PARENT, "0123456789abcdefname", 21).here);
	CHECK_INT(replied(b, 0, &e, sizeof e), 0);
}

static struct behind *with_file(void)
{
	struct behind *b = behind_new();

	CHECK(b);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	return b;
}

struct sent {
	struct fuse_in_header head;
	struct fuse_setattr_in in;
};

static size_t take(struct behind *b, struct sent out[BEHIND_WAITING_MAX])
{
	size_t n = behind_take(b, (uint8_t *)out);

	CHECK_INT(n % BEHIND_MESSAGE, 0);
	CHECK(!behind_waits(b));
	return n / BEHIND_MESSAGE;
}

/* The host's answer to what was sent behind; nobody else sees it. */
static void settle(struct behind *b, const struct sent *s, int error, uint64_t ctime)
{
	struct fuse_attr_out out = {.attr_valid = VALID, .attr = attributes(s->head.nodeid, S_IFREG | 0644)};
	bool swallowed;

	out.attr.ctime = ctime;
	hear(b, s->head.unique, error, &out, error ? 0 : sizeof out, &swallowed);
	CHECK(swallowed);
}

TEST(what_is_set_on_a_new_file_is_acknowledged_and_goes_to_the_host_in_one_message)
{
	struct sent out[BEHIND_WAITING_MAX];
	struct behind *b = with_file();
	struct answer a = set_mtime(b, FILE_, 1234);

	CHECK(a.here && a.error == 0 && behind_waits(b) && !behind_is_done(b));
	CHECK_INT(a.out.attr.mtime, 1234);
	CHECK_INT(a.out.attr.size, 10);
	CHECK_INT(a.out.attr_valid + a.out.attr_valid_nsec, 0); /* its ctime is not known */
	CHECK(set_owner(b, FILE_, 0).here);
	a = set_mode(b, FILE_, 0644);
	CHECK_INT(a.out.attr.mode, S_IFREG | 0644);
	CHECK_INT(take(b, out), 1);
	CHECK_INT(out[0].head.len, BEHIND_MESSAGE);
	CHECK_INT(out[0].head.opcode, FUSE_SETATTR);
	CHECK_INT(out[0].head.nodeid, FILE_);
	CHECK_INT(out[0].head.unique, unique);
	CHECK_INT(out[0].in.valid, FATTR_MTIME | FATTR_UID | FATTR_GID | FATTR_KILL_SUIDGID | FATTR_MODE);
	CHECK_INT(out[0].in.mtime, 1234);
	CHECK_INT(out[0].in.mtimensec, 5);
	CHECK_INT(out[0].in.mode & 07777, 0644);
	CHECK(!behind_is_done(b));
	settle(b, &out[0], 0, 99);
	CHECK(behind_is_done(b));
	behind_free(b);
}

TEST(whoever_asks_gets_what_the_host_has_said_and_nothing_that_was_guessed)
{
	struct sent out[BEHIND_WAITING_MAX];
	struct behind *b = with_file();
	struct answer a;

	CHECK(look(b, FILE_).here);
	set_mode(b, FILE_, 0644);
	CHECK(!look(b, FILE_).here);
	take(b, out);
	CHECK(!look(b, FILE_).here);
	settle(b, &out[0], 0, 99);
	a = look(b, FILE_);
	CHECK(a.here && a.out.attr.ctime == 99 && a.out.attr_valid == VALID);
	CHECK(!ask_at(b, NOW + (VALID + 1) * SECOND, FUSE_GETATTR, FILE_, "", 0).here);
	ask(b, FUSE_READ, FILE_, "", 0); /* may set its atime */
	CHECK(!look(b, FILE_).here);
	behind_free(b);
}

TEST(what_the_host_might_refuse_or_knows_better_is_asked_for)
{
	const struct fuse_setattr_in size = {.valid = FATTR_SIZE},
				     now = {.valid = FATTR_MTIME | FATTR_MTIME_NOW};
	const struct fuse_setattr_in atime_now = {.valid = FATTR_ATIME | FATTR_ATIME_NOW, .atime = 7};
	struct sent out[BEHIND_WAITING_MAX];
	struct behind *b = with_file();

	CHECK(!set_mode(b, OTHER, 0644).here);  /* not made here */
	CHECK(!set_owner(b, FILE_, 1000).here); /* the host may have nowhere to keep it */
	CHECK_INT(replied(b, -EPERM, NULL, 0), 0 - EPERM);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	CHECK(!set_mode(b, FILE_, 04755).here);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	CHECK(!ask(b, FUSE_SETATTR, FILE_, &size, sizeof size).here);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	CHECK(!ask(b, FUSE_SETATTR, FILE_, &now, sizeof now).here);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	CHECK(!ask_at(b, NOW + (VALID + 1) * SECOND, FUSE_SETATTR, FILE_, &atime_now, sizeof atime_now).here);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	CHECK(!ask(b, FUSE_SETATTR, FILE_, &atime_now, sizeof atime_now - 1).here);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	CHECK(ask(b, FUSE_SETATTR, FILE_, &atime_now, sizeof atime_now).here);
	CHECK_INT(take(b, out), 1);
	CHECK(out[0].in.valid == FATTR_ATIME && out[0].in.atime == 7); /* that was now, when it was said */
	behind_free(b);
}

TEST(owners_are_acknowledged_once_the_host_has_kept_one)
{
	struct fuse_attr_out kept = {.attr_valid = VALID, .attr = attributes(FILE_, S_IFREG | 0600)};
	struct behind *b = with_file();

	CHECK(!set_owner(b, FILE_, 1000).here);
	replied(b, 0, &kept, sizeof kept); /* squashed */
	CHECK(!set_owner(b, FILE_, 1000).here);
	kept.attr.uid = kept.attr.gid = 1000;
	replied(b, 0, &kept, sizeof kept);
	CHECK(set_owner(b, FILE_, 1001).here);
	behind_free(b);
}

TEST(setuid_goes_with_the_owner_as_on_the_host_in_whatever_order)
{
	struct fuse_attr_out kept = {.attr_valid = VALID, .attr = attributes(FILE_, S_IFREG | 06755)};
	struct sent out[BEHIND_WAITING_MAX];
	struct behind *b = with_file();

	set_mode(b, FILE_, 06755);
	replied(b, 0, &kept, sizeof kept);
	CHECK_INT(set_mode(b, FILE_, 06711).out.attr.mode, S_IFREG | 06711);
	CHECK_INT(set_owner(b, FILE_, 7).out.attr.mode, S_IFREG | 0711);
	CHECK_INT(take(b, out), 1);
	CHECK_INT(out[0].in.mode & 07777, 0711); /* the host takes the bits away first, and sets it then */
	set_owner(b, FILE_, 8);
	set_mode(b, FILE_, 04700);
	CHECK_INT(take(b, out), 1);
	CHECK_INT(out[0].in.mode & 07777, 04700);
	behind_free(b);
}

static void write_to(struct behind *b, uint64_t offset, uint32_t flags, uint32_t write_flags)
{
	const struct fuse_write_in in = {
		.offset = offset, .size = 5, .flags = flags, .write_flags = write_flags};

	CHECK(!ask(b, FUSE_WRITE, FILE_, &in, sizeof in).here);
}

TEST(a_size_is_told_as_it_is_after_what_was_written)
{
	const struct fuse_write_out wrote = {.size = 5};
	struct behind *b = with_file();

	write_to(b, 3, 0, 0);
	CHECK(!set_mode(b, FILE_, 0644).here); /* not answered yet */
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	write_to(b, 3, 0, 0);
	replied(b, 0, &wrote, sizeof wrote);
	CHECK_INT(set_mode(b, FILE_, 0644).out.attr.size, 10);
	write_to(b, 100, 0, 0);
	replied(b, 0, &wrote, sizeof wrote);
	CHECK_INT(set_mode(b, FILE_, 0644).out.attr.size, 105);
	write_to(b, 200, O_APPEND, 0); /* the host knows where that is */
	replied(b, 0, &wrote, sizeof wrote);
	CHECK(!set_mode(b, FILE_, 0644).here);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	write_to(b, 0, 0, FUSE_WRITE_KILL_SUIDGID);
	replied(b, 0, &wrote, sizeof wrote);
	CHECK(!set_mode(b, FILE_, 0644).here);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	write_to(b, 0, 0, 0);
	replied(b, -ENOSPC, NULL, 0);
	CHECK(!set_mode(b, FILE_, 0644).here);
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	write_to(b, UINT64_MAX, 0, 0);
	replied(b, 0, &wrote, sizeof wrote);
	CHECK(!set_mode(b, FILE_, 0644).here);
	behind_free(b);
}

TEST(a_new_directory_is_as_the_host_says_ahead)
{
	struct {
		uint64_t node;
		struct fuse_attr_out attributes;
	} m = {PARENT, {.attr_valid = VALID, .attr = attributes(PARENT, S_IFDIR | 0700)}};
	struct behind *b = behind_new();
	struct fuse_entry_out e = {.nodeid = FILE_, .attr_valid = VALID, .attr = attributes(FILE_, S_IFREG)};
	bool swallowed;

	make(b, PARENT, FUSE_MKDIR, S_IFDIR | 0700);
	m.attributes.attr.size = 8192;
	CHECK(!ask(b, FUSE_CREATE, PARENT, "0123456789abcdefname", 21).here);
	CHECK(!set_mtime(b, PARENT, 5).here); /* it is being changed */
	replied(b, -EIO, NULL, 0);
	make(b, PARENT, FUSE_MKDIR, S_IFDIR | 0700);
	CHECK(!ask(b, FUSE_CREATE, PARENT, "0123456789abcdefname", 21).here);
	hear(b, 0, VOLUME_AHEAD, &m, sizeof m, &swallowed);
	CHECK(!swallowed); /* others want it, too */
	replied(b, 0, &e, sizeof e);
	CHECK_INT(set_mtime(b, PARENT, 5).out.attr.size, 8192);
	behind_free(b);
}

TEST(what_failed_behind_is_told_once_by_the_next_who_asks_and_ends_the_trust)
{
	static const uint32_t tellers[] = {FUSE_GETATTR, FUSE_SETATTR, FUSE_FSYNC, FUSE_FSYNCDIR, FUSE_FLUSH};
	struct fuse_attr_out now = {.attr_valid = VALID, .attr = attributes(FILE_, S_IFREG | 0600)};
	const struct fuse_setattr_in mode = {.valid = FATTR_MODE, .mode = 0600};
	struct sent out[BEHIND_WAITING_MAX];

	for (size_t i = 0; i < sizeof tellers / sizeof *tellers; i++) {
		struct behind *b = with_file();
		struct answer a;

		set_mode(b, FILE_, 0644);
		take(b, out);
		settle(b, &out[0], -ENOSPC, 0);
		CHECK(!ask(b, FUSE_READ, FILE_, "", 0).here);
		a = ask(b, tellers[i], FILE_, &mode, sizeof mode);
		CHECK(a.here && a.error == -ENOSPC);
		CHECK(!ask(b, tellers[i], FILE_, &mode, sizeof mode).here);
		CHECK_INT(replied(b, 0, &now, sizeof now), 0);
		make(b, OTHER, FUSE_CREATE, S_IFREG | 0600);
		CHECK(!set_mode(b, OTHER, 0644).here);
		behind_free(b);
	}
}

TEST(what_fails_while_somebody_waits_is_told_by_his_answer)
{
	struct fuse_fsync_in in = {0};
	struct sent out[BEHIND_WAITING_MAX];
	struct behind *b = with_file();

	set_mode(b, FILE_, 0644);
	take(b, out);
	CHECK(!ask(b, FUSE_FSYNC, FILE_, &in, sizeof in).here);
	settle(b, &out[0], -EDQUOT, 0);
	CHECK_INT(replied(b, 0, NULL, 0), 0 - EDQUOT);
	CHECK(!ask(b, FUSE_FSYNC, FILE_, &in, sizeof in).here);
	CHECK_INT(replied(b, 0, NULL, 0), 0);
	behind_free(b);
}

TEST(what_others_do_and_what_has_no_name_any_more_is_asked_for)
{
	static const uint32_t ends[] = {
		FUSE_UNLINK, FUSE_RENAME2, FUSE_LINK, FUSE_RMDIR, FUSE_COPY_FILE_RANGE};
	const struct fuse_notify_inval_inode_out inode = {.ino = FILE_};
	struct behind *b = with_file();
	bool swallowed;

	hear(b, 0, FUSE_NOTIFY_INVAL_INODE, &inode, sizeof inode, &swallowed);
	CHECK(!swallowed && !set_mode(b, FILE_, 0644).here && !look(b, FILE_).here);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
		CHECK(!ask(b, ends[i], PARENT, "name", 5).here);
		CHECK(!set_mode(b, FILE_, 0644).here);
	}
	make(b, FILE_, FUSE_CREATE, S_IFREG | 0600);
	CHECK(!ask(b, FUSE_FALLOCATE, FILE_, "", 0).here);
	CHECK(!set_mode(b, FILE_, 0644).here);
	behind_free(b);
}

TEST(a_forgotten_object_has_no_errors_and_its_number_may_be_anothers)
{
	const struct fuse_forget_in in = {1};
	struct sent out[BEHIND_WAITING_MAX];
	struct behind *b = with_file();

	set_mode(b, FILE_, 0644);
	ask(b, FUSE_FORGET, FILE_, &in, sizeof in);
	CHECK_INT(take(b, out), 1); /* the host gets it all the same */
	CHECK_INT(out[0].head.nodeid, FILE_);
	settle(b, &out[0], -EIO, 0);
	CHECK(!look(b, FILE_).here);
	b = (behind_free(b), with_file());
	set_mode(b, FILE_, 0644);
	take(b, out);
	ask(b, FUSE_FORGET, FILE_, &in, sizeof in);
	settle(b, &out[0], -EIO, 0);
	CHECK(behind_is_done(b) && !look(b, FILE_).here);
	behind_free(b);
}

TEST(what_waits_and_what_is_under_way_is_bounded)
{
	struct sent out[BEHIND_WAITING_MAX];
	struct behind *b = behind_new();
	uint32_t taken = 0, count = 0;

	for (uint32_t i = 0; i < 200; i++)
		make(b, 1000 + i, FUSE_CREATE, S_IFREG | 0600);
	for (uint32_t i = 0; i < 200; i++)
		taken += set_mode(b, 1000 + i, 0644).here;
	CHECK_INT(taken, BEHIND_WAITING_MAX);
	CHECK_INT(take(b, out), BEHIND_WAITING_MAX);
	for (uint32_t i = 0; i < 200; i++) {
		make(b, 1000 + i, FUSE_CREATE, S_IFREG | 0600);
		if (set_mode(b, 1000 + i, 0644).here)
			count += (uint32_t)take(b, out);
	}
	CHECK(count > 0 && count < 100);
	behind_free(b);
}

TEST(messages_that_are_cut_off_are_for_the_host)
{
	struct behind *b = with_file();
	uint8_t reply[REQUEST_REPLY_MAX];
	size_t got;

	for (uint32_t opcode = 0; opcode < 60; opcode++)
		for (size_t n = 0; n < 130; n++) {
			uint8_t *bytes = malloc(n ? n : 1); /* exactly so many, for the sanitizer */
			struct fuse_in_header h = {
				.len = (uint32_t)n, .opcode = opcode, .unique = unique += 2, .nodeid = OTHER};

			memset(bytes, 'x', n);
			memcpy(bytes, &h, n < sizeof h ? n : sizeof h);
			CHECK(!behind_answer(b, bytes, n, NOW, reply, &got));
			got = n;
			behind_heard(b, bytes, &got, NOW);
			free(bytes);
		}
	behind_free(b);
}

TEST(what_was_forgotten_is_asked_for_and_what_waits_goes_to_the_host_all_the_same)
{
	struct sent out[BEHIND_WAITING_MAX];
	struct behind *b = with_file();

	CHECK(set_mode(b, FILE_, 0644).here);
	behind_forget(b);
	CHECK(!set_mtime(b, FILE_, 1234).here);
	CHECK(!look(b, FILE_).here);
	CHECK_INT(take(b, out), 1);
	CHECK_INT(out[0].in.mode & 07777, 0644);
	settle(b, &out[0], -EACCES, 0);
	CHECK_INT(look(b, FILE_).error, -EACCES); /* a failure is told as ever */
	behind_free(b);
}
