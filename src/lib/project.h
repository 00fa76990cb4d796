/* SPDX-License-Identifier: Apache-2.0 */
/* What the library's calls about projects share. */
#pragma once

#include "monocore_project.h"
#include "project/load.h"
#include "project/project.h"

struct monocore_project {
	struct project *project;
	char *file; /* absolute; the project's own */
};

/* How this host loads a project: files, environment, and the judges of images, ports and rules. */
void project_load_here(struct project_load *load);

/* The same mistakes for who called the library; *out is the caller's. */
int project_give_mistakes(const struct mistakes *m, struct monocore_project_mistakes *out, struct error *err);
