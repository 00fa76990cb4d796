/* SPDX-License-Identifier: Apache-2.0 */
/* What file systems promise where many threads call them at once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "vfs_make.h"
#include "vfs_promises.h"

/* Bytes that tell where they belong. */
static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(1 + (i * 31 + seed * 7) % 255);
}

#define WORKERS 4
#define ROUNDS  200

/* What threads share. They only count what went wrong: a test fails in its own thread. */
struct crew {
	struct vfs *fs;
	uint64_t ino, other;
	atomic_uint next, wrong, won;
};

static void work(struct crew *crew, void *(*worker)(void *))
{
	pthread_t threads[WORKERS];

	for (int i = 0; i < WORKERS; i++)
		CHECK_INT(pthread_create(&threads[i], NULL, worker, crew), 0);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(crew->wrong, 0);
}

/* Each writes every fourth piece of the file, and reads it back. */
static void *write_pieces(void *context)
{
	struct crew *crew = context;
	unsigned me = atomic_fetch_add(&crew->next, 1);
	uint8_t bytes[1000], there[1000];

	for (unsigned i = me; i < ROUNDS * WORKERS; i += WORKERS) {
		int64_t wrote, got = 0;
		size_t same = 0;

		fill(bytes, sizeof bytes, i);
		wrote = vfs_write(crew->fs, crew->ino, VFS_NO_HANDLE, bytes, 1000, i * 1000ull);
		if (wrote == 1000)
			got = vfs_read(crew->fs, crew->ino, VFS_NO_HANDLE, there, 1000, i * 1000ull);
		while (got == 1000 && same < 1000 && bytes[same] == there[same])
			same++;
		if (same == 1000)
			continue;
		printf("# piece %u: %lld written, %lld read, the same up to byte %zu\n", i, (long long)wrote,
			(long long)got, same);
		atomic_fetch_add(&crew->wrong, 1);
	}
	return NULL;
}

void promise_writers_at_once_lose_nothing(struct vfs *fs, unsigned can)
{
	struct crew crew = {.fs = fs, .ino = vfs_make_file(fs, VFS_ROOT, "f")};
	uint8_t bytes[1000];

	(void)can;
	work(&crew, write_pieces);
	CHECK_INT(vfs_attributes_of(fs, crew.ino).size, ROUNDS * WORKERS * 1000);
	for (unsigned i = 0; i < ROUNDS * WORKERS; i++) {
		fill(bytes, sizeof bytes, i);
		vfs_check_bytes(fs, crew.ino, i * 1000ull, bytes, sizeof bytes);
	}
}

static void *append_records(void *context)
{
	struct crew *crew = context;
	unsigned me = atomic_fetch_add(&crew->next, 1);
	vfs_handle handle;
	uint8_t record[64];

	if (vfs_open(crew->fs, crew->ino, VFS_WRITE | VFS_APPEND, &handle) < 0)
		atomic_fetch_add(&crew->wrong, 1);
	memset(record, (int)('a' + me), sizeof record);
	for (unsigned i = 0; i < ROUNDS; i++)
		if (vfs_write(crew->fs, crew->ino, handle, record, sizeof record, 0) != sizeof record)
			atomic_fetch_add(&crew->wrong, 1);
	vfs_release(crew->fs, crew->ino, handle);
	return NULL;
}

void promise_appenders_at_once_lose_nothing(struct vfs *fs, unsigned can)
{
	struct crew crew = {.fs = fs, .ino = vfs_make_file(fs, VFS_ROOT, "f")};
	unsigned count[WORKERS] = {0};
	uint8_t record[64];

	(void)can;
	work(&crew, append_records);
	CHECK_INT(vfs_attributes_of(fs, crew.ino).size, ROUNDS * WORKERS * 64);
	for (unsigned i = 0; i < ROUNDS * WORKERS; i++) {
		CHECK_INT(vfs_read(fs, crew.ino, VFS_NO_HANDLE, record, 64, i * 64ull), 64);
		CHECK(record[0] >= 'a' && record[0] < 'a' + WORKERS);
		for (int j = 1; j < 64; j++)
			CHECK_INT(record[j], record[0]);
		count[record[0] - 'a']++;
	}
	for (int i = 0; i < WORKERS; i++)
		CHECK_INT(count[i], ROUNDS);
}

/* All make the same names; then all unlink them. */
static void *race_for_names(void *context)
{
	struct crew *crew = context;
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;
	char name[16];

	for (unsigned i = 0; i < ROUNDS; i++) {
		int r;

		snprintf(name, sizeof name, "%u", i);
		r = vfs_create(crew->fs, &me, crew->ino, name, 0644, VFS_WRITE | VFS_EXCLUSIVE, &a, &handle);
		if (r == 0) {
			atomic_fetch_add(&crew->won, 1);
			vfs_release(crew->fs, a.ino, handle);
			vfs_forget(crew->fs, a.ino, 1);
		} else if (r != -EEXIST) {
			atomic_fetch_add(&crew->wrong, 1);
		}
	}
	return NULL;
}

static void *race_to_unlink(void *context)
{
	struct crew *crew = context;
	char name[16];

	for (unsigned i = 0; i < ROUNDS; i++) {
		int r;

		snprintf(name, sizeof name, "%u", i);
		r = vfs_unlink(crew->fs, crew->ino, name);
		if (r == 0)
			atomic_fetch_add(&crew->won, 1);
		else if (r != -ENOENT)
			atomic_fetch_add(&crew->wrong, 1);
	}
	return NULL;
}

void promise_a_name_is_made_by_one_of_many(struct vfs *fs, unsigned can)
{
	struct crew crew = {.fs = fs, .ino = vfs_make_directory(fs, VFS_ROOT, "d")};

	(void)can;
	work(&crew, race_for_names);
	CHECK_INT(crew.won, ROUNDS);
	crew.won = 0;
	work(&crew, race_to_unlink);
	CHECK_INT(crew.won, ROUNDS);
	CHECK_CALL(vfs_rmdir(fs, VFS_ROOT, "d"));
}

/* Directories are moved into one another and back, by all at once. */
static void *move_about(void *context)
{
	struct crew *crew = context;
	char one[2] = "0", two[2] = "0";
	unsigned seed = atomic_fetch_add(&crew->next, 1);

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct vfs_attributes to;
		int r;

		seed = seed * 1103515245u + 12345;
		one[0] = (char)('a' + (seed >> 16) % 4);
		two[0] = (char)('a' + (seed >> 20) % 4);
		if (vfs_lookup(crew->fs, crew->ino, two, &to) < 0)
			continue;
		r = vfs_rename(crew->fs, crew->ino, one, to.ino, one, 0);
		if (r < 0 && r != -ENOENT && r != -EINVAL && r != -ENOTEMPTY)
			atomic_fetch_add(&crew->wrong, 1);
		r = vfs_rename(crew->fs, to.ino, one, crew->ino, one, 0);
		if (r < 0 && r != -ENOENT && r != -EINVAL && r != -ENOTEMPTY)
			atomic_fetch_add(&crew->wrong, 1);
		vfs_forget(crew->fs, to.ino, 1);
	}
	return NULL;
}

static unsigned count_objects(struct vfs *fs, uint64_t ino, unsigned depth)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	unsigned n = 0;

	CHECK(depth < 8);
	vfs_list(fs, ino, VFS_NO_HANDLE, 0, true, 0, &listing);
	for (size_t i = 0; i < listing.count; i++) {
		if (listing.entries[i].name[0] == '.')
			continue;
		n++;
		if (listing.entries[i].type == S_IFDIR)
			n += count_objects(fs, listing.entries[i].ino, depth + 1);
		vfs_forget(fs, listing.entries[i].ino, 1);
	}
	return n;
}

void promise_renames_at_once_leave_a_tree(struct vfs *fs, unsigned can)
{
	struct crew crew = {.fs = fs, .ino = vfs_make_directory(fs, VFS_ROOT, "d")};

	(void)can;
	for (char name[2] = "a"; *name <= 'd'; ++*name)
		vfs_make_file(fs, vfs_make_directory(fs, crew.ino, name), "file");
	work(&crew, move_about);
	/* Nothing replaced anything: all were full. */
	CHECK_INT(count_objects(fs, crew.ino, 0), 8);
}

/* ---- everything at once ----------------------------------------------------------------------------- */

#define CROWD_ROUNDS 500

struct member {
	struct crew *crew;
	struct vfs *fs;
	uint32_t seed;
};

static uint32_t below(struct member *m, uint32_t most)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 17;
	m->seed ^= m->seed << 5;
	return m->seed % most;
}

static const char *some_name(struct member *m)
{
	static const char *const names[] = {"a", "b", "c", "d", "e"};

	return names[below(m, 5)];
}

/* Others may have been quicker; but nothing else is an answer. */
static bool expect(struct member *m, int64_t r)
{
	static const int numbers[] = {ENOENT, EEXIST, ENOTEMPTY, EINVAL, EISDIR, ENOTDIR, ELOOP, EPERM,
		ENODATA, ENXIO, ESTALE, EOPNOTSUPP};
	bool known = r >= 0;

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		known |= r == -numbers[i];
	if (!known) {
		printf("# nobody expects: %s\n", strerror((int)-r));
		atomic_fetch_add(&m->crew->wrong, 1);
	}
	return r >= 0;
}

/* Looked up: a directory some steps down from the crew's. */
static uint64_t some_directory(struct member *m)
{
	struct vfs_attributes at = {.ino = m->crew->ino}, next;
	bool held = false;

	for (unsigned depth = below(m, 4); depth > 0; depth--) {
		if (!expect(m, vfs_lookup(m->fs, at.ino, some_name(m), &next)))
			continue;
		if (!S_ISDIR(next.mode)) {
			vfs_forget(m->fs, next.ino, 1);
			continue;
		}
		if (held)
			vfs_forget(m->fs, at.ino, 1);
		at = next;
		held = true;
	}
	/* So that the caller always forgets one. */
	if (!held && vfs_lookup(m->fs, VFS_ROOT, "crowd", &at) < 0)
		atomic_fetch_add(&m->crew->wrong, 1);
	return at.ino;
}

static void make_something(struct member *m, uint64_t d)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;
	int r;

	switch (below(m, 4)) {
	case 0:
		r = vfs_mkdir(m->fs, &me, d, some_name(m), 0755, &a);
		break;
	case 1:
		r = vfs_symlink(m->fs, &me, d, some_name(m), "a/b", &a);
		break;
	default:
		r = vfs_create(m->fs, &me, d, some_name(m), 0644, VFS_READ | VFS_WRITE, &a, &handle);
		if (r == 0) {
			expect(m, vfs_write(m->fs, a.ino, handle, "text", 4, below(m, 10000)));
			vfs_release(m->fs, a.ino, handle);
		}
	}
	if (expect(m, r))
		vfs_forget(m->fs, a.ino, 1);
}

static void use_something(struct member *m, uint64_t d)
{
	struct vfs_attributes a, b = {.size = below(m, 10000)};
	struct vfs_caller me = vfs_me();
	char bytes[100];

	if (!expect(m, vfs_lookup(m->fs, d, some_name(m), &a)))
		return;
	expect(m, vfs_read(m->fs, a.ino, VFS_NO_HANDLE, bytes, sizeof bytes, below(m, 10000)));
	expect(m, vfs_setattr(m->fs, &me, a.ino, VFS_NO_HANDLE, &b, VFS_SET_SIZE, &b));
	expect(m, vfs_setxattr(m->fs, a.ino, "user.a", "value", 5, 0));
	expect(m, vfs_getxattr(m->fs, a.ino, "user.a", bytes, sizeof bytes));
	if (expect(m, vfs_link(m->fs, a.ino, d, some_name(m), &b)))
		vfs_forget(m->fs, b.ino, 1);
	vfs_forget(m->fs, a.ino, 1);
}

static int forget_entry(void *context, const struct vfs_entry *e)
{
	struct member *m = context;

	if (e->attributes)
		vfs_forget(m->fs, e->ino, 1);
	return below(m, 20) == 0 && !e->attributes;
}

static void *join_the_crowd(void *context)
{
	struct crew *crew = context;
	struct member m = {.crew = crew, .fs = crew->fs, .seed = 1 + atomic_fetch_add(&crew->next, 1)};

	for (int i = 0; i < CROWD_ROUNDS; i++) {
		uint64_t d = some_directory(&m), other = some_directory(&m);

		make_something(&m, d);
		use_something(&m, d);
		expect(&m, vfs_readdir(m.fs, d, VFS_NO_HANDLE, 0, below(&m, 2), forget_entry, &m));
		expect(&m, vfs_rename(m.fs, d, some_name(&m), other, some_name(&m), 0));
		expect(&m, vfs_unlink(m.fs, d, some_name(&m)));
		expect(&m, vfs_rmdir(m.fs, other, some_name(&m)));
		vfs_forget(m.fs, d, 1);
		vfs_forget(m.fs, other, 1);
	}
	return NULL;
}

static void remove_all(struct vfs *fs, uint64_t d)
{
	_cleanup_listing_ struct vfs_listing listing = {0};

	vfs_list(fs, d, VFS_NO_HANDLE, 0, true, 0, &listing);
	for (size_t i = 2; i < listing.count; i++) {
		if (listing.entries[i].type == S_IFDIR) {
			remove_all(fs, listing.entries[i].ino);
			CHECK_CALL(vfs_rmdir(fs, d, listing.entries[i].name));
		} else {
			CHECK_CALL(vfs_unlink(fs, d, listing.entries[i].name));
		}
		vfs_forget(fs, listing.entries[i].ino, 1);
	}
}

void promise_a_crowd_leaves_what_can_be_removed(struct vfs *fs, unsigned can)
{
	struct crew crew = {.fs = fs, .ino = vfs_make_directory(fs, VFS_ROOT, "crowd")};

	(void)can;
	work(&crew, join_the_crowd);
	remove_all(fs, crew.ino);
	CHECK_CALL(vfs_rmdir(fs, VFS_ROOT, "crowd"));
	CHECK_INT(vfs_attributes_of(fs, crew.ino).links, 0);
	vfs_forget(fs, crew.ino, 1);
}
