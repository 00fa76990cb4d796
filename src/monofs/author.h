/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* Who makes revisions here: $MONOFS_AUTHOR, or user@host. The caller frees. */
char *author_here(struct error *err);
