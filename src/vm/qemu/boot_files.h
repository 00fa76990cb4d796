/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest boots from: a kernel, and an initial root file system of the kernel's modules and the agent as
 * /init. The latter is put together once for each pair and kept as $MONOCORE_HOME/templates/initrd-<digest>.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "codec/sha256.h"
#include "vm/kernel.h"

struct boot_files {
	struct kernel kernel;
	const char *agent;            /* borrowed */
	char digest[SHA256_HEX_SIZE]; /* of all that is booted */
};

/* NOT_FOUND: no kernel is installed, or no agent. */
int boot_files_find(const char *home, const char *agent, struct boot_files *b, struct error *err);
void boot_files_free(struct boot_files *b);

/* The path of the initial root file system, which is made where it is missing. The caller frees. nfs: with
 * what an NFS client needs; UNAVAILABLE, where the kernel was installed without. */
int boot_files_initrd(const char *home, const struct boot_files *b, bool nfs, char **path, struct error *err);
