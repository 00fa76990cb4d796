/* SPDX-License-Identifier: Apache-2.0 */
/* On which revision the journal stands, and what becomes of segments that one has. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/siphash.h"
#include "monofs/journal_parts.h"
#include "os/fs.h"

#define MAGIC "MFSBASE1"
#define SIZE  128u

static const uint64_t no_seed[2];

const char *journal_segment_name(uint64_t number, char name[JOURNAL_NAME_SIZE])
{
	snprintf(name, JOURNAL_NAME_SIZE, "%016llu", (unsigned long long)(number % 10000000000000000ull));
	return name;
}

bool journal_segment_number(const char *name, uint64_t *number)
{
	*number = 0;
	if (strlen(name) != JOURNAL_NAME_SIZE - 1)
		return false;
	for (; *name; name++) {
		if (*name < '0' || *name > '9')
			return false;
		*number = *number * 10 + (uint64_t)(*name - '0');
	}
	return true;
}

static int decode(const struct buffer *b, struct journal_base *out, struct error *err)
{
	struct cursor c = cursor_of(b->data, b->size);
	const uint8_t *magic = cursor_take(&c, 8), *id;

	out->first = cursor_u64(&c);
	if ((id = cursor_take(&c, OBJECT_ID_SIZE)) != NULL)
		memcpy(out->commit.bytes, id, OBJECT_ID_SIZE);
	out->next = cursor_u64(&c);
	if ((id = cursor_take(&c, OBJECT_ID_SIZE)) != NULL)
		memcpy(out->content.bytes, id, OBJECT_ID_SIZE);
	if ((id = cursor_take(&c, OBJECT_ID_SIZE)) != NULL)
		memcpy(out->identity.bytes, id, OBJECT_ID_SIZE);
	if (cursor_u64(&c) != (b->size == SIZE ? siphash(no_seed, b->data, SIZE - 8) : 0) ||
		!cursor_done(&c) || memcmp(magic, MAGIC, 8) != 0 || out->first == 0 ||
		(out->next && out->next <= out->first))
		return error_set(err, ERROR_CORRUPT, "journal/base is damaged");
	return 1;
}

int journal_base(int repository, struct journal_base *out, struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	struct error why = {0};
	int r = fs_read_regular(repository, "journal/base", SIZE, &b, &why);

	if (r == -ERROR_NOT_FOUND)
		return 0;
	if (r < 0) {
		if (err)
			*err = why;
		return r;
	}
	return decode(&b, out, err);
}

bool journal_has_records(int journal, const char *name)
{
	uint8_t head[8];
	struct cursor c = cursor_of(head, sizeof head);
	_cleanup_fd_ int fd = openat(journal, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || pread(fd, head, sizeof head, JOURNAL_HEADER) != sizeof head)
		return false;
	cursor_u32(&c);
	return cursor_u32(&c) != JOURNAL_LAST_NUMBER;
}

static bool is_pending(int journal, const char *name, uint64_t first)
{
	uint64_t number;

	return journal_segment_number(name, &number) && number >= first && journal_has_records(journal, name);
}

int journal_pending(int repository, struct error *err)
{
	_cleanup_fd_ int journal = -1;
	_cleanup_list_ DIR *list = NULL;
	struct journal_base base = {0};
	const char *name;
	bool found = false;
	int r = journal_base(repository, &base, err);

	if (r <= 0)
		return r;
	journal = r = fs_open(repository, "journal", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
	if (r >= 0)
		r = fs_list_open(journal, ".", &list, err);
	while (r == 0 && !found && (name = fs_list_next(list)))
		found = is_pending(journal, name, base.first);
	return r < 0 ? r : found;
}

int journal_base_write(struct journal *j, const struct journal_base *base, struct error *err)
{
	_cleanup_buffer_ struct buffer b = {0};
	int r;

	buffer_append(&b, MAGIC, 8);
	buffer_u64(&b, base->first);
	buffer_append(&b, base->commit.bytes, OBJECT_ID_SIZE);
	buffer_u64(&b, base->next);
	buffer_append(&b, base->content.bytes, OBJECT_ID_SIZE);
	buffer_append(&b, base->identity.bytes, OBJECT_ID_SIZE);
	if (!b.failed)
		buffer_u64(&b, siphash(no_seed, b.data, b.size));
	if (b.failed)
		return error_no_memory(err, "write journal/base");
	r = fs_write_atomic(j->directory, "base", b.data, b.size, 0600, err);
	if (r == 0)
		j->base = *base;
	return r;
}

int journal_intend(struct journal *j, uint64_t through, const struct object_id *content,
	const struct object_id *identity, struct error *err)
{
	struct journal_base base = j->base;

	base.next = through + 1;
	base.content = *content;
	base.identity = *identity;
	return journal_base_write(j, &base, err);
}

/* Out of the list; whoever reads from them still holds them. */
static void remove_segments(struct journal *j, uint64_t through)
{
	char name[JOURNAL_NAME_SIZE];
	size_t n = 0;

	pthread_mutex_lock(&j->lock);
	while (n < j->count && j->segments[n]->number <= through) {
		unlinkat(j->directory, journal_segment_name(j->segments[n]->number, name), 0);
		journal_segment_drop(j->segments[n++]);
	}
	memmove(j->segments, j->segments + n, (j->count - n) * sizeof *j->segments);
	j->count -= n;
	pthread_mutex_unlock(&j->lock);
}

int journal_forget(struct journal *j, uint64_t through, const struct object_id *commit, struct error *err)
{
	struct journal_base base = {.first = through + 1, .commit = *commit};
	int r = journal_base_write(j, &base, err);

	if (r == 0)
		remove_segments(j, through);
	return r;
}

/* ---- the reserve --------------------------------------------------------------------------------------- */

#define RESERVE      "reserve"
#define RESERVE_SIZE (1u << 20)

void journal_take_reserve(struct journal *j)
{
	int fd = openat(j->directory, RESERVE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	if (posix_fallocate(fd, 0, RESERVE_SIZE) != 0)
		unlinkat(j->directory, RESERVE, 0);
	close(fd);
}

bool journal_give_reserve(struct journal *j)
{
	return unlinkat(j->directory, RESERVE, 0) == 0;
}
