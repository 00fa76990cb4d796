/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a component is made of, as one number: equal digests mean that a sandbox made earlier is what the file
 * asks for now. In it is everything that a sandbox has from its making to its end; not what can be changed
 * while it runs (reach, rules, bandwidth, ports), what only orders (depends_on), and what is read when it is
 * needed (scripts but `start`). Which image a name leads to is not in it either: who compares knows that.
 */
#pragma once

#include "base/error.h"
#include "codec/sha256.h"
#include "project/project.h"

int project_digest(const struct project *p, const struct project_sandbox *s, char digest[SHA256_HEX_SIZE],
	struct error *err);

/* The environment that it starts with: that of its groups, the first before the others, under its own; each
 * name once, in the order of the alphabet. A text list, the caller's. */
int project_environment(
	const struct project *p, const struct project_sandbox *s, char ***env, struct error *err);
