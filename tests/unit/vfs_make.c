/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs_make.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

struct vfs_caller vfs_me(void)
{
	return (struct vfs_caller){.uid = geteuid(), .gid = getegid()};
}

uint64_t vfs_make_file(struct vfs *fs, uint64_t parent, const char *name)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	vfs_handle handle;
	int r = vfs_create(fs, &me, parent, name, 0644, VFS_READ | VFS_WRITE | VFS_EXCLUSIVE, &a, &handle);

	if (r < 0)
		test_fail(__FILE__, __LINE__, "create %s: %s", name, strerror(-r));
	vfs_release(fs, a.ino, handle);
	return a.ino;
}

uint64_t vfs_make_directory(struct vfs *fs, uint64_t parent, const char *name)
{
	struct vfs_caller me = vfs_me();
	struct vfs_attributes a;
	int r = vfs_mkdir(fs, &me, parent, name, 0755, &a);

	if (r < 0)
		test_fail(__FILE__, __LINE__, "mkdir %s: %s", name, strerror(-r));
	return a.ino;
}

uint64_t vfs_make_text(struct vfs *fs, uint64_t parent, const char *name, const char *text)
{
	uint64_t ino = vfs_make_file(fs, parent, name);

	vfs_put(fs, ino, 0, text);
	return ino;
}

struct vfs_attributes vfs_attributes_of(struct vfs *fs, uint64_t ino)
{
	struct vfs_attributes a;

	CHECK_CALL(vfs_getattr(fs, ino, VFS_NO_HANDLE, &a));
	CHECK_INT(a.ino, ino);
	return a;
}

struct vfs_attributes vfs_find(struct vfs *fs, uint64_t parent, const char *name)
{
	struct vfs_attributes a;
	int r = vfs_lookup(fs, parent, name, &a);

	if (r < 0)
		test_fail(__FILE__, __LINE__, "look up %s: %s", name, strerror(-r));
	vfs_forget(fs, a.ino, 1);
	return a;
}

int vfs_look(struct vfs *fs, uint64_t parent, const char *name)
{
	struct vfs_attributes a;
	int r = vfs_lookup(fs, parent, name, &a);

	if (r == 0)
		vfs_forget(fs, a.ino, 1);
	return r;
}

vfs_handle vfs_opened(struct vfs *fs, uint64_t ino, unsigned flags)
{
	vfs_handle handle;

	CHECK_CALL(vfs_open(fs, ino, flags, &handle));
	CHECK(handle != VFS_NO_HANDLE);
	return handle;
}

void vfs_put(struct vfs *fs, uint64_t ino, uint64_t offset, const char *text)
{
	CHECK_INT(vfs_write(fs, ino, VFS_NO_HANDLE, text, strlen(text), offset), strlen(text));
}

void vfs_check_bytes(struct vfs *fs, uint64_t ino, uint64_t offset, const void *bytes, size_t size)
{
	_cleanup_free_ char *there = malloc(size + 1);

	CHECK_INT(vfs_read(fs, ino, VFS_NO_HANDLE, there, size, offset), size);
	CHECK(!memcmp(there, bytes, size));
}

void vfs_check_text(struct vfs *fs, uint64_t ino, const char *text)
{
	char there[4096] = {0};

	CHECK_INT(vfs_attributes_of(fs, ino).size, strlen(text));
	CHECK_INT(vfs_read(fs, ino, VFS_NO_HANDLE, there, sizeof there - 1, 0), strlen(text));
	CHECK_TEXT(there, text);
}

void vfs_let_time_pass(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

int vfs_compare_times(struct vfs_time a, struct vfs_time b)
{
	if (a.seconds != b.seconds)
		return a.seconds < b.seconds ? -1 : 1;
	return (a.nanoseconds > b.nanoseconds) - (a.nanoseconds < b.nanoseconds);
}

void vfs_listing_free(struct vfs_listing *listing)
{
	free(listing->entries);
}

static int take(void *context, const struct vfs_entry *e)
{
	struct vfs_listing *l = context;
	struct vfs_listed *to;

	if (l->room && l->count == l->room)
		return 1;
	if (l->count == l->allocated) {
		l->allocated = l->allocated ? l->allocated * 2 : 64;
		l->entries = realloc(l->entries, l->allocated * sizeof *l->entries);
	}
	to = &l->entries[l->count++];
	*to = (struct vfs_listed){
		.ino = e->ino, .cookie = e->cookie, .type = e->type, .attributes = e->attributes != NULL};
	memcpy(to->name, e->name, e->name_size <= VFS_NAME_MAX ? e->name_size : VFS_NAME_MAX);
	if (e->attributes)
		to->values = *e->attributes;
	return 0;
}

size_t vfs_list(struct vfs *fs, uint64_t ino, vfs_handle handle, uint64_t cookie, bool attributes,
	size_t room, struct vfs_listing *listing)
{
	size_t before = listing->count;

	listing->room = room ? before + room : 0;
	CHECK_CALL(vfs_readdir(fs, ino, handle, cookie, attributes, take, listing));
	return listing->count - before;
}

size_t vfs_listed(const struct vfs_listing *listing, const char *name, const struct vfs_listed **entry)
{
	size_t n = 0;

	for (size_t i = 0; i < listing->count; i++) {
		if (strcmp(listing->entries[i].name, name) != 0)
			continue;
		n++;
		if (entry)
			*entry = &listing->entries[i];
	}
	return n;
}
