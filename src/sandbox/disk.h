/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "sandbox/record.h"

/* Makes the disk of a sandbox, in its directory: an empty file system in place of what was there. */
int disk_make(int directory, const struct record *record, struct error *err);
