/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* Whether each of `wanted` ("key=value", or "key": whatever its value) is among `have`. Both are
 * NULL-terminated, and may be NULL. */
bool has_labels(const char *const *have, const char *const *wanted);
