/* SPDX-License-Identifier: Apache-2.0 */
/* What files have beside bytes and names: extended attributes, and numbers of devices. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

/* The names, each with its NUL, appended. A file system that has none: no names. `name` is for messages. */
int fs_xattr_list(int fd, const char *name, struct buffer *names, struct error *err);

/* The value, appended. 1: it is there, 0: it is not any more. */
int fs_xattr_get(int fd, const char *name, const char *attribute, struct buffer *value, struct error *err);

int fs_xattr_set(
	int fd, const char *name, const char *attribute, const void *value, size_t n, struct error *err);
int fs_xattr_remove(int fd, const char *name, const char *attribute, struct error *err);

/* Of what has the name, no link followed: a symbolic link is EINVAL's error. */
int fs_set_mode(int dirfd, const char *name, mode_t mode, struct error *err);

uint32_t fs_device_major(dev_t device);
uint32_t fs_device_minor(dev_t device);
dev_t fs_device(uint32_t major, uint32_t minor);
