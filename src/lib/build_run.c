/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A RUN: a sandbox of the image at hand runs the command, and what it has changed goes to a commit. It is not
 * one that is discarded when it stops, since its disk is read then; those of builds that were killed are
 * known by their label, which names a lock that nobody holds any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/build.h"
#include "lib/upper.h"
#include "oci/commit.h"
#include "os/fs.h"
#include "project/project.h"

#define LABEL    "dev.monocore.build"
#define LOCKS    "builds"
#define TAIL_MAX 2000 /* bytes of the end of what it wrote, for an error */

CLEANUP_DEFINE(process, struct monocore_process, monocore_process_free);

static int take_error(const struct monocore_error *from, struct error *err)
{
	return error_set(err, (enum error_code)from->code, "%s", from->text);
}

/* ---- locks ------------------------------------------------------------------------------------------- */

/* Whether a sandbox is one of a build that is not there any more. */
static bool is_left(const struct monocore *mc, const struct monocore_sandbox_info *i)
{
	for (char **l = i->labels; l && *l; l++) {
		char name[64];

		if (!text_starts(*l, LABEL "="))
			continue;
		if ((size_t)snprintf(name, sizeof name, LOCKS "/%s", *l + strlen(LABEL "=")) < sizeof name &&
			!strstr(name, "..") && !fs_is_locked(mc->home.fd, name))
			return true;
	}
	return false;
}

/* True: one is left all the same. What has lost its build a moment ago may be about to start, and end by
 * itself when it finds that nobody waits for it. */
static bool remove_left(struct monocore *mc)
{
	struct monocore_sandbox_info *list;
	bool left = false;
	size_t count;

	if (monocore_list(mc, &list, &count, NULL) < 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (is_left(mc, &list[i]))
			left |= monocore_remove(mc, list[i].id, true, NULL) < 0;
	monocore_list_free(list, count);
	return left;
}

int build_lock(struct build *b, struct error *err)
{
	uint64_t random;
	char name[64];
	int r = fs_make_directories(b->mc->home.fd, LOCKS, 0700, err);

	if (r < 0)
		return r;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return error_errno(err, errno, "get random bytes");
	snprintf(b->id, sizeof b->id, "%016llx", (unsigned long long)random);
	snprintf(b->label, sizeof b->label, LABEL "=%s", b->id);
	b->labels[0] = b->label;
	snprintf(name, sizeof name, LOCKS "/%s", b->id);
	r = fs_lock(b->mc->home.fd, name, FS_LOCK_EXCLUSIVE, false, &b->lock, err);
	if (r == 0)
		b->left = remove_left(b->mc);
	return r;
}

void build_unlock(struct build *b)
{
	char name[64];

	if (b->lock < 0)
		return;
	if (b->left)
		remove_left(b->mc);
	snprintf(name, sizeof name, LOCKS "/%s", b->id);
	unlinkat(b->mc->home.fd, name, 0);
	close(TAKE_FD(b->lock));
}

/* ---- the command ------------------------------------------------------------------------------------- */

struct running {
	struct build *build;
	struct monocore_build_event *event;
	char tail[TAIL_MAX + 1];
	size_t size;
};

static void keep_tail(struct running *x, const char *data, size_t n)
{
	if (n > TAIL_MAX) {
		data += n - TAIL_MAX;
		n = TAIL_MAX;
	}
	if (x->size + n > TAIL_MAX) {
		size_t drop = x->size + n - TAIL_MAX;

		memmove(x->tail, x->tail + drop, x->size - drop);
		x->size -= drop;
	}
	memcpy(x->tail + x->size, data, n);
	x->size += n;
}

static int follow(struct running *x, struct monocore_process *p, int *status, struct error *err)
{
	for (;;) {
		struct pollfd fd = {.fd = monocore_process_fd(p), .events = POLLIN};
		struct monocore_error failure;
		struct monocore_event e;

		if (monocore_process_next(p, &e, &failure) < 0)
			return take_error(&failure, err);
		if (e.type == MONOCORE_EVENT_EXITED) {
			*status = e.exit_status;
			return 0;
		}
		if (e.type == MONOCORE_EVENT_NONE && poll(&fd, 1, -1) < 0 && errno != EINTR)
			return error_errno(err, errno, "wait for the command");
		if (e.type != MONOCORE_EVENT_DATA)
			continue;
		keep_tail(x, e.data, e.size);
		x->event->state = MONOCORE_BUILD_OUTPUT;
		x->event->data = e.data;
		x->event->size = e.size;
		x->event->channel = e.channel;
		build_tell(x->build, x->event);
	}
}

/* The last line that it wrote. */
static const char *last_line(struct running *x)
{
	char *line;

	while (x->size && strchr("\r\n", x->tail[x->size - 1]))
		x->size--;
	x->tail[x->size] = 0;
	line = strrchr(x->tail, '\n');
	return line ? line + 1 : x->tail;
}

static int run(struct build_at *at, const char *name, struct monocore_build_event *event, struct error *err)
{
	_cleanup_(cleanup_process) struct monocore_process *p = NULL;
	struct monocore_attach_options attach = MONOCORE_ATTACH_OPTIONS_INIT;
	struct running x = {.build = at->build, .event = event};
	struct monocore_error failure;
	int status = 0, r;

	attach.owner = true;
	if (monocore_start(at->build->mc, name, &attach, &p, &failure) < 0)
		return take_error(&failure, err);
	r = follow(&x, p, &status, err);
	if (r == 0 && status)
		r = error_set(err, ERROR_INVALID, "the command ended with status %d%s%s", status,
			x.size ? ": " : "", last_line(&x));
	return r;
}

/* ---- its sandbox ------------------------------------------------------------------------------------- */

static const char *first_of(const char *a, const char *b)
{
	return a ? a : b;
}

void build_sandbox(const struct build *b, const struct build_stage *s, struct monocore_sandbox_options *out)
{
	const struct monocore_build_options *o = b->options;
	const struct project_common *common = s->build ? &s->build->common : NULL;

	*out = (struct monocore_sandbox_options)MONOCORE_SANDBOX_OPTIONS_INIT;
	out->labels = b->labels;
	out->guarded = (const char *const *)b->guarded;
	out->pull = MONOCORE_PULL_NEVER;
	out->cpus = common && common->cpus ? common->cpus : o->cpus;
	out->memory = common && common->memory ? common->memory : o->memory;
	out->disk = common && common->disk ? common->disk : o->disk;
	out->reach = first_of(common ? common->network.reach : NULL, o->reach);
	if (!common)
		return;
	out->allow = (const char *const *)common->network.allow;
	out->deny = (const char *const *)common->network.deny;
	out->bandwidth = common->network.bandwidth;
}

static int create(struct build_at *at, const struct build_step *s, char **name, struct error *err)
{
	static const char *const none[] = {NULL};
	struct monocore_sandbox_options options;
	struct monocore_error failure;

	build_sandbox(at->build, at->stage, &options);
	options.image = at->base.digest;
	options.entrypoint = none;
	options.command = (const char *const *)s->argv;
	options.env = (const char *const *)s->env;
	options.volumes = (const char *const *)s->volumes;
	options.hostname = "build";
	options.reach = first_of(s->reach, options.reach);
	return monocore_create(at->build->mc, &options, name, &failure) < 0 ? take_error(&failure, err) : 0;
}

static int give_piece(void *context, const void *data, size_t n, struct error *err)
{
	return commit_feed(context, data, n, err);
}

/* What it has changed, read by a machine that runs nothing of it. */
static int read_changes(struct build_at *at, const char *name, struct commit *c, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	struct upper u = UPPER_NONE;
	int r = find_sandbox(at->build->mc, name, &d, &record, err);

	if (r == 0)
		r = upper_open(&u, at->build->mc, &d, &record, err);
	if (r == 0)
		r = upper_read(&u, UPPER_ROOT, false, give_piece, c, err);
	upper_close(&u);
	return r;
}

int build_run(struct build_at *at, const struct build_step *s, struct monocore_build_event *event,
	struct commit *c, struct error *err)
{
	struct monocore_error failure;
	char *name = NULL;
	int status, r = create(at, s, &name, err);

	if (r < 0)
		return r;
	r = run(at, name, event, err);
	if (r == 0 && monocore_wait(at->build->mc, name, &status, &failure) < 0)
		r = take_error(&failure, err);
	if (r == 0)
		r = read_changes(at, name, c, err);
	monocore_remove(at->build->mc, name, true, NULL);
	monocore_free(name);
	return r;
}
