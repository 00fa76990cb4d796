/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/virtiofs/guest_memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/cleanup.h"

struct region {
	uint64_t guest, user, size;
	uint8_t *bytes;
	void *mapping; /* the file from its beginning: huge pages are not to be split */
	size_t mapped;
};

struct guest_memory {
	atomic_uint holders;
	unsigned count;
	struct region regions[VHOST_REGIONS_MAX];
};

static void cleanup_memory(struct guest_memory **m)
{
	guest_memory_drop(*m);
}

struct guest_memory *guest_memory_hold(struct guest_memory *m)
{
	if (m)
		atomic_fetch_add(&m->holders, 1);
	return m;
}

void guest_memory_drop(struct guest_memory *m)
{
	if (!m || atomic_fetch_sub(&m->holders, 1) != 1)
		return;
	for (unsigned i = 0; i < m->count; i++)
		munmap(m->regions[i].mapping, m->regions[i].mapped);
	free(m);
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static int check(const struct vhost_table *t, unsigned i, struct error *err)
{
	const struct vhost_region *r = &t->regions[i];
	uint64_t end;

	if (!r->size || __builtin_add_overflow(r->guest, r->size, &end) ||
		__builtin_add_overflow(r->user, r->size, &end) ||
		__builtin_add_overflow(r->offset, r->size, &end) || end > INT64_MAX)
		return error_set(err, ERROR_INVALID, "vhost-user: memory region %u has no end", i);
	for (unsigned k = 0; k < i; k++) {
		const struct vhost_region *o = &t->regions[k];

		if (overlap(r->guest, r->size, o->guest, o->size) ||
			overlap(r->user, r->size, o->user, o->size))
			return error_set(
				err, ERROR_INVALID, "vhost-user: memory regions %u and %u overlap", k, i);
	}
	return 0;
}

static int map(struct guest_memory *m, const struct vhost_region *r, int fd, struct error *err)
{
	size_t size = (size_t)(r->offset + r->size);
	struct stat s;
	void *p;

	if (fstat(fd, &s) < 0 || !S_ISREG(s.st_mode) || s.st_size < 0 || (uint64_t)s.st_size < size)
		return error_set(err, ERROR_INVALID, "vhost-user: a memory region is not in its file");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return error_errno(err, errno, "map the guest's memory");
	madvise(p, size, MADV_DONTDUMP);
	m->regions[m->count++] = (struct region){.guest = r->guest,
		.user = r->user,
		.size = r->size,
		.bytes = (uint8_t *)p + r->offset,
		.mapping = p,
		.mapped = size};
	return 0;
}

int guest_memory_new(
	const struct vhost_table *table, const int *fds, struct guest_memory **out, struct error *err)
{
	__attribute__((cleanup(cleanup_memory))) struct guest_memory *m = calloc(1, sizeof *m);

	if (!m)
		return error_no_memory(err, "map the guest's memory");
	atomic_init(&m->holders, 1);
	for (unsigned i = 0; i < table->count; i++) {
		int r = check(table, i, err);

		if (r == 0)
			r = map(m, &table->regions[i], fds[i], err);
		if (r < 0)
			return r;
	}
	*out = TAKE_PTR(m);
	return 0;
}

/* How many bytes from there on lie in the region; 0: it does not hold the address. */
static uint64_t reach(uint64_t start, uint64_t size, uint64_t address)
{
	return address >= start && address - start < size ? size - (address - start) : 0;
}

void *guest_memory_at(const struct guest_memory *m, uint64_t address, uint64_t size)
{
	for (unsigned i = 0; i < m->count; i++)
		if (size && size <= reach(m->regions[i].guest, m->regions[i].size, address))
			return m->regions[i].bytes + (address - m->regions[i].guest);
	return NULL;
}

void *guest_memory_at_user(const struct guest_memory *m, uint64_t address, uint64_t size)
{
	for (unsigned i = 0; i < m->count; i++)
		if (size && size <= reach(m->regions[i].user, m->regions[i].size, address))
			return m->regions[i].bytes + (address - m->regions[i].user);
	return NULL;
}

static const struct region *region_of(const struct guest_memory *m, uint64_t address, uint64_t *there)
{
	for (unsigned i = 0; i < m->count; i++) {
		*there = reach(m->regions[i].guest, m->regions[i].size, address);
		if (*there)
			return &m->regions[i];
	}
	return NULL;
}

static int append(struct iovec *vectors, unsigned *count, unsigned room, uint8_t *bytes, size_t n)
{
	struct iovec *last = *count ? &vectors[*count - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == bytes) {
		last->iov_len += n;
		return 0;
	}
	if (*count == room)
		return -1;
	vectors[(*count)++] = (struct iovec){.iov_base = bytes, .iov_len = n};
	return 0;
}

int guest_memory_vectors(const struct guest_memory *m, uint64_t address, uint64_t size, struct iovec *vectors,
	unsigned *count, unsigned room)
{
	while (size > 0) {
		uint64_t n;
		const struct region *r = region_of(m, address, &n);

		if (!r)
			return -1;
		n = n < size ? n : size;
		if (append(vectors, count, room, r->bytes + (address - r->guest), (size_t)n) < 0)
			return -1;
		address += n; /* no region wraps around */
		size -= n;
	}
	return 0;
}
