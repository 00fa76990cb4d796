/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

/* "TERM", "SIGTERM", "15", "RTMIN+3" (case does not matter) as a number of Linux. Error USAGE names `what`.
 */
int signal_parse(const char *text, const char *what, int *number, struct error *err);
