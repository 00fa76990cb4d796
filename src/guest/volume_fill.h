/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* Copies the directory that is called `path` below the root `root` into the directory `to` (a descriptor, not
 * O_PATH), with owners, modes, times, attributes, devices and hard links; its own, too. Links of the path are
 * followed within the root; sockets are left out. Where there is none, `to` just becomes 0755. Memory is
 * bounded. */
int volume_fill(int root, const char *path, int to, struct error *err);
