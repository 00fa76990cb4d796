/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/tar.h"
#include "oci/save_parts.h"
#include "oci/store_mark.h"
#include "os/fs.h"

#define READ_BYTES (256u << 10)
#define SHOW_EVERY MILLISECONDS(50)
#define LAYOUT     "{\"imageLayoutVersion\":\"1.0.0\"}"

static void save_release(struct save *x)
{
	free(x->blobs);
	free(x->items);
	text_list_free(x->referrers);
}

/* ---- what is to be saved ---------------------------------------------------------------------------- */

/* Not kept open, since there may be more than a process may open: one that is removed before its turn is an
 * error then. */
static int see(void *context, const struct store_visit *v, struct error *err)
{
	struct save *x = context;
	struct save_blob *more;
	uint64_t size;
	int fd, r;

	if (v->optional && !store_is_whole(x->s, v->digest))
		return 1;
	if (v->referrer && x->options->format == SAVE_DOCKER)
		return 1;
	r = store_blob_open(x->s, v->digest, &fd, &size, err);
	if (r == -ERROR_NOT_FOUND && v->referrer)
		return 1; /* the image is no worse for it */
	if (r < 0)
		return r;
	close(fd);
	if (v->referrer && !v->media && !v->optional && text_list_add(&x->referrers, v->digest, err) < 0)
		return -ERROR_NO_MEMORY;
	more = reallocarray(x->blobs, x->blob_count + 1, sizeof *more);
	if (!more)
		return error_no_memory(err, "save images");
	x->blobs = more;
	x->blobs[x->blob_count] = (struct save_blob){.size = size};
	memcpy(x->blobs[x->blob_count++].digest, v->digest, OCI_DIGEST_SIZE);
	x->total += size;
	return 0;
}

static int set_target(struct save *x, struct save_item *item, const struct catalog_match *match, bool alone,
	struct error *err)
{
	const struct catalog_image *image = item->image;
	_cleanup_buffer_ struct buffer json = {0};
	int r = 0;

	memcpy(item->target, image->target, OCI_DIGEST_SIZE);
	memcpy(item->manifest, image->manifest, OCI_DIGEST_SIZE);
	item->media_type = image->media_type;
	item->size = image->target_size;
	for (char **m = image->manifests; m && *m; m++)
		if (!strcmp(*m, match->digest))
			memcpy(item->manifest, *m, OCI_DIGEST_SIZE);
	if ((alone || !strcmp(item->manifest, match->digest)) && strcmp(item->manifest, item->target) != 0) {
		r = store_blob_read(x->s, item->manifest, OCI_JSON_MAX, &json, NULL, err);
		if (r == 0)
			r = oci_document_type(json.data, json.size, &item->media_type, err);
		memcpy(item->target, item->manifest, OCI_DIGEST_SIZE);
		item->size = json.size;
	}
	return r;
}

static int add_item(struct save *x, const struct catalog_match *match, struct error *err)
{
	struct save_item *item = &x->items[x->item_count];
	bool alone = x->options->platform || x->options->format == SAVE_DOCKER;
	int r;

	*item = (struct save_item){
		.image = match->images[0], .name = match->by_name ? match->images[0]->name : NULL};
	for (size_t i = 0; i < x->item_count; i++)
		if (x->items[i].image == item->image && x->items[i].name == item->name)
			return 0; /* named twice */
	if (!*item->image->manifest)
		return error_set(err, ERROR_UNAVAILABLE,
			"nothing of the image %s is here for this platform: 'monocore pull %s' gets it",
			item->image->familiar, item->image->familiar);
	r = set_target(x, item, match, alone, err);
	if (r < 0)
		return error_prefix(err, "image %s", item->image->familiar);
	x->item_count++;
	return 0;
}

static int by_digest(const void *a, const void *b)
{
	return strcmp(((const struct save_blob *)a)->digest, ((const struct save_blob *)b)->digest);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_name(const void *a, const void *b)
{
	const struct save_item *x = a, *y = b;
	int r = strcmp(x->name ? x->name : "", y->name ? y->name : "");

	return r ? r : strcmp(x->target, y->target);
}

static int gather(struct save *x, const struct catalog_match *matches, size_t count, struct error *err)
{
	_cleanup_marks_ struct store_marks marks = {0};
	int r = 0;

	x->items = calloc(count + 1, sizeof *x->items);
	if (!x->items)
		return error_no_memory(err, "save images");
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_item(x, &matches[i], err);
	for (size_t i = 0; r == 0 && i < x->item_count; i++) {
		r = store_mark(x->s, x->items[i].target, x->items[i].size, &marks, see, x, err);
		if (r < 0)
			error_prefix(err, "image %s", x->items[i].image->familiar);
	}
	if (r == 0 && x->referrers)
		qsort(x->referrers, text_list_size(x->referrers), sizeof *x->referrers, by_text);
	if (r == 0 && x->blob_count)
		qsort(x->blobs, x->blob_count, sizeof *x->blobs, by_digest);
	if (r == 0)
		qsort(x->items, x->item_count, sizeof *x->items, by_name);
	return r;
}

/* ---- where it goes ---------------------------------------------------------------------------------- */

struct target {
	int fd;         /* of the file, or of the directory */
	bool directory; /* files of their own */
	int file;       /* the one that is being written */
	uint64_t size;  /* of it */
};

static int write_header(struct target *t, const char *name, bool directory, uint64_t size, struct error *err)
{
	struct tar_entry e = {.type = directory ? TAR_DIRECTORY : TAR_FILE,
		.path = (char *)name,
		.mode = directory ? 0755 : 0644,
		.size = size};
	_cleanup_buffer_ struct buffer header = {0};
	int r = tar_write_entry(&header, &e, err);

	t->size = size;
	return r < 0 ? r : fs_write_all(t->fd, header.data, header.size, "the archive", err);
}

static int begin(struct target *t, const char *name, uint64_t size, struct error *err)
{
	if (!t->directory) {
		t->file = t->fd;
		return write_header(t, name, false, size, err);
	}
	t->file = fs_open(t->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644, err);
	return t->file < 0 ? t->file : 0;
}

static int end(struct target *t, struct error *err)
{
	static const uint8_t zeroes[512];

	if (!t->directory)
		return fs_write_all(t->fd, zeroes, tar_padding(t->size), "the archive", err);
	close(TAKE_FD(t->file));
	return 0;
}

static int write_small(struct target *t, const char *name, const void *bytes, size_t n, struct error *err)
{
	int r = begin(t, name, n, err);

	if (r == 0)
		r = fs_write_all(t->file, bytes, n, name, err);
	return r < 0 ? r : end(t, err);
}

/* ---- blobs ------------------------------------------------------------------------------------------ */

static void show(struct save *x, uint64_t done, bool finished)
{
	uint64_t now = clock_monotonic();

	if (!finished && now - x->shown_at < SHOW_EVERY)
		return;
	x->shown_at = now;
	progress_report(x->options->progress, &(struct progress_event){.task = "save",
						      .unit = "bytes",
						      .done = done,
						      .total = x->total,
						      .finished = finished});
}

/* Of the open blob; `done` bytes of others came before. */
static int copy_blob(struct save *x, const struct save_blob *b, int fd, struct target *t, uint8_t *bytes,
	uint64_t done, struct error *err)
{
	_cleanup_sha256_ struct sha256 sum = {0};
	char digest[OCI_DIGEST_SIZE];
	uint8_t hash[SHA256_SIZE];
	uint64_t at = 0;
	int r = sha256_init(&sum, err);

	while (r == 0 && at < b->size) {
		size_t part = b->size - at < READ_BYTES ? (size_t)(b->size - at) : READ_BYTES;
		ssize_t n = pread(fd, bytes, part, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(err, n < 0 ? errno : EIO, "read the blob %s", b->digest);
		sha256_update(&sum, bytes, (size_t)n);
		at += (uint64_t)n;
		r = fs_write_all(t->file, bytes, (size_t)n, "the archive", err);
		show(x, done + at, false);
	}
	if (r == 0)
		r = sha256_final(&sum, hash, err);
	if (r == 0 && strcmp(sha256_digest(hash, digest), b->digest) != 0)
		return error_set(err, ERROR_CORRUPT,
			"the blob %s is damaged (its digest is %s): run 'monocore image check --repair'",
			b->digest, digest);
	return r;
}

static int write_blob(struct save *x, const struct save_blob *b, struct target *t, uint8_t *bytes,
	uint64_t done, struct error *err)
{
	_cleanup_fd_ int fd = -1;
	uint64_t size;
	char name[96];
	int r = store_blob_open(x->s, b->digest, &fd, &size, err);

	if (r < 0)
		return r;
	snprintf(name, sizeof name, "blobs/sha256/%.64s", b->digest + strlen("sha256:"));
	r = begin(t, name, b->size, err);
	if (r == 0)
		r = copy_blob(x, b, fd, t, bytes, done, err);
	return r < 0 ? r : end(t, err);
}

static int write_blobs(struct save *x, struct target *t, struct error *err)
{
	_cleanup_free_ uint8_t *bytes = malloc(READ_BYTES);
	uint64_t done = 0;
	int r = bytes ? 0 : error_no_memory(err, "save images");

	for (size_t i = 0; r == 0 && i < x->blob_count; i++) {
		r = write_blob(x, &x->blobs[i], t, bytes, done, err);
		done += x->blobs[i].size;
	}
	show(x, done, true);
	return r;
}

/* ---- all -------------------------------------------------------------------------------------------- */

static int make_directories(const struct save *x, struct target *t, struct error *err)
{
	int r;

	if (x->options->format == SAVE_LAYOUT)
		return fs_make_directories(t->fd, "blobs/sha256", 0755, err);
	r = write_header(t, "blobs", true, 0, err);
	return r < 0 ? r : write_header(t, "blobs/sha256", true, 0, err);
}

static int write_documents(const struct save *x, struct target *t, struct error *err)
{
	_cleanup_buffer_ struct buffer index = {0}, manifests = {0};
	enum save_format format = x->options->format;
	int r = format == SAVE_DOCKER ? 0 : save_index(x, &index, err);

	if (r == 0 && format != SAVE_LAYOUT)
		r = save_manifests(x, &manifests, err);
	if (r == 0 && format == SAVE_LAYOUT)
		r = write_small(t, "oci-layout", LAYOUT, strlen(LAYOUT), err);
	if (r == 0 && format != SAVE_DOCKER)
		r = write_small(t, "index.json", index.data, index.size, err);
	if (r == 0 && format != SAVE_LAYOUT)
		r = write_small(t, "manifest.json", manifests.data, manifests.size, err);
	if (r == 0 && format == SAVE_OCI)
		r = write_small(t, "oci-layout", LAYOUT, strlen(LAYOUT), err);
	return r;
}

static int write_end(const struct target *t, struct error *err)
{
	_cleanup_buffer_ struct buffer zeroes = {0};

	if (t->directory)
		return 0;
	if (!tar_write_end(&zeroes))
		return error_no_memory(err, "save images");
	return fs_write_all(t->fd, zeroes.data, zeroes.size, "the archive", err);
}

int save_images(struct store *s, const struct catalog_match *matches, size_t count,
	const struct save_options *options, int fd, struct error *err)
{
	_cleanup_(save_release) struct save x = {.s = s, .options = options};
	struct target t = {.fd = fd, .directory = options->format == SAVE_LAYOUT, .file = -1};
	int r = gather(&x, matches, count, err);

	if (r == 0)
		r = make_directories(&x, &t, err);
	if (r == 0)
		r = write_blobs(&x, &t, err);
	if (r == 0)
		r = write_documents(&x, &t, err);
	if (r == 0)
		r = write_end(&t, err);
	if (t.directory && t.file >= 0)
		close(t.file);
	return r;
}
