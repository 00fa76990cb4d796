/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are at registries. */
#include "oci/login.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "lib/handle.h"

void monocore_login_free(struct monocore_login *l)
{
	if (!l)
		return;
	free(l->registry);
	free(l->username);
	free(l->where);
	free(l);
}

static int give(struct login *from, struct monocore_login **out, struct error *err)
{
	struct monocore_login *l = calloc(1, sizeof *l);

	if (!l)
		return error_no_memory(err, "a login");
	*l = (struct monocore_login){
		TAKE_PTR(from->registry), TAKE_PTR(from->username), TAKE_PTR(from->where)};
	*out = l;
	return 0;
}

int monocore_login(struct monocore *mc, const struct monocore_login_options *options,
	struct monocore_login **login, struct monocore_error *error)
{
	const struct monocore_login_options none = MONOCORE_LOGIN_OPTIONS_INIT;
	const struct monocore_login_options *o = options ? options : &none;
	struct login_options wanted = {.registry = o->registry,
		.username = o->username,
		.password = o->password,
		.plain_http = o->plain_http};
	_cleanup_login_ struct login done = {0};
	struct error err;
	int r = login_registry(mc->home.path, &wanted, &done, &err);

	if (r == 0)
		r = give(&done, login, &err);
	return r < 0 ? give_error(error, &err) : 0;
}

int monocore_logout(
	struct monocore *mc, const char *registry, char **name, bool *was_there, struct monocore_error *error)
{
	_cleanup_free_ char *whose = NULL;
	struct error err;

	if (logout_registry(mc->home.path, registry, &whose, was_there, &err) < 0)
		return give_error(error, &err);
	*name = TAKE_PTR(whose);
	return 0;
}
