/* SPDX-License-Identifier: Apache-2.0 */
/* A repository copied file by file: nothing is opened by a key, so none is needed. */
#pragma once

#include "base/error.h"
#include "base/progress.h"

/* Copies what lies in `from` (a path) to `to`, which is made: packs, whose bytes are held against their
 * names, keys and references. Not what belongs to one place alone: the journal, what imports have seen, the
 * number of this copy. Others may write to `from` meanwhile: what is copied is a state that it had. EXISTS:
 * to is there. */
int clone_copy(const char *from, const char *to, const struct progress *progress, struct error *err);
