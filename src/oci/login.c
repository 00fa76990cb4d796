/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/login.h"

#include <string.h>

#include "base/text.h"
#include "codec/secret.h"
#include "oci/credentials.h"
#include "oci/registry.h"
#include "oci/registry_host.h"

void login_free(struct login *l)
{
	free(l->registry);
	free(l->username);
	free(l->where);
	*l = (struct login){0};
}

/* Those that were given, or those that are kept. */
static int find_credentials(
	const struct login_options *o, const char *registry, struct credentials *c, struct error *err)
{
	if (!o->username || !o->password) {
		int r = credentials_get(registry, "", c, err);

		if (r == 0 && credentials_anonymous(c))
			return error_set(err, ERROR_NOT_FOUND, "nobody is logged in at %s", registry);
		return r;
	}
	if (!*o->username || strchr(o->username, ':'))
		return error_set(err, ERROR_INVALID, "'%s' is no user name: it %s", o->username,
			*o->username ? "has a colon" : "is empty");
	if (!*o->password)
		return error_set(err, ERROR_INVALID, "the password is empty");
	*c = (struct credentials){.username = text_copy(o->username, err),
		.password = text_copy(o->password, err),
		.identity_token = text_copy("", err),
		.registry_token = text_copy("", err)};
	return c->username && c->password && c->identity_token && c->registry_token ? 0 : -ERROR_NO_MEMORY;
}

/* *identity: what the registry would have kept in place of the password, or "". */
static int check(
	const struct registry_host *h, const struct credentials *c, char **identity, struct error *err)
{
	struct registry_options options = {.endpoint = h->endpoint, .credentials = c, .login = true};
	_cleanup_(cleanup_registry) struct registry *registry = NULL;
	int r = registry_open(&options, &registry, err);

	return r < 0 ? r : registry_login(registry, identity, err);
}

/* A token takes the password's place. */
static int keep(const char *registry, const struct login_options *o, struct credentials *c, char *identity,
	char **where, struct error *err)
{
	bool renewed = *identity && strcmp(identity, c->identity_token) != 0;
	struct credentials kept = {.username = c->username,
		.password = renewed ? (char[]){""} : c->password,
		.identity_token = renewed ? identity : c->identity_token,
		.registry_token = (char[]){""}};

	if ((o->username && o->password) || (renewed && *c->username))
		return credentials_store(registry, &kept, where, err);
	*where = text_copy("", err);
	return *where ? 0 : -ERROR_NO_MEMORY;
}

int login_registry(const char *home, const struct login_options *o, struct login *l, struct error *err)
{
	_cleanup_registry_host_ struct registry_host host = {0};
	_cleanup_credentials_ struct credentials c = {0};
	_cleanup_secret_ char *identity = NULL;
	_cleanup_login_ struct login done = {0};
	const char *registry;
	int r = registry_host_find(home, o->registry, o->plain_http, &host, err);

	*l = (struct login){0};
	if (r < 0)
		return r;
	registry = host.endpoint->registry;
	if ((r = find_credentials(o, registry, &c, err)) < 0 || (r = check(&host, &c, &identity, err)) < 0 ||
		(r = keep(registry, o, &c, identity, &done.where, err)) < 0)
		return r;
	done.registry = text_copy(registry, err);
	done.username = text_copy(c.username, err);
	if (!done.registry || !done.username)
		return -ERROR_NO_MEMORY;
	*l = done;
	done = (struct login){0};
	return 0;
}

int logout_registry(const char *home, const char *registry, char **name, bool *was_there, struct error *err)
{
	_cleanup_registry_host_ struct registry_host host = {0};
	int r = registry_host_find(home, registry, false, &host, err);

	*was_there = false;
	if (r < 0)
		return r;
	*name = text_copy(host.endpoint->registry, err);
	return *name ? credentials_erase(*name, was_there, err) : -ERROR_NO_MEMORY;
}
