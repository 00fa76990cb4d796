/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "os/fs.h"
#include "sandbox/supervise.h"
#include "sandbox/supervisor/keeper.h"
#include "sandbox/supervisor/metrics.h"
#include "sandbox/supervisor/supervisor.h"

/* What the guest's clock was set to at its start may have been old when it came, and clocks drift. */
#define CLOCK_FIRST_MS 1000
#define CLOCK_EVERY_MS 300000
#define SHARES_LOST_MS 1000 /* for the machine to have ended as well: that ends the servers, too */

static void on_agent(uv_poll_t *handle, int status, int events)
{
	struct supervisor *s = handle->data;

	if (status < 0 || ((events & UV_WRITABLE) && peer_flush(&s->agent, NULL) < 0)) {
		uv_poll_stop(handle);
		return;
	}
	if (events & UV_READABLE)
		agent_readable(s);
	supervisor_watch(s);
}

static void on_listener(uv_poll_t *handle, int status, int events)
{
	(void)events;
	if (status == 0)
		clients_accept(handle->data);
}

static void on_vm(uv_poll_t *handle, int status, int events)
{
	struct supervisor *s = handle->data;

	(void)status;
	(void)events;
	/* What the guest said last may still be in the socket. */
	for (int i = 0; i < 64 && uv_is_active((uv_handle_t *)&s->agent_poll); i++)
		agent_readable(s);
	uv_poll_stop(&s->agent_poll);
	uv_poll_stop(handle);
	supervisor_vm_ended(s);
	supervisor_watch(s);
}

static void on_console(uv_poll_t *handle, int status, int events)
{
	struct supervisor *s = handle->data;

	if (!console_read(&s->console) || status < 0 || (events & UV_DISCONNECT))
		uv_poll_stop(handle);
}

static void on_volumes(uv_poll_t *handle, int status, int events)
{
	struct supervisor *s = handle->data;
	struct error news;

	(void)events;
	while (status == 0 && volumes_news(s->volumes, &news))
		if (news.code)
			supervisor_fail(s, &news);
		else
			supervisor_note(s, "%s", news.text);
	supervisor_watch(s);
}

static void watch_networks(struct supervisor *s);

static void on_networks_timer(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	networks_ready(s->networks);
	watch_networks(s);
	supervisor_watch(s);
}

static void on_networks(uv_poll_t *handle, int status, int events)
{
	(void)events;
	if (status == 0)
		on_networks_timer(&((struct supervisor *)handle->data)->networks_timer);
}

/* The timer goes off when the next try to reach a network is due. */
static void watch_networks(struct supervisor *s)
{
	uint64_t next = networks_next(s->networks), now = clock_monotonic();

	if (next == UINT64_MAX)
		uv_timer_stop(&s->networks_timer);
	else
		uv_timer_start(&s->networks_timer, on_networks_timer,
			next > now ? (next - now) / MILLISECONDS(1) + 1 : 0, 0);
}

static void on_lost_share(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;
	bool runs = s->phase == PHASE_RUNNING || s->stop_step == STOP_ASKED || s->stop_step == STOP_KILLED;
	struct error why;

	if (runs && shares_lost(s->shares, &why))
		supervisor_fail(s, &why);
	supervisor_watch(s);
}

static void on_shares(uv_poll_t *handle, int status, int events)
{
	struct supervisor *s = handle->data;

	(void)status;
	(void)events;
	uv_poll_stop(handle);
	uv_timer_start(&s->shares_timer, on_lost_share, SHARES_LOST_MS, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
	(void)number;
	supervisor_stop(handle->data, 0);
	supervisor_watch(handle->data);
}

static void on_clock(uv_timer_t *timer)
{
	struct supervisor *s = timer->data;

	if (s->phase == PHASE_RUNNING)
		agent_send_clock(s);
	supervisor_watch(s);
}

static void watch_agent(struct supervisor *s)
{
	struct error err;

	if (s->agent.out.failed) {
		error_set(&err, ERROR_LIMIT, "the guest takes nothing of what is sent to it");
		supervisor_fail(s, &err);
		return;
	}
	uv_poll_start(&s->agent_poll, UV_READABLE | (peer_has_output(&s->agent) ? UV_WRITABLE : 0), on_agent);
}

/* The agent's socket is read as long as there is a guest; each descriptor is polled for writing while bytes
 * are queued. Who lets a queue grow to its end is given up. The loop ends when the VM is gone and every
 * client has what was queued for it. */
void supervisor_watch(struct supervisor *s)
{
	bool queued = false;

	if (s->phase != PHASE_ENDED && uv_is_active((uv_handle_t *)&s->agent_poll))
		watch_agent(s);
	for (struct client *c = s->clients, *next; c; c = next) {
		next = c->next;
		if (c->peer.out.failed) {
			client_drop(c);
			continue;
		}
		queued |= peer_has_output(&c->peer);
		client_watch(c);
	}
	if (s->phase == PHASE_ENDED && !queued)
		uv_stop(&s->loop);
}

static void watch_fd(struct supervisor *s, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
	uv_poll_init(&s->loop, poll, fd);
	poll->data = s;
	uv_poll_start(poll, UV_READABLE, callback);
}

int supervisor_loop(struct supervisor *s, struct error *err)
{
	static const int ends[] = {SIGTERM, SIGINT, SIGHUP};

	watch_fd(s, &s->agent_poll, s->agent.fd, on_agent);
	if (s->listener >= 0)
		watch_fd(s, &s->listener_poll, s->listener, on_listener);
	watch_fd(s, &s->vm_poll, vm_process_fd(s->vm), on_vm);
	watch_fd(s, &s->console_poll, s->console.fd, on_console);
	if (s->volumes)
		watch_fd(s, &s->volumes_poll, volumes_news_fd(s->volumes), on_volumes);
	if (s->networks) {
		watch_fd(s, &s->networks_poll, networks_fd(s->networks), on_networks);
		watch_networks(s);
	}
	if (s->shares)
		watch_fd(s, &s->shares_poll, shares_watch_fd(s->shares), on_shares);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, ends[i]);
	}
	uv_timer_start(&s->clock_timer, on_clock, CLOCK_FIRST_MS, CLOCK_EVERY_MS);
	/* Frames that came together with the answers to the start are in the reader already. */
	agent_readable(s);
	supervisor_watch(s);
	if (uv_run(&s->loop, UV_RUN_DEFAULT) < 0)
		return error_set(err, ERROR_SYSTEM, "the event loop failed");
	return 0;
}

static void close_handle(uv_handle_t *handle, void *unused)
{
	(void)unused;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void close_loop(struct supervisor *s)
{
	while (s->clients)
		client_drop(s->clients);
	uv_walk(&s->loop, close_handle, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_loop_close(&s->loop);
}

static int open_sandbox(struct supervisor *s, const struct supervise_options *options, struct error *err)
{
	int r = home_open(options->home, &s->home, err);

	if (r < 0)
		return r;
	snprintf(s->directory.id, sizeof s->directory.id, "%s", options->id);
	s->directory.fd =
		fs_open(s->home.sandboxes, options->id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (s->directory.fd < 0)
		return s->directory.fd;
	s->directory.lock = options->lock;
	r = record_read(s->directory.fd, &s->record, err);
	s->discard = r == 0 && s->record.discard && !record_has_staged(&s->record);
	s->fresh = faccessat(s->directory.fd, "state.json", F_OK, 0) < 0;
	return r;
}

static void end_failed_start(struct supervisor *s, const struct error *why)
{
	supervisor_note(s, "%s", why->text);
	s->discard = s->record.discard && (s->discard || s->fresh);
	s->phase = PHASE_ENDED;
	s->status.finished = s->status.restarts ? clock_realtime() : s->status.started;
	s->status.exit_status = (uint64_t)error_exit_status((int)why->code);
	free(s->status.reason);
	s->status.reason = strdup(why->text);
	if (!s->discard)
		supervisor_set_state(s, s->status.restarts ? supervisor_end_state(s) : "stopped", NULL);
	/* Who has started it is told, and finds it as it is now; nobody is told when it is started again. */
	if (s->clients && s->start_stream)
		peer_send_error(&s->clients->peer, s->start_stream, why);
}

static int live(struct supervisor *s, int client, struct error *err)
{
	int r;

	if (uv_loop_init(&s->loop) < 0)
		return error_set(err, ERROR_SYSTEM, "make an event loop");
	uv_timer_init(&s->loop, &s->stop_timer);
	uv_timer_init(&s->loop, &s->clock_timer);
	uv_timer_init(&s->loop, &s->shares_timer);
	uv_timer_init(&s->loop, &s->networks_timer);
	uv_timer_init(&s->loop, &s->check.timer);
	s->stop_timer.data = s->clock_timer.data = s->shares_timer.data = s->networks_timer.data =
		s->check.timer.data = s;
	if (client >= 0 && !client_add(s, client, err))
		return -ERROR_LIMIT;
	r = supervisor_start(s, err);
	if (r == 0) {
		supervisor_confine(s);
		s->metrics = s->upper_only ? NULL : metrics_keeper_open(s);
		r = supervisor_loop(s, err);
	} else
		end_failed_start(s, err);
	if (s->clients)
		peer_flush(&s->clients->peer, NULL);
	metrics_keeper_stop(s->metrics);
	supervisor_cleanup(s);
	close_loop(s);
	metrics_keeper_free(s->metrics); /* whose thread has come to its end in the loop */
	return r;
}

int supervise(const struct supervise_options *options, struct error *err)
{
	struct supervisor s = {.directory = DIRECTORY_NONE,
		.home = {.fd = -1},
		.agent = PEER_NONE,
		.listener = -1,
		.root = ROOT_NONE,
		.disk_fd = -1,
		.console = {.fd = -1}};
	struct restart restart;
	int r = open_sandbox(&s, options, err);

	if (r == 0)
		r = restart_parse(s.record.restart, &restart, err);
	if (r < 0)
		return r;
	signal(SIGPIPE, SIG_IGN);
	s.pid = getpid();
	if (restart.when == RESTARTED_NEVER)
		return live(&s, options->client, err);
	return keeper_run(&s, &restart, options->client, live, err);
}
