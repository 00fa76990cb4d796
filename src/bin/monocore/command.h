/* SPDX-License-Identifier: Apache-2.0 */
/* A command of this program: what all our programs share of it, and the library that it calls. */
#pragma once

#include "bin/cli/command.h"
#include "monocore.h"
