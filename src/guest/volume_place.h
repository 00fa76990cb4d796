/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/message.h"

/* What the volume `number` is to be mounted on, O_PATH: a directory, or a file where its root is one; made
 * with the directories above it where there is nothing. What is made bears marks (made.h), but in another
 * volume, which is the host's; in a staged one it is the sandbox's. first: nothing has run in the sandbox
 * yet. -1 with errno. */
int volume_place(const struct message_mount *mounts, uint32_t number, bool first);
