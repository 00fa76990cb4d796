/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monofs/place.h"

#include <stdlib.h>
#include <string.h>

#include "bin/cli/output.h"
#include "monofs/live.h"

static void report(void *context, const struct progress_event *e)
{
	cli_progress(context, e->task, e->unit, e->done, e->total, e->finished);
}

struct progress place_progress(struct cli *cli)
{
	return (struct progress){.report = report, .context = cli};
}

void place_close(struct place *p)
{
	if (p->repository)
		repository_close(p->repository);
	if (p->live)
		mount_close(p->live);
	free(p->path);
	secret_forget(&p->secret);
	*p = (struct place){0};
}

/* The repository of the mount that path is in. NOT_FOUND: it is in none. */
static int find_mounted(const char *path, struct place *p, struct error *err)
{
	_cleanup_(cleanup_mount) struct mount *m = NULL;
	int r = mount_find(path, &m, err);

	if (r < 0)
		return r;
	p->path = text_copy(mount_state(m)->repository, err);
	if (mount_state(m)->live)
		p->live = TAKE_PTR(m);
	return p->path ? 0 : -ERROR_NO_MEMORY;
}

int place_find(const char *path, struct place *p, struct error *err)
{
	int r = find_mounted(path ? path : ".", p, NULL);

	if (r < 0)
		r = repository_find(path, &p->path, NULL, err);
	if (r == 0 && !p->live)
		mount_find_live(p->path, &p->live, NULL);
	return r;
}

static int get_secret(struct cli *cli, unsigned flags, struct place *p, struct error *err)
{
	int encrypted = repository_is_encrypted(p->path, err);

	if (encrypted <= 0 || p->secret.given.passphrase || p->secret.given.file)
		return encrypted < 0 ? encrypted : 0;
	if (p->live && mount_key(p->live, p->secret.master, NULL) == 0) {
		p->secret.given.master = p->secret.master;
		return 0;
	}
	return secret_get(cli, p->path, flags & PLACE_SILENT, &p->secret, err);
}

static int freshen(struct place *p, struct error *err)
{
	struct object_id id;
	bool made;

	return p->live ? mount_commit(p->live, NULL, NULL, &id, &made, err) : 0;
}

int place_open_found(struct cli *cli, unsigned flags, struct place *p, struct error *err)
{
	int r = get_secret(cli, flags, p, err);

	p->progress = place_progress(cli);
	if (r == 0 && (flags & PLACE_FRESH))
		r = freshen(p, err);
	if (r == 0)
		r = repository_open(p->path,
			p->secret.given.passphrase || p->secret.given.file || p->secret.given.master
				? &p->secret.given
				: NULL,
			flags & PLACE_READ, flags & PLACE_SILENT ? NULL : &p->progress, &p->repository, err);
	return r;
}

int place_open(struct cli *cli, const char *path, unsigned flags, struct place *p, struct error *err)
{
	int r = place_find(path, p, err);

	return r < 0 ? r : place_open_found(cli, flags, p, err);
}

int place_claim(struct place *p, const char *who, int *fd, struct error *err)
{
	_cleanup_fd_ int lock = -1;
	int r = repository_claim(p->repository, who, &lock, err);

	if (r == 0)
		r = live_pending(p->repository, err);
	if (r > 0)
		return error_set(err, ERROR_BUSY,
			"%s was mounted, and what was written there is no revision yet: mount it, and detach "
			"it",
			p->path);
	if (r == 0)
		*fd = TAKE_FD(lock);
	return r;
}

int place_resolve(struct place *p, const char *revision, struct object_id *commit, struct error *err)
{
	return repository_resolve(p->repository, revision ? revision : "", commit, err);
}

int place_path(const char *typed, char **path, struct error *err)
{
	size_t n = typed ? strlen(typed) : 0, at = 0;
	char *out = malloc(n + 1);

	if (!out)
		return error_no_memory(err, "read a path");
	for (size_t i = 0; i < n;) {
		size_t part = strcspn(typed + i, "/");
		bool dot = part == 1 && typed[i] == '.';

		if (part == 2 && !strncmp(typed + i, "..", 2)) {
			free(out);
			return error_set(err, ERROR_USAGE, "'%s': a path of the tree has no '..'", typed);
		}
		if (part && !dot) {
			if (at)
				out[at++] = '/';
			memcpy(out + at, typed + i, part);
			at += part;
		}
		i += part + (typed[i + part] == '/');
	}
	out[at] = 0;
	*path = out;
	return 0;
}
