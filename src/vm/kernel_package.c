/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's package is read without unpacking it: dpkg-deb writes its files as a tar, the tar is read here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/tar.h"
#include "os/process.h"
#include "vm/kernel_parts.h"

#define PACKAGE_MAX (1u << 30) /* bytes of image and modules together */
#define IMAGE_MAX   (128u << 20)

CLEANUP_DEFINE(tar_reader, struct tar_reader, tar_reader_free);

void kernel_package_free(struct kernel_package *p)
{
	struct map_slot *slot;
	size_t at = 0;

	while ((slot = map_next(&p->modules, &at))) {
		struct kernel_module *m = slot->value;

		buffer_free(&m->data);
		free(m->name);
		free(m);
	}
	map_free(&p->modules);
	buffer_free(&p->image);
	free(p->version);
	p->version = NULL;
}

struct package_reader {
	struct kernel_package *package;
	struct buffer *target; /* where the present entry's data go; NULL: nowhere */
	uint64_t total;
};

static const char *inner_path(const struct tar_entry *e)
{
	const char *path = e->path;

	while (text_starts(path, "./") || *path == '/')
		path += *path == '/' ? 1 : 2;
	return path;
}

static int take_image(struct package_reader *r, const char *version, struct error *err)
{
	if (r->package->version)
		return error_set(err, ERROR_INVALID, "the package holds more than one kernel");
	if (strchr(version, '/') || !*version || version[0] == '.')
		return error_set(
			err, ERROR_INVALID, "the package holds a kernel of an odd name: '%s'", version);
	r->package->version = text_copy(version, err);
	r->package->image.limit = IMAGE_MAX;
	r->target = &r->package->image;
	return r->package->version ? 0 : -ERROR_NO_MEMORY;
}

static int take_module(struct package_reader *r, const char *path, struct error *err)
{
	const char *base = strrchr(path, '/') + 1;
	struct kernel_module *m = calloc(1, sizeof *m), *old = NULL;
	int result;

	if (!m || !(m->name = strndup(base, strlen(base) - strlen(".ko")))) {
		free(m);
		return error_no_memory(err, "read a kernel package");
	}
	for (char *p = m->name; *p; p++)
		if (*p == '-')
			*p = '_';
	result = map_set(&r->package->modules, m->name, strlen(m->name), m, (void **)&old, err);
	if (result < 0 || old)
		result = result < 0 ? result
				    : error_set(err, ERROR_INVALID, "the package holds module %s twice",
					      m->name);
	r->target = &m->data;
	return result;
}

static int take_entry(struct package_reader *r, const struct tar_entry *e, struct error *err)
{
	const char *path = inner_path(e);

	r->target = NULL;
	if (e->type != TAR_FILE)
		return 0;
	if (text_starts(path, "boot/vmlinuz-"))
		return take_image(r, path + strlen("boot/vmlinuz-"), err);
	if ((text_starts(path, "lib/modules/") || text_starts(path, "usr/lib/modules/")) &&
		text_ends(path, ".ko"))
		return take_module(r, path, err);
	return 0;
}

static int take_data(struct package_reader *r, const struct tar_data *d, struct error *err)
{
	if (!r->target)
		return 0;
	r->total += d->size;
	if (r->total > PACKAGE_MAX || !buffer_append(r->target, d->bytes, d->size))
		return error_set(err, ERROR_LIMIT, "the kernel package is too large");
	return 0;
}

static int take_bytes(
	struct package_reader *r, struct tar_reader *tar, const uint8_t *bytes, size_t n, struct error *err)
{
	enum tar_event event = TAR_ENTRY;
	int result = 0;

	while (result == 0 && event != TAR_MORE && event != TAR_END) {
		result = tar_reader_step(tar, &bytes, &n, &event, err);
		if (result == 0 && event == TAR_ENTRY)
			result = take_entry(r, tar_reader_entry(tar), err);
		else if (result == 0 && event == TAR_DATA)
			result = take_data(r, tar_reader_data(tar), err);
	}
	return result;
}

static int read_tar(int fd, const char *file, struct package_reader *r, const struct progress *progress,
	struct error *err)
{
	_cleanup_(cleanup_tar_reader) struct tar_reader *tar = tar_reader_new(NULL, err);
	_cleanup_free_ uint8_t *bytes = malloc(1 << 18);
	struct progress_event event = {.task = "kernel package", .unit = "bytes"};
	ssize_t n;
	int result = 0;

	if (!tar || !bytes)
		return error_no_memory(err, "read a kernel package");
	while (result == 0 && (n = read(fd, bytes, 1 << 18)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "read %s", file);
		event.done += (uint64_t)n;
		progress_report(progress, &event);
		result = take_bytes(r, tar, bytes, (size_t)n, err);
	}
	event.finished = true;
	progress_report(progress, &event);
	return result == 0 ? tar_reader_finish(tar, err) : result;
}

static int read_package(
	const char *file, struct package_reader *r, const struct progress *progress, struct error *err)
{
	const char *const argv[] = {"dpkg-deb", "--fsys-tarfile", file, NULL};
	_cleanup_fd_ int read_end = -1, write_end = -1;
	struct process_fd fds[] = {{-1, STDOUT_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
	struct process_spec spec = {.path = argv[0], .argv = argv, .fds = fds, .fd_count = 2};
	int ends[2], status = 0, result;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, errno, "read %s", file);
	read_end = ends[0];
	fds[0].parent = write_end = ends[1];
	result = process_spawn(&spec, &pid, NULL, err);
	if (result < 0)
		return result;
	close(TAKE_FD(write_end));
	result = read_tar(read_end, file, r, progress, err);
	close(TAKE_FD(read_end)); /* where reading ended early the child gets EPIPE */
	if (process_wait(pid, &status, NULL) == 0 && status && result == 0)
		result = error_set(err, ERROR_INVALID, "dpkg-deb could not read it (status %d)", status);
	return result;
}

int kernel_package_read(
	const char *file, struct kernel_package *p, const struct progress *progress, struct error *err)
{
	struct package_reader r = {.package = p};
	int result = read_package(file, &r, progress, err);

	if (result == 0 && (!p->version || !p->image.size))
		result = error_set(err, ERROR_INVALID, "it holds no boot/vmlinuz-*");
	if (result == 0 && !p->modules.size)
		result = error_set(err, ERROR_INVALID, "it holds no modules (*.ko)");
	if (result < 0)
		return error_prefix(err, "kernel package %s", file);
	return 0;
}
