/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What processes have in use of volumes: files that are open or mapped, directories that processes are in,
 * and the directories on the way to all of these. The kernel keeps what it knows of them, whatever it is told
 * to drop. The host is not asked for anything.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* An object of this machine, as its kernel knows it: of a volume, `number` is what the host calls it. */
struct volume_node {
	uint32_t major, minor;
	uint64_t number;
};

/* What is at the path, or, where that is "", what `at` is. False: nothing. */
bool volume_node(int at, const char *path, struct volume_node *node);

struct volume_users {
	const int *mounts; /* roots of the volumes, O_PATH; -1: one that is to be passed over */
	uint32_t count;
	void (*each)(
		void *context, uint32_t volume, uint64_t number); /* for one object more than once, too */
	void *context;
};

/* Looks at all processes. */
void volume_used(const struct volume_users *u);
