/* SPDX-License-Identifier: Apache-2.0 */
/* What mfsd gives up before it serves anybody. */
#pragma once

#include "base/error.h"

/* From now on this process starts no program and gains no privilege, and, where the kernel has landlock,
 * names no file outside the repository's directory. */
int mfsd_confine(int repository, struct error *err);
