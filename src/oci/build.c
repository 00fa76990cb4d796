/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the layers, the newest first: pieces of plain bytes are hashed, parsed as tar, and its
 * entries merged; data of files go straight into the image.
 *
 * A layer whose bytes make no sense is hashed to its end all the same: if it is not the layer that the image
 * names, then that is what is wrong with it.
 */
#include "oci/build.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "codec/sha256.h"
#include "codec/tar.h"
#include "oci/build_parts.h"
#include "oci/layers.h"

#define SHOW_EVERY       MILLISECONDS(50)
#define WRITE_BACK_BYTES (16u << 20)

CLEANUP_DEFINE(layers, struct layers, layers_free);

/* ---- the chain -------------------------------------------------------------------------------------- */

int assembly_start(struct assembly *a, const struct build *build, bool plain, struct error *err)
{
	struct erofs_options options = {.name = "the root file system", .limit = build->limits.root_bytes};
	struct merge_options merge = {.entries = build->limits.entries, .plain = plain};
	struct merge_sink sink;
	int r;

	*a = (struct assembly){.fd = build->fd, .progress = build->progress};
	memcpy(options.uuid, build->uuid, sizeof options.uuid);
	if (getrandom(&merge.seed, sizeof merge.seed, 0) != (ssize_t)sizeof merge.seed)
		return error_set(err, ERROR_SYSTEM, "get random bytes");
	r = erofs_writer_new(build->fd, &options, &a->writer, err);
	if (r == 0)
		r = spool_new(a->writer, build->directory, &a->spool, err);
	if (r < 0)
		return r;
	sink = spool_sink(a->spool);
	return merge_new(&merge, &sink, &a->merge, err);
}

void assembly_free(struct assembly *a)
{
	merge_free(a->merge);
	spool_free(a->spool);
	erofs_writer_free(a->writer);
}

/* Has the disk begin with what is written, so that the sync at the end finds little to do. */
static void write_back(struct assembly *a)
{
	uint64_t bytes = a->writer ? erofs_writer_bytes(a->writer) : 0;

	if (bytes - a->begun < WRITE_BACK_BYTES)
		return;
	sync_file_range(a->fd, (off_t)a->begun, (off_t)(bytes - a->begun), SYNC_FILE_RANGE_WRITE);
	a->begun = bytes;
}

void assembly_show(struct assembly *a, uint64_t done, bool finished)
{
	struct progress_event event = {.task = "root file system",
		.unit = "bytes",
		.done = done,
		.total = a->total,
		.finished = finished};
	uint64_t now;

	write_back(a);
	if (!a->progress)
		return;
	now = clock_monotonic();
	if (!finished && now - a->shown < SHOW_EVERY)
		return;
	a->shown = now;
	progress_report(a->progress, &event);
}

int assembly_finish(struct assembly *a, struct error *err)
{
	struct erofs_inode *root = NULL;
	int r = merge_finish(a->merge, &root, err);

	return r < 0 ? r : erofs_writer_finish(a->writer, root, err);
}

/* ---- one layer -------------------------------------------------------------------------------------- */

struct layer {
	struct merge *merge;
	struct tar_reader *tar;
	struct sha256 hash;
	int result; /* of parsing and merging: after an error the rest is only hashed */
	struct error error;
};

static int take_event(struct layer *l, enum tar_event event, struct error *err)
{
	const struct tar_data *data;

	switch (event) {
	case TAR_ENTRY:
		return merge_entry(l->merge, tar_reader_entry(l->tar), err);
	case TAR_DATA:
		data = tar_reader_data(l->tar);
		return merge_data(l->merge, data->offset, data->bytes, data->size, err);
	case TAR_ENTRY_END:
		return merge_entry_end(l->merge, err);
	default:
		return 0;
	}
}

static void take_bytes(struct layer *l, const uint8_t *bytes, size_t n)
{
	enum tar_event event = TAR_MORE;

	if (l->result < 0)
		return;
	do {
		l->result = tar_reader_step(l->tar, &bytes, &n, &event, &l->error);
		if (l->result == 0)
			l->result = take_event(l, event, &l->error);
	} while (l->result == 0 && event != TAR_MORE && (event != TAR_END || n > 0));
}

static int check_diff_id(struct layer *l, const char *diff_id, struct error *err)
{
	char digest[SHA256_DIGEST_SIZE];
	uint8_t hash[SHA256_SIZE];
	int r = sha256_final(&l->hash, hash, err);

	if (r < 0 || strcmp(sha256_digest(hash, digest), diff_id) == 0)
		return r;
	return error_set(err, ERROR_CORRUPT,
		"uncompressed, its digest is %s, the config says %s: it was damaged or replaced, get the "
		"image again",
		digest, diff_id);
}

static int end_layer(struct layer *l, const char *diff_id, struct error *err)
{
	int r = check_diff_id(l, diff_id, err);

	if (r < 0)
		return r;
	if (l->result == 0)
		l->result = tar_reader_finish(l->tar, &l->error);
	if (l->result < 0) {
		*err = l->error;
		return l->result;
	}
	return merge_layer_end(l->merge, err);
}

static void layer_release(struct layer *l)
{
	sha256_free(&l->hash);
	tar_reader_free(l->tar);
}

static int build_layer(struct assembly *a, struct layers *layers, const struct image_plan *p, size_t at,
	uint64_t *taken, struct error *err)
{
	_cleanup_(layer_release) struct layer l = {.merge = a->merge};
	struct layers_piece piece = {0};
	int r = merge_layer_begin(a->merge, (uint32_t)at, err);

	if (r == 0)
		r = sha256_init(&l.hash, err);
	l.tar = r == 0 ? tar_reader_new(NULL, err) : NULL;
	if (!l.tar)
		return r < 0 ? r : -ERROR_NO_MEMORY;
	/* Only nonsense is worth the reading of the rest. */
	while (!piece.end && (l.result == 0 || l.result == -ERROR_INVALID)) {
		r = layers_next(layers, &piece, err);
		if (r < 0)
			return r; /* it names the layer */
		sha256_update(&l.hash, piece.bytes, piece.size);
		take_bytes(&l, piece.bytes, piece.size);
		assembly_show(a, piece.taken, false);
	}
	*taken = piece.taken;
	r = piece.end ? end_layer(&l, p->layers[at].diff_id, err) : l.result;
	if (!piece.end)
		*err = l.error;
	return r < 0 ? layers_error(p, at, err) : 0;
}

static uint64_t blob_bytes(const struct image_plan *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->count; i++)
		if (__builtin_add_overflow(sum, p->layers[i].size, &sum))
			return 0;
	return sum;
}

int build_layers(
	const struct build *build, const struct blobs *b, const struct image_plan *p, struct error *err)
{
	struct layers_limits limits = {.bytes = build->limits.layer_bytes, .ratio = build->limits.ratio};
	_cleanup_(cleanup_layers) struct layers *layers = NULL;
	_cleanup_assembly_ struct assembly a = {0};
	struct error local;
	uint64_t taken = 0;
	int r;

	err = err ? err : &local;
	r = assembly_start(&a, build, false, err);
	a.total = blob_bytes(p);
	assembly_show(&a, 0, false);
	if (r == 0)
		r = layers_start(b, p, &limits, &layers, err);
	for (size_t at = p->count; r == 0 && at-- > 0;)
		r = build_layer(&a, layers, p, at, &taken, err);
	if (r == 0)
		r = assembly_finish(&a, err);
	assembly_show(&a, taken, true);
	return r;
}
