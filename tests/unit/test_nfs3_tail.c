/* SPDX-License-Identifier: Apache-2.0 */
/* Large reads that are sent from the file's mapping, over a native file system in memory (/dev/shm). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "nfs3_peer.h"
#include "os/fs.h"
#include "test.h"
#include "vfs/native/native.h"

#define LARGE (1u << 20)

struct scene {
	char path[40];
	int directory, file;
	struct peer peer;
	struct nfs3_handle handle;
	uint8_t *bytes; /* LARGE of them, as they stand in the file */
};

static void scene_open(struct scene *s)
{
	struct native_options o = {.owners = NATIVE_PLAIN};
	struct vfs *fs;
	struct error err;

	*s = (struct scene){.path = "/dev/shm/monocore-test-XXXXXX"};
	CHECK(mkdtemp(s->path));
	s->directory = o.directory = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->file = openat(s->directory, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	s->bytes = malloc(LARGE);
	CHECK(s->bytes);
	for (uint32_t i = 0; i < LARGE; i++)
		s->bytes[i] = (uint8_t)(i * 2654435761u >> 24);
	CHECK_INT(write(s->file, s->bytes, LARGE), LARGE);
	CHECK_OK(native_new(&o, &fs, &err));
	peer_open_over(&s->peer, fs, &fixed);
	s->handle = named(&s->peer, NFS3_LOOKUP, s->peer.root, "f").handle;
	s->peer.tails = true;
}

static void scene_close(struct scene *s)
{
	struct error err;

	peer_close(&s->peer);
	free(s->bytes);
	close(s->file);
	close(s->directory);
	CHECK_OK(fs_remove_tree(AT_FDCWD, s->path, &err));
}

#define _cleanup_scene_ __attribute__((cleanup(scene_close)))

/* Reads all of it from the other end, which is `ends[1]`. */
struct reader {
	int ends[2];
	pthread_t thread;
	uint8_t *bytes;
};

static void *read_all(void *context)
{
	struct reader *r = context;
	size_t have = 0;

	while (have < LARGE) {
		ssize_t n = recv(r->ends[1], r->bytes + have, LARGE - have, 0);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return have == LARGE ? r->bytes : NULL;
}

TEST(a_large_read_of_what_is_cached_stays_in_the_file_and_is_sent_from_there)
{
	_cleanup_scene_ struct scene s;
	struct reader r;
	void *all;

	scene_open(&s);
	CHECK_INT(try_read(&s.peer, s.handle, 0, LARGE).count, LARGE);
	CHECK_INT(s.peer.tail.size, LARGE);
	CHECK(s.peer.reply.size < 300);
	r.bytes = malloc(LARGE);
	CHECK(r.bytes && socketpair(AF_UNIX, SOCK_STREAM, 0, r.ends) == 0);
	CHECK_INT(pthread_create(&r.thread, NULL, read_all, &r), 0);
	CHECK_INT(nfs3_tail_send(&s.peer.tail, r.ends[0]), 0);
	pthread_join(r.thread, &all);
	CHECK(all && !memcmp(all, s.bytes, LARGE));
	CHECK_INT(s.peer.tail.size, 0);
	free(r.bytes);
	close(r.ends[0]);
	close(r.ends[1]);
}

TEST(small_reads_and_uneven_ones_are_copied)
{
	_cleanup_scene_ struct scene s;
	struct nfs3_results r;

	scene_open(&s);
	r = try_read(&s.peer, s.handle, 100, 4096);
	CHECK_INT(s.peer.tail.size, 0);
	CHECK_INT(r.data.size, 4096);
	CHECK(!memcmp(r.data.data, s.bytes + 100, 4096));
	r = try_read(&s.peer, s.handle, 3, LARGE);
	CHECK_INT(s.peer.tail.size, 0);
	CHECK_INT(r.data.size, LARGE - 3);
	CHECK(!memcmp(r.data.data, s.bytes + 3, LARGE - 3));
	CHECK(r.end);
}

TEST(what_could_not_be_sent_at_once_is_read)
{
	_cleanup_scene_ struct scene s;
	_cleanup_free_ uint8_t *rest = malloc(LARGE);
	size_t left;
	int ends[2];

	scene_open(&s);
	try_read(&s.peer, s.handle, 0, LARGE);
	CHECK(rest && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	CHECK_INT(nfs3_tail_send(&s.peer.tail, ends[0]), 0);
	left = s.peer.tail.size;
	CHECK(left > 0 && left < LARGE);
	CHECK(nfs3_tail_take(&s.peer.tail, rest));
	CHECK(!memcmp(rest, s.bytes + LARGE - left, left));
	CHECK_INT(s.peer.tail.size, 0);
	close(ends[0]);
	close(ends[1]);
}

TEST(a_file_that_is_cut_before_it_is_sent_ends_in_zeroes)
{
	_cleanup_scene_ struct scene s;
	_cleanup_free_ uint8_t *rest = malloc(LARGE);
	int ends[2];

	scene_open(&s);
	try_read(&s.peer, s.handle, 0, LARGE);
	CHECK_INT(ftruncate(s.file, 0), 0);
	CHECK_INT(pwrite(s.file, "left", 4, 0), 4);
	CHECK_INT(ftruncate(s.file, 5), 0);
	CHECK(rest && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	s.peer.tail.bytes += LARGE / 2;
	CHECK_INT(nfs3_tail_send(&s.peer.tail, ends[0]), -EFAULT);
	CHECK(nfs3_tail_take(&s.peer.tail, rest));
	CHECK(!memcmp(rest, "left", 5));
	for (uint32_t i = 5; i < LARGE; i++)
		if (rest[i])
			CHECK_INT(i, LARGE);
	close(ends[0]);
	close(ends[1]);
}

TEST(what_is_not_in_the_cache_is_read)
{
	_cleanup_scene_ struct scene s;
	struct nfs3_results r;

	scene_open(&s);
	CHECK_INT(ftruncate(s.file, 3 * LARGE), 0); /* a hole has no pages */
	r = try_read(&s.peer, s.handle, LARGE, LARGE);
	CHECK_INT(s.peer.tail.size, 0);
	CHECK_INT(r.data.size, LARGE);
	CHECK_INT(r.data.data[LARGE - 1], 0);
}

/* Only as much as 256 MiB of a file is mapped at a time. */
TEST(each_part_of_a_large_file_is_mapped_in_turn)
{
	_cleanup_scene_ struct scene s;
	_cleanup_free_ uint8_t *got = malloc(LARGE);
	const uint64_t far = 300ull << 20;

	scene_open(&s);
	CHECK_INT(pwrite(s.file, s.bytes, LARGE / 2, (off_t)far), LARGE / 2);
	for (int i = 0; i < 3; i++) {
		uint32_t size = i % 2 ? LARGE / 2 : LARGE;

		try_read(&s.peer, s.handle, i % 2 ? far : 0, size);
		CHECK_INT(s.peer.tail.size, size);
		CHECK(got && nfs3_tail_take(&s.peer.tail, got));
		CHECK(!memcmp(got, s.bytes, size));
	}
}

/* A reply that is kept open lets nobody take its part of the file away. */
TEST(a_part_that_is_being_sent_stays_mapped)
{
	_cleanup_scene_ struct scene s;
	struct nfs3_tail kept;
	struct nfs3_results r;
	int ends[2];

	scene_open(&s);
	CHECK_INT(pwrite(s.file, s.bytes, LARGE, 300 << 20), LARGE);
	try_read(&s.peer, s.handle, 0, LARGE);
	kept = s.peer.tail;
	s.peer.tail = (struct nfs3_tail){0};
	r = try_read(&s.peer, s.handle, 300 << 20, LARGE);
	CHECK_INT(s.peer.tail.size, 0);
	CHECK(r.data.size == LARGE && !memcmp(r.data.data, s.bytes, LARGE));
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
	CHECK_INT(nfs3_tail_send(&kept, ends[0]), 0);
	CHECK(kept.size < LARGE);
	nfs3_tail_end(&kept);
	close(ends[0]);
	close(ends[1]);
}
