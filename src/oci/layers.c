/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One producer, one taker, a ring of pieces. Indexes only grow; `filled - taken` pieces are ready. The piece
 * that the taker looks at counts as not taken until it asks for the next.
 */
#include "oci/layers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/decompress.h"
#include "codec/sha256.h"

#define PIECES      8u
#define PIECE_BYTES (256u << 10)
#define READ_BYTES  (256u << 10)

struct slot {
	struct layers_piece piece;
	uint8_t *bytes;
};

struct layers {
	const struct blobs *blobs;
	const struct image_plan *plan;
	struct layers_limits limits;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under the lock */
	unsigned filled, taken;
	bool looking; /* the taker holds the piece `taken` */
	bool stop;    /* the taker wants no more */
	bool over;    /* the producer is done, or failed */
	int result;
	struct error error;

	struct slot slots[PIECES];
	uint8_t *memory; /* of all slots, and what is read */
	uint64_t read;   /* the producer's: bytes of blobs so far */
};

int layers_error(const struct image_plan *p, size_t layer, struct error *err)
{
	const struct plan_layer *l = &p->layers[layer];

	return error_prefix(
		err, "layer %zu of %zu (%s)", layer + 1, p->count, *l->digest ? l->digest : l->diff_id);
}

/* ---- the producer ----------------------------------------------------------------------------------- */

/* Waits for a free slot; NULL: stopped. */
static struct slot *wait_slot(struct layers *l)
{
	bool stop;

	pthread_mutex_lock(&l->lock);
	while (!l->stop && l->filled - l->taken == PIECES)
		pthread_cond_wait(&l->changed, &l->lock);
	stop = l->stop;
	pthread_mutex_unlock(&l->lock);
	return stop ? NULL : &l->slots[l->filled % PIECES];
}

static void hand_over(struct layers *l, size_t layer, size_t size, bool end)
{
	struct slot *slot = &l->slots[l->filled % PIECES];

	slot->piece = (struct layers_piece){
		.layer = layer, .bytes = slot->bytes, .size = size, .end = end, .taken = l->read};
	pthread_mutex_lock(&l->lock);
	l->filled++;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

struct reading { /* one blob */
	struct layers *l;
	size_t layer;
	struct blob blob;
	uint64_t left;
	uint64_t there; /* bytes of one that arrives */
	struct sha256 hash;
	struct decompress *decompress;
	const uint8_t *in; /* read and not decompressed yet */
	size_t in_size;
};

static bool stopped(struct layers *l)
{
	bool stop;

	pthread_mutex_lock(&l->lock);
	stop = l->stop;
	pthread_mutex_unlock(&l->lock);
	return stop;
}

/* Waits until there is more to read. */
static int wait_arrival(struct reading *r, uint64_t have, struct error *err)
{
	const struct blob_source *source = r->l->blobs->source;

	while (r->there <= have) {
		int result = source->wait(source->context, &r->blob, have, &r->there, err);

		if (result < 0)
			return result;
		if (stopped(r->l))
			return error_set(err, ERROR_CLOSED, "stopped");
	}
	return 0;
}

static int read_more(struct reading *r, struct error *err)
{
	uint8_t *bytes = r->l->memory + PIECES * PIECE_BYTES;
	size_t want = r->left < READ_BYTES ? (size_t)r->left : READ_BYTES;
	uint64_t have = r->blob.size - r->left;
	ssize_t n;

	if (r->blob.arriving) {
		int result = wait_arrival(r, have, err);

		if (result < 0)
			return result;
		want = r->there - have < want ? (size_t)(r->there - have) : want;
	}
	do
		n = pread(r->blob.fd, bytes, want, (off_t)(r->blob.offset + r->blob.size - r->left));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_errno(err, errno, "read");
	if (n == 0)
		return error_set(err, ERROR_CORRUPT, "it became shorter while it was read");
	if (!r->blob.arriving)
		sha256_update(&r->hash, bytes, (size_t)n);
	r->left -= (uint64_t)n;
	r->l->read += (uint64_t)n;
	r->in = bytes;
	r->in_size = (size_t)n;
	return 0;
}

/* Fills one piece as far as the blob goes. */
static int fill_piece(struct reading *r, struct slot *slot, size_t *size, struct error *err)
{
	*size = 0;
	while (*size < PIECE_BYTES) {
		size_t made;
		int result = 0;

		if (r->in_size == 0 && r->left > 0)
			result = read_more(r, err);
		if (result == 0)
			result = decompress_step(r->decompress, &r->in, &r->in_size, slot->bytes + *size,
				PIECE_BYTES - *size, &made, err);
		if (result < 0)
			return result;
		*size += made;
		if (made == 0 && r->in_size == 0 && r->left == 0)
			return decompress_finish(r->decompress, err);
	}
	return 0;
}

/* Reads what is left, so that the digest can be told. */
static int check_digest(struct reading *r, struct error *err)
{
	const struct plan_layer *layer = &r->l->plan->layers[r->layer];
	char digest[SHA256_DIGEST_SIZE];
	uint8_t hash[SHA256_SIZE];
	int result = 0;

	while (result == 0 && r->left > 0)
		result = read_more(r, err);
	if (result < 0 || r->blob.arriving)
		return result;
	result = sha256_final(&r->hash, hash, err);
	if (result < 0 || !*layer->digest)
		return result;
	if (strcmp(sha256_digest(hash, digest), layer->digest) == 0)
		return 0;
	return error_set(err, ERROR_CORRUPT,
		"its digest is %s, the manifest says %s: it was damaged or replaced, get the image again",
		digest, layer->digest);
}

static int read_pieces(struct reading *r, struct error *err)
{
	for (;;) {
		struct slot *slot = wait_slot(r->l);
		size_t size;
		int result;

		if (!slot)
			return 0;
		result = fill_piece(r, slot, &size, err);
		if (result < 0) {
			/* Bytes that make no sense may be not the ones that were meant. */
			struct error other;

			if (result == -ERROR_INVALID && check_digest(r, &other) == -ERROR_CORRUPT)
				return error_set(err, ERROR_CORRUPT, "%s", other.text);
			return result;
		}
		if (size == PIECE_BYTES) {
			hand_over(r->l, r->layer, size, false);
			continue;
		}
		result = check_digest(r, err);
		if (result == 0)
			hand_over(r->l, r->layer, size, true);
		return result;
	}
}

static int read_blob(struct layers *l, size_t at, struct error *err)
{
	const struct plan_layer *layer = &l->plan->layers[at];
	struct decompress_options options = {.output = l->limits.bytes, .ratio = l->limits.ratio};
	_cleanup_(cleanup_decompress) struct decompress *decompress = NULL;
	_cleanup_fd_ int fd = -1;
	struct reading r = {.l = l, .layer = at};
	int result = blobs_find(l->blobs, layer->name, &r.blob, err);

	if (result < 0)
		return result;
	fd = r.blob.fd;
	r.left = r.blob.size;
	if (r.blob.size != layer->size)
		return error_set(err, ERROR_CORRUPT,
			"it has %llu bytes, the manifest says %llu: it is cut "
			"or was replaced, get the image again",
			(unsigned long long)r.blob.size, (unsigned long long)layer->size);
	result = decompress_new(&options, &decompress, err);
	if (result == 0)
		result = sha256_init(&r.hash, err);
	r.decompress = decompress;
	if (result == 0)
		result = read_pieces(&r, err);
	sha256_free(&r.hash);
	return result;
}

static void *produce(void *argument)
{
	struct layers *l = argument;
	struct error err = {0};
	int r = 0;

	for (size_t at = l->plan->count; r == 0 && at-- > 0 && !stopped(l);) {
		r = read_blob(l, at, &err);
		if (r < 0)
			layers_error(l->plan, at, &err);
	}
	pthread_mutex_lock(&l->lock);
	l->over = true;
	l->result = r;
	l->error = err;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- the taker -------------------------------------------------------------------------------------- */

/* The thread takes no signals: they are for whoever called. */
static int start_thread(struct layers *l)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&l->thread, NULL, produce, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	l->started = r == 0;
	return r;
}

int layers_start(const struct blobs *b, const struct image_plan *p, const struct layers_limits *limits,
	struct layers **out, struct error *err)
{
	struct layers *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return error_no_memory(err, "read layers");
	l->blobs = b;
	l->plan = p;
	l->limits = *limits;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	l->memory = malloc(PIECES * PIECE_BYTES + READ_BYTES);
	if (!l->memory) {
		layers_free(l);
		return error_no_memory(err, "read layers");
	}
	for (size_t i = 0; i < PIECES; i++)
		l->slots[i].bytes = l->memory + i * PIECE_BYTES;
	r = start_thread(l);
	if (r) {
		layers_free(l);
		return error_errno(err, r, "start a thread");
	}
	*out = l;
	return 0;
}

int layers_next(struct layers *l, struct layers_piece *piece, struct error *err)
{
	int r = 0;

	pthread_mutex_lock(&l->lock);
	if (l->looking)
		l->taken++;
	l->looking = false;
	pthread_cond_broadcast(&l->changed);
	while (l->filled == l->taken && !l->over)
		pthread_cond_wait(&l->changed, &l->lock);
	if (l->filled != l->taken) {
		*piece = l->slots[l->taken % PIECES].piece;
		l->looking = true;
		r = 1;
	} else if (l->result < 0) {
		r = l->result;
		if (err)
			*err = l->error;
	}
	pthread_mutex_unlock(&l->lock);
	return r;
}

void layers_free(struct layers *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	if (l->started)
		pthread_join(l->thread, NULL);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	free(l->memory);
	free(l);
}
