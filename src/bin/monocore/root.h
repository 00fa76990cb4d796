/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bin/monocore/command.h"

extern const struct program monocore_program;
