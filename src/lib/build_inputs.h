/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the files that a project's builds copy are those of the last time, without reading them: as git's
 * index does, by sizes, times and inodes. Of all that a build copies from this host these make one digest,
 * which is kept in projects/<id>/inputs/<build>.
 */
#pragma once

#include <stdbool.h>

#include "codec/sha256.h"
#include "lib/handle.h"
#include "project/identity.h"
#include "project/project.h"

/* Before anything of them is read: the stamp of what there is. Until inputs_end() what is kept says nothing,
 * unless it is just that. */
int inputs_begin(struct monocore *mc, const struct project_identity *who, const struct project_build *b,
	char stamp[SHA256_HEX_SIZE], struct error *err);

/* The build was made of these. */
int inputs_end(struct monocore *mc, const struct project_identity *who, const struct project_build *b,
	const char *stamp, struct error *err);

/* A build that sandboxes of the project are made of has other inputs than it was made of. One that never was,
 * has not. */
bool inputs_have_changed(struct monocore *mc, const struct project *p, const struct project_identity *who);
