/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running state of an image that was built: a sandbox of it is started, and saved once its set-up is
 * done. That is when its healthcheck was good; where it has none, when it has come to rest: in a whole second
 * it hardly used its processor, or a minute is over. New sandboxes of the image go on there
 * (sandbox/image_snapshot.h).
 *
 * A sandbox that starts from what was saved before shows that this is still of use here: then it stays.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "lib/build.h"
#include "lib/glance.h"
#include "lib/snapshot.h"
#include "monocore_observe.h"
#include "monocore_snapshot.h"
#include "sandbox/image_snapshot.h"

#define SETUP_LIMIT (600 * NANOSECONDS_PER_SECOND)
#define LOOK        MILLISECONDS(50)
#define REST_SPAN   NANOSECONDS_PER_SECOND
#define REST_CPU    MILLISECONDS(50) /* of a processor in that time */
#define REST_LIMIT  (60 * NANOSECONDS_PER_SECOND)
#define LOG_LINES   10

static int take_error(int r, const struct monocore_error *from, struct error *err)
{
	return r < 0 ? error_set(err, (enum error_code)from->code, "%s", from->text) : 0;
}

/* ---- its sandbox -------------------------------------------------------------------------------------- */

/* The build's name, as far as it can be a host's. */
static void set_hostname(const struct build_stage *s, char name[64])
{
	snprintf(name, 64, "%s", s->name);
	for (char *c = name; *c; c++)
		if (*c == '_' || *c == '.')
			*c = '-';
	if (!sandbox_name_valid(name))
		snprintf(name, 64, "build");
}

static int start(
	struct build *b, const struct build_stage *s, const char *image, char **name, struct error *err)
{
	struct monocore_sandbox_options options;
	struct monocore_error failure;
	char hostname[64];
	int r;

	set_hostname(s, hostname);
	build_sandbox(b, s, &options);
	options.image = image;
	options.script = "start";
	options.hostname = hostname;
	options.volumes = (const char *const *)s->volumes;
	r = take_error(monocore_create(b->mc, &options, name, &failure), &failure, err);
	return r < 0 ? r : take_error(monocore_start(b->mc, *name, NULL, NULL, &failure), &failure, err);
}

/* ---- until its set-up is done ------------------------------------------------------------------------- */

/* Nanoseconds of a processor that it has used; 0: nobody knows yet. */
static uint64_t cpu_time(struct monocore *mc, const char *name)
{
	const char *const names[] = {name, NULL};
	struct monocore_stats_options o = MONOCORE_STATS_OPTIONS_INIT;
	struct monocore_usage *list;
	struct monocore_error ignored;
	uint64_t cpu;
	size_t count;

	o.names = names;
	if (monocore_stats(mc, &o, &list, &count, &ignored) < 0)
		return 0;
	cpu = count ? list[0].cpu : 0;
	monocore_stats_free(list, count);
	return cpu;
}

struct rest {
	uint64_t begun, since, cpu; /* cpu: that had been used at `since` */
};

static bool is_at_rest(struct rest *x, uint64_t now, uint64_t cpu)
{
	bool still = cpu && x->cpu && cpu - x->cpu < REST_CPU;

	if (now - x->begun >= REST_LIMIT || (still && now - x->since >= REST_SPAN))
		return true;
	if (!still) {
		x->since = now;
		x->cpu = cpu;
	}
	return false;
}

static int look(struct build *b, const char *name, struct rest *rest, struct error *err)
{
	_cleanup_glance_ struct glance g = {0};
	int r = glance(b->mc, name, &g, err);

	if (r == 0)
		r = glance_judge(&g, err);
	if (r == 1 && g.state != MONOCORE_RUNNING)
		return error_set(err, ERROR_START, "it has ended: only what goes on running can be saved");
	if (r == 1 && !g.checked)
		r = is_at_rest(rest, clock_monotonic(), cpu_time(b->mc, name));
	return r;
}

static int add_line(void *context, const struct monocore_log_line *line)
{
	buffer_append(context, line->data, line->size);
	return 0;
}

/* Why it is not ready is what it has said last. */
static void tell_log(struct build *b, const char *name, struct monocore_build_event *event)
{
	struct monocore_log_options o = MONOCORE_LOG_OPTIONS_INIT;
	_cleanup_buffer_ struct buffer out = {0};
	struct monocore_error ignored;

	o.last = LOG_LINES;
	if (monocore_log(b->mc, name, &o, add_line, &out, &ignored) < 0 || !out.size || out.failed)
		return;
	event->state = MONOCORE_BUILD_OUTPUT;
	event->data = out.data;
	event->size = out.size;
	event->channel = MONOCORE_ERR;
	build_tell(b, event);
}

static int await_setup(
	struct build *b, const char *name, struct monocore_build_event *event, struct error *err)
{
	uint64_t begun = clock_monotonic();
	struct rest rest = {.begun = begun, .since = begun};
	int r;

	while ((r = look(b, name, &rest, err)) == 0) {
		if (clock_monotonic() - begun > SETUP_LIMIT) {
			r = error_set(err, ERROR_TIMEOUT, "its set-up was not done in ten minutes");
			break;
		}
		nanosleep(&(struct timespec){.tv_nsec = (long)LOOK}, NULL);
	}
	if (r < 0)
		tell_log(b, name, event);
	return r < 0 ? r : 0;
}

/* ---- what is saved ------------------------------------------------------------------------------------ */

static void remove_quietly(struct monocore *mc, const char *tag)
{
	monocore_snapshot_remove(mc, tag, NULL);
}

/* Those of images that had the name before. */
static void remove_older(struct monocore *mc, const char *image, const char *tag)
{
	struct monocore_snapshot_info *list;
	size_t count;

	if (monocore_snapshots(mc, &list, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (image_snapshot_is(list[i].tag) && !strcmp(list[i].image, image) &&
			strcmp(list[i].tag, tag))
			remove_quietly(mc, list[i].tag);
	monocore_snapshots_free(list, count);
}

static int save(struct build *b, const char *name, const char *tag, struct error *err)
{
	struct shot shot = SHOT_NONE;
	int r = shot_take(b->mc, name, false, &shot, err);

	if (r == 0)
		r = shot_finish(&shot, true, err);
	remove_quietly(b->mc, tag);
	if (r == 0)
		r = snapshot_draft_publish(&b->mc->home, &shot.draft, tag, err);
	shot_close(b->mc, &shot);
	return r;
}

static int is_resumed(struct build *b, const char *name, bool *resumed, struct error *err)
{
	_cleanup_glance_ struct glance g = {0};
	int r = glance(b->mc, name, &g, err);

	*resumed = r == 0 && g.status.origin && !strcmp(g.status.origin, "snapshot");
	return r;
}

static int make(struct build *b, const struct build_stage *s, const char *image, const char *tag,
	struct monocore_build_event *event, struct error *err)
{
	char *name = NULL;
	bool resumed = false;
	int r = start(b, s, image, &name, err);

	if (r == 0)
		r = is_resumed(b, name, &resumed, err);
	if (r == 0 && !resumed)
		r = await_setup(b, name, event, err);
	if (r == 0 && !resumed)
		r = save(b, name, tag, err);
	event->state = r < 0 ? MONOCORE_BUILD_FAILED : resumed ? MONOCORE_BUILD_CACHED : MONOCORE_BUILD_DONE;
	if (name)
		monocore_remove(b->mc, name, true, NULL);
	monocore_free(name);
	return r;
}

int build_snapshot(struct build *b, const struct build_stage *s, const char *image, struct error *err)
{
	struct monocore_build_event event = {
		.stage = s->name, .step = 1, .steps = 1, .text = "SNAPSHOT", .state = MONOCORE_BUILD_STARTED};
	char tag[IMAGE_SNAPSHOT_TAG_SIZE];
	uint64_t begun = clock_monotonic();
	int r;

	if (!image_snapshot_tag(s->digest, tag))
		return error_set(err, ERROR_INVALID, "%s: an image without a digest", s->name);
	build_tell(b, &event);
	if (b->options->no_cache)
		remove_quietly(b->mc, tag);
	r = make(b, s, image, tag, &event, err);
	event.elapsed = clock_monotonic() - begun;
	build_tell(b, &event);
	if (r < 0)
		return error_prefix(err, "save the running state of %s", s->name);
	remove_older(b->mc, image, tag);
	return 0;
}
