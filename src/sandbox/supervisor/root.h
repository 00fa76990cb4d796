/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's root file system, in the form that its guest reads.
 *
 * What an engine's guests read is known once one has booted. So the first start of an engine may fail, having
 * found out: it is done again, with the other form.
 */
#pragma once

#include "base/error.h"
#include "vm/vm.h"

struct root {
	int fd;           /* -1: not open */
	const char *form; /* "erofs" or "ext4": a constant */
};

#define ROOT_NONE ((struct root){.fd = -1, .form = "erofs"})

void root_close(struct root *root);

/* Opens the root file system `id` of the store in `home`, unless it is open already, and calls `start`, at
 * most twice. *root stays open, also where `start` fails: root_close(). */
typedef int (*root_start_call)(void *context, const struct root *root, struct error *err);
int root_start(const struct vm_engine *e, const char *home, const char *id, root_start_call start,
	void *context, struct root *root, struct error *err);
