/* SPDX-License-Identifier: Apache-2.0 */
/* What this process has done to images and volumes is written down for monocore_events(). */
#pragma once

#include "lib/handle.h"

/* digest may be NULL. */
void tell_image(struct monocore *mc, const char *action, const char *name, const char *digest);
void tell_volume(struct monocore *mc, const char *action, const char *name);
