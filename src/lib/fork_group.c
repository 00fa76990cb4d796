/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of a whole group. All its running sandboxes are made to stand still, and only when they all do is
 * any of them saved: so what is saved of each is of a moment at which none ran. They go on, each as it has
 * been saved.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/snapshot.h"
#include "monocore_snapshot.h"
#include "sandbox/network.h"

#define MEMBERS_MAX 256
#define NUMBERS_MAX 10000 /* that are tried for names that are free */

struct group_fork {
	struct monocore *mc;
	const char *group;
	char **members; /* names of running sandboxes */
	char **groups;  /* of all sandboxes */
	struct shot *shots;
	size_t count;
	char suffix[16];
	char **made; /* clones that run */
};

/* ---- who ---------------------------------------------------------------------------------------------- */

static bool is_running(const struct directory *d)
{
	_cleanup_status_ struct status status = {0};
	bool interrupted;

	return status_read(d->fd, &status, NULL) == 0 &&
	       sandbox_state(d, &status, &interrupted) == MONOCORE_RUNNING;
}

static int look_at(struct group_fork *f, const char *id, struct error *err)
{
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;
	_cleanup_record_ struct record record = {0};
	_cleanup_network_ struct network network = {0};
	bool member = false;
	int r = 0;

	if (find_sandbox(f->mc, id, &d, &record, NULL) < 0 || network_read(d.fd, &network, NULL) < 0)
		return 0; /* removed meanwhile */
	for (uint32_t i = 0; r == 0 && i < network.group_count; i++) {
		member |= !strcmp(network.groups[i].name, f->group);
		r = text_list_add(&f->groups, network.groups[i].name, err);
	}
	return r == 0 && member && is_running(&d) ? text_list_add(&f->members, record.name, err) : r;
}

static int find_members(struct group_fork *f, struct error *err)
{
	_cleanup_text_list_ char **ids = NULL;
	int r = directory_list(&f->mc->home, &ids, err);

	for (char **id = ids; r == 0 && id && *id; id++)
		r = look_at(f, *id, err);
	f->count = text_list_size(f->members);
	if (r == 0 && !f->count)
		r = error_set(err, ERROR_NOT_FOUND, "no sandbox of a group '%s' is running", f->group);
	if (r == 0 && f->count > MEMBERS_MAX)
		r = error_set(err, ERROR_LIMIT, "more than %d sandboxes", MEMBERS_MAX);
	return r;
}

/* ---- names -------------------------------------------------------------------------------------------- */

static bool is_taken(const struct group_fork *f, const char *member)
{
	_cleanup_free_ char *name = text_format(NULL, "%s%s", member, f->suffix);
	_cleanup_directory_ struct directory d = DIRECTORY_NONE;

	return !name || directory_find(&f->mc->home, name, &d, NULL) == 0;
}

static bool is_group_taken(const struct group_fork *f)
{
	size_t n = strlen(f->group);

	for (char **g = f->groups; g && *g; g++)
		if (text_starts(*g, f->group) && !strcmp(*g + n, f->suffix))
			return true;
	return false;
}

static int choose_suffix(struct group_fork *f, struct error *err)
{
	for (unsigned i = 1; i <= NUMBERS_MAX; i++) {
		bool taken;

		snprintf(f->suffix, sizeof f->suffix, "-%u", i);
		taken = is_group_taken(f);
		for (size_t k = 0; !taken && k < f->count; k++)
			taken = is_taken(f, f->members[k]);
		if (!taken)
			return 0;
	}
	return error_set(err, ERROR_LIMIT, "%d copies of the group are there already", NUMBERS_MAX);
}

/* ---- the moment --------------------------------------------------------------------------------------- */

static int save_all(struct group_fork *f, struct error *err)
{
	int r = 0;

	f->shots = calloc(f->count, sizeof *f->shots);
	if (!f->shots)
		return error_no_memory(err, "fork a group");
	for (size_t i = 0; i < f->count; i++)
		f->shots[i] = SHOT_NONE;
	for (size_t i = 0; r == 0 && i < f->count; i++)
		r = shot_take(f->mc, f->members[i], true, &f->shots[i], err);
	for (size_t i = 0; r == 0 && i < f->count; i++)
		r = shot_save_held(&f->shots[i], err);
	for (size_t i = 0; i < f->count; i++) /* whoever still stands goes on */
		peer_close(&f->shots[i].peer);
	for (size_t i = 0; r == 0 && i < f->count; i++)
		r = shot_finish(&f->shots[i], false, err);
	return r;
}

static int revive_all(struct group_fork *f, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < f->count; i++) {
		_cleanup_free_ char *name = text_format(err, "%s%s", f->members[i], f->suffix);
		const struct snapshot_wishes w = {
			.name = name, .discard = true, .free_ports = true, .suffix = f->suffix};

		r = name ? snapshot_revive(f->mc, f->shots[i].draft.fd, &w, err) : -ERROR_NO_MEMORY;
		if (r == 0)
			r = text_list_add(&f->made, name, err);
		else
			error_prefix(err, "start '%s'", name ? name : "");
	}
	for (char **name = f->made; r < 0 && name && *name; name++)
		monocore_remove(f->mc, *name, true, NULL);
	return r;
}

static int fork_group(struct group_fork *f, struct error *err)
{
	int r = find_members(f, err);

	if (r == 0)
		r = choose_suffix(f, err);
	if (r == 0)
		r = save_all(f, err);
	if (r == 0)
		r = revive_all(f, err);
	for (size_t i = 0; f->shots && i < f->count; i++)
		shot_close(f->mc, &f->shots[i]);
	free(f->shots);
	text_list_free(f->members);
	text_list_free(f->groups);
	return r < 0 ? error_prefix(err, "fork the group '%s'", f->group) : 0;
}

int monocore_fork_group(
	struct monocore *mc, const char *group, char **made, char ***names, struct monocore_error *error)
{
	struct group_fork f = {.mc = mc, .group = group};
	struct error err;
	int r = fork_group(&f, &err);

	if (r == 0 && made && !(*made = text_format(&err, "%s%s", group, f.suffix)))
		r = -ERROR_NO_MEMORY;
	if (r == 0 && names)
		*names = TAKE_PTR(f.made);
	text_list_free(f.made);
	return r < 0 ? give_error(error, &err) : 0;
}
