/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passwd(5) and group(5), read where they lie: a line is cut into fields that point into the file's bytes,
 * and only what is kept is copied.
 */
#include "codec/passwd.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define PASSWD_FIELDS 7
#define GROUP_FIELDS  4

struct field {
	const char *at;
	size_t size;
};

struct spec {
	struct field user, group;
	uint32_t uid, gid;
	bool user_is_number, group_is_number;
};

static bool field_is(struct field f, struct field other)
{
	return f.size == other.size && memcmp(f.at, other.at, f.size) == 0;
}

/* Takes what stands before `end` (or all that is left) off the front of *rest. */
static struct field take_until(struct field *rest, char end)
{
	const char *stop = rest->size ? memchr(rest->at, end, rest->size) : NULL;
	struct field f = {rest->at, stop ? (size_t)(stop - rest->at) : rest->size};
	size_t used = f.size + (stop ? 1 : 0);

	rest->at += used;
	rest->size -= used;
	return f;
}

/* The next line that has at least `least` fields, cut into `most`; the last takes the rest of the line. */
static bool next_line(struct field *file, struct field *fields, size_t least, size_t most)
{
	while (file->size) {
		struct field line = take_until(file, '\n');
		size_t n = 0;

		if (!line.size || line.at[0] == '#' || memchr(line.at, '\0', line.size))
			continue;
		memset(fields, 0, most * sizeof *fields);
		for (bool more = true; more && n < most; n++) {
			more = memchr(line.at, ':', line.size) != NULL;
			fields[n] = n + 1 < most ? take_until(&line, ':') : line;
		}
		if (n >= least && fields[0].size)
			return true;
	}
	return false;
}

/* 1: a number in range; 0: no number; negative: one over the bound. */
static int field_number(struct field f, uint32_t *value)
{
	uint64_t v = 0;

	if (!f.size)
		return 0;
	for (size_t i = 0; i < f.size; i++)
		if (f.at[i] < '0' || f.at[i] > '9')
			return 0;
	for (size_t i = 0; i < f.size; i++) {
		v = v * 10 + (uint64_t)(f.at[i] - '0');
		if (v > PASSWD_ID_MAX)
			return -1;
	}
	*value = (uint32_t)v;
	return 1;
}

static int parse_spec(const char *text, struct spec *s, struct error *err)
{
	struct field rest = {text, strlen(text)};
	int user, group;

	*s = (struct spec){0};
	s->user = take_until(&rest, ':');
	s->group = rest;
	user = field_number(s->user, &s->uid);
	group = field_number(s->group, &s->gid);
	if (user < 0 || group < 0)
		return error_set(err, ERROR_LIMIT, "user '%s': ids go up to %d", text, PASSWD_ID_MAX);
	s->user_is_number = user || !s->user.size;
	s->group_is_number = group;
	return 0;
}

static char *copy_or(struct field f, const char *otherwise)
{
	return f.size ? text_copy_bytes(f.at, f.size, NULL) : text_copy(otherwise, NULL);
}

static void add_group(struct passwd_user *u, uint32_t gid)
{
	for (size_t i = 0; i < u->group_count; i++)
		if (u->groups[i] == gid)
			return;
	if (u->group_count < PASSWD_GROUPS_MAX)
		u->groups[u->group_count++] = gid;
}

/* Finds the account; *name is what /etc/group may list it by (empty: no account). */
static int find_account(
	const struct spec *s, struct field file, struct passwd_user *u, struct field *name, struct error *err)
{
	struct field f[PASSWD_FIELDS], home = {0}, shell = {0};
	bool found = false;

	u->uid = s->uid;
	while (!found && next_line(&file, f, 4, PASSWD_FIELDS)) {
		uint32_t uid, gid;

		if (field_number(f[2], &uid) <= 0 || field_number(f[3], &gid) <= 0)
			continue;
		if (!(s->user.size && field_is(f[0], s->user)) && !(s->user_is_number && uid == s->uid))
			continue;
		found = true;
		u->uid = uid;
		u->gid = gid;
		*name = f[0];
		home = f[5];
		shell = f[6];
	}
	if (!found && !s->user_is_number)
		return error_set(err, ERROR_NOT_FOUND, "user '%.*s' is not in the image's /etc/passwd",
			(int)s->user.size, s->user.at);
	u->home = copy_or(home, !found && u->uid == 0 ? "/root" : "/");
	u->shell = copy_or(shell, "/bin/sh");
	return u->home && u->shell ? 0 : error_no_memory(err, "resolve a user");
}

static bool lists_member(struct field members, struct field name)
{
	while (members.size)
		if (field_is(take_until(&members, ','), name))
			return true;
	return false;
}

static void add_memberships(struct field file, struct field name, struct passwd_user *u)
{
	struct field f[GROUP_FIELDS];

	while (name.size && next_line(&file, f, 3, GROUP_FIELDS)) {
		uint32_t gid;

		if (field_number(f[2], &gid) > 0 && lists_member(f[3], name))
			add_group(u, gid);
	}
}

static int find_group(const struct spec *s, struct field file, struct passwd_user *u, struct error *err)
{
	struct field f[GROUP_FIELDS];

	while (next_line(&file, f, 3, GROUP_FIELDS)) {
		uint32_t gid;

		if (field_number(f[2], &gid) <= 0)
			continue;
		if (field_is(f[0], s->group) || (s->group_is_number && gid == s->gid)) {
			u->gid = gid;
			return 0;
		}
	}
	if (!s->group_is_number)
		return error_set(err, ERROR_NOT_FOUND, "group '%.*s' is not in the image's /etc/group",
			(int)s->group.size, s->group.at);
	u->gid = s->gid;
	return 0;
}

int passwd_resolve(const char *spec, const void *passwd, size_t passwd_size, const void *group,
	size_t group_size, struct passwd_user *u, struct error *err)
{
	struct field groups = {group, group_size}, name = {0};
	struct spec s;
	int r = parse_spec(spec, &s, err);

	*u = (struct passwd_user){0};
	if (r == 0)
		r = find_account(&s, (struct field){passwd, passwd_size}, u, &name, err);
	if (r == 0 && s.group.size)
		r = find_group(&s, groups, u, err);
	if (r < 0) {
		passwd_user_free(u);
		return r;
	}
	add_group(u, u->gid);
	if (!s.group.size)
		add_memberships(groups, name, u);
	return 0;
}

void passwd_user_free(struct passwd_user *u)
{
	free(u->home);
	free(u->shell);
	*u = (struct passwd_user){0};
}
