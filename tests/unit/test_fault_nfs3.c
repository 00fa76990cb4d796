/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NFS server when memory runs out or its file system fails: each allocation, and each call of the file
 * system, fails once in its turn. The client gets an error or a closed connection, nothing is leaked, no
 * object stays looked up, and what comes afterwards works.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "fault.h"
#include "nfs3_vfs.h"
#include "test.h"
#include "vfs/memory/memory.h"
#include "vfs_fault.h"

#define EXPORT "/e"

struct stack {
	struct vfs *memory, *faulty, *client;
	struct nfs3_server *server;
};

static int stack_open(struct stack *s)
{
	const struct nfs3_options options = {
		.export = EXPORT, .export_stays = true, .ids = NFS3_IDS_CLIENT, .duplicates = 8};
	const struct memory_options room = {.mode = 01777};
	struct error err;

	*s = (struct stack){0};
	if (memory_new(&room, &s->memory, &err) < 0)
		return -ENOMEM;
	s->faulty = vfs_fault_new(s->memory);
	if (!s->faulty || nfs3_server_new(s->faulty, &options, &s->server, &err) < 0)
		return -ENOMEM;
	s->client = nfs3_vfs_new(s->server, EXPORT);
	return s->client ? 0 : -ENOMEM;
}

static void stack_close(struct stack *s)
{
	vfs_destroy(s->client);
	nfs3_server_free(s->server);
	vfs_destroy(s->faulty);
	vfs_destroy(s->memory);
}

static int take(void *context, const struct vfs_entry *entry)
{
	unsigned *count = context;

	(void)entry;
	++*count;
	return 0;
}

static int list(struct vfs *fs, uint64_t directory)
{
	unsigned count = 0;
	vfs_handle handle;
	int r = vfs_opendir(fs, directory, &handle);

	if (r == 0) {
		r = vfs_readdir(fs, directory, handle, 0, false, take, &count);
		vfs_releasedir(fs, directory, handle);
	}
	return r;
}

static int use_file(struct vfs *fs, uint64_t directory, const struct vfs_caller *me)
{
	struct vfs_attributes a, values = {.mode = 0600, .uid = 3, .mtime = {5, 6}};
	vfs_handle handle;
	char bytes[10];
	int r = vfs_create(fs, me, directory, "f", 0644, VFS_READ | VFS_WRITE, &a, &handle);

	if (r < 0)
		return r;
	if (vfs_write(fs, a.ino, handle, "0123456789", 10, 0) != 10 ||
		vfs_fsync(fs, a.ino, handle, false) < 0 || vfs_read(fs, a.ino, handle, bytes, 10, 0) != 10)
		r = -EIO;
	vfs_release(fs, a.ino, handle);
	if (r == 0)
		r = vfs_setattr(fs, me, a.ino, VFS_NO_HANDLE, &values,
			VFS_SET_MODE | VFS_SET_UID | VFS_SET_MTIME, &a);
	if (r == 0)
		r = vfs_link(fs, a.ino, directory, "g", &a);
	return r == 0 ? vfs_rename(fs, directory, "f", VFS_ROOT, "h", 0) : r;
}

/* One of everything; 0 or what failed. */
static int use(struct vfs *fs)
{
	const struct vfs_caller me = {0};
	char target[VFS_PATH_MAX + 1];
	struct vfs_statistics space;
	struct vfs_attributes d, a;
	int r = vfs_mkdir(fs, &me, VFS_ROOT, "d", 0755, &d);

	if (r == 0)
		r = use_file(fs, d.ino, &me);
	if (r == 0)
		r = vfs_symlink(fs, &me, d.ino, "s", "target", &a);
	if (r == 0)
		r = vfs_readlink(fs, a.ino, target);
	if (r == 0)
		r = vfs_mknod(fs, &me, d.ino, "p", S_IFIFO | 0644, 0, 0, &a);
	if (r == 0)
		r = list(fs, d.ino);
	if (r == 0)
		r = list(fs, VFS_ROOT);
	if (r == 0)
		r = vfs_lookup(fs, d.ino, "g", &a);
	if (r == 0)
		r = vfs_unlink(fs, d.ino, "p");
	return r == 0 ? vfs_statfs(fs, &space) : r;
}

/* Removes what use() may have made, without the server. */
static void clean(struct vfs *fs)
{
	static const char *const names[] = {"f", "g", "s", "p"};
	struct vfs_attributes d;

	vfs_unlink(fs, VFS_ROOT, "h");
	if (vfs_lookup(fs, VFS_ROOT, "d", &d) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		vfs_unlink(fs, d.ino, names[i]);
	vfs_forget(fs, d.ino, 1);
	CHECK_INT(vfs_rmdir(fs, VFS_ROOT, "d"), 0);
}

static uint64_t free_files(struct vfs *memory)
{
	struct vfs_statistics s;

	CHECK_INT(vfs_statfs(memory, &s), 0);
	return s.files_free;
}

/* What a failure left is no more than names. */
static void check_afterwards(struct stack *s, uint64_t before)
{
	clean(s->memory);
	CHECK_INT(use(s->client), 0);
	clean(s->memory);
	/* Closes the directories that are kept open. */
	vfs_destroy(s->client);
	s->client = NULL;
	nfs3_server_free(s->server);
	s->server = NULL;
	CHECK_INT(free_files(s->memory), before);
}

TEST(memory_that_runs_out_is_an_error_and_leaks_nothing)
{
	bool happened = true;

	for (unsigned n = 1; happened; n++) {
		long blocks = fault_blocks();
		struct stack s;
		uint64_t files = 0;
		int opened, r = -1;

		fault_arm(FAULT_MEMORY, n);
		opened = stack_open(&s);
		if (opened == 0) {
			files = free_files(s.memory);
			r = use(s.client);
		}
		happened = fault_happened();
		fault_disarm();
		/* A reply that is not kept for a call that comes again, or a directory that is not kept open,
		 * is missed by nobody. */
		if (!happened)
			CHECK_INT(r, 0);
		if (opened == 0)
			check_afterwards(&s, files);
		stack_close(&s);
		if (fault_blocks() != blocks)
			test_fail(__FILE__, __LINE__, "allocation %u: %ld blocks are left", n,
				fault_blocks() - blocks);
		CHECK(n < 5000);
	}
}

TEST(each_call_of_the_file_system_may_fail)
{
	static const int numbers[] = {EIO, ENOSPC, ESTALE, ENOMEM, EACCES};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		unsigned calls = 1;

		for (unsigned at = 1; at <= calls; at++) {
			struct stack s;
			uint64_t before;

			CHECK_INT(stack_open(&s), 0);
			before = free_files(s.memory);
			vfs_fault_at(s.faulty, at, numbers[i], false);
			use(s.client);
			calls = at == 1 ? 500 : calls;
			if (vfs_fault_calls(s.faulty) < at)
				calls = at - 1;
			vfs_fault_at(s.faulty, 0, 0, false);
			check_afterwards(&s, before);
			stack_close(&s);
		}
		CHECK(calls > 50 && calls < 500);
	}
}
