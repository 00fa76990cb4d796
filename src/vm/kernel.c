/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/sha256.h"
#include "os/fs.h"
#include "os/process.h"
#include "vm/kernel_parts.h"

#define META_PACKAGE     "linux-image-cloud-amd64"
#define DOWNLOAD_TIMEOUT (600 * NANOSECONDS_PER_SECOND)

static const char *const system_places[] = {"/usr/local/lib/monocore/kernels", "/usr/lib/monocore/kernels"};

void kernel_free(struct kernel *k)
{
	free(k->version);
	free(k->directory);
	free(k->vmlinux);
	free(k->modules);
	free(k->nfs);
	*k = (struct kernel){0};
}

void kernel_list_free(struct kernel *kernels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		kernel_free(&kernels[i]);
	free(kernels);
}

/* Fills *k where place/version holds a whole kernel: NOT_FOUND where it does not. */
static int kernel_open(const char *place, const char *version, struct kernel *k, struct error *err)
{
	k->version = text_copy(version, err);
	k->directory = text_format(err, "%s/%s", place, version);
	k->vmlinux = text_format(err, "%s/%s/vmlinux", place, version);
	k->modules = text_format(err, "%s/%s/modules.cpio", place, version);
	k->nfs = text_format(err, "%s/%s/nfs.cpio", place, version);
	if (!k->version || !k->directory || !k->vmlinux || !k->modules || !k->nfs) {
		kernel_free(k);
		return error_no_memory(err, "list kernels");
	}
	if (access(k->vmlinux, R_OK) < 0 || access(k->modules, R_OK) < 0) {
		kernel_free(k);
		return error_set(err, ERROR_NOT_FOUND, "%s/%s is no kernel of monocore's", place, version);
	}
	return 0;
}

static int list_place(const char *place, struct kernel **kernels, size_t *count, struct error *err)
{
	DIR *list = opendir(place);
	struct dirent *entry;
	int r = 0;

	while (list && r == 0 && (entry = readdir(list))) {
		struct kernel *grown, k;

		if (entry->d_name[0] == '.')
			continue;
		r = kernel_open(place, entry->d_name, &k, err);
		if (r == -ERROR_NOT_FOUND) {
			r = 0;
			continue;
		}
		grown = r < 0 ? NULL : reallocarray(*kernels, *count + 1, sizeof *grown);
		if (!grown) {
			kernel_free(&k);
			r = error_no_memory(err, "list kernels");
			break;
		}
		*kernels = grown;
		grown[(*count)++] = k;
	}
	if (list)
		closedir(list);
	return r;
}

static int newest_first(const void *a, const void *b)
{
	return -strverscmp(((const struct kernel *)a)->version, ((const struct kernel *)b)->version);
}

int kernel_list(const char *home, struct kernel **kernels, size_t *count, struct error *err)
{
	_cleanup_free_ char *own = text_format(err, "%s/kernels", home);
	size_t at = 0;
	int r = own ? 0 : -ERROR_NO_MEMORY;

	*kernels = NULL;
	*count = 0;
	if (r == 0)
		r = list_place(own, kernels, count, err);
	if (*count)
		qsort(*kernels, *count, sizeof **kernels, newest_first);
	at = *count;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(system_places); i++)
		r = list_place(system_places[i], kernels, count, err);
	if (*count > at)
		qsort(*kernels + at, *count - at, sizeof **kernels, newest_first);
	if (r < 0) {
		kernel_list_free(*kernels, *count);
		*kernels = NULL;
		*count = 0;
	}
	return r;
}

int kernel_find(const char *home, struct kernel *k, struct error *err)
{
	struct kernel *kernels;
	size_t count;
	int r = kernel_list(home, &kernels, &count, err);

	if (r < 0)
		return r;
	if (count == 0)
		return error_set(err, ERROR_NOT_FOUND,
			"no guest kernel is installed: run 'monocore self kernel install'");
	*k = kernels[0];
	kernels[0] = (struct kernel){0};
	kernel_list_free(kernels, count);
	return 0;
}

/* The name of the package that holds the kernel itself: what the distribution's meta package depends on. */
static int find_package(char **name, struct error *err)
{
	const char *const argv[] = {"apt-cache", "show", "--no-all-versions", META_PACKAGE, NULL};
	_cleanup_buffer_ struct buffer out = {0};
	_cleanup_free_ char *text = NULL;
	char *at, *end;
	struct process_run_options options = {
		.out = &out, .limit = 1 << 20, .timeout = 60 * NANOSECONDS_PER_SECOND};
	int r = process_run(argv, &options, err);

	if (r == -ERROR_NOT_FOUND)
		return error_set(err, ERROR_UNAVAILABLE,
			"this host has no apt-get to fetch a kernel with: give a Debian kernel package, "
			"'monocore self kernel install linux-image-*.deb'");
	if (r < 0)
		return error_prefix(err, "look up " META_PACKAGE " (run 'apt-get update' once as root)");
	text = buffer_take_text(&out);
	at = text ? strstr(text, "\nDepends: ") : NULL;
	at = at ? at + strlen("\nDepends: ") : NULL;
	end = at ? at + strcspn(at, " ,\n|") : NULL;
	if (!at || !text_starts(at, "linux-image-") || strcspn(at, "/\"'") < (size_t)(end - at))
		return error_set(err, ERROR_INVALID, "package " META_PACKAGE " names no kernel package");
	*name = strndup(at, (size_t)(end - at));
	return *name ? 0 : error_no_memory(err, "look up a package");
}

static char *find_deb(const char *directory, struct error *err)
{
	DIR *list = opendir(directory);
	struct dirent *entry;
	char *path = NULL;

	while (list && !path && (entry = readdir(list)))
		if (text_ends(entry->d_name, ".deb"))
			path = text_format(err, "%s/%s", directory, entry->d_name);
	if (list)
		closedir(list);
	if (!path)
		error_set(err, ERROR_NOT_FOUND, "apt-get downloaded no package into %s", directory);
	return path;
}

static int download(const char *directory, char **path, const struct progress *progress, struct error *err)
{
	struct progress_event event = {.task = "download kernel", .unit = "steps", .total = 1};
	_cleanup_free_ char *name = NULL;
	int r = find_package(&name, err);

	if (r == 0) {
		const char *const argv[] = {"env", "-C", directory, "apt-get", "-qq", "-o",
			"APT::Sandbox::User=root", "download", name, NULL};

		progress_report(progress, &event);
		r = process_run(argv, &(struct process_run_options){.timeout = DOWNLOAD_TIMEOUT}, err);
		event.done = r == 0;
		event.finished = true;
		progress_report(progress, &event);
	}
	if (r < 0)
		return error_prefix(err, "download the guest kernel");
	*path = find_deb(directory, err);
	return *path ? 0 : -ERROR_NOT_FOUND;
}

static int write_part(
	int directory, const char *name, const struct buffer *data, json_t *info, struct error *err)
{
	_cleanup_fd_ int fd = fs_open(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0644, err);
	char digest[SHA256_DIGEST_SIZE];
	uint8_t hash[SHA256_SIZE];
	int r = fd < 0 ? fd : fs_write_all(fd, data->data, data->size, name, err);

	if (r == 0 && fsync(fd) < 0)
		r = error_errno(err, errno, "sync %s", name);
	if (r == 0)
		r = sha256_of(data->data, data->size, hash, err);
	if (r == 0 && json_object_set_new(info, name, json_string(sha256_digest(hash, digest))) < 0)
		r = error_no_memory(err, name);
	return r;
}

static int write_info(int directory, json_t *info, struct error *err)
{
	_cleanup_free_ char *text = json_dumps(info, JSON_INDENT(1) | JSON_SORT_KEYS);

	return text ? fs_write_atomic(directory, "info.json", text, strlen(text), 0644, err)
		    : error_no_memory(err, "info.json");
}

/* Everything of the kernel into the open, still unnamed directory. */
static int write_kernel(int directory, const struct kernel_package *p, struct error *err)
{
	_cleanup_buffer_ struct buffer vmlinux = {0}, modules = {0}, nfs = {0};
	json_t *info = json_pack("{s:s}", "version", p->version);
	int r = info ? 0 : error_no_memory(err, "install a kernel");

	if (r == 0)
		r = kernel_image_extract(p->image.data, p->image.size, &vmlinux, err);
	if (r == 0)
		r = kernel_modules_archive(p, &modules, &nfs, err);
	if (r == 0)
		r = write_part(directory, "vmlinux", &vmlinux, info, err);
	if (r == 0)
		r = write_part(directory, "modules.cpio", &modules, info, err);
	if (r == 0)
		r = write_part(directory, "nfs.cpio", &nfs, info, err);
	if (r == 0)
		r = write_info(directory, info, err);
	json_decref(info);
	return r;
}

static int install_package(int place, const char *temporary, const char *package, char **version,
	const struct progress *progress, struct error *err)
{
	_cleanup_(cleanup_kernel_package) struct kernel_package p = {0};
	_cleanup_fd_ int directory = -1;
	int r = kernel_package_read(package, &p, progress, err);

	if (r == 0 && mkdirat(place, temporary, 0755) < 0)
		r = error_errno(err, errno, "make a directory for the kernel");
	if (r == 0)
		r = directory = fs_open(place, temporary, O_RDONLY | O_DIRECTORY, 0, err);
	if (directory < 0)
		return r;
	r = write_kernel(directory, &p, err);
	if (r == 0 && fsync(directory) < 0)
		r = error_errno(err, errno, "sync the kernel's directory");
	if (r == 0) /* running VMs hold the old files open */
		r = fs_remove_tree(place, p.version, err);
	if (r == 0 && renameat(place, temporary, place, p.version) < 0)
		r = error_errno(err, errno, "install kernel %s", p.version);
	if (r == 0 && fsync(place) < 0)
		r = error_errno(err, errno, "sync the kernels' directory");
	if (r == 0 && version)
		*version = TAKE_PTR(p.version);
	return r;
}

int kernel_install(const char *directory, const char *package, char **version,
	const struct progress *progress, struct error *err)
{
	_cleanup_fd_ int place = -1, lock = -1;
	_cleanup_free_ char *downloads = NULL, *fetched = NULL;
	int r = fs_make_directories(AT_FDCWD, directory, 0755, err);

	if (r == 0)
		r = place = fs_open(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY, 0, err);
	if (place >= 0)
		r = fs_lock(place, ".lock", FS_LOCK_EXCLUSIVE, true, &lock, err);
	if (r < 0)
		return error_prefix(err, "install a guest kernel into %s", directory);
	/* The lock is held: what has these names is a killed installer's. */
	fs_remove_tree(place, ".new", NULL);
	fs_remove_tree(place, ".download", NULL);
	if (!package) {
		downloads = text_format(err, "%s/.download", directory);
		if (!downloads || mkdirat(place, ".download", 0755) < 0)
			return error_errno(err, errno, "make %s/.download", directory);
		r = download(downloads, &fetched, progress, err);
		package = fetched;
	}
	if (r == 0)
		r = install_package(place, ".new", package, version, progress, err);
	fs_remove_tree(place, ".new", NULL);
	fs_remove_tree(place, ".download", NULL);
	return r;
}
