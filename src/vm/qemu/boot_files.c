/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/qemu/boot_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "codec/cpio.h"
#include "os/fs.h"
#include "vm/qemu/template.h"

#define INFO_MAX       (1u << 20)
#define AGENT_MAX      (64u << 20)
#define MODULES_MAX    (256u << 20)
#define INITRD_PREFIX  "initrd-"
#define INITRD_NFS     "nfs-"
#define INITRD_LOCK    "initrd.lock"
#define UNUSED_SECONDS (30 * 24 * 3600) /* then an old agent's or kernel's file goes */

void boot_files_free(struct boot_files *b)
{
	kernel_free(&b->kernel);
	*b = (struct boot_files){0};
}

/* The kernel's info.json holds the digests of its files. */
static int digest_all(struct boot_files *b, struct error *err)
{
	_cleanup_free_ char *info = text_format(err, "%s/info.json", b->kernel.directory);
	_cleanup_buffer_ struct buffer bytes = {0};
	uint8_t hash[SHA256_SIZE];
	int r = info ? fs_read_file(AT_FDCWD, info, INFO_MAX, &bytes, err) : -ERROR_NO_MEMORY;

	if (r == 0)
		r = fs_read_file(AT_FDCWD, b->agent, AGENT_MAX, &bytes, err);
	if (r == 0)
		r = sha256_of(bytes.data, bytes.size, hash, err);
	if (r == 0)
		sha256_hex(hash, b->digest);
	return r;
}

int boot_files_find(const char *home, const char *agent, struct boot_files *b, struct error *err)
{
	int r;

	*b = (struct boot_files){.agent = agent};
	r = kernel_find(home, &b->kernel, err);
	if (r == 0)
		r = digest_all(b, err);
	if (r < 0)
		boot_files_free(b);
	return r;
}

static int add_nfs(const struct boot_files *b, struct buffer *out, struct error *err)
{
	_cleanup_buffer_ struct buffer modules = {0};
	int r = fs_read_file(AT_FDCWD, b->kernel.nfs, MODULES_MAX, &modules, err);

	if (r == -ERROR_NOT_FOUND)
		return error_set(err, ERROR_UNAVAILABLE,
			"the guest's kernel was installed without an NFS client: 'monocore self kernel "
			"install' installs one");
	if (r == 0 && !buffer_append(out, modules.data, modules.size))
		return error_no_memory(err, "make the guest's initial root file system");
	return r;
}

/* Of several archives the kernel unpacks one after the other. */
static int assemble(const struct boot_files *b, bool nfs, struct buffer *out, struct error *err)
{
	_cleanup_buffer_ struct buffer agent = {0};
	int r = fs_read_file(AT_FDCWD, b->kernel.modules, MODULES_MAX, out, err);

	if (r == 0 && nfs)
		r = add_nfs(b, out, err);
	if (r == 0)
		r = fs_read_file(AT_FDCWD, b->agent, AGENT_MAX, &agent, err);
	if (r == 0)
		r = cpio_write(out, "dev", S_IFDIR | 0755, NULL, 0, err);
	if (r == 0)
		r = cpio_write_device(out, "dev/console", S_IFCHR | 0600, 5, 1, err);
	if (r == 0)
		r = cpio_write(out, "init", S_IFREG | 0755, agent.data, agent.size, err);
	return r == 0 ? cpio_write_end(out, err) : r;
}

/* What nothing has booted from for long, and, as the lock is held, what a killed maker left half written.
 * Whoever reads a file now has it open. */
static void forget_unused(int templates)
{
	_cleanup_list_ DIR *list = NULL;
	time_t now = time(NULL);
	struct stat st;

	fs_list_open(templates, ".", &list, NULL);
	for (const char *name; (name = fs_list_next(list));)
		if (text_starts(name, "." INITRD_PREFIX) ||
			(text_starts(name, INITRD_PREFIX) &&
				fstatat(templates, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
				now - st.st_mtime > UNUSED_SECONDS))
			unlinkat(templates, name, 0);
}

static int make_initrd(
	const char *home, const char *name, const struct boot_files *b, bool nfs, struct error *err)
{
	_cleanup_buffer_ struct buffer bytes = {0};
	_cleanup_fd_ int templates = -1, lock = -1;
	int r = template_directory(home, &templates, err);

	if (r == 0)
		r = fs_lock(templates, INITRD_LOCK, FS_LOCK_EXCLUSIVE, true, &lock, err);
	if (r < 0 || faccessat(templates, name, R_OK, 0) == 0)
		return r;
	forget_unused(templates);
	r = assemble(b, nfs, &bytes, err);
	return r == 0 ? fs_write_atomic(templates, name, bytes.data, bytes.size, 0644, err) : r;
}

int boot_files_initrd(const char *home, const struct boot_files *b, bool nfs, char **path, struct error *err)
{
	char name[sizeof INITRD_PREFIX INITRD_NFS + SHA256_HEX_SIZE];
	int r;

	snprintf(name, sizeof name, INITRD_PREFIX "%s%s", nfs ? INITRD_NFS : "", b->digest);
	*path = text_format(err, "%s/" TEMPLATES "/%s", home, name);
	if (!*path)
		return -ERROR_NO_MEMORY;
	/* Written whole or not at all, and its time says when it was last used. */
	if (utimensat(AT_FDCWD, *path, NULL, 0) == 0)
		return 0;
	r = make_initrd(home, name, b, nfs, err);
	if (r < 0) {
		free(TAKE_PTR(*path));
		return error_prefix(err, "make the guest's initial root file system");
	}
	return 0;
}
