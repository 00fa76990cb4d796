/* SPDX-License-Identifier: Apache-2.0 */
/* What the EROFS writer writes is what the reader, and erofs-utils' own checker, read; and damaged images. */
#include "test.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "disk/erofs.h"
#include "disk/erofs_reader.h"
#include "merge_make.h"
#include "run.h"

#define FILES_MAX 30000

/* An image in the making: a root directory, and what is in it. */
struct image {
	int fd;
	struct erofs_writer *w;
	struct erofs_inode root;
	struct erofs_entry *entries;
	struct erofs_inode *inodes;
	char (*names)[16];
	size_t count;
	struct erofs_reader reader;
};

static void image_begin(struct image *i, uint64_t limit)
{
	struct erofs_options options = {.name = "image", .limit = limit};
	struct error err;

	*i = (struct image){.fd = memfd_create("image", MFD_CLOEXEC), .root = {.mode = S_IFDIR | 0755}};
	CHECK_OK(erofs_writer_new(i->fd, &options, &i->w, &err));
	i->entries = calloc(FILES_MAX, sizeof *i->entries);
	i->inodes = calloc(FILES_MAX, sizeof *i->inodes);
	i->names = calloc(FILES_MAX, sizeof *i->names);
}

/* A name in the root; names must be added in the order of their bytes. */
static struct erofs_inode *image_add(struct image *i, const char *name, struct erofs_inode inode)
{
	struct erofs_entry *e = &i->entries[i->count];

	CHECK(i->count < FILES_MAX);
	i->inodes[i->count] = inode;
	*e = (struct erofs_entry){
		.inode = &i->inodes[i->count], .name = name, .name_size = (uint16_t)strlen(name)};
	if (i->count++)
		e[-1].next = e;
	else
		i->root.entries = e;
	return e->inode;
}

static struct erofs_inode *image_add_numbered(struct image *i, unsigned number, struct erofs_inode inode)
{
	snprintf(i->names[number], sizeof i->names[number], "f%05u", number);
	return image_add(i, i->names[number], inode);
}

/* The checker of erofs-utils, from the distribution: it must be there. */
static void must_check(int fd)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), fd);
	CHECK_INT(run_quietly((char *[]){"fsck.erofs", "--extract", path, NULL}), 0);
}

static void image_finish(struct image *i)
{
	struct error err;

	CHECK_OK(erofs_writer_finish(i->w, &i->root, &err));
	CHECK_OK(erofs_reader_open(i->fd, &i->reader, &err));
	CHECK_INT(i->reader.size % EROFS_BLOCK, 0);
	must_check(i->fd);
}

static void image_end(struct image *i)
{
	erofs_writer_free(i->w);
	close(i->fd);
	free(i->entries);
	free(i->inodes);
	free(i->names);
}

static struct erofs_stat find(const struct image *i, const char *path)
{
	struct erofs_stat s;
	struct error err;

	CHECK_OK(erofs_reader_find(&i->reader, path, &s, &err));
	return s;
}

/* ---- data ------------------------------------------------------------------------------------------- */

static uint8_t pattern(uint64_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 8) + (offset >> 16) + 1);
}

/* One part of data, by calls of different sizes. */
static void put_part(struct image *i, uint64_t offset, uint64_t size)
{
	static uint8_t bytes[700000];
	struct error err;

	for (uint64_t done = 0, n; done < size; done += n) {
		n = (done * 13 + 1) % sizeof bytes + 1;
		n = n < size - done ? n : size - done;
		for (uint64_t k = 0; k < n; k++)
			bytes[k] = pattern(offset + done + k);
		CHECK_OK(erofs_file_data(i->w, offset + done, bytes, (size_t)n, &err));
	}
}

static void must_have(
	const struct image *i, const struct erofs_stat *s, uint64_t from, uint64_t to, bool hole)
{
	static uint8_t bytes[100000];
	struct error err;

	for (uint64_t at = from; at < to;) {
		size_t want = to - at < sizeof bytes ? (size_t)(to - at) : sizeof bytes;

		CHECK(erofs_reader_read(&i->reader, s, at, bytes, want, &err) == (int64_t)want);
		for (size_t k = 0; k < want; k++)
			CHECK(bytes[k] == (hole ? 0 : pattern(at + k)));
		at += want;
	}
}

TEST(files_of_every_size_come_back)
{
	static const uint32_t sizes[] = {0, 1, 1023, 1024, 1025, 4032, 4095, 4096, 4097, 8191, 65535, 65536,
		65537, 262144, 1048575, 1048576, 1048577, 3000000};
	struct image i;
	struct error err;

	image_begin(&i, 0);
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		struct erofs_inode inode = {.mode = S_IFREG | 0644};

		CHECK_OK(erofs_file_begin(i.w, sizes[k], &err));
		put_part(&i, 0, sizes[k]);
		CHECK_OK(erofs_file_end(i.w, &inode, &err));
		image_add_numbered(&i, (unsigned)k, inode);
	}
	image_finish(&i);
	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		struct erofs_stat s = find(&i, i.names[k]);

		CHECK_INT(s.size, sizes[k]);
		must_have(&i, &s, 0, s.size, false);
	}
	image_end(&i);
}

struct hole_case {
	uint64_t size;
	uint64_t parts[6]; /* offset, size, …; 0, 0 ends */
};

static void check_holes(const struct image *i, const struct erofs_stat *s, const struct hole_case *c)
{
	uint64_t at = 0;

	for (int k = 0; k < 6 && c->parts[k + 1]; k += 2) {
		must_have(i, s, at, c->parts[k], true);
		at = c->parts[k] + c->parts[k + 1];
		must_have(i, s, c->parts[k], at, false);
	}
	must_have(i, s, at, s->size, true);
}

TEST(holes_come_back_wherever_they_are)
{
	static const struct hole_case cases[] = {{1000, {0}}, {65536, {0}}, {1000000, {0}},
		{1000000, {0, 1, 999999, 1}}, {1000000, {65536, 65536}}, {1000000, {65535, 2, 131071, 2}},
		{1000000, {4096, 10, 500000, 10}}, {131072, {0, 65536}}, {131073, {0, 131072}},
		{131073, {131072, 1}}, {200000, {10, 10, 30, 10, 199990, 10}}, {900, {100, 10}},
		{5000, {4999, 1}}, {3000000, {0, 1500000, 2000000, 10}}};
	struct image i;
	struct stat before;
	struct error err;

	image_begin(&i, 0);
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct erofs_inode inode = {.mode = S_IFREG | 0644};

		CHECK_OK(erofs_file_begin(i.w, cases[k].size, &err));
		for (int n = 0; n < 6 && cases[k].parts[n + 1]; n += 2)
			put_part(&i, cases[k].parts[n], cases[k].parts[n + 1]);
		CHECK_OK(erofs_file_end(i.w, &inode, &err));
		image_add_numbered(&i, (unsigned)k, inode);
	}
	image_finish(&i);
	CHECK(fstat(i.fd, &before) == 0);
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct erofs_stat s = find(&i, i.names[k]);

		CHECK_INT(s.size, cases[k].size);
		check_holes(&i, &s, &cases[k]);
	}
	image_end(&i);
}

TEST(a_hole_of_terabytes_costs_next_to_nothing)
{
	const uint64_t size = UINT64_C(5) << 40;
	struct erofs_inode inode = {.mode = S_IFREG | 0644};
	struct image i;
	struct erofs_stat s;
	struct error err;

	image_begin(&i, 0);
	CHECK_OK(erofs_file_begin(i.w, size, &err));
	put_part(&i, UINT64_C(3) << 40, 10);
	CHECK_OK(erofs_file_end(i.w, &inode, &err));
	image_add(&i, "f", inode);
	CHECK_OK(erofs_writer_finish(i.w, &i.root, &err));
	CHECK_OK(erofs_reader_open(i.fd, &i.reader, &err));
	s = find(&i, "f");
	CHECK(s.size == size);
	must_have(&i, &s, UINT64_C(3) << 40, (UINT64_C(3) << 40) + 10, false);
	must_have(&i, &s, (UINT64_C(3) << 40) + 10, (UINT64_C(3) << 40) + 100000, true);
	must_have(&i, &s, size - 1000, size, true);
	{
		struct stat disk;

		CHECK(fstat(i.fd, &disk) == 0 && disk.st_blocks * 512 < 4 << 20);
	}
	image_end(&i);
}

TEST(lists_of_holes_take_bounded_memory)
{
	struct erofs_inode inode = {.mode = S_IFREG | 0644};
	struct image i;
	struct error err = {0};
	int r = 0;
	unsigned n;

	image_begin(&i, 0);
	for (n = 0; r == 0 && n < 10000; n++) {
		CHECK_OK(erofs_file_begin(i.w, 1023 << 20, &err));
		r = erofs_file_end(i.w, &inode, &err);
	}
	CHECK_ERROR(r, ERROR_LIMIT);
	CHECK(n > 1000);
	image_end(&i);
}

TEST(data_out_of_order_or_beyond_the_end_are_refused)
{
	struct image i;
	struct error err;
	const uint8_t bytes[10] = {0};

	image_begin(&i, 0);
	CHECK_ERROR(erofs_file_data(i.w, 0, bytes, 1, &err), ERROR_INVALID);
	CHECK_OK(erofs_file_begin(i.w, 10, &err));
	CHECK_ERROR(erofs_file_data(i.w, 1, bytes, 10, &err), ERROR_INVALID);
	CHECK_ERROR(erofs_file_data(i.w, 11, bytes, 0, &err), ERROR_INVALID);
	CHECK_OK(erofs_file_data(i.w, 5, bytes, 5, &err));
	CHECK_ERROR(erofs_file_data(i.w, 4, bytes, 1, &err), ERROR_INVALID);
	CHECK_ERROR(erofs_file_begin(i.w, (uint64_t)INT64_MAX + 1, &err), ERROR_LIMIT);
	erofs_file_cancel(i.w);
	image_end(&i);
}

TEST(an_image_over_its_limit_is_refused)
{
	struct erofs_inode inode;
	struct image i;
	struct error err;
	static uint8_t bytes[20000];

	image_begin(&i, 16384);
	CHECK_OK(erofs_file_begin(i.w, sizeof bytes, &err));
	CHECK_ERROR(erofs_file_data(i.w, 0, bytes, sizeof bytes, &err), ERROR_LIMIT);
	(void)inode;
	image_end(&i);
}

/* ---- metadata --------------------------------------------------------------------------------------- */

TEST(owners_modes_times_and_devices_come_back)
{
	static const struct erofs_inode inodes[] = {{.mode = S_IFREG | 07777,
							    .uid = UINT32_MAX,
							    .gid = 65536,
							    .mtime = -1,
							    .mtime_nanoseconds = 999999999},
		{.mode = S_IFIFO, .mtime = INT64_MIN}, {.mode = S_IFIFO | 0600, .mtime = INT64_MAX},
		{.mode = S_IFCHR | 0666, .device_major = 1, .device_minor = 3, .mtime_nanoseconds = 1},
		{.mode = S_IFBLK | 0660, .device_major = 4095, .device_minor = 1048575},
		{.mode = S_IFCHR, .device_major = 0x123, .device_minor = 0x45678}};
	struct image i;

	image_begin(&i, 0);
	for (size_t k = 0; k < ARRAY_SIZE(inodes); k++)
		image_add_numbered(&i, (unsigned)k, inodes[k]);
	image_finish(&i);
	for (size_t k = 0; k < ARRAY_SIZE(inodes); k++) {
		struct erofs_stat s = find(&i, i.names[k]);
		const struct erofs_inode *e = &inodes[k];

		CHECK_INT(s.mode, e->mode);
		CHECK(s.uid == e->uid && s.gid == e->gid && s.links == 1);
		CHECK(s.mtime == e->mtime && s.mtime_nanoseconds == e->mtime_nanoseconds);
		CHECK(s.device_major == e->device_major && s.device_minor == e->device_minor);
	}
	image_end(&i);
}

TEST(hard_links_are_one_file_with_a_count)
{
	struct image i;
	struct erofs_inode *first;

	image_begin(&i, 0);
	first = image_add_numbered(&i, 0, (struct erofs_inode){.mode = S_IFREG});
	for (unsigned k = 1; k < 1000; k++) {
		image_add_numbered(&i, k, (struct erofs_inode){.mode = S_IFREG});
		i.entries[k].inode = first;
	}
	image_finish(&i);
	CHECK(i.reader.inodes == 2);
	CHECK(find(&i, "f00000").nid == find(&i, "f00999").nid);
	CHECK_INT(find(&i, "f00500").links, 1000);
	image_end(&i);
}

TEST(a_directory_of_twenty_thousand_names_is_whole_and_sorted)
{
	struct image i;

	image_begin(&i, 0);
	for (unsigned k = 0; k < 20000; k++)
		image_add_numbered(&i, k, (struct erofs_inode){.mode = S_IFREG, .uid = k});
	image_finish(&i);
	for (unsigned k = 0; k < 20000; k += 997)
		CHECK_INT(find(&i, i.names[k]).uid, k);
	CHECK_INT(find(&i, "f19999").uid, 19999);
	{
		struct erofs_stat s;
		struct error err;

		CHECK_ERROR(erofs_reader_find(&i.reader, "f20000", &s, &err), ERROR_NOT_FOUND);
		CHECK_ERROR(erofs_reader_find(&i.reader, "f00000/x", &s, &err), ERROR_NOT_FOUND);
		CHECK(strstr(err.text, "x: not in the image"));
	}
	image_end(&i);
}

TEST(names_of_any_length_and_byte_fill_blocks_exactly)
{
	for (size_t length = 240; length <= 255; length++) {
		struct image i;
		char names[40][256];

		image_begin(&i, 0);
		for (unsigned k = 0; k < 40; k++) {
			memset(names[k], 0x80 + (int)k, length);
			names[k][length] = 0;
			image_add(&i, names[k], (struct erofs_inode){.mode = S_IFREG, .uid = k});
		}
		image_finish(&i);
		for (unsigned k = 0; k < 40; k++)
			CHECK_INT(find(&i, names[k]).uid, k);
		image_end(&i);
	}
}

TEST(directories_as_deep_as_a_path_can_be_are_fine)
{
	char layer[4100] = "d a";
	const char *const layers[] = {layer, NULL};
	_cleanup_fd_ int fd = memfd_create("image", MFD_CLOEXEC);
	struct erofs_reader reader;
	struct erofs_stat s;
	struct error err;

	for (size_t n = 3; n < 4000; n += 2)
		memcpy(layer + n, "/a", 3);
	CHECK_OK(merge_make_image(layers, 1, fd, &err));
	CHECK_OK(erofs_reader_open(fd, &reader, &err));
	CHECK_OK(erofs_reader_find(&reader, layer + 2, &s, &err));
	CHECK_INT(s.links, 2);
	CHECK(reader.inodes == 2001);
}

static void add_symlink(struct image *i, const char *name, const char *target, size_t n,
	const uint8_t *xattrs, size_t xattrs_size)
{
	image_add(i, name,
		(struct erofs_inode){.mode = S_IFLNK | 0777,
			.data = EROFS_DATA_INLINE,
			.bytes = (const uint8_t *)target,
			.size = n,
			.xattrs = xattrs,
			.xattrs_size = (uint32_t)xattrs_size});
}

TEST(targets_of_symbolic_links_of_any_length_come_back)
{
	struct erofs_xattr large = {.name = "trusted.x", .value = (const uint8_t[4000]){1}, .size = 4000};
	static const size_t sizes[] = {1, 1000, 1025, 4031, 4032, 4033, 4095};
	char target[4096], back[4096];
	uint8_t *xattrs = malloc(erofs_xattrs_room(&large, 1));
	size_t xattrs_size;
	struct image i;
	struct error err;

	memset(target, 't', sizeof target);
	CHECK_OK(erofs_xattrs_encode(&large, 1, xattrs, &xattrs_size, &err));
	image_begin(&i, 0);
	for (unsigned k = 0; k < 2 * ARRAY_SIZE(sizes); k++) {
		snprintf(i.names[k], sizeof i.names[k], "s%02u", k);
		add_symlink(
			&i, i.names[k], target, sizes[k / 2], k % 2 ? xattrs : NULL, k % 2 ? xattrs_size : 0);
	}
	image_finish(&i);
	for (unsigned k = 0; k < 2 * ARRAY_SIZE(sizes); k++) {
		struct erofs_stat s = find(&i, i.names[k]);

		CHECK_INT(s.size, sizes[k / 2]);
		CHECK_INT(erofs_reader_read(&i.reader, &s, 0, back, sizeof back, &err), sizes[k / 2]);
		CHECK(!memcmp(back, target, sizes[k / 2]));
	}
	image_end(&i);
	free(xattrs);
}

/* ---- extended attributes ---------------------------------------------------------------------------- */

struct xattrs {
	const struct erofs_xattr *list;
	unsigned seen;
};

static int compare_xattr(void *context, const char *name, const uint8_t *value, size_t n)
{
	struct xattrs *x = context;
	const struct erofs_xattr *e = &x->list[x->seen++];

	return strcmp(name, e->name) || n != e->size || (n && memcmp(value, e->value, n)) ? 1 : 0;
}

TEST(attributes_of_every_kind_come_back)
{
	static uint8_t large[65535];
	const struct erofs_xattr list[] = {{"user.a", (const uint8_t *)"\0\xff", 2}, {"user.empty", NULL, 0},
		{"trusted.overlay.opaque", (const uint8_t *)"y", 1},
		{"security.capability", (const uint8_t *)"12345678901234567890", 20},
		{"system.posix_acl_access", (const uint8_t *)"abc", 3},
		{"system.posix_acl_default", (const uint8_t *)"abcd", 4},
		{"user.large", large, sizeof large}};
	uint8_t *bytes = malloc(erofs_xattrs_room(list, ARRAY_SIZE(list)));
	struct xattrs x = {.list = list};
	struct erofs_stat s;
	struct image i;
	struct error err;
	size_t n;

	memset(large, 'l', sizeof large);
	CHECK_OK(erofs_xattrs_encode(list, ARRAY_SIZE(list), bytes, &n, &err));
	image_begin(&i, 0);
	image_add(
		&i, "f", (struct erofs_inode){.mode = S_IFREG, .xattrs = bytes, .xattrs_size = (uint32_t)n});
	image_finish(&i);
	s = find(&i, "f");
	CHECK_OK(erofs_reader_xattrs(&i.reader, &s, compare_xattr, &x, &err));
	CHECK_INT(x.seen, ARRAY_SIZE(list));
	image_end(&i);
	free(bytes);
}

TEST(attributes_that_linux_does_not_know_are_left_out)
{
	const struct erofs_xattr list[] = {{"foo.a", (const uint8_t *)"1", 1}, {"user.", NULL, 0},
		{"system.posix_acl_accessx", NULL, 0}, {"com.apple.x", NULL, 0}, {"user", NULL, 0}};
	uint8_t bytes[1000];
	struct error err;
	size_t n = 1;

	CHECK(erofs_xattrs_room(list, ARRAY_SIZE(list)) < sizeof bytes);
	CHECK_OK(erofs_xattrs_encode(list, ARRAY_SIZE(list), bytes, &n, &err));
	CHECK_INT(n, 0);
}

TEST(attributes_that_are_too_large_are_refused)
{
	static uint8_t value[65536];
	struct erofs_xattr list[5];
	uint8_t *bytes;
	struct error err;
	size_t n;

	for (size_t k = 0; k < 5; k++)
		list[k] = (struct erofs_xattr){"user.a", value, 65535};
	bytes = malloc(erofs_xattrs_room(list, 5));
	CHECK_ERROR(erofs_xattrs_encode(list, 5, bytes, &n, &err), ERROR_LIMIT);
	list[0].size = 65536;
	CHECK_ERROR(erofs_xattrs_encode(list, 1, bytes, &n, &err), ERROR_LIMIT);
	free(bytes);
}

/* ---- damage ----------------------------------------------------------------------------------------- */

static int small_image(void)
{
	static const char *const layers[] = {
		"d a 0700\nf a/b contents\nf a/c @200000\ns a/l target\nh h a/b\nc n 1:3\n", NULL};
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct error err;
	char *text = merge_make(layers, 1, fd, &err);

	CHECK(text && !strncmp(text, "d a", 3));
	free(text);
	return fd;
}

TEST(an_image_with_a_damaged_superblock_is_refused)
{
	_cleanup_fd_ int fd = small_image();
	struct erofs_reader reader;
	struct error err;

	/* Its checksum covers the rest of the block, too. */
	for (off_t at = 1024; at < 4096; at += at < 1160 ? 1 : 61) {
		uint8_t byte;

		CHECK(pread(fd, &byte, 1, at) == 1);
		byte ^= 0x10;
		CHECK(pwrite(fd, &byte, 1, at) == 1);
		CHECK_ERROR(erofs_reader_open(fd, &reader, &err), ERROR_CORRUPT);
		byte ^= 0x10;
		CHECK(pwrite(fd, &byte, 1, at) == 1);
	}
	CHECK_OK(erofs_reader_open(fd, &reader, &err));
}

TEST(a_cut_image_is_refused)
{
	_cleanup_fd_ int fd = small_image();
	struct erofs_reader reader;
	struct error err;
	struct stat s;

	CHECK(fstat(fd, &s) == 0);
	for (off_t size = s.st_size - 1; size >= 0; size -= 1111) {
		CHECK(ftruncate(fd, size) == 0);
		CHECK_ERROR(erofs_reader_open(fd, &reader, &err), ERROR_CORRUPT);
	}
}

static int count_name(void *context, const char *name, size_t n, uint64_t nid, uint8_t type)
{
	(void)name;
	(void)nid;
	(void)type;
	*(unsigned *)context += n > 0;
	return 0;
}

static int ignore_xattr(void *context, const char *name, const uint8_t *value, size_t n)
{
	(void)context;
	(void)name;
	(void)value;
	(void)n;
	return 0;
}

/* Looks at every node number there may be; nothing may crash, or read beyond the image. */
static void look_everywhere(int fd)
{
	struct erofs_reader reader;
	struct error err;
	unsigned names = 0;

	CHECK_OK(erofs_reader_open(fd, &reader, &err));
	for (uint64_t nid = 0; nid < 40; nid++) {
		struct erofs_stat s;
		uint8_t bytes[5000];

		if (erofs_reader_stat(&reader, nid, &s, &err) < 0)
			continue;
		(void)erofs_reader_xattrs(&reader, &s, ignore_xattr, NULL, &err);
		(void)erofs_reader_read(&reader, &s, 0, bytes, sizeof bytes, &err);
		(void)erofs_reader_read(&reader, &s, s.size / 2, bytes, sizeof bytes, &err);
		(void)erofs_reader_read(&reader, &s, s.size - 1, bytes, sizeof bytes, &err);
		if (S_ISDIR(s.mode) && s.size < 1 << 20)
			(void)erofs_reader_list(&reader, &s, count_name, &names, &err);
	}
}

TEST(damaged_inodes_and_directories_are_errors_and_no_more)
{
	_cleanup_fd_ int fd = small_image();
	struct erofs_reader reader;
	struct error err;

	CHECK_OK(erofs_reader_open(fd, &reader, &err));
	for (off_t at = (off_t)reader.meta; at < (off_t)reader.meta + 1200; at++) {
		static const uint8_t damage[] = {0x01, 0x80, 0xff};
		uint8_t byte, other;

		CHECK(pread(fd, &byte, 1, at) == 1);
		for (size_t k = 0; k < ARRAY_SIZE(damage); k++) {
			other = byte ^ damage[k];
			CHECK(pwrite(fd, &other, 1, at) == 1);
			look_everywhere(fd);
		}
		CHECK(pwrite(fd, &byte, 1, at) == 1);
	}
}
