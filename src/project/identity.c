/* SPDX-License-Identifier: Apache-2.0 */
#include "project/identity.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/fs.h"
#include "project/state.h"

#define QUERY(q) _cleanup_(cleanup_db_query) struct db_query *q = NULL

/* ---- a directory ------------------------------------------------------------------------------------ */

struct place {
	const char *path;
	int fd;
	int64_t device, inode, born;
	char written[PROJECT_ID_SIZE]; /* what its file says; "": there is none that is one */
};

static void place_close(struct place *p)
{
	cleanup_fd(&p->fd);
}
#define _cleanup_place_ _cleanup_(place_close)

/* What somebody else may have put there can be anything: a link, a pipe, a novel. */
static void read_written(struct place *p)
{
	_cleanup_fd_ int fd = openat(p->fd, PROJECT_ID_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char bytes[PROJECT_ID_SIZE];
	struct stat s;

	if (fd < 0 || fstat(fd, &s) < 0 || !S_ISREG(s.st_mode) || s.st_size != sizeof bytes)
		return;
	if (read(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes || bytes[PROJECT_ID_SIZE - 1] != '\n')
		return;
	bytes[PROJECT_ID_SIZE - 1] = 0;
	if (strspn(bytes, "0123456789abcdef") == PROJECT_ID_SIZE - 1)
		memcpy(p->written, bytes, sizeof bytes);
}

static int place_open(const char *path, struct place *p, struct error *err)
{
	struct statx s;

	*p = (struct place){.path = path};
	p->fd = fs_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0, err);
	if (p->fd < 0)
		return p->fd;
	if (statx(p->fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &s) < 0)
		return error_errno(err, errno, "examine %s", path);
	p->device = (int64_t)((uint64_t)s.stx_dev_major << 32 | s.stx_dev_minor);
	p->inode = (int64_t)s.stx_ino;
	if (s.stx_mask & STATX_BTIME)
		p->born = (int64_t)((uint64_t)s.stx_btime.tv_sec * NANOSECONDS_PER_SECOND +
				    s.stx_btime.tv_nsec);
	read_written(p);
	return 0;
}

static int write_id(const struct place *p, const char *id, struct error *err)
{
	char bytes[PROJECT_ID_SIZE + 1];
	int r;

	if (!strcmp(p->written, id))
		return 0;
	snprintf(bytes, sizeof bytes, "%s\n", id);
	r = fs_write_atomic(p->fd, PROJECT_ID_FILE, bytes, PROJECT_ID_SIZE, 0644, err);
	if (r < 0 && p->born)
		return 0; /* it is known again without */
	return r < 0 ? error_prefix(err, "%s: a project is known by its %s", p->path, PROJECT_ID_FILE) : 0;
}

/* ---- rows ------------------------------------------------------------------------------------------- */

void project_identity_free(struct project_identity *i)
{
	free(i->directory);
	*i = (struct project_identity){0};
}

void project_identity_list_free(struct project_identity *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		project_identity_free(&list[i]);
	free(list);
}

/* From a row of id, name, directory. */
static int read_row(struct db_query *q, struct project_identity *out, struct error *err)
{
	snprintf(out->id, sizeof out->id, "%s", db_text(q, 0));
	snprintf(out->name, sizeof out->name, "%s", db_text(q, 1));
	out->directory = text_copy(db_text(q, 2), err);
	return out->directory ? 0 : -ERROR_NO_MEMORY;
}

/* An inode's number is given again once its file is gone: the time of birth tells them apart, or else the
 * file that a directory which was made anew does not have. Returns 1, and how it is known, or 0. */
static int find(
	struct db *db, const struct place *p, struct project_identity *out, bool *same, struct error *err)
{
	QUERY(q);
	int r = db_prepare(db,
		"SELECT id, name, directory, device FROM project WHERE inode = ?1 AND born = ?2 "
		"AND (device = ?3 OR directory = ?4) AND (?2 != 0 OR id = ?5) "
		"ORDER BY id = ?5 DESC, device = ?3 DESC LIMIT 1",
		&q, err);

	if (r < 0)
		return r;
	db_bind_number(q, 1, p->inode);
	db_bind_number(q, 2, p->born);
	db_bind_number(q, 3, p->device);
	db_bind_text(q, 4, p->path);
	db_bind_text(q, 5, p->written);
	r = db_step(q, err);
	if (r <= 0)
		return r;
	*same = db_number(q, 3) == p->device && !strcmp(db_text(q, 2), p->path);
	r = read_row(q, out, err);
	return r < 0 ? r : 1;
}

static int move(struct db *db, const struct place *p, const char *id, struct error *err)
{
	QUERY(q);
	int r = db_prepare(db, "UPDATE project SET directory = ?, device = ? WHERE id = ?", &q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, p->path);
	db_bind_number(q, 2, p->device);
	db_bind_text(q, 3, id);
	return db_step(q, err);
}

static int insert(struct db *db, const struct place *p, const struct project_identity *i, struct error *err)
{
	QUERY(q);
	int r = db_prepare(db,
		"INSERT INTO project (id, name, directory, device, inode, born) VALUES (?, ?, ?, ?, ?, ?)",
		&q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, i->id);
	db_bind_text(q, 2, i->name);
	db_bind_text(q, 3, p->path);
	db_bind_number(q, 4, p->device);
	db_bind_number(q, 5, p->inode);
	db_bind_number(q, 6, p->born);
	return db_step(q, err);
}

static int forget(struct db *db, const char *home, const char *id, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "%s/projects/%s", home, id);
	int r = path ? db_run(db, err, "DELETE FROM project WHERE id = ?", id, NULL) : -ERROR_NO_MEMORY;

	return r < 0 ? r : fs_remove_tree(AT_FDCWD, path, err);
}

/* ---- names ------------------------------------------------------------------------------------------ */

void project_identity_name(const char *directory, char name[PROJECT_CALLED_SIZE])
{
	const char *slash = strrchr(directory, '/');
	size_t n = 0;

	for (const char *s = slash ? slash + 1 : directory; *s && n < PROJECT_CALLED_SIZE - 1; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x80 && isalnum(c))
			name[n++] = (char)tolower(c);
		else if (n && name[n - 1] != '-' && (c == '_' || c < 0x80))
			name[n++] = c == '_' ? '_' : '-';
	}
	while (n && (name[n - 1] == '-' || name[n - 1] == '_'))
		n--;
	name[n] = 0;
	if (n == 0)
		snprintf(name, PROJECT_CALLED_SIZE, "project");
}

struct claim {
	struct db *db;
	const char *home;
	project_identity_used *used;
	void *context;
};

/* Whether nothing is left of the project that has the name: neither its directory where it was last seen nor,
 * as the caller says, anything that was made of it. */
static int is_over(const struct claim *c, struct db_query *q, bool *over, struct error *err)
{
	_cleanup_project_identity_ struct project_identity other = {0};
	_cleanup_place_ struct place p = {.fd = -1};
	int r = read_row(q, &other, err);

	*over = false;
	if (r < 0 || !c->used)
		return r;
	r = place_open(other.directory, &p, NULL);
	if (r == 0 ? p.inode != db_number(q, 3) || p.born != db_number(q, 4) : r == -ERROR_NOT_FOUND)
		*over = !c->used(c->context, &other);
	return *over ? forget(c->db, c->home, other.id, err) : 0;
}

static int is_free(const struct claim *c, const char *name, bool *available, struct error *err)
{
	QUERY(q);
	int r = db_prepare(
		c->db, "SELECT id, name, directory, inode, born FROM project WHERE name = ?", &q, err);

	if (r < 0)
		return r;
	db_bind_text(q, 1, name);
	r = db_step(q, err);
	*available = r == 0;
	return r > 0 ? is_over(c, q, available, err) : r;
}

static int take_name(
	const struct claim *c, const char *directory, char name[PROJECT_CALLED_SIZE], struct error *err)
{
	char base[PROJECT_CALLED_SIZE], number[16] = "";
	bool available = false;
	int r = 0;

	project_identity_name(directory, base);
	for (unsigned n = 1; r == 0 && !available; n++) {
		if (n > 1)
			snprintf(number, sizeof number, "-%u", n);
		snprintf(name, PROJECT_CALLED_SIZE, "%.*s%s", (int)(PROJECT_CALLED_SIZE - 1 - strlen(number)),
			base, number);
		r = is_free(c, name, &available, err);
	}
	return r;
}

/* ---- the calls -------------------------------------------------------------------------------------- */

static int make_directory(const char *home, const char *id, struct error *err)
{
	_cleanup_free_ char *path = text_format(err, "%s/projects/%s", home, id);

	return path ? fs_make_directories(AT_FDCWD, path, 0700, err) : -ERROR_NO_MEMORY;
}

static int make(const struct claim *c, const struct place *p, struct project_identity *out, struct error *err)
{
	uint64_t random;
	int r;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return error_errno(err, errno, "get random bytes");
	snprintf(out->id, sizeof out->id, "%016llx", (unsigned long long)random);
	out->directory = text_copy(p->path, err);
	r = out->directory ? take_name(c, p->path, out->name, err) : -ERROR_NO_MEMORY;
	return r < 0 ? r : insert(c->db, p, out, err);
}

/* The file is written before the row is committed: an id that no row has is not believed. */
static int open_within(
	const struct claim *c, const struct place *p, struct project_identity *out, struct error *err)
{
	bool same;
	int r = find(c->db, p, out, &same, err);

	if (r > 0 && !same) {
		free(out->directory);
		out->directory = text_copy(p->path, err);
		r = out->directory ? move(c->db, p, out->id, err) : -ERROR_NO_MEMORY;
	} else if (r == 0) {
		r = make(c, p, out, err);
	}
	if (r >= 0)
		r = make_directory(c->home, out->id, err);
	if (r == 0)
		r = write_id(p, out->id, err);
	return r < 0 ? r : db_commit(c->db, err);
}

int project_identity_open(const char *home, const char *directory, project_identity_used *used, void *context,
	struct project_identity *out, struct error *err)
{
	_cleanup_(cleanup_db) struct db *db = NULL;
	_cleanup_place_ struct place p = {.fd = -1};
	struct claim c = {.home = home, .used = used, .context = context};
	int r = place_open(directory, &p, err);

	*out = (struct project_identity){0};
	if (r == 0)
		r = project_state_open(home, &db, err);
	if (r == 0)
		r = db_begin(db, err);
	if (r < 0)
		return error_prefix(err, "find the project of %s", directory);
	c.db = db;
	r = open_within(&c, &p, out, err);
	db_end(db);
	if (r < 0)
		project_identity_free(out);
	return r < 0 ? error_prefix(err, "find the project of %s", directory) : 0;
}

int project_identity_find(
	const char *home, const char *directory, struct project_identity *out, struct error *err)
{
	_cleanup_(cleanup_db) struct db *db = NULL;
	_cleanup_place_ struct place p = {.fd = -1};
	bool same;
	int r = place_open(directory, &p, err);

	*out = (struct project_identity){0};
	if (r == 0)
		r = project_state_open(home, &db, err);
	if (r == 0)
		r = find(db, &p, out, &same, err);
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, "nothing was started of the project in %s", directory);
	return r < 0 ? r : 0;
}

int project_identity_list(const char *home, struct project_identity **list, size_t *count, struct error *err)
{
	_cleanup_(cleanup_db) struct db *db = NULL;
	QUERY(q);
	int r = project_state_open(home, &db, err);

	*list = NULL;
	*count = 0;
	if (r == 0)
		r = db_prepare(db, "SELECT id, name, directory FROM project ORDER BY name", &q, err);
	while (r == 0 && (r = db_step(q, err)) > 0) {
		struct project_identity *more = reallocarray(*list, *count + 1, sizeof *more);

		if (more) {
			*list = more;
			more[*count] = (struct project_identity){0};
		}
		r = more ? read_row(q, &more[(*count)++], err) : error_no_memory(err, "list projects");
	}
	if (r < 0) {
		project_identity_list_free(*list, *count);
		*list = NULL;
		*count = 0;
	}
	return r;
}

int project_identity_forget(const char *home, const char *id, struct error *err)
{
	_cleanup_(cleanup_db) struct db *db = NULL;
	int r = project_state_open(home, &db, err);

	return r < 0 ? r : forget(db, home, id, err);
}
