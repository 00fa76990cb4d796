/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/decompress.h"
#include "codec/json.h"
#include "oci/import.h"
#include "oci/name.h"
#include "oci/remote.h"

#define READ_BYTES  (64u << 10)
#define WRITE_BYTES (256u << 10)
#define SHOW_EVERY  MILLISECONDS(50)
#define INDEX_MAX   (4u << 20)

/* ---- where it is read from -------------------------------------------------------------------------- */

/* A file or directory that can be read as it lies. */
static bool can_seek(int fd, bool *directory)
{
	uint8_t magic[4] = {0};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	*directory = S_ISDIR(st.st_mode);
	if (*directory)
		return true;
	return S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0 &&
	       pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
	       memcmp(magic, "\x1f\x8b", 2) != 0 && memcmp(magic, "\x28\xb5\x2f\xfd", 4) != 0;
}

static int feed(struct decompress *d, const uint8_t *in, size_t n, struct store_ingest *spool, uint8_t *out,
	uint64_t most, struct error *err)
{
	size_t made = 0;
	int r = 0;

	do {
		r = decompress_step(d, &in, &n, out, WRITE_BYTES, &made, err);
		if (r == 0 && spool->size + made > most)
			return error_set(err, ERROR_LIMIT,
				"over %llu GiB: raise root_bytes in MONOCORE_IMAGE_LIMITS",
				(unsigned long long)(most >> 30));
		if (r == 0)
			r = store_ingest_write(spool, out, made, err);
	} while (r == 0 && (n > 0 || made == WRITE_BYTES));
	return r;
}

static int spool_all(int fd, struct decompress *d, const struct load_options *o, uint64_t most,
	struct store_ingest *spool, struct error *err)
{
	_cleanup_free_ uint8_t *bytes = malloc(READ_BYTES + WRITE_BYTES);
	uint64_t now, shown_at = 0;
	int r = bytes ? 0 : error_no_memory(err, "read an archive");

	while (r == 0) {
		ssize_t n = read(fd, bytes, READ_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read");
		if (n == 0)
			break;
		r = feed(d, bytes, (size_t)n, spool, bytes + READ_BYTES, most, err);
		now = clock_monotonic();
		if (now - shown_at < SHOW_EVERY)
			continue;
		shown_at = now;
		progress_report(o->progress,
			&(struct progress_event){.task = "read", .unit = "bytes", .done = spool->size});
	}
	progress_report(o->progress, &(struct progress_event){.task = "read",
					     .unit = "bytes",
					     .done = spool->size,
					     .total = spool->size,
					     .finished = true});
	return r < 0 ? r : decompress_finish(d, err);
}

static int spool_file(const struct store *s, int fd, const struct load_options *o, struct store_ingest *spool,
	struct error *err)
{
	uint64_t most = o->limits.root_bytes ? o->limits.root_bytes : (uint64_t)64 << 30;
	struct decompress_options options = {.ratio = o->limits.ratio};
	_cleanup_(cleanup_decompress) struct decompress *d = NULL;
	int r = decompress_new(&options, &d, err);

	if (r == 0)
		r = store_ingest_start(s, spool, err);
	return r < 0 ? r : spool_all(fd, d, o, most, spool, err);
}

int load_open(const struct store *s, int fd, const char *text, const struct load_options *o,
	struct store_ingest *spool, struct blobs *b, struct error *err)
{
	_cleanup_free_ char *path = NULL, *shown = text_copy(text, err);
	bool directory = false;
	int r = shown ? 0 : -ERROR_NO_MEMORY;

	*spool = (struct store_ingest){.fd = -1};
	*b = (struct blobs){.fd = -1};
	if (r == 0 && !can_seek(fd, &directory)) {
		r = spool_file(s, fd, o, spool, err);
		fd = spool->fd;
	}
	if (r < 0)
		return error_prefix(err, "%s", text);
	path = text_format(err, "/proc/self/fd/%d", fd);
	if (!path)
		return -ERROR_NO_MEMORY;
	r = blobs_open(path, b, err);
	if (r < 0)
		return error_prefix(err, "%s", text);
	free(b->path); /* what the user wrote says more */
	b->path = TAKE_PTR(shown);
	return 0;
}

/* ---- names ------------------------------------------------------------------------------------------ */

struct load {
	struct store *store;
	const struct blobs *blobs;
	const struct load_options *options;
	struct docker_images docker; /* of manifest.json, where there is one */
	char **names;                /* that were set */
};

/* The canonical form of a name in an archive; a digest in it is no part of what the image is called here. */
static char *canonical(const struct load *l, const char *text, struct error *err)
{
	_cleanup_name_ struct name name = {0};
	int r = name_parse(text, l->options->registry, &name, err);

	if (r < 0) {
		error_prefix(err, "a name in %s", l->blobs->path);
		return NULL;
	}
	return remote_store_name(&name, err);
}

static int set_name(struct load *l, struct import *im, const char *name, const struct oci_descriptor *target,
	struct error *err)
{
	_cleanup_free_ char *text = canonical(l, name, err);
	int r = text ? import_name(im, text, target, err) : -(int)ERROR_NO_MEMORY;

	if (!text)
		return err ? -(int)err->code : r;
	return r < 0 ? r : text_list_add(&l->names, text, err);
}

static int no_name(const struct load *l, const char *digest, struct error *err)
{
	return error_set(err, ERROR_USAGE,
		"%s does not say what the image %.19s is called: run 'monocore load --input %s NAME'",
		l->blobs->path, digest, l->blobs->path);
}

static struct import start(const struct load *l, struct store_hold *hold)
{
	return (struct import){.store = l->store,
		.blobs = l->blobs,
		.hold = hold,
		.progress = l->options->progress,
		.layers = l->options->limits.layers};
}

/* ---- docker archives -------------------------------------------------------------------------------- */

static int load_docker_image(struct load *l, const struct docker_image *image, struct error *err)
{
	_cleanup_hold_ struct store_hold hold = {0};
	_cleanup_import_ struct import im = start(l, &hold);
	char *const own[] = {(char *)l->options->name, NULL};
	char *const *tags = l->options->name ? own : image->tags;
	struct oci_descriptor target = {0};
	int r;

	if (!tags || !*tags)
		return no_name(l, image->config, err);
	r = import_docker(&im, image->config, image->layers, &target, err);
	for (; r == 0 && *tags; tags++)
		r = set_name(l, &im, *tags, &target, err);
	return r;
}

static int too_many(const struct load *l, size_t count, struct error *err)
{
	return error_set(
		err, ERROR_USAGE, "%s has %zu images: one name does not do for them", l->blobs->path, count);
}

static int load_docker(struct load *l, struct error *err)
{
	int r = 0;

	if (l->docker.count == 0)
		return error_set(err, ERROR_NOT_FOUND, "%s has no image", l->blobs->path);
	if (l->options->name && l->docker.count > 1)
		return too_many(l, l->docker.count, err);
	for (size_t i = 0; r == 0 && i < l->docker.count; i++)
		r = load_docker_image(l, &l->docker.images[i], err);
	return r;
}

/* ---- layouts ---------------------------------------------------------------------------------------- */

/* What an index calls an image; NULL: nothing, or only a tag. */
static const char *name_of(const struct oci_descriptor *d)
{
	if (*d->image)
		return d->image;
	return strpbrk(d->name, ":/") ? d->name : NULL;
}

static bool has_config(const struct import *im, const char *config)
{
	const char *digits = plan_digits(config);
	char digest[OCI_DIGEST_SIZE];

	if (!digits)
		return false;
	snprintf(digest, sizeof digest, "sha256:%.64s", digits);
	return map_get(&im->held, digest, strlen(digest)) != NULL;
}

/* manifest.json has names by config. */
static int set_docker_names(
	struct load *l, struct import *im, const struct oci_descriptor *target, struct error *err)
{
	bool any = false;
	int r = 0;

	for (size_t i = 0; i < l->docker.count; i++)
		if (has_config(im, l->docker.images[i].config))
			for (char **t = l->docker.images[i].tags; r == 0 && t && *t; t++) {
				r = set_name(l, im, *t, target, err);
				any = true;
			}
	return r < 0 || any ? r : no_name(l, target->digest, err);
}

static int load_descriptor(struct load *l, const struct oci_descriptor *d, struct error *err)
{
	_cleanup_hold_ struct store_hold hold = {0};
	_cleanup_import_ struct import im = start(l, &hold);
	const char *name = l->options->name ? l->options->name : name_of(d);
	struct oci_descriptor target = *d;
	_cleanup_buffer_ struct buffer json = {0};
	const char *type;
	int r = import_target(&im, d, err);

	/* What it is it says itself. */
	if (r == 0)
		r = store_blob_read(l->store, d->digest, OCI_JSON_MAX, &json, NULL, err);
	if (r == 0)
		r = oci_document_type(json.data, json.size, &type, err);
	if (r < 0)
		return error_prefix(err, "%s", l->blobs->path);
	target.media_type = (char *)type;
	return name ? set_name(l, &im, name, &target, err) : set_docker_names(l, &im, &target, err);
}

static bool is_again(const struct oci_index *index, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (!strcmp(index->manifests[i].digest, index->manifests[at].digest))
			return true;
	return false;
}

/* The digest of what a manifest is about, where it is about another one; else "". */
static int find_subject(const struct load *l, const struct oci_descriptor *d, char subject[OCI_DIGEST_SIZE],
	struct error *err)
{
	_cleanup_buffer_ struct buffer json = {0};
	_cleanup_json_ json_t *root = NULL;
	const char *text;
	char name[96];
	int r;

	*subject = 0;
	snprintf(name, sizeof name, "blobs/sha256/%.64s", d->digest + strlen("sha256:"));
	if (!blobs_has(l->blobs, name))
		return 0;
	r = blobs_read(l->blobs, name, OCI_JSON_MAX, &json, err);
	if (r == 0)
		r = json_parse(json.data, json.size, OCI_JSON_MAX, false, d->digest, &root, err);
	if (r < 0)
		return error_prefix(err, "%s", l->blobs->path);
	text = json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
	if (text && oci_digest_valid(text))
		memcpy(subject, text, OCI_DIGEST_SIZE);
	return 0;
}

/* What is said about an image that is here is kept beside it. */
static int load_referrer(
	struct load *l, const struct oci_descriptor *d, const char *subject, struct error *err)
{
	_cleanup_hold_ struct store_hold hold = {0};
	_cleanup_import_ struct import im = start(l, &hold);
	uint64_t size;
	int fd, r = store_blob_open(l->store, subject, &fd, &size, NULL);

	if (r < 0)
		return 0;
	r = store_hold_add(&hold, fd, err);
	if (r == 0)
		r = import_target(&im, d, err);
	return r < 0 ? r : store_referrer_add(l->store, subject, d->digest, err);
}

/* What an index has. */
struct entry {
	bool image;
	char subject[OCI_DIGEST_SIZE]; /* of what is none, or "" */
};

/* Beside images with names, what has none belongs to one of them. */
static int sort_entries(
	const struct load *l, const struct oci_index *index, struct entry *entries, struct error *err)
{
	bool named = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < index->count; i++) {
		const struct oci_descriptor *d = &index->manifests[i];

		entries[i].image = !d->attestation;
		if (!d->attestation && !name_of(d))
			r = find_subject(l, d, entries[i].subject, err);
		else
			named |= !d->attestation;
	}
	for (size_t i = 0; i < index->count; i++)
		entries[i].image &= !*entries[i].subject && (!named || name_of(&index->manifests[i]));
	return r;
}

/* One digest may have several names; but one name is enough for what has none of its own. */
static int load_entries(
	struct load *l, const struct oci_index *index, const struct entry *entries, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < index->count; i++) {
		const struct oci_descriptor *d = &index->manifests[i];

		if (entries[i].image && ((name_of(d) && !l->options->name) || !is_again(index, i)))
			r = load_descriptor(l, d, err);
	}
	for (size_t i = 0; r == 0 && i < index->count; i++)
		if (*entries[i].subject && !is_again(index, i))
			r = load_referrer(l, &index->manifests[i], entries[i].subject, err);
	return r;
}

static int load_layout(struct load *l, const struct oci_index *index, struct error *err)
{
	_cleanup_free_ struct entry *entries = calloc(index->count + 1, sizeof *entries);
	size_t count = 0;
	int r = entries ? sort_entries(l, index, entries, err) : error_no_memory(err, "an index");

	if (r < 0)
		return r;
	for (size_t i = 0; i < index->count; i++)
		count += entries[i].image && !is_again(index, i);
	if (count == 0)
		return error_set(err, ERROR_NOT_FOUND, "%s has no image", l->blobs->path);
	if (l->options->name && count > 1)
		return too_many(l, count, err);
	return load_entries(l, index, entries, err);
}

static int load_all(struct load *l, struct error *err)
{
	_cleanup_(oci_index_free) struct oci_index index = {0};
	_cleanup_buffer_ struct buffer json = {0};
	bool docker = blobs_has(l->blobs, "manifest.json"), layout = blobs_has(l->blobs, "index.json");
	int r = 0;

	if (!docker && !layout)
		return error_set(err, ERROR_INVALID,
			"%s is not an image: it has neither index.json nor manifest.json", l->blobs->path);
	if (docker) {
		r = blobs_read(l->blobs, "manifest.json", OCI_JSON_MAX, &json, err);
		if (r == 0)
			r = docker_images_parse(json.data, json.size, &l->docker, err);
	}
	if (r < 0 || !layout)
		return r < 0 ? r : load_docker(l, err);
	buffer_clear(&json);
	r = blobs_read(l->blobs, "index.json", INDEX_MAX, &json, err);
	if (r == 0)
		r = oci_index_parse(json.data, json.size, &index, err);
	return r < 0 ? r : load_layout(l, &index, err);
}

int load_images(struct store *s, const struct blobs *b, const struct load_options *o, char ***names,
	struct error *err)
{
	struct load l = {.store = s, .blobs = b, .options = o};
	int r = load_all(&l, err);

	docker_images_free(&l.docker);
	*names = l.names;
	return r;
}
