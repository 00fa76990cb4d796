/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of projects that a sandbox's volumes reach, whether it is a sandbox of theirs or not: the
 * next `monocore up` there reads and believes it. These are the projects in whose directory, or in one below
 * which, a directory lies that is a volume; and those that something was ever made of which lie in such a
 * directory.
 */
#pragma once

#include "lib/handle.h"

/* The paths that `given` (NULL: none) has, and those of that configuration; as struct
 * monocore_sandbox_options has both. *guarded is a text list, the caller's; NULL: there are none. */
int guard_projects(struct monocore *mc, const char *const *volumes, const char *const *given, char ***guarded,
	struct error *err);
