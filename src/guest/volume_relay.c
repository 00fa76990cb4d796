/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/volume.h"
#include "guest/volume_behind.h"
#include "guest/volume_known.h"
#include "guest/volume_tcp.h"
#include "guest/volume_thread.h"
#include "guest/volume_used.h"

#define PIECE        (32768 - VOLUME_HEADER_SIZE) /* what the port's driver takes in one write, with its header */
#define READ_SIZE    65536                        /* it gives 4 KiB at a time */
#define TAKEN_SAY    (VOLUME_WINDOW / 4)          /* bytes dealt with after which the host hears of it */
#define READAHEAD    "1024"                       /* KiB */
#define NOTICES_MAX  (4u << 20)                   /* bytes that wait for the kernel */
#define WAIT         MILLISECONDS(10)             /* for changes that may go together; twice that at most */
#define RING         SIGALRM
#define REQUEST_AT   (VOLUME_HEADER_SIZE + BEHIND_BYTES_MAX) /* where one is read to */
#define REPLY_UNIQUE 8                                       /* where a reply has the number of its request */

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* which glibc has no name for (timer_create(2)) */
#endif

/* What the host says unasked, of what the kernel keeps. */
struct notice {
	struct notice *next;
	uint32_t size;
	uint8_t bytes[];
};

struct volume {
	struct volume_relay *relay;
	uint16_t number;
	int fuse, mount, readahead;
	pthread_mutex_t mutex;
	pthread_cond_t more;
	uint32_t credit; /* bytes that may be sent */
	bool over;
	struct known *known;   /* what the host need not be asked; NULL: nothing */
	struct behind *behind; /* what it is told behind; NULL: nothing */
	_Atomic uint64_t due;  /* when it is told of what waits; 0: nothing waits */
	_Atomic pid_t thread;  /* that reads the kernel's requests; 0: not yet */
	timer_t timer;         /* rings in that thread, */
	bool rings;            /* while this is set */
	uint8_t *up;           /* room for a header, what waits, and a message */
	uint8_t *down;         /* a reply that comes in pieces, `capacity` bytes */
	uint32_t down_size, capacity;
	uint32_t taken;               /* bytes dealt with that the host has not heard of */
	struct notice *first, **last; /* for the kernel, by a thread of their own */
	uint32_t notices;             /* bytes of them */
	pthread_cond_t noticed;
	bool notifying;         /* there is the thread */
	struct volume_tcp *tcp; /* it comes by NFS, and of the above has the number alone; or NULL */
};

struct volume_relay {
	int port;
	pthread_mutex_t writing;
	uint32_t count;
	_Atomic uint32_t *unsettled; /* a bit for each volume with changes that the host has not answered */
	uint8_t bytes[READ_SIZE];    /* from the port, `size` of them not dealt with */
	size_t size;
	struct volume_frame frame; /* that comes, */
	uint32_t left;             /* and how much of its data is still to come */
	struct volume volumes[VOLUMES_MAX];
};

/* Whatever breaks the connection with the host ends this process, and so everybody's waiting. */
static _Noreturn void give_up(void)
{
	_exit(1);
}

static void write_port(struct volume_relay *r, const uint8_t *bytes, size_t n)
{
	pthread_mutex_lock(&r->writing);
	while (n) {
		ssize_t done = write(r->port, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			give_up();
		bytes += done;
		n -= (size_t)done;
	}
	pthread_mutex_unlock(&r->writing);
}

static void say(struct volume *v, enum volume_frame_type type, uint32_t value)
{
	uint8_t bytes[VOLUME_HEADER_SIZE + 4];
	uint32_t length = type == VOLUME_CREDIT ? 4 : 0;

	volume_frame_encode(&(struct volume_frame){length, v->number, (uint16_t)type}, bytes);
	volume_u32_encode(value, bytes + VOLUME_HEADER_SIZE);
	write_port(v->relay, bytes, VOLUME_HEADER_SIZE + length);
}

/* The mutex is held. Nobody is to wait for this volume. */
static void settle(struct volume *v)
{
	*v->relay->unsettled &= ~(1u << v->number);
}

/* ---- from the kernel to the host: a thread for each volume ------------------------------------------- */

/* Waits until something may be sent, and takes up to `most` bytes of it. 0: nothing more is to be sent. */
static uint32_t take_credit(struct volume *v, uint32_t most)
{
	uint32_t n;

	pthread_mutex_lock(&v->mutex);
	while (!v->credit && !v->over)
		pthread_cond_wait(&v->more, &v->mutex);
	n = v->over ? 0 : v->credit < most ? v->credit : most;
	v->credit -= n;
	pthread_mutex_unlock(&v->mutex);
	return n;
}

/* A piece's header takes the place of the end of the piece before, which is sent. */
static bool send_bytes(struct volume *v, uint8_t *bytes, uint32_t size)
{
	for (uint32_t at = 0; at < size;) {
		uint32_t left = size - at, n = take_credit(v, left < PIECE ? left : PIECE);

		if (!n)
			return false;
		bytes -= at ? 0 : VOLUME_HEADER_SIZE;
		volume_frame_encode(&(struct volume_frame){n, v->number, VOLUME_DATA}, bytes + at);
		write_port(v->relay, bytes + at, VOLUME_HEADER_SIZE + n);
		at += n;
	}
	return true;
}

/* What waits goes before a request of that size; or alone, where that is 0. */
static bool send_request(struct volume *v, uint32_t size)
{
	uint8_t *messages = v->up + VOLUME_HEADER_SIZE;
	uint32_t before = 0;

	if (v->due) {
		pthread_mutex_lock(&v->mutex);
		before = (uint32_t)behind_take(v->behind, messages);
		pthread_mutex_unlock(&v->mutex);
		memmove(v->up + REQUEST_AT - before, messages, before);
		v->due = 0;
	}
	return send_bytes(v, v->up + REQUEST_AT - before, before + size);
}

/* It rings again and again: one that comes when the thread does not wait is as good as none. To set it for
 * each change, or to wait with a timeout, would cost half as much as an answer. */
static void ring_every(struct volume *v, uint64_t period)
{
	const struct timespec t = {.tv_nsec = (long)period};

	v->rings = timer_settime(v->timer, 0, &(struct itimerspec){t, t}, NULL) == 0 && period;
}

/* The mutex is held. */
static bool find_answer(struct volume *v, uint32_t size, uint8_t reply[REQUEST_REPLY_MAX], size_t *n)
{
	uint64_t now = clock_monotonic();

	if (v->known && known_answer(v->known, v->up + REQUEST_AT, size, now, reply, n))
		return true;
	if (!v->behind || !behind_answer(v->behind, v->up + REQUEST_AT, size, now, reply, n))
		return false;
	if (!v->due && behind_waits(v->behind)) {
		v->due = now + WAIT;
		*v->relay->unsettled |= 1u << v->number;
		if (!v->rings)
			ring_every(v, WAIT);
	}
	return true;
}

static bool answer_here(struct volume *v, uint32_t size)
{
	uint8_t reply[REQUEST_REPLY_MAX];
	bool known;
	size_t n;

	pthread_mutex_lock(&v->mutex);
	known = find_answer(v, size, reply, &n);
	if (known && write(v->fuse, reply, n) < 0) /* whoever asked has gone */
		errno = 0;
	pthread_mutex_unlock(&v->mutex);
	return known;
}

/* As read(2); 0: what waits is due. */
static ssize_t read_request(struct volume *v)
{
	while (!v->due || clock_monotonic() < v->due) {
		ssize_t n = read(v->fuse, v->up + REQUEST_AT, VOLUME_MESSAGE_MAX);

		if (n > 0)
			return n;
		/* ENOENT: whoever asked has gone meanwhile. */
		if (n == 0 || (errno != EINTR && errno != ENOENT))
			return -1;
		if (!v->due && v->rings)
			ring_every(v, 0);
	}
	return 0;
}

/* It only ends a read. */
static void on_ring(int number)
{
	(void)number;
}

static void make_timer(struct volume *v)
{
	struct sigevent ring = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = RING};
	struct sigaction act = {.sa_handler = on_ring};
	sigset_t set;

	v->thread = ring.sigev_notify_thread_id = gettid();
	sigaction(RING, &act, NULL);
	sigemptyset(&set);
	sigaddset(&set, RING);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	if (timer_create(CLOCK_MONOTONIC, &ring, &v->timer) < 0)
		behind_free(TAKE_PTR(v->behind)); /* then nothing may wait */
}

static void *serve_kernel(void *context)
{
	struct volume *v = context;

	make_timer(v);
	for (;;) {
		ssize_t n = read_request(v);

		if (n > 0 && answer_here(v, (uint32_t)n))
			continue;
		if (!send_request(v, n > 0 ? (uint32_t)n : 0) || n < 0)
			break;
	}
	if (v->behind)
		timer_delete(v->timer);
	pthread_mutex_lock(&v->mutex);
	if (!v->over)
		say(v, VOLUME_END, 0); /* it was unmounted */
	v->over = true;
	settle(v);
	pthread_cond_signal(&v->noticed);
	close(TAKE_FD(v->fuse));
	pthread_mutex_unlock(&v->mutex);
	return NULL;
}

/* ---- from the host to the kernel ---------------------------------------------------------------------- */

static void raise_readahead(struct volume *v)
{
	if (v->readahead < 0)
		return;
	/* The kernel has just lowered it to what it told the host before. */
	if (write(v->readahead, READAHEAD, sizeof READAHEAD - 1) < 0)
		errno = 0;
	close(TAKE_FD(v->readahead));
}

/* The kernel waits for locks, which who waits for a reply may hold: it is never to wait for us meanwhile. */
static void *serve_notices(void *context)
{
	struct volume *v = context;
	int fuse;

	pthread_mutex_lock(&v->mutex);
	fuse = v->fuse < 0 ? -1 : dup(v->fuse); /* that stays itself until the end of a write */
	while (fuse >= 0 && !v->over) {
		struct notice *n = v->first;

		if (!n) {
			pthread_cond_wait(&v->noticed, &v->mutex);
			continue;
		}
		v->first = n->next;
		v->notices -= n->size;
		pthread_mutex_unlock(&v->mutex);
		if (write(fuse, n->bytes, n->size) < 0) /* it keeps nothing of it */
			errno = 0;
		free(n);
		pthread_mutex_lock(&v->mutex);
	}
	pthread_mutex_unlock(&v->mutex);
	close(fuse);
	return NULL;
}

/* The mutex is held. What is one too many is lost: what the kernel keeps is not good for ever. */
static void queue_notice(struct volume *v)
{
	struct notice *n = v->notices < NOTICES_MAX ? malloc(sizeof *n + v->down_size) : NULL;

	if (!v->notifying)
		v->notifying = volume_thread_start(serve_notices, v, NULL) == 0;
	if (!n)
		return;
	n->size = v->down_size;
	n->next = NULL;
	memcpy(n->bytes, v->down, n->size);
	if (!v->first)
		v->last = &v->first;
	*v->last = n;
	v->last = &n->next;
	v->notices += n->size;
	pthread_cond_signal(&v->noticed);
}

/* Notices bear the number of no request (Linux, include/uapi/linux/fuse.h: fuse_out_header.unique). */
static bool is_notice(const struct volume *v)
{
	static const uint8_t none[8];

	return !memcmp(v->down + REPLY_UNIQUE, none, sizeof none);
}

/* The mutex is held. What comes is for nobody else. */
static bool heard_behind(struct volume *v, size_t *n, uint64_t now)
{
	bool ours = v->behind && behind_heard(v->behind, v->down, n, now);

	if (ours && behind_is_done(v->behind))
		settle(v);
	return ours;
}

static void give_reply(struct volume *v)
{
	uint64_t now = clock_monotonic();
	size_t n = v->down_size;

	pthread_mutex_lock(&v->mutex);
	/* One for a request that was given up meanwhile is refused, and nobody misses it. */
	if (heard_behind(v, &n, now) || (v->known && known_heard(v->known, v->down, n, now)))
		;
	else if (is_notice(v))
		queue_notice(v);
	else if (v->fuse >= 0 && write(v->fuse, v->down, n) < 0)
		errno = 0;
	pthread_mutex_unlock(&v->mutex);
	raise_readahead(v);
	v->down_size = 0;
}

static bool make_room(struct volume *v, uint32_t size)
{
	uint8_t *more;

	if (size <= v->capacity)
		return true;
	more = realloc(v->down, size);
	if (!more)
		return false;
	v->down = more;
	v->capacity = size;
	return true;
}

/* Bytes that this reply lacks; of one whose length is not known yet, of its head. 0: the host talks nonsense.
 */
static uint32_t missing(struct volume *v)
{
	uint32_t size = VOLUME_REPLY_MIN;

	if (v->down_size >= VOLUME_REPLY_MIN)
		size = volume_u32_decode(v->down);
	if (size < VOLUME_REPLY_MIN || size > VOLUME_MESSAGE_MAX || !make_room(v, size))
		return 0;
	return size - v->down_size;
}

/* So many more bytes are in v->down. */
static void took(struct volume *v, uint32_t n)
{
	v->down_size += n;
	v->taken += n;
	if (v->down_size >= VOLUME_REPLY_MIN && v->down_size == volume_u32_decode(v->down))
		give_reply(v);
	if (v->taken >= TAKEN_SAY) {
		say(v, VOLUME_CREDIT, v->taken);
		v->taken = 0;
	}
}

static void take_data(struct volume *v, const uint8_t *bytes, uint32_t n)
{
	if (v->tcp) {
		if (!volume_tcp_data(v->tcp, bytes, n))
			give_up();
		return;
	}
	while (n) {
		uint32_t lacks = missing(v), piece = lacks < n ? lacks : n;

		if (!lacks)
			give_up();
		memcpy(v->down + v->down_size, bytes, piece);
		took(v, piece);
		bytes += piece;
		n -= piece;
	}
}

static void add_credit(struct volume *v, uint32_t more)
{
	pthread_mutex_lock(&v->mutex);
	v->credit = more > VOLUME_WINDOW - v->credit ? VOLUME_WINDOW : v->credit + more;
	pthread_cond_signal(&v->more);
	pthread_mutex_unlock(&v->mutex);
}

/* The host will not answer any more: all who wait, and all who come, get ENOTCONN. Our hold on the mount
 * keeps it from being unmounted, which would uncover the directory beneath. */
static void end_volume(struct volume *v)
{
	char path[32];

	pthread_mutex_lock(&v->mutex);
	v->over = true;
	settle(v);
	pthread_cond_signal(&v->more);
	pthread_cond_signal(&v->noticed);
	pthread_mutex_unlock(&v->mutex);
	snprintf(path, sizeof path, "/proc/self/fd/%d", v->mount);
	umount2(path, MNT_FORCE);
}

static void take_other_tcp(struct volume_tcp *t, const struct volume_frame *f, const uint8_t *payload)
{
	if (f->type == VOLUME_CREDIT)
		volume_tcp_credit(t, volume_u32_decode(payload));
	else if (f->type == VOLUME_END)
		volume_tcp_end(t);
	else if (!volume_tcp_reset(t))
		give_up();
}

static void take_other(struct volume *v, const struct volume_frame *f, const uint8_t *payload)
{
	if (v->tcp)
		take_other_tcp(v->tcp, f, payload);
	else if (f->type == VOLUME_CREDIT)
		add_credit(v, volume_u32_decode(payload));
	else if (f->type == VOLUME_END)
		end_volume(v);
	else
		give_up();
}

/* Data as it comes, all else whole; how many bytes were dealt with. */
static size_t take_frames(struct volume_relay *r, const uint8_t *bytes, size_t n)
{
	size_t at = 0;

	while (at < n) {
		struct volume_frame *f = &r->frame;

		if (r->left) {
			uint32_t piece = n - at < r->left ? (uint32_t)(n - at) : r->left;

			take_data(&r->volumes[f->volume], bytes + at, piece);
			at += piece;
			r->left -= piece;
			continue;
		}
		if (n - at < VOLUME_HEADER_SIZE)
			break;
		if (volume_frame_decode(bytes + at, f, NULL) < 0 || f->volume >= r->count)
			give_up();
		if (f->type == VOLUME_DATA) {
			r->left = f->length;
		} else if (n - at < VOLUME_HEADER_SIZE + f->length) {
			break;
		} else {
			take_other(&r->volumes[f->volume], f, bytes + at + VOLUME_HEADER_SIZE);
			at += f->length;
		}
		at += VOLUME_HEADER_SIZE;
	}
	return at;
}

static size_t read_port(struct volume_relay *r, uint8_t *bytes, size_t room)
{
	ssize_t n;

	do
		n = read(r->port, bytes, room);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		give_up();
	return (size_t)n;
}

/* The rest of a reply goes where it belongs, since nothing else can come before it: copying costs more than
 * anything else here. False: there is none under way. */
static bool read_straight(struct volume_relay *r)
{
	struct volume *v = &r->volumes[r->frame.volume];
	uint32_t lacks = r->left && !v->tcp ? missing(v) : 0, n = lacks < r->left ? lacks : r->left;

	if (!n)
		return false;
	n = (uint32_t)read_port(r, v->down + v->down_size, n);
	r->left -= n;
	took(v, n);
	return true;
}

static void serve_some(struct volume_relay *r)
{
	size_t done;

	if (read_straight(r))
		return;
	r->size += read_port(r, r->bytes + r->size, sizeof r->bytes - r->size);
	done = take_frames(r, r->bytes, r->size);
	r->size -= done;
	if (r->size) /* the beginning of a frame */
		memmove(r->bytes, r->bytes + done, r->size);
}

static void *serve_host(void *relay)
{
	while (relay)
		serve_some(relay);
	return NULL;
}

/* ---- start --------------------------------------------------------------------------------------------- */

int volume_relay_new(
	int port, uint32_t count, _Atomic uint32_t *unsettled, struct volume_relay **relay, struct error *err)
{
	struct volume_relay *r = calloc(1, sizeof *r);

	if (!r || count > VOLUMES_MAX) {
		free(r);
		return error_no_memory(err, "serve volumes");
	}
	r->port = port;
	r->count = count;
	r->unsettled = unsettled;
	pthread_mutex_init(&r->writing, NULL);
	for (uint32_t i = 0; i < count; i++) {
		struct volume *v = &r->volumes[i];

		*v = (struct volume){.relay = r,
			.number = (uint16_t)i,
			.fuse = -1,
			.mount = -1,
			.readahead = -1,
			.credit = VOLUME_WINDOW};
		pthread_mutex_init(&v->mutex, NULL);
		pthread_cond_init(&v->more, NULL);
		pthread_cond_init(&v->noticed, NULL);
	}
	*relay = r;
	return 0;
}

int volume_relay_start(struct volume_relay *r, struct error *err)
{
	return volume_thread_start(serve_host, r, err);
}

int volume_relay_add(
	struct volume_relay *r, uint32_t number, const struct volume_mount *mount, struct error *err)
{
	struct volume *v = &r->volumes[number];

	v->up = malloc(REQUEST_AT + VOLUME_MESSAGE_MAX);
	if (!v->up)
		return error_no_memory(err, "serve a volume");
	v->known = known_new();
	v->behind = behind_new();
	v->fuse = mount->fuse;
	v->mount = mount->mount;
	v->readahead = mount->readahead;
	return volume_thread_start(serve_kernel, v, err);
}

void volume_relay_hurry(struct volume_relay *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		struct volume *v = &r->volumes[i];

		if (!v->due)
			continue;
		v->due = 1;
		syscall(SYS_tgkill, getpid(), v->thread, RING);
	}
}

/* ---- in a copy of the machine ------------------------------------------------------------------------- */

struct renewal {
	int fuse[VOLUMES_MAX]; /* the kernel's connections; -1: of one that is not served here */
};

/* Attributes and contents. Its names it keeps: they could only be taken from it with all that is mounted
 * below, and one that leads to what is gone it looks up anew (ESTALE; fs/namei.c: LOOKUP_REVAL). */
static void renew_object(void *context, uint32_t volume, uint64_t number)
{
	const struct renewal *renewal = context;
	struct {
		struct fuse_out_header head;
		struct fuse_notify_inval_inode_out body;
	} notice = {
		.head = {.len = sizeof notice, .error = FUSE_NOTIFY_INVAL_INODE}, .body = {.ino = number}};

	if (write(renewal->fuse[volume], &notice, sizeof notice) < 0) /* it keeps nothing of it */
		errno = 0;
}

/* Where something was made here it is known what is in it, and what is not: others may have added to that.
 * The connection, which stays itself and may wait for pages that are being written. */
static int renew_volume(struct volume *v)
{
	int fuse;

	pthread_mutex_lock(&v->mutex);
	known_free(v->known);
	v->known = known_new();
	if (v->behind)
		behind_forget(v->behind);
	fuse = v->fuse < 0 ? -1 : dup(v->fuse);
	pthread_mutex_unlock(&v->mutex);
	return fuse;
}

void volume_relay_renew(struct volume_relay *r)
{
	struct renewal renewal;
	int mounts[VOLUMES_MAX];

	for (uint32_t i = 0; i < r->count; i++) {
		struct volume *v = &r->volumes[i];

		renewal.fuse[i] = v->tcp ? -1 : renew_volume(v);
		mounts[i] = renewal.fuse[i] < 0 ? -1 : v->mount;
		if (mounts[i] >= 0)
			renew_object(&renewal, i, FUSE_ROOT_ID);
	}
	volume_used(&(struct volume_users){
		.mounts = mounts, .count = r->count, .each = renew_object, .context = &renewal});
	for (uint32_t i = 0; i < r->count; i++)
		if (renewal.fuse[i] >= 0)
			close(renewal.fuse[i]);
}

/* ---- by NFS ------------------------------------------------------------------------------------------- */

static void send_frame(void *context, enum volume_frame_type type, uint8_t *bytes, uint32_t n)
{
	struct volume *v = context;

	volume_frame_encode(&(struct volume_frame){n, v->number, (uint16_t)type}, bytes);
	write_port(v->relay, bytes, VOLUME_HEADER_SIZE + n);
}

int volume_relay_add_nfs(struct volume_relay *r, uint32_t number, uint16_t *port, struct error *err)
{
	struct volume *v = &r->volumes[number];

	return volume_tcp_new(send_frame, v, &v->tcp, port, err);
}

void volume_relay_nfs_mounted(struct volume_relay *r, uint32_t number, int mount)
{
	volume_tcp_mounted(r->volumes[number].tcp, mount);
}
