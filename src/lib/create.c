/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes come into being and start. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/message.h"
#include "lib/guard.h"
#include "lib/handle.h"
#include "lib/process.h"
#include "lib/supervisor.h"
#include "sandbox/control.h"
#include "sandbox/provision.h"

#define SETTLING_LIMIT (5 * NANOSECONDS_PER_SECOND)

/* Names of `docker run --ulimit` and the numbers of the Linux ABI. */
static const struct {
	const char *name;
	uint32_t resource;
} rlimit_names[] = {{"cpu", RLIMIT_CPU}, {"fsize", RLIMIT_FSIZE}, {"data", RLIMIT_DATA},
	{"stack", RLIMIT_STACK}, {"core", RLIMIT_CORE}, {"rss", RLIMIT_RSS}, {"nproc", RLIMIT_NPROC},
	{"nofile", RLIMIT_NOFILE}, {"memlock", RLIMIT_MEMLOCK}, {"locks", RLIMIT_LOCKS},
	{"sigpending", RLIMIT_SIGPENDING}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
	{"rtprio", RLIMIT_RTPRIO}, {"rttime", RLIMIT_RTTIME}};

static int convert_rlimits(
	const struct monocore_sandbox_options *o, struct message_rlimit *out, struct error *err)
{
	if (o->rlimit_count > RECORD_RLIMITS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d resource limits", RECORD_RLIMITS_MAX);
	for (size_t i = 0; i < o->rlimit_count; i++) {
		size_t n = 0;

		while (n < ARRAY_SIZE(rlimit_names) && strcasecmp(rlimit_names[n].name, o->rlimits[i].name))
			n++;
		if (n == ARRAY_SIZE(rlimit_names))
			return error_set(
				err, ERROR_INVALID, "'%s' is not a resource limit", o->rlimits[i].name);
		out[i] = (struct message_rlimit){
			rlimit_names[n].resource, o->rlimits[i].soft, o->rlimits[i].hard};
	}
	return 0;
}

static int create(
	struct monocore *mc, const struct monocore_sandbox_options *o, char **name, struct error *err)
{
	struct message_rlimit rlimits[RECORD_RLIMITS_MAX];
	_cleanup_text_list_ char **guarded = NULL;
	struct directory d = DIRECTORY_NONE;
	struct provision_options p = {.image = o->image,
		.platform = o->platform,
		.wishes = {.command = o->command,
			.entrypoint = o->entrypoint,
			.shell_command = o->shell_command,
			.script = o->script},
		.name = o->name,
		.workdir = o->workdir,
		.user = o->user,
		.hostname = o->hostname,
		.stop_signal = o->stop_signal,
		.engine = o->engine,
		.env = o->env,
		.labels = o->labels,
		.volumes = o->volumes,
		.volume_driver = o->volume_driver,
		.rootfs = o->rootfs,
		.restart = o->restart,
		.health_command = o->health_command,
		.health_interval = o->health_interval,
		.health_timeout = o->health_timeout,
		.health_start_period = o->health_start_period,
		.health_retries = o->health_retries,
		.network = {.groups = o->groups,
			.aliases = o->aliases,
			.ip = o->ip,
			.subnet = o->subnet,
			.subnets = o->subnets,
			.reach = o->reach,
			.allow = o->allow,
			.deny = o->deny,
			.ports = o->ports,
			.bandwidth = o->bandwidth},
		.cpus = o->cpus,
		.memory = o->memory,
		.disk = o->disk,
		.pids = o->pids,
		.rlimits = rlimits,
		.rlimit_count = (uint32_t)o->rlimit_count,
		.tty = o->tty,
		.stdin_open = o->stdin_open,
		.read_only = o->read_only,
		.discard = o->discard,
		.no_template = o->no_template,
		.unconfined = o->unconfined,
		.pull = (enum image_pull)o->pull,
		.plain_http = o->plain_http,
		.progress = &mc->progress};
	int r;

	if (o->version != 1)
		return error_set(err, ERROR_INVALID, "sandbox options of version %u: this library knows 1",
			o->version);
	if (!o->image)
		return error_set(err, ERROR_INVALID, "no image was named");
	r = convert_rlimits(o, rlimits, err);
	if (r == 0)
		r = guard_projects(mc, o->volumes, o->guarded, &guarded, err);
	p.guarded = (const char *const *)guarded;
	if (r == 0)
		r = provision(&mc->home, &p, &d, name, err);
	if (r == 0 && (r = hold_sandbox(mc, &d, err)) < 0) {
		free(*name);
		*name = NULL;
	}
	return r;
}

int monocore_create(struct monocore *mc, const struct monocore_sandbox_options *options, char **name,
	struct monocore_error *error)
{
	struct error err;

	return create(mc, options, name, &err) < 0 ? give_error(error, &err) : 0;
}

static int copy_strings(const char *const *from, char ***to, struct error *err)
{
	*to = text_list_copy((char *const *)from, err);
	return *to ? 0 : -ERROR_NO_MEMORY;
}

static int encode_exec(const struct monocore_exec_options *o, struct buffer *payload, struct error *err)
{
	struct message_exec m = {.flags = (o->tty ? EXEC_TTY : 0u) | (o->stdin_open ? EXEC_STDIN : 0u),
		.workdir = (char *)(o->workdir ? o->workdir : ""),
		.user = (char *)(o->user ? o->user : ""),
		.rows = o->rows,
		.columns = o->columns};
	_cleanup_text_list_ char **argv = NULL, **env = NULL;
	int r = copy_strings(o->command, &argv, err);

	if (r == 0)
		r = copy_strings(o->env, &env, err);
	if (r < 0)
		return r;
	m.argv = argv;
	m.env = env;
	message_exec_encode(&m, payload);
	return payload->failed ? error_set(err, ERROR_LIMIT, "the command or its environment is too long")
			       : 0;
}

/* Asks for the start on stream 1 and waits until the main process runs. */
static int send_start(struct monocore *mc, struct peer *peer, const struct record *record,
	const struct monocore_attach_options *attach, bool streams, struct error *err)
{
	struct monocore_exec_options instead = MONOCORE_EXEC_OPTIONS_INIT;
	_cleanup_buffer_ struct buffer command = {0};
	struct control_attach m = {0};
	struct frame f;
	int r = 0;

	if (attach && streams)
		m = (struct control_attach){
			.flags = CONTROL_ATTACH_STREAMS | (attach->owner ? CONTROL_ATTACH_OWNER : 0u),
			.rows = attach->rows,
			.columns = attach->columns};
	if (attach && attach->instead) {
		instead = *attach->instead;
		if (!instead.command)
			instead.command = (const char *const *)record->argv;
		r = encode_exec(&instead, &command, err);
		m.flags |= CONTROL_ATTACH_COMMAND;
		m.command = cursor_of(command.data, command.size);
	}
	if (r == 0)
		r = supervisor_send_start(peer, &m, err);
	if (r < 0)
		return r;
	do {
		r = peer_wait(peer, &f, UINT64_MAX, err);
		if (r < 0)
			return error_prefix(err, "start the sandbox");
		r = 0;
		if (f.type == MESSAGE_ERROR)
			r = message_error_read(cursor_of(f.payload, f.size), err);
		else if (f.type == CONTROL_PROGRESS)
			r = supervisor_progress(mc, &f, err);
	} while (r == 0 && f.type != MESSAGE_STARTED);
	return r;
}

static enum monocore_state state_of(const struct directory *d)
{
	_cleanup_status_ struct status status = {0};
	bool interrupted;

	return status_read(d->fd, &status, NULL) == 0 ? sandbox_state(d, &status, &interrupted)
						      : MONOCORE_RUNNING;
}

/* Locked, and not running: just being started, just at its end, or read by a commit. */
static bool is_settling(enum monocore_state state)
{
	return state == MONOCORE_STOPPED || state == MONOCORE_CREATED;
}

/* Somebody has it locked. */
static int refuse_start(enum monocore_state state, const char *name, struct error *err)
{
	if (is_settling(state))
		return error_set(err, ERROR_BUSY,
			"sandbox '%s' is being started, or read by a commit: try again", name);
	if (state == MONOCORE_RESTARTING)
		return error_set(err, ERROR_BUSY,
			"sandbox '%s' has ended, and is about to be started again: stop it first", name);
	return error_set(err, ERROR_BUSY, "sandbox '%s' is running already", name);
}

/* What is settling is given a while. */
static int lock_to_start(struct directory *d, const char *name, struct error *err)
{
	uint64_t deadline = clock_monotonic() + SETTLING_LIMIT;

	for (;;) {
		int r = d->lock >= 0 ? 0 : directory_lock(d, false, err);
		enum monocore_state state;

		if (r != -ERROR_BUSY)
			return r;
		state = state_of(d);
		if (!is_settling(state) || clock_monotonic() > deadline)
			return refuse_start(state, name, err);
	}
}

static int start(struct monocore *mc, const char *name, const struct monocore_attach_options *attach,
	struct monocore_process **process, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	const struct monocore_attach_options plain = MONOCORE_ATTACH_OPTIONS_INIT;
	int r = find_sandbox(mc, name, &d, &record, err);

	if (r == 0)
		r = lock_to_start(&d, name, err);
	if (r == 0 && attach && attach->instead && attach->instead->version != 1)
		r = error_set(err, ERROR_INVALID, "start sandbox '%s': options of another version", name);
	if (r == 0)
		r = home_check_space(&mc->home, err);
	if (r == 0)
		r = supervisor_spawn(mc, &d, &peer, err);
	if (r < 0)
		return r;
	if (process && !attach)
		attach = &plain;
	r = send_start(mc, &peer, &record, attach, process != NULL, err);
	if (r == 0 && process) {
		*process = process_new(&peer, 1, attach && attach->owner, err);
		r = *process ? 0 : -ERROR_NO_MEMORY;
	}
	return r;
}

int monocore_start(struct monocore *mc, const char *name, const struct monocore_attach_options *attach,
	struct monocore_process **process, struct monocore_error *error)
{
	struct error err;

	return start(mc, name, attach, process, &err) < 0 ? give_error(error, &err) : 0;
}

static int attach_main(struct monocore *mc, const char *name, const struct monocore_attach_options *attach,
	struct monocore_process **process, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	_cleanup_buffer_ struct buffer payload = {0};
	struct control_attach m = {.flags = CONTROL_ATTACH_STREAMS};
	struct frame f;
	int r = find_sandbox(mc, name, &d, &record, err);

	if (attach && attach->owner)
		m.flags |= CONTROL_ATTACH_OWNER;
	if (r == 0)
		r = connect_sandbox(&d, &record, &peer, err);
	if (r < 0)
		return r;
	control_attach_encode(&m, &payload);
	r = request(&peer, CONTROL_ATTACH, &payload, MESSAGE_STARTED, &f, UINT64_MAX, err);
	if (r == 0 && !(*process = process_new(&peer, 1, attach && attach->owner, err)))
		r = -ERROR_NO_MEMORY;
	if (r == 0 && attach && attach->rows)
		r = process_resize(*process, attach->rows, attach->columns, err);
	return r;
}

int monocore_attach(struct monocore *mc, const char *name, const struct monocore_attach_options *attach,
	struct monocore_process **process, struct monocore_error *error)
{
	struct error err;

	return attach_main(mc, name, attach, process, &err) < 0 ? give_error(error, &err) : 0;
}

static int exec(struct monocore *mc, const char *name, const struct monocore_exec_options *o,
	struct monocore_process **process, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_(peer_close) struct peer peer = PEER_NONE;
	_cleanup_buffer_ struct buffer payload = {0};
	struct frame f;
	int r;

	if (o->version != 1 || !o->command || !o->command[0])
		return error_set(err, ERROR_INVALID, "exec: no command was named");
	r = find_sandbox(mc, name, &d, &record, err);
	if (r == 0)
		r = connect_sandbox(&d, &record, &peer, err);
	if (r == 0)
		r = encode_exec(o, &payload, err);
	if (r == 0)
		r = request(&peer, o->detach ? CONTROL_SPAWN : MESSAGE_EXEC, &payload, MESSAGE_STARTED, &f,
			UINT64_MAX, err);
	if (r == 0 && process && !(*process = process_new(&peer, 1, false, err)))
		r = -ERROR_NO_MEMORY;
	return r;
}

int monocore_exec(struct monocore *mc, const char *name, const struct monocore_exec_options *options,
	struct monocore_process **process, struct monocore_error *error)
{
	struct error err;

	return exec(mc, name, options, process, &err) < 0 ? give_error(error, &err) : 0;
}
