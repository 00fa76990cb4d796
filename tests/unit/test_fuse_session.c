/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the FUSE adapter that is no kernel: what it sends is judged before libfuse reads it. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/volume.h"
#include "vfs/fuse/fuse.h"
#include "vfs/fuse/message.h"
#include "vfs/memory/memory.h"
#include "vfs_make.h"

#define BODY 256

struct request {
	struct fuse_in_header header;
	uint8_t body[BODY];
};

static struct request request_of(uint32_t opcode, size_t body)
{
	return (struct request){.header = {.len = (uint32_t)(sizeof(struct fuse_in_header) + body),
					.opcode = opcode,
					.unique = 7,
					.nodeid = FUSE_ROOT_ID}};
}

static int judged(const struct request *r)
{
	return fuse_message_check(r, r->header.len);
}

TEST(a_message_that_is_cut_anywhere_is_refused)
{
	struct request r = request_of(FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE + 4);
	uint32_t whole = r.header.len + 3;

	((struct fuse_setxattr_in *)r.body)->size = 3;
	memcpy(r.body + FUSE_COMPAT_SETXATTR_IN_SIZE, "a.b\0xyz", 7);
	for (r.header.len = 0; r.header.len < whole; r.header.len++)
		CHECK_INT(judged(&r), -EINVAL);
	CHECK_INT(judged(&r), 0);
	CHECK_INT(fuse_message_check(&r, r.header.len - 1), -EINVAL);
	r.header.len++;
	CHECK_INT(fuse_message_check(&r, whole), -EINVAL);
}

TEST(names_without_an_end_are_refused)
{
	static const uint32_t with_names[] = {FUSE_LOOKUP, FUSE_SYMLINK, FUSE_MKNOD, FUSE_MKDIR, FUSE_UNLINK,
		FUSE_RMDIR, FUSE_RENAME, FUSE_LINK, FUSE_SETXATTR, FUSE_GETXATTR, FUSE_REMOVEXATTR,
		FUSE_CREATE, FUSE_RENAME2};

	for (size_t i = 0; i < ARRAY_SIZE(with_names); i++) {
		struct request r = request_of(with_names[i], BODY);

		memset(r.body, 'x', sizeof r.body);
		CHECK_INT(judged(&r), -EINVAL);
	}
}

TEST(counts_and_sizes_beyond_the_message_are_refused)
{
	struct request r = request_of(FUSE_WRITE, sizeof(struct fuse_write_in) + 8);

	((struct fuse_write_in *)r.body)->size = 8;
	CHECK_INT(judged(&r), 0);
	((struct fuse_write_in *)r.body)->size = 9;
	CHECK_INT(judged(&r), -EINVAL);
	r = request_of(
		FUSE_BATCH_FORGET, sizeof(struct fuse_batch_forget_in) + sizeof(struct fuse_forget_one));
	((struct fuse_batch_forget_in *)r.body)->count = 1;
	CHECK_INT(judged(&r), 0);
	((struct fuse_batch_forget_in *)r.body)->count = UINT32_MAX;
	CHECK_INT(judged(&r), -EINVAL);
}

TEST(unknown_requests_and_protocols_are_refused)
{
	struct request r = request_of(FUSE_INIT, offsetof(struct fuse_init_in, flags2));
	struct fuse_init_in *init = (struct fuse_init_in *)r.body;

	*init = (struct fuse_init_in){.major = 7, .minor = 31};
	CHECK_INT(judged(&r), 0);
	init->minor = 11;
	CHECK_INT(judged(&r), -EPROTO);
	*init = (struct fuse_init_in){.major = 8, .minor = 31};
	CHECK_INT(judged(&r), -EPROTO);
	*init = (struct fuse_init_in){.major = 7, .minor = 38, .flags = FUSE_INIT_EXT};
	CHECK_INT(judged(&r), -EINVAL);
	for (uint32_t opcode = FUSE_SETUPMAPPING; opcode < 70; opcode++) {
		r.header.opcode = opcode;
		CHECK_INT(judged(&r), -ENOSYS);
	}
	r.header.opcode = UINT32_MAX;
	CHECK_INT(judged(&r), -ENOSYS);
}

/* ---- the server ------------------------------------------------------------------------------------- */

struct service {
	struct vfs *fs;
	struct fuse_server *server;
	pthread_t thread;
	int fd; /* the client's end */
};

static void *run_server(void *context)
{
	struct service *s = context;
	struct error err;

	CHECK_OK(fuse_server_run(s->server, &err));
	return NULL;
}

static void start_with(struct service *s, struct fuse_options options)
{
	const struct memory_options memory = {.mode = 0777};
	struct error err;
	int ends[2];

	CHECK_OK(memory_new(&memory, &s->fs, &err));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK_OK(fuse_server_connect(s->fs, ends[0], &options, &s->server, &err));
	CHECK_INT(pthread_create(&s->thread, NULL, run_server, s), 0);
	s->fd = ends[1];
}

static void start(struct service *s)
{
	start_with(s, (struct fuse_options){.name = "test"});
}

static void stop(struct service *s)
{
	close(s->fd);
	CHECK_INT(pthread_join(s->thread, NULL), 0);
	fuse_server_free(s->server);
	vfs_destroy(s->fs);
}

static void send_request(struct service *s, const struct request *r)
{
	CHECK_INT(write(s->fd, r, r->header.len), r->header.len);
}

static int answer_of(struct service *s, const struct request *r)
{
	struct fuse_out_header h;
	char rest[4096];

	send_request(s, r);
	CHECK_INT(recv(s->fd, &h, sizeof h, MSG_WAITALL), sizeof h);
	CHECK_INT(h.unique, r->header.unique);
	CHECK(h.len >= sizeof h && h.len - sizeof h <= sizeof rest);
	if (h.len > sizeof h)
		CHECK_INT(recv(s->fd, rest, h.len - sizeof h, MSG_WAITALL), h.len - sizeof h);
	return h.error;
}

static void greet(struct service *s)
{
	struct request r = request_of(FUSE_INIT, offsetof(struct fuse_init_in, flags2));

	*(struct fuse_init_in *)r.body = (struct fuse_init_in){.major = 7, .minor = 31};
	CHECK_INT(answer_of(s, &r), 0);
}

TEST(garbage_is_answered_and_the_next_request_served)
{
	struct request getattr = request_of(FUSE_GETATTR, sizeof(struct fuse_getattr_in));
	struct service s;

	start(&s);
	greet(&s);
	for (uint32_t opcode = 0; opcode < 64; opcode++) {
		struct request r = request_of(opcode, opcode == FUSE_READLINK ? 0 : 4);

		if (opcode == FUSE_DESTROY || opcode == FUSE_STATFS || opcode == FUSE_READLINK)
			continue;
		memset(r.body, 0xff, 4);
		if (fuse_message_is_answered(opcode))
			CHECK(answer_of(&s, &r) < 0);
		else
			send_request(&s, &r);
		CHECK_INT(answer_of(&s, &getattr), 0);
	}
	stop(&s);
}

static void append_again(struct service *s, uint64_t ino, bool again, const char *text)
{
	struct request r = request_of(FUSE_WRITE, sizeof(struct fuse_write_in) + strlen(text));
	struct fuse_write_in *w = (struct fuse_write_in *)r.body;

	r.header.nodeid = ino;
	r.header.unique |= again ? VOLUME_AGAIN : 0;
	*w = (struct fuse_write_in){
		.size = (uint32_t)strlen(text), .offset = 3, .flags = O_WRONLY | O_APPEND};
	memcpy(w + 1, text, strlen(text));
	CHECK_INT(answer_of(s, &r), 0);
}

TEST(what_a_dead_server_has_appended_is_not_appended_again)
{
	static const struct {
		const char *there, *appended, *then;
		bool again;
	} cases[] = {{"old", "new", "oldnew", true}, {"oldnew", "new", "oldnew", true},
		{"oldn", "new", "oldnew", true}, {"oldnew", "new", "oldnewnew", false},
		{"oldnex", "new", "oldnexnew", true}, {"oldnewer", "new", "oldnewer", true}};
	struct service s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t ino;

		start_with(&s, (struct fuse_options){.name = "test", .no_open = true});
		greet(&s);
		ino = vfs_make_text(s.fs, VFS_ROOT, "file", cases[i].there);
		append_again(&s, ino, cases[i].again, cases[i].appended);
		vfs_check_text(s.fs, ino, cases[i].then);
		stop(&s);
	}
}

TEST(interruptions_that_come_for_nothing_are_not_kept)
{
	struct request getattr = request_of(FUSE_GETATTR, sizeof(struct fuse_getattr_in));
	struct request r = request_of(FUSE_INTERRUPT, sizeof(struct fuse_interrupt_in));
	struct service s;

	start(&s);
	greet(&s);
	for (uint64_t i = 0; i < 1000; i++) {
		((struct fuse_interrupt_in *)r.body)->unique = 1000 + i;
		send_request(&s, &r);
	}
	/* One answer comes for each request, none for an interruption. */
	for (int i = 0; i < 3; i++)
		CHECK_INT(answer_of(&s, &getattr), 0);
	stop(&s);
}
