/* SPDX-License-Identifier: Apache-2.0 */
/* From what the user wrote to a root file system in the store. */
#include "oci/image_parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "oci/directory.h"
#include "oci/pull.h"
#include "oci/reference.h"
#include "oci/store.h"
#include "os/fs.h"

/* Goes into every id: a change of how roots are built makes them anew. */
#define ROOT_FORMAT "monocore root file system 2\n"

CLEANUP_DEFINE(image, struct image, image_free);

void image_free(struct image *image)
{
	if (!image)
		return;
	text_list_free(image->config.entrypoint);
	text_list_free(image->config.cmd);
	text_list_free(image->config.env);
	text_list_free(image->config.volumes);
	text_list_free(image->config.exposed_ports);
	text_list_free(image->config.labels);
	free(image->config.workdir);
	free(image->config.user);
	free(image->config.stop_signal);
	free(image->config.os);
	free(image->config.architecture);
	free(image->config.variant);
	free(image->config.created);
	text_list_free(image->config.health.command);
	free(image->reference);
	free(image->name);
	free(image->digest);
	free(image->target);
	free(image->source);
	if (image->hold)
		store_hold_free(image->hold);
	free(image->hold);
	free(image);
}

/* ---- options ---------------------------------------------------------------------------------------- */

struct image_limits image_limits_of(const struct image_options *o)
{
	struct image_limits l = o ? o->limits : (struct image_limits){0};

	l.layer_bytes = l.layer_bytes ? l.layer_bytes : (uint64_t)32 << 30;
	l.root_bytes = l.root_bytes ? l.root_bytes : (uint64_t)64 << 30;
	l.entries = l.entries ? l.entries : 4000000;
	l.layers = l.layers ? l.layers : 512;
	l.ratio = l.ratio ? l.ratio : 1100;
	return l;
}

/* Those words are Go's. */
const char *image_host_architecture(void)
{
	static const char *const names[][2] = {
		{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"riscv64", "riscv64"}, {"ppc64le", "ppc64le"}};
	struct utsname u;

	if (uname(&u) == 0)
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (!strcmp(u.machine, names[i][0]))
				return names[i][1];
	return "unknown";
}

/* ---- config ----------------------------------------------------------------------------------------- */

/* Moves what there is of `from`. */
static void take_config(struct image_config *to, struct oci_config *from)
{
	to->entrypoint = TAKE_PTR(from->entrypoint);
	to->cmd = TAKE_PTR(from->cmd);
	to->env = TAKE_PTR(from->env);
	to->workdir = TAKE_PTR(from->workdir);
	to->user = TAKE_PTR(from->user);
	to->stop_signal = TAKE_PTR(from->stop_signal);
	to->volumes = TAKE_PTR(from->volumes);
	to->exposed_ports = TAKE_PTR(from->exposed_ports);
	to->labels = TAKE_PTR(from->labels);
	to->os = TAKE_PTR(from->os);
	to->architecture = TAKE_PTR(from->architecture);
	to->variant = TAKE_PTR(from->variant);
	to->created = TAKE_PTR(from->created);
	to->health = from->health;
	from->health = (struct oci_health){0};
}

/* A directory has no config. */
static int empty_config(struct image_config *c, struct error *err)
{
	char **texts[] = {&c->workdir, &c->user, &c->stop_signal, &c->variant, &c->created};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		*texts[i] = text_copy("", err);
		if (!*texts[i])
			return -ERROR_NO_MEMORY;
	}
	c->os = text_copy("linux", err);
	c->architecture = text_copy(image_host_architecture(), err);
	return c->os && c->architecture ? 0 : -ERROR_NO_MEMORY;
}

/* ---- the root file system --------------------------------------------------------------------------- */

static int make_root(void *context, int fd, int directory, struct error *err)
{
	struct making *m = context;
	char id[SHA256_HEX_SIZE];
	uint8_t hash[SHA256_SIZE];
	int r = m->before ? m->before(m->context, err) : 0;

	if (r < 0)
		return r;
	m->build.fd = fd;
	m->build.directory = directory;
	if (m->plan)
		return build_layers(&m->build, m->blobs, m->plan, err);
	r = build_directory(&m->build, m->directory, m->name, err);
	if (r == 0)
		r = directory_id(m->directory, m->name, ROOT_FORMAT, hash, err);
	if (r == 0 && strcmp(sha256_hex(hash, id), m->id) != 0)
		return error_set(err, ERROR_BUSY, "%s changed while it was read: try again", m->name);
	return r;
}

static int provide_root(struct store *s, struct image *image, struct making *m, const uint8_t *hash,
	const struct image_options *o, struct error *err)
{
	int fd = -1, r;

	sha256_hex(hash, image->root_id);
	r = store_find(s, image->root_id, "erofs", &fd, &image->root_size, NULL);
	if (r < 0) {
		memcpy(m->build.uuid, hash, sizeof m->build.uuid);
		m->build.limits = image_limits_of(o);
		m->build.progress = o ? o->progress : NULL;
		m->id = image->root_id;
		r = store_make(s, image->root_id, "erofs", make_root, m, m->build.progress, &fd,
			&image->root_size, err);
	}
	return r < 0 ? r : image_hold(image, fd, err);
}

int image_hold(struct image *image, int fd, struct error *err)
{
	if (!image->hold)
		image->hold = calloc(1, sizeof *image->hold);
	if (!image->hold) {
		close(fd);
		return error_no_memory(err, "an image");
	}
	return store_hold_add(image->hold, fd, err);
}

int image_root_hash(char *const *diff_ids, size_t count, uint8_t *hash, struct error *err)
{
	struct sha256 sum;
	int r = sha256_init(&sum, err);

	if (r < 0)
		return r;
	sha256_update(&sum, ROOT_FORMAT, strlen(ROOT_FORMAT));
	for (size_t i = 0; i < count; i++) {
		sha256_update(&sum, diff_ids[i], strlen(diff_ids[i]));
		sha256_update(&sum, "\n", 1);
	}
	return sha256_final(&sum, hash, err);
}

int image_from_plan(struct store *s, struct image *image, struct image_plan *plan, struct making *m,
	const struct image_options *o, struct error *err)
{
	uint8_t hash[SHA256_SIZE];
	int r = image_root_hash(plan->config.diff_ids, plan->count, hash, err);

	m->plan = plan;
	if (r == 0)
		r = provide_root(s, image, m, hash, o, err);
	if (r < 0)
		return r;
	image->digest = text_copy(plan->digest, err);
	take_config(&image->config, &plan->config);
	return image->digest ? 0 : -ERROR_NO_MEMORY;
}

/* ---- open ------------------------------------------------------------------------------------------- */

struct plan_options image_plan_options(const struct image_options *o, char host[32])
{
	snprintf(host, 32, "linux/%s", image_host_architecture());
	return (struct plan_options){
		.platform = o && o->platform ? o->platform : host, .layers = image_limits_of(o).layers};
}

int image_make_plan(const struct blobs *b, const struct reference *ref, const struct image_options *o,
	struct image_plan *p, struct error *err)
{
	char host[32];
	struct plan_options options = image_plan_options(o, host);

	options.tag = ref->tag;
	options.digest = ref->digest;
	if (ref->kind != REFERENCE_LAYOUT && blobs_has(b, "manifest.json"))
		return plan_archive(b, &options, p, err);
	if (ref->kind != REFERENCE_ARCHIVE && blobs_has(b, "index.json"))
		return plan_layout(b, &options, p, err);
	return error_set(err, ERROR_INVALID, "%s is not an image: it has no %s", ref->path,
		ref->kind == REFERENCE_LAYOUT    ? "index.json"
		: ref->kind == REFERENCE_ARCHIVE ? "manifest.json"
						 : "manifest.json and no index.json");
}

static int open_layers(struct store *s, const struct reference *ref, const struct image_options *o,
	struct image *image, struct error *err)
{
	_cleanup_blobs_ struct blobs b = {.fd = -1};
	_cleanup_(image_plan_free) struct image_plan plan = {0};
	struct making making = {.blobs = &b};
	int r = blobs_open(ref->path, &b, err);

	if (r == 0)
		r = image_make_plan(&b, ref, o, &plan, err);
	return r < 0 ? r : image_from_plan(s, image, &plan, &making, o, err);
}

static int open_directory(struct store *s, const struct reference *ref, const struct image_options *o,
	struct image *image, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(AT_FDCWD, ref->path, O_RDONLY | O_DIRECTORY, 0, err);
	struct making making = {.directory = fd, .name = ref->path};
	uint8_t hash[SHA256_SIZE];
	int r = fd < 0 ? fd : directory_id(fd, ref->path, ROOT_FORMAT, hash, err);

	if (r == 0)
		r = provide_root(s, image, &making, hash, o, err);
	if (r == 0)
		r = empty_config(&image->config, err);
	if (r < 0)
		return r;
	image->digest = text_copy("", err);
	return image->digest ? 0 : -ERROR_NO_MEMORY;
}

/* An image that may have no name: a step of a build. What is no manifest here is an image's id. */
static int open_digest(struct store *s, const struct reference *ref, const struct image_options *o,
	struct image *image, struct error *err)
{
	_cleanup_blobs_ struct blobs b = {.fd = -1};
	_cleanup_(image_plan_free) struct image_plan plan = {0};
	struct oci_descriptor target = {.media_type = (char *)(uintptr_t) ""};
	struct making making = {.blobs = &b};
	struct plan_options options;
	char host[32];
	int fd = -1, r = store_blob_open(s, ref->path, &fd, &target.size, err);

	if (r == 0)
		r = image_hold(image, fd, err);
	if (r == 0)
		r = blobs_open(store_path(s), &b, err);
	options = image_plan_options(o, host);
	memcpy(target.digest, ref->path, sizeof target.digest);
	if (r == 0)
		r = plan_target(&b, &target, &options, &plan, err);
	if (r == 0)
		return image_from_plan(s, image, &plan, &making, o, err);
	return r == -ERROR_NO_MEMORY ? r : image_open_name(s, ref->path + strlen("sha256:"), o, image, err);
}

int image_open(struct store *s, const char *text, const struct image_options *o, struct image **out,
	struct error *err)
{
	_cleanup_(reference_free) struct reference ref = {0};
	_cleanup_(cleanup_image) struct image *image = calloc(1, sizeof *image);
	int r;

	if (!image)
		return error_no_memory(err, "image");
	r = reference_parse(text, &ref, err);
	if (r < 0)
		return r;
	image->reference = text_copy(text, err);
	if (!image->reference)
		return -ERROR_NO_MEMORY;
	if (ref.kind == REFERENCE_NAME)
		r = image_open_name(s, ref.path, o, image, err);
	else if (ref.kind == REFERENCE_DIGEST)
		r = open_digest(s, &ref, o, image, err);
	else if (ref.kind == REFERENCE_DIRECTORY)
		r = open_directory(s, &ref, o, image, err);
	else
		r = open_layers(s, &ref, o, image, err);
	if (r == 0 && !image->target)
		image->target = text_copy(image->digest, err);
	if (r == 0 && !image->source)
		image->source = text_copy("", err);
	if (r == 0 && !image->name)
		image->name = text_copy("", err);
	if (r == 0 && (!image->target || !image->source || !image->name))
		r = -ERROR_NO_MEMORY;
	if (r < 0)
		return error_prefix(err, "image %s", text);
	*out = TAKE_PTR(image);
	return 0;
}
