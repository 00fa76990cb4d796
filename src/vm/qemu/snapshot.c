/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/qemu/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "os/fs.h"
#include "os/sparse.h"

#define SAVE_TIME  (60 * NANOSECONDS_PER_SECOND)
#define STATE_SET  1
#define STATE_NAME "/dev/fdset/1"

#define PAGE         4096ULL
#define ENTRIES      4096 /* of the pagemap, read at once */
#define COPY_PAGES   256  /* read at once */
#define PAGE_PRESENT (1ULL << 63)
#define PAGE_SWAPPED (1ULL << 62)
#define PAGE_FILE    (1ULL << 61) /* still the file's own, or shared */

void snapshot_source_close(struct snapshot_source *s)
{
	int *all[] = {&s->base, &s->memory, &s->pagemap};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (*all[i] >= 0)
			close(TAKE_FD(*all[i]));
	*s = SNAPSHOT_SOURCE_NONE;
}

/* A line of /proc/PID/maps: the mapping of all of this file, privately. */
static bool is_mapping(const char *line, const struct stat *file, uint64_t *start)
{
	uint64_t end, offset, inode;
	char rights[5];

	return sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %" SCNu64, start, &end, rights,
		       &offset, &inode) == 5 &&
	       inode == (uint64_t)file->st_ino && offset == 0 && rights[3] == 'p' &&
	       end - *start == (uint64_t)file->st_size;
}

static int find_mapping(struct snapshot_source *s, pid_t pid, struct error *err)
{
	char path[32], *line = NULL;
	_cleanup_file_ FILE *maps = NULL;
	struct stat file;
	size_t room = 0;
	bool found = false;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (!maps || fstat(s->base, &file) < 0)
		return error_errno(err, errno, "look at QEMU's memory");
	while (!found && getline(&line, &room, maps) > 0)
		found = is_mapping(line, &file, &s->start);
	free(line);
	s->size = (uint64_t)file.st_size;
	return found ? 0 : error_set(err, ERROR_UNAVAILABLE, "the guest's memory is not to be found in QEMU");
}

static int open_proc(pid_t pid, const char *name, int *fd)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? -1 : 0;
}

int snapshot_source_open(struct snapshot_source *s, pid_t pid, struct error *err)
{
	if (s->base < 0)
		return error_set(err, ERROR_UNAVAILABLE,
			"this machine was booted, not cloned from a template: only clones can be saved");
	if (s->memory >= 0)
		return 0;
	if (open_proc(pid, "mem", &s->memory) < 0 || open_proc(pid, "pagemap", &s->pagemap) < 0)
		return error_set(err, ERROR_UNAVAILABLE, "this host does not let QEMU's memory be read: %s",
			strerror(errno));
	return find_mapping(s, pid, err);
}

int snapshot_copy_base(const struct snapshot_source *s, int memory, struct error *err)
{
	return sparse_copy(s->base, memory, "the guest's memory", err);
}

static int copy_run(const struct snapshot_source *s, int memory, uint64_t page, uint64_t count,
	uint8_t *bytes, struct error *err)
{
	while (count) {
		uint64_t n = (count < COPY_PAGES ? count : COPY_PAGES) * PAGE;

		if (pread(s->memory, bytes, n, (off_t)(s->start + page * PAGE)) != (ssize_t)n)
			return error_errno(err, errno ? errno : EIO, "read the guest's memory");
		if (pwrite(memory, bytes, n, (off_t)(page * PAGE)) != (ssize_t)n)
			return error_errno(err, errno ? errno : ENOSPC, "write the guest's memory");
		page += n / PAGE;
		count -= n / PAGE;
	}
	return 0;
}

static bool is_own(uint64_t entry)
{
	return entry & (PAGE_PRESENT | PAGE_SWAPPED) && !(entry & PAGE_FILE);
}

/* One piece of the pagemap: `page` is the number of the first of `n` entries. */
static int copy_piece(const struct snapshot_source *s, int memory, uint64_t page, const uint64_t *entries,
	size_t n, uint8_t *bytes, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n;) {
		size_t end = i;

		while (end < n && is_own(entries[end]))
			end++;
		if (end > i)
			r = copy_run(s, memory, page + i, end - i, bytes, err);
		i = end + 1;
	}
	return r;
}

int snapshot_copy_pages(const struct snapshot_source *s, int memory, struct error *err)
{
	_cleanup_free_ uint64_t *entries = malloc(ENTRIES * sizeof *entries);
	_cleanup_free_ uint8_t *bytes = malloc(COPY_PAGES * PAGE);
	uint64_t pages = s->size / PAGE;
	int r = entries && bytes ? 0 : error_no_memory(err, "save the guest's memory");

	for (uint64_t page = 0; r == 0 && page < pages; page += ENTRIES) {
		size_t n = pages - page < ENTRIES ? (size_t)(pages - page) : ENTRIES;
		off_t at = (off_t)((s->start / PAGE + page) * sizeof *entries);

		errno = 0;
		if (pread(s->pagemap, entries, n * sizeof *entries, at) != (ssize_t)(n * sizeof *entries))
			return error_errno(err, errno ? errno : EIO, "look at the guest's memory");
		r = copy_piece(s, memory, page, entries, n, bytes, err);
	}
	return r;
}

/* QEMU writes to a name, but one of those that stand for descriptors, which must be open for just that. */
int snapshot_save_devices(struct qmp *q, int state, struct error *err)
{
	uint64_t deadline = clock_monotonic() + SAVE_TIME;
	_cleanup_fd_ int writable = -1;
	char path[32];
	int r;

	snprintf(path, sizeof path, "/proc/self/fd/%d", state);
	writable = fs_open(AT_FDCWD, path, O_WRONLY, 0, err);
	if (writable < 0)
		return writable;
	r = qmp_execute(
		q, "add-fd", json_pack("{s:i}", "fdset-id", STATE_SET), writable, deadline, NULL, err);
	if (r < 0)
		return r;
	r = qmp_execute(q, "xen-save-devices-state",
		json_pack("{s:s, s:b}", "filename", STATE_NAME, "live", 0), -1, deadline, NULL, err);
	qmp_execute(q, "remove-fd", json_pack("{s:i}", "fdset-id", STATE_SET), -1, deadline, NULL, NULL);
	return r;
}
