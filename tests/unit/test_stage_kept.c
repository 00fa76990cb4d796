/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept about staged volumes: the guest's archive while it is applied, and what was applied. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lib/stage.h"
#include "os/fs.h"

struct place {
	char path[64];
	struct staged s;
};

static void place_open(struct place *p)
{
	*p = (struct place){.s = STAGED_NONE};
	snprintf(p->path, sizeof p->path, "/tmp/monocore-kept-XXXXXX");
	CHECK(mkdtemp(p->path));
	p->s.directory.fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(p->s.directory.fd >= 0);
	p->s.count = 2;
	for (uint32_t i = 0; i < 2; i++)
		p->s.volumes[i] = (struct staged_volume){.number = 3 * i + 1, .directory = -1, .spool = -1};
}

static void place_close(struct place *p)
{
	struct error err;

	staged_close(&p->s);
	CHECK_OK(fs_remove_tree(AT_FDCWD, p->path, &err));
}

static int collect(void *context, const void *bytes, size_t n, struct error *err)
{
	return buffer_append(context, bytes, n) ? 0 : error_no_memory(err, "collect");
}

TEST(an_archive_comes_back_as_it_was_and_its_zeroes_take_no_room)
{
	_cleanup_buffer_ struct buffer in = {0}, out = {0};
	static const uint8_t zeroes[1 << 20];
	struct spool spool;
	struct error err;
	struct place p;
	struct stat s;

	place_open(&p);
	buffer_append_text(&in, "begin");
	buffer_append(&in, zeroes, sizeof zeroes);
	buffer_append_text(&in, "end");
	buffer_append(&in, zeroes, 8192);
	CHECK_OK(spool_open(&spool, p.s.directory.fd, 65536, &err));
	for (size_t at = 0; at < in.size; at += 7000)
		CHECK_OK(spool_add(&spool, in.data + at, in.size - at < 7000 ? in.size - at : 7000, &err));
	CHECK_OK(spool_read(spool.fd, collect, &out, &err));
	CHECK(out.size == in.size && !memcmp(in.data, out.data, in.size));
	CHECK(fstat(spool.fd, &s) == 0 && s.st_nlink == 0);
	close(spool.fd);
	place_close(&p);
}

TEST(an_archive_of_more_than_the_disk_can_hold_is_a_limit)
{
	uint8_t piece[4096];
	struct spool spool;
	struct error err;
	struct place p;

	place_open(&p);
	memset(piece, 'x', sizeof piece);
	CHECK_OK(spool_open(&spool, p.s.directory.fd, 8192, &err));
	CHECK_OK(spool_add(&spool, piece, sizeof piece, &err));
	CHECK_OK(spool_add(&spool, piece, sizeof piece, &err));
	CHECK_ERROR(spool_add(&spool, piece, 1, &err), ERROR_LIMIT);
	close(spool.fd);
	place_close(&p);
}

static uint64_t changed_of(const struct place *p, size_t volume, const char *path)
{
	const uint64_t *value = map_get(&p->s.volumes[volume].applied, path, strlen(path) + 1);

	return value ? *value : 0;
}

TEST(what_was_applied_is_remembered_and_forgotten_by_path)
{
	static const char odd[] = "a b\n1 2 c";
	struct error err;
	struct place p;
	bool any;

	place_open(&p);
	CHECK_OK(applied_read(&p.s, &err)); /* there is none */
	CHECK_OK(applied_note(&p.s.volumes[0], "d/file", 5, &err));
	CHECK_OK(applied_note(&p.s.volumes[0], "d/file", 7, &err));
	CHECK_OK(applied_note(&p.s.volumes[0], "dd", 8, &err));
	CHECK_OK(applied_note(&p.s.volumes[1], odd, UINT64_MAX, &err));
	CHECK_OK(applied_note(&p.s.volumes[1], "gone", 9, &err));
	CHECK_OK(applied_note(&p.s.volumes[1], "gone", 0, &err));
	CHECK_OK(applied_write(&p.s, &err));
	applied_free(&p.s.volumes[0]);
	applied_free(&p.s.volumes[1]);
	CHECK_OK(applied_read(&p.s, &err));
	CHECK_INT(changed_of(&p, 0, "d/file"), 7);
	CHECK(changed_of(&p, 1, odd) == UINT64_MAX && !changed_of(&p, 1, "gone") && !changed_of(&p, 1, "dd"));
	CHECK_OK(applied_forget(&p.s.volumes[0], "d", &any, &err));
	CHECK(any && !changed_of(&p, 0, "d/file") && changed_of(&p, 0, "dd") == 8);
	CHECK_OK(applied_forget(&p.s.volumes[0], "d", &any, &err));
	CHECK(!any);
	CHECK_OK(applied_forget(&p.s.volumes[0], "", &any, &err));
	CHECK_OK(applied_forget(&p.s.volumes[1], "", &any, &err));
	CHECK_OK(applied_write(&p.s, &err));
	CHECK(faccessat(p.s.directory.fd, "applied", F_OK, 0) < 0);
	place_close(&p);
}

TEST(of_a_damaged_file_what_is_whole_counts)
{
	static const char text[] = "1 5 a\0nonsense\0001 6 b";
	struct error err;
	struct place p;

	place_open(&p);
	CHECK_OK(fs_write_atomic(p.s.directory.fd, "applied", text, sizeof text, 0600, &err));
	CHECK_OK(applied_read(&p.s, &err));
	CHECK(changed_of(&p, 0, "a") == 5 && !changed_of(&p, 0, "b"));
	place_close(&p);
}
