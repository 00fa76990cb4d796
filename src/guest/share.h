/* SPDX-License-Identifier: Apache-2.0 */
/* File systems of the host's that come by virtiofs, or NFS. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Mounts the one at a place of SETUP's list, by its tag; returns the mount's descriptor, not yet anywhere, or
 * an error. The kernel asks the host without waiting for an answer. */
int share_open(uint32_t place, bool read_only, struct error *err);

/* The same by NFS, from a port of the loopback interface; waits for the host. */
int share_open_nfs(uint16_t port, bool read_only, struct error *err);

/* Lets the kernel read ahead as much as a request may carry: waits for the host's first answer. */
void share_read_ahead(int mount);
