/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the virtiofs server promises to hostile guests. What makes no sense ends a queue, or the connection,
 * and nothing else: behind each attack, the queues are started again and an honest request is answered.
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
#include "virtiofs_rig.h"

#define FLOOD  20000
#define GROWTH (48ull << 20) /* bytes of memory that an attack may take: what answers it has buffers */

/* ---- guests ----------------------------------------------------------------------------------------- */

static void wait_for(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;

	CHECK_INT(poll(&p, 1, 20000), 1);
	CHECK(read(fd, &count, sizeof count) > 0);
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
	rig_restart(r);
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

	rig_start(&r);
	descriptors(&r)[0] =
		(struct vring_desc){.addr = address, .len = length, .flags = flags, .next = next};
	check_breaks(&r);
	rig_stop(&r);
}

TEST(loops_of_descriptors_end)
{
	struct rig r;

	rig_start(&r);
	for (uint16_t i = 0; i < 3; i++)
		descriptors(&r)[i] = (struct vring_desc){.addr = FRONT_GUEST,
			.len = 40,
			.flags = VRING_DESC_F_NEXT,
			.next = (uint16_t)((i + 1) % 3)};
	check_breaks(&r);
	descriptors(&r)[0] = (struct vring_desc){.addr = FRONT_GUEST, .len = 0, .flags = VRING_DESC_F_NEXT};
	check_breaks(&r);
	rig_stop(&r);
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
	rig_start(&r);
	front_offer(r.front, REQUESTS, FRONT_QUEUE_SIZE);
	wait_for(r.front->queues[REQUESTS].error);
	rig_restart(&r);
	check_alive(&r);
	rig_stop(&r);
}

TEST(a_request_behind_its_answer_is_refused)
{
	struct rig r;

	rig_start(&r);
	descriptors(&r)[0] = (struct vring_desc){
		.addr = FRONT_GUEST, .len = 40, .flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, .next = 1};
	descriptors(&r)[1] = (struct vring_desc){.addr = FRONT_GUEST, .len = 40};
	check_breaks(&r);
	rig_stop(&r);
}

static void check_table(struct vring_desc table, struct vring_desc first)
{
	struct rig r;

	rig_start(&r);
	memcpy(r.front->slots[5].request, &first, sizeof first);
	table.flags |= VRING_DESC_F_INDIRECT;
	if (!table.addr)
		table.addr = front_address(r.front, r.front->slots[5].request);
	descriptors(&r)[0] = table;
	check_breaks(&r);
	rig_stop(&r);
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

	rig_start(&r);
	r.front->queues[REQUESTS].available->idx += FRONT_QUEUE_SIZE + 1;
	front_kick(r.front, REQUESTS);
	wait_for(r.front->queues[REQUESTS].error);
	rig_restart(&r);
	check_alive(&r);
	r.front->queues[REQUESTS].available->idx--;
	front_kick(r.front, REQUESTS);
	wait_for(r.front->queues[REQUESTS].error);
	rig_restart(&r);
	check_alive(&r);
	rig_stop(&r);
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

	rig_start(&r);
	offer_giant(&r, 200);
	h = (const void *)r.front->slots[4].answer;
	CHECK_INT(h->unique, 99);
	CHECK_INT(h->error, -EINVAL);
	CHECK_INT(r.front->slots[0].used, sizeof *h);
	check_alive(&r);
	rig_stop(&r);
}

TEST(requests_that_are_none_get_nothing_and_end_nothing)
{
	struct front_slot *s;
	struct rig r;

	rig_start(&r);
	for (uint32_t size = 0; size < 64; size++) {
		s = front_take(r.front);
		memset(s->request, 0xff, 64);
		front_submit(r.front, REQUESTS, s, size, 16);
		CHECK_INT(s->used, size < 40 ? 0 : 16);
		front_give(r.front, s);
	}
	check_alive(&r);
	rig_stop(&r);
}

TEST(an_answer_without_room_is_an_error)
{
	struct vfs_attributes a;
	char bytes[16];
	struct rig r;
	const struct fuse_read_in in = {.size = VFS_IO_MAX, .fh = VFS_NO_HANDLE};
	struct fuse_ask ask = {
		.opcode = FUSE_READ, .in = {&in}, .in_size = {sizeof in}, .out = bytes, .room = sizeof bytes};

	rig_start(&r);
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
	rig_stop(&r);
}

TEST(nothing_is_served_before_the_greeting)
{
	struct vfs_attributes a;
	struct rig r;

	rig_start(&r);
	CHECK_CALL(vfs_getattr(r.client, VFS_ROOT, VFS_NO_HANDLE, &a));
	/* A guest that boots again greets again. */
	for (int i = 0; i < 3; i++)
		CHECK_INT(virtiofs_greet(r.client), 0);
	check_alive(&r);
	rig_stop(&r);
}

/* ---- while we look ---------------------------------------------------------------------------------- */

struct flipper {
	struct rig *rig;
	atomic_bool end;
};

/* Changes what requests of slots 0 and 1 are made of, as fast as it can: a race, and meant. */
__attribute__((no_sanitize("thread"))) static void *flip(void *context)
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

	rig_start(&r);
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
			rig_restart(&r);
	}
	f.end = true;
	pthread_join(thread, NULL);
	/* It may have named any object: this one begins anew. */
	rig_restart(&r);
	CHECK_INT(virtiofs_greet(r.client), 0);
	rig_stop(&r);
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

	rig_start(&r);
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
	rig_stop(&r);
}

TEST(a_forget_of_many_is_as_long_as_it_says)
{
	struct fuse_batch_forget_in *b;
	struct fuse_forget_one *one;
	struct front_slot *s;
	struct rig r;
	uint64_t ino;

	rig_start(&r);
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
	rig_stop(&r);
}
