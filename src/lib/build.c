/* SPDX-License-Identifier: Apache-2.0 */
/* Stages in the order of what they need, as many at once as may be. */
#include "lib/build.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "oci/name.h"
#include "oci/registries.h"
#include "os/fs.h"

#define PARALLEL_DEFAULT 2u
#define PARALLEL_MAX     64u
#define EPOCH_VARIABLE   "SOURCE_DATE_EPOCH"

CLEANUP_DEFINE(store, struct store, store_free);

static void stage_free(struct build_stage *s)
{
	for (size_t i = 0; s->steps && i < s->count; i++)
		build_step_free(&s->steps[i]);
	free(s->steps);
	free(s->needs);
	free(s->name);
	free(s->base);
	free(s->platform);
	free(s->image_name);
	text_list_free(s->volumes);
}

void build_free(struct build *b)
{
	if (!b->mc)
		return;
	build_unlock(b);
	for (size_t i = 0; i < b->count; i++)
		stage_free(&b->stages[i]);
	free(b->stages);
	dockerfile_free(&b->dockerfile);
	dockerignore_free(&b->ignore);
	text_list_free(b->globals);
	text_list_free(b->guarded);
	store_hold_free(&b->hold);
	if (b->context >= 0)
		close(b->context);
	pthread_cond_destroy(&b->changed);
	pthread_mutex_destroy(&b->mutex);
}

static int read_epoch(struct build *b, struct error *err)
{
	const char *text = getenv(EPOCH_VARIABLE);
	uint64_t epoch;
	int r = text && *text ? text_parse_u64(text, INT64_MAX - 1, EPOCH_VARIABLE, &epoch, err) : 0;

	b->epoch = text && *text && r == 0 ? (int64_t)epoch : INT64_MAX;
	return r;
}

int build_begin(
	struct build *b, struct monocore *mc, const struct monocore_build_options *o, struct error *err)
{
	*b = (struct build){.mc = mc, .options = o, .context = -1, .lock = -1};
	pthread_mutex_init(&b->mutex, NULL);
	pthread_cond_init(&b->changed, NULL);
	if (o->version != 1)
		return error_set(
			err, ERROR_INVALID, "build options of version %u: this library knows 1", o->version);
	for (const char *const *a = o->arguments; a && *a; a++)
		if (!strchr(*a, '=') || **a == '=')
			return error_set(err, ERROR_USAGE, "build argument '%s': expected NAME=VALUE", *a);
	return read_epoch(b, err);
}

int build_add_need(struct build_stage *s, size_t stage, struct error *err)
{
	size_t *grown = realloc(s->needs, (s->need_count + 1) * sizeof *grown);

	if (!grown)
		return error_no_memory(err, "read what is to be built");
	s->needs = grown;
	grown[s->need_count++] = stage;
	return 0;
}

/* ---- a stage ----------------------------------------------------------------------------------------- */

static unsigned count_steps(const struct build_stage *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += !s->instructions || s->instructions[i].kind != DOCKERFILE_ARG;
	return n;
}

static int add_labels(struct build_at *at, unsigned steps, struct error *err)
{
	const char *const *labels = at->build->options->labels;
	_cleanup_build_step_ struct build_step s = {.kind = BUILD_CONFIG};
	int r = 0;

	for (; r == 0 && labels && *labels; labels++) {
		_cleanup_buffer_ struct buffer change = {0};

		if (!strchr(*labels, '=') || **labels == '=')
			return error_set(err, ERROR_USAGE, "label '%s': expected KEY=value", *labels);
		buffer_format(&change, "LABEL %.*s=\"", (int)strcspn(*labels, "="), *labels);
		for (const char *c = strchr(*labels, '=') + 1; *c; c++)
			buffer_format(&change, "%s%c", strchr("\"\\$", *c) ? "\\" : "", *c);
		buffer_append_text(&change, "\"");
		buffer_u8(&change, 0);
		r = change.failed ? error_no_memory(err, "set labels")
				  : text_list_add(&s.changes, (const char *)change.data, err);
	}
	if (r < 0 || !s.changes)
		return r;
	s.text = text_copy("LABEL by the command line", err);
	return s.text ? build_do_step(at, &s, steps, steps, err) : -ERROR_NO_MEMORY;
}

static int do_steps(struct build_at *at, bool is_target, struct error *err)
{
	const struct build_stage *stage = at->stage;
	unsigned number = 0, count = count_steps(stage) + (is_target && at->build->options->labels);
	int r = 0;

	for (size_t i = 0; r == 0 && i < stage->count; i++) {
		_cleanup_build_step_ struct build_step lowered = {0};
		const struct build_step *s = stage->steps ? &stage->steps[i] : &lowered;

		pthread_mutex_lock(&at->build->mutex);
		r = at->build->failed ? error_set(err, ERROR_CLOSED, "another stage has failed") : 0;
		pthread_mutex_unlock(&at->build->mutex);
		if (r == 0 && !stage->steps)
			r = build_lower(at, &stage->instructions[i], &lowered, err);
		if (r == 0 && s->kind != BUILD_NOTHING)
			r = build_do_step(at, s, ++number, count, err);
		if (r < 0 && stage->instructions && err->code != ERROR_CLOSED && s->text)
			error_prefix(err, "line %u: %.300s", stage->instructions[i].line, s->text);
		else if (r < 0 && s->text)
			error_prefix(err, "%.300s", s->text);
	}
	return r < 0 || !is_target ? r : add_labels(at, count, err);
}

static int do_stage(struct build *b, struct build_stage *s, struct error *err)
{
	_cleanup_(build_at_free) struct build_at at = {.build = b, .stage = s};
	char digest[OCI_DIGEST_SIZE];
	int r = build_start_stage(&at, err);

	if (r == 0)
		r = do_steps(&at, !s->build && s == &b->stages[b->target], err);
	if (r == 0)
		r = store_steps_used(at.store, at.keys, err);
	if (r == 0 && s->image_name)
		r = base_image_name(at.store, &at.base, s->image_name, err);
	if (r < 0)
		return error_prefix(err, "%s", s->name);
	memcpy(digest, at.base.digest, sizeof digest);
	pthread_mutex_lock(&b->mutex);
	memcpy(s->digest, digest, sizeof digest);
	for (; r == 0 && at.base.hold.count; at.base.hold.count--)
		r = store_hold_add(&b->hold, at.base.hold.fds[at.base.hold.count - 1], err);
	pthread_mutex_unlock(&b->mutex);
	return r;
}

/* ---- all of them ------------------------------------------------------------------------------------- */

void build_want(struct build *b, size_t stage)
{
	struct build_stage *s = &b->stages[stage];

	if (s->wanted)
		return;
	s->wanted = true;
	for (size_t i = 0; i < s->need_count; i++)
		build_want(b, s->needs[i]);
}

static bool is_ready(const struct build *b, const struct build_stage *s)
{
	for (size_t i = 0; i < s->need_count; i++)
		if (!b->stages[s->needs[i]].done)
			return false;
	return s->wanted && !s->running && !s->done;
}

/* One that can be built now; NULL: there is none (*left: but there will be). */
static struct build_stage *next_stage(struct build *b, bool *left)
{
	*left = false;
	for (size_t i = 0; i < b->count; i++) {
		if (is_ready(b, &b->stages[i]))
			return &b->stages[i];
		*left |= b->stages[i].wanted && !b->stages[i].done;
	}
	return NULL;
}

static void *work(void *context)
{
	struct build *b = context;
	struct build_stage *s;
	bool left;

	pthread_mutex_lock(&b->mutex);
	while (!b->failed) {
		struct error err;
		int r;

		s = next_stage(b, &left);
		if (!s && !left)
			break;
		if (!s) {
			pthread_cond_wait(&b->changed, &b->mutex);
			continue;
		}
		s->running = true;
		pthread_mutex_unlock(&b->mutex);
		r = do_stage(b, s, &err);
		pthread_mutex_lock(&b->mutex);
		s->running = false;
		s->done = r == 0;
		if (r < 0 && !b->failed) {
			b->failed = true;
			b->err = err;
		}
		pthread_cond_broadcast(&b->changed);
	}
	pthread_mutex_unlock(&b->mutex);
	return NULL;
}

int build_stages(struct build *b, struct error *err)
{
	unsigned parallel = b->options->parallel ? b->options->parallel : PARALLEL_DEFAULT, started = 0;
	pthread_t threads[PARALLEL_MAX];

	if (parallel > b->count)
		parallel = (unsigned)b->count;
	if (parallel > PARALLEL_MAX)
		parallel = PARALLEL_MAX;
	while (started + 1 < parallel && pthread_create(&threads[started], NULL, work, b) == 0)
		started++;
	work(b);
	while (started)
		pthread_join(threads[--started], NULL);
	if (b->failed && err)
		*err = b->err;
	return b->failed ? -(int)b->err.code : 0;
}

/* ---- a Dockerfile ------------------------------------------------------------------------------------ */

/* The names, as the store has them. */
static int read_names(struct build *b, char ***names, struct error *err)
{
	_cleanup_(cleanup_registries) struct registries *configuration = NULL;
	int r = registries_load(b->mc->home.path, &configuration, err);

	for (const char *const *n = b->options->names; r == 0 && n && *n; n++) {
		_cleanup_name_ struct name name = {0};
		_cleanup_free_ char *text = NULL;

		r = name_parse(*n, registries_default(configuration), &name, err);
		if (r == 0 && *name.digest)
			r = error_set(err, ERROR_USAGE,
				"'%s' has a digest, which the image's contents give it", *n);
		if (r == 0 && !(text = name_text(&name, err)))
			r = -ERROR_NO_MEMORY;
		if (r == 0)
			r = text_list_add(names, text, err);
	}
	return r;
}

static int set_names(struct build *b, const struct build_stage *s, char *const *names, struct error *err)
{
	_cleanup_(cleanup_store) struct store *store = NULL;
	_cleanup_base_image_ struct base_image image = {0};
	int r = store_open(b->mc->home.path, &store, err);

	if (r == 0)
		r = base_image_open(store, s->digest, "", 0, &image, err);
	for (; r == 0 && names && *names; names++)
		r = base_image_name(store, &image, *names, err);
	return r;
}

static int build_file(struct build *b, char **digest, struct error *err)
{
	_cleanup_text_list_ char **names = NULL;
	size_t target = 0;
	int r = read_names(b, &names, err);

	if (r == 0 && b->options->snapshot && !names)
		r = error_set(err, ERROR_USAGE,
			"an image whose running state is saved needs a name: 'monocore build -t NAME "
			"--snapshot DIR'");
	if (r == 0)
		b->context = fs_open(AT_FDCWD, b->options->context ? b->options->context : ".",
			O_RDONLY | O_DIRECTORY, 0, err);
	if (r == 0 && b->context < 0)
		r = b->context;
	if (r == 0)
		r = build_read_dockerfile(b, &target, err);
	if (r == 0)
		r = build_lock(b, err);
	if (r < 0)
		return r;
	b->target = target;
	build_want(b, target);
	r = build_stages(b, err);
	if (r == 0)
		r = set_names(b, &b->stages[target], names, err);
	if (r == 0 && b->options->snapshot)
		r = build_snapshot(b, &b->stages[target], names[0], err);
	if (r == 0 && digest && !(*digest = text_copy(b->stages[target].digest, err)))
		r = -ERROR_NO_MEMORY;
	return r;
}

int monocore_build(struct monocore *mc, const struct monocore_build_options *options, char **digest,
	struct monocore_error *error)
{
	const struct monocore_build_options none = MONOCORE_BUILD_OPTIONS_INIT;
	_cleanup_(build_free) struct build b = {0};
	struct error err;
	int r = build_begin(&b, mc, options ? options : &none, &err);

	if (r == 0)
		r = build_file(&b, digest, &err);
	return r < 0 ? give_error(error, &err) : 0;
}
