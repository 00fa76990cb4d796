/* SPDX-License-Identifier: Apache-2.0 */
/* The input is `--user`, a NUL, /etc/passwd, a NUL, /etc/group. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "codec/passwd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct passwd_user *u)
{
	assert(u->home && *u->home && u->shell && *u->shell);
	assert(u->uid <= PASSWD_ID_MAX && u->gid <= PASSWD_ID_MAX);
	assert(u->group_count >= 1 && u->group_count <= PASSWD_GROUPS_MAX && u->groups[0] == u->gid);
	for (size_t i = 0; i < u->group_count; i++)
		for (size_t k = 0; k < i; k++)
			assert(u->groups[i] != u->groups[k]);
}

/* A copy that ends where its bytes do, so that reading past them shows. */
static void *copy_of(const uint8_t *data, size_t n)
{
	void *copy = malloc(n ? n : 1);

	if (n)
		memcpy(copy, data, n);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *spec_end = size ? memchr(data, 0, size) : NULL, *passwd, *passwd_end, *group;
	struct passwd_user u;
	struct error err;
	void *users, *groups;
	int r;

	if (!spec_end)
		return 0;
	passwd = spec_end + 1;
	passwd_end = memchr(passwd, 0, size - (size_t)(passwd - data));
	if (!passwd_end)
		passwd_end = data + size;
	group = passwd_end < data + size ? passwd_end + 1 : passwd_end;
	users = copy_of(passwd, (size_t)(passwd_end - passwd));
	groups = copy_of(group, (size_t)(data + size - group));
	r = passwd_resolve((const char *)data, users, (size_t)(passwd_end - passwd), groups,
		(size_t)(data + size - group), &u, &err);
	if (r == 0)
		check(&u);
	else
		assert(r == -ERROR_NOT_FOUND || r == -ERROR_LIMIT);
	passwd_user_free(&u);
	free(groups);
	free(users);
	return 0;
}
