/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/build_inputs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/fs.h"

#define DEEP_MAX 512
/* In place of a stamp: something is so young that it may change within a tick of its file system's clock, or
 * cannot be read, or is just being built. It is built again. */
#define UNSURE "-"
#define YOUNG  (2 * (int64_t)NANOSECONDS_PER_SECOND) /* as coarse as the times of a file system may be */

/* ---- a stamp ------------------------------------------------------------------------------------------ */

struct scan {
	struct sha256 digest;
	int64_t youngest; /* time of a change, nanoseconds since 1970 */
};

static int64_t nanoseconds(struct timespec t)
{
	return t.tv_sec * (int64_t)NANOSECONDS_PER_SECOND + t.tv_nsec;
}

static void add_entry(struct scan *s, const char *name, const struct stat *st)
{
	const uint64_t facts[] = {st->st_ino, st->st_mode, (uint64_t)st->st_size,
		(uint64_t)nanoseconds(st->st_mtim), (uint64_t)nanoseconds(st->st_ctim)};

	sha256_update(&s->digest, name, strlen(name) + 1);
	sha256_update(&s->digest, facts, sizeof facts);
	if (nanoseconds(st->st_ctim) > s->youngest)
		s->youngest = nanoseconds(st->st_ctim);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(int fd, char ***names)
{
	_cleanup_list_ DIR *list = NULL;
	int r = fs_list_open(fd, ".", &list, NULL);

	for (const char *name; r == 0 && (name = fs_list_next(list));)
		r = text_list_add(names, name, NULL);
	if (*names)
		qsort(*names, text_list_size(*names), sizeof **names, by_name);
	return r;
}

/* flags: AT_SYMLINK_NOFOLLOW, or 0 for what was named. */
static int scan_entry(struct scan *s, int parent, const char *name, int flags, unsigned deep)
{
	_cleanup_text_list_ char **names = NULL;
	_cleanup_fd_ int fd = -1;
	struct stat st;
	int r;

	if (fstatat(parent, name, &st, flags) < 0)
		return -ERROR_NOT_FOUND;
	add_entry(s, name, &st);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (flags ? O_NOFOLLOW : 0));
	r = fd < 0 || !deep ? -ERROR_NOT_FOUND : list_names(fd, &names);
	for (char **n = names; r == 0 && n && *n; n++)
		r = scan_entry(s, fd, *n, AT_SYMLINK_NOFOLLOW, deep - 1);
	sha256_update(&s->digest, "", 1); /* the end of it */
	return r;
}

static int scan_build(struct scan *s, const struct project_build *b)
{
	int r = 0;

	for (size_t i = 0; i < b->step_count; i++)
		for (char **path = b->steps[i].from ? NULL : b->steps[i].sources; r == 0 && path && *path;
			path++)
			r = scan_entry(s, AT_FDCWD, *path, 0, DEEP_MAX);
	return r;
}

static void make_stamp(const struct project_build *b, char stamp[SHA256_HEX_SIZE])
{
	struct scan s = {0};
	int64_t began = (int64_t)clock_realtime();
	uint8_t hash[SHA256_SIZE];
	int r = sha256_init(&s.digest, NULL);

	if (r == 0)
		r = scan_build(&s, b);
	if (r == 0)
		r = sha256_final(&s.digest, hash, NULL);
	sha256_free(&s.digest);
	if (r == 0 && s.youngest < began - YOUNG)
		sha256_hex(hash, stamp);
	else
		memcpy(stamp, UNSURE, sizeof UNSURE);
}

/* ---- what is kept ------------------------------------------------------------------------------------- */

static int open_kept(struct monocore *mc, const struct project_identity *who, bool make, struct error *err)
{
	_cleanup_free_ char *directory = text_format(err, "projects/%s/inputs", who->id);
	int r = directory ? 0 : -ERROR_NO_MEMORY;

	if (r == 0 && make)
		r = fs_make_directories(mc->home.fd, directory, 0700, err);
	return r < 0 ? r : fs_open(mc->home.fd, directory, O_RDONLY | O_DIRECTORY, 0, err);
}

static bool is_kept(int directory, const struct project_build *b, const char *stamp)
{
	_cleanup_buffer_ struct buffer kept = {0};

	return fs_read_file(directory, b->common.name, SHA256_HEX_SIZE, &kept, NULL) == 0 &&
	       buffer_u8(&kept, 0) && !strcmp((const char *)kept.data, stamp);
}

static int keep(struct monocore *mc, const struct project_identity *who, const struct project_build *b,
	const char *stamp, const char *otherwise, struct error *err)
{
	_cleanup_fd_ int fd = open_kept(mc, who, true, err);

	if (fd < 0 || is_kept(fd, b, stamp))
		return fd < 0 ? fd : 0;
	return fs_write_atomic(fd, b->common.name, otherwise, strlen(otherwise), 0600, err);
}

int inputs_begin(struct monocore *mc, const struct project_identity *who, const struct project_build *b,
	char stamp[SHA256_HEX_SIZE], struct error *err)
{
	make_stamp(b, stamp);
	return keep(mc, who, b, stamp, UNSURE, err);
}

int inputs_end(struct monocore *mc, const struct project_identity *who, const struct project_build *b,
	const char *stamp, struct error *err)
{
	return keep(mc, who, b, stamp, stamp, err);
}

static bool has_changed(int directory, const struct project_build *b)
{
	char stamp[SHA256_HEX_SIZE];

	if (faccessat(directory, b->common.name, F_OK, 0) < 0)
		return false;
	make_stamp(b, stamp);
	return !strcmp(stamp, UNSURE) || !is_kept(directory, b, stamp);
}

/* ---- which count -------------------------------------------------------------------------------------- */

struct reach {
	const struct project *project;
	bool *seen; /* builds, by number */
};

static void reach_build(struct reach *x, const char *name);

static void reach_common(struct reach *x, const struct project_common *c)
{
	if (c->image_is_build)
		reach_build(x, c->image);
	for (size_t i = 0; i < c->import_count; i++)
		reach_build(x, c->imports[i].build);
}

static void reach_build(struct reach *x, const char *name)
{
	const struct project_build *b = project_build(x->project, name);

	if (!b || x->seen[b - x->project->builds])
		return;
	x->seen[b - x->project->builds] = true;
	reach_common(x, &b->common);
	for (size_t i = 0; i < b->step_count; i++)
		if (b->steps[i].from)
			reach_build(x, b->steps[i].from);
}

bool inputs_have_changed(struct monocore *mc, const struct project *p, const struct project_identity *who)
{
	_cleanup_free_ bool *seen = calloc(p->build_count + 1, sizeof *seen);
	struct reach x = {p, seen};
	_cleanup_fd_ int fd = -1;
	bool changed = false;

	if (!p->build_count || !*who->id || !seen)
		return false;
	fd = open_kept(mc, who, false, NULL);
	for (size_t i = 0; i < p->sandbox_count; i++)
		reach_common(&x, &p->sandboxes[i].common);
	for (size_t i = 0; fd >= 0 && !changed && i < p->build_count; i++)
		changed = seen[i] && has_changed(fd, &p->builds[i]);
	return changed;
}
