/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the virtiofs server promises to hostile guests and front ends. What makes no sense ends a queue, or
 * the connection, and nothing else: behind each attack, the queues are started again and an honest request is
 * answered.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs/memory/memory.h"
#include "vfs/virtiofs/virtiofs.h"
#include "vfs_make.h"
#include "virtiofs_vfs.h"

#define REQUESTS 1u /* the queue */
#define FLOOD    20000
#define GROWTH   (48ull << 20) /* bytes of memory that an attack may take: what answers it has buffers */

struct rig {
	struct vfs *fs;
	struct virtiofs_server *server;
	pthread_t thread;
	int result;
	struct error err;
	struct vfs *client;
	struct front *front;
};

static void *serve(void *context)
{
	struct rig *r = context;

	r->result = virtiofs_server_run(r->server, &r->err);
	return NULL;
}

/* Returns the front end's end of the connection. */
static int start_server(struct rig *r, struct vfs *fs)
{
	const struct fuse_options options = {.threads = 4};
	struct error err;
	int ends[2];

	*r = (struct rig){.fs = fs};
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	CHECK_OK(virtiofs_server_new(fs, ends[0], &options, &r->server, &err));
	CHECK_INT(pthread_create(&r->thread, NULL, serve, r), 0);
	return ends[1];
}

static struct vfs *memory_fs(void)
{
	const struct memory_options options = {.mode = 0777};
	struct vfs *fs;
	struct error err;

	CHECK_OK(memory_new(&options, &fs, &err));
	return fs;
}

static void start(struct rig *r)
{
	int fd = start_server(r, memory_fs());

	r->client = virtiofs_vfs_new(fd);
	r->front = virtiofs_vfs_front(r->client);
}

static void stop(struct rig *r)
{
	vfs_destroy(r->client);
	CHECK_INT(pthread_join(r->thread, NULL), 0);
	virtiofs_server_free(r->server);
	vfs_destroy(r->fs);
}

/* ---- guests ----------------------------------------------------------------------------------------- */

static void wait_for(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	CHECK_INT(poll(&p, 1, 20000), 1);
	CHECK(read(fd, &count, sizeof count) > 0);
}

/* As a guest that resets its device. */
static void restart(struct rig *r)
{
	struct front_queue *q = &r->front->queues[REQUESTS];
	const struct vhost_state state = {.index = REQUESTS};
	struct vhost_state answer;

	CHECK(front_ask(r->front, VHOST_GET_VRING_BASE, &state, sizeof state, &answer, sizeof answer));
	pthread_mutex_lock(&r->front->lock);
	memset(q->available, 0, sizeof *q->available);
	memset(q->used, 0, sizeof *q->used);
	q->seen = 0;
	pthread_mutex_unlock(&r->front->lock);
	front_start_queue(r->front, REQUESTS);
}

static void check_alive(struct rig *r)
{
	struct vfs_attributes a;

	CHECK_INT(vfs_getattr(r->client, VFS_ROOT, VFS_NO_HANDLE, &a), 0);
	CHECK_INT(a.ino, VFS_ROOT);
}

/* Offers descriptor 0, which ends the queue; the other one goes on. */
static void check_breaks(struct rig *r)
{
	struct front_queue *q = &r->front->queues[REQUESTS];
	uint16_t used = q->used->idx;

	front_offer(r->front, REQUESTS, 0);
	wait_for(q->error);
	CHECK_INT(q->used->idx, used);
	vfs_forget(r->client, 12345, 1);
	/* Whatever else comes is not looked at. */
	front_offer(r->front, REQUESTS, 0);
	restart(r);
	check_alive(r);
}

static struct vring_desc *descriptors(struct rig *r)
{
	return r->front->queues[REQUESTS].descriptors;
}

/* A chain of one descriptor that ends the queue. */
static void check_descriptor(uint64_t address, uint32_t length, uint16_t flags, uint16_t next)
{
	struct rig r;

	start(&r);
	descriptors(&r)[0] =
		(struct vring_desc){.addr = address, .len = length, .flags = flags, .next = next};
	check_breaks(&r);
	stop(&r);
}

TEST(loops_of_descriptors_end)
{
	struct rig r;

	start(&r);
	for (uint16_t i = 0; i < 3; i++)
		descriptors(&r)[i] = (struct vring_desc){.addr = FRONT_GUEST,
			.len = 40,
			.flags = VRING_DESC_F_NEXT,
			.next = (uint16_t)((i + 1) % 3)};
	check_breaks(&r);
	descriptors(&r)[0] = (struct vring_desc){.addr = FRONT_GUEST, .len = 0, .flags = VRING_DESC_F_NEXT};
	check_breaks(&r);
	stop(&r);
}

TEST(addresses_outside_of_the_memory_are_refused)
{
	check_descriptor(FRONT_GUEST - 1, 40, 0, 0);
	check_descriptor(0, 40, 0, 0);
	check_descriptor(FRONT_GUEST + FRONT_BYTES - 39, 40, 0, 0);
	check_descriptor(FRONT_GUEST + FRONT_BYTES, 1, 0, 0);
	check_descriptor(UINT64_MAX, 1, 0, 0);
	check_descriptor(UINT64_MAX - 3, UINT32_MAX, VRING_DESC_F_WRITE, 0);
	check_descriptor(FRONT_GUEST, UINT32_MAX, 0, 0);
	check_descriptor(FRONT_USER, 40, 0, 0); /* the front end's are not the guest's */
}

TEST(heads_and_successors_outside_of_the_table_are_refused)
{
	struct rig r;

	check_descriptor(FRONT_GUEST, 40, VRING_DESC_F_NEXT, FRONT_QUEUE_SIZE);
	check_descriptor(FRONT_GUEST, 40, VRING_DESC_F_NEXT, UINT16_MAX);
	start(&r);
	front_offer(r.front, REQUESTS, FRONT_QUEUE_SIZE);
	wait_for(r.front->queues[REQUESTS].error);
	restart(&r);
	check_alive(&r);
	stop(&r);
}

TEST(a_request_behind_its_answer_is_refused)
{
	struct rig r;

	start(&r);
	descriptors(&r)[0] = (struct vring_desc){
		.addr = FRONT_GUEST, .len = 40, .flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, .next = 1};
	descriptors(&r)[1] = (struct vring_desc){.addr = FRONT_GUEST, .len = 40};
	check_breaks(&r);
	stop(&r);
}

static void check_table(struct vring_desc table, struct vring_desc first)
{
	struct rig r;

	start(&r);
	memcpy(r.front->slots[5].request, &first, sizeof first);
	table.flags |= VRING_DESC_F_INDIRECT;
	if (!table.addr)
		table.addr = front_address(r.front, r.front->slots[5].request);
	descriptors(&r)[0] = table;
	check_breaks(&r);
	stop(&r);
}

TEST(tables_of_descriptors_that_make_no_sense_are_refused)
{
	const struct vring_desc good = {.addr = FRONT_GUEST, .len = 40};

	check_table((struct vring_desc){.len = 0}, good);
	check_table((struct vring_desc){.len = 17}, good);
	check_table((struct vring_desc){.len = 16 * 1025}, good);
	check_table((struct vring_desc){.len = UINT32_MAX & ~15u}, good);
	check_table((struct vring_desc){.addr = FRONT_GUEST + FRONT_BYTES - 16, .len = 32}, good);
	check_table((struct vring_desc){.addr = FRONT_GUEST + FRONT_FIRST - 16, .len = 32}, good);
	check_table((struct vring_desc){.addr = UINT64_MAX - 15, .len = 16}, good);
	check_table((struct vring_desc){.len = 16, .flags = VRING_DESC_F_NEXT}, good);
	/* A table in a table, a loop in one, and one that leads out of it. */
	check_table((struct vring_desc){.len = 16},
		(struct vring_desc){.addr = FRONT_GUEST, .len = 16, .flags = VRING_DESC_F_INDIRECT});
	check_table((struct vring_desc){.len = 16},
		(struct vring_desc){.addr = FRONT_GUEST, .len = 40, .flags = VRING_DESC_F_NEXT, .next = 0});
	check_table((struct vring_desc){.len = 16},
		(struct vring_desc){.addr = FRONT_GUEST, .len = 40, .flags = VRING_DESC_F_NEXT, .next = 1});
}

TEST(an_index_that_jumps_ends_the_queue)
{
	struct rig r;

	start(&r);
	r.front->queues[REQUESTS].available->idx += FRONT_QUEUE_SIZE + 1;
	front_kick(r.front, REQUESTS);
	wait_for(r.front->queues[REQUESTS].error);
	restart(&r);
	check_alive(&r);
	r.front->queues[REQUESTS].available->idx--;
	front_kick(r.front, REQUESTS);
	wait_for(r.front->queues[REQUESTS].error);
	restart(&r);
	check_alive(&r);
	stop(&r);
}

/* A chain of `count` readable descriptors, each the whole memory but the rings, and an answer. */
static void offer_giant(struct rig *r, uint16_t count)
{
	struct front_slot *s = &r->front->slots[0];

	s->done = false;
	for (uint16_t i = 0; i < count; i++)
		descriptors(r)[i + 1] = (struct vring_desc){.addr = FRONT_GUEST + FRONT_RINGS,
			.len = FRONT_BYTES - FRONT_RINGS,
			.flags = VRING_DESC_F_NEXT,
			.next = (uint16_t)(i + 2)};
	descriptors(r)[count + 1] =
		(struct vring_desc){.addr = front_address(r->front, r->front->slots[4].answer),
			.len = FRONT_SLOT_BYTES,
			.flags = VRING_DESC_F_WRITE};
	descriptors(r)[0] = (struct vring_desc){.addr = front_address(r->front, s->request),
		.len = 40,
		.flags = VRING_DESC_F_NEXT,
		.next = 1};
	*(struct fuse_in_header *)s->request =
		(struct fuse_in_header){.len = UINT32_MAX, .opcode = FUSE_WRITE, .unique = 99};
	pthread_mutex_lock(&r->front->lock);
	front_offer(r->front, REQUESTS, 0);
	while (!s->done)
		pthread_cond_wait(&r->front->change, &r->front->lock);
	pthread_mutex_unlock(&r->front->lock);
}

TEST(giant_requests_are_answered_with_an_error)
{
	const struct fuse_out_header *h;
	struct rig r;

	start(&r);
	offer_giant(&r, 200);
	h = (const void *)r.front->slots[4].answer;
	CHECK_INT(h->unique, 99);
	CHECK_INT(h->error, -EINVAL);
	CHECK_INT(r.front->slots[0].used, sizeof *h);
	check_alive(&r);
	stop(&r);
}

TEST(requests_that_are_none_get_nothing_and_end_nothing)
{
	struct front_slot *s;
	struct rig r;

	start(&r);
	for (uint32_t size = 0; size < 64; size++) {
		s = front_take(r.front);
		memset(s->request, 0xff, 64);
		front_submit(r.front, REQUESTS, s, size, 16);
		CHECK_INT(s->used, size < 40 ? 0 : 16);
		front_give(r.front, s);
	}
	check_alive(&r);
	stop(&r);
}

TEST(an_answer_without_room_is_an_error)
{
	struct vfs_attributes a;
	char bytes[16];
	struct rig r;
	const struct fuse_read_in in = {.size = VFS_IO_MAX, .fh = VFS_NO_HANDLE};
	struct fuse_ask ask = {
		.opcode = FUSE_READ, .in = {&in}, .in_size = {sizeof in}, .out = bytes, .room = sizeof bytes};

	start(&r);
	ask.node = vfs_make_text(r.client, VFS_ROOT, "f", "more than sixteen bytes of text");
	CHECK_INT(virtiofs_ask(r.client, &ask), -EIO);
	/* What was looked up for nobody is forgotten. */
	ask = (struct fuse_ask){.opcode = FUSE_LOOKUP, .node = VFS_ROOT, .in = {"f"}, .in_size = {2}};
	for (int i = 0; i < 100; i++)
		CHECK_INT(virtiofs_ask(r.client, &ask), -EIO);
	ask.node = vfs_find(r.client, VFS_ROOT, "f").ino;
	CHECK_CALL(vfs_unlink(r.client, VFS_ROOT, "f"));
	vfs_forget(r.client, ask.node, 1);
	CHECK_ERRNO(vfs_getattr(r.client, ask.node, VFS_NO_HANDLE, &a), ESTALE);
	stop(&r);
}

TEST(nothing_is_served_before_the_greeting)
{
	struct vfs_attributes a;
	struct rig r;

	start(&r);
	CHECK_CALL(vfs_getattr(r.client, VFS_ROOT, VFS_NO_HANDLE, &a));
	/* A guest that boots again greets again. */
	for (int i = 0; i < 3; i++)
		CHECK_INT(virtiofs_greet(r.client), 0);
	check_alive(&r);
	stop(&r);
}

/* ---- while we look ---------------------------------------------------------------------------------- */

struct flipper {
	struct rig *rig;
	atomic_bool end;
};

/* Changes what requests of slots 0 and 1 are made of, as fast as it can. */
static void *flip(void *context)
{
	struct flipper *f = context;
	struct front *front = f->rig->front;
	unsigned seed = 1;

	while (!f->end) {
		volatile struct vring_desc *d = &descriptors(f->rig)[rand_r(&seed) % 16];
		volatile struct fuse_in_header *h = (void *)front->slots[rand_r(&seed) % 2].request;
		struct vring_desc was = *d;

		d->addr =
			rand_r(&seed) % 4 ? FRONT_GUEST + (unsigned)rand_r(&seed) % FRONT_BYTES : UINT64_MAX;
		d->len = (uint32_t)rand_r(&seed);
		d->flags = (uint16_t)(rand_r(&seed) % 8);
		h->len = (uint32_t)rand_r(&seed);
		h->opcode = (uint32_t)rand_r(&seed) % 50;
		*d = was;
	}
	return NULL;
}

static void make_write(struct front_slot *s)
{
	struct fuse_in_header *h = (void *)s->request;
	struct fuse_write_in *w = (void *)(h + 1);

	*h = (struct fuse_in_header){
		.len = sizeof *h + sizeof *w + 4096, .opcode = FUSE_WRITE, .unique = 5, .nodeid = 1};
	*w = (struct fuse_write_in){.fh = VFS_NO_HANDLE, .size = 4096};
}

TEST(what_changes_while_it_is_read_harms_nothing)
{
	struct flipper f;
	struct rig r;
	pthread_t thread;

	start(&r);
	f = (struct flipper){.rig = &r};
	CHECK_INT(pthread_create(&thread, NULL, flip, &f), 0);
	for (int round = 0; round < 200; round++) {
		struct front_queue *q = &r.front->queues[REQUESTS];

		for (unsigned i = 0; i < 2; i++) {
			make_write(&r.front->slots[i]);
			descriptors(&r)[i * 8] =
				(struct vring_desc){.addr = front_address(r.front, r.front->slots[i].request),
					.len = 40 + 40 + 4096,
					.flags = VRING_DESC_F_NEXT,
					.next = (uint16_t)(i * 8 + 1)};
			descriptors(&r)[i * 8 + 1] =
				(struct vring_desc){.addr = front_address(r.front, r.front->slots[i].answer),
					.len = 4096,
					.flags = VRING_DESC_F_WRITE};
			front_offer(r.front, REQUESTS, (uint16_t)(i * 8));
		}
		if (q->available->idx > FRONT_QUEUE_SIZE / 2)
			restart(&r);
	}
	f.end = true;
	pthread_join(thread, NULL);
	/* It may have named any object: this one begins anew. */
	restart(&r);
	CHECK_INT(virtiofs_greet(r.client), 0);
	stop(&r);
}

/* ---- floods ----------------------------------------------------------------------------------------- */

static uint64_t resident(void)
{
	_cleanup_file_ FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long size, pages = 0, shared = 0;

	CHECK(f && fscanf(f, "%llu %llu %llu", &size, &pages, &shared) == 3);
	return (pages - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

TEST(floods_of_what_is_not_answered_take_no_memory)
{
	const struct fuse_forget_in forget = {.nlookup = UINT64_MAX};
	struct fuse_interrupt_in interrupt = {0};
	struct fuse_ask a = {.opcode = FUSE_FORGET, .node = 77, .in = {&forget}, .in_size = {sizeof forget}};
	struct front_slot *s;
	struct rig r;
	uint64_t before;

	start(&r);
	before = resident();
	for (int i = 0; i < FLOOD; i++) {
		a.node++;
		virtiofs_ask(r.client, &a);
	}
	s = front_take(r.front);
	for (int i = 0; i < FLOOD; i++) {
		interrupt.unique = (uint64_t)i;
		*(struct fuse_in_header *)s->request = (struct fuse_in_header){.len = 40 + sizeof interrupt,
			.opcode = FUSE_INTERRUPT,
			.unique = 1000 + interrupt.unique};
		memcpy(s->request + 40, &interrupt, sizeof interrupt);
		s->done = false;
		front_submit(r.front, 0, s, 40 + sizeof interrupt, 0);
		CHECK_INT(s->used, 0);
	}
	front_give(r.front, s);
	check_alive(&r);
	CHECK(resident() < before + GROWTH);
	stop(&r);
}

TEST(a_forget_of_many_is_as_long_as_it_says)
{
	struct fuse_batch_forget_in *b;
	struct fuse_forget_one *one;
	struct front_slot *s;
	struct rig r;
	uint64_t ino;

	start(&r);
	ino = vfs_make_file(r.client, VFS_ROOT, "f");
	CHECK_CALL(vfs_unlink(r.client, VFS_ROOT, "f"));
	s = front_take(r.front);
	b = (void *)(s->request + 40);
	one = (void *)(b + 1);
	*(struct fuse_in_header *)s->request = (struct fuse_in_header){
		.len = 40 + sizeof *b + sizeof *one, .opcode = FUSE_BATCH_FORGET, .unique = 3};
	*one = (struct fuse_forget_one){.nodeid = ino, .nlookup = 1};
	for (uint32_t count = 0x10000001; count; count = count > 1 ? 1 : 0) {
		struct vfs_attributes a;

		CHECK_CALL(vfs_getattr(r.client, ino, VFS_NO_HANDLE, &a));
		b->count = count;
		s->done = false;
		front_submit(r.front, 0, s, 40 + sizeof *b + sizeof *one, 0);
	}
	front_give(r.front, s);
	CHECK_INT(vfs_look(r.client, VFS_ROOT, "f"), -ENOENT);
	stop(&r);
}

/* ---- memory that goes away -------------------------------------------------------------------------- */

static _Noreturn void serve_and_end(int fd)
{
	const struct fuse_options options = {.threads = 2};
	struct virtiofs_server *server;

	signal(SIGBUS, SIG_DFL); /* a sanitizer's report is none of ours */
	if (virtiofs_server_new(memory_fs(), fd, &options, &server, NULL) < 0 ||
		virtiofs_server_run(server, NULL) < 0)
		_exit(1);
	_exit(0);
}

TEST(memory_that_is_taken_away_ends_the_process)
{
	int ends[2], status;
	struct front f;
	pid_t child;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		serve_and_end(ends[0]);
	close(ends[0]);
	front_start(&f, ends[1]);
	CHECK(!front_is_closed(&f)); /* it has all of it */
	f.queues[REQUESTS].descriptors[0] =
		(struct vring_desc){.addr = FRONT_GUEST + FRONT_BYTES - 4096, .len = 4096};
	CHECK_INT(ftruncate(f.memory_fd, FRONT_RINGS), 0);
	front_offer(&f, REQUESTS, 0);
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	front_free(&f);
}

/* ---- front ends ------------------------------------------------------------------------------------- */

static int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	CHECK(d != NULL);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

struct attack {
	uint32_t request;
	const void *payload;
	uint32_t size;
	int fds[VHOST_FDS_MAX];
	int count;
};

/* A front end that says this, in the middle of a conversation, is left; what it sent is closed. */
static void check_refused(struct attack a)
{
	int before = count_descriptors();
	struct rig r;
	struct front f;

	front_make(&f, start_server(&r, memory_fs()));
	front_greet(&f);
	front_share(&f);
	CHECK(!front_is_closed(&f));
	front_send(&f, a.request, a.payload, a.size, a.fds, a.count);
	CHECK(front_is_closed(&f));
	CHECK_INT(pthread_join(r.thread, NULL), 0);
	CHECK_INT(r.result, -ERROR_INVALID);
	CHECK(strlen(r.err.text) > 0);
	virtiofs_server_free(r.server);
	vfs_destroy(r.fs);
	front_free(&f);
	CHECK_INT(count_descriptors(), before);
}

static void refuse_number(uint32_t request, uint64_t number)
{
	check_refused((struct attack){.request = request, .payload = &number, .size = sizeof number});
}

static void refuse_state(uint32_t request, uint32_t index, uint32_t number)
{
	const struct vhost_state s = {index, number};

	check_refused((struct attack){.request = request, .payload = &s, .size = sizeof s});
}

TEST(messages_of_another_kind_or_size_are_refused)
{
	const uint64_t zeros[40] = {0};

	for (uint32_t request = 0; request < 45; request++) {
		if (request == VHOST_SET_OWNER || request == VHOST_RESET_OWNER)
			continue; /* whatever their payload, the next check has them */
		check_refused((struct attack){.request = request, .payload = zeros, .size = 20});
	}
	check_refused((struct attack){.request = VHOST_SET_OWNER, .payload = zeros, .size = 8});
	check_refused((struct attack){.request = UINT32_MAX, .payload = zeros, .size = 8});
	check_refused((struct attack){.request = VHOST_SET_MEM_TABLE, .payload = zeros, .size = 320});
}

TEST(descriptors_where_none_are_due_are_refused_and_closed)
{
	const uint64_t number = 0, none = VHOST_NO_FD;
	struct attack a = {.payload = &number, .size = sizeof number};

	for (int i = 0; i < VHOST_FDS_MAX; i++)
		a.fds[i] = STDIN_FILENO;
	for (a.count = 1; a.count <= VHOST_FDS_MAX; a.count++) {
		a.request = VHOST_SET_FEATURES;
		check_refused(a);
		a.request = VHOST_SET_VRING_CALL;
		if (a.count > 1)
			check_refused(a);
	}
	check_refused(
		(struct attack){.request = VHOST_SET_VRING_KICK, .payload = &number, .size = sizeof number});
	check_refused(
		(struct attack){.request = VHOST_SET_VRING_KICK, .payload = &none, .size = sizeof none});
	check_refused((struct attack){.request = VHOST_SET_VRING_CALL,
		.payload = &none,
		.size = sizeof none,
		.fds = {STDIN_FILENO},
		.count = 1});
}

static void refuse_table(struct vhost_table t, int fd)
{
	check_refused((struct attack){.request = VHOST_SET_MEM_TABLE,
		.payload = &t,
		.size = (uint32_t)(8 + t.count * sizeof t.regions[0]),
		.fds = {fd, fd, fd},
		.count = (int)t.count});
}

TEST(memory_that_makes_no_sense_is_refused)
{
	struct vhost_table good = front_table(), t;
	int fd = memfd_create("guest", MFD_CLOEXEC), nothing = open("/dev/zero", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0 && nothing >= 0 && ftruncate(fd, FRONT_BYTES) == 0);
	refuse_table(good, nothing);
	t = good;
	t.regions[1].guest--; /* overlaps */
	refuse_table(t, fd);
	t = good;
	t.regions[1].user = t.regions[0].user + 4096;
	refuse_table(t, fd);
	t = good;
	t.regions[1].size++; /* ends behind the file */
	refuse_table(t, fd);
	t = good;
	t.regions[1].offset = UINT64_MAX - 4095;
	refuse_table(t, fd);
	t = good;
	t.regions[0].size = 0;
	refuse_table(t, fd);
	t = good;
	t.regions[1].guest = UINT64_MAX - 4095;
	refuse_table(t, fd);
	t = good;
	t.regions[1].user = UINT64_MAX - 4095;
	refuse_table(t, fd);
	t = good;
	t.count = 0;
	refuse_table(t, fd);
	t = good;
	t.count = 9;
	check_refused((struct attack){
		.request = VHOST_SET_MEM_TABLE, .payload = &t, .size = 72, .fds = {fd, fd}, .count = 2});
	close(fd);
	close(nothing);
}

TEST(queues_that_make_no_sense_are_refused)
{
	refuse_number(VHOST_SET_FEATURES, 1ull << VIRTIO_F_RING_PACKED);
	refuse_number(VHOST_SET_FEATURES, 1ull << VIRTIO_F_ACCESS_PLATFORM);
	refuse_number(VHOST_SET_FEATURES, 1ull << VIRTIO_RING_F_EVENT_IDX);
	refuse_number(VHOST_SET_PROTOCOL_FEATURES, UINT64_MAX);
	for (uint32_t request = VHOST_SET_VRING_NUM; request <= VHOST_SET_VRING_ENABLE; request++)
		if (request == VHOST_SET_VRING_NUM || request == VHOST_SET_VRING_BASE ||
			request == VHOST_GET_VRING_BASE || request == VHOST_SET_VRING_ENABLE) {
			refuse_state(request, VIRTIOFS_QUEUES_MAX, 1);
			refuse_state(request, UINT32_MAX, 1);
		}
	refuse_number(VHOST_SET_VRING_CALL, 200 | VHOST_NO_FD);
	refuse_state(VHOST_SET_VRING_NUM, 0, 0);
	refuse_state(VHOST_SET_VRING_NUM, 0, 3);
	refuse_state(VHOST_SET_VRING_NUM, 0, 2 * VIRTIOFS_QUEUE_SIZE_MAX);
	refuse_state(VHOST_SET_VRING_NUM, 0, 1u << 31);
	refuse_state(VHOST_SET_VRING_BASE, 0, 65536);
	refuse_state(VHOST_SET_VRING_ENABLE, 0, 2);
}

/* The rings of a queue that runs are moved to there. */
static void refuse_addresses(uint64_t descriptors_at, uint64_t available, uint64_t used)
{
	const struct vhost_addresses a = {.index = REQUESTS,
		.descriptors = FRONT_USER + descriptors_at,
		.available = FRONT_USER + available,
		.used = FRONT_USER + used};
	struct rig r;

	start(&r);
	front_send(r.front, VHOST_SET_VRING_ADDR, &a, sizeof a, NULL, 0);
	CHECK(front_is_closed(r.front));
	stop(&r);
	CHECK_INT(r.result, -ERROR_INVALID);
}

TEST(rings_that_do_not_lie_in_the_memory_are_refused)
{
	refuse_addresses(FRONT_FIRST, 0, 0);
	refuse_addresses(FRONT_FIRST - 4096 + 16, 0, 0);
	refuse_addresses(0, FRONT_FIRST - 4, 0);
	refuse_addresses(0, 0, FRONT_FIRST - 2048);
	refuse_addresses(-FRONT_USER - 16, 0, 0);
	refuse_addresses(0, -FRONT_USER - 2, 0);
	refuse_addresses(0, 0, FRONT_APART + FRONT_BYTES);
	refuse_addresses(8, 0, 0);
	refuse_addresses(0, 1, 0);
	refuse_addresses(0, 0, 2);
}

TEST(a_device_of_the_old_kind_is_refused_in_words)
{
	const uint64_t number = REQUESTS;
	struct rig r;
	struct front f;

	front_make(&f, start_server(&r, memory_fs()));
	front_send_number(&f, VHOST_SET_FEATURES, VHOST_F_PROTOCOL_FEATURES);
	front_send(&f, VHOST_SET_VRING_KICK, &number, sizeof number, &f.queues[REQUESTS].kick, 1);
	CHECK(front_is_closed(&f));
	CHECK_INT(pthread_join(r.thread, NULL), 0);
	CHECK(strstr(r.err.text, "force-legacy=false"));
	virtiofs_server_free(r.server);
	vfs_destroy(r.fs);
	front_free(&f);
}

TEST(a_message_that_is_cut_ends_the_connection)
{
	const uint32_t half[] = {VHOST_SET_FEATURES, 1, 8, 0};
	struct rig r;
	struct front f;

	for (uint32_t size = 1; size < sizeof half; size++) {
		front_make(&f, start_server(&r, memory_fs()));
		CHECK_INT(write(f.fd, half, size), size);
		shutdown(f.fd, SHUT_WR);
		CHECK_INT(pthread_join(r.thread, NULL), 0);
		CHECK_INT(r.result, 0);
		virtiofs_server_free(r.server);
		vfs_destroy(r.fs);
		front_free(&f);
	}
}

TEST(a_call_that_nobody_takes_holds_up_nothing)
{
	const uint64_t number = REQUESTS;
	struct fuse_ask a = {.opcode = FUSE_DESTROY};
	int ends[2];
	struct rig r;

	start(&r);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
	front_send(r.front, VHOST_SET_VRING_CALL, &number, sizeof number, &ends[1], 1);
	for (int i = 0; i < 2000; i++) {
		front_offer(r.front, REQUESTS, 0);
		while (__atomic_load_n(&r.front->queues[REQUESTS].used->idx, __ATOMIC_ACQUIRE) !=
			r.front->queues[REQUESTS].available->idx)
			usleep(10);
	}
	front_send(r.front, VHOST_SET_VRING_CALL, &number, sizeof number, &r.front->queues[REQUESTS].call, 1);
	close(ends[0]);
	close(ends[1]);
	restart(&r);
	CHECK_INT(virtiofs_ask(r.client, &a), 0);
	stop(&r);
}

/* ---- honest ones, at work --------------------------------------------------------------------------- */

struct load {
	struct rig *rig;
	atomic_bool end;
	atomic_uint done;
};

static void *work(void *context)
{
	struct load *l = context;

	while (!l->end) {
		check_alive(l->rig);
		l->done++;
	}
	return NULL;
}

TEST(memory_is_replaced_under_load)
{
	struct load l;
	struct rig r;
	pthread_t threads[3];
	unsigned before;

	start(&r);
	l = (struct load){.rig = &r};
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_INT(pthread_create(&threads[i], NULL, work, &l), 0);
	for (int i = 0; i < 200; i++)
		front_share(r.front);
	CHECK(!front_is_closed(r.front));
	before = l.done;
	while (l.done < before + 100)
		usleep(100);
	l.end = true;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	stop(&r);
}

TEST(a_queue_goes_on_where_it_was_stopped)
{
	const struct vhost_state state = {.index = REQUESTS};
	struct vhost_state answer;
	struct rig r;

	start(&r);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 100; k++)
			check_alive(&r);
		CHECK(front_ask(r.front, VHOST_GET_VRING_BASE, &state, sizeof state, &answer, sizeof answer));
		CHECK_INT(answer.index, REQUESTS);
		CHECK_INT(answer.number, r.front->queues[REQUESTS].available->idx);
		front_start_queue(r.front, REQUESTS);
	}
	front_send_state(r.front, VHOST_SET_VRING_ENABLE, REQUESTS, 0);
	CHECK(!front_is_closed(r.front));
	front_send_state(r.front, VHOST_SET_VRING_ENABLE, REQUESTS, 1);
	check_alive(&r);
	stop(&r);
}

/* A file system whose reads wait until they are let go. */
static struct {
	struct vfs_operations operations;
	int64_t (*read)(struct vfs *, uint64_t, vfs_handle, void *, size_t, uint64_t);
	sem_t begun, go;
} slow;

static int64_t slow_read(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	sem_post(&slow.begun);
	sem_wait(&slow.go);
	return slow.read(fs, ino, handle, bytes, size, offset);
}

static void *read_slowly(void *client)
{
	char bytes[8];

	CHECK_INT(
		vfs_read(client, vfs_find(client, VFS_ROOT, "f").ino, VFS_NO_HANDLE, bytes, sizeof bytes, 0),
		4);
	return NULL;
}

TEST(a_slow_request_holds_up_no_other)
{
	struct vfs *fs = memory_fs();
	pthread_t threads[3]; /* the server has one more */
	struct rig r;
	int fd;

	slow.operations = *fs->operations;
	slow.read = slow.operations.read;
	slow.operations.read = slow_read;
	fs->operations = &slow.operations;
	sem_init(&slow.begun, 0, 0);
	sem_init(&slow.go, 0, 0);
	fd = start_server(&r, fs);
	r.client = virtiofs_vfs_new(fd);
	r.front = virtiofs_vfs_front(r.client);
	vfs_make_text(r.client, VFS_ROOT, "f", "text");
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_INT(pthread_create(&threads[i], NULL, read_slowly, r.client), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		sem_wait(&slow.begun);
	for (int i = 0; i < 50; i++)
		check_alive(&r);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		sem_post(&slow.go);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	stop(&r);
}

TEST(it_stops_when_it_is_told)
{
	struct rig r;

	start(&r);
	virtiofs_server_stop(r.server);
	CHECK(front_is_closed(r.front));
	stop(&r);
	CHECK_INT(r.result, 0);
}
