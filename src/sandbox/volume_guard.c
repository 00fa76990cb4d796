/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/volume_guard.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"

static bool is_same(const char *path, const struct stat *source)
{
	struct stat s;

	return stat(path, &s) == 0 && s.st_dev == source->st_dev && s.st_ino == source->st_ino;
}

/* What lies behind each directory on the way that the volume is. */
static int add_path(const char *path, const struct stat *source, struct buffer *names, struct error *err)
{
	_cleanup_free_ char *way = text_copy(path, err);

	if (!way)
		return -ERROR_NO_MEMORY;
	for (char *slash = way; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (is_same(*way ? way : "/", source))
			buffer_append(names, slash + 1, strlen(slash + 1) + 1);
		*slash = '/';
	}
	return names->failed ? error_no_memory(err, "guard a volume") : 0;
}

int volume_guard_names(const struct record *r, const struct record_mount *m, int source, struct buffer *names,
	bool *all, struct error *err)
{
	struct stat s;
	int result = 0;

	*all = false;
	if (strcmp(m->type, "bind") != 0 || !r->guarded)
		return 0;
	if (fstat(source, &s) < 0)
		return error_errno(err, errno, "look at the volume %s", m->target);
	for (char **path = r->guarded; result == 0 && *path; path++)
		if (S_ISDIR(s.st_mode))
			result = add_path(*path, &s, names, err);
		else
			*all |= is_same(*path, &s);
	return result;
}

int volume_guard(const struct record *r, const struct record_mount *m, int source, struct buffer *names,
	bool *all, struct error *err)
{
	*all = false;
	return m->read_only || m->stage ? 0 : volume_guard_names(r, m, source, names, all, err);
}
