/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/json.h"
#include "os/fs.h"
#include "sandbox/event_log.h"
#include "test.h"

static void open_home(struct home *home, char path[64])
{
	struct error err;

	snprintf(path, 64, "/tmp/test-events-XXXXXX");
	CHECK(mkdtemp(path));
	CHECK_OK(home_open(path, home, &err));
}

static void close_home(struct home *home)
{
	fs_remove_tree(AT_FDCWD, home->path, NULL);
	home_close(home);
}
#define HOME(home) \
	char home##_path[64]; \
	__attribute__((cleanup(close_home))) struct home home; \
	open_home(&home, home##_path)

struct seen {
	size_t count, most;
	char last[EVENT_MAX + 1];
};

static int see(void *context, const char *line, size_t size)
{
	struct seen *s = context;

	CHECK(size <= EVENT_MAX);
	memcpy(s->last, line, size + 1);
	return ++s->count == s->most;
}

static void tell(const struct home *home, const char *name, const char *label)
{
	const char *const attributes[] = {"image=debian", "odd", NULL}, *const labels[] = {label, NULL};

	event_tell(home, &(struct event){.type = "sandbox",
				 .action = "start",
				 .id = "1a2b",
				 .name = name,
				 .attributes = attributes,
				 .labels = labels});
}

static size_t count(const struct home *home, struct seen *s)
{
	const struct events_query all = {.stop = -1};
	struct error err;

	*s = (struct seen){0};
	CHECK_OK(events_read(home, &all, see, s, &err));
	return s->count;
}

TEST(an_event_is_one_line_of_json_whatever_is_in_it)
{
	static struct seen s;
	_cleanup_json_ json_t *root = NULL;
	const json_t *labels;
	struct error err;
	HOME(home);

	tell(&home, "we\"b\n", "a=b=\xc3\xa4\"\n");
	CHECK_INT(count(&home, &s), 1);
	CHECK_OK(json_parse(s.last, strlen(s.last), EVENT_MAX, true, "event", &root, &err));
	CHECK_TEXT(json_string_value(json_object_get(root, "name")), "we\"b\n");
	CHECK_TEXT(json_string_value(json_object_get(root, "action")), "start");
	labels = json_object_get(root, "labels");
	CHECK_TEXT(json_string_value(json_object_get(labels, "a")), "b=\xc3\xa4\"\n");
	CHECK(json_integer_value(json_object_get(root, "nanoseconds")) > 0);
}

TEST(an_event_with_more_labels_than_a_line_holds_is_told_without_them)
{
	static char label[EVENT_MAX * 2];
	static struct seen s;
	HOME(home);

	memset(label, 'x', sizeof label - 1);
	tell(&home, "web", label);
	CHECK_INT(count(&home, &s), 1);
	CHECK(strstr(s.last, "\"labels\":{}"));
}

TEST(what_is_kept_of_events_has_an_end_and_the_newest_are_there)
{
	static char label[8000];
	static struct seen s;
	char name[16];
	struct stat a, b;
	size_t n = 2 * EVENTS_SIZE / sizeof label + 700;
	HOME(home);

	memset(label, 'x', sizeof label - 1);
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof name, "n%zu", i);
		tell(&home, name, label);
	}
	CHECK(count(&home, &s) < n);
	CHECK(s.count > EVENTS_SIZE / (2 * sizeof label));
	CHECK(strstr(s.last, name));
	CHECK(fstatat(home.events, "events.jsonl", &a, 0) == 0 &&
		fstatat(home.events, "events.1.jsonl", &b, 0) == 0);
	CHECK(a.st_size < EVENTS_SIZE + EVENT_MAX && b.st_size < EVENTS_SIZE + EVENT_MAX);
}

static void *write_many(void *context)
{
	static char label[4000];

	memset(label, 'x', sizeof label - 1);
	for (int i = 0; i < 1500; i++)
		tell(context, "web", label);
	return NULL;
}

/* Some 12 MB: the file is replaced under the reader's and the writers' hands. */
TEST(who_follows_sees_each_event_once_while_files_are_replaced)
{
	static struct seen s;
	const struct events_query query = {
		.follow = true, .until = clock_realtime() + 120 * NANOSECONDS_PER_SECOND, .stop = -1};
	pthread_t writers[2];
	struct error err;
	HOME(home);

	s = (struct seen){.most = 3000};
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&writers[i], NULL, write_many, &home) == 0);
	CHECK_INT(events_read(&home, &query, see, &s, &err), 1);
	for (int i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	CHECK_INT(s.count, 3000);
}

TEST(a_line_that_was_cut_or_is_too_long_is_passed_over)
{
	static char junk[3 * EVENT_MAX];
	static struct seen s;
	_cleanup_fd_ int fd = -1;
	HOME(home);

	memset(junk, 'y', sizeof junk);
	junk[sizeof junk - 1] = '\n';
	fd = openat(home.events, "events.jsonl", O_WRONLY | O_CREAT | O_APPEND, 0600);
	CHECK(write(fd, junk, sizeof junk) == sizeof junk);
	tell(&home, "web", "a=b");
	CHECK_INT(count(&home, &s), 1);
	CHECK(strstr(s.last, "\"web\""));
}
