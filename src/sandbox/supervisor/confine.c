/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor reads what a guest sends, all its life long. Once the sandbox runs, it has open what it
 * needs, and gives up the rest: of the file system the directories of sandboxes, of their names, of events
 * and of snapshots are left (to write down the state, the log and the end, to remove a throw-away sandbox,
 * and to save a running one), and no program can be executed.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "os/landlock.h"
#include "sandbox/supervisor/supervisor.h"

static int allow_directory(int rules, int directory)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", directory);
	return landlock_allow(rules, path, LANDLOCK_READ | LANDLOCK_WRITE);
}

void supervisor_confine(struct supervisor *s)
{
	int abi = landlock_abi();
	/* Signals stay possible: QEMU, which was started before, is outside. */
	int rules = abi > 0 ? landlock_new(abi, 0) : -1;

	if (rules < 0)
		return; /* a kernel without landlock; `self doctor` tells */
	if (allow_directory(rules, s->home.sandboxes) < 0 || allow_directory(rules, s->home.names) < 0 ||
		allow_directory(rules, s->home.events) < 0 || allow_directory(rules, s->home.snapshots) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_enter(rules) < 0)
		supervisor_note(s, "the supervisor could not be confined");
	close(rules);
}
