/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a locked directory to a running main process. SETUP and EXEC go out together: what the agent answers
 * is read in order. A clone that does not answer in time is taken for the work of a bad template, which is
 * dropped and made anew, once.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/volume.h"
#include "os/fs.h"
#include "sandbox/programs.h"
#include "sandbox/supervisor/keeper.h"
#include "sandbox/supervisor/supervisor.h"
#include "sandbox/volume_monofs.h"

#define ENTROPY_SIZE  256
#define CLONE_TIME    (30 * NANOSECONDS_PER_SECOND)
#define BOOT_TIME     (120 * NANOSECONDS_PER_SECOND)
#define FILL_TIME     (600 * NANOSECONDS_PER_SECOND) /* for a guest that fills volumes */
#define LOCKED_MS     100
#define LOOK_TIME     MILLISECONDS(250) /* between looks whether the client is still there */
#define LAST_WORDS_MS 1000
#define SLOTS_MAX     4096

static int open_disk(struct supervisor *s, struct error *err)
{
	if (!record_has_disk(&s->record))
		return 0;
	s->disk_fd = fs_open(s->directory.fd, "disk", O_RDWR | O_NOFOLLOW, 0, err);
	return s->disk_fd < 0 ? s->disk_fd : 0;
}

/* A number that no other running VM of this user has, held by a lock until this process ends. */
static int take_slot(struct supervisor *s, struct error *err)
{
	_cleanup_fd_ int slots = -1;

	if (mkdirat(s->home.fd, "slots", 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make %s/slots", s->home.path);
	slots = fs_open(s->home.fd, "slots", O_RDONLY | O_DIRECTORY, 0, err);
	if (slots < 0)
		return slots;
	for (unsigned i = 0; i < SLOTS_MAX; i++) {
		char name[16];
		int fd, r;

		snprintf(name, sizeof name, "%u", i);
		r = fs_lock(slots, name, FS_LOCK_EXCLUSIVE, false, &fd, err);
		if (r == 0) {
			s->slot = i;
			return 0; /* fd stays open, and with it the lock */
		}
		if (r != -ERROR_BUSY)
			return r;
	}
	return error_set(err, ERROR_LIMIT, "%d sandboxes run already", SLOTS_MAX);
}

/* Passes on to the client that waits for the start how far the engine is. */
static void report_start(void *context, const struct progress_event *e)
{
	struct supervisor *s = context;
	const struct control_progress m = {.task = (char *)e->task,
		.unit = (char *)e->unit,
		.done = e->done,
		.total = e->total,
		.finished = e->finished};
	_cleanup_buffer_ struct buffer payload = {0};

	control_progress_encode(&m, &payload);
	if (!payload.failed && s->clients)
		client_send(s->clients, s->start_stream, CONTROL_PROGRESS, 0, payload.data, payload.size);
}

struct boot {
	struct supervisor *supervisor;
	struct vm_config config;
};

static int boot(void *context, const struct root *root, struct error *err)
{
	struct boot *b = context;
	struct supervisor *s = b->supervisor;
	int r = 0;

	b->config.image_fd = root->fd;
	if (!s->shares)
		r = shares_open(&s->home, s->directory.fd, s->upper_only ? -1 : root->fd, &s->record,
			&s->shares, err);
	b->config.shares = shares_list(s->shares, &b->config.share_count);
	if (r == 0)
		r = vm_start(s->engine, &b->config, &s->vm, err);
	shares_connected(s->shares);
	return r;
}

static bool is_given_up(const struct supervisor *s)
{
	return s->clients && s->clients->owner && peer_is_gone(&s->clients->peer);
}

/* Who fills a volume is done soon. */
static int lock_new_volumes(struct supervisor *s, struct error *err)
{
	uint64_t deadline = clock_monotonic() + FILL_TIME;
	int r = volume_fills_open(&s->home, &s->record, &s->fills, err);

	while (r == -ERROR_BUSY && clock_monotonic() < deadline && !is_given_up(s)) {
		poll(NULL, 0, LOCKED_MS);
		r = volume_fills_open(&s->home, &s->record, &s->fills, err);
	}
	return r;
}

static int start_vm(struct supervisor *s, struct error *err)
{
	const struct progress progress = {.report = report_start, .context = s};
	_cleanup_free_ char *agent = program_path("mcagent", err);
	_cleanup_fd_ int console = -1;
	struct boot b = {.supervisor = s,
		.config = {.home = s->home.path,
			.agent_path = agent,
			.cpus = (unsigned)s->record.cpus,
			.memory = s->record.memory,
			.disk_fd = s->disk_fd,
			.id = s->slot,
			.cold = s->record.no_template,
			.saved = resume_machine(s->resume),
			.unconfined = s->record.unconfined,
			.progress = &progress}};
	int r = agent ? 0 : -ERROR_NOT_FOUND;

	if (r == 0)
		r = console_open(&s->console, &console, err);
	b.config.console_fd = console;
	if (r == 0 && !s->upper_only)
		r = lock_new_volumes(s, err);
	if (r == 0 && !s->upper_only)
		r = volume_trees_hold(&s->home, &s->record, &s->trees, err);
	if (r == 0 && !s->upper_only)
		r = volumes_open(&s->home, &s->record, resume_volumes(s->resume), &s->volumes, err);
	b.config.volumes = s->volumes != NULL;
	b.config.nfs = volumes_are_nfs(s->volumes);
	b.config.nics = networks_nics(s->networks, &b.config.nic_count);
	if (r == 0)
		r = networks_prepare(s->networks, err);
	if (r == 0)
		r = root_start(s->engine, s->home.path, s->record.root_id, boot, &b, &s->root, err);
	if (r == 0)
		r = networks_link(s->networks, err);
	if (r == 0)
		r = volumes_serve(s->volumes, vm_volumes_fd(s->vm), err);
	if (r < 0)
		return r;
	s->agent = (struct peer){.fd = vm_agent_fd(s->vm), .out = {.limit = QUEUE_MAX}};
	return 0;
}

static void stop_vm(struct supervisor *s)
{
	s->agent.fd = -1; /* the VM's */
	peer_close(&s->agent);
	volumes_close(TAKE_PTR(s->volumes)); /* which uses the VM's */
	vm_free(TAKE_PTR(s->vm));
	shares_close(TAKE_PTR(s->shares));
	volume_trees_free(TAKE_PTR(s->trees));
	volume_fills_close(TAKE_PTR(s->fills));
	console_close(&s->console);
}

static void uuid_text(char out[37])
{
	uint8_t b[16];

	if (getrandom(b, sizeof b, 0) != sizeof b)
		memset(b, 0, sizeof b);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static uint32_t mount_flags(const struct record_mount *m)
{
	return (m->read_only ? MOUNT_READ_ONLY : 0u) | (m->stage ? MOUNT_STAGED : 0u);
}

/* The volumes, and behind them the root, where it is one. */
static uint32_t list_mounts(const struct supervisor *s, struct message_mount mounts[VOLUMES_MAX + 1])
{
	uint32_t n = 0;

	for (; !s->upper_only && n < s->record.mount_count; n++) {
		const struct record_mount *m = &s->record.mounts[n];
		uint32_t more = (s->volumes ? volumes_flags(s->volumes, n) : MOUNT_VIRTIOFS) |
				(volume_fills_has(s->fills, n) ? MOUNT_FILL : 0u);

		mounts[n] = (struct message_mount){m->target, mount_flags(m) | more};
	}
	if (record_has_overlay(&s->record))
		mounts[n++] = (struct message_mount){(char *)"/", MOUNT_VIRTIOFS | MOUNT_ROOT};
	return n;
}

/* SETUP, or WAKE for a machine that goes on. */
static int send_setup(struct supervisor *s, uint16_t type, struct error *err)
{
	_cleanup_free_ char *hosts = networks_hosts(s->networks, s->record.hostname, err);
	_cleanup_free_ char *resolv_conf = networks_resolv_conf(s->networks, err);
	_cleanup_buffer_ struct buffer payload = {0};
	uint8_t entropy[ENTROPY_SIZE];
	struct message_mount mounts[VOLUMES_MAX + 1];
	struct message_network networks[NETWORKS_MAX];
	char boot_id[37];
	struct message_setup m = {.entropy = entropy,
		.entropy_size = sizeof entropy,
		.hostname = s->record.hostname,
		.machine_id = s->record.machine_id,
		.boot_id = boot_id,
		.root_type = (char *)(uintptr_t)s->root.form,
		.disk = s->disk_fd >= 0,
		.read_only = s->record.read_only && !s->upper_only,
		.upper_only = s->upper_only,
		.pids = (uint32_t)s->record.pids,
		.hosts = hosts,
		.resolv_conf = resolv_conf,
		.volumes = s->record.volumes,
		.mounts = mounts,
		.mount_count = list_mounts(s, mounts),
		.networks = networks,
		.network_count = networks_describe(s->networks, networks)};

	if (!hosts || !resolv_conf)
		return -ERROR_NO_MEMORY;
	if (getrandom(entropy, sizeof entropy, 0) != sizeof entropy)
		return error_errno(err, errno, "get random bytes");
	uuid_text(boot_id);
	log_debug("the agent of %s is woken", s->record.name);
	m.realtime = clock_realtime();
	message_setup_encode(&m, &payload);
	if (payload.failed || !peer_send(&s->agent, 0, type, 0, payload.data, payload.size))
		return error_set(err, ERROR_CLOSED, "send the set-up to the guest");
	return 0;
}

static int send_main(struct supervisor *s, const struct control_attach *how, struct error *err)
{
	_cleanup_buffer_ struct buffer payload = {0};
	struct message_exec m = {.flags = EXEC_MAIN | EXEC_DEFAULT_ENV | (s->record.tty ? EXEC_TTY : 0) |
					  (s->record.stdin_open ? EXEC_STDIN : 0),
		.argv = s->record.argv,
		.env = s->record.env,
		.workdir = s->record.workdir,
		.user = s->record.user,
		.rows = how->rows,
		.columns = how->columns,
		.rlimits = s->record.rlimits,
		.rlimit_count = s->record.rlimit_count};

	s->main = stream_open(s, NULL, 0, MESSAGE_EXEC, err);
	if (!s->main)
		return -ERROR_NO_MEMORY;
	s->main->main = true;
	message_exec_encode(&m, &payload);
	if (payload.failed || !peer_send(&s->agent, s->main->id, MESSAGE_EXEC, 0, payload.data, payload.size))
		return error_set(err, ERROR_CLOSED, "send the command to the guest");
	return 0;
}

/* The next message of the agent; a wait that came to nothing says what was waited for. */
static int next_message(
	struct supervisor *s, uint16_t wanted, uint64_t usual, struct frame *f, struct error *err)
{
	uint64_t timeout, deadline;
	int r = vm_start_timeout(usual, &timeout, err);

	if (r < 0)
		return r;
	deadline = clock_monotonic() + timeout;
	do {
		uint64_t look = clock_monotonic() + LOOK_TIME;

		if (is_given_up(s))
			return error_set(err, ERROR_START, "nobody waits for the sandbox any more");
		if (shares_lost(s->shares, err))
			return -ERROR_CLOSED;
		r = peer_wait(&s->agent, f, look < deadline ? look : deadline, err);
	} while (r == -ERROR_TIMEOUT && clock_monotonic() < deadline);
	if (r == -ERROR_INVALID)
		return error_prefix(err, "the guest broke the agent's protocol");
	return r < 0 ? error_prefix(err, "wait for the guest's %s", message_name(wanted)) : 0;
}

/* What the agent answers before the main process runs: READY, then STARTED; ERROR in place of either. */
static int await(struct supervisor *s, uint16_t type, uint32_t stream, uint64_t usual, struct error *err)
{
	struct frame f;
	int r = next_message(s, type, usual, &f, err);

	if (r < 0)
		return r;
	if (f.stream == stream && f.type == type)
		return 0;
	if (f.stream != stream || f.type != MESSAGE_ERROR)
		return error_set(err, ERROR_INVALID,
			"the guest broke the agent's protocol: %s in place of %s", message_name(f.type),
			message_name(type));
	return message_error_read(cursor_of(f.payload, f.size), err);
}

/* The agent's connection broke: the engine knows more, if its process has ended. */
static int explain_lost(struct supervisor *s, int r, struct error *err)
{
	struct pollfd p = {.fd = vm_process_fd(s->vm), .events = POLLIN};
	struct error why;

	if (poll(&p, 1, LAST_WORDS_MS) == 1 && vm_wait(s->vm, &why) < 0) {
		*err = why;
		return -(int)why.code;
	}
	return r;
}

static uint64_t ready_time(const struct supervisor *s)
{
	if (volume_fills_any(s->fills))
		return FILL_TIME;
	return vm_is_clone(s->vm) ? CLONE_TIME : BOOT_TIME;
}

static int bring_up(struct supervisor *s, const struct control_attach *how, struct error *err)
{
	int r = start_vm(s, err);

	if (r == 0)
		r = send_setup(s, s->resume ? MESSAGE_WAKE : MESSAGE_SETUP, err);
	if (r == 0 && s->resume)
		r = resume_streams(s, err);
	else if (r == 0 && !s->upper_only)
		r = send_main(s, how, err);
	if (r == 0)
		r = await(s, MESSAGE_READY, 0, ready_time(s), err);
	if (r == 0)
		log_debug("%s is set up", s->record.name);
	if (r == 0)
		r = volume_fills_done(s->fills, err);
	if (r == 0)
		volume_fills_close(TAKE_PTR(s->fills));
	return r == -ERROR_CLOSED && s->vm ? explain_lost(s, r, err) : r;
}

/* True where another try is worth it: the guest was silent or talked nonsense, and a template is to blame. */
static bool template_is_to_blame(const struct supervisor *s, int r)
{
	return s->vm && vm_is_clone(s->vm) && !s->resume &&
	       (r == -ERROR_TIMEOUT || r == -ERROR_CLOSED || r == -ERROR_INVALID || r == -ERROR_CORRUPT);
}

/* vm_start() tries again by itself where the machine is all that is to be started again. */
static bool hung_with_shares(const struct supervisor *s, int r)
{
	return s->shares && !s->vm && r == -ERROR_TIMEOUT;
}

/* A new sandbox whose image was saved running, which does not go on here. */
static int boot_instead(struct supervisor *s, struct error *err)
{
	char why[sizeof err->text];
	int r;

	snprintf(why, sizeof why, "%s", err->text);
	stop_vm(s);
	r = resume_drop(s, why, err);
	return r == 0 ? open_disk(s, err) : r;
}

static int bring_up_twice(struct supervisor *s, const struct control_attach *how, struct error *err)
{
	int r = bring_up(s, how, err);
	bool template;

	if (r < 0 && resume_may_boot(s->resume) && !is_given_up(s) && (r = boot_instead(s, err)) == 0)
		r = bring_up(s, how, err);
	template = r < 0 && template_is_to_blame(s, r);
	if (template || hung_with_shares(s, r)) {
		supervisor_note(s, "the guest did not come up (%s): %s", err->text,
			template ? "its template is made anew" : "it is booted once more");
		if (template)
			vm_template_discard(s->vm, NULL);
		stop_vm(s);
		if (s->main)
			stream_close(s, s->main);
		r = bring_up(s, how, err);
	}
	if (r < 0)
		return error_prefix(err, "start the sandbox");
	return 0;
}

static void start_answer(struct client *c, uint32_t stream, const struct control_attach *how)
{
	struct supervisor *s = c->supervisor;

	main_attach(s, c, stream, how);
	peer_send_u32(&c->peer, stream, MESSAGE_STARTED, 0, 0);
}

static int start_machine(struct supervisor *s, const struct control_attach *how, struct error *err)
{
	int r = open_disk(s, err);

	if (r == 0) {
		s->engine = vm_engine_find(s->record.engine, err);
		r = s->engine ? 0 : -ERROR_UNAVAILABLE;
	}
	if (r == 0)
		r = take_slot(s, err);
	if (r == 0 && !s->upper_only)
		r = networks_open(s, &s->networks, err);
	return r < 0 ? r : bring_up_twice(s, how, err);
}

/* With what it was given to go on with, unless another command is to be run. */
static int take_resume(struct supervisor *s, const struct control_attach *how, struct error *err)
{
	int r = resume_open(s, err);

	if (r < 0 || !s->resume || !(how->flags & CONTROL_ATTACH_COMMAND))
		return r;
	if (resume_may_boot(s->resume))
		return resume_drop(s, "another command is run", err);
	return error_set(err, ERROR_INVALID,
		"the sandbox goes on where its snapshot was made, and runs no other command: start it "
		"without one");
}

static int note_origin(struct supervisor *s, struct error *err)
{
	const char *origin = s->resume ? "snapshot" : vm_is_clone(s->vm) ? "template" : "boot";

	free(s->status.origin);
	s->status.origin = text_copy(origin, err);
	return s->status.origin ? 0 : -ERROR_NO_MEMORY;
}

static int run_main(struct supervisor *s, const struct control_attach *how, struct error *err)
{
	int r = take_resume(s, how, err);

	if (r == 0)
		r = start_machine(s, how, err);
	if (r == 0)
		r = note_origin(s, err);
	if (r == 0 && s->resume)
		resume_done(s);
	else if (r == 0)
		r = await(s, MESSAGE_STARTED, s->main->id, BOOT_TIME, err);
	if (r == 0 && s->main)
		s->main->started = true;
	if (r == 0)
		vm_snapshot_prepare(s->vm, NULL); /* it can be saved, or says why not when it is asked */
	if (r == 0)
		r = control_listen(s->directory.fd, &s->listener, err);
	return r;
}

/* Nobody else can connect, and the VM goes with the client, who asks for what it wants. */
static int open_upper(struct supervisor *s, const struct control_attach *how, struct error *err)
{
	int r = start_machine(s, how, err);

	if (r == 0 && s->disk_fd < 0 && !s->shares)
		r = error_set(err, ERROR_INVALID, "a sandbox that keeps no changes");
	if (r < 0)
		return r;
	s->phase = PHASE_RUNNING;
	peer_send_u32(&s->clients->peer, s->start_stream, MESSAGE_STARTED, 0, 0);
	return 0;
}

static void live_once(struct supervisor *s)
{
	if (s->life)
		s->life->restart.when = RESTARTED_NEVER;
	s->life = NULL;
}

/* Runs another command, this time: whether that is well is not what its healthcheck asks. */
static int take_command(struct supervisor *s, struct cursor in, struct error *err)
{
	struct message_exec m = {0};
	int r = message_exec_decode(in, &m, err);

	text_list_free(TAKE_PTR(s->record.health_command));
	if (r == 0)
		r = exec_complete(&s->record, &m, err);
	if (r == 0) {
		text_list_free(s->record.argv);
		text_list_free(s->record.env);
		free(s->record.workdir);
		free(s->record.user);
		s->record.argv = TAKE_PTR(m.argv);
		s->record.env = TAKE_PTR(m.env);
		s->record.workdir = TAKE_PTR(m.workdir);
		s->record.user = TAKE_PTR(m.user);
		s->record.tty = m.flags & EXEC_TTY;
		s->record.stdin_open = m.flags & EXEC_STDIN;
	}
	message_exec_free(&m);
	return r;
}

/* Reads the request that this process was started for. */
static int read_request(struct supervisor *s, struct client *c, struct control_attach *how, struct error *err)
{
	struct frame f;
	int r = peer_wait(&c->peer, &f, clock_monotonic() + 10 * NANOSECONDS_PER_SECOND, err);

	if (r < 0)
		return r;
	if (f.type != CONTROL_START || f.stream == 0)
		return error_set(err, ERROR_INVALID, "expected the request to start");
	s->start_stream = f.stream;
	r = control_attach_decode(cursor_of(f.payload, f.size), how, err);
	if (r < 0)
		return r;
	s->upper_only = how->flags & CONTROL_ATTACH_UPPER;
	c->owner = s->upper_only || how->flags & CONTROL_ATTACH_OWNER;
	/* Who looks on, and whoever wants something else of it, does not want it twice. */
	if (c->owner || how->flags & CONTROL_ATTACH_COMMAND)
		live_once(s);
	return how->flags & CONTROL_ATTACH_COMMAND ? take_command(s, how->command, err) : 0;
}

static int start_sandbox(struct supervisor *s, const struct control_attach *how, struct error *err)
{
	int r;

	s->born = clock_monotonic();
	s->status.started = clock_realtime();
	s->status.restarts = s->life ? s->life->restart.count : 0;
	if (!s->discard) /* from now on something may be staged in it */
		unlinkat(s->directory.fd, "discard", 0);
	r = supervisor_set_state(s, "starting", err);
	if (r == 0)
		r = output_open(s->directory.fd, &s->output, err);
	if (r == 0)
		r = run_main(s, how, err);
	if (r < 0)
		return r;
	s->phase = PHASE_RUNNING;
	s->status.clone = vm_is_clone(s->vm);
	free(s->status.engine);
	free(s->status.accelerator);
	s->status.engine = text_copy(vm_engine_name(s->engine), NULL);
	s->status.accelerator = text_copy(vm_accelerator_name(s->vm), NULL);
	checks_start(s);
	r = supervisor_set_state(s, "running", err);
	if (r == 0 && s->clients)
		start_answer(s->clients, s->start_stream, how);
	if (r == 0)
		supervisor_event(s, "start", NULL, NULL);
	return r;
}

int supervisor_start(struct supervisor *s, struct error *err)
{
	struct client *c = s->clients;
	struct control_attach how = {0};
	int r = c ? read_request(s, c, &how, err) : 0;

	if (r < 0)
		return r;
	return s->upper_only ? open_upper(s, &how, err) : start_sandbox(s, &how, err);
}
