/* SPDX-License-Identifier: Apache-2.0 */
/* A newer release in this program's place: fetched, checked against its signed manifest as a whole, unpacked
 * beside the one that runs, and switched to by one rename. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "bin/cli/progress.h"
#include "bin/monocore/output.h"
#include "bin/monocore/own_place.h"
#include "bin/monocore/packaged.h"
#include "bin/monocore/release_fetch.h"
#include "bin/monocore/release_place.h"
#include "bin/monocore/release_reader.h"
#include "bin/monocore/self.h"

struct options {
	const char *from;
	bool force, plain_http, dry_run;
};

static const struct option_spec options[] = {
	{"from", 0, OPTION_STRING, "URL|FILE", offsetof(struct options, from),
		"take the release from there; default: what was set when this program was built"},
	{"force", 'f', OPTION_FLAG, NULL, offsetof(struct options, force),
		"install one that is older, or the same, too"},
	{"plain-http", 0, OPTION_FLAG, NULL, offsetof(struct options, plain_http),
		"fetch it by HTTP without TLS, too"},
	{"dry-run", 0, OPTION_FLAG, NULL, offsetof(struct options, dry_run),
		"check the release, and change nothing"},
	{NULL},
};

struct upgrade {
	const struct options *options;
	bool same; /* it is what runs already */
};

/* Before the rest of the archive is looked at. */
static int judge(void *context, const struct release *release, struct error *err)
{
	struct upgrade *u = context;
	int order = release_compare(release->version, monocore_version());
	struct utsname host;

	if (uname(&host) == 0 && strcmp(host.machine, release->architecture) != 0)
		return error_set(err, ERROR_UNAVAILABLE, "the release is for %s, and this host is %s",
			release->architecture, host.machine);
	u->same = order == 0;
	if (order < 0 && !u->options->force)
		return error_set(err, ERROR_DENIED,
			"the release is version %s, and this is %s already: --force installs it all the same",
			release->version, monocore_version());
	return 0;
}

static int check(int fd, const uint8_t *key, struct upgrade *u, struct release *release, struct error *err)
{
	const struct release_reading reading = {.key = key, .judge = judge, .context = u, .directory = -1};
	int r = release_read(fd, &reading, release, err);

	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = error_errno(err, errno, "read the release");
	return r;
}

static int tell(struct cli *cli, const char *version, const char *what)
{
	progress_clear(cli->progress);
	if (cli->global.quiet)
		printf("%s\n", version);
	else
		printf("monocore %s %s\n", version, what);
	return 0;
}

static int upgrade(
	struct cli *cli, const struct options *o, const char *from, const uint8_t *key, struct error *err)
{
	_cleanup_place_ struct own_place place = {0};
	_cleanup_release_ struct release release = {0};
	_cleanup_free_ char *releases = NULL;
	_cleanup_fd_ int lock = -1, fd = -1;
	struct upgrade u = {.options = o};
	int r = own_place_find(&place, err);

	if (r == 0)
		r = packaged_refuse(place.program, err);
	if (r == 0)
		r = release_lock(&place, &releases, &lock, err);
	if (r == 0)
		r = release_fetch(cli, from, o->plain_http, releases, &fd, err);
	if (r == 0)
		r = check(fd, key, &u, &release, err);
	if (r < 0)
		return r;
	if (u.same && !o->force)
		return tell(cli, release.version, "is the newest");
	if (o->dry_run)
		return tell(cli, release.version, "would be installed");
	r = release_install(&place, fd, key, releases, err);
	if (r < 0)
		return r;
	release_sweep(&place, releases);
	return tell(cli, release.version, "is installed");
}

static int run(struct cli *cli, const void *given, int count, char **words)
{
	const struct options *o = given;
	const char *from = o->from ? o->from : cli->release_url;
	uint8_t key[ED25519_KEY_SIZE];
	struct error err;
	int r;

	(void)count;
	(void)words;
	if (!cli->release_key || !*cli->release_key)
		r = error_set(&err, ERROR_UNAVAILABLE,
			"this program was built without the key of releases (meson's option release_key): "
			"upgrade "
			"it the way it was installed");
	else if (!from || !*from)
		r = error_set(&err, ERROR_USAGE,
			"this program was built without the place of releases: name it by --from URL|FILE");
	else
		r = ed25519_key_parse(cli->release_key, key, &err);
	if (r == 0)
		r = upgrade(cli, o, from, key, &err);
	return r < 0 ? cli_complain(cli, &err) : output_finish();
}

const struct command self_upgrade_command = {
	.name = "upgrade",
	.summary = "replace this program by its newest release",
	.help = "Fetches a release, checks that it is signed by the key that this program was built with and "
		"that "
		"every file in it is what the signed manifest says, tries whether it runs on this host, and "
		"puts it "
		"into place by one rename. Sandboxes that run keep the programs that they were started with. "
		"An "
		"older release is refused without --force; what a package manager has installed is left to "
		"it.",
	.examples = "monocore self upgrade\nmonocore self upgrade --from ./monocore-0.2.0-x86_64.tar",
	.options = options,
	.size = sizeof(struct options),
	.run = run,
	.group = GROUP_HOST,
};
