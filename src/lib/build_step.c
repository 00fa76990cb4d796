/* SPDX-License-Identifier: Apache-2.0 */
/* A step on the image at hand: taken from the cache, or done and put there. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "lib/build.h"
#include "oci/commit.h"
#include "oci/image.h"
#include "oci/limits.h"

#define KEY_FORMAT "monocore build step 1"

CLEANUP_DEFINE(image, struct image, image_free);

void build_step_free(struct build_step *s)
{
	for (size_t i = 0; i < s->inline_count; i++) {
		free(s->inlines[i].name);
		free(s->inlines[i].text);
	}
	free(s->inlines);
	text_list_free(s->argv);
	text_list_free(s->env);
	text_list_free(s->volumes);
	text_list_free(s->sources);
	text_list_free(s->changes);
	free(s->text);
	free(s->reach);
	free(s->target);
	free(s->owner);
	free(s->from);
	*s = (struct build_step){0};
}

void build_at_free(struct build_at *at)
{
	base_image_free(&at->base);
	text_list_free(at->shell);
	text_list_free(at->arguments);
	text_list_free(at->keys);
	store_free(at->store);
}

void build_tell(struct build *b, const struct monocore_build_event *event)
{
	if (!b->options->tell)
		return;
	pthread_mutex_lock(&b->mc->telling);
	b->options->tell(b->options->tell_context, event);
	pthread_mutex_unlock(&b->mc->telling);
}

/* ---- the base ---------------------------------------------------------------------------------------- */

/* Keeps the blobs of an image until the whole build is done. */
static int keep(struct build *b, struct store_hold *hold, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&b->mutex);
	for (; r == 0 && hold->count; hold->count--)
		r = store_hold_add(&b->hold, hold->fds[hold->count - 1], err);
	pthread_mutex_unlock(&b->mutex);
	return r;
}

static int open_reference(
	struct build_at *at, const char *reference, struct base_image *base, struct error *err)
{
	_cleanup_(cleanup_image) struct image *image = NULL;
	const struct monocore_build_options *o = at->build->options;
	struct image_options options = {.platform = at->stage->platform ? at->stage->platform : o->platform,
		.pull = o->pull ? IMAGE_PULL_ALWAYS : IMAGE_PULL_MISSING,
		.progress = &at->build->mc->progress};
	int r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &options.limits, err);

	if (r == 0)
		r = image_open(at->store, reference, &options, &image, err);
	if (r == 0 && !*image->digest)
		return error_set(err, ERROR_INVALID,
			"'%s' is a directory, which has no layers that one could be put on", reference);
	return r < 0 ? r
		     : base_image_open(at->store, image->digest, reference, options.limits.layers, base, err);
}

int build_pull(struct build_at *at, const char *reference, char digest[OCI_DIGEST_SIZE], struct error *err)
{
	_cleanup_base_image_ struct base_image base = {0};
	int r = open_reference(at, reference, &base, err);

	if (r < 0)
		return r;
	memcpy(digest, base.digest, OCI_DIGEST_SIZE);
	return keep(at->build, &base.hold, err);
}

/* The shell of an image's config, which commands as lines are run by. */
static int read_shell(struct build_at *at, struct error *err)
{
	_cleanup_json_ json_t *root = NULL;
	const json_t *item;
	size_t i;
	int r = json_parse(
		at->base.config.data, at->base.config.size, OCI_JSON_MAX, false, "config", &root, err);

	text_list_free(at->shell);
	at->shell = NULL;
	if (r == 0 && json_array_size(json_object_get(json_object_get(root, "config"), "OnBuild")))
		return error_set(
			err, ERROR_UNAVAILABLE, "the base image has ONBUILD triggers, which are not run");
	json_array_foreach(json_object_get(json_object_get(root, "config"), "Shell"), i,
		item) if (r == 0 && json_is_string(item)) r =
		text_list_add(&at->shell, json_string_value(item), err);
	if (r == 0 && !at->shell)
		r = text_list_add(&at->shell, "/bin/sh", err) < 0 ? -ERROR_NO_MEMORY
								  : text_list_add(&at->shell, "-c", err);
	return r;
}

int build_start_stage(struct build_at *at, struct error *err)
{
	const struct build_stage *s = at->stage;
	const char *platform = s->platform ? s->platform : at->build->options->platform;
	int r = store_open(at->build->mc->home.path, &at->store, err);

	if (r < 0)
		return r;
	if (!s->base)
		r = base_image_open(
			at->store, at->build->stages[s->base_stage].digest, "", 0, &at->base, err);
	else if (!strcmp(s->base, "scratch"))
		r = base_image_empty(at->store, platform, &at->base, err);
	else
		r = open_reference(at, s->base, &at->base, err);
	return r < 0 ? r : read_shell(at, err);
}

/* ---- keys -------------------------------------------------------------------------------------------- */

static void put_text(struct sha256 *h, const char *text)
{
	uint64_t n = text ? strlen(text) + 1 : 0;

	sha256_update(h, &n, sizeof n);
	if (text)
		sha256_update(h, text, n);
}

static void put_list(struct sha256 *h, char *const *list)
{
	uint64_t n = text_list_size(list);

	sha256_update(h, &n, sizeof n);
	for (uint64_t i = 0; i < n; i++)
		put_text(h, list[i]);
}

static void put_number(struct sha256 *h, uint64_t n)
{
	sha256_update(h, &n, sizeof n);
}

/* All that what a step makes depends on. */
static int find_key(const struct build_at *at, const struct build_step *s, const char *files,
	char key[SHA256_HEX_SIZE], struct error *err)
{
	_cleanup_sha256_ struct sha256 h = {0};
	uint8_t bytes[SHA256_SIZE];
	int r = sha256_init(&h, err);

	if (r < 0)
		return r;
	put_text(&h, KEY_FORMAT);
	put_text(&h, at->base.digest);
	put_number(&h, s->kind);
	put_text(&h, s->text);
	put_list(&h, s->argv);
	put_list(&h, s->env);
	put_list(&h, s->volumes);
	put_text(&h, s->reach);
	put_list(&h, s->sources);
	put_text(&h, s->target);
	put_text(&h, s->owner);
	put_number(&h, s->unpack);
	put_number(&h, s->has_mode ? s->mode : UINT64_MAX);
	put_text(&h, files);
	put_list(&h, s->changes);
	put_number(&h, (uint64_t)at->build->epoch);
	r = sha256_final(&h, bytes, err);
	sha256_hex(bytes, key);
	return r;
}

/* ---- one step ---------------------------------------------------------------------------------------- */

/* Goes on with another image. */
static int advance(struct build_at *at, struct base_image *next, struct error *err)
{
	base_image_free(&at->base);
	at->base = *next;
	*next = (struct base_image){0};
	return read_shell(at, err);
}

/* What was done before and is not there any more as a whole is done again. */
static int use_cached(struct build_at *at, const char *key, bool *found, struct error *err)
{
	_cleanup_base_image_ struct base_image next = {0};
	char digest[OCI_DIGEST_SIZE];
	int r = store_step_get(at->store, key, digest, err);

	*found = r == 0 && base_image_open(at->store, digest, "", 0, &next, err) == 0;
	if (!*found)
		return r == 0 || r == -ERROR_NOT_FOUND ? 0 : r;
	r = text_list_add(&at->keys, key, err);
	return r < 0 ? r : advance(at, &next, err);
}

static int do_step(struct build_at *at, const struct build_step *s, struct build_files *files,
	struct monocore_build_event *event, const char *key, struct error *err)
{
	const struct commit_options options = {.created_by = s->text, .changes = s->changes, .history = true};
	_cleanup_(cleanup_commit) struct commit *c = NULL;
	_cleanup_base_image_ struct base_image next = {0};
	struct image_limits limits = {0};
	char digest[OCI_DIGEST_SIZE];
	int r = image_limits_parse(getenv(IMAGE_LIMITS_ENV), &limits, err);

	if (r == 0)
		r = commit_begin(at->store, at->base.digest, "", &limits, &c, err);
	if (r == 0 && at->build->epoch != INT64_MAX)
		commit_date(c, at->build->epoch);
	if (r == 0 && s->kind == BUILD_RUN)
		r = build_run(at, s, event, c, err);
	else if (r == 0 && s->kind == BUILD_COPY)
		r = build_files_write(at, s, files, c, err);
	if (r == 0)
		r = commit_finish(c, &options, NULL, digest, err);
	if (r == 0)
		r = store_step_set(at->store, key, digest, err);
	if (r == 0)
		r = base_image_open(at->store, digest, "", limits.layers, &next, err);
	return r < 0 ? r : advance(at, &next, err);
}

int build_do_step(
	struct build_at *at, const struct build_step *s, unsigned number, unsigned count, struct error *err)
{
	struct monocore_build_event event = {
		.stage = at->stage->name, .step = number, .steps = count, .text = s->text};
	_cleanup_(cleanup_build_files) struct build_files *files = NULL;
	char key[SHA256_HEX_SIZE], digest[OCI_DIGEST_SIZE] = "";
	uint64_t begun = clock_monotonic();
	bool found = false;
	int r;

	event.state = MONOCORE_BUILD_STARTED;
	build_tell(at->build, &event);
	r = s->kind == BUILD_COPY ? build_files_collect(at, s, &files, err) : 0;
	if (r == 0 && files)
		r = build_files_digest(files, digest, err);
	if (r == 0)
		r = find_key(at, s, digest, key, err);
	if (r == 0 && !at->build->options->no_cache)
		r = use_cached(at, key, &found, err);
	if (r == 0 && !found)
		r = do_step(at, s, files, &event, key, err);
	event.state = r < 0 ? MONOCORE_BUILD_FAILED : found ? MONOCORE_BUILD_CACHED : MONOCORE_BUILD_DONE;
	event.elapsed = clock_monotonic() - begun;
	build_tell(at->build, &event);
	return r;
}
