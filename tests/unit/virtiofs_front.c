/* SPDX-License-Identifier: Apache-2.0 */
#include "virtiofs_front.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/descriptors.h"
#include "test.h"

#define RING_BYTES       32768u
#define DESCRIPTORS_EACH 8u                         /* of a slot */
#define TABLE_AT         (FRONT_SLOT_BYTES - 4096u) /* of a slot's indirect table, behind its request */
#define HEADER_IN        40u
#define HEADER_OUT       16u
#define APART            4096u
#define ANSWER_TIME      20000 /* ms */

struct header {
	uint32_t request, flags, size;
};

/* ---- messages --------------------------------------------------------------------------------------- */

void front_send(
	struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds, int count)
{
	char bytes[sizeof(struct header) + 512];
	struct header h = {.request = request, .flags = 1, .size = size};

	CHECK(size <= 512);
	memcpy(bytes, &h, sizeof h);
	if (size)
		memcpy(bytes + sizeof h, payload, size);
	/* The server may have gone: the test looks for that. */
	descriptors_send(f->fd, bytes, sizeof h + size, fds, count);
}

void front_send_number(struct front *f, uint32_t request, uint64_t number)
{
	front_send(f, request, &number, sizeof number, NULL, 0);
}

void front_send_state(struct front *f, uint32_t request, uint32_t index, uint32_t number)
{
	const struct vhost_state state = {index, number};

	front_send(f, request, &state, sizeof state, NULL, 0);
}

bool front_ask(
	struct front *f, uint32_t request, const void *payload, uint32_t size, void *answer, uint32_t room)
{
	struct pollfd p = {.fd = f->fd, .events = POLLIN};
	struct header h;

	front_send(f, request, payload, size, NULL, 0);
	CHECK_INT(poll(&p, 1, ANSWER_TIME), 1);
	if (recv(f->fd, &h, sizeof h, MSG_WAITALL) != sizeof h)
		return false;
	CHECK_INT(h.request, request);
	CHECK_INT(h.flags, 5);
	CHECK_INT(h.size, room);
	return recv(f->fd, answer, room, MSG_WAITALL) == (ssize_t)room;
}

uint64_t front_ask_number(struct front *f, uint32_t request)
{
	uint64_t number = 0;

	CHECK(front_ask(f, request, NULL, 0, &number, sizeof number));
	return number;
}

bool front_is_closed(struct front *f)
{
	uint64_t number;

	return !front_ask(f, VHOST_GET_FEATURES, NULL, 0, &number, sizeof number);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static void make_queue(struct front *f, uint32_t index)
{
	uint8_t *at = f->memory + (size_t)index * RING_BYTES;

	f->queues[index] = (struct front_queue){.descriptors = (void *)at,
		.available = (void *)(at + RING_BYTES / 4),
		.used = (void *)(at + RING_BYTES / 2),
		.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.error = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
}

void front_make(struct front *f, int fd)
{
	*f = (struct front){.fd = fd, .memory_fd = memfd_create("guest", MFD_CLOEXEC)};
	CHECK(f->memory_fd >= 0 && ftruncate(f->memory_fd, FRONT_BYTES) == 0);
	f->memory = mmap(NULL, FRONT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory_fd, 0);
	CHECK(f->memory != MAP_FAILED);
	for (uint32_t i = 0; i < FRONT_QUEUES; i++)
		make_queue(f, i);
	for (size_t i = 0; i < FRONT_SLOTS; i++) {
		f->slots[i].request = f->memory + FRONT_RINGS + i * 2 * FRONT_SLOT_BYTES;
		f->slots[i].answer = f->slots[i].request + FRONT_SLOT_BYTES;
	}
	f->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->change, NULL);
}

void front_free(struct front *f)
{
	const uint64_t one = 1;

	if (f->reaps) {
		CHECK_INT(write(f->end, &one, sizeof one), sizeof one);
		pthread_join(f->reaper, NULL);
	}
	for (uint32_t i = 0; i < FRONT_QUEUES; i++) {
		close(f->queues[i].kick);
		close(f->queues[i].call);
		close(f->queues[i].error);
	}
	munmap(f->memory, FRONT_BYTES);
	close(f->memory_fd);
	close(f->end);
	if (f->fd >= 0)
		close(f->fd);
	pthread_cond_destroy(&f->change);
	pthread_mutex_destroy(&f->lock);
}

void front_greet(struct front *f)
{
	uint64_t features = front_ask_number(f, VHOST_GET_FEATURES);

	CHECK(features & 1ull << VIRTIO_F_VERSION_1 && features & 1ull << VIRTIO_RING_F_INDIRECT_DESC &&
		features & VHOST_F_PROTOCOL_FEATURES);
	CHECK_INT(front_ask_number(f, VHOST_GET_PROTOCOL_FEATURES),
		VHOST_PROTOCOL_MQ | VHOST_PROTOCOL_REPLY_ACK);
	front_send_number(f, VHOST_SET_PROTOCOL_FEATURES, VHOST_PROTOCOL_MQ | VHOST_PROTOCOL_REPLY_ACK);
	CHECK(front_ask_number(f, VHOST_GET_QUEUE_NUM) >= FRONT_QUEUES);
	front_send(f, VHOST_SET_OWNER, NULL, 0, NULL, 0);
	front_send_number(f, VHOST_SET_FEATURES, features);
}

struct vhost_table front_table(void)
{
	return (struct vhost_table){.count = 2,
		.regions = {{.guest = FRONT_GUEST, .size = FRONT_FIRST, .user = FRONT_USER},
			{.guest = FRONT_GUEST + FRONT_FIRST,
				.size = FRONT_BYTES - FRONT_FIRST,
				.user = FRONT_USER + FRONT_APART,
				.offset = FRONT_FIRST}}};
}

void front_share(struct front *f)
{
	const struct vhost_table table = front_table();
	int fds[] = {f->memory_fd, f->memory_fd};

	front_send(f, VHOST_SET_MEM_TABLE, &table, 8 + 2 * sizeof table.regions[0], fds, 2);
}

void front_start_queue(struct front *f, uint32_t index)
{
	const struct front_queue *q = &f->queues[index];
	uint64_t at = FRONT_USER + (uint64_t)index * RING_BYTES, number = index;
	const struct vhost_addresses addresses = {.index = index,
		.descriptors = at,
		.available = at + RING_BYTES / 4,
		.used = at + RING_BYTES / 2};
	uint16_t seen;

	pthread_mutex_lock(&f->lock);
	seen = q->seen;
	pthread_mutex_unlock(&f->lock);
	front_send_state(f, VHOST_SET_VRING_NUM, index, FRONT_QUEUE_SIZE);
	front_send_state(f, VHOST_SET_VRING_BASE, index, seen);
	front_send(f, VHOST_SET_VRING_ADDR, &addresses, sizeof addresses, NULL, 0);
	front_send(f, VHOST_SET_VRING_CALL, &number, sizeof number, &q->call, 1);
	front_send(f, VHOST_SET_VRING_ERR, &number, sizeof number, &q->error, 1);
	front_send(f, VHOST_SET_VRING_KICK, &number, sizeof number, &q->kick, 1);
	front_send_state(f, VHOST_SET_VRING_ENABLE, index, 1);
}

void front_start(struct front *f, int fd)
{
	front_make(f, fd);
	front_greet(f);
	front_share(f);
	for (uint32_t i = 0; i < FRONT_QUEUES; i++)
		front_start_queue(f, i);
	front_reap(f);
}

/* ---- what comes back -------------------------------------------------------------------------------- */

/* Direct chains begin at the slot's first descriptor, and so do the descriptors of tables. */
static void reap(struct front *f, struct front_queue *q)
{
	uint16_t end = __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);

	for (; q->seen != end; q->seen++) {
		const struct vring_used_elem *e = &q->used->ring[q->seen % FRONT_QUEUE_SIZE];

		if (e->id / DESCRIPTORS_EACH < FRONT_SLOTS) {
			f->slots[e->id / DESCRIPTORS_EACH].used = e->len;
			f->slots[e->id / DESCRIPTORS_EACH].done = true;
		}
	}
	pthread_cond_broadcast(&f->change);
}

static void *run_reaper(void *context)
{
	struct front *f = context;
	struct pollfd p[FRONT_QUEUES + 1] = {[FRONT_QUEUES] = {.fd = f->end, .events = POLLIN}};
	uint64_t count;

	for (uint32_t i = 0; i < FRONT_QUEUES; i++)
		p[i] = (struct pollfd){.fd = f->queues[i].call, .events = POLLIN};
	while (poll(p, FRONT_QUEUES + 1, -1) > 0 && !p[FRONT_QUEUES].revents) {
		pthread_mutex_lock(&f->lock);
		for (uint32_t i = 0; i < FRONT_QUEUES; i++)
			if (read(f->queues[i].call, &count, sizeof count) > 0)
				reap(f, &f->queues[i]);
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

void front_reap(struct front *f)
{
	CHECK_INT(pthread_create(&f->reaper, NULL, run_reaper, f), 0);
	f->reaps = true;
}

/* ---- requests --------------------------------------------------------------------------------------- */

uint64_t front_address(const struct front *f, const void *p)
{
	return FRONT_GUEST + (uint64_t)((const uint8_t *)p - f->memory);
}

static struct front_slot *free_slot(struct front *f)
{
	for (unsigned i = 0; i < FRONT_SLOTS; i++) {
		struct front_slot *s = &f->slots[f->next++ % FRONT_SLOTS];

		if (!s->taken)
			return s;
	}
	return NULL;
}

struct front_slot *front_take(struct front *f)
{
	struct front_slot *s;

	pthread_mutex_lock(&f->lock);
	while (!(s = free_slot(f)))
		pthread_cond_wait(&f->change, &f->lock);
	s->taken = true;
	s->done = false;
	pthread_mutex_unlock(&f->lock);
	return s;
}

void front_give(struct front *f, struct front_slot *s)
{
	pthread_mutex_lock(&f->lock);
	s->taken = false;
	pthread_cond_broadcast(&f->change);
	pthread_mutex_unlock(&f->lock);
}

static uint32_t half_of(uint32_t size, uint32_t header)
{
	return size < header ? 0 : (size - header) / 2;
}

/* A header, half of what follows, and the rest, which may lie apart from it. */
static uint16_t fill(struct front *f, struct vring_desc *d, uint16_t n, const uint8_t *at, uint32_t size,
	uint32_t header, uint32_t apart, uint16_t flags)
{
	uint32_t parts[3] = {size < header ? size : header, half_of(size, header), 0};

	parts[2] = size - parts[0] - parts[1];
	for (int i = 0; i < 3; i++) {
		if (!parts[i])
			continue;
		d[n] = (struct vring_desc){.addr = front_address(f, at),
			.len = parts[i],
			.flags = flags | VRING_DESC_F_NEXT,
			.next = (uint16_t)(n + 1)};
		at += parts[i] + (i == 1 ? apart : 0);
		n++;
	}
	return n;
}

/* The answers of every third slot come in two pieces. */
static uint32_t apart_of(const struct front *f, const struct front_slot *s)
{
	return (s - f->slots) % 3 ? 0 : APART;
}

static void join(const struct front *f, struct front_slot *s, uint32_t answer)
{
	uint32_t half = half_of(answer, HEADER_OUT), at = HEADER_OUT + half;

	if (half && apart_of(f, s))
		memmove(s->answer + at, s->answer + at + APART, answer - at);
}

static void describe(struct front *f, uint32_t queue, struct front_slot *s, uint32_t request, uint32_t answer)
{
	uint16_t first = (uint16_t)((s - f->slots) * DESCRIPTORS_EACH), n;
	struct vring_desc *own = f->queues[queue].descriptors + first;
	bool indirect = (s - f->slots) % 2;
	struct vring_desc *d = indirect ? (struct vring_desc *)(s->request + TABLE_AT) : own;

	n = fill(f, d, 0, s->request, request, HEADER_IN, 0, 0);
	n = fill(f, d, n, s->answer, answer, HEADER_OUT, apart_of(f, s), VRING_DESC_F_WRITE);
	d[n - 1].flags &= (uint16_t)~VRING_DESC_F_NEXT;
	if (indirect)
		*own = (struct vring_desc){.addr = front_address(f, d),
			.len = (uint32_t)(n * sizeof *d),
			.flags = VRING_DESC_F_INDIRECT};
	else
		for (uint16_t i = 0; i < n; i++)
			d[i].next = (uint16_t)(d[i].next + first);
}

void front_kick(struct front *f, uint32_t queue)
{
	const uint64_t one = 1;

	CHECK_INT(write(f->queues[queue].kick, &one, sizeof one), sizeof one);
}

void front_offer(struct front *f, uint32_t queue, uint16_t head)
{
	struct vring_avail *a = f->queues[queue].available;

	a->ring[a->idx % FRONT_QUEUE_SIZE] = head;
	__atomic_store_n(&a->idx, (uint16_t)(a->idx + 1), __ATOMIC_RELEASE);
	front_kick(f, queue);
}

void front_submit(struct front *f, uint32_t queue, struct front_slot *s, uint32_t request, uint32_t answer)
{
	CHECK(request <= TABLE_AT && answer <= FRONT_SLOT_BYTES - APART);
	pthread_mutex_lock(&f->lock);
	describe(f, queue, s, request, answer);
	front_offer(f, queue, (uint16_t)((s - f->slots) * DESCRIPTORS_EACH));
	while (!s->done)
		pthread_cond_wait(&f->change, &f->lock);
	pthread_mutex_unlock(&f->lock);
	join(f, s, answer);
}
