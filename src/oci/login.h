/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials given once and kept, as docker login has it: checked at the registry before they are. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct login_options {
	const char *registry;            /* NULL: the default one */
	const char *username, *password; /* NULL: those that are kept are checked */
	bool plain_http;                 /* allowed, whatever is configured */
};

struct login {
	char *registry; /* whose name they are kept under: where a mapping leads */
	char *username;
	char *where; /* the file, or the helper's program; "": they were kept before */
};
void login_free(struct login *l); /* a zeroed one is fine */
static inline void cleanup_login(struct login *l)
{
	login_free(l);
}
#define _cleanup_login_ _cleanup_(cleanup_login)

/* home: that of registries.json. A token that the registry gives for later is kept in place of the password.
 * Errors: NOT_FOUND where none are given and none are kept; DENIED where the registry does not take them;
 * INVALID for a user name with ':' or an empty one, and for an empty password; those of registry_login() and
 * credentials_store(). */
int login_registry(const char *home, const struct login_options *options, struct login *l, struct error *err);

/* Forgets them. *registry (the caller's): whose; *was_there: there were any. */
int logout_registry(const char *home, const char *registry, char **name, bool *was_there, struct error *err);
