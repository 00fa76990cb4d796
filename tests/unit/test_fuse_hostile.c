/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest may send to the server of a volume: a directory of the host (vfs/native) behind the FUSE
 * adapter, and a client that is no kernel. Whatever comes, nothing outside of the directory is read or
 * changed, and the next honest request is served.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "vfs/fuse/fuse.h"
#include "vfs/fuse/message.h"
#include "vfs/native/native.h"

#define ROOM    8192
#define UNKNOWN 0x1234567812345678u

/* A folder with a directory `in` that is served, and `out`, which nobody may reach. */
struct place {
	char path[64];
	int in, out;
};

/* A volume: its server, and the client's end. */
struct volume {
	struct vfs *fs;
	struct fuse_server *server;
	pthread_t thread;
	int fd;
	uint64_t unique;
};

static void put_file(int at, const char *name, const char *text)
{
	_cleanup_fd_ int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void place_open(struct place *p)
{
	int folder;

	snprintf(p->path, sizeof p->path, "/tmp/monocore-fuse-XXXXXX");
	CHECK(mkdtemp(p->path));
	folder = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CHECK(mkdirat(folder, "in", 0755) == 0 && mkdirat(folder, "out", 0755) == 0);
	p->in = openat(folder, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->out = openat(folder, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->in >= 0 && p->out >= 0 && close(folder) == 0);
	put_file(p->in, "file", "as it was");
	CHECK(mkdirat(p->in, "dir", 0755) == 0 && symlinkat("../out", p->in, "link") == 0);
	put_file(p->out, "gold", "gold");
}

/* All that was outside is as it was. */
static void place_close(struct place *p)
{
	struct error err;
	struct stat s;

	CHECK(fstatat(p->out, "gold", &s, AT_SYMLINK_NOFOLLOW) == 0);
	CHECK(s.st_size == 4 && s.st_nlink == 1 && (s.st_mode & 07777) == 0644);
	CHECK(unlinkat(p->out, "gold", 0) == 0);
	close(p->in);
	close(p->out);
	CHECK(snprintf(p->path + strlen(p->path), 8, "/out") == 4 && rmdir(p->path) == 0);
	p->path[strlen(p->path) - 4] = '\0';
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->path, &err));
}

static void *run_server(void *context)
{
	struct error err;

	CHECK_OK(fuse_server_run(((struct volume *)context)->server, &err));
	return NULL;
}

static int ask_as(
	struct volume *v, uint32_t opcode, uint64_t node, const void *body, size_t n, void *out, size_t room);

static void volume_open(struct volume *v, const struct place *p)
{
	const struct native_options native = {.directory = p->in, .owners = NATIVE_OVERRIDE};
	const struct fuse_options options = {
		.name = "test", .cache = NANOSECONDS_PER_SECOND, .keep_contents = true};
	const struct fuse_init_in init = {.major = 7, .minor = 31, .flags = FUSE_HANDLE_KILLPRIV_V2};
	struct error err;
	int ends[2];

	v->unique = 0;
	CHECK_OK(native_new(&native, &v->fs, &err));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK_OK(fuse_server_connect(v->fs, ends[0], &options, &v->server, &err));
	CHECK_INT(pthread_create(&v->thread, NULL, run_server, v), 0);
	v->fd = ends[1];
	CHECK_INT(ask_as(v, FUSE_INIT, 0, &init, offsetof(struct fuse_init_in, flags2), NULL, 0), 0);
}

static void volume_close(struct volume *v)
{
	close(v->fd);
	CHECK_INT(pthread_join(v->thread, NULL), 0);
	fuse_server_free(v->server);
	vfs_destroy(v->fs);
}

static void send_all(struct volume *v, const void *bytes, size_t n)
{
	CHECK_INT(send(v->fd, bytes, n, MSG_NOSIGNAL), n);
}

/* The answer's error, and what else it has in `out`. */
static int receive(struct volume *v, uint64_t unique, void *out, size_t room)
{
	static _Thread_local char rest[FUSE_MESSAGE_MAX];
	struct fuse_out_header h;

	CHECK_INT(recv(v->fd, &h, sizeof h, MSG_WAITALL), sizeof h);
	CHECK_INT(h.unique, unique);
	CHECK(h.len >= sizeof h && h.len <= FUSE_MESSAGE_MAX && h.error <= 0 && h.error > -4096);
	if (h.len > sizeof h)
		CHECK_INT(recv(v->fd, rest, h.len - sizeof h, MSG_WAITALL), h.len - sizeof h);
	if (out)
		memcpy(out, rest, h.len - sizeof h < room ? h.len - sizeof h : room);
	return h.error;
}

static int ask_as(
	struct volume *v, uint32_t opcode, uint64_t node, const void *body, size_t n, void *out, size_t room)
{
	uint8_t bytes[sizeof(struct fuse_in_header) + ROOM];
	struct fuse_in_header h = {.len = (uint32_t)(sizeof h + n),
		.opcode = opcode,
		.unique = v->unique += 2,
		.nodeid = node,
		.pid = 1};

	CHECK(n <= ROOM);
	memcpy(bytes, &h, sizeof h);
	if (n)
		memcpy(bytes + sizeof h, body, n);
	send_all(v, bytes, h.len);
	return fuse_message_is_answered(opcode) ? receive(v, h.unique, out, room) : 0;
}

static int ask(struct volume *v, uint32_t opcode, uint64_t node, const void *body, size_t n)
{
	return ask_as(v, opcode, node, body, n, NULL, 0);
}

static uint64_t look_up(struct volume *v, uint64_t parent, const char *name)
{
	struct fuse_entry_out e = {0};

	return ask_as(v, FUSE_LOOKUP, parent, name, strlen(name) + 1, &e, sizeof e) ? 0 : e.nodeid;
}

static void check_alive(struct volume *v)
{
	const struct fuse_getattr_in g = {0};
	struct fuse_attr_out a;

	CHECK_INT(ask_as(v, FUSE_GETATTR, FUSE_ROOT_ID, &g, sizeof g, &a, sizeof a), 0);
	CHECK(S_ISDIR(a.attr.mode) && a.attr.ino == FUSE_ROOT_ID);
}

/* ---- names ----------------------------------------------------------------------------------------------
 */

/* A request that has names behind `fixed` bytes of zeroes. */
static int ask_names(
	struct volume *v, uint32_t opcode, uint64_t node, size_t fixed, const char *first, const char *second)
{
	char body[ROOM] = {0};
	size_t n = fixed;

	memcpy(body + n, first, strlen(first) + 1);
	n += strlen(first) + 1;
	if (second) {
		memcpy(body + n, second, strlen(second) + 1);
		n += strlen(second) + 1;
	}
	return ask(v, opcode, node, body, n);
}

static const struct naming {
	uint32_t opcode;
	size_t fixed;
	bool two; /* names */
} namings[] = {{FUSE_LOOKUP, 0, false}, {FUSE_UNLINK, 0, false}, {FUSE_RMDIR, 0, false},
	{FUSE_MKDIR, sizeof(struct fuse_mkdir_in), false}, {FUSE_MKNOD, sizeof(struct fuse_mknod_in), false},
	{FUSE_CREATE, sizeof(struct fuse_create_in), false}, {FUSE_LINK, sizeof(struct fuse_link_in), false},
	{FUSE_SYMLINK, 0, true}, {FUSE_RENAME, sizeof(struct fuse_rename_in), true},
	{FUSE_RENAME2, sizeof(struct fuse_rename2_in), true}};

TEST(names_that_no_kernel_sends_are_refused_by_all_requests)
{
	static const char *const names[] = {"..", ".", "", "/", "../out", "../out/gold", "link/gold",
		"dir/../../out/gold", "/etc/passwd", "dir/x", "file/"};
	struct place p;
	struct volume v;

	place_open(&p);
	volume_open(&v, &p);
	for (size_t i = 0; i < ARRAY_SIZE(namings); i++)
		for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
			const struct naming *c = &namings[i];

			CHECK(ask_names(&v, c->opcode, FUSE_ROOT_ID, c->fixed, names[n],
				      c->two ? "target" : NULL) < 0);
			if (c->opcode == FUSE_RENAME || c->opcode == FUSE_RENAME2)
				CHECK(ask_names(&v, c->opcode, FUSE_ROOT_ID, c->fixed, "file", names[n]) < 0);
		}
	/* A name ends with its first NUL, whatever is behind it. */
	CHECK_INT(ask(&v, FUSE_MKDIR, FUSE_ROOT_ID, "\0\0\0\0\0\0\0\0a\0/../../out/b", 23), 0);
	CHECK(faccessat(p.in, "a", F_OK, 0) == 0 && faccessat(p.out, "b", F_OK, 0) < 0);
	check_alive(&v);
	volume_close(&v);
	place_close(&p);
}

TEST(a_link_is_no_directory_and_no_file_for_any_request)
{
	const struct fuse_open_in o = {.flags = O_RDWR};
	const struct fuse_read_in r = {.fh = UINT64_MAX, .size = 4096};
	struct place p;
	struct volume v;
	uint64_t link;

	place_open(&p);
	volume_open(&v, &p);
	link = look_up(&v, FUSE_ROOT_ID, "link");
	CHECK(link);
	for (size_t i = 0; i < ARRAY_SIZE(namings); i++)
		CHECK(ask_names(&v, namings[i].opcode, link, namings[i].fixed, "gold",
			      namings[i].two ? "other" : NULL) < 0);
	CHECK_INT(ask(&v, FUSE_OPEN, link, &o, sizeof o), -ELOOP);
	CHECK_INT(ask(&v, FUSE_OPENDIR, link, &o, sizeof o), -ENOTDIR);
	CHECK(ask(&v, FUSE_READ, link, &r, sizeof r) < 0);
	CHECK(ask(&v, FUSE_READDIR, link, &r, sizeof r) < 0);
	check_alive(&v);
	volume_close(&v);
	place_close(&p);
}

/* ---- numbers --------------------------------------------------------------------------------------------
 */

/* Every opcode with zeroes behind it, and a name: as a message most are well made. */
static void ask_everything(struct volume *v, uint64_t node)
{
	uint8_t zeroes[256] = {0};

	for (uint32_t opcode = 0; opcode < 64; opcode++)
		if (opcode != FUSE_DESTROY && opcode != FUSE_INIT && fuse_message_is_answered(opcode))
			ask(v, opcode, node, zeroes, sizeof zeroes);
}

TEST(nodes_that_were_never_given_out_lead_nowhere)
{
	static const uint64_t nodes[] = {0, 2, UNKNOWN, UINT64_MAX, INT64_MAX, 1ull << 63, 1ull << 32};
	const struct fuse_getattr_in g = {0};
	const struct fuse_setattr_in s = {.valid = FATTR_MODE | FATTR_SIZE, .mode = 0777};
	const struct fuse_open_in o = {.flags = O_RDWR};
	struct place p;
	struct volume v;

	place_open(&p);
	volume_open(&v, &p);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		CHECK(ask(&v, FUSE_GETATTR, nodes[i], &g, sizeof g) < 0);
		CHECK(ask(&v, FUSE_SETATTR, nodes[i], &s, sizeof s) < 0);
		CHECK(ask(&v, FUSE_OPEN, nodes[i], &o, sizeof o) < 0);
		CHECK(ask(&v, FUSE_LOOKUP, nodes[i], "x", 2) < 0);
		ask_everything(&v, nodes[i]);
		check_alive(&v);
	}
	volume_close(&v);
	place_close(&p);
}

/* A number counts for as long as it was looked up, and then no more, however often it is forgotten. */
TEST(a_node_that_was_forgotten_is_stale_and_forgetting_more_does_no_harm)
{
	const struct fuse_getattr_in g = {0};
	const struct fuse_forget_in forgets[] = {{1}, {1}, {UINT64_MAX}, {1ull << 63}, {0}};
	struct {
		struct fuse_batch_forget_in b;
		struct fuse_forget_one one[3];
	} many = {.b = {.count = 3}, .one = {{FUSE_ROOT_ID, UINT64_MAX}, {UNKNOWN, UINT64_MAX}}};
	struct place p;
	struct volume v;
	uint64_t file;

	place_open(&p);
	volume_open(&v, &p);
	for (int turn = 0; turn < 3; turn++) {
		file = look_up(&v, FUSE_ROOT_ID, "file");
		CHECK(file && look_up(&v, FUSE_ROOT_ID, "file") == file);
		for (size_t i = 0; i < 2; i++) {
			CHECK_INT(ask(&v, FUSE_GETATTR, file, &g, sizeof g), 0);
			ask(&v, FUSE_FORGET, file, &forgets[i], sizeof forgets[i]);
		}
		CHECK_INT(ask(&v, FUSE_GETATTR, file, &g, sizeof g), -ESTALE);
		for (size_t i = 0; i < ARRAY_SIZE(forgets); i++)
			ask(&v, FUSE_FORGET, i & 1 ? file : FUSE_ROOT_ID, &forgets[i], sizeof forgets[i]);
		many.one[2] = (struct fuse_forget_one){file, UINT64_MAX};
		ask(&v, FUSE_BATCH_FORGET, 0, &many, sizeof many);
		check_alive(&v);
	}
	many.b.count = UINT32_MAX; /* more than there are: none counts */
	file = look_up(&v, FUSE_ROOT_ID, "file");
	ask(&v, FUSE_BATCH_FORGET, 0, &many, sizeof many);
	CHECK_INT(ask(&v, FUSE_GETATTR, file, &g, sizeof g), 0);
	volume_close(&v);
	place_close(&p);
}

/* Another file, even one that the host gives the same number, is not taken for the one that was known. */
TEST(a_number_of_a_removed_file_does_not_lead_to_its_successor)
{
	const struct fuse_getattr_in g = {0};
	struct fuse_attr_out a;
	struct place p;
	struct volume v;
	uint64_t file;

	place_open(&p);
	volume_open(&v, &p);
	file = look_up(&v, FUSE_ROOT_ID, "file");
	CHECK(unlinkat(p.in, "file", 0) == 0);
	put_file(p.in, "file", "successor");
	nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
	if (ask_as(&v, FUSE_GETATTR, file, &g, sizeof g, &a, sizeof a) == 0)
		CHECK_INT(a.attr.nlink, 0); /* the removed one, kept */
	CHECK(look_up(&v, FUSE_ROOT_ID, "file") != file);
	volume_close(&v);
	place_close(&p);
}

/* ---- handles and sizes ------------------------------------------------------------------------------------
 */

TEST(handles_that_were_never_given_out_are_refused)
{
	static const uint64_t handles[] = {0, 1, 63, 64, 1ull << 32, UINT32_MAX, UNKNOWN, UINT64_MAX - 1};
	struct place p;
	struct volume v;
	uint64_t file;

	place_open(&p);
	volume_open(&v, &p);
	file = look_up(&v, FUSE_ROOT_ID, "file");
	for (size_t i = 0; i < ARRAY_SIZE(handles); i++) {
		const struct fuse_read_in r = {.fh = handles[i], .size = 4096};
		const struct fuse_write_in w = {.fh = handles[i]};
		const struct fuse_release_in release = {.fh = handles[i]};
		const struct fuse_getattr_in g = {.fh = handles[i], .getattr_flags = FUSE_GETATTR_FH};
		const struct fuse_lseek_in l = {.fh = handles[i], .whence = SEEK_DATA};
		const struct fuse_fallocate_in f = {.fh = handles[i], .length = 1};

		CHECK_INT(ask(&v, FUSE_READ, file, &r, sizeof r), -EBADF);
		CHECK_INT(ask(&v, FUSE_WRITE, file, &w, sizeof w), -EBADF);
		CHECK(ask(&v, FUSE_READDIR, FUSE_ROOT_ID, &r, sizeof r) < 0);
		CHECK(ask(&v, FUSE_READDIRPLUS, file, &r, sizeof r) < 0);
		CHECK_INT(ask(&v, FUSE_GETATTR, file, &g, sizeof g), -EBADF);
		CHECK_INT(ask(&v, FUSE_LSEEK, file, &l, sizeof l), -EBADF);
		CHECK_INT(ask(&v, FUSE_FALLOCATE, file, &f, sizeof f), -EBADF);
		ask(&v, FUSE_RELEASE, file, &release, sizeof release);
		ask(&v, FUSE_RELEASEDIR, FUSE_ROOT_ID, &release, sizeof release);
		check_alive(&v);
	}
	volume_close(&v);
	place_close(&p);
}

/* One of another file, of a directory, or that was released. */
TEST(a_handle_counts_for_what_it_was_given_out_for)
{
	const struct fuse_open_in o = {.flags = O_RDWR};
	struct fuse_open_out file_open, directory_open;
	struct fuse_read_in r = {.size = 4096};
	struct fuse_release_in release;
	struct place p;
	struct volume v;
	uint64_t file, directory;

	place_open(&p);
	put_file(p.in, "other", "");
	volume_open(&v, &p);
	file = look_up(&v, FUSE_ROOT_ID, "file");
	directory = look_up(&v, FUSE_ROOT_ID, "dir");
	CHECK_INT(ask_as(&v, FUSE_OPEN, file, &o, sizeof o, &file_open, sizeof file_open), 0);
	CHECK_INT(
		ask_as(&v, FUSE_OPENDIR, directory, &o, sizeof o, &directory_open, sizeof directory_open), 0);
	r.fh = file_open.fh;
	CHECK_INT(ask(&v, FUSE_READ, file, &r, sizeof r), 0);
	CHECK_INT(ask(&v, FUSE_READ, look_up(&v, FUSE_ROOT_ID, "other"), &r, sizeof r), -EBADF);
	CHECK(ask(&v, FUSE_READDIR, directory, &r, sizeof r) < 0);
	CHECK(ask(&v, FUSE_READDIR, file, &r, sizeof r) < 0);
	r.fh = directory_open.fh;
	CHECK(ask(&v, FUSE_READ, directory, &r, sizeof r) < 0);
	CHECK_INT(ask(&v, FUSE_READ, file, &r, sizeof r), -EBADF);
	release = (struct fuse_release_in){.fh = file_open.fh};
	for (int i = 0; i < 3; i++)
		ask(&v, FUSE_RELEASE, file, &release, sizeof release);
	r.fh = file_open.fh;
	CHECK_INT(ask(&v, FUSE_READ, file, &r, sizeof r), -EBADF);
	volume_close(&v);
	place_close(&p);
}

static void try_sizes(struct volume *v, uint64_t file, uint64_t handle, uint64_t offset, uint32_t size)
{
	const struct fuse_read_in r = {.fh = handle, .offset = offset, .size = size};
	const struct fuse_write_in w = {.fh = handle, .offset = offset, .size = size};
	const struct fuse_getxattr_in x = {.size = size};
	const struct fuse_fallocate_in f = {.fh = handle, .offset = offset, .length = offset};
	const struct fuse_lseek_in l = {.fh = handle, .offset = offset, .whence = size};
	struct {
		struct fuse_getxattr_in x;
		char name[8];
	} named = {x, "user.x"};

	ask(v, FUSE_READ, file, &r, sizeof r);
	ask(v, FUSE_READDIR, FUSE_ROOT_ID, &r, sizeof r);
	ask(v, FUSE_LISTXATTR, file, &x, sizeof x);
	ask(v, FUSE_GETXATTR, file, &named, sizeof named);
	ask(v, FUSE_LSEEK, file, &l, sizeof l);
	if (offset > INT64_MAX) /* others would fill the disk */
		CHECK(ask(v, FUSE_FALLOCATE, file, &f, sizeof f) < 0);
	if (size) /* of which none came */
		CHECK_INT(ask(v, FUSE_WRITE, file, &w, sizeof w), -EINVAL);
}

TEST(giant_sizes_and_offsets_take_no_memory_and_reach_nothing)
{
	static const uint64_t offsets[] = {
		0, 1, INT64_MAX - 1, INT64_MAX, 1ull << 63, UINT64_MAX - 4096, UINT64_MAX};
	static const uint32_t sizes[] = {0, 1, 1u << 20, (1u << 20) + 1, INT32_MAX, 1u << 31, UINT32_MAX};
	const struct fuse_open_in o = {.flags = O_RDWR};
	const struct fuse_setattr_in s = {.valid = FATTR_SIZE, .size = UINT64_MAX};
	struct fuse_open_out out;
	struct place p;
	struct volume v;
	uint64_t file;

	place_open(&p);
	volume_open(&v, &p);
	file = look_up(&v, FUSE_ROOT_ID, "file");
	CHECK_INT(ask_as(&v, FUSE_OPEN, file, &o, sizeof o, &out, sizeof out), 0);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
		for (size_t n = 0; n < ARRAY_SIZE(sizes); n++)
			try_sizes(&v, file, out.fh, offsets[i], sizes[n]);
	CHECK(ask(&v, FUSE_SETATTR, file, &s, sizeof s) < 0);
	check_alive(&v);
	volume_close(&v);
	place_close(&p);
}

/* ---- all at random --------------------------------------------------------------------------------------
 */

static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	return *state ^= *state << 17;
}

/* Well made or not: an opcode, a node, a body of random bytes with numbers in it that mean something. */
static void ask_at_random(struct volume *v, uint64_t *state, const uint64_t *numbers, size_t count)
{
	uint64_t body[32];
	size_t n = draw(state) % sizeof body;
	uint32_t opcode = (uint32_t)(draw(state) % 54);

	for (size_t i = 0; i < ARRAY_SIZE(body); i++)
		body[i] = draw(state) % 3 ? numbers[draw(state) % count] : draw(state);
	if (draw(state) % 2)
		memcpy((char *)body + sizeof body - 16, "file\0../out/gold", 16);
	/* The end of the session, and what would only fill the disk. */
	if (opcode == FUSE_DESTROY || opcode == FUSE_FALLOCATE || opcode == FUSE_INIT ||
		opcode == FUSE_SETATTR)
		return;
	ask(v, opcode, numbers[draw(state) % count], body, n);
}

TEST(twenty_thousand_random_requests_are_survived)
{
	uint64_t state = 88172645463325252u, numbers[] = {0, 1, 2, 8, 4096, UINT32_MAX, UINT64_MAX, 0, 0, 0};
	struct place p;
	struct volume v;

	place_open(&p);
	volume_open(&v, &p);
	numbers[7] = look_up(&v, FUSE_ROOT_ID, "file");
	numbers[8] = look_up(&v, FUSE_ROOT_ID, "dir");
	numbers[9] = look_up(&v, FUSE_ROOT_ID, "link");
	for (int i = 0; i < 20000; i++)
		ask_at_random(&v, &state, numbers, ARRAY_SIZE(numbers));
	check_alive(&v);
	volume_close(&v);
	place_close(&p);
}

/* A length that no message has ends the connection, and nothing else does. */
TEST(a_message_of_an_impossible_length_ends_the_connection)
{
	static const uint32_t lengths[] = {
		0, 1, sizeof(struct fuse_in_header) - 1, FUSE_MESSAGE_MAX + 1, UINT32_MAX};
	struct place p;

	place_open(&p);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct fuse_in_header h = {.len = lengths[i], .opcode = FUSE_STATFS, .unique = 5};
		struct volume v;

		volume_open(&v, &p);
		send_all(&v, &h, sizeof h);
		alarm(20);
		CHECK_INT(pthread_join(v.thread, NULL), 0); /* which would wait for more */
		alarm(0);
		close(v.fd);
		fuse_server_free(v.server);
		vfs_destroy(v.fs);
	}
	place_close(&p);
}

/* ---- two volumes of one directory, and moves between looks ------------------------------------------------
 */

struct race {
	struct volume *v;
	_Atomic bool stop;
	unsigned swaps;
};

static int swap(struct volume *v, const char *a, const char *b)
{
	char body[64] = {0};
	struct fuse_rename2_in r = {.newdir = FUSE_ROOT_ID, .flags = RENAME_EXCHANGE};
	size_t n = sizeof r;

	memcpy(body, &r, sizeof r);
	n += (size_t)snprintf(body + n, 16, "%s", a) + 1;
	n += (size_t)snprintf(body + n, 16, "%s", b) + 1;
	return ask(v, FUSE_RENAME2, FUSE_ROOT_ID, body, n);
}

/* A directory becomes a link that leads out, and a file, and itself again. */
static void *swap_names(void *context)
{
	struct race *r = context;

	while (!atomic_load(&r->stop)) {
		CHECK_INT(swap(r->v, "dir", "link"), 0);
		CHECK_INT(swap(r->v, "dir", "file"), 0);
		r->swaps++;
	}
	return NULL;
}

/* As if nothing happened, by numbers that were given out for something else. */
static void use_names(struct volume *v)
{
	struct {
		struct fuse_create_in c;
		char name[8];
	} create = {{.flags = O_WRONLY | O_CREAT, .mode = S_IFREG | 0644}, "made"};
	const struct fuse_open_in o = {.flags = O_RDONLY};
	const struct fuse_forget_in forget = {1};
	uint64_t directory = look_up(v, FUSE_ROOT_ID, "dir"), gold;
	struct fuse_entry_out made = {0};

	if (!directory)
		return;
	gold = look_up(v, directory, "gold");
	CHECK(!gold);
	ask(v, FUSE_OPENDIR, directory, &o, sizeof o);
	if (ask_as(v, FUSE_CREATE, directory, &create, sizeof create, &made, sizeof made) == 0)
		ask(v, FUSE_FORGET, made.nodeid, &forget, sizeof forget);
	ask(v, FUSE_UNLINK, directory, "made", 5);
	ask(v, FUSE_UNLINK, directory, "gold", 5);
	ask(v, FUSE_FORGET, directory, &forget, sizeof forget);
}

TEST(no_moves_by_one_volume_lead_another_out_of_the_directory)
{
	struct volume one, other;
	struct race race = {.v = &other};
	struct place p;
	pthread_t thread;
	uint64_t end = clock_monotonic() + MILLISECONDS(700);

	place_open(&p);
	volume_open(&one, &p);
	volume_open(&other, &p);
	CHECK_INT(pthread_create(&thread, NULL, swap_names, &race), 0);
	while (clock_monotonic() < end)
		use_names(&one);
	atomic_store(&race.stop, true);
	CHECK_INT(pthread_join(thread, NULL), 0);
	CHECK(race.swaps > 10);
	check_alive(&one);
	volume_close(&one);
	volume_close(&other);
	place_close(&p);
}
