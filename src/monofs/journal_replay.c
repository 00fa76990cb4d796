/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a journal: which segments count, and all their records, until one is not whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/siphash.h"
#include "monofs/journal_parts.h"
#include "os/fs.h"

/* ---- opening ------------------------------------------------------------------------------------------- */

/* Removes segments that a revision has, and says whether there are others with anything in them. */
static int remove_old(struct journal *j, bool *others, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	uint64_t number;
	int r = fs_list_open(j->directory, ".", &list, err);

	*others = false;
	while (r == 0 && (name = fs_list_next(list)) != NULL) {
		if (!journal_segment_number(name, &number))
			continue;
		if (number < j->base.first)
			unlinkat(j->directory, name, 0);
		else if (journal_has_records(j->directory, name))
			*others = true;
	}
	return r;
}

static int begin_on(struct journal *j, uint64_t first, const struct object_id *main, struct error *err)
{
	const struct journal_base base = {.first = first, .commit = *main};

	return journal_base_write(j, &base, err);
}

static int settle_base(struct journal *j, const struct object_id *main, const struct object_id *content,
	const struct object_id *identity, struct error *err)
{
	char ours[OBJECT_HEX_SIZE], theirs[OBJECT_HEX_SIZE];
	bool others;
	int r;

	if (j->base.next && object_id_equal(&j->base.content, content) &&
		object_id_equal(&j->base.identity, identity))
		r = begin_on(j, j->base.next, main, err);
	else if (object_id_equal(&j->base.commit, main))
		r = j->base.next ? begin_on(j, j->base.first, main, err) : 0;
	else {
		r = remove_old(j, &others, err);
		if (r == 0 && others)
			return error_set(err, ERROR_INVALID,
				"the journal has changes of revision %.12s, but main is %.12s now: tag that "
				"and "
				"move main back, or remove journal/ to lose them",
				object_id_hex(&j->base.commit, ours), object_id_hex(main, theirs));
		r = r < 0 ? r : begin_on(j, j->base.first, main, err);
	}
	return r < 0 ? r : remove_old(j, &others, err);
}

static struct journal *make(int repository, const struct crypt *crypt, struct error *err)
{
	struct journal *j = calloc(1, sizeof *j);

	if (!j) {
		error_no_memory(err, "open the journal");
		return NULL;
	}
	j->crypt = crypt;
	pthread_mutex_init(&j->lock, NULL);
	pthread_mutex_init(&j->syncing, NULL);
	pthread_cond_init(&j->was_synced, NULL);
	j->directory = fs_open(repository, "journal", O_RDONLY | O_DIRECTORY, 0, err);
	if (j->directory >= 0)
		return j;
	journal_close(j);
	return NULL;
}

int journal_open(int repository, const struct crypt *crypt, const struct object_id *main,
	const struct object_id *content, const struct object_id *identity, struct journal **out,
	struct error *err)
{
	_cleanup_(cleanup_journal) struct journal *j = NULL;
	int r = fs_make_directories(repository, "journal", 0700, err);

	if (r < 0 || !(j = make(repository, crypt, err)))
		return r < 0 ? r : err ? -(int)err->code : -ERROR_SYSTEM;
	r = journal_base(repository, &j->base, err);
	if (r == 0)
		r = begin_on(j, 1, main, err);
	else if (r > 0)
		r = settle_base(j, main, content, identity, err);
	if (r == 0)
		*out = TAKE_PTR(j);
	return r;
}

/* ---- replaying ----------------------------------------------------------------------------------------- */

struct replay {
	struct journal *j;
	journal_take *take;
	void *context;
	struct buffer stored, plain;
	bool ended; /* by JOURNAL_END */
};

/* Negative: an error of the system. 0: not there, or not as many bytes. */
static int read_there(int fd, void *to, size_t n, uint64_t at)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(fd, (char *)to + done, n - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : 0;
		done += (size_t)got;
	}
	return 1;
}

static void parse(const uint8_t *plain, size_t size, struct journal_record *r)
{
	struct cursor c = cursor_of(plain, size);

	r->type = cursor_u8(&c);
	cursor_take(&c, 3);
	r->nanoseconds = cursor_u32(&c);
	r->object = cursor_u64(&c);
	r->argument = cursor_u64(&c);
	r->seconds = (int64_t)cursor_u64(&c);
	r->body = plain + JOURNAL_FIXED;
	r->size = size - JOURNAL_FIXED;
}

/* 1: a whole one; 0: none. */
static int read_record(
	struct replay *p, const struct journal_segment *s, uint32_t *number, struct journal_record *r)
{
	uint8_t head[JOURNAL_RECORD];
	struct cursor c = cursor_of(head, sizeof head);
	size_t least = journal_stored_size(p->j, 0), size, n;
	uint64_t check;
	int there = read_there(s->fd, head, sizeof head, s->end);

	if (there <= 0)
		return there;
	size = cursor_u32(&c);
	*number = cursor_u32(&c);
	check = cursor_u64(&c);
	if (size < least || size > least + JOURNAL_BODY_MAX || *number <= s->last)
		return 0;
	buffer_clear(&p->stored);
	if (!buffer_reserve(&p->stored, size))
		return -ENOMEM;
	there = read_there(s->fd, p->stored.data, size, s->end + sizeof head);
	if (there <= 0)
		return there;
	if (journal_check(s->salt, (uint32_t)size, *number, p->stored.data, p->stored.data + JOURNAL_FIXED,
		    size - JOURNAL_FIXED) != check)
		return 0;
	if (!p->j->crypt->encrypted) {
		parse(p->stored.data, size, r);
		return 1;
	}
	buffer_clear(&p->plain);
	if (!buffer_reserve(&p->plain, size))
		return -ENOMEM;
	if (crypt_open(p->j->crypt, CRYPT_JOURNAL, s->salt, *number, head, 8, p->stored.data, size,
		    p->plain.data, &n, NULL) < 0 ||
		n < JOURNAL_FIXED)
		return 0;
	parse(p->plain.data, n, r);
	return 1;
}

static int replay_records(struct replay *p, struct journal_segment *s, struct error *err)
{
	struct journal_record record;
	uint32_t number;
	int r = 0;

	p->ended = false;
	while (!p->ended && (r = read_record(p, s, &number, &record)) > 0) {
		const struct journal_place place = {s, s->end};

		p->ended = record.type == JOURNAL_END && number == JOURNAL_LAST_NUMBER;
		r = p->ended ? 0 : p->take(p->context, &record, &place, err);
		if (r < 0)
			return r;
		s->last = number;
		s->end += JOURNAL_RECORD + journal_stored_size(p->j, record.size);
	}
	return p->ended || r == 0 ? 0 : error_errno(err, -r, "read the journal");
}

/* 1: it is there, with a whole header. */
static int open_segment(struct journal *j, uint64_t number, struct journal_segment **out, struct error *err)
{
	uint8_t header[JOURNAL_HEADER];
	char name[JOURNAL_NAME_SIZE];
	struct cursor c = cursor_of(header, sizeof header);
	_cleanup_fd_ int fd = openat(j->directory, journal_segment_name(number, name),
		O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct journal_segment *s;
	uint64_t seed[2];
	int r = fd < 0 ? 0 : read_there(fd, header, sizeof header, 0);

	if ((fd < 0 && errno != ENOENT) || r < 0)
		return error_errno(err, fd < 0 ? errno : -r, "open the segment %s of the journal", name);
	if (r == 0 || memcmp(cursor_take(&c, 8), JOURNAL_MAGIC, 8) != 0 || cursor_u64(&c) != number)
		return 0;
	memcpy(seed, header + 16, sizeof seed);
	cursor_take(&c, CRYPT_SALT_SIZE);
	if (cursor_u64(&c) != siphash(seed, header, JOURNAL_HEADER - 8))
		return 0;
	s = calloc(1, sizeof *s);
	if (!s)
		return error_no_memory(err, "open the journal");
	*s = (struct journal_segment){
		.users = 1, .number = number, .fd = TAKE_FD(fd), .end = JOURNAL_HEADER, .dirty = true};
	memcpy(s->salt, header + 16, sizeof s->salt);
	r = journal_add_segment(j, s, err);
	if (r < 0)
		journal_segment_drop(s);
	*out = s;
	return r < 0 ? r : 1;
}

/* What comes behind the last that was replayed was never reported durable, and goes before anything new is
 * written. */
static int cut_off(struct journal *j, uint64_t behind, struct error *err)
{
	_cleanup_list_ DIR *list = NULL;
	const char *name;
	uint64_t number;
	int r = fs_list_open(j->directory, ".", &list, err);

	while (r == 0 && (name = fs_list_next(list)) != NULL)
		if (journal_segment_number(name, &number) && number >= behind &&
			unlinkat(j->directory, name, 0) < 0)
			r = error_errno(err, errno, "remove the segment %s of the journal", name);
	if (r == 0 && fsync(j->directory) < 0)
		r = error_errno(err, errno, "remove from the journal");
	return r;
}

static int end_torn(struct journal *j, struct journal_segment *s, struct error *err)
{
	if (ftruncate(s->fd, (off_t)s->end) < 0)
		return error_errno(err, errno, "cut the journal");
	return journal_end_segment(j, s, err);
}

/* A segment without a record is made anew rather than ended, so that those who mount a tree and write nothing
 * leave no more than they found. Not written to again: a record that was torn there was sealed under its
 * salt. */
static void give_back(struct journal *j, struct replay *p, uint64_t *number)
{
	journal_segment_drop(j->segments[--j->count]);
	p->ended = true;
	(*number)--;
}

int journal_replay(struct journal *j, journal_take *take, void *context, struct error *err)
{
	struct replay p = {.j = j, .take = take, .context = context, .ended = true};
	struct journal_segment *s = NULL;
	uint64_t number = j->base.first;
	int r = 1;

	while (p.ended && r > 0 && (r = open_segment(j, number, &s, err)) > 0) {
		number++;
		r = replay_records(&p, s, err);
		r = r < 0 ? r : 1;
	}
	buffer_free(&p.stored);
	buffer_free(&p.plain);
	if (r >= 0 && !p.ended && !s->last)
		give_back(j, &p, &number);
	if (r >= 0)
		r = cut_off(j, number, err);
	if (r == 0 && !p.ended)
		r = end_torn(j, s, err);
	/* Who died may have synced nothing of it. */
	j->written++;
	return r < 0 ? r : journal_begin_segment(j, number, err);
}
