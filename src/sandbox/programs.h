/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* The path of one of our own programs ("mcrun", "mcagent"): beside this process's executable, in the
 * libexec directory of the installation it belongs to, or, for a program that embeds the library, in the
 * directory that was configured when it was built. $MONOCORE_LIBEXEC comes before all of them. NULL:
 * NOT_FOUND, *err names the places. The caller frees. */
char *program_path(const char *name, struct error *err);
