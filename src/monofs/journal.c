/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to the journal, reading from it, and the disk. */
#include "monofs/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/siphash.h"
#include "monofs/journal_parts.h"
#include "os/fs.h"

/* ---- segments ------------------------------------------------------------------------------------------ */

struct journal_segment *journal_segment_hold(struct journal_segment *s)
{
	atomic_fetch_add(&s->users, 1);
	return s;
}

void journal_segment_drop(struct journal_segment *s)
{
	if (!s || atomic_fetch_sub(&s->users, 1) != 1)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

int journal_add_segment(struct journal *j, struct journal_segment *s, struct error *err)
{
	struct journal_segment **more =
		reallocarray(j->segments, j->count + 1, sizeof(struct journal_segment *));

	if (!more)
		return error_no_memory(err, "begin a segment of the journal");
	j->segments = more;
	j->segments[j->count++] = s;
	return 0;
}

static int write_header(struct journal_segment *s)
{
	_cleanup_buffer_ struct buffer b = {0};
	uint64_t seed[2];

	memcpy(seed, s->salt, sizeof seed);
	buffer_append(&b, JOURNAL_MAGIC, 8);
	buffer_u64(&b, s->number);
	buffer_append(&b, s->salt, sizeof s->salt);
	if (b.failed)
		return -ENOMEM;
	buffer_u64(&b, siphash(seed, b.data, b.size));
	if (b.failed)
		return -ENOMEM;
	return pwrite(s->fd, b.data, b.size, 0) == (ssize_t)b.size ? 0 : errno ? -errno : -EIO;
}

static int make_segment(struct journal *j, struct journal_segment *s, const char *name)
{
	crypt_salt(j->crypt, s->salt);
	s->fd = openat(
		j->directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (s->fd < 0 || (!j->crypt->encrypted && getentropy(s->salt, sizeof s->salt) < 0))
		return -errno;
	return write_header(s);
}

/* On disk, with nothing in it; in no list. */
static int new_segment(struct journal *j, uint64_t number, struct journal_segment **out, struct error *err)
{
	struct journal_segment *s = calloc(1, sizeof *s);
	char name[JOURNAL_NAME_SIZE];
	int r;

	if (!s)
		return error_no_memory(err, "begin a segment of the journal");
	*s = (struct journal_segment){.users = 1, .number = number, .fd = -1, .end = JOURNAL_HEADER};
	journal_segment_name(number, name);
	r = make_segment(j, s, name);
	if (r == 0 && (fdatasync(s->fd) < 0 || fsync(j->directory) < 0))
		r = -errno;
	if (r == 0) {
		*out = s;
		return 0;
	}
	if (s->fd >= 0)
		unlinkat(j->directory, name, 0);
	journal_segment_drop(s);
	return error_errno(err, -r, "begin the segment %s of the journal", name);
}

int journal_begin_segment(struct journal *j, uint64_t number, struct error *err)
{
	struct journal_segment *s;
	int r = new_segment(j, number, &s, err);

	if (r == 0 && (r = journal_add_segment(j, s, err)) < 0)
		journal_segment_drop(s);
	return r;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->count; i++)
		journal_segment_drop(j->segments[i]);
	journal_segment_drop(j->spare);
	free(j->segments);
	if (j->directory >= 0)
		close(j->directory);
	pthread_mutex_destroy(&j->lock);
	pthread_mutex_destroy(&j->syncing);
	pthread_cond_destroy(&j->was_synced);
	free(j);
}

uint64_t journal_bytes(struct journal *j)
{
	uint64_t bytes = 0;

	pthread_mutex_lock(&j->lock);
	for (size_t i = 0; i < j->count; i++)
		bytes += j->segments[i]->end - JOURNAL_HEADER;
	pthread_mutex_unlock(&j->lock);
	return bytes;
}

/* ---- records ------------------------------------------------------------------------------------------- */

struct __attribute__((packed)) checked {
	uint32_t size, number;
	uint64_t fixed, body;
};

uint64_t journal_check(const uint8_t salt[CRYPT_SALT_SIZE], uint32_t size, uint32_t number, const void *fixed,
	const void *body, size_t body_size)
{
	uint64_t seed[2];
	struct checked c = {.size = size, .number = number};

	memcpy(seed, salt, sizeof seed);
	c.fixed = siphash(seed, fixed, JOURNAL_FIXED);
	c.body = siphash(seed, body, body_size);
	return siphash(seed, &c, sizeof c);
}

size_t journal_stored_size(const struct journal *j, size_t body_size)
{
	return JOURNAL_FIXED + body_size + (j->crypt->encrypted ? CRYPT_TAG_SIZE : 0);
}

static bool put_fixed(struct buffer *b, const struct journal_record *r)
{
	buffer_u8(b, r->type);
	buffer_append(b, "\0\0", 3);
	buffer_u32(b, r->nanoseconds);
	buffer_u64(b, r->object);
	buffer_u64(b, r->argument);
	return buffer_u64(b, (uint64_t)r->seconds);
}

/* All of it, or nothing that counts: `end` stays. */
static int write_at(struct journal_segment *s, struct iovec *v, int count, size_t total)
{
	uint64_t at = s->end;

	while (total) {
		ssize_t n = pwritev(s->fd, v, count, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		at += (size_t)n;
		total -= (size_t)n;
		for (; count && (size_t)n >= v->iov_len; v++, count--)
			n -= (ssize_t)v->iov_len;
		if (count) {
			v->iov_base = (char *)v->iov_base + n;
			v->iov_len -= (size_t)n;
		}
	}
	s->end = at;
	return 0;
}

/* What a record is, before it has its place: head is 16 bytes of header, to be filled in, then what is stored
 * but for the rest. */
struct prepared {
	struct buffer head;
	const void *rest; /* of the body */
	size_t rest_size, stored;
};

static int prepare(const struct journal *j, const struct journal_record *r, const void *more,
	size_t more_size, struct prepared *p)
{
	p->stored = journal_stored_size(j, r->size + more_size);
	p->rest = more;
	p->rest_size = more_size;
	if (r->size + more_size > JOURNAL_BODY_MAX)
		return -EFBIG;
	buffer_append(&p->head, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", JOURNAL_RECORD);
	put_fixed(&p->head, r);
	buffer_append(&p->head, r->body, r->size);
	/* What is sealed, and what has two parts, is one piece. */
	if (more_size && (j->crypt->encrypted || r->size)) {
		buffer_append(&p->head, more, more_size);
		p->rest_size = 0;
	}
	return p->head.failed ? -ENOMEM : 0;
}

static void put_header(uint8_t *to, uint32_t size, uint32_t number, uint64_t check)
{
	struct buffer b = {.data = to, .capacity = JOURNAL_RECORD, .limit = JOURNAL_RECORD};

	buffer_u32(&b, size);
	buffer_u32(&b, number);
	buffer_u64(&b, check);
}

static int seal(const struct journal *j, const struct journal_segment *s, struct prepared *p, uint32_t number)
{
	_cleanup_buffer_ struct buffer sealed = {0};
	uint8_t about[JOURNAL_RECORD];

	put_header(about, (uint32_t)p->stored, number, 0);
	buffer_reserve(&sealed, JOURNAL_RECORD + p->stored);
	buffer_append(&sealed, about, JOURNAL_RECORD);
	if (sealed.failed ||
		crypt_seal(j->crypt, CRYPT_JOURNAL, s->salt, number, about, 8, p->head.data + JOURNAL_RECORD,
			p->head.size - JOURNAL_RECORD, &sealed, NULL) < 0)
		return sealed.failed ? -ENOMEM : -EIO;
	buffer_free(&p->head);
	p->head = sealed;
	sealed = (struct buffer){0};
	return 0;
}

/* The lock is held. */
static int append_prepared(struct journal *j, struct journal_segment *s, struct prepared *p, uint32_t number)
{
	struct iovec v[2];
	uint8_t *stored;
	size_t in_head;
	int r = j->crypt->encrypted ? seal(j, s, p, number) : 0;

	if (r < 0)
		return r;
	stored = p->head.data + JOURNAL_RECORD;
	in_head = p->head.size - JOURNAL_RECORD - JOURNAL_FIXED;
	put_header(p->head.data, (uint32_t)p->stored, number,
		p->rest_size
			? journal_check(s->salt, (uint32_t)p->stored, number, stored, p->rest, p->rest_size)
			: journal_check(s->salt, (uint32_t)p->stored, number, stored, stored + JOURNAL_FIXED,
				  in_head));
	v[0] = (struct iovec){p->head.data, p->head.size};
	v[1] = (struct iovec){(void *)p->rest, p->rest_size};
	s->last = number; /* used up, whatever becomes of it */
	r = write_at(s, v, p->rest_size ? 2 : 1, p->head.size + p->rest_size);
	if (r == 0) {
		s->dirty = true;
		j->written += p->head.size + p->rest_size;
	}
	return r;
}

int journal_append(struct journal *j, const struct journal_record *record, const void *more, size_t more_size,
	struct journal_place *place)
{
	struct prepared p = {0};
	struct journal_segment *s;
	int r = prepare(j, record, more, more_size, &p);

	if (r == 0) {
		pthread_mutex_lock(&j->lock);
		s = j->segments[j->count - 1];
		if (place)
			*place = (struct journal_place){s, s->end};
		r = s->last >= JOURNAL_LAST_NUMBER - 1 ? -ENOSPC : append_prepared(j, s, &p, s->last + 1);
		pthread_mutex_unlock(&j->lock);
	}
	buffer_free(&p.head);
	return r;
}

int journal_end_segment(struct journal *j, struct journal_segment *s, struct error *err)
{
	const struct journal_record end = {.type = JOURNAL_END};
	struct prepared p = {0};
	int r = prepare(j, &end, NULL, 0, &p);

	if (r == 0)
		r = append_prepared(j, s, &p, JOURNAL_LAST_NUMBER);
	buffer_free(&p.head);
	return r < 0 ? error_errno(err, -r, "end a segment of the journal") : 0;
}

static int read_all(int fd, void *to, size_t n, uint64_t at)
{
	while (n) {
		ssize_t got = pread(fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		to = (char *)to + got;
		at += (size_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int read_sealed(const struct journal *j, const struct journal_segment *s, uint64_t at, size_t size,
	size_t skip, void *to, size_t n)
{
	size_t stored = journal_stored_size(j, size), opened = 0;
	_cleanup_free_ uint8_t *sealed = malloc(JOURNAL_RECORD + stored), *plain = malloc(stored);
	struct cursor c;
	uint32_t number;
	int r = sealed && plain ? read_all(s->fd, sealed, JOURNAL_RECORD + stored, at) : -ENOMEM;

	if (r < 0)
		return r;
	c = cursor_of(sealed, 8);
	if (cursor_u32(&c) != stored)
		return -EIO;
	number = cursor_u32(&c);
	if (crypt_open(j->crypt, CRYPT_JOURNAL, s->salt, number, sealed, 8, sealed + JOURNAL_RECORD, stored,
		    plain, &opened, NULL) < 0 ||
		opened != JOURNAL_FIXED + size)
		return -EIO;
	memcpy(to, plain + JOURNAL_FIXED + skip, n);
	return 0;
}

int journal_read(const struct journal *j, const struct journal_segment *s, uint64_t at, size_t size,
	size_t skip, void *to, size_t n)
{
	if (skip > size || n > size - skip)
		return -EIO;
	if (j->crypt->encrypted)
		return read_sealed(j, s, at, size, skip, to, n);
	return read_all(s->fd, to, n, at + JOURNAL_RECORD + JOURNAL_FIXED + skip);
}

/* ---- the disk ------------------------------------------------------------------------------------------ */

/* Segments that were written to, held, in order. *written: all that they have by now. */
static size_t take_dirty(struct journal *j, struct journal_segment ***dirty, uint64_t *written)
{
	size_t n = 0;

	pthread_mutex_lock(&j->lock);
	*dirty = calloc(j->count + 1, sizeof **dirty);
	*written = j->written;
	for (size_t i = 0; *dirty && i < j->count; i++)
		if (j->segments[i]->dirty) {
			j->segments[i]->dirty = false;
			(*dirty)[n++] = journal_segment_hold(j->segments[i]);
		}
	pthread_mutex_unlock(&j->lock);
	return n;
}

static int sync_dirty(struct journal *j, uint64_t *written)
{
	struct journal_segment **dirty;
	size_t n = take_dirty(j, &dirty, written);
	int r = dirty ? 0 : -ENOMEM;

	for (size_t i = 0; i < n; i++) {
		if (r == 0 && fdatasync(dirty[i]->fd) < 0)
			r = -errno;
		journal_segment_drop(dirty[i]);
	}
	free(dirty);
	return r;
}

/* The first who comes goes to the disk for all who came before it went. */
static int lead(struct journal *j)
{
	uint64_t written;
	int r;

	j->leader = true;
	pthread_mutex_unlock(&j->syncing);
	r = sync_dirty(j, &written);
	pthread_mutex_lock(&j->syncing);
	j->leader = false;
	if (r < 0)
		j->failed = -r;
	else
		j->synced = written;
	pthread_cond_broadcast(&j->was_synced);
	return r;
}

int journal_sync(struct journal *j)
{
	uint64_t mine;
	int r = 0;

	pthread_mutex_lock(&j->lock);
	mine = j->written;
	pthread_mutex_unlock(&j->lock);
	pthread_mutex_lock(&j->syncing);
	while (r == 0 && j->synced < mine) {
		if (j->failed)
			r = -j->failed;
		else if (j->leader)
			pthread_cond_wait(&j->was_synced, &j->syncing);
		else
			r = lead(j);
	}
	pthread_mutex_unlock(&j->syncing);
	return r;
}

uint64_t journal_number(struct journal *j)
{
	uint64_t number;

	pthread_mutex_lock(&j->lock);
	number = j->segments[j->count - 1]->number;
	pthread_mutex_unlock(&j->lock);
	return number;
}

int journal_prepare(struct journal *j, struct error *err)
{
	return j->spare ? 0 : new_segment(j, journal_number(j) + 1, &j->spare, err);
}

/* The new one is there before the old one ends: where that fails, the old one goes on. Nothing of the new one
 * is reported durable before the old one is, since they are synced in order. */
int journal_freeze(struct journal *j, uint64_t *through, struct error *err)
{
	struct journal_segment *s;
	int r = journal_prepare(j, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&j->lock);
	s = j->segments[j->count - 1];
	*through = s->number;
	r = journal_add_segment(j, j->spare, err);
	if (r == 0 && (r = journal_end_segment(j, s, err)) < 0)
		j->count--;
	else if (r == 0)
		j->spare = NULL;
	pthread_mutex_unlock(&j->lock);
	return r;
}
