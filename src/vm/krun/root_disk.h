/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk that the guest boots from. libkrun's kernel has no initrd, so the agent is /init of a small
 * read-only ext4 (the one file system that every kernel of libkrunfw has): $MONOCORE_HOME/krun/ has one for
 * each build of the agent, <SHA-256 of the agent>.img, never written again.
 */
#pragma once

#include "base/error.h"

/* Opens the disk for the agent at agent_path, read-only; makes it where it is missing. *path (the caller's)
 * is its absolute path. Callers at the same time wait for each other. */
int krun_root_disk(const char *home, const char *agent_path, int *fd, char **path, struct error *err);

/* Removes the unfinished disk that a killed process left. */
void krun_root_disk_sweep(const char *home);
