/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a snapshot (docs/formats/snapshot.md), as the supervisor writes them; also in the directory
 * `resume` of a sandbox that goes on with them.
 */
#pragma once

#define SNAPSHOT_VERSION 1

#define SNAPSHOT_MEMORY  "memory"
#define SNAPSHOT_STATE   "state"
#define SNAPSHOT_HELLO   "hello"
#define SNAPSHOT_DISK    "disk"
#define SNAPSHOT_WAITING "waiting" /* frames for the agent */
#define SNAPSHOT_VOLUMES "volumes" /* what the relay of volumes knew; missing where there are none */
#define SNAPSHOT_MACHINE "machine.json"

#define SNAPSHOT_RESUME "resume"
#define SNAPSHOT_FRESH  "fresh"     /* in it, empty: the sandbox is new, and may boot instead */
#define SNAPSHOT_MARK   "disk.json" /* in it: when the disk was last written */
