/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bin/cli/prompt.h"
#include "bin/monocore/output.h"
#include "bin/monocore/verbs.h"
#include "codec/secret.h"
#include "os/terminal.h"

struct options {
	const char *username, *password;
	bool password_stdin, plain_http;
};

/* -p is the port of tmp, in all verbs: a letter has one meaning. */
static const struct option_spec options[] = {
	{"username", 'u', OPTION_STRING, "NAME", offsetof(struct options, username), "the user"},
	{"password", 0, OPTION_STRING, "PASSWORD", offsetof(struct options, password),
		"the password, for all who list processes to see: --password-stdin is better"},
	{"password-stdin", 0, OPTION_FLAG, NULL, offsetof(struct options, password_stdin),
		"read the password from standard input"},
	{"plain-http", 0, OPTION_FLAG, NULL, offsetof(struct options, plain_http),
		"speak HTTP without TLS to the registry"},
	{NULL},
};

struct answers {
	char *username, *password;
};

static void answers_free(struct answers *a)
{
	secret_free(a->username);
	secret_free(a->password);
}

static int check_options(const struct options *o, struct error *err)
{
	if (o->password && o->password_stdin)
		return error_set(err, ERROR_USAGE, "--password and --password-stdin exclude each other");
	if (o->password_stdin && !o->username)
		return error_set(err, ERROR_USAGE, "--password-stdin needs --username");
	if (o->password)
		complain("monocore: warning: all who list processes see --password: use --password-stdin");
	return 0;
}

/* Whatever of user and password was not given comes from who sits at the terminal. */
static int ask(const struct options *o, const char *registry, struct answers *a, struct error *err)
{
	bool terminal = terminal_is(STDIN_FILENO);
	int r = 0;

	if (!terminal && (!o->username || (!o->password && !o->password_stdin)))
		return error_set(err, ERROR_NOT_FOUND,
			"%s: there is no terminal to ask at: give --username, and the password by "
			"--password-stdin",
			registry ? registry : "the default registry");
	if (!o->username)
		r = prompt_line("Username", false, &a->username, err);
	if (r == 0 && o->password_stdin && !terminal)
		r = prompt_secret_from_stdin("password", &a->password, err);
	else if (r == 0 && !o->password)
		r = prompt_line("Password", true, &a->password, err);
	return r;
}

/* What succeeded; 0. */
static int tell(const struct cli *cli, struct monocore_login *l)
{
	const char *who = *l->username ? l->username : "a token";

	if (cli->global.quiet)
		printf("%s\n", l->registry);
	else if (*l->where)
		printf("%s is logged in at %s; kept %s %s\n", who, l->registry,
			*l->where == '/' ? "in" : "by", l->where);
	else
		printf("%s is logged in at %s already, and the registry takes it\n", who, l->registry);
	monocore_login_free(l);
	return output_finish();
}

/* With what is kept already. 0: told; 1: told that it failed; negative: somebody has to say who it is. */
static int use_kept(struct cli *cli, const struct monocore_login_options *login)
{
	struct monocore_login *done;
	struct monocore_error err;
	int r = monocore_login(cli->mc, login, &done, &err);

	if (r == 0)
		return tell(cli, done);
	if (r == -ERROR_NOT_FOUND)
		return r;
	if (r != -ERROR_DENIED || !terminal_is(STDIN_FILENO))
		return cli_fail(cli, &err);
	complain("monocore: what is kept does not do: %s", err.text);
	return r;
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	struct monocore_login_options login = MONOCORE_LOGIN_OPTIONS_INIT;
	_cleanup_(answers_free) struct answers answers = {0};
	struct monocore_login *done;
	struct monocore_error failure;
	struct error err;
	int r;

	login.registry = count ? words[0] : NULL;
	login.plain_http = o->plain_http;
	if (check_options(o, &err) < 0)
		return cli_complain(cli, &err);
	if (cli_open(cli) < 0)
		return 1;
	if (!o->username && !o->password && (r = use_kept(cli, &login)) >= 0)
		return r;
	if (ask(o, login.registry, &answers, &err) < 0)
		return cli_complain(cli, &err);
	login.username = o->username ? o->username : answers.username;
	login.password = o->password ? o->password : answers.password;
	if (monocore_login(cli->mc, &login, &done, &failure) < 0)
		return cli_fail(cli, &failure);
	return tell(cli, done);
}

const struct command login_command = {
	.name = "login",
	.group = GROUP_IMAGES,
	.arguments = "[REGISTRY]",
	.summary = "keep credentials for a registry",
	.help = "REGISTRY is a host, such as ghcr.io or localhost:5000; without one, it is the default "
		"registry, "
		"docker.io. User and password are checked there, and then kept where docker keeps them: with "
		"the "
		"credential helper that docker's config.json names, or else in that file, in $DOCKER_CONFIG "
		"or "
		"~/.docker. Where the registry gives a token to keep in place of the password, that is "
		"kept.\n\n"
		"What is not given is asked for on a terminal. Without --username, what is kept already is "
		"checked "
		"first.",
	.examples = "monocore login ghcr.io\nmonocore login -u ann --password-stdin quay.io <password.txt",
	.options = options,
	.size = sizeof(struct options),
	.most = 1,
	.run = run,
};
