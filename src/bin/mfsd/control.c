/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/mfsd/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "codec/secret.h"
#include "monofs/live.h"
#include "monofs/mount.h"
#include "monofs/mount_wire.h"
#include "os/unix_socket.h"

#define CLIENTS_MAX 64u
#define PATIENCE    2 /* seconds for which a client may take to send or take a message: others wait */

struct client {
	int fd; /* -1: free */
	bool holds, ends;
	unsigned hold; /* enum mount_hold */
	char *who;
};

struct control {
	struct control_options o;
	int directory, listener, wake[2];
	char name[24];
	uint64_t since;
	pthread_t thread;
	bool threaded, was_held, unmounted;
	struct client clients[CLIENTS_MAX];
};

static bool is_live(const struct control *c)
{
	return !(c->o.start->flags & MOUNT_START_COMMIT);
}

/* ---- clients ------------------------------------------------------------------------------------------- */

static unsigned holders(const struct control *c)
{
	unsigned count = 0;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		count += c->clients[i].fd >= 0 && c->clients[i].holds;
	return count;
}

static void unmount_unheld(struct control *c)
{
	if (!(c->o.start->flags & MOUNT_START_HELD) || !c->was_held || holders(c) || c->unmounted)
		return;
	c->unmounted = c->o.end(c->o.context, true, NULL) == 0;
}

/* What a run did becomes a revision, or is undone. */
static int let_go(struct control *c, struct client *k, bool well, const char *how, struct object_id *id,
	bool *made, struct error *err)
{
	_cleanup_free_ char *message = text_format(err, "%s %s", k->who, how);
	struct live_state state;
	int r = 0;

	*made = false;
	k->holds = false;
	if (!message)
		r = -ERROR_NO_MEMORY;
	else if (!well && k->hold & MOUNT_UNDO)
		r = live_roll_back(c->o.fs, err);
	else if (k->hold & MOUNT_MARK)
		r = live_commit(c->o.fs, c->o.start->author, message, id, made, err);
	if (r == 0 && !*made) {
		live_state(c->o.fs, &state);
		*id = state.base;
	}
	return r;
}

static void drop(struct control *c, struct client *k)
{
	struct object_id id;
	bool made;

	if (k->holds)
		let_go(c, k, false, "ended without a word", &id, &made, NULL);
	close(k->fd);
	free(k->who);
	*k = (struct client){.fd = -1};
	unmount_unheld(c);
}

static void accept_client(struct control *c)
{
	const struct timeval patience = {.tv_sec = PATIENCE};
	int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].fd < 0 && unix_socket_check_peer(fd, NULL) == 0) {
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
			c->clients[i].fd = fd;
			return;
		}
	close(fd);
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static int malformed(struct error *err)
{
	return error_set(err, ERROR_INVALID, "a malformed request");
}

static int need_live(const struct control *c, struct error *err)
{
	return is_live(c) ? 0
			  : error_set(err, ERROR_INVALID, "%s shows a revision, which nobody can write to",
				    c->o.start->directory);
}

static void put_state(const struct control *c, struct buffer *out)
{
	const struct mfsd_start *start = c->o.start;
	struct live_state state = {.base = start->commit};

	if (is_live(c))
		live_state(c->o.fs, &state);
	buffer_string(out, start->repository);
	buffer_string(out, start->directory);
	buffer_string(out, start->revision);
	buffer_u8(out, is_live(c));
	buffer_append(out, state.base.bytes, OBJECT_ID_SIZE);
	buffer_u64(out, state.dirty);
	buffer_u64(out, state.journal_bytes);
	buffer_u64(out, c->since);
	buffer_u32(out, (uint32_t)getpid());
}

static void put_commit(const struct object_id *id, bool made, struct buffer *out)
{
	buffer_append(out, id->bytes, OBJECT_ID_SIZE);
	buffer_u8(out, made);
}

static int commit(struct control *c, struct cursor *in, struct buffer *out, struct error *err)
{
	_cleanup_free_ char *author = cursor_string(in), *message = cursor_string(in);
	bool named = cursor_u8(in), made;
	struct object_id id;
	int r;

	if (!cursor_done(in))
		return malformed(err);
	r = need_live(c, err);
	if (r == 0)
		r = live_commit(c->o.fs, author, named ? message : NULL, &id, &made, err);
	if (r == 0)
		put_commit(&id, made, out);
	return r;
}

static int roll_back(struct control *c, struct error *err)
{
	int r = need_live(c, err);

	return r < 0 ? r : live_roll_back(c->o.fs, err);
}

static int give_key(const struct control *c, struct buffer *out, struct error *err)
{
	const uint8_t *master = repository_master(c->o.repository);

	if (!master)
		return error_set(err, ERROR_NOT_FOUND, "the repository is not encrypted");
	buffer_append(out, master, CRYPT_KEY_SIZE);
	return 0;
}

static int hold(struct control *c, struct client *k, struct cursor *in, struct error *err)
{
	unsigned what = cursor_u32(in);
	_cleanup_free_ char *who = cursor_string(in);
	int r = is_live(c) || !what ? 0 : need_live(c, err);

	if (!cursor_done(in) || what & ~(unsigned)(MOUNT_MARK | MOUNT_UNDO))
		return malformed(err);
	if (r < 0)
		return r;
	if (what & MOUNT_UNDO && (!(c->o.start->flags & MOUNT_START_HELD) || holders(c)))
		return error_set(err, ERROR_BUSY,
			"%s is used by others as well: what they do would be undone, too. Detach it first",
			c->o.start->directory);
	free(k->who);
	k->who = TAKE_PTR(who);
	k->hold = what;
	k->holds = c->was_held = true;
	return 0;
}

static int release(
	struct control *c, struct client *k, struct cursor *in, struct buffer *out, struct error *err)
{
	bool well = cursor_u8(in), made;
	_cleanup_free_ char *how = cursor_string(in);
	struct object_id id = c->o.start->commit;
	int r = 0;

	if (!cursor_done(in))
		return malformed(err);
	if (!k->holds)
		return error_set(err, ERROR_INVALID, "who lets go does not hold it");
	if (is_live(c))
		r = let_go(c, k, well, how, &id, &made, err);
	else
		k->holds = made = false;
	if (r == 0)
		put_commit(&id, made, out);
	return r;
}

/* The answer comes by control_end(), when all is done. */
static int stop(struct control *c, struct client *k, struct cursor *in, struct error *err)
{
	bool force = cursor_u8(in);
	int r = 0;

	if (!cursor_done(in))
		return malformed(err);
	if (!force && holders(c))
		return error_set(err, ERROR_BUSY, "%s has it as a volume", k->who ? k->who : "a sandbox");
	if (!c->unmounted)
		r = c->o.end(c->o.context, force, err);
	c->unmounted |= r == 0;
	k->ends = r == 0;
	if (r == 0 && force)
		c->o.leave(c->o.context, c);
	return r;
}

static int answer(
	struct control *c, struct client *k, struct cursor *in, struct buffer *out, struct error *err)
{
	switch (cursor_u32(in)) {
	case MOUNT_STATE:
		put_state(c, out);
		return 0;
	case MOUNT_COMMIT:
		return commit(c, in, out, err);
	case MOUNT_ROLL_BACK:
		return roll_back(c, err);
	case MOUNT_KEY:
		return give_key(c, out, err);
	case MOUNT_HOLD:
		return hold(c, k, in, err);
	case MOUNT_RELEASE:
		return release(c, k, in, out, err);
	case MOUNT_STOP:
		return stop(c, k, in, err);
	default:
		return malformed(err);
	}
}

static int reply(const struct client *k, int r, const struct error *failure, const struct buffer *body)
{
	_cleanup_secret_buffer_ struct buffer whole = {0};

	buffer_reserve(&whole, body->size + sizeof failure->text + 16);
	buffer_u32(&whole, r < 0 ? (uint32_t)failure->code : 0);
	if (r < 0)
		buffer_string(&whole, failure->text);
	else
		buffer_append(&whole, body->data, body->size);
	return mount_send(k->fd, &whole, NULL);
}

static void serve_client(struct control *c, struct client *k)
{
	_cleanup_secret_buffer_ struct buffer body = {0};
	_cleanup_buffer_ struct buffer message = {0};
	struct error failure = {0};
	struct cursor in;
	int r = mount_receive(k->fd, &message, NULL);

	if (r == 0) {
		in = cursor_of(message.data, message.size);
		r = answer(c, k, &in, &body, &failure);
		if (r == 0 && k->ends)
			return;
		r = reply(k, r, &failure, &body);
	}
	if (r < 0)
		drop(c, k);
	unmount_unheld(c);
}

/* ---- the thread ---------------------------------------------------------------------------------------- */

static void *loop(void *context)
{
	struct control *c = context;
	struct pollfd p[CLIENTS_MAX + 2];

	for (;;) {
		p[0] = (struct pollfd){.fd = c->wake[0], .events = POLLIN};
		p[1] = (struct pollfd){.fd = c->listener, .events = POLLIN};
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			p[i + 2] = (struct pollfd){
				.fd = c->clients[i].ends ? -1 : c->clients[i].fd, .events = POLLIN};
		if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			break;
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			if (p[i + 2].revents && c->clients[i].fd >= 0)
				serve_client(c, &c->clients[i]);
		if (p[1].revents)
			accept_client(c);
	}
	return NULL;
}

int control_new(const struct control_options *o, struct control **out, struct error *err)
{
	_cleanup_(cleanup_control) struct control *c = calloc(1, sizeof *c);
	int r;

	if (!c)
		return error_no_memory(err, "serve the socket of a mount");
	c->o = *o;
	c->since = clock_realtime();
	c->listener = c->wake[0] = c->wake[1] = -1;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	snprintf(c->name, sizeof c->name, "%u", (unsigned)getpid());
	c->directory = r = mount_directory(err);
	if (r >= 0)
		r = unix_socket_listen(c->directory, c->name, &c->listener, err);
	if (r < 0)
		return r;
	if (pipe(c->wake) < 0)
		return error_errno(err, errno, "make a pipe");
	*out = TAKE_PTR(c);
	return 0;
}

int control_run(struct control *c, struct error *err)
{
	sigset_t all, before;
	int r;

	sigfillset(&all); /* signals are for the thread that serves */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&c->thread, NULL, loop, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	c->threaded = r == 0;
	return r ? error_errno(err, r, "start a thread") : 0;
}

void control_stop(struct control *c)
{
	if (c->threaded) {
		close(c->wake[1]);
		c->wake[1] = -1;
		pthread_join(c->thread, NULL);
	}
	c->threaded = false;
	if (c->directory >= 0)
		unlinkat(c->directory, c->name, 0);
}

void control_end(struct control *c, int r, const struct error *err)
{
	const struct buffer nothing = {0};

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (c->clients[i].fd >= 0 && c->clients[i].ends)
			reply(&c->clients[i], r, err, &nothing);
}

void control_free(struct control *c)
{
	control_stop(c);
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (c->clients[i].fd >= 0)
			close(c->clients[i].fd);
		free(c->clients[i].who);
	}
	for (size_t i = 0; i < 3; i++) {
		int fd = ((int[]){c->listener, c->directory, c->wake[0]})[i];

		if (fd >= 0)
			close(fd);
	}
	if (c->wake[1] >= 0)
		close(c->wake[1]);
	free(c);
}
