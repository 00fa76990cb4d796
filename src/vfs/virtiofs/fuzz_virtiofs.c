/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile QEMU and its hostile guest, over a file system in memory, without threads: after each step the
 * front end's messages are served, then what waits in the queues.
 *
 * The input is a row of steps, a byte each and what belongs to it:
 *
 *   0  a message: request, flags, descriptors (FDS), size, payload
 *   1  bytes of the guest's memory: offset (u16, little-endian), size, bytes
 *   2  an honest set-up, and FUSE_INIT
 *   3  a chain is offered: queue, head
 *   4  a FUSE request in a good chain: opcode, node, size, body
 */
#include <assert.h>
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/descriptors.h"
#include "vfs/memory/memory.h"
#include "vfs/virtiofs/server.h"

#define BYTES       65536u /* of the guest's memory */
#define GUEST       0x100000ull
#define USER        0x700000000000ull
#define QUEUE_SIZE  8u
#define REQUEST_AT  0x4000u
#define ANSWER_AT   0x6000u
#define ANSWER_SIZE 0x1000u
#define STEPS_MOST  64
#define BODY_MOST   255u
#define REQUESTS    1u /* the queue of requests */

struct fuzz {
	struct vfs *fs;
	struct virtiofs_server *server;
	struct worker *worker;
	int fd; /* QEMU's end */
	int memory_fd, event;
	uint8_t *memory;
	bool ended;
};

struct message {
	uint32_t request, flags, size;
	uint8_t payload[264];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void say_nothing(enum fuse_log_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
}

/* ---- QEMU ------------------------------------------------------------------------------------------- */

static void send_message(struct fuzz *f, const struct message *m, const int *fds, int count)
{
	char answer[64];

	if (f->ended || descriptors_send(f->fd, m, 12 + m->size, fds, count) < 0)
		return;
	f->ended = front_end_serve(f->server, NULL) <= 0;
	while (recv(f->fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
		;
}

static void tell(struct fuzz *f, uint32_t request, const void *payload, uint32_t size, int fd)
{
	struct message m = {.request = request, .flags = 1, .size = size};

	memcpy(m.payload, payload, size);
	send_message(f, &m, &fd, fd >= 0);
}

static void tell_state(struct fuzz *f, uint32_t request, uint32_t index, uint32_t number)
{
	const struct vhost_state s = {index, number};

	tell(f, request, &s, sizeof s, -1);
}

static void offer(struct fuzz *f, uint32_t queue, uint16_t head)
{
	struct vring_avail *a = (void *)(f->memory + queue * 0x1000 + 0x400);

	a->ring[a->idx % QUEUE_SIZE] = head;
	a->idx++;
}

static void request(struct fuzz *f, uint32_t opcode, uint64_t node, const void *body, size_t size)
{
	struct vring_desc *d = (void *)(f->memory + REQUESTS * 0x1000);
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof h + size), .opcode = opcode, .unique = 1, .nodeid = node};

	memcpy(f->memory + REQUEST_AT, &h, sizeof h);
	memcpy(f->memory + REQUEST_AT + sizeof h, body, size);
	d[0] = (struct vring_desc){GUEST + REQUEST_AT, h.len, VRING_DESC_F_NEXT, 1};
	d[1] = (struct vring_desc){GUEST + ANSWER_AT, ANSWER_SIZE, VRING_DESC_F_WRITE, 0};
	offer(f, REQUESTS, 0);
	worker_look(f->worker);
}

static void set_up_queue(struct fuzz *f, uint32_t index)
{
	const uint64_t at = USER + index * 0x1000, number = index;
	const struct vhost_addresses a = {
		.index = index, .descriptors = at, .available = at + 0x400, .used = at + 0x800};

	memset(f->memory + index * 0x1000, 0, 0x1000);
	tell_state(f, VHOST_GET_VRING_BASE, index, 0);
	tell_state(f, VHOST_SET_VRING_NUM, index, QUEUE_SIZE);
	tell_state(f, VHOST_SET_VRING_BASE, index, 0);
	tell(f, VHOST_SET_VRING_ADDR, &a, sizeof a, -1);
	tell(f, VHOST_SET_VRING_CALL, &number, sizeof number, f->event);
	tell(f, VHOST_SET_VRING_KICK, &number, sizeof number, f->event);
	tell_state(f, VHOST_SET_VRING_ENABLE, index, 1);
}

static void set_up(struct fuzz *f)
{
	const uint64_t features =
		1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | VHOST_F_PROTOCOL_FEATURES;
	const struct vhost_table t = {
		.count = 1, .regions = {{.guest = GUEST, .size = BYTES, .user = USER, .offset = 0}}};
	const struct fuse_init_in init = {.major = 7, .minor = 31, .flags = FUSE_DO_READDIRPLUS};

	tell(f, VHOST_SET_FEATURES, &features, sizeof features, -1);
	tell(f, VHOST_SET_MEM_TABLE, &t, 8 + sizeof t.regions[0], f->memory_fd);
	set_up_queue(f, 0);
	set_up_queue(f, REQUESTS);
	request(f, FUSE_INIT, 0, &init, offsetof(struct fuse_init_in, flags2));
}

/* ---- steps ------------------------------------------------------------------------------------------ */

static const uint8_t *take(const uint8_t **data, size_t *left, size_t n)
{
	const uint8_t *at = *data;

	if (*left < n)
		return NULL;
	*data += n;
	*left -= n;
	return at;
}

static void step_message(struct fuzz *f, const uint8_t **data, size_t *left)
{
	const uint8_t *h = take(data, left, 4), *payload;
	int fds[VHOST_FDS_MAX];

	if (!h || !(payload = take(data, left, h[3])))
		return;
	struct message m = {.request = h[0], .flags = h[1], .size = h[3]};

	for (int i = 0; i < VHOST_FDS_MAX; i++)
		fds[i] = h[2] & 8 ? f->event : f->memory_fd;
	memcpy(m.payload, payload, h[3]);
	/* The last bit: a size that is not that of what comes. */
	if (h[2] & 128) {
		shutdown(f->fd, SHUT_WR);
		m.size += 8;
	}
	send_message(f, &m, fds, h[2] & 7);
}

static void step_bytes(struct fuzz *f, const uint8_t **data, size_t *left)
{
	const uint8_t *h = take(data, left, 3), *bytes;
	size_t at;

	if (!h || !(bytes = take(data, left, h[2])))
		return;
	at = (size_t)h[0] | (size_t)h[1] << 8;
	memcpy(f->memory + at, bytes, h[2] < BYTES - at ? h[2] : BYTES - at);
}

static void step_request(struct fuzz *f, const uint8_t **data, size_t *left)
{
	const uint8_t *h = take(data, left, 3), *body;

	if (h && (body = take(data, left, h[2])))
		request(f, h[0], h[1], body, h[2]);
}

static void step(struct fuzz *f, const uint8_t **data, size_t *left)
{
	const uint8_t *kind = take(data, left, 1), *h;

	switch (*kind % 5) {
	case 0:
		step_message(f, data, left);
		break;
	case 1:
		step_bytes(f, data, left);
		break;
	case 2:
		set_up(f);
		break;
	case 3:
		h = take(data, left, 2);
		if (h)
			offer(f, h[0] % 2, h[1]);
		break;
	default:
		step_request(f, data, left);
	}
	worker_look(f->worker);
}

static bool start(struct fuzz *f)
{
	const struct memory_options memory = {.bytes = 4 << 20, .inodes = 200, .handles = 64, .mode = 01777};
	const struct fuse_options options = {.cache = 1};
	int ends[2];

	if (memory_new(&memory, &f->fs, NULL) < 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
		virtiofs_server_new(f->fs, ends[0], &options, &f->server, NULL) < 0)
		return false;
	f->fd = ends[1];
	f->worker = worker_new(f->server);
	f->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	f->memory_fd = memfd_create("guest", MFD_CLOEXEC);
	if (!f->worker || ftruncate(f->memory_fd, BYTES) < 0)
		return false;
	f->memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory_fd, 0);
	return f->memory != MAP_FAILED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = {0};

	fuse_set_log_func(say_nothing);
	assert(start(&f));
	for (int i = 0; i < STEPS_MOST && size > 0; i++)
		step(&f, &data, &size);
	munmap(f.memory, BYTES);
	close(f.memory_fd);
	close(f.event);
	close(f.fd);
	worker_free(f.worker);
	virtiofs_server_free(f.server);
	vfs_destroy(f.fs);
	return 0;
}
