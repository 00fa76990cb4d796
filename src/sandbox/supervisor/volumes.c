/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/supervisor/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/landlock.h"
#include "sandbox/supervisor/volume_loop.h"
#include "sandbox/volume.h"
#include "sandbox/volume_guard.h"

#define READY_SECONDS 20

CLEANUP_DEFINE(volumes, struct volumes, volumes_close);

static int give_source(struct volumes *v, const struct home *home, const struct record *record,
	const struct record_mount *m, struct error *err)
{
	_cleanup_fd_ int source = volume_open(home, m, err);
	_cleanup_buffer_ struct buffer guarded = {0};
	uint32_t flags = keeper_flags(m) | (v->nfs ? VOLUME_SERVER_NFS : 0u);
	struct stat s;
	bool all;
	int r;

	if (source < 0)
		return source;
	if (fstat(source, &s) < 0)
		return error_errno(err, errno, "look at the volume %s", m->target);
	if (v->nfs && !S_ISDIR(s.st_mode))
		return error_set(err, ERROR_INVALID,
			"volume %s: a file comes by the driver fuse alone, which is the default", m->target);
	r = volume_guard(record, m, source, &guarded, &all, err);
	if (r == 0)
		r = keeper_add(&v->keeper, v->count, flags | (all ? VOLUME_SERVER_READ_ONLY : 0u), &source, 1,
			&guarded, m->target, err);
	if (r < 0)
		return r;
	v->flags[v->count] = v->nfs ? MOUNT_NFS : S_ISREG(s.st_mode) ? MOUNT_FILE : 0;
	v->roots[v->count] = s.st_ino;
	v->servers[v->count] = (struct server){
		.state = SERVER_NONE, .fd = -1, .pid_fd = -1, .replaces = v->saved, .until = v->saved};
	volume_loop_ask(v, v->count);
	v->count++;
	return text_list_add(&v->targets, m->target, err);
}

/* ---- the thread -------------------------------------------------------------------------------------------
 */

/* All that it needs is open. Landlock binds the thread that enters it. */
static void *run_loop(void *context)
{
	int abi = landlock_abi(), rules = abi > 0 ? landlock_new(abi, 0) : -1;

	if (rules >= 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		landlock_enter(rules);
	if (rules >= 0)
		close(rules);
	volume_loop(context);
	return NULL;
}

static int start_thread(struct volumes *v, struct error *err)
{
	sigset_t all, before;
	int r;

	sigfillset(&all); /* signals are for the other thread */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&v->thread, NULL, run_loop, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	v->threaded = r == 0;
	return r ? error_errno(err, r, "start a thread") : 0;
}

static void wake(struct volumes *v)
{
	const uint64_t one = 1;

	if (write(v->wake, &one, sizeof one) < 0) /* it is awake already */
		errno = 0;
}

/* ---- for the supervisor -----------------------------------------------------------------------------------
 */

static struct volumes *new_volumes(struct error *err)
{
	struct volumes *v = calloc(1, sizeof *v);
	pthread_condattr_t monotonic;

	if (!v) {
		error_no_memory(err, "serve volumes");
		return NULL;
	}
	v->keeper = KEEPER_NONE;
	v->port = v->news[0] = v->news[1] = -1;
	pthread_mutex_init(&v->mutex, NULL);
	pthread_mutex_init(&v->turn, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&v->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	v->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->wake < 0 || pipe2(v->news, O_CLOEXEC | O_NONBLOCK) < 0) {
		error_errno(err, errno, "serve volumes");
		volumes_close(TAKE_PTR(v));
	}
	return v;
}

/* ---- copies of the guest -------------------------------------------------------------------------------
 */

static bool is_still(struct volumes *v)
{
	int unread = 0;

	return v->port >= 0 && ioctl(v->port, SIOCOUTQ, &unread) == 0 && !unread &&
	       volume_mux_is_idle(v->mux);
}

int volumes_hold(struct volumes *v, uint64_t deadline, struct error *err)
{
	if (!v)
		return 0;
	for (;;) {
		pthread_mutex_lock(&v->turn);
		if (is_still(v)) {
			v->still = true;
			return 0;
		}
		pthread_mutex_unlock(&v->turn);
		if (clock_monotonic() > deadline)
			return error_set(err, ERROR_BUSY, "its volumes do not come to rest");
		poll(NULL, 0, 1);
	}
}

bool volumes_are_still(struct volumes *v)
{
	if (!v)
		return true;
	volume_loop_drain(v);
	return is_still(v);
}

void volumes_save(const struct volumes *v, struct buffer *out)
{
	for (uint32_t i = 0; i < v->count; i++)
		buffer_u64(out, v->roots[i]);
	volume_mux_save(v->mux, out);
}

void volumes_go_on(struct volumes *v)
{
	if (!v || !v->still)
		return;
	v->still = false;
	pthread_mutex_unlock(&v->turn);
	wake(v);
}

static int load(struct volumes *v, const struct buffer *saved, struct error *err)
{
	struct cursor in = cursor_of(saved->data, saved->size);

	for (uint32_t i = 0; i < v->count; i++)
		if (cursor_u64(&in) != v->roots[i])
			return error_set(err, ERROR_UNAVAILABLE,
				"volume %s: it is not the directory that it was when the sandbox was saved",
				v->targets[i]);
	return volume_mux_load(v->mux, &in, err);
}

int volumes_open(const struct home *home, const struct record *r, const struct volumes_saved *saved,
	struct volumes **out, struct error *err)
{
	_cleanup_(cleanup_volumes) struct volumes *v = NULL;
	enum volume_driver driver;
	int result;

	*out = NULL;
	result = volume_driver_parse(r->volume_driver, &driver, err);
	if (result < 0 || driver == VOLUME_DRIVER_VIRTIOFS || !r->mount_count)
		return result;
	v = new_volumes(err);
	if (!v)
		return -ERROR_SYSTEM;
	v->nfs = driver == VOLUME_DRIVER_NFS;
	v->saved = saved ? saved->moment : 0;
	result = keeper_start(&v->keeper, err);
	for (uint32_t i = 0; result == 0 && i < r->mount_count; i++)
		result = give_source(v, home, r, &r->mounts[i], err);
	if (result == 0)
		result = volume_mux_new(v->count, &v->mux, err);
	if (result == 0 && saved)
		result = load(v, saved->known, err);
	for (uint32_t i = 0; result == 0 && v->nfs && i < v->count; i++)
		volume_mux_set_stream(v->mux, i);
	if (result == 0)
		*out = TAKE_PTR(v);
	return result;
}

static int await(struct volumes *v, struct error *err)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += READY_SECONDS;
	pthread_mutex_lock(&v->mutex);
	while (!v->failed && v->ready < v->count && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&v->changed, &v->mutex, &until);
	r = 0;
	if (v->failed) {
		*err = v->failure;
		r = -(int)v->failure.code;
	} else if (v->ready < v->count) {
		r = error_set(err, ERROR_TIMEOUT, "a directory that is to be a volume does not answer");
	}
	pthread_mutex_unlock(&v->mutex);
	return r;
}

int volumes_serve(struct volumes *v, int port, struct error *err)
{
	int r;

	if (!v)
		return 0;
	v->port = port;
	r = start_thread(v, err);
	return r < 0 ? r : await(v, err);
}

uint32_t volumes_flags(const struct volumes *v, uint32_t number)
{
	return v->flags[number];
}

bool volumes_are_nfs(const struct volumes *v)
{
	return v && v->nfs;
}

int volumes_news_fd(const struct volumes *v)
{
	return v ? v->news[0] : -1;
}

bool volumes_news(struct volumes *v, struct error *news)
{
	return read(v->news[0], news, sizeof *news) == sizeof *news;
}

void volumes_close(struct volumes *v)
{
	if (!v)
		return;
	volumes_go_on(v);
	v->stop = true;
	if (v->threaded) {
		wake(v);
		pthread_join(v->thread, NULL);
	}
	keeper_end(&v->keeper);
	for (size_t i = 0; i < 3; i++) {
		int fd = ((int[]){v->wake, v->news[0], v->news[1]})[i];

		if (fd >= 0)
			close(fd);
	}
	volume_mux_free(v->mux);
	text_list_free(v->targets);
	pthread_mutex_destroy(&v->mutex);
	pthread_mutex_destroy(&v->turn);
	pthread_cond_destroy(&v->changed);
	free(v);
}
