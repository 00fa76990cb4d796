/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel by which libext2fs writes a file system to a file that began as zeroes: zero blocks are left
 * out and read back as such, so that inode tables, bitmaps and journal cost nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/ext4_parts.h"

struct channel {
	struct struct_io_channel io;
	int fd;
	errcode_t *failed; /* the first error in writing: libext2fs swallows some */
};

static errcode_t channel_close(io_channel io)
{
	if (--io->refcount == 0)
		free(io);
	return 0;
}

static errcode_t channel_set_block(io_channel io, int size)
{
	io->block_size = size;
	return 0;
}

static errcode_t channel_flush(io_channel io)
{
	(void)io; /* the caller syncs where it wants that */
	return 0;
}

/* A negative count is one of bytes. */
static size_t channel_bytes(io_channel io, int count)
{
	return count < 0 ? (size_t) - (int64_t)count : (size_t)count * (size_t)io->block_size;
}

static off_t channel_offset(io_channel io, unsigned long long block)
{
	return (off_t)(block * (unsigned)io->block_size);
}

static errcode_t read_bytes(int fd, off_t at, char *to, size_t left)
{
	while (left > 0) {
		ssize_t n = pread(fd, to, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		to += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

static errcode_t write_bytes(int fd, off_t at, const char *from, size_t left)
{
	while (left > 0) {
		ssize_t n = pwrite(fd, from, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		from += n;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

static bool is_zero(const char *bytes, size_t n)
{
	return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

static errcode_t channel_read(io_channel io, unsigned long long block, int count, void *data)
{
	return read_bytes(
		((struct channel *)io)->fd, channel_offset(io, block), data, channel_bytes(io, count));
}

static errcode_t channel_noted(io_channel io, errcode_t r)
{
	struct channel *c = (struct channel *)io;

	if (r && !*c->failed)
		*c->failed = r;
	return r;
}

static errcode_t channel_write(io_channel io, unsigned long long block, int count, const void *data)
{
	int fd = ((struct channel *)io)->fd;
	size_t left = channel_bytes(io, count);
	off_t at = channel_offset(io, block);
	const char *from = data;
	char old[EXT4_BLOCK];
	errcode_t r = 0;

	while (r == 0 && left > 0) {
		size_t part = left < EXT4_BLOCK ? left : EXT4_BLOCK;
		bool same = false;

		if (is_zero(from, part)) {
			r = read_bytes(fd, at, old, part);
			same = r == 0 && is_zero(old, part);
		}
		if (r == 0 && !same)
			r = write_bytes(fd, at, from, part);
		from += part;
		at += (off_t)part;
		left -= part;
	}
	return channel_noted(io, r);
}

static errcode_t channel_read32(io_channel io, unsigned long block, int count, void *data)
{
	return channel_read(io, block, count, data);
}

static errcode_t channel_write32(io_channel io, unsigned long block, int count, const void *data)
{
	return channel_write(io, block, count, data);
}

static errcode_t channel_write_byte(io_channel io, unsigned long offset, int count, const void *data)
{
	return channel_noted(io, write_bytes(((struct channel *)io)->fd, (off_t)offset, data, (size_t)count));
}

/* Nobody writes a block before he asks for it to be zeroed: it is. */
static errcode_t channel_zero(io_channel io, unsigned long long block, unsigned long long count)
{
	(void)io;
	(void)block;
	(void)count;
	return 0;
}

static errcode_t channel_open(const char *name, int flags, io_channel *out);

/* libext2fs wants a manager that it could change, so each file system has its own copy. */
static const struct struct_io_manager channel_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "descriptor",
	.open = channel_open,
	.close = channel_close,
	.set_blksize = channel_set_block,
	.read_blk = channel_read32,
	.write_blk = channel_write32,
	.flush = channel_flush,
	.write_byte = channel_write_byte,
	.read_blk64 = channel_read,
	.write_blk64 = channel_write,
	.zeroout = channel_zero,
};

static errcode_t channel_open(const char *name, int flags, io_channel *out)
{
	const struct ext4_channel *o = (const void *)name;
	struct channel *c = calloc(1, sizeof *c);

	(void)flags;
	if (!c)
		return ENOMEM;
	c->fd = o->fd;
	c->failed = (errcode_t *)(uintptr_t)&o->failed;
	c->io = (struct struct_io_channel){.magic = EXT2_ET_MAGIC_IO_CHANNEL,
		.manager = (io_manager)(uintptr_t)&o->manager,
		.block_size = 1024,
		.refcount = 1};
	*out = &c->io;
	return 0;
}

void ext4_channel_init(struct ext4_channel *c, int fd)
{
	*c = (struct ext4_channel){.text = "disk", .fd = fd, .manager = channel_manager};
}
