/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/packaged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "os/process.h"

/* Each ends with 0 where it owns the file. */
static const char *const managers[][4] = {
	{"dpkg-query", "-S"}, {"rpm", "-qf"}, {"pacman", "-Qqo"}, {"apk", "info", "--who-owns"}};

static bool is_there(const char *program)
{
	for (const char *path = getenv("PATH") ?: "/usr/bin:/bin"; *path;) {
		size_t n = strcspn(path, ":");
		char candidate[4096];

		if (n && snprintf(candidate, sizeof candidate, "%.*s/%s", (int)n, path, program) < 4096 &&
			access(candidate, X_OK) == 0)
			return true;
		path += n + (path[n] == ':');
	}
	return false;
}

/* It says nothing here: whether it ends well is the answer. */
static int ask(const char *const *manager, const char *path, struct error *err)
{
	const char *const argv[] = {
		manager[0], manager[1], manager[2] ? manager[2] : path, manager[2] ? path : NULL, NULL};
	const struct process_spec spec = {.path = manager[0], .argv = argv};
	int status = 1, r;
	pid_t pid;

	r = process_spawn(&spec, &pid, NULL, err);
	if (r == 0)
		r = process_wait(pid, &status, err);
	return r < 0 ? error_prefix(err, "ask %s who owns %s", manager[0], path) : status == 0;
}

int packaged_refuse(const char *path, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(managers); i++) {
		int r = is_there(managers[i][0]) ? ask(managers[i], path, err) : 0;

		if (r < 0)
			return r;
		if (r > 0)
			return error_set(err, ERROR_DENIED,
				"%s belongs to a package (%s says so): upgrade or remove that", path,
				managers[i][0]);
	}
	return 0;
}
