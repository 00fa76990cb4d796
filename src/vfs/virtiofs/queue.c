/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/virtiofs/queue.h"

#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"

static void close_and_forget(int *fd)
{
	if (*fd >= 0)
		close(TAKE_FD(*fd));
}

int queue_prepare(struct queue *q, int events, uint32_t event)
{
	*q = (struct queue){.kick = -1, .call = -1, .error = -1, .events = events, .event = event};
	if (pthread_mutex_init(&q->lock, NULL))
		return -1;
	if (pthread_cond_init(&q->rest, NULL) == 0)
		return 0;
	pthread_mutex_destroy(&q->lock);
	return -1;
}

/* What QEMU has open as well would stay in epoll when we close ours. */
int queue_listen(struct queue *q, int fd)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.u32 = q->event};

	if (q->kick >= 0)
		epoll_ctl(q->events, EPOLL_CTL_DEL, q->kick, NULL);
	close_and_forget(&q->kick);
	if (fd >= 0 && epoll_ctl(q->events, EPOLL_CTL_ADD, fd, &e) < 0) {
		close(fd);
		return -1;
	}
	q->kick = fd;
	return 0;
}

void queue_release(struct queue *q)
{
	queue_listen(q, -1);
	close_and_forget(&q->call);
	close_and_forget(&q->error);
	guest_memory_drop(q->memory);
	pthread_cond_destroy(&q->rest);
	pthread_mutex_destroy(&q->lock);
}

/* None of them blocks (front_end.c). */
static void signal_fd(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof one) < 0)
		return; /* it is full: it has been signalled */
}

/* The driver has to reset the device: nothing more is taken. */
static void break_ring(struct queue *q)
{
	q->broken = true;
	signal_fd(q->error);
}

int queue_place(struct queue *q, struct guest_memory *memory, bool indirect)
{
	struct ring r = q->ring;

	if (!memory || !q->started || !q->size || !q->addresses.descriptors)
		return 0;
	r.size = (uint16_t)q->size;
	r.indirect = indirect;
	if (ring_place(&r, memory, &q->addresses) < 0)
		return -1;
	if (q->fresh)
		r.next_used = __atomic_load_n(&r.used->idx, __ATOMIC_RELAXED);
	q->fresh = false;
	q->ring = r;
	guest_memory_hold(memory);
	guest_memory_drop(q->memory);
	q->memory = memory;
	return 0;
}

uint16_t queue_stop(struct queue *q)
{
	uint16_t next;

	pthread_mutex_lock(&q->lock);
	q->started = false;
	while (q->ring.out)
		pthread_cond_wait(&q->rest, &q->lock);
	guest_memory_drop(TAKE_PTR(q->memory));
	queue_listen(q, -1);
	close_and_forget(&q->call);
	q->broken = false;
	next = q->ring.next;
	pthread_mutex_unlock(&q->lock);
	return next;
}

int queue_take(struct queue *q, struct job *job, bool *more)
{
	int r = 0;

	pthread_mutex_lock(&q->lock);
	if (q->started && q->enabled && q->memory && !q->broken) {
		r = ring_take(&q->ring, q->memory, &job->chain);
		if (r < 0)
			break_ring(q);
		if (r > 0) {
			job->memory = guest_memory_hold(q->memory);
			*more = ring_has_more(&q->ring);
		}
	}
	pthread_mutex_unlock(&q->lock);
	return r > 0;
}

void queue_give(struct queue *q, struct job *job, uint32_t written)
{
	pthread_mutex_lock(&q->lock);
	ring_give(&q->ring, job->chain.head, written);
	if (ring_wants_call(&q->ring))
		signal_fd(q->call);
	if (!q->ring.out)
		pthread_cond_signal(&q->rest);
	pthread_mutex_unlock(&q->lock);
	guest_memory_drop(TAKE_PTR(job->memory));
}
