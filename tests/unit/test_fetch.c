/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs fetched into a store from a server that answers as each promise needs it: with ranges or without,
 * cut, wrong, beside another process. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/sha256.h"
#include "http_server.h"
#include "oci/fetch.h"
#include "os/fs.h"

#define SIZE ((9u << 20) + 12345) /* three pieces, the last not whole */

struct scene {
	char home[64];
	struct store *store;
	struct http_server *server;
	struct endpoint endpoint;
	struct credentials nobody;
	struct registry_options options;
	struct registry *registry;
	atomic_bool stop;
	struct fetch_blob blob;
	struct store_hold hold;
};

static char nothing[1] = "";
static struct error err;
static uint8_t *bytes;
static char digest[SHA256_DIGEST_SIZE], target[128];

__attribute__((constructor)) static void make_bytes(void)
{
	uint8_t hash[SHA256_SIZE];
	uint32_t x = 1;

	bytes = malloc(SIZE);
	for (size_t i = 0; i < SIZE; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(x >> 24);
	}
	CHECK_OK(sha256_of(bytes, SIZE, hash, &err));
	sha256_digest(hash, digest);
	snprintf(target, sizeof target, "/v2/a/b/blobs/%s", digest);
}

static void open_registry(struct scene *s)
{
	s->endpoint = (struct endpoint){.registry = "reg.test",
		.host = http_server_host(s->server),
		.repository = "a/b",
		.plain_http = true,
		.ca_file = nothing};
	s->nobody = (struct credentials){nothing, nothing, nothing, nothing};
	s->options = (struct registry_options){
		.endpoint = &s->endpoint, .credentials = &s->nobody, .stop = &s->stop};
	CHECK_OK(registry_open(&s->options, &s->registry, &err));
}

static void scene_start(struct scene *s, const struct http_answer *table)
{
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	*s = (struct scene){.home = "/tmp/mc-fetch-XXXXXX"};
	CHECK(mkdtemp(s->home));
	CHECK_OK(store_open(s->home, &s->store, &err));
	s->server = http_server_start(table, NULL);
	open_registry(s);
	memcpy(s->blob.digest, digest, sizeof s->blob.digest);
	s->blob.size = SIZE;
}

static void scene_end(struct scene *s)
{
	store_hold_free(&s->hold);
	registry_free(s->registry);
	http_server_stop(s->server);
	store_free(s->store);
	fs_remove_tree(AT_FDCWD, s->home, NULL);
}

static int start(struct scene *s, struct fetch **f)
{
	struct fetch_options o = {.store = s->store,
		.registries = &s->registry,
		.registry_count = 1,
		.blobs = &s->blob,
		.count = 1,
		.stop = &s->stop};

	return fetch_start(&o, f, &err);
}

static int fetch_all(struct scene *s)
{
	struct fetch *f = NULL;
	int r = start(s, &f);

	if (r == 0)
		r = fetch_finish(f, &s->hold, &err);
	fetch_free(f);
	return r;
}

static bool has(struct scene *s)
{
	_cleanup_buffer_ struct buffer got = {0};

	return store_blob_read(s->store, digest, SIZE, &got, NULL, NULL) == 0 && got.size == SIZE &&
	       !memcmp(got.data, bytes, SIZE);
}

static unsigned halves(struct scene *s)
{
	char path[192];
	unsigned n;

	snprintf(path, sizeof path, "%s/store/partial/%.64s", s->home, digest + strlen("sha256:"));
	n = access(path, F_OK) == 0;
	return n;
}

/* ---- a table for a server that gives ranges ---------------------------------------------------------- */

#define PIECE (4u << 20)

static char ranges[3][96], wants[3][64];

static struct http_answer range_answer(unsigned piece)
{
	uint32_t from = piece * PIECE, to = piece == 2 ? SIZE - 1 : from + PIECE - 1;

	snprintf(wants[piece], sizeof wants[piece], "Range: bytes=%u-%u", from, to);
	snprintf(ranges[piece], sizeof ranges[piece], "Content-Range: bytes %u-%u/%u\r\n", from, to, SIZE);
	return (struct http_answer){.method = "GET",
		.target = target,
		.when = wants[piece],
		.status = 206,
		.headers = ranges[piece],
		.body = (char *)bytes + from,
		.size = to - from + 1};
}

TEST(a_blob_comes_in_pieces)
{
	const struct http_answer table[] = {
		range_answer(0), range_answer(1), range_answer(2), {.target = NULL}};
	struct scene s;

	scene_start(&s, table);
	CHECK_OK(fetch_all(&s));
	CHECK(has(&s) && !halves(&s));
	CHECK_INT(http_server_count(s.server, "GET "), 3);
	scene_end(&s);
}

TEST(the_reader_is_told_how_far_it_is)
{
	const struct http_answer table[] = {
		range_answer(0), range_answer(1), range_answer(2), {.target = NULL}};
	_cleanup_free_ uint8_t *got = malloc(SIZE);
	struct fetch *f = NULL;
	uint64_t have = 0;
	struct scene s;
	int fd;

	scene_start(&s, table);
	CHECK_OK(start(&s, &f));
	CHECK_OK(fetch_open(f, 0, &fd, &err));
	while (have < SIZE) {
		uint64_t there;

		CHECK_OK(fetch_wait(f, 0, have, &there, &err));
		CHECK(there >= have && there <= SIZE);
		if (there > have)
			CHECK_INT(pread(fd, got + have, there - have, (off_t)have), (ssize_t)(there - have));
		have = there;
	}
	CHECK(!memcmp(got, bytes, SIZE));
	CHECK_OK(fetch_finish(f, &s.hold, &err));
	close(fd);
	fetch_free(f);
	scene_end(&s);
}

TEST(a_server_without_ranges_is_asked_for_all)
{
	const struct http_answer table[] = {
		{.method = "GET", .target = target, .status = 200, .body = (char *)bytes, .size = SIZE},
		{.target = NULL}};
	struct scene s;

	scene_start(&s, table);
	CHECK_OK(fetch_all(&s));
	CHECK(has(&s));
	scene_end(&s);
}

TEST(a_wrong_digest_leaves_nothing)
{
	struct http_answer table[] = {range_answer(0), range_answer(1), range_answer(2), {.target = NULL}};
	struct scene s;

	table[1].body = (char *)bytes; /* the first piece once more */
	scene_start(&s, table);
	CHECK_ERROR(fetch_all(&s), ERROR_CORRUPT);
	CHECK(strstr(err.text, "digest") && strstr(err.text, "127.0.0.1"));
	CHECK(!has(&s) && !halves(&s));
	scene_end(&s);
}

TEST(what_is_not_there_fails_at_once)
{
	const struct http_answer table[] = {{.target = NULL}};
	struct scene s;

	scene_start(&s, table);
	CHECK_ERROR(fetch_all(&s), ERROR_NOT_FOUND);
	CHECK(!has(&s) && !halves(&s));
	scene_end(&s);
}

/* ---- what an earlier process left -------------------------------------------------------------------- */

static void leave_half(struct scene *s, const uint8_t *what, size_t n)
{
	int fd;

	CHECK_OK(store_partial_open(s->store, digest, true, &fd, &err));
	CHECK_INT(pwrite(fd, what, n, 0), (ssize_t)n);
	close(fd);
}

/* From where a process was killed: the half counts up to a block before its end. */
TEST(a_half_is_gone_on_with)
{
	uint32_t from = (6u << 20) - (64u << 10);
	char want[64], range[96];
	const struct http_answer table[] = {{.method = "GET",
						    .target = target,
						    .when = want,
						    .status = 206,
						    .headers = range,
						    .body = (char *)bytes + from,
						    .size = SIZE - from},
		{.target = NULL}};
	struct scene s;

	snprintf(want, sizeof want, "Range: bytes=%u-%u", from, SIZE - 1);
	snprintf(range, sizeof range, "Content-Range: bytes %u-%u/%u\r\n", from, SIZE - 1, SIZE);
	scene_start(&s, table);
	leave_half(&s, bytes, 6u << 20);
	CHECK_OK(fetch_all(&s));
	CHECK(has(&s));
	scene_end(&s);
}

TEST(a_half_that_is_all_needs_no_server)
{
	const struct http_answer table[] = {{.target = NULL}};
	struct scene s;

	scene_start(&s, table);
	leave_half(&s, bytes, SIZE);
	CHECK_OK(fetch_all(&s));
	CHECK(has(&s) && !halves(&s));
	CHECK_INT(http_server_count(s.server, "GET "), 0);
	scene_end(&s);
}

TEST(a_half_that_is_wrong_is_fetched_anew)
{
	const struct http_answer table[] = {
		range_answer(0), range_answer(1), range_answer(2), {.target = NULL}};
	_cleanup_free_ uint8_t *wrong = calloc(1, SIZE);
	struct scene s;

	memset(wrong, 'x', SIZE);
	scene_start(&s, table);
	leave_half(&s, wrong, SIZE);
	CHECK_OK(fetch_all(&s));
	CHECK(has(&s));
	scene_end(&s);
}

/* ---- another process --------------------------------------------------------------------------------- */

TEST(a_blob_that_another_fetches_is_waited_for)
{
	const struct http_answer table[] = {{.target = NULL}};
	struct scene s;
	int status, ready[2];
	pid_t child;
	char c;

	scene_start(&s, table);
	CHECK_INT(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		int fd;

		if (store_partial_open(s.store, digest, true, &fd, NULL) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		usleep(300000);
		if (pwrite(fd, bytes, SIZE, 0) != SIZE)
			_exit(1);
		_exit(store_partial_publish(s.store, digest, fd, NULL) < 0);
	}
	CHECK_INT(read(ready[0], &c, 1), 1);
	CHECK_OK(fetch_all(&s));
	CHECK(has(&s));
	CHECK_INT(http_server_count(s.server, "GET "), 0);
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
	scene_end(&s);
}

TEST(a_blob_of_a_process_that_dies_is_taken_over)
{
	const struct http_answer table[] = {
		range_answer(0), range_answer(1), range_answer(2), {.target = NULL}};
	struct scene s;
	int status, ready[2];
	pid_t child;
	char c;

	scene_start(&s, table);
	CHECK_INT(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		int fd;

		if (store_partial_open(s.store, digest, true, &fd, NULL) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		usleep(200000);
		raise(SIGKILL);
	}
	CHECK_INT(read(ready[0], &c, 1), 1);
	CHECK_OK(fetch_all(&s));
	CHECK(has(&s));
	CHECK_INT(waitpid(child, &status, 0), child);
	scene_end(&s);
}
