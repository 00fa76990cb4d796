/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of a blob: IDLE until a connection first looks at it; OPENING while one does; ELSEWHERE while
 * another process fetches it; OPEN while pieces come; WHOLE when all bytes are there with the right digest;
 * PUBLISHING while it is synced and gets its place, so that little is left to do behind the last byte;
 * PUBLISHED. All members of struct item are under the lock, but for its file's bytes and its hash, which
 * belong to the one that set `hashing`.
 */
#include "oci/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "os/fs.h"

#define CONNECTIONS  4u
#define PIECE_BYTES  (4u << 20)
#define HASH_BYTES   (256u << 10)
#define RESUME_LEAST (1u << 20)   /* less than that is not worth being careful with */
#define RESUME_BACK  (64u << 10)  /* a block of any file system: the end of a run of data may be a hole */
#define BREAKS_MOST  8u           /* in a row, without a byte between */
#define WORTH_ASKING (512u << 10) /* bytes that an answer brings on average, or it goes on for ever */
#define LOOK_AGAIN   MILLISECONDS(50)
#define SHOW_EVERY   MILLISECONDS(50)
#define PIECES_MOST  (1u << 20) /* of one blob: 4 TiB */

enum state { IDLE, OPENING, ELSEWHERE, OPEN, WHOLE, PUBLISHING, PUBLISHED };

struct piece {
	uint64_t got; /* bytes */
	bool busy;
};

struct item {
	char digest[OCI_DIGEST_SIZE];
	uint64_t size;
	enum state state;
	int fd;
	struct piece *pieces;
	uint32_t piece_count, first; /* the first piece that is not complete */
	uint64_t begin;              /* bytes that an earlier process left */
	uint64_t hashed;
	bool hashing;
	bool whole;          /* the server gives no ranges: one piece, from the start each time */
	bool kept_back;      /* not given out before its digest is checked */
	unsigned generation; /* of the pieces: counts how often they were made */
	unsigned restarts;   /* of one that comes as a whole */
	struct sha256 hash;
	size_t registry; /* that is asked */
	uint64_t shown_at;
};

/* One connection, a thread. */
struct connection {
	struct fetch *f;
	struct item *b; /* that `place` is of */
	size_t registry;
	struct registry_place place;
	pthread_t thread;
};

struct fetch {
	struct fetch_options options;
	struct item *items;
	struct connection connections[CONNECTIONS];
	size_t connection_count;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool failed, drop;
	struct error error;
};

static bool stopped(struct fetch *f)
{
	return atomic_load(f->options.stop);
}

/* Keeps the first error and ends everything. With the lock held. */
static void fail(struct fetch *f, const struct item *b, const struct error *err)
{
	if (!f->failed && !stopped(f)) {
		f->failed = true;
		f->error = *err;
		error_prefix(&f->error, "blob %.19s", b->digest);
	}
	atomic_store(f->options.stop, true);
	pthread_cond_broadcast(&f->changed);
}

static void wait_changed(struct fetch *f, uint64_t nanoseconds)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	nanoseconds += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(nanoseconds / NANOSECONDS_PER_SECOND);
	until.tv_nsec = (long)(nanoseconds % NANOSECONDS_PER_SECOND);
	pthread_cond_timedwait(&f->changed, &f->lock, &until);
}

/* ---- how far it is ---------------------------------------------------------------------------------- */

static uint64_t piece_size(const struct item *b, uint32_t piece)
{
	uint64_t left = b->size - b->begin - (uint64_t)piece * PIECE_BYTES;

	return b->whole || left < PIECE_BYTES ? left : PIECE_BYTES;
}

/* Bytes from the front on without a gap. */
static uint64_t contiguous(const struct item *b)
{
	if (b->state >= WHOLE)
		return b->size;
	if (b->state != OPEN)
		return 0;
	if (b->first == b->piece_count)
		return b->size;
	return b->begin + (uint64_t)b->first * PIECE_BYTES + b->pieces[b->first].got;
}

static uint64_t bytes_there(const struct item *b)
{
	uint64_t sum = b->state >= WHOLE ? b->size : b->begin;

	for (uint32_t i = 0; b->state == OPEN && i < b->piece_count; i++)
		sum += b->pieces[i].got;
	return sum;
}

static void show(struct fetch *f, struct item *b, bool finished)
{
	uint64_t now = clock_monotonic();
	char task[32];

	if (!f->options.progress || (!finished && now - b->shown_at < SHOW_EVERY))
		return;
	b->shown_at = now;
	snprintf(task, sizeof task, "layer %.12s", b->digest + strlen("sha256:"));
	progress_report(f->options.progress, &(struct progress_event){.task = task,
						     .unit = "bytes",
						     .done = bytes_there(b),
						     .total = b->size,
						     .finished = finished});
}

/* ---- opening a blob --------------------------------------------------------------------------------- */

/* Bytes at the front of the file that an earlier process wrote for sure. */
static uint64_t find_prefix(int fd, uint64_t size)
{
	off_t hole = lseek(fd, 0, SEEK_HOLE);
	struct stat s;

	if (hole < 0 || fstat(fd, &s) < 0 || (uint64_t)s.st_size > size)
		return 0;
	if ((uint64_t)hole == size)
		return size;
	return (uint64_t)hole < RESUME_LEAST ? 0
					     : ((uint64_t)hole - RESUME_BACK) & ~(uint64_t)(RESUME_BACK - 1);
}

static int make_pieces(struct item *b, uint64_t begin, struct error *err)
{
	uint64_t n = (b->size - begin + PIECE_BYTES - 1) / PIECE_BYTES;

	if (n > PIECES_MOST)
		return error_set(err, ERROR_LIMIT, "over 4 TiB");
	free(b->pieces);
	b->pieces = calloc(n ? n : 1, sizeof *b->pieces);
	if (!b->pieces)
		return error_no_memory(err, "fetch a blob");
	b->piece_count = (uint32_t)n;
	b->begin = begin;
	b->first = 0;
	b->hashed = 0;
	b->kept_back |= begin > 0;
	b->generation++;
	sha256_free(&b->hash);
	return sha256_init(&b->hash, err);
}

/* The blob in the store, where it is there with the right size. *fd is the caller's. */
static bool find_published(const struct fetch *f, const struct item *b, int *fd)
{
	_cleanup_fd_ int held = -1;
	uint64_t size;

	if (store_blob_open(f->options.store, b->digest, &held, &size, NULL) < 0 || size != b->size)
		return false;
	*fd = TAKE_FD(held);
	return true;
}

/* Takes the place of partial/<digest>, or finds that the blob has come meanwhile (*there), or that another
 * process is at it (BUSY). */
static int take_file(struct fetch *f, struct item *b, int *fd, bool *there, struct error *err)
{
	_cleanup_fd_ int partial = -1;
	int r = store_partial_open(f->options.store, b->digest, false, &partial, err);

	if (r < 0 && r != -ERROR_BUSY)
		return r;
	*there = find_published(f, b, fd);
	if (!*there && r == 0)
		*fd = TAKE_FD(partial);
	else if (r == 0)
		store_partial_drop(f->options.store, b->digest);
	return *there ? 0 : r;
}

/* Without the lock; the state is OPENING. */
static void open_item(struct fetch *f, struct item *b)
{
	struct error err = {0};
	bool there = false;
	int fd = -1, r = take_file(f, b, &fd, &there, &err);
	uint64_t prefix = r == 0 && !there ? find_prefix(fd, b->size) : 0;

	if (r == 0 && !there && ftruncate(fd, (off_t)prefix) < 0)
		r = error_errno(&err, errno, "write");
	pthread_mutex_lock(&f->lock);
	b->fd = fd;
	if (r == -ERROR_BUSY)
		b->state = ELSEWHERE;
	else if (r == 0 && there)
		b->state = PUBLISHED;
	else if (r == 0)
		r = make_pieces(b, prefix, &err);
	if (b->state == OPENING)
		b->state = OPEN;
	if (r < 0 && r != -ERROR_BUSY)
		fail(f, b, &err);
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

/* ---- hashing ---------------------------------------------------------------------------------------- */

static int hash_range(struct item *b, uint64_t from, uint64_t to, struct error *err)
{
	_cleanup_free_ uint8_t *bytes = malloc(HASH_BYTES);

	if (!bytes)
		return error_no_memory(err, "hash a blob");
	while (from < to) {
		ssize_t n = pread(
			b->fd, bytes, to - from < HASH_BYTES ? (size_t)(to - from) : HASH_BYTES, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(err, n ? errno : EIO, "read back what was fetched");
		sha256_update(&b->hash, bytes, (size_t)n);
		from += (uint64_t)n;
	}
	return 0;
}

/* All bytes are hashed. With the lock held. */
static int judge(struct fetch *f, struct item *b, struct error *err)
{
	char digest[SHA256_DIGEST_SIZE];
	uint8_t hash[SHA256_SIZE];
	int r = sha256_final(&b->hash, hash, err);

	if (r < 0)
		return r;
	if (!strcmp(sha256_digest(hash, digest), b->digest)) {
		b->state = WHOLE;
		return 0;
	}
	if (ftruncate(b->fd, 0) < 0)
		return error_errno(err, errno, "write");
	if (b->begin > 0)
		return make_pieces(b, 0, err); /* what was left was bad: anew */
	return error_set(err, ERROR_CORRUPT,
		"%s sent bytes with the digest %s: it is damaged there, or on the way",
		registry_url(f->options.registries[b->registry]), digest);
}

/* Hashes what has come without a gap. With the lock held, which it lets go meanwhile. */
static int hash_forward(struct fetch *f, struct item *b, struct error *err)
{
	int r = 0;

	while (r == 0 && b->state == OPEN && !b->hashing &&
		(contiguous(b) - b->hashed >= HASH_BYTES || contiguous(b) == b->size)) {
		uint64_t from = b->hashed, to = contiguous(b);

		b->hashing = true;
		pthread_mutex_unlock(&f->lock);
		r = hash_range(b, from, to, err);
		pthread_mutex_lock(&f->lock);
		b->hashing = false;
		b->hashed = to;
		if (r == 0 && to == b->size)
			r = judge(f, b, err);
		pthread_cond_broadcast(&f->changed);
	}
	return r;
}

/* ---- one piece -------------------------------------------------------------------------------------- */

struct receiving {
	struct fetch *f;
	struct item *b;
	uint32_t piece;
};

static int receive(void *context, const uint8_t *bytes, size_t n, struct error *err)
{
	struct receiving *x = context;
	struct item *b = x->b;
	struct piece *p = &b->pieces[x->piece];
	off_t at = (off_t)(b->begin + (uint64_t)x->piece * PIECE_BYTES + p->got);
	size_t done = 0;
	int r;

	while (done < n) {
		ssize_t wrote = pwrite(b->fd, bytes + done, n - done, at + (off_t)done);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return error_errno(err, errno, "write what was fetched");
		done += (size_t)wrote;
	}
	pthread_mutex_lock(&x->f->lock);
	p->got += n;
	while (b->first < b->piece_count && b->pieces[b->first].got == piece_size(b, b->first))
		b->first++;
	show(x->f, b, false);
	pthread_cond_broadcast(&x->f->changed);
	r = hash_forward(x->f, b, err);
	pthread_mutex_unlock(&x->f->lock);
	return r;
}

/* The whole blob becomes one piece. With the lock held. */
static int make_whole(struct item *b, struct error *err)
{
	int r = make_pieces(b, 0, err);

	b->whole = true;
	b->kept_back = true; /* it may start anew */
	b->piece_count = b->size > 0;
	return r == 0 && ftruncate(b->fd, 0) < 0 ? error_errno(err, errno, "write") : r;
}

/* Asks for what is missing of a piece, once. With the lock held, let go meanwhile. */
static int ask(struct connection *c, struct item *b, uint32_t piece, bool *again, struct error *err)
{
	struct receiving x = {c->f, b, piece};
	uint64_t got = b->pieces[piece].got, size = piece_size(b, piece);
	uint64_t offset = b->begin + (uint64_t)piece * PIECE_BYTES;
	int r;

	if (c->b != b || c->registry != b->registry) {
		registry_place_free(&c->place);
		c->b = b;
		c->registry = b->registry;
	}
	c->place.whole = b->whole;
	pthread_mutex_unlock(&c->f->lock);
	r = registry_blob_get(c->f->options.registries[c->registry], &c->place, b->digest, offset + got,
		size - got, b->size, receive, &x, again, err);
	pthread_mutex_lock(&c->f->lock);
	return r;
}

/* Until the piece is complete, or is none any more, or an error. */
static int fetch_piece(struct connection *c, struct item *b, uint32_t piece, struct error *err)
{
	uint64_t asks = BREAKS_MOST + piece_size(b, piece) / WORTH_ASKING;
	unsigned breaks = 0, generation = b->generation;

	while (!stopped(c->f) && b->state == OPEN && b->pieces[piece].got < piece_size(b, piece)) {
		uint64_t got = b->pieces[piece].got;
		bool again = false;
		int r = ask(c, b, piece, &again, err);

		if (b->generation != generation)
			return 0;
		if (r < 0 && c->place.whole && (!b->whole || (again && b->restarts++ < BREAKS_MOST)))
			return make_whole(b, err);
		breaks = b->pieces[piece].got > got ? 0 : breaks + 1;
		if (r < 0 && (!again || b->whole || breaks == BREAKS_MOST || !asks--))
			return r;
	}
	return stopped(c->f) ? error_set(err, ERROR_CLOSED, "stopped") : 0;
}

/* ---- the connections -------------------------------------------------------------------------------- */

enum work { WORK_DONE, WORK_OPEN, WORK_PIECE, WORK_PUBLISH, WORK_WAIT };

/* What is next: the first blob that has something to do. With the lock held. */
static enum work find_work(struct fetch *f, struct item **item, uint32_t *piece)
{
	struct item *elsewhere = NULL;
	bool all = true;

	for (size_t i = 0; i < f->options.count; i++) {
		struct item *b = &f->items[i];

		*item = b;
		all &= b->state == PUBLISHED;
		if (b->state == IDLE)
			return WORK_OPEN;
		if (b->state == WHOLE)
			return WORK_PUBLISH;
		if (b->state == ELSEWHERE && !elsewhere)
			elsewhere = b;
		for (*piece = b->first; b->state == OPEN && *piece < b->piece_count; ++*piece)
			if (!b->pieces[*piece].busy && b->pieces[*piece].got < piece_size(b, *piece))
				return WORK_PIECE;
	}
	*item = elsewhere;
	if (all)
		return WORK_DONE;
	return elsewhere ? WORK_OPEN : WORK_WAIT;
}

static bool other_may_have_it(const struct fetch *f, const struct item *b, int r)
{
	return b->registry + 1 < f->options.registry_count &&
	       (r == -ERROR_CLOSED || r == -ERROR_TIMEOUT || r == -ERROR_NOT_FOUND || r == -ERROR_DENIED ||
		       r == -ERROR_INVALID || r == -ERROR_UNAVAILABLE);
}

static void work_on_piece(struct connection *c, struct item *b, uint32_t piece)
{
	struct fetch *f = c->f;
	struct error err = {0};
	unsigned generation = b->generation;
	int r;

	b->pieces[piece].busy = true;
	r = fetch_piece(c, b, piece, &err);
	if (b->generation == generation)
		b->pieces[piece].busy = false;
	if (r < 0 && !stopped(f) && other_may_have_it(f, b, r)) {
		if (b->registry == c->registry)
			b->registry++; /* the next mirror, or the registry itself */
	} else if (r < 0) {
		fail(f, b, &err);
	}
	if (b->state == WHOLE)
		show(f, b, true);
	pthread_cond_broadcast(&f->changed);
}

static void work_on_publishing(struct fetch *f, struct item *b)
{
	struct error err = {0};
	int r;

	b->state = PUBLISHING;
	pthread_mutex_unlock(&f->lock);
	r = store_partial_publish(f->options.store, b->digest, b->fd, &err);
	pthread_mutex_lock(&f->lock);
	b->state = PUBLISHED;
	if (r < 0)
		fail(f, b, &err);
	pthread_cond_broadcast(&f->changed);
}

static void work_on_opening(struct fetch *f, struct item *b)
{
	struct error err = {0};

	if (b->state == ELSEWHERE)
		wait_changed(f, LOOK_AGAIN);
	if (b->state != ELSEWHERE && b->state != IDLE)
		return;
	b->state = OPENING;
	pthread_mutex_unlock(&f->lock);
	open_item(f, b);
	pthread_mutex_lock(&f->lock);
	/* What an earlier process left may be all there is. */
	if (b->state == OPEN && hash_forward(f, b, &err) < 0)
		fail(f, b, &err);
}

static void *work(void *context)
{
	struct connection *c = context;
	struct fetch *f = c->f;

	pthread_mutex_lock(&f->lock);
	for (;;) {
		struct item *b = NULL;
		uint32_t piece;
		enum work next = stopped(f) ? WORK_DONE : find_work(f, &b, &piece);

		if (next == WORK_DONE)
			break;
		if (next == WORK_WAIT)
			wait_changed(f, LOOK_AGAIN);
		else if (next == WORK_OPEN)
			work_on_opening(f, b);
		else if (next == WORK_PUBLISH)
			work_on_publishing(f, b);
		else
			work_on_piece(c, b, piece);
	}
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- start and end ---------------------------------------------------------------------------------- */

static int start_threads(struct fetch *f, struct error *err)
{
	sigset_t all, old;
	int r = 0;

	sigfillset(&all); /* signals are for whoever called */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (r == 0 && f->connection_count < CONNECTIONS) {
		struct connection *c = &f->connections[f->connection_count];

		c->f = f;
		r = pthread_create(&c->thread, NULL, work, c);
		f->connection_count += r == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	/* Fewer will do. */
	return r && !f->connection_count ? error_errno(err, r, "start a thread") : 0;
}

int fetch_start(const struct fetch_options *options, struct fetch **out, struct error *err)
{
	_cleanup_(cleanup_fetch) struct fetch *f = calloc(1, sizeof *f);
	pthread_condattr_t monotonic;
	int r;

	if (!f)
		return error_no_memory(err, "fetch");
	f->options = *options;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&f->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	f->items = calloc(options->count ? options->count : 1, sizeof *f->items);
	if (!f->items)
		return error_no_memory(err, "fetch");
	for (size_t i = 0; i < options->count; i++) {
		memcpy(f->items[i].digest, options->blobs[i].digest, OCI_DIGEST_SIZE);
		f->items[i].size = options->blobs[i].size;
		f->items[i].fd = -1;
	}
	r = start_threads(f, err);
	if (r == 0)
		*out = TAKE_PTR(f);
	return r;
}

/* Waits for a state. With the lock held. */
static int wait_state(struct fetch *f, const struct item *b, enum state least, struct error *err)
{
	while (!f->failed && (b->state < least || b->state == OPENING || b->state == ELSEWHERE)) {
		if (stopped(f))
			return error_set(err, ERROR_CLOSED, "stopped");
		wait_changed(f, 2 * LOOK_AGAIN);
	}
	if (f->failed && err)
		*err = f->error;
	return f->failed ? -(int)f->error.code : 0;
}

int fetch_open(struct fetch *f, size_t blob, int *fd, struct error *err)
{
	struct item *b = &f->items[blob];
	int r;

	pthread_mutex_lock(&f->lock);
	r = wait_state(f, b, OPEN, err);
	if (r == 0) {
		*fd = fcntl(b->fd, F_DUPFD_CLOEXEC, 3);
		r = *fd < 0 ? error_errno(err, errno, "open a blob") : 0;
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

int fetch_wait(struct fetch *f, size_t blob, uint64_t have, uint64_t *available, struct error *err)
{
	struct item *b = &f->items[blob];
	int r;

	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < 2; i++) {
		*available = b->kept_back && b->state < WHOLE ? 0 : contiguous(b);
		if (*available > have || f->failed)
			break;
		if (i == 0)
			wait_changed(f, 2 * LOOK_AGAIN);
	}
	r = f->failed && *available <= have ? -(int)f->error.code : 0;
	if (r < 0 && err)
		*err = f->error;
	pthread_mutex_unlock(&f->lock);
	return r;
}

int fetch_finish(struct fetch *f, struct store_hold *hold, struct error *err)
{
	for (size_t i = 0; i < f->options.count; i++) {
		struct item *b = &f->items[i];
		int r, fd;

		pthread_mutex_lock(&f->lock);
		r = wait_state(f, b, PUBLISHED, err);
		pthread_mutex_unlock(&f->lock);
		if (r < 0)
			return r;
		fd = TAKE_FD(b->fd);
		r = store_hold_add(hold, fd, err);
		if (r < 0)
			return r;
	}
	return 0;
}

void fetch_drop(struct fetch *f)
{
	f->drop = true;
}

void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	atomic_store(f->options.stop, true);
	for (size_t i = 0; i < f->connection_count; i++)
		pthread_join(f->connections[i].thread, NULL);
	for (size_t i = 0; i < f->connection_count; i++)
		registry_place_free(&f->connections[i].place);
	for (size_t i = 0; f->items && i < f->options.count; i++) {
		struct item *b = &f->items[i];

		if ((b->state == OPEN || b->state == WHOLE) && (f->drop || lseek(b->fd, 0, SEEK_END) == 0))
			store_partial_drop(f->options.store, b->digest);
		if (b->fd >= 0)
			close(b->fd);
		free(b->pieces);
		sha256_free(&b->hash);
	}
	free(f->items);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}
