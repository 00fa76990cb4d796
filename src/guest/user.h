/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "codec/passwd.h"

/* Resolves a user against the /etc/passwd and /etc/group of the sandbox as they are now; what is mounted
 * there is not looked into. */
int user_find(const char *spec, struct passwd_user *u, struct error *err);
