/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "guest/volumes.h"

/* The signal that has the volumes' process tell the host at once what waits to be told. */
#define VOLUMES_HURRY SIGHUP

/* Has the host told of changes that it does not know of yet (volume_behind.h), and waits until it has
 * answered; but no longer than the agent's loop may stand still: a server may be stuck. */
void volumes_settle(const struct volumes *volumes);
