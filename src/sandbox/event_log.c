/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who writes holds a shared lock on the file for that moment, and who makes it the earlier one an exclusive
 * lock: so nothing comes to a file behind its end, and who follows it knows when it has read all.
 */
#include "sandbox/event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/json.h"
#include "os/fs.h"

#define CURRENT "events.jsonl"
#define EARLIER "events.1.jsonl"

#define READ_SIZE      (64u << 10)
#define FOLLOW_POLL_MS 1000 /* a directory on a network may tell nothing */

/* ---- write ------------------------------------------------------------------------------------------ */

/* What is no UTF-8 is left out. */
static void put(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, json_string(value));
}

static json_t *pairs(const char *const *list)
{
	json_t *object = json_object();

	for (; object && list && *list; list++) {
		const char *equals = strchrnul(*list, '=');
		_cleanup_free_ char *key = strndup(*list, (size_t)(equals - *list));

		if (key)
			put(object, key, *equals ? equals + 1 : "");
	}
	return object;
}

static json_t *describe(const struct event *e, bool labels)
{
	uint64_t now = clock_realtime();
	json_t *root = json_object();
	char time[31];

	put(root, "time", clock_rfc3339(now, time));
	json_object_set_new(root, "nanoseconds", json_integer((json_int_t)now));
	put(root, "type", e->type);
	put(root, "action", e->action);
	put(root, "id", e->id ? e->id : "");
	put(root, "name", e->name ? e->name : "");
	json_object_set_new(root, "attributes", pairs(e->attributes));
	json_object_set_new(root, "labels", pairs(labels ? e->labels : NULL));
	return root;
}

static bool make_line(const struct event *e, struct buffer *line)
{
	for (int labels = 1; labels >= 0; labels--) {
		_cleanup_json_ json_t *root = describe(e, labels);

		buffer_clear(line);
		if (json_write(root, JSON_COMPACT, line, NULL) == 0 && buffer_u8(line, '\n') &&
			line->size <= EVENT_MAX)
			return true;
	}
	return false;
}

static void make_earlier(int directory)
{
	_cleanup_fd_ int fd = -1;
	struct stat st;

	if (fs_lock(directory, CURRENT, FS_LOCK_EXCLUSIVE, false, &fd, NULL) == 0 && fstat(fd, &st) == 0 &&
		st.st_size >= EVENTS_SIZE)
		renameat(directory, CURRENT, directory, EARLIER);
}

void event_tell(const struct home *home, const struct event *e)
{
	_cleanup_buffer_ struct buffer line = {0};
	_cleanup_fd_ int fd = -1;
	struct stat st;

	if (!make_line(e, &line))
		return;
	if (fs_lock(home->events, CURRENT, FS_LOCK_SHARED, true, &fd, NULL) < 0 ||
		fcntl(fd, F_SETFL, O_APPEND) < 0)
		return;
	if (write(fd, line.data, line.size) < 0 || fstat(fd, &st) < 0 || st.st_size < EVENTS_SIZE)
		return;
	close(TAKE_FD(fd));
	make_earlier(home->events);
}

void event_tell_sandbox(const struct home *home, const char *id, const struct record *record,
	const char *action, const char *key, const char *value)
{
	char image[512], more[512];
	const char *attributes[] = {image, key ? more : NULL, NULL};
	const struct event e = {.type = "sandbox",
		.action = action,
		.id = id,
		.name = record->name,
		.attributes = attributes,
		.labels = (const char *const *)record->labels};

	snprintf(image, sizeof image, "image=%s", record->image ? record->image : "");
	if (key)
		snprintf(more, sizeof more, "%s=%s", key, value);
	event_tell(home, &e);
}

/* ---- read ------------------------------------------------------------------------------------------- */

struct reader {
	int directory;
	int fd; /* what is being read, or -1 */
	struct buffer line;
	bool too_long; /* the line is passed over */
	int (*take)(void *context, const char *line, size_t size);
	void *context;
};

static int take_line(struct reader *r)
{
	bool good = !r->too_long && buffer_u8(&r->line, 0);
	int result = good ? r->take(r->context, (const char *)r->line.data, r->line.size - 1) : 0;

	buffer_clear(&r->line);
	r->too_long = false;
	return result;
}

static int take_bytes(struct reader *r, const char *data, size_t n)
{
	int result = 0;

	while (result == 0 && n) {
		const char *newline = memchr(data, '\n', n);
		size_t part = newline ? (size_t)(newline - data) : n;

		r->too_long |= r->line.size + part > EVENT_MAX || !buffer_append(&r->line, data, part);
		if (newline)
			result = take_line(r);
		part += newline != NULL;
		data += part;
		n -= part;
	}
	return result;
}

/* What is there now, from where it has been read to. */
static int read_file(struct reader *r)
{
	char bytes[READ_SIZE];
	int result = 0;
	ssize_t n;

	while (result == 0 && r->fd >= 0 && (n = read(r->fd, bytes, sizeof bytes)) > 0)
		result = take_bytes(r, bytes, (size_t)n);
	return result;
}

static void open_file(struct reader *r, const char *name)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = openat(r->directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* Whether what is being read has this name now. */
static bool is_named(const struct reader *r, const char *name)
{
	struct stat there, mine;

	return r->fd >= 0 && fstatat(r->directory, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(r->fd, &mine) == 0 && there.st_ino == mine.st_ino && there.st_dev == mine.st_dev;
}

/* To a file that is no longer the current one nothing more comes: it is read to its end, then that which has
 * become the earlier one since, if that is another, then the current one. */
static int read_available(struct reader *r)
{
	bool current = is_named(r, CURRENT);
	int result = read_file(r);

	if (result || current)
		return result;
	if (r->fd >= 0 && !is_named(r, EARLIER)) {
		open_file(r, EARLIER);
		result = read_file(r);
	}
	open_file(r, CURRENT);
	return result ? result : read_file(r);
}

/* Both files as they are, whichever is renamed meanwhile. */
static int read_kept(struct reader *r)
{
	_cleanup_fd_ int current = openat(r->directory, CURRENT, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat a, b;
	int result = 0;

	open_file(r, EARLIER);
	if (r->fd >= 0 &&
		(current < 0 || fstat(current, &a) < 0 || fstat(r->fd, &b) < 0 || a.st_ino != b.st_ino))
		result = read_file(r);
	if (r->fd >= 0)
		close(r->fd);
	r->fd = TAKE_FD(current);
	return result ? result : read_file(r);
}

/* Milliseconds to wait; -1: `until` has come. */
static int wait_time(uint64_t until)
{
	uint64_t now = clock_realtime(), left = until > now ? (until - now) / MILLISECONDS(1) + 1 : 0;

	if (until && !left)
		return -1;
	return until && left < FOLLOW_POLL_MS ? (int)left : FOLLOW_POLL_MS;
}

static int follow(struct reader *r, const struct events_query *q, int watch)
{
	struct pollfd p[] = {{.fd = watch, .events = POLLIN}, {.fd = q->stop, .events = POLLIN}};
	char events[4096];
	int result = 0, wait;

	while (result == 0 && (wait = wait_time(q->until)) >= 0) {
		if (poll(p, 2, wait) > 0 && p[1].revents)
			break;
		while (read(watch, events, sizeof events) > 0)
			continue;
		result = read_available(r);
	}
	return result;
}

int events_read(const struct home *home, const struct events_query *query,
	int (*take)(void *context, const char *line, size_t size), void *context, struct error *err)
{
	struct reader r = {.directory = home->events, .fd = -1, .take = take, .context = context};
	_cleanup_fd_ int watch = query->follow ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;
	char path[64];
	int result;

	snprintf(path, sizeof path, "/proc/self/fd/%d", home->events);
	if (query->follow && (watch < 0 || inotify_add_watch(watch, path, IN_MODIFY | IN_CREATE) < 0))
		return error_errno(err, errno, "watch the events");
	result = read_kept(&r);
	if (result == 0 && query->follow)
		result = follow(&r, query, watch);
	if (r.fd >= 0)
		close(r.fd);
	buffer_free(&r.line);
	return result;
}
