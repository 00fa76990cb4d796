/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "native_place.h"
#include "os/fs.h"
#include "vfs/native/native_parts.h"
#include "vfs_make.h"

/* ---- what host processes do meanwhile --------------------------------------------------------------------
 */

TEST(nothing_of_the_host_is_opened_but_files_and_directories)
{
	struct vfs_attributes a;
	vfs_handle handle;
	struct place p;

	place_open(&p, (struct native_options){.owners = geteuid() ? NATIVE_OVERRIDE : NATIVE_PLAIN});
	CHECK(mkfifoat(p.inside, "pipe", 0666) == 0);
	CHECK(symlinkat("pipe", p.inside, "link") == 0);
	CHECK(symlinkat("/etc", p.inside, "etc") == 0);
	CHECK(symlinkat("..", p.inside, "up") == 0);
	alarm(20); /* for the one that waits for a writer */
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "pipe", &a));
	CHECK_ERRNO(vfs_open(p.fs, a.ino, VFS_READ, &handle), ENXIO);
	CHECK_ERRNO(vfs_read(p.fs, a.ino, VFS_NO_HANDLE, &a, 1, 0), ENXIO);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "link", &a));
	CHECK_INT(a.mode & S_IFMT, S_IFLNK);
	CHECK_ERRNO(vfs_open(p.fs, a.ino, VFS_READ, &handle), ELOOP);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "etc", &a));
	CHECK_ERRNO(vfs_lookup(p.fs, a.ino, "passwd", &a), ENOTDIR);
	CHECK_ERRNO(vfs_readdir(p.fs, a.ino, VFS_NO_HANDLE, 0, false, NULL, NULL), ENOTDIR);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "up", &a));
	CHECK_ERRNO(vfs_lookup(p.fs, a.ino, "in", &a), ENOTDIR);
	alarm(0);
	place_close(&p);
}

struct race {
	struct place *p;
	_Atomic bool stop;
	unsigned swaps;
};

/* A directory becomes a link out of here, and one of the outside's own, and itself again. */
static void *swap_names(void *argument)
{
	struct race *race = argument;
	int in = race->p->inside, out = race->p->outside;

	while (!atomic_load(&race->stop)) {
		renameat2(in, "d", in, "link", RENAME_EXCHANGE);
		renameat2(in, "d", in, "link", RENAME_EXCHANGE);
		renameat2(in, "d", out, "secret", RENAME_EXCHANGE);
		renameat2(in, "d", out, "secret", RENAME_EXCHANGE);
		race->swaps++;
	}
	return NULL;
}

/* As guests do it: all by numbers and single names. */
static void use_names(struct vfs *fs, unsigned turn)
{
	struct vfs_caller root = {0};
	struct vfs_attributes d, a;
	vfs_handle handle;
	char name[32];

	snprintf(name, sizeof name, "made-%u", turn % 64);
	if (vfs_lookup(fs, VFS_ROOT, "d", &d) < 0)
		return;
	CHECK(vfs_lookup(fs, d.ino, "token", &a) < 0);
	if (vfs_create(fs, &root, d.ino, name, 0644, VFS_WRITE, &a, &handle) == 0) {
		vfs_write(fs, a.ino, handle, "x", 1, 0);
		vfs_release(fs, a.ino, handle);
		vfs_forget(fs, a.ino, 1);
	}
	if (vfs_mkdir(fs, &root, d.ino, "e", 0755, &a) == 0)
		vfs_forget(fs, a.ino, 1);
	vfs_rmdir(fs, d.ino, "e");
	vfs_unlink(fs, d.ino, name);
	vfs_forget(fs, d.ino, 1);
}

/* Through a link nothing may be seen or made. That a directory itself is moved is another matter: it is
 * followed for a second, so "secret" is swapped as a whole, and what it held stays in it. */
TEST(no_swap_of_names_leads_through_a_link)
{
	struct place p;
	struct race race = {.p = &p};
	pthread_t thread;
	uint64_t end;
	int other;

	place_open(&p, (struct native_options){.owners = NATIVE_OVERRIDE, .descriptors = 4});
	CHECK(mkdirat(p.outside, "linked", 0755) == 0 && mkdirat(p.outside, "secret", 0755) == 0);
	CHECK(mkdirat(p.inside, "d", 0755) == 0 && symlinkat("../linked", p.inside, "link") == 0);
	CHECK(mkdirat(p.inside, "x", 0755) == 0);
	other = openat(p.outside, "linked", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put_file(other, "token", "secret");
	CHECK(pthread_create(&thread, NULL, swap_names, &race) == 0);
	end = clock_monotonic() + MILLISECONDS(700);
	for (unsigned turn = 0; clock_monotonic() < end; turn++) {
		struct vfs_attributes a;

		use_names(p.fs, turn);
		for (int i = 0; i < 6; i++) { /* so that nothing is kept */
			char name[2] = {(char)('p' + i), 0};

			if (vfs_lookup(p.fs, VFS_ROOT, i ? name : "x", &a) == 0)
				vfs_forget(p.fs, a.ino, 1);
		}
	}
	atomic_store(&race.stop, true);
	pthread_join(thread, NULL);
	CHECK(race.swaps > 100);
	/* All that ever was in there is what was put there. */
	CHECK(unlinkat(other, "token", 0) == 0);
	CHECK(unlinkat(p.outside, "linked", AT_REMOVEDIR) == 0);
	close(other);
	place_close(&p);
}

TEST(what_is_moved_out_is_out_of_reach_a_second_later)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	struct vfs_caller root = {0};
	struct vfs_attributes a, f;
	vfs_handle handle;
	struct place p;

	place_open(&p, (struct native_options){0});
	CHECK(mkdirat(p.inside, "d", 0755) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "d", &a));
	CHECK_CALL(vfs_mknod(p.fs, &root, a.ino, "f", S_IFREG | 0644, 0, 0, &f));
	CHECK_CALL(vfs_opendir(p.fs, a.ino, &handle));
	CHECK(renameat(p.inside, "d", p.outside, "d") == 0);
	let_confirmations_expire();
	CHECK_ERRNO(vfs_lookup(p.fs, a.ino, "f", &f), ESTALE);
	CHECK_ERRNO(vfs_mkdir(p.fs, &root, a.ino, "e", 0755, &f), ESTALE);
	CHECK_ERRNO(vfs_getattr(p.fs, f.ino, VFS_NO_HANDLE, &f), ESTALE);
	CHECK_ERRNO(vfs_readdir(p.fs, a.ino, handle, 0, true, NULL, NULL), ESTALE);
	vfs_releasedir(p.fs, a.ino, handle);
	CHECK(renameat(p.outside, "d", p.inside, "back") == 0);
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "back").ino, a.ino);
	CHECK_CALL(vfs_look(p.fs, a.ino, "f"));
	place_close(&p);
}

TEST(what_the_host_renames_is_followed_while_it_is_kept)
{
	struct vfs_attributes d, f;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 8});
	CHECK(mkdirat(p.inside, "d", 0755) == 0 && mkdirat(p.inside, "e", 0755) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "d", &d));
	f.ino = vfs_make_text(p.fs, d.ino, "f", "text");
	CHECK(renameat(p.inside, "d", p.inside, "e/moved") == 0);
	vfs_check_text(p.fs, f.ino, "text");
	let_confirmations_expire();
	CHECK_CALL(vfs_getattr(p.fs, d.ino, VFS_NO_HANDLE, &d)); /* which finds out where it is now */
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "%d", i);
		vfs_make_file(p.fs, VFS_ROOT, name);
	}
	vfs_check_text(p.fs, f.ino, "text");
	/* Now without a descriptor: gone until it is seen again, with the same number then. */
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "%d", i);
		vfs_attributes_of(p.fs, vfs_find(p.fs, VFS_ROOT, name).ino);
	}
	CHECK(renameat(p.inside, "e/moved", p.inside, "d") == 0);
	CHECK_ERRNO(vfs_getattr(p.fs, f.ino, VFS_NO_HANDLE, &f), ESTALE);
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "d").ino, d.ino);
	vfs_check_text(p.fs, f.ino, "text");
	place_close(&p);
}

/* So many others that nothing that was kept is. */
static void forget_descriptors(struct vfs *fs)
{
	struct vfs_attributes a;

	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "other-%d", i);
		if (vfs_lookup(fs, VFS_ROOT, name, &a) < 0)
			vfs_make_file(fs, VFS_ROOT, name);
		CHECK_CALL(vfs_lookup(fs, VFS_ROOT, name, &a));
	}
}

TEST(a_file_with_two_names_is_found_by_the_one_that_is_left)
{
	struct vfs_attributes a, b;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 8});
	put_file(p.inside, "a", "text");
	CHECK(linkat(p.inside, "a", p.inside, "b", 0) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "a", &a));
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "b", &b));
	CHECK_INT(a.ino, b.ino);
	CHECK(unlinkat(p.inside, "b", 0) == 0);
	forget_descriptors(p.fs);
	vfs_check_text(p.fs, a.ino, "text");
	CHECK(linkat(p.inside, "a", p.inside, "c", 0) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "c", &b));
	CHECK(unlinkat(p.inside, "a", 0) == 0);
	forget_descriptors(p.fs);
	vfs_check_text(p.fs, a.ino, "text");
	CHECK(unlinkat(p.inside, "c", 0) == 0);
	forget_descriptors(p.fs);
	CHECK_ERRNO(vfs_getattr(p.fs, a.ino, VFS_NO_HANDLE, &a), ESTALE);
	place_close(&p);
}

TEST(another_file_under_the_name_is_not_taken_for_it)
{
	struct vfs_attributes a;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 8});
	put_file(p.inside, "a", "text");
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "a", &a));
	CHECK(renameat(p.inside, "a", p.outside, "a") == 0);
	put_file(p.inside, "a", "other");
	forget_descriptors(p.fs);
	CHECK_ERRNO(vfs_read(p.fs, a.ino, VFS_NO_HANDLE, &a, 4, 0), ESTALE);
	CHECK(vfs_find(p.fs, VFS_ROOT, "a").ino != a.ino);
	place_close(&p);
}

TEST(directories_that_the_host_turns_around_make_no_circle)
{
	struct vfs_attributes a, b, c;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 8});
	CHECK(mkdirat(p.inside, "a", 0755) == 0 && mkdirat(p.inside, "a/b", 0755) == 0);
	CHECK(mkdirat(p.inside, "a/b/c", 0755) == 0);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "a", &a));
	CHECK_CALL(vfs_lookup(p.fs, a.ino, "b", &b));
	CHECK_CALL(vfs_lookup(p.fs, b.ino, "c", &c));
	CHECK(renameat(p.inside, "a/b/c", p.inside, "c") == 0);
	CHECK(renameat(p.inside, "a", p.inside, "c/a") == 0);
	CHECK_INT(vfs_find(p.fs, c.ino, "a").ino, a.ino); /* c still is where it was, as far as we know */
	forget_descriptors(p.fs);
	CHECK_ERRNO(vfs_getattr(p.fs, b.ino, VFS_NO_HANDLE, &b), ESTALE);
	CHECK_INT(vfs_find(p.fs, VFS_ROOT, "c").ino, c.ino);
	CHECK_CALL(vfs_getattr(p.fs, b.ino, VFS_NO_HANDLE, &b));
	place_close(&p);
}

/* ---- many, deep, and for long ----------------------------------------------------------------------------
 */

TEST(a_depth_of_500_needs_no_500_descriptors)
{
	enum { DEPTH = 500 };
	static uint64_t inos[DEPTH];
	uint64_t parent = VFS_ROOT, file;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 16});
	for (int i = 0; i < DEPTH; i++)
		inos[i] = parent = vfs_make_directory(p.fs, parent, "a-name-of-some-length");
	file = vfs_make_text(p.fs, parent, "f", "text");
	for (int i = 0; i < 3 * DEPTH; i += 7) {
		CHECK_INT(vfs_attributes_of(p.fs, inos[i % DEPTH]).ino, inos[i % DEPTH]);
		CHECK_CALL(vfs_look(p.fs, inos[i * 31 % (DEPTH - 1)], "a-name-of-some-length"));
	}
	vfs_check_text(p.fs, file, "text");
	CHECK_CALL(vfs_rename(p.fs, VFS_ROOT, "a-name-of-some-length", VFS_ROOT, "b", 0));
	forget_descriptors(p.fs);
	vfs_check_text(p.fs, file, "text");
	for (int i = 0; i < DEPTH; i++)
		vfs_forget(p.fs, inos[i], 1); /* from above: children keep them */
	vfs_check_text(p.fs, file, "text");
	place_close(&p);
}

static void make_many(int at, unsigned directories, unsigned files)
{
	char name[32];

	for (unsigned i = 0; i < directories; i++) {
		_cleanup_fd_ int d = -1;

		snprintf(name, sizeof name, "directory-%u", i);
		EXPECT(mkdirat(at, name, 0755) == 0);
		d = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		for (unsigned j = 0; j < files; j++) {
			snprintf(name, sizeof name, "file-%u", j);
			EXPECT(mknodat(d, name, S_IFREG | 0644, 0) == 0);
		}
	}
}

/* Every object stays looked up. */
static size_t walk(struct vfs *fs, uint64_t ino)
{
	_cleanup_listing_ struct vfs_listing listing = {0};
	size_t count = 0;

	vfs_list(fs, ino, VFS_NO_HANDLE, 0, true, 0, &listing);
	for (size_t i = 2; i < listing.count; i++) {
		EXPECT(listing.entries[i].attributes);
		count += 1 + (S_ISDIR(listing.entries[i].type) ? walk(fs, listing.entries[i].ino) : 0);
	}
	return count;
}

static size_t memory_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void know_many(struct place *p)
{
	enum { DIRECTORIES = 100, EACH = 1000 };
	struct native_options options = {0};
	struct vfs_attributes a;
	struct vfs *fs;
	char name[64];
	size_t before;

	snprintf(name, sizeof name, "%s/in/mounted", p->path);
	options.directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_many(options.directory, DIRECTORIES, EACH);
	EXPECT(setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, 64}) == 0);
	EXPECT(native_new(&options, &fs, NULL) == 0);
	before = memory_used();
	EXPECT(walk(fs, VFS_ROOT) == DIRECTORIES * (EACH + 1));
	EXPECT(memory_used() - before < DIRECTORIES * (EACH + 1) * 300);
	for (unsigned i = 0; i < DIRECTORIES; i++) {
		snprintf(name, sizeof name, "directory-%u", i * 37 % 100);
		EXPECT(vfs_lookup(fs, VFS_ROOT, name, &a) == 0);
		EXPECT(vfs_lookup(fs, a.ino, "file-7", &a) == 0);
		EXPECT(vfs_write(fs, a.ino, VFS_NO_HANDLE, "x", 1, 0) == 1);
	}
	vfs_destroy(fs);
}

TEST(a_hundred_thousand_files_are_known_with_few_descriptors_and_little_memory)
{
	struct place p;

	place_open(&p, (struct native_options){0});
	with_mount(&p, "tmpfs", know_many);
	place_close(&p);
}

TEST(descriptors_that_others_hold_are_made_up_for)
{
	struct place p;
	int status;
	pid_t child;

	place_open(&p, (struct native_options){.descriptors = 400});
	make_many(p.inside, 1, 300);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		struct vfs_attributes a;
		vfs_handle handle;

		EXPECT(setrlimit(RLIMIT_NOFILE, &(struct rlimit){40, 40}) == 0);
		EXPECT(walk(p.fs, VFS_ROOT) == 301);
		EXPECT(vfs_lookup(p.fs, VFS_ROOT, "directory-0", &a) == 0);
		EXPECT(vfs_lookup(p.fs, a.ino, "file-7", &a) == 0);
		for (int i = 0; i < 20; i++)
			EXPECT_INT(vfs_open(p.fs, a.ino, VFS_READ, &handle), 0);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
	place_close(&p);
}

TEST(known_objects_have_a_limit_and_forgotten_ones_go)
{
	struct vfs_attributes a[60];
	char name[16];
	struct place p;

	place_open(&p, (struct native_options){.inodes = 50});
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "%d", i);
		put_file(p.inside, name, "");
		if (i < 49)
			CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, name, &a[i]));
		else
			CHECK_ERRNO(vfs_lookup(p.fs, VFS_ROOT, name, &a[i]), ENFILE);
	}
	vfs_forget(p.fs, a[0].ino, 1);
	CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "59", &a[59]));
	CHECK_ERRNO(vfs_lookup(p.fs, VFS_ROOT, "0", &a[0]), ENFILE);
	place_close(&p);
}

TEST(open_files_have_a_limit)
{
	vfs_handle handle, last = VFS_NO_HANDLE;
	struct place p;
	uint64_t f;

	place_open(&p, (struct native_options){.opens = 3});
	f = vfs_make_file(p.fs, VFS_ROOT, "f");
	for (int i = 0; i < 3; i++)
		last = vfs_opened(p.fs, f, VFS_READ);
	CHECK_ERRNO(vfs_open(p.fs, f, VFS_READ, &handle), ENFILE);
	CHECK_ERRNO(vfs_opendir(p.fs, VFS_ROOT, &handle), ENFILE);
	vfs_release(p.fs, f, last);
	CHECK_CALL(vfs_opendir(p.fs, VFS_ROOT, &handle));
	place_close(&p);
}

/* ---- handles that last -----------------------------------------------------------------------------------
 */

struct remembered {
	struct native_identity object, parent;
	char name[VFS_NAME_MAX + 1];
};

struct memory {
	struct remembered rows[16];
	size_t count;
};

static bool is_same(const struct native_identity *a, const struct native_identity *b)
{
	return a->device == b->device && a->ino == b->ino && a->born == b->born;
}

static struct remembered *row_of(struct memory *m, const struct native_identity *object)
{
	size_t i = 0;

	while (i < m->count && !is_same(&m->rows[i].object, object))
		i++;
	return &m->rows[i];
}

static void remember(void *context, const struct native_identity *object,
	const struct native_identity *parent, const char *name)
{
	struct memory *m = context;
	struct remembered *row = row_of(m, object);

	m->count += row == &m->rows[m->count];
	*row = (struct remembered){.object = *object, .parent = *parent};
	strcpy(row->name, name);
}

static int recall(void *context, const struct native_identity *object, struct native_identity *parent,
	char name[VFS_NAME_MAX + 1])
{
	struct memory *m = context;
	struct remembered *row = row_of(m, object);

	if (row == &m->rows[m->count])
		return -ENOENT;
	*parent = row->parent;
	strcpy(name, row->name);
	return 0;
}

struct persistent {
	uint8_t bytes[VFS_PERSISTENT_MAX];
	size_t size;
};

static struct persistent persist(struct vfs *fs, uint64_t ino)
{
	struct persistent p;

	CHECK_CALL(vfs_persist(fs, ino, p.bytes, &p.size));
	return p;
}

TEST(persistent_handles_lead_back_in_another_process_by_the_index)
{
	struct memory memory = {0};
	struct native_options options = {.index = {.context = &memory, .store = remember, .load = recall}};
	struct persistent file, directory;
	struct vfs_attributes a;
	uint64_t d, e, f;
	struct place p;

	place_open(&p, options);
	d = vfs_make_directory(p.fs, VFS_ROOT, "d");
	e = vfs_make_directory(p.fs, d, "e");
	f = vfs_make_text(p.fs, e, "f", "text");
	file = persist(p.fs, f);
	directory = persist(p.fs, e);
	CHECK_CALL(vfs_rename(p.fs, VFS_ROOT, "d", VFS_ROOT, "moved", 0));
	CHECK_INT(persist(p.fs, f).size, file.size); /* by which the index learns of it */
	vfs_destroy(p.fs);
	place_serve(&p, options);
	CHECK_CALL(vfs_resolve(p.fs, file.bytes, file.size, &a));
	vfs_check_text(p.fs, a.ino, "text");
	CHECK_CALL(vfs_resolve(p.fs, directory.bytes, directory.size, &a));
	CHECK_CALL(vfs_look(p.fs, a.ino, "f"));
	CHECK(unlinkat(p.inside, "moved/e/f", 0) == 0);
	put_file(p.inside, "moved/e/f", "other");
	vfs_destroy(p.fs);
	place_serve(&p, options);
	CHECK_ERRNO(vfs_resolve(p.fs, file.bytes, file.size, &a), ESTALE);
	place_close(&p);
}

TEST(persistent_handles_lead_back_in_another_process_by_the_kernel)
{
	struct native_options options = {.kernel_handles = true};
	struct persistent directory, outside;
	struct vfs_attributes a, moved;
	struct place p;
	uint64_t d;

	place_open(&p, options);
	d = vfs_make_directory(p.fs, vfs_make_directory(p.fs, VFS_ROOT, "d"), "e");
	directory = persist(p.fs, d);
	outside = persist(p.fs, vfs_make_directory(p.fs, d, "x"));
	CHECK(renameat(p.inside, "d/e/x", p.outside, "x") == 0);
	CHECK(renameat(p.inside, "d", p.inside, "moved") == 0);
	vfs_destroy(p.fs);
	place_serve(&p, options);
	CHECK_ERRNO(vfs_resolve(p.fs, outside.bytes, outside.size, &a), ESTALE);
	if (geteuid() == 0) {
		CHECK_CALL(vfs_resolve(p.fs, directory.bytes, directory.size, &a));
		CHECK_CALL(vfs_lookup(p.fs, VFS_ROOT, "moved", &moved));
		CHECK_INT(vfs_find(p.fs, moved.ino, "e").ino, a.ino);
	} else {
		CHECK_ERRNO(vfs_resolve(p.fs, directory.bytes, directory.size, &a), ESTALE);
	}
	place_close(&p);
}

TEST(an_index_that_lies_leads_nowhere_else)
{
	static const char *names[] = {"..", ".", "", "a/b", "../secret", "link"};
	struct memory memory = {0};
	struct native_options options = {.index = {.context = &memory, .store = remember, .load = recall}};
	struct persistent file;
	struct vfs_attributes a;
	struct place p;

	place_open(&p, options);
	file = persist(p.fs, vfs_make_text(p.fs, VFS_ROOT, "f", "text"));
	CHECK(renameat(p.inside, "f", p.outside, "secret") == 0);
	CHECK(symlinkat("../secret", p.inside, "link") == 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		vfs_destroy(p.fs);
		place_serve(&p, options);
		strcpy(memory.rows[0].name, names[i]);
		CHECK_ERRNO(vfs_resolve(p.fs, file.bytes, file.size, &a), ESTALE);
	}
	/* One that leads in a circle. */
	memory.rows[0].parent = memory.rows[0].object;
	strcpy(memory.rows[0].name, "f");
	CHECK_ERRNO(vfs_resolve(p.fs, file.bytes, file.size, &a), ESTALE);
	place_close(&p);
}

TEST(forgotten_objects_are_remembered_up_to_a_limit)
{
	struct persistent handles[10];
	struct vfs_attributes a;
	struct place p;
	int found = 0;

	place_open(&p, (struct native_options){.remembered = 4});
	for (int i = 0; i < 10; i++) {
		char name[16];
		uint64_t ino;

		snprintf(name, sizeof name, "%d", i);
		ino = vfs_make_file(p.fs, VFS_ROOT, name);
		handles[i] = persist(p.fs, ino);
		vfs_forget(p.fs, ino, 1);
	}
	for (int i = 0; i < 10; i++)
		found += vfs_resolve(p.fs, handles[i].bytes, handles[i].size, &a) == 0;
	CHECK_INT(found, 4);
	place_close(&p);
}

/* ---- all at once -----------------------------------------------------------------------------------------
 */

#define WORKERS 4

struct worker {
	struct place *p;
	pthread_t thread;
	uint32_t random;
};

static uint32_t next_random(struct worker *w)
{
	w->random = w->random * 1664525 + 1013904223;
	return w->random >> 8;
}

static void work_on(struct worker *w, uint64_t directory, const char *name, const char *other)
{
	struct vfs *fs = w->p->fs;
	struct vfs_caller root = {0};
	struct vfs_attributes a, b;
	vfs_handle handle;
	char bytes[16];

	switch (next_random(w) % 10) {
	case 0:
		if (vfs_create(fs, &root, directory, name, 0640, VFS_READ | VFS_WRITE, &a, &handle) == 0) {
			vfs_write(fs, a.ino, handle, "text", 4, next_random(w) % 64);
			vfs_unlink(fs, directory, name);
			vfs_read(fs, a.ino, handle, bytes, sizeof bytes, 0);
			vfs_release(fs, a.ino, handle);
			vfs_forget(fs, a.ino, 1);
		}
		break;
	case 1:
		if (vfs_mkdir(fs, &root, directory, name, 0755, &a) == 0)
			vfs_forget(fs, a.ino, 1);
		break;
	case 2:
		if (vfs_mknod(fs, &root, directory, name, S_IFREG | 04755, 0, 0, &a) == 0)
			vfs_forget(fs, a.ino, 1);
		break;
	case 3:
		vfs_rename(fs, directory, name, VFS_ROOT, other, next_random(w) % 3);
		break;
	case 4:
		vfs_rename(fs, VFS_ROOT, name, directory, other, 0);
		break;
	case 5:
		vfs_unlink(fs, directory, name);
		break;
	case 6:
		vfs_rmdir(fs, directory, name);
		break;
	case 7:
		if (vfs_lookup(fs, directory, name, &a) == 0) {
			if (vfs_link(fs, a.ino, VFS_ROOT, other, &b) == 0)
				vfs_forget(fs, b.ino, 1);
			vfs_setattr(fs, &root, a.ino, VFS_NO_HANDLE, &a, VFS_SET_MODE | VFS_SET_UID, &b);
			vfs_write(fs, a.ino, VFS_NO_HANDLE, "more", 4, 0);
			vfs_persist(fs, a.ino, (uint8_t[VFS_PERSISTENT_MAX]){0}, &(size_t){0});
			vfs_forget(fs, a.ino, 1);
		}
		break;
	case 8:
		renameat(w->p->inside, name, w->p->inside, other);
		break;
	default:
		if (vfs_opendir(fs, directory, &handle) == 0) {
			_cleanup_listing_ struct vfs_listing l = {0};

			vfs_list(fs, directory, handle, 0, true, 0, &l);
			vfs_releasedir(fs, directory, handle);
			for (size_t i = 0; i < l.count; i++)
				if (l.entries[i].attributes)
					vfs_forget(fs, l.entries[i].ino, 1);
		}
	}
}

static void *work(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < 3000; i++) {
		char name[2] = {(char)('a' + next_random(w) % 8), 0},
		     other[2] = {(char)('a' + next_random(w) % 8), 0};
		struct vfs_attributes a;

		if (vfs_lookup(w->p->fs, VFS_ROOT, other, &a) < 0) {
			work_on(w, VFS_ROOT, name, other);
			continue;
		}
		if (S_ISDIR(a.mode))
			work_on(w, a.ino, name, other);
		vfs_forget(w->p->fs, a.ino, 1);
	}
	return NULL;
}

TEST(what_many_do_at_once_leaves_nothing_known_behind)
{
	struct worker workers[WORKERS];
	struct vfs_attributes a;
	struct native *fs;
	struct place p;

	place_open(&p, (struct native_options){.descriptors = 4, .remembered = 1});
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){.p = &p, .random = (uint32_t)i};
		CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	}
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	/* One is remembered, unless who came last removed it, with the directories that lead to it. */
	CHECK_CALL(vfs_getattr(p.fs, VFS_ROOT, VFS_NO_HANDLE, &a));
	fs = native_of(p.fs);
	native_lock(fs);
	printf("# %zu known, %zu remembered, %zu and %zu descriptors\n", fs->count, fs->idle_count,
		fs->used_count, fs->orphan_count);
	CHECK(fs->idle_count <= 1);
	CHECK(fs->count <= (fs->idle_count ? 8 : 1));
	CHECK(fs->used_count + fs->orphan_count <= 4);
	for (uint32_t i = 0; i < fs->opens_size; i++)
		CHECK(!fs->opens[i]);
	native_unlock(fs);
	place_close(&p);
}
