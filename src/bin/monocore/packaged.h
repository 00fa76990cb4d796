/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* DENIED where a package manager of this host says that it owns the file: what it installed, it changes. */
int packaged_refuse(const char *path, struct error *err);
