/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes cpio archives in the "newc" format, from which the kernel unpacks its initial root file system.
 * Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. Deterministic: times are
 * 0, owners are root, inode numbers are 0 (the kernel looks at them only where nlink is over 1).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* Appends one entry. The name is relative ("init", "lib/modules"), the mode is st_mode with its type; a
 * directory must come before what is in it. data: contents of a file or target of a symbolic link. Errors:
 * INVALID (the name), LIMIT (data of 4 GiB), NO_MEMORY. */
int cpio_write(
	struct buffer *out, const char *name, uint32_t mode, const void *data, size_t n, struct error *err);

/* A device node (mode S_IFCHR or S_IFBLK). */
int cpio_write_device(struct buffer *out, const char *name, uint32_t mode, uint32_t major, uint32_t minor,
	struct error *err);

/* Ends the archive. Another archive may be appended behind it. */
int cpio_write_end(struct buffer *out, struct error *err);
