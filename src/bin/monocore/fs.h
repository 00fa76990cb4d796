/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs below fs. */
#pragma once

#include "bin/monocore/command.h"

extern const struct command fs_serve_command;
