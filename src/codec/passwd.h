/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a process runs as: the user of an image or of `--user`, resolved against the bytes of the image's
 * /etc/passwd and /etc/group as docker does.
 *
 *   ""            uid 0
 *   name, uid     an account, or a bare number that need not have one (its group is then 0)
 *   …:name, …:gid the same, with this group and no supplementary ones
 *
 * Without a group the supplementary groups are those that list the account's name. Lines that are malformed
 * (too few fields, ids that are no numbers) are skipped. This is a pure core; both files may be hostile.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PASSWD_GROUPS_MAX 256
#define PASSWD_ID_MAX     2147483647 /* docker's bound, too */

struct passwd_user {
	uint32_t uid, gid;
	uint32_t groups[PASSWD_GROUPS_MAX]; /* supplementary; the first is gid, each stands once */
	size_t group_count;
	char *home;  /* "/" where the account has none or there is no account; uid 0 without one: "/root" */
	char *shell; /* "/bin/sh" where the account names none */
};
void passwd_user_free(struct passwd_user *u);

/* Resolves `spec`. Errors: NOT_FOUND names the unknown user or group; LIMIT: a number over PASSWD_ID_MAX;
 * NO_MEMORY. Groups beyond PASSWD_GROUPS_MAX are left out. */
int passwd_resolve(const char *spec, const void *passwd, size_t passwd_size, const void *group,
	size_t group_size, struct passwd_user *u, struct error *err);
