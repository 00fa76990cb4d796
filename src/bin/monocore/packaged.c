/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/packaged.h"

#include <string.h>

#include "base/cleanup.h"
#include "os/process.h"

/* Each ends with 0 where it owns the file. */
static const char *const managers[][4] = {
	{"dpkg-query", "-S"}, {"rpm", "-qf"}, {"pacman", "-Qqo"}, {"apk", "info", "--who-owns"}};

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
		int r = process_is_installed(managers[i][0]) ? ask(managers[i], path, err) : 0;

		if (r < 0)
			return r;
		if (r > 0)
			return error_set(err, ERROR_DENIED,
				"%s belongs to a package (%s says so): upgrade or remove that", path,
				managers[i][0]);
	}
	return 0;
}
