/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the guest's relay makes before the host has heard of them. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "codec/volume.h"
#include "guest/volume_behind.h"

#define NOW   (1000 * NANOSECONDS_PER_SECOND)
#define TODAY (1700000000 * NANOSECONDS_PER_SECOND)
#define ROOT  1u
#define DIR_  77u
#define GIVEN (VOLUME_GIVEN | 5)
#define VALID 300u /* seconds */

static uint64_t unique = 2;
static uint32_t pid = 1234;

struct answer {
	bool here;
	int error;
	uint8_t body[REQUEST_REPLY_MAX];
};

static size_t make_request(
	uint8_t bytes[1024], uint32_t opcode, uint64_t node, uint32_t uid, const void *body, size_t size)
{
	struct fuse_in_header h = {.len = (uint32_t)(sizeof h + size),
		.opcode = opcode,
		.unique = unique += 2,
		.nodeid = node,
		.uid = uid,
		.pid = pid};

	memcpy(bytes, &h, sizeof h);
	if (size)
		memcpy(bytes + sizeof h, body, size);
	return h.len;
}

static struct answer ask(struct behind *b, uint32_t opcode, uint64_t node, const void *body, size_t size)
{
	uint8_t bytes[1024], reply[REQUEST_REPLY_MAX];
	size_t n = make_request(bytes, opcode, node, 0, body, size), got;
	struct fuse_out_header h;
	struct answer a = {.here = behind_answer(b, bytes, n, NOW, reply, &got)};

	if (!a.here)
		return a;
	memcpy(&h, reply, sizeof h);
	a.error = h.error;
	memcpy(a.body, reply + sizeof h, got - sizeof h);
	return a;
}

static struct answer look(struct behind *b, uint64_t node, struct fuse_attr_out *out)
{
	const struct fuse_getattr_in in = {0};
	struct answer a = ask(b, FUSE_GETATTR, node, &in, sizeof in);

	memcpy(out, a.body, sizeof *out);
	return a;
}

static bool set_mode(struct behind *b, uint64_t node, uint32_t mode)
{
	const struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = mode};

	return ask(b, FUSE_SETATTR, node, &in, sizeof in).here;
}

/* What becomes of the host's message; swallowed: nothing. */
static struct fuse_out_header hear(struct behind *b, uint64_t number, int32_t error, const void *body,
	size_t size, bool *swallowed, uint8_t bytes[BEHIND_NOTICE_MAX])
{
	struct fuse_out_header h = {.len = (uint32_t)(sizeof h + size), .error = error, .unique = number};
	size_t n = h.len;

	memcpy(bytes, &h, sizeof h);
	if (size)
		memcpy(bytes + sizeof h, body, size);
	*swallowed = behind_heard(b, bytes, &n, NOW);
	memcpy(&h, bytes, sizeof h);
	CHECK_INT(h.len, n);
	return h;
}

static struct fuse_attr directory(uint32_t mode, uint64_t mtime)
{
	return (struct fuse_attr){
		.ino = DIR_, .mode = S_IFDIR | mode, .nlink = 2, .mtime = mtime, .ctime = mtime};
}

/* A new directory, of which the host has told all. */
static struct behind *with_directory(uint32_t mode)
{
	const struct fuse_entry_out e = {
		.nodeid = DIR_, .entry_valid = VALID, .attr_valid = VALID, .attr = directory(mode, 1)};
	struct behind *b = behind_new();
	uint8_t bytes[BEHIND_NOTICE_MAX];
	bool swallowed;

	CHECK(!ask(b, FUSE_MKDIR, ROOT, "12345678d", 10).here);
	hear(b, unique, 0, &e, sizeof e, &swallowed, bytes);
	CHECK(!swallowed);
	return b;
}

struct making {
	uint8_t bytes[1024];
	size_t size;
	struct request q;
};

static struct making create(uint64_t parent, uint32_t uid, uint32_t mode, const char *name)
{
	struct {
		struct fuse_create_in in;
		char name[300];
	} body = {.in = {.flags = O_CREAT | O_EXCL | O_WRONLY, .mode = S_IFREG | mode}};
	struct making m;

	memcpy(body.name, name, strlen(name) + 1);
	m.size = make_request(m.bytes, FUSE_CREATE, parent, uid, &body, sizeof body.in + strlen(name) + 1);
	request_read(m.bytes, m.size, &m.q);
	return m;
}

static bool may(struct behind *b, uint64_t parent, uint32_t uid, uint32_t mode, const char *name)
{
	struct making m = create(parent, uid, mode, name);

	request_read(m.bytes, m.size, &m.q);
	return behind_may_create(b, &m.q, NOW);
}

/* Returns the number of the request. */
static uint64_t make(struct behind *b, uint64_t given, const char *name)
{
	struct making m = create(DIR_, 0, 0600, name);
	uint8_t reply[REQUEST_REPLY_MAX];
	struct fuse_out_header h;
	struct fuse_entry_out e;
	struct fuse_open_out o;
	size_t n;

	request_read(m.bytes, m.size, &m.q);
	CHECK(behind_may_create(b, &m.q, NOW));
	behind_create(b, &m.q, given, VALID, NOW, TODAY, reply, &n);
	CHECK_INT(n, sizeof h + sizeof e + sizeof o);
	memcpy(&h, reply, sizeof h);
	memcpy(&e, reply + sizeof h, sizeof e);
	memcpy(&o, reply + sizeof h + sizeof e, sizeof o);
	CHECK(h.error == 0 && h.unique == unique && h.len == n);
	CHECK(e.nodeid == given && e.generation == 0 && e.entry_valid == VALID);
	CHECK_INT(e.attr_valid + e.attr_valid_nsec, 0); /* its number and times are the host's to say */
	CHECK(e.attr.mode == (S_IFREG | 0600) && e.attr.nlink == 1 && e.attr.size == 0);
	CHECK_INT(o.fh, VOLUME_NO_HANDLE);
	return unique;
}

/* The host has made it, with that number of its own in the place of ours (volume_numbers.h). */
static bool made(struct behind *b, uint64_t number, uint64_t given, uint64_t valid)
{
	const struct fuse_entry_out e = {.nodeid = given,
		.entry_valid = valid,
		.attr_valid = VALID,
		.attr = {.ino = 4711, .mode = S_IFREG | 0600, .nlink = 1, .ctime = 99}};
	uint8_t bytes[BEHIND_NOTICE_MAX];
	bool swallowed;

	hear(b, number, 0, &e, sizeof e, &swallowed, bytes);
	return swallowed;
}

/* What the host tells of the directory, ahead of a reply. True: for the kernel, too. */
static bool ahead(struct behind *b, uint64_t mtime)
{
	struct {
		uint64_t node;
		struct fuse_attr_out out;
	} told = {.node = DIR_, .out = {.attr_valid = VALID, .attr = directory(0700, mtime)}};
	uint8_t bytes[BEHIND_NOTICE_MAX];
	bool swallowed;

	hear(b, 0, VOLUME_AHEAD, &told, sizeof told, &swallowed, bytes);
	return !swallowed;
}

TEST(a_new_file_is_there_at_once_and_goes_to_the_host_with_its_number_before_what_is_set_on_it)
{
	struct behind *b = with_directory(0700);
	uint8_t messages[BEHIND_BYTES_MAX];
	uint64_t number = make(b, GIVEN, "file");
	struct fuse_in_header h[2];
	struct fuse_attr_out out;
	size_t n;

	CHECK(set_mode(b, GIVEN, S_IFREG | 0644));
	CHECK(behind_waits(b) && !behind_is_done(b));
	n = behind_take(b, messages);
	memcpy(&h[0], messages, sizeof h[0]);
	memcpy(&h[1], messages + h[0].len, sizeof h[1]);
	CHECK_INT(n, h[0].len + h[1].len);
	CHECK(h[0].opcode == FUSE_CREATE && h[0].nodeid == DIR_ && h[0].unique == (number | VOLUME_GIVES));
	CHECK_INT(h[0].pid, 5);
	CHECK_TEXT((const char *)messages + BEHIND_NAME_AT, "file");
	CHECK(h[1].opcode == FUSE_SETATTR && h[1].nodeid == GIVEN);
	CHECK(made(b, number, GIVEN, VALID));
	CHECK(!behind_is_done(b));
	out = (struct fuse_attr_out){
		.attr_valid = VALID, .attr = {.ino = 4711, .mode = S_IFREG | 0644, .ctime = 100}};
	{
		uint8_t bytes[BEHIND_NOTICE_MAX];
		bool swallowed;

		hear(b, h[1].unique, 0, &out, sizeof out, &swallowed, bytes);
		CHECK(swallowed && behind_is_done(b));
	}
	CHECK(look(b, GIVEN, &out).here);
	CHECK(out.attr.ino == 4711 && out.attr.ctime == 100 && out.attr.mode == (S_IFREG | 0644));
	behind_free(b);
}

TEST(the_kernel_may_look_once_whether_it_may_open_and_whoever_looks_then_asks_the_host)
{
	struct behind *b = with_directory(0700);
	struct fuse_attr_out out;

	make(b, GIVEN, "file");
	pid++;
	CHECK(!look(b, GIVEN, &out).here); /* somebody else's */
	pid--;
	CHECK(look(b, GIVEN, &out).here);
	CHECK_INT(out.attr_valid + out.attr_valid_nsec, 0);
	CHECK(!look(b, GIVEN, &out).here);
	behind_free(b);
}

TEST(files_are_made_here_only_where_the_host_has_no_reason_to_refuse_or_to_know_better)
{
	struct behind *b = with_directory(0700), *setgid = with_directory(02775);
	char longest[257];

	memset(longest, 'x', sizeof longest);
	longest[255] = '\0';
	CHECK(may(b, DIR_, 0, 0600, "a") && may(b, DIR_, 0, 0600, longest));
	longest[255] = 'x';
	longest[256] = '\0';
	CHECK(!may(b, DIR_, 0, 0600, longest));
	CHECK(!may(b, ROOT, 0, 0600, "a"));      /* not made here */
	CHECK(!may(b, DIR_, 1000, 0600, "a"));   /* whether it keeps owners is not known */
	CHECK(!may(b, DIR_, 0, 04755, "a"));     /* nor other such bits */
	CHECK(!may(setgid, DIR_, 0, 0600, "a")); /* it says whose that is */
	CHECK(!ask(b, FUSE_RENAME, DIR_, "12345678a\0b", 12).here);
	CHECK(!may(b, DIR_, 0, 0600, "a")); /* it may have been replaced */
	behind_free(b);
	behind_free(setgid);
}

TEST(what_could_not_be_made_is_told_by_the_next_write_once_and_its_name_is_asked_for_again)
{
	struct behind *b = with_directory(0700);
	uint8_t messages[BEHIND_BYTES_MAX], bytes[BEHIND_NOTICE_MAX];
	struct fuse_notify_inval_entry_out e;
	const struct fuse_write_in w = {0};
	uint64_t number = make(b, GIVEN, "file");
	struct fuse_out_header h;
	struct answer a;
	bool swallowed;

	behind_take(b, messages);
	h = hear(b, number, -EDQUOT, NULL, 0, &swallowed, bytes);
	CHECK(!swallowed && h.unique == 0 && h.error == FUSE_NOTIFY_INVAL_ENTRY);
	memcpy(&e, bytes + sizeof h, sizeof e);
	CHECK(e.parent == DIR_ && e.namelen == 4);
	CHECK_TEXT((const char *)bytes + sizeof h + sizeof e, "file");
	a = ask(b, FUSE_WRITE, GIVEN, &w, sizeof w);
	CHECK(a.here && a.error == -EDQUOT);
	CHECK(!ask(b, FUSE_WRITE, GIVEN, &w, sizeof w).here);
	CHECK(!may(b, DIR_, 0, 0600, "next"));
	behind_free(b);
}

TEST(a_write_under_way_is_told_that_its_file_could_not_be_made)
{
	struct behind *b = with_directory(0700);
	uint8_t messages[BEHIND_BYTES_MAX], bytes[BEHIND_NOTICE_MAX];
	const struct fuse_write_in w = {0};
	uint64_t number = make(b, GIVEN, "file");
	bool swallowed;

	behind_take(b, messages);
	CHECK(!ask(b, FUSE_WRITE, GIVEN, &w, sizeof w).here);
	hear(b, number, -EEXIST, NULL, 0, &swallowed, bytes);
	CHECK_INT(hear(b, unique, -ESTALE, NULL, 0, &swallowed, bytes).error, 0 - EEXIST);
	CHECK(!swallowed);
	behind_free(b);
}

TEST(a_name_that_the_host_vouches_for_less_long_is_asked_for_again)
{
	struct behind *b = with_directory(0700);
	uint8_t messages[BEHIND_BYTES_MAX];
	uint64_t number = make(b, GIVEN, "file");

	behind_take(b, messages);
	CHECK(!made(b, number, GIVEN, 1));
	behind_free(b);
}

TEST(a_directory_is_shown_as_changed_here_until_the_host_has_said_how)
{
	struct behind *b = with_directory(0700);
	uint8_t messages[BEHIND_BYTES_MAX];
	struct fuse_attr_out out;
	uint64_t first, second;

	CHECK(look(b, DIR_, &out).here && out.attr_valid == VALID && out.attr.mtime == 1);
	first = make(b, GIVEN, "first");
	CHECK(look(b, DIR_, &out).here && out.attr_valid == 0);
	CHECK_INT(out.attr.mtime, TODAY / NANOSECONDS_PER_SECOND);
	second = make(b, GIVEN + 1, "second");
	behind_take(b, messages);
	CHECK(!ahead(b, 50)); /* is over already, and nobody is to keep it */
	CHECK(made(b, first, GIVEN, VALID));
	CHECK(look(b, DIR_, &out).here && out.attr_valid == 0);
	CHECK(!ahead(b, 51));
	CHECK(made(b, second, GIVEN + 1, VALID));
	CHECK(look(b, DIR_, &out).here && out.attr_valid == VALID && out.attr.mtime == 51);
	behind_free(b);
}

TEST(what_is_set_on_a_directory_after_something_was_made_in_it_comes_after_that)
{
	struct behind *b = with_directory(0700);
	uint8_t messages[BEHIND_BYTES_MAX];
	struct fuse_in_header h;
	uint32_t opcodes[3];
	size_t count = 0;

	CHECK(set_mode(b, DIR_, S_IFDIR | 0711));
	make(b, GIVEN, "file");
	CHECK(set_mode(b, DIR_, S_IFDIR | 0755));
	for (size_t at = 0, n = behind_take(b, messages); at < n; at += h.len) {
		memcpy(&h, messages + at, sizeof h);
		CHECK(count < 3);
		opcodes[count++] = h.opcode;
	}
	CHECK(count == 3 && opcodes[0] == FUSE_SETATTR && opcodes[1] == FUSE_CREATE &&
		opcodes[2] == FUSE_SETATTR);
	behind_free(b);
}
