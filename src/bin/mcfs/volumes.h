/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* mcfs volumes: servers for the volumes of one sandbox, as sandbox/volume_server.h has it. Returns the exit
 * status. */
int mcfs_volumes(void);
