/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of sandboxes that do not run, and what nothing needs any more. What might be somebody's work,
 * changes that are staged and not applied, stays.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/text.h"
#include "lib/clean.h"
#include "lib/component.h"
#include "lib/handle.h"
#include "lib/labels.h"
#include "os/fs.h"
#include "vm/vm.h"

#define UNUSED (30 * 24 * 3600) /* seconds */
#define MARGIN 600              /* seconds between a template's use and the start that it is for */

void clean_tell(const struct cleaning *c, const char *kind, const char *name, uint64_t size, const char *kept)
{
	c->tell(c->context, &(struct monocore_cleaned){kind, name, size, kept});
}

/* Bytes on the disk of a directory and of those in it, as deep as sandboxes have them. */
static uint64_t tree_size(int parent, const char *name, int depth)
{
	_cleanup_list_ DIR *list = NULL;
	uint64_t size = 0;
	struct stat st;

	if (fs_list_open(parent, name, &list, NULL) < 0)
		return 0;
	for (const char *entry; (entry = fs_list_next(list));) {
		if (fstatat(dirfd(list), entry, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		size += (uint64_t)st.st_blocks * 512;
		if (S_ISDIR(st.st_mode) && depth > 0)
			size += tree_size(dirfd(list), entry, depth - 1);
	}
	return size;
}

static bool is_wanted(const struct monocore_clean_options *o, const struct monocore_sandbox_info *s)
{
	static const char *const project[] = {LABEL_PROJECT, NULL};

	if (s->state != MONOCORE_CREATED && s->state != MONOCORE_STOPPED)
		return false;
	if (!o->names)
		return !has_labels((const char *const *)s->labels, project);
	for (const char *const *n = o->names; *n; n++)
		if (!strcmp(*n, s->name) || !strcmp(*n, s->id))
			return true;
	return false;
}

static bool may_have_staged(struct monocore *mc, const char *id)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};

	d.fd = openat(mc->home.sandboxes, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return d.fd >= 0 && record_read(d.fd, &record, NULL) == 0 && record_has_staged(&record);
}

static void clean_sandbox(const struct cleaning *c, const struct monocore_sandbox_info *s)
{
	uint64_t size = tree_size(c->mc->home.sandboxes, s->id, 8);
	struct monocore_error err;
	int r = 0;

	if (may_have_staged(c->mc, s->id)) {
		clean_tell(c, "sandbox", s->name, size,
			"it has staged volumes: 'monocore volume diff' shows what was not applied, 'monocore "
			"rm' "
			"removes it with that");
		return;
	}
	if (!c->options->dry_run)
		r = monocore_remove(c->mc, s->id, false, &err);
	if (r != -ERROR_NOT_FOUND)
		clean_tell(c, "sandbox", s->name, size, r < 0 ? err.text : NULL);
}

/* Those that run keep what they were made of; since when is told by the oldest. */
static int64_t unused_before(const struct cleaning *c, const struct monocore_sandbox_info *list, size_t count)
{
	int64_t now = (int64_t)(clock_realtime() / NANOSECONDS_PER_SECOND), before = now;

	for (size_t i = 0; i < count; i++) {
		int64_t started = (int64_t)(list[i].started / NANOSECONDS_PER_SECOND) - MARGIN;

		if (list[i].state != MONOCORE_CREATED && list[i].state != MONOCORE_STOPPED &&
			started < before)
			before = started;
	}
	return c->options->images || now - UNUSED > before ? before : now - UNUSED;
}

static void tell_template(void *context, const char *key, uint64_t size)
{
	char name[13];

	snprintf(name, sizeof name, "%.12s", key);
	clean_tell(context, "template", name, size, NULL);
}

static int clean_templates(
	const struct cleaning *c, const struct monocore_sandbox_info *list, size_t count, struct error *err)
{
	return vm_templates_clean(c->mc->home.path, unused_before(c, list, count), c->options->dry_run,
		tell_template, (void *)(uintptr_t)c, err);
}

/* What steps of builds have made and nothing has used for long, or at all; *bytes: what that frees. */
static int clean_steps(const struct cleaning *c, uint64_t *bytes, struct monocore_error *error)
{
	struct monocore_image_prune_options prune = MONOCORE_IMAGE_PRUNE_OPTIONS_INIT;
	struct monocore_image_removed *removed;

	prune.dry_run = c->options->dry_run;
	prune.steps = c->options->images;
	if (monocore_image_prune(c->mc, &prune, &removed, error) < 0)
		return -(int)error->code;
	*bytes = removed->bytes;
	monocore_image_removed_free(removed);
	if (*bytes)
		clean_tell(c, "cache", "steps of builds", *bytes, NULL);
	return 0;
}

/* told: bytes that were told already, which are still there if nothing is removed. */
static int clean_images(const struct cleaning *c, uint64_t told, struct monocore_error *error)
{
	struct monocore_image_prune_options prune = MONOCORE_IMAGE_PRUNE_OPTIONS_INIT;
	struct monocore_image_removed *removed;

	prune.all = true;
	prune.dry_run = c->options->dry_run;
	if (monocore_image_prune(c->mc, &prune, &removed, error) < 0)
		return -(int)error->code;
	for (char **name = removed->names; name && *name; name++)
		clean_tell(c, "image", *name, 0, NULL);
	if (!c->options->dry_run || removed->bytes < told)
		told = 0;
	if (removed->bytes > told)
		clean_tell(c, "layers", "", removed->bytes - told, NULL);
	monocore_image_removed_free(removed);
	return 0;
}

int monocore_clean(struct monocore *mc, const struct monocore_clean_options *options,
	void (*tell_one)(void *context, const struct monocore_cleaned *what), void *context,
	struct monocore_error *error)
{
	const struct cleaning c = {mc, options, tell_one, context};
	struct monocore_sandbox_info *list;
	struct monocore_error mine;
	uint64_t bytes = 0;
	struct error err;
	size_t count;
	int r = monocore_list(mc, &list, &count, error);

	if (r < 0)
		return r;
	for (size_t i = 0; options->sandboxes && i < count; i++)
		if (is_wanted(options, &list[i]))
			clean_sandbox(&c, &list[i]);
	if ((options->templates || options->images) && (r = clean_templates(&c, list, count, &err)) < 0)
		give_error(error, &err);
	monocore_list_free(list, count);
	if (r == 0 && (options->templates || options->images) && (r = clean_snapshots(&c, &err)) < 0)
		give_error(error, &err);
	if (r == 0 && (options->templates || options->images))
		r = clean_steps(&c, &bytes, error ? error : &mine);
	return r == 0 && options->images ? clean_images(&c, bytes, error ? error : &mine) : r;
}
