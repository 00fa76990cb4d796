/* SPDX-License-Identifier: Apache-2.0 */
/* What QEMU says, message by message. One that makes no sense ends the connection. */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "base/cleanup.h"
#include "vfs/virtiofs/server.h"

#define DEVICE_FEATURES \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | VHOST_F_PROTOCOL_FEATURES)
#define PROTOCOL_FEATURES (VHOST_PROTOCOL_MQ | VHOST_PROTOCOL_REPLY_ACK)

/* Features that change what a ring or an address is. Others that QEMU has by itself and lets through change
 * nothing for us. */
#define OTHER_RINGS \
	(1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_F_RING_PACKED | 1ull << VIRTIO_F_ACCESS_PLATFORM)

static int set_features(struct virtiofs_server *s, uint64_t features, struct error *err)
{
	if (features & OTHER_RINGS)
		return error_set(err, ERROR_INVALID, "vhost-user: features %#llx were not offered",
			(unsigned long long)(features & OTHER_RINGS));
	s->features = features;
	/* Who knows nothing of VRING_ENABLE means that they are. */
	for (unsigned i = 0; i < VIRTIOFS_QUEUES_MAX && !(features & VHOST_F_PROTOCOL_FEATURES); i++) {
		struct queue *q = &s->queues[i];

		pthread_mutex_lock(&q->lock);
		q->enabled = true;
		pthread_mutex_unlock(&q->lock);
	}
	return 0;
}

static int set_protocol(struct virtiofs_server *s, uint64_t features, struct error *err)
{
	if (features & ~PROTOCOL_FEATURES)
		return error_set(err, ERROR_INVALID, "vhost-user: protocol features %#llx were not offered",
			(unsigned long long)(features & ~PROTOCOL_FEATURES));
	s->protocol = features;
	return 0;
}

static struct queue *queue_of(struct virtiofs_server *s, uint64_t index, struct error *err)
{
	if (index < VIRTIOFS_QUEUES_MAX)
		return &s->queues[index];
	error_set(err, ERROR_INVALID, "vhost-user: there is no queue %llu", (unsigned long long)index);
	return NULL;
}

/* With the queue's lock. */
static int place(struct virtiofs_server *s, struct queue *q, struct error *err)
{
	if (queue_place(q, s->memory, s->features & 1ull << VIRTIO_RING_F_INDIRECT_DESC) == 0)
		return 0;
	return error_set(err, ERROR_INVALID, "vhost-user: a queue does not lie in the guest's memory");
}

static int set_memory(struct virtiofs_server *s, const struct vhost_message *m, struct error *err)
{
	struct guest_memory *memory;
	int r = guest_memory_new(&m->table, m->fds, &memory, err);

	if (r < 0)
		return r;
	/* Requests under way keep what they began with. */
	guest_memory_drop(s->memory);
	s->memory = memory;
	for (unsigned i = 0; i < VIRTIOFS_QUEUES_MAX && r == 0; i++) {
		pthread_mutex_lock(&s->queues[i].lock);
		r = place(s, &s->queues[i], err);
		pthread_mutex_unlock(&s->queues[i].lock);
	}
	return r;
}

static int set_size(struct queue *q, uint32_t size, struct error *err)
{
	if (q->started || !size || size > VIRTIOFS_QUEUE_SIZE_MAX || size & (size - 1))
		return error_set(err, ERROR_INVALID, "vhost-user: a queue of %u", size);
	q->size = size;
	return 0;
}

static int set_base(struct queue *q, uint32_t base, struct error *err)
{
	if (q->started || base > UINT16_MAX)
		return error_set(err, ERROR_INVALID, "vhost-user: a queue that begins at %u", base);
	q->ring.next = (uint16_t)base;
	return 0;
}

static int set_addresses(
	struct virtiofs_server *s, struct queue *q, const struct vhost_addresses *a, struct error *err)
{
	q->addresses = *a;
	return place(s, q, err);
}

static int set_enabled(struct virtiofs_server *s, struct queue *q, uint32_t enabled, struct error *err)
{
	if (enabled > 1)
		return error_set(err, ERROR_INVALID, "vhost-user: a queue that is enabled by %u", enabled);
	q->enabled = enabled;
	return place(s, q, err);
}

/* Takes the message's descriptor in the place of *fd. What QEMU shares with us must hold up none of us. */
static int take_fd(struct vhost_message *m, int *fd, struct error *err)
{
	int flags;

	if (*fd >= 0)
		close(TAKE_FD(*fd));
	if (!m->fd_count)
		return 0;
	flags = fcntl(m->fds[0], F_GETFL);
	if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(m->fds[0], F_SETFL, flags | O_NONBLOCK) < 0))
		return error_errno(err, errno, "vhost-user: take a descriptor");
	*fd = TAKE_FD(m->fds[0]);
	return 0;
}

static int set_kick(struct virtiofs_server *s, struct queue *q, struct vhost_message *m, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	int r = take_fd(m, &fd, err);

	if (r < 0)
		return r;
	if (fd < 0)
		return error_set(err, ERROR_INVALID, "vhost-user: a queue that is not kicked");
	if (!(s->features & 1ull << VIRTIO_F_VERSION_1))
		return error_set(err, ERROR_INVALID,
			"virtiofs needs a modern device: -global virtio-mmio.force-legacy=false");
	if (queue_listen(q, TAKE_FD(fd)) < 0)
		return error_errno(err, errno, "vhost-user: wait for kicks");
	q->fresh = q->fresh || !q->started;
	q->started = true;
	return place(s, q, err);
}

/* What is said of one queue. */
static int tell_queue(struct virtiofs_server *s, struct queue *q, struct vhost_message *m, struct error *err)
{
	switch (m->request) {
	case VHOST_SET_VRING_NUM:
		return set_size(q, m->state.number, err);
	case VHOST_SET_VRING_BASE:
		return set_base(q, m->state.number, err);
	case VHOST_SET_VRING_ADDR:
		return set_addresses(s, q, &m->addresses, err);
	case VHOST_SET_VRING_ENABLE:
		return set_enabled(s, q, m->state.number, err);
	case VHOST_SET_VRING_KICK:
		return set_kick(s, q, m, err);
	case VHOST_SET_VRING_CALL:
		return take_fd(m, &q->call, err);
	case VHOST_SET_VRING_ERR:
	default:
		return take_fd(m, &q->error, err);
	}
}

static int about_queue(struct virtiofs_server *s, uint64_t index, struct vhost_message *m, struct error *err)
{
	struct queue *q = queue_of(s, index, err);
	int r;

	if (!q)
		return -ERROR_INVALID;
	pthread_mutex_lock(&q->lock);
	r = tell_queue(s, q, m, err);
	pthread_mutex_unlock(&q->lock);
	/* What waited in it before its kicks reach us. */
	virtiofs_wake(s);
	return r;
}

static int get_base(struct virtiofs_server *s, struct vhost_state state, struct error *err)
{
	struct queue *q = queue_of(s, state.index, err);

	if (!q)
		return -ERROR_INVALID;
	state.number = queue_stop(q);
	return vhost_reply_state(s->fd, VHOST_GET_VRING_BASE, state, err);
}

/* Requests that are answered by what they ask for: 1; 0: another one. */
static int answer(struct virtiofs_server *s, const struct vhost_message *m, struct error *err)
{
	int r;

	switch (m->request) {
	case VHOST_GET_FEATURES:
		r = vhost_reply_number(s->fd, m->request, DEVICE_FEATURES, err);
		break;
	case VHOST_GET_PROTOCOL_FEATURES:
		r = vhost_reply_number(s->fd, m->request, PROTOCOL_FEATURES, err);
		break;
	case VHOST_GET_QUEUE_NUM:
		r = vhost_reply_number(s->fd, m->request, VIRTIOFS_QUEUES_MAX, err);
		break;
	case VHOST_GET_VRING_BASE:
		r = get_base(s, m->state, err);
		break;
	default:
		return 0;
	}
	return r < 0 ? r : 1;
}

static int obey(struct virtiofs_server *s, struct vhost_message *m, struct error *err)
{
	switch (m->request) {
	case VHOST_SET_FEATURES:
		return set_features(s, m->number, err);
	case VHOST_SET_PROTOCOL_FEATURES:
		return set_protocol(s, m->number, err);
	case VHOST_SET_MEM_TABLE:
		return set_memory(s, m, err);
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_SET_VRING_ENABLE:
		return about_queue(s, m->state.index, m, err);
	case VHOST_SET_VRING_ADDR:
		return about_queue(s, m->addresses.index, m, err);
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		return about_queue(s, m->number & VHOST_INDEX_MASK, m, err);
	default: /* SET_OWNER says nothing, and RESET_OWNER is to be ignored */
		return 0;
	}
}

int front_end_serve(struct virtiofs_server *s, struct error *err)
{
	_cleanup_message_ struct vhost_message m;
	int r = vhost_receive(s->fd, &m, err);

	if (r <= 0)
		return r;
	r = answer(s, &m, err);
	if (r != 0)
		return r;
	r = obey(s, &m, err);
	if (r == 0 && m.wants_reply && s->protocol & VHOST_PROTOCOL_REPLY_ACK)
		r = vhost_reply_number(s->fd, m.request, 0, err);
	return r < 0 ? r : 1;
}
