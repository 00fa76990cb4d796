/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/tmp_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/monocore/environment.h"
#include "bin/monocore/signal_name.h"

static const char *const engines[] = {"auto", "qemu", "krun", NULL};
static const char *const volume_drivers[] = {"fuse", "virtiofs", "nfs", NULL};
static const char *const roots[] = {"disk", "overlay", NULL};
static const char *const restarts[] = {"no", "on-failure", "always", "unless-stopped", NULL};
static const char *const reaches[] = {"none", "local", "public", "any", "group", NULL};
static const char *const pull_choices[] = {"missing", "always", "never", NULL};

#define FIELD(name) offsetof(struct tmp_options, name)

const struct option_spec tmp_option_rows[] = {
	{"name", 0, OPTION_STRING, "NAME", FIELD(name), "call the sandbox so; default: a name is made up"},
	{"detach", 'd', OPTION_FLAG, NULL, FIELD(detach), "let it run in the background and print its name"},
	{"rm", 0, OPTION_FLAG, NULL, FIELD(remove),
		"remove it when it stops, with --detach too; the default in the foreground"},
	{"cpus", 0, OPTION_NUMBER, "N", FIELD(cpus), "processors; default: 1", .most = 64},
	{"ram", 0, OPTION_SIZE, "SIZE", FIELD(memory),
		"memory, such as 512M or 1G; a bare number counts MiB; default: 512M"},
	{"disk", 0, OPTION_SIZE, "SIZE", FIELD(disk),
		"the most that can be written to its disk; default: 10G"},
	{"pids", 0, OPTION_NUMBER, "N", FIELD(pids), "the most processes; default: 4096", .most = 4194304},
	{"env", 'e', OPTION_LIST, "KEY=VALUE", FIELD(env),
		"set a variable; KEY alone: with the value it has here"},
	{"env-file", 0, OPTION_LIST, "FILE", FIELD(env_files),
		"set the variables of FILE, one KEY=VALUE a line"},
	{"workdir", 'w', OPTION_STRING, "DIR", FIELD(workdir),
		"run the command in this directory; default: the image's"},
	{"user", 'u', OPTION_STRING, "USER[:GROUP]", FIELD(user),
		"run it as this user, by name or number; default: the image's"},
	{"entrypoint", 0, OPTION_STRING, "PROGRAM", FIELD(entrypoint),
		"replace the image's Entrypoint and drop its Cmd; '' for none"},
	{"exec", 0, OPTION_STRING, "LINE", FIELD(exec), "run this line by /bin/sh -c in place of a command"},
	{"interactive", 'i', OPTION_FLAG, NULL, FIELD(interactive),
		"connect standard input; it always is in the foreground"},
	{"tty", 't', OPTION_FLAG, NULL, FIELD(tty),
		"give the command a terminal; by itself where we have one"},
	{"no-tty", 0, OPTION_FLAG, NULL, FIELD(no_tty), "give it none"},
	{"hostname", 0, OPTION_STRING, "NAME", FIELD(hostname), "the host name inside; default: its name"},
	{"label", 'l', OPTION_LIST, "KEY=VALUE", FIELD(labels), "attach a label, to select it by"},
	{"ulimit", 0, OPTION_LIST, "NAME=SOFT[:HARD]", FIELD(ulimits),
		"a resource limit, such as nofile=1024:4096; -1: none"},
	{"read-only", 0, OPTION_FLAG, NULL, FIELD(read_only), "its root file system cannot be written"},
	{"stop-signal", 0, OPTION_STRING, "SIGNAL", FIELD(stop_signal),
		"what 'monocore stop' sends; default: the image's, or TERM"},
	{"restart", 0, OPTION_STRING, "POLICY", FIELD(restart),
		"start it again when its command has ended; on-failure:N at most N times", restarts},
	{"health-cmd", 0, OPTION_STRING, "LINE", FIELD(health_command),
		"run this line by /bin/sh -c again and again to see whether it is well; default: the image's "
		"HEALTHCHECK"},
	{"health-interval", 0, OPTION_DURATION, "TIME", FIELD(health_interval),
		"between two of these; default: 30s"},
	{"health-timeout", 0, OPTION_DURATION, "TIME", FIELD(health_timeout),
		"until one has failed; default: 30s"},
	{"health-start-period", 0, OPTION_DURATION, "TIME", FIELD(health_start_period),
		"until failures count; default: 0s"},
	{"health-retries", 0, OPTION_NUMBER, "N", FIELD(health_retries),
		"failures in a row until it is unhealthy; default: 3", .most = 1000000},
	{"no-healthcheck", 0, OPTION_FLAG, NULL, FIELD(no_healthcheck),
		"check nothing, whatever the image has"},
	{"pull", 0, OPTION_CHOICE, "WHEN", FIELD(pull),
		"when to ask the registry: missing, the default, always or never", pull_choices},
	{"plain-http", 0, OPTION_FLAG, NULL, FIELD(plain_http),
		"speak HTTP without TLS to the image's registry"},
	{"platform", 0, OPTION_STRING, "OS/ARCH", FIELD(platform),
		"which of the image's platforms; default: this host's"},
	{"engine", 0, OPTION_CHOICE, "ENGINE", FIELD(engine), "what runs the virtual machine",
		.choices = engines},
	{"no-template", 0, OPTION_FLAG, NULL, FIELD(no_template),
		"boot the machine instead of cloning a booted one"},
	{"unconfined", 0, OPTION_FLAG, NULL, FIELD(unconfined),
		"start even where this host cannot confine the engine"},
	{"volume", 'v', OPTION_LIST, "SOURCE:PATH[:OPTIONS]", FIELD(volumes),
		"mount a directory or file, such as ./src, or a volume by its name"},
	{"mount-cwd", 0, OPTION_FLAG, NULL, FIELD(mount_cwd),
		"mount the directory that we are in at its own path, and run the command there"},
	{"volume-driver", 0, OPTION_CHOICE, "DRIVER", FIELD(volume_driver),
		"how volumes come into the sandbox; default: fuse", volume_drivers},
	{"rootfs", 0, OPTION_CHOICE, "KIND", FIELD(rootfs),
		"where what it writes goes: disk, the default, or overlay, a directory of this host's",
		roots},
	{"port", 'p', OPTION_LIST, "[ADDRESS:][PORT:]PORT", FIELD(ports),
		"lead a port of this host (8080, or 127.0.0.1:8080) to one of the sandbox; ranges, /udp and "
		",proxy=2 too; 0, or none: one that is free"},
	{"publish", 0, OPTION_LIST, "[ADDRESS:][PORT:]PORT", FIELD(ports), "as --port", .hidden = true},
	{"reach", 0, OPTION_CHOICE, "REACH", FIELD(reach),
		"what it may reach; local is its group; default: public", reaches},
	{"scope", 0, OPTION_CHOICE, "REACH", FIELD(reach), "as --reach", reaches, .hidden = true},
	{"allow", 0, OPTION_LIST, "RULE", FIELD(allow),
		"let it reach this, too: 10.1.0.0/16:5432/tcp, *.pypi.org:443, host.internal:8000"},
	{"deny", 0, OPTION_LIST, "RULE", FIELD(deny), "let it not reach this"},
	{"group", 0, OPTION_LIST, "NAME[:ADDRESS]", FIELD(groups),
		"connect it with the other sandboxes of this group; default: one of its own"},
	{"alias", 0, OPTION_LIST, "NAME", FIELD(aliases), "call it so in its groups, too"},
	{"ip", 0, OPTION_STRING, "ADDRESS", FIELD(ip), "its address in the first group"},
	{"subnet", 0, OPTION_STRING, "NETWORK", FIELD(subnet),
		"the first group's network, such as 10.0.1.0/24"},
	{"bandwidth", 0, OPTION_SIZE, "SIZE", FIELD(bandwidth),
		"the most bytes a second in each direction, such as 10M"},
	{NULL},
};

int tmp_split_script(const char *text, char **image, const char **script, struct error *err)
{
	const char *tilde = strrchr(text, '~');

	*script = NULL;
	if (!tilde || strchr(tilde, '/') || !tilde[1] || tilde == text) {
		*image = text_copy(text, err);
		return *image ? 0 : -ERROR_NO_MEMORY;
	}
	*image = strndup(text, (size_t)(tilde - text));
	if (!*image)
		return error_no_memory(err, "read the image's name");
	*script = tilde + 1;
	return 0;
}

static int parse_limit(const char *text, const char *whole, uint64_t *limit, struct error *err)
{
	*limit = UINT64_MAX;
	if (!strcmp(text, "-1") || !strcmp(text, "unlimited"))
		return 0;
	if (text_parse_u64(text, UINT64_MAX - 1, "--ulimit", limit, NULL) == 0)
		return 0;
	return error_set(err, ERROR_USAGE,
		"--ulimit: '%s' in '%s' is no limit; write nofile=1024:4096, -1 for none", text, whole);
}

int tmp_parse_ulimit(const char *text, struct monocore_rlimit *limit, char **name, struct error *err)
{
	const char *equals = strchr(text, '='), *colon = equals ? strchr(equals, ':') : NULL;
	_cleanup_free_ char *key = NULL, *soft = NULL;

	if (!equals || equals == text)
		return error_set(
			err, ERROR_USAGE, "--ulimit: '%s' is no limit; write nofile=1024:4096", text);
	key = strndup(text, (size_t)(equals - text));
	soft = strndup(equals + 1, colon ? (size_t)(colon - equals - 1) : strlen(equals + 1));
	if (!key || !soft)
		return error_no_memory(err, "read --ulimit");
	if (parse_limit(soft, text, &limit->soft, err) < 0)
		return -ERROR_USAGE;
	limit->hard = limit->soft;
	if (colon && parse_limit(colon + 1, text, &limit->hard, err) < 0)
		return -ERROR_USAGE;
	if (limit->soft > limit->hard)
		return error_set(
			err, ERROR_USAGE, "--ulimit: '%s': the soft limit is over the hard one", text);
	*name = TAKE_PTR(key);
	limit->name = *name;
	return 0;
}

static int fill_ulimits(struct tmp_sandbox *sandbox, char *const *ulimits, struct error *err)
{
	size_t n = text_list_size(ulimits);

	if (!n)
		return 0;
	sandbox->rlimits = calloc(n, sizeof *sandbox->rlimits);
	sandbox->rlimit_names = calloc(n + 1, sizeof *sandbox->rlimit_names);
	if (!sandbox->rlimits || !sandbox->rlimit_names)
		return error_no_memory(err, "read --ulimit");
	for (size_t i = 0; i < n; i++)
		if (tmp_parse_ulimit(ulimits[i], &sandbox->rlimits[i], &sandbox->rlimit_names[i], err) < 0)
			return -ERROR_USAGE;
	sandbox->options.rlimits = sandbox->rlimits;
	sandbox->options.rlimit_count = n;
	return 0;
}

/* "key" is docker's short form of "key=". */
static int fill_labels(struct tmp_sandbox *sandbox, char *const *labels, struct error *err)
{
	for (; labels && *labels; labels++) {
		_cleanup_free_ char *whole = NULL;

		if (!**labels || **labels == '=')
			return error_set(
				err, ERROR_USAGE, "-l/--label: '%s' has no name; write KEY=VALUE", *labels);
		whole = text_format(err, "%s%s", *labels, strchr(*labels, '=') ? "" : "=");
		if (!whole || text_list_add(&sandbox->labels, whole, err) < 0)
			return -ERROR_NO_MEMORY;
	}
	return 0;
}

static int fill_command(struct tmp_sandbox *sandbox, const struct tmp_options *given, int count, char **words,
	struct error *err)
{
	struct monocore_sandbox_options *o = &sandbox->options;
	int skip = count > 1 && !strcmp(words[1], "--") ? 2 : 1;
	int r = tmp_split_script(words[0], &sandbox->image, &o->script, err);

	if (r < 0)
		return r;
	if (!*sandbox->image)
		return error_set(err, ERROR_USAGE, "the image's name is empty");
	if (given->exec && (count > skip || o->script || given->entrypoint))
		return error_set(err, ERROR_USAGE,
			"--exec takes the place of a command, a script and --entrypoint; give one of them");
	o->image = sandbox->image;
	o->shell_command = given->exec;
	if (count > skip)
		o->command = (const char *const *)words + skip;
	if (given->entrypoint) {
		sandbox->entrypoint[0] = *given->entrypoint ? given->entrypoint : NULL;
		o->entrypoint = sandbox->entrypoint;
	}
	return 0;
}

static int check_values(const struct tmp_options *given, struct error *err)
{
	int number;

	if (given->pids == 0)
		return error_set(err, ERROR_USAGE, "--pids: a sandbox needs at least one process");
	if (given->restart && strcmp(given->restart, "no") && (given->remove || !given->detach))
		return error_set(err, ERROR_USAGE,
			"--restart goes with --detach and without --rm: what is removed when it stops is not "
			"started again");
	if (given->stop_signal)
		return signal_parse(given->stop_signal, "--stop-signal", &number, err);
	return 0;
}

static void fill_health(struct tmp_sandbox *sandbox, const struct tmp_options *given)
{
	struct monocore_sandbox_options *o = &sandbox->options;
	const char *const line[] = {"/bin/sh", "-c", given->health_command, NULL};

	o->restart = given->restart;
	o->health_interval = given->health_interval;
	o->health_timeout = given->health_timeout;
	o->health_start_period = given->health_start_period;
	o->health_retries = (unsigned)given->health_retries;
	if (given->health_command)
		memcpy(sandbox->health_command, line, sizeof line);
	if (given->health_command || given->no_healthcheck)
		o->health_command = sandbox->health_command;
}

static enum monocore_pull pull_policy(const char *when)
{
	if (when && !strcmp(when, "always"))
		return MONOCORE_PULL_ALWAYS;
	return when && !strcmp(when, "never") ? MONOCORE_PULL_NEVER : MONOCORE_PULL_MISSING;
}

static void copy_values(struct monocore_sandbox_options *o, const struct tmp_options *given)
{
	o->name = given->name;
	o->workdir = given->workdir;
	o->user = given->user;
	o->hostname = given->hostname;
	o->stop_signal = given->stop_signal;
	o->platform = given->platform;
	o->pull = pull_policy(given->pull);
	o->plain_http = given->plain_http;
	o->engine = given->engine;
	o->volume_driver = given->volume_driver;
	o->rootfs = given->rootfs;
	o->cpus = (unsigned)given->cpus;
	o->memory = given->memory;
	o->disk = given->disk;
	o->pids = (uint32_t)given->pids;
	o->read_only = given->read_only;
	o->no_template = given->no_template;
	o->unconfined = given->unconfined;
	o->discard = given->remove || !given->detach;
}

static void copy_network(struct monocore_sandbox_options *o, const struct tmp_options *given)
{
	o->groups = (const char *const *)given->groups;
	o->aliases = (const char *const *)given->aliases;
	o->ip = given->ip;
	o->subnet = given->subnet;
	o->reach = given->reach;
	o->allow = (const char *const *)given->allow;
	o->deny = (const char *const *)given->deny;
	o->ports = (const char *const *)given->ports;
	o->bandwidth = given->bandwidth;
}

/* The directory that we are in is at its own path inside, too, so that names of files mean the same. */
static int fill_volumes(struct tmp_sandbox *sandbox, const struct tmp_options *given, struct error *err)
{
	_cleanup_free_ char *whole = NULL;
	int r = 0;

	for (char *const *v = given->volumes; r == 0 && v && *v; v++)
		r = text_list_add(&sandbox->volumes, *v, err);
	if (r == 0 && given->mount_cwd) {
		sandbox->directory = getcwd(NULL, 0);
		if (!sandbox->directory)
			return error_errno(err, errno, "--mount-cwd: find the directory that we are in");
		whole = text_format(err, "%s:%s", sandbox->directory, sandbox->directory);
		r = whole ? text_list_add(&sandbox->volumes, whole, err) : -ERROR_NO_MEMORY;
		if (!given->workdir)
			sandbox->options.workdir = sandbox->directory;
	}
	sandbox->options.volumes = (const char *const *)sandbox->volumes;
	return r;
}

int tmp_sandbox_fill(struct tmp_sandbox *sandbox, const struct tmp_options *given, int count, char **words,
	struct error *err)
{
	int r;

	sandbox->options = (struct monocore_sandbox_options)MONOCORE_SANDBOX_OPTIONS_INIT;
	copy_values(&sandbox->options, given);
	r = check_values(given, err);
	if (r == 0)
		r = fill_command(sandbox, given, count, words, err);
	if (r == 0)
		r = fill_labels(sandbox, given->labels, err);
	if (r == 0)
		r = fill_ulimits(sandbox, given->ulimits, err);
	if (r == 0)
		r = environment_collect(&sandbox->env, given->env_files, given->env, err);
	if (r == 0)
		r = fill_volumes(sandbox, given, err);
	copy_network(&sandbox->options, given);
	fill_health(sandbox, given);
	sandbox->options.env = (const char *const *)sandbox->env;
	sandbox->options.labels = (const char *const *)sandbox->labels;
	return r;
}

void tmp_sandbox_release(struct tmp_sandbox *sandbox)
{
	free(sandbox->image);
	text_list_free(sandbox->env);
	text_list_free(sandbox->labels);
	text_list_free(sandbox->volumes);
	free(sandbox->directory);
	text_list_free(sandbox->rlimit_names);
	free(sandbox->rlimits);
}
