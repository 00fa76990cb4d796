/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/volume_used.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "codec/volume.h"
#include "guest/beneath.h"

#define WANT_NUMBER 0x100  /* STATX_INO */
#define ASK_NOBODY  0x4000 /* AT_STATX_DONT_SYNC */

CLEANUP_DEFINE(stream, DIR, closedir);

/* What statx(2) fills in (Linux, include/uapi/linux/stat.h), which musl 1.2.3 does not have. */
struct statx_answer {
	uint8_t before[32];
	uint64_t number;
	uint8_t between[96];
	uint32_t device_major, device_minor;
	uint8_t behind[112];
};
_Static_assert(sizeof(struct statx_answer) == 256, "as the kernel has it");

struct used {
	const struct volume_users *users;
	struct volume_node roots[VOLUMES_MAX];
	char places[VOLUMES_MAX][PATH_MAX]; /* where they are mounted */
	char path[PATH_MAX];
};

bool volume_node(int at, const char *path, struct volume_node *node)
{
	struct statx_answer s;

	if (syscall(SYS_statx, at, path, AT_EMPTY_PATH | ASK_NOBODY, WANT_NUMBER, &s) < 0)
		return false;
	*node = (struct volume_node){s.device_major, s.device_minor, s.number};
	return true;
}

static bool is_on(const struct volume_node *node, const struct volume_node *root)
{
	return root->number && node->major == root->major && node->minor == root->minor;
}

/* The directories between a volume's root and what has this path. Ends where the path is another's by now, or
 * leads through another mount. */
static void tell_way(struct used *u, uint32_t volume, char *path)
{
	const char *place = u->places[volume];
	size_t n = strlen(place);
	_cleanup_fd_ int at = -1;

	if (!n || strncmp(path, place, n) != 0 || path[n] != '/')
		return;
	for (char *name = path + n + 1, *slash; (slash = strchr(name, '/')); name = slash + 1) {
		int from = at < 0 ? u->users->mounts[volume] : at, next;
		struct volume_node node;

		*slash = 0;
		next = beneath_open(from, name, O_PATH | O_DIRECTORY, 0, BENEATH_KNOWN);
		if (at >= 0)
			close(at);
		at = next;
		if (at < 0 || !volume_node(at, "", &node) || !is_on(&node, &u->roots[volume]))
			return;
		u->users->each(u->users->context, volume, node.number);
	}
}

/* path: room for it, or NULL where nobody can say where it is. */
static void tell(struct used *u, const struct volume_node *node, char *path)
{
	for (uint32_t i = 0; i < u->users->count; i++) {
		if (!is_on(node, &u->roots[i]))
			continue;
		u->users->each(u->users->context, i, node->number);
		tell_way(u, i, path);
	}
}

/* A link of /proc, whose target needs no name. */
static void look_at(struct used *u, int process, const char *link)
{
	struct volume_node node;
	ssize_t n;

	if (!volume_node(process, link, &node))
		return;
	n = readlinkat(process, link, u->path, sizeof u->path - 1);
	u->path[n > 0 ? n : 0] = 0;
	tell(u, &node, u->path);
}

static void look_at_files(struct used *u, int process)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(cleanup_stream) DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (!list && fd >= 0)
		close(fd);
	for (struct dirent *e; list && (e = readdir(list));)
		if (e->d_name[0] != '.')
			look_at(u, fd, e->d_name);
}

/* proc(5): "ADDRESSES PERMISSIONS OFFSET MAJOR:MINOR INODE PATH", of what is no file with a device 0:0. */
static void look_at_maps(struct used *u, int process)
{
	int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
	_cleanup_file_ FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
	_cleanup_free_ char *line = NULL;
	struct volume_node last = {0};
	size_t room = 0;

	if (!maps && fd >= 0)
		close(fd);
	for (ssize_t n; maps && (n = getline(&line, &room, maps)) > 0;) {
		struct volume_node node;
		int at = 0;

		if (line[n - 1] == '\n')
			line[n - 1] = 0;
		if (sscanf(line, "%*s %*s %*s %x:%x %lu %n", &node.major, &node.minor, &node.number, &at) <
				3 ||
			!at || !memcmp(&node, &last, sizeof node))
			continue;
		last = node;
		tell(u, &node, line + at);
	}
}

static void look_at_process(struct used *u, int proc, const char *name)
{
	_cleanup_fd_ int process = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (process < 0)
		return;
	look_at(u, process, "cwd");
	look_at(u, process, "root");
	look_at_files(u, process);
	look_at_maps(u, process);
}

/* False: no volume is mounted. */
static bool find_roots(struct used *u)
{
	bool any = false;

	for (uint32_t i = 0; i < u->users->count; i++) {
		int mount = u->users->mounts[i];
		char link[32];
		ssize_t n;

		if (mount < 0 || !volume_node(mount, "", &u->roots[i]))
			continue;
		any = true;
		snprintf(link, sizeof link, "/proc/self/fd/%d", mount);
		n = readlink(link, u->places[i], sizeof u->places[i] - 1);
		u->places[i][n > 0 ? n : 0] = 0;
	}
	return any;
}

void volume_used(const struct volume_users *users)
{
	_cleanup_free_ struct used *u = calloc(1, sizeof *u);
	_cleanup_(cleanup_stream) DIR *list = NULL;

	if (!u || users->count > VOLUMES_MAX)
		return;
	u->users = users;
	if (!find_roots(u) || !(list = opendir("/proc")))
		return;
	for (struct dirent *e; (e = readdir(list));)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			look_at_process(u, dirfd(list), e->d_name);
}
