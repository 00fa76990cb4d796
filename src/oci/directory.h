/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that is a root file system. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "codec/sha256.h"

/* What stands for the contents without reading them: the metadata of all files, with inode numbers and times
 * of change, after `salt`. Takes as long as to look at each file once. */
int directory_id(int root, const char *name, const char *salt, uint8_t hash[SHA256_SIZE], struct error *err);
