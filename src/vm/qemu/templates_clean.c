/* SPDX-License-Identifier: Apache-2.0 */
/* Templates that nobody has used for long. When one was used last is the time of its directory. */
#include "vm/qemu/templates_clean.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/text.h"
#include "os/fs.h"
#include "vm/qemu/template.h"

static uint64_t disk_size(int templates, const char *key)
{
	_cleanup_list_ DIR *list = NULL;
	uint64_t size = 0;
	struct stat st;

	if (fs_list_open(templates, key, &list, NULL) < 0)
		return 0;
	for (const char *name; (name = fs_list_next(list));)
		if (fstatat(dirfd(list), name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			size += (uint64_t)st.st_blocks * 512;
	return size;
}

int templates_clean(const char *home, int64_t before, bool dry_run, vm_template_tell *tell, void *context,
	struct error *err)
{
	_cleanup_text_list_ char **keys = NULL;
	_cleanup_fd_ int templates = -1;
	struct stat st;
	int r = template_directory(home, &templates, err);

	if (r == 0)
		r = template_list(home, &keys, err);
	for (size_t i = 0; r == 0 && keys && keys[i]; i++) {
		uint64_t size;

		if (fstatat(templates, keys[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_mtim.tv_sec >= before)
			continue;
		size = disk_size(templates, keys[i]);
		if (!dry_run)
			r = template_remove(home, keys[i], st.st_ino, err);
		if (r == 0)
			tell(context, keys[i], size);
	}
	return r;
}
