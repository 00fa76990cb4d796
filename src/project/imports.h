/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "project/project.h"

#define PROJECT_IMPORTS_SUFFIX ".imports"

/* A sandbox that imports files of builds is made from an image of its own: a build NAME.imports, of its image
 * and those files, is added to the project, and takes the place of the image. */
int project_add_imports(struct project *p, struct error *err);

/* It was added so. */
bool project_is_imports(const struct project *p, const struct project_build *b);
