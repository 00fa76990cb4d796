/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* This process keeps nothing but the descriptors that it has open, and what is beneath `directory` (one of
 * them) with landlock's `rights`, if there are any, with /proc/self, by which its files are opened. A host
 * without landlock keeps the filter of system calls. */
int mcfs_confine(int directory, unsigned rights, struct error *err);
