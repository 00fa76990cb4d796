/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bin/cli/command.h"

extern const struct program monofs_program;
