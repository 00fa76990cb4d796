/* SPDX-License-Identifier: Apache-2.0 */
#include "net/server/server.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "net/groups.h"
#include "net/server/server_parts.h"

static void on_listening(uv_poll_t *handle, int status, int events);

static void on_listen_again(uv_timer_t *handle)
{
	struct server *s = handle->data;

	uv_poll_start(&s->listening, UV_READABLE, on_listening);
}

static void on_listening(uv_poll_t *handle, int status, int events)
{
	struct server *s = handle->data;

	(void)status;
	(void)events;
	if (client_accept(s))
		return;
	/* What waits there would wake us again and again. */
	uv_poll_stop(&s->listening);
	uv_timer_start(&s->listen_again, on_listen_again, 1000, 0);
}

static void on_watching(uv_poll_t *handle, int status, int events)
{
	struct server *s = handle->data;

	(void)status;
	(void)events;
	if (host_watch_drain(s->watch))
		server_read_host(s);
}

static void on_tick(uv_timer_t *handle)
{
	struct server *s = handle->data;

	if (s->sw)
		switch_tick(s->sw, clock_monotonic());
}

/* The switch wants to be called at a time that any call may have moved. */
static void on_wait(uv_prepare_t *handle)
{
	struct server *s = handle->data;
	uint64_t due = s->sw ? switch_next_tick(s->sw) : UINT64_MAX, now;

	if (due == UINT64_MAX) {
		uv_timer_stop(&s->tick);
		return;
	}
	now = clock_monotonic();
	uv_update_time(&s->loop);
	uv_timer_start(&s->tick, on_tick, due <= now ? 0 : (due - now) / 1000000 + 1, 0);
}

/* ---- the end ----------------------------------------------------------------------------------------- */

static void close_handle(uv_handle_t *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void end(struct server *s)
{
	s->ending = true;
	/* Nobody finds us any more, and who is in the queue already is told by its end to start another. */
	unlinkat(s->config.directory, "control", 0);
	close_handle((uv_handle_t *)&s->listening);
	close_handle((uv_handle_t *)&s->before_wait);
	close_handle((uv_handle_t *)&s->tick);
	close_handle((uv_handle_t *)&s->linger);
	close_handle((uv_handle_t *)&s->listen_again);
	close_handle((uv_handle_t *)&s->terminate);
	if (s->watch >= 0) {
		uv_poll_stop(&s->watching);
		close(TAKE_FD(s->watch));
		close_handle((uv_handle_t *)&s->watching);
	}
	while (s->clients)
		client_drop(s->clients);
	server_close_group(s);
}

static void on_linger(uv_timer_t *handle)
{
	end(handle->data);
}

static void on_terminate(uv_signal_t *handle, int number)
{
	struct server *s = handle->data;

	(void)number;
	if (!s->ending)
		end(s);
}

void server_linger(struct server *s)
{
	uint64_t linger = s->config.linger ? s->config.linger : NET_LINGER;
	bool needed = s->members != NULL;

	if (s->ending)
		return;
	for (struct client *c = s->clients; c; c = c->next)
		needed = needed || !c->looks;
	uv_update_time(&s->loop);
	if (needed)
		uv_timer_stop(&s->linger);
	else
		uv_timer_start(&s->linger, on_linger, s->single ? 0 : linger / 1000000, 0);
}

/* ---- the beginning ----------------------------------------------------------------------------------- */

static int start(struct server *s, struct error *err)
{
	if (uv_loop_init(&s->loop) < 0)
		return error_set(err, ERROR_SYSTEM, "make a loop");
	uv_timer_init(&s->loop, &s->tick);
	uv_timer_init(&s->loop, &s->linger);
	uv_timer_init(&s->loop, &s->listen_again);
	uv_prepare_init(&s->loop, &s->before_wait);
	uv_signal_init(&s->loop, &s->terminate);
	s->tick.data = s->linger.data = s->listen_again.data = s->before_wait.data = s->terminate.data = s;
	uv_signal_start(&s->terminate, on_terminate, SIGTERM);
	uv_prepare_start(&s->before_wait, on_wait);
	if (uv_poll_init(&s->loop, &s->listening, s->config.listener) < 0)
		return error_set(err, ERROR_SYSTEM, "listen at the control socket");
	s->listening.data = s;
	uv_poll_start(&s->listening, UV_READABLE, on_listening);
	/* Without it, addresses that the host gets later are not known; that is no reason to be no network.
	 */
	if (host_watch_open(&s->watch, NULL) < 0 || uv_poll_init(&s->loop, &s->watching, s->watch) < 0)
		s->watch = -1;
	else {
		s->watching.data = s;
		uv_poll_start(&s->watching, UV_READABLE, on_watching);
	}
	server_linger(s);
	return 0;
}

int net_server_run(const struct net_server_config *config, struct error *err)
{
	struct server s = {.config = *config, .watch = -1};
	int r = start(&s, err);

	if (r < 0)
		return r; /* the process ends */
	uv_run(&s.loop, UV_RUN_DEFAULT);
	uv_loop_close(&s.loop);
	free(s.group);
	return 0;
}
