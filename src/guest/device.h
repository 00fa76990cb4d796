/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual machine's devices as the agent finds them at boot. */
#pragma once

#include <stddef.h>

#include "base/error.h"

/* Waits for the virtio-serial port of that name and opens it for reading and writing, with `flags`. */
int device_find_port(const char *name, int flags, int *fd, struct error *err);

/* The block devices of image and upper: /dev/vda and /dev/vdb, or what the kernel's command line says in
 * monocore.image= and monocore.disk=. */
void device_find_disks(char *image, char *disk, size_t size);

/* Drops what the kernel has cached of both, since a clone has other disks than its template. */
void device_forget_blocks(const char *image, const char *disk);
