/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control connection between a client (the library) and a sandbox's supervisor: frames as the agent's
 * protocol has them (codec/frame.h, codec/message.h), with the agent's own requests passed through, and
 * these of the supervisor's. docs/formats/control.md describes it.
 *
 * The socket is the file `control` in the sandbox's directory, which only its user can enter. Both sides
 * check who the other is (os/unix_socket.h).
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "codec/message.h"

#define CONTROL_MESSAGES(X) \
	/* name, code, meaning; but for PROGRESS, each opens a stream and is answered there */ \
	X(START, 256, "first on the inherited connection: struct control_attach; STARTED or ERROR") \
	X(ATTACH, 257, "join the main process's streams: struct control_attach; STARTED or ERROR") \
	X(STOP, 258, "u64 nanoseconds of grace; DONE once the sandbox has stopped") \
	X(KILL, 259, "u32 signal for the main process; DONE") \
	X(PAUSE, 260, "DONE once the VM stands still") \
	X(RESUME, 261, "DONE once it runs again") \
	X(SPAWN, 262, "as EXEC, but the process goes on without the client, its output dropped") \
	X(PROGRESS, 263, "from the supervisor, before the answer to START: struct control_progress") \
	X(POLICY, 264, "what it may reach from now on: struct net_policy of net/control.h; DONE") \
	X(PORT_ADD, 265, "publishes a list of ports, as net/control.h has them, or none of it; PORTS") \
	X(PORT_REMOVE, 266, "a list of ports as they are published; DONE") \
	X(BANDWIDTH, 267, "u64 bytes a second each way, 0: no limit; DONE") \
	X(PORTS, 268, "answer: a list of ports, with the host's that were chosen") \
	X(STATS, 269, "u8 recent: what was known last will do, no guest is asked; STATS_ARE") \
	X(STATS_ARE, 270, "answer: struct control_stats") \
	X(SNAPSHOT, 271, \
		"struct control_snapshot: the running machine is saved; DONE, or with hold STARTED first")

enum control_message {
#define X(name, code, meaning) CONTROL_##name = code,
	CONTROL_MESSAGES(X)
#undef X
};

enum control_attach_flags {
	CONTROL_ATTACH_STREAMS = 1, /* wants the main process's output, and may write its input */
	CONTROL_ATTACH_OWNER = 2,   /* the sandbox stops when this connection ends */
	CONTROL_ATTACH_UPPER = 4,   /* of START: nothing is run; the changes on the disk can be asked for, and
				     * removed: UPPER, REMOVE */
	CONTROL_ATTACH_COMMAND = 8  /* of START: an EXEC's payload follows, which is run in place of the
				     * record's command */
};

struct control_attach {
	uint32_t flags;
	uint16_t rows, columns;
	struct cursor command; /* where the flag says so: points into what was decoded */
};
void control_attach_encode(const struct control_attach *m, struct buffer *out);
int control_attach_decode(struct cursor in, struct control_attach *m, struct error *err);

/* Into an empty directory of snapshots/ go memory, state and disk, and what this supervisor knows. With
 * `hold` the machine stands still, which STARTED says, and is saved upon END; it goes on without if the
 * connection ends. */
struct control_snapshot {
	char *directory;
	bool hold;
};
void control_snapshot_encode(const struct control_snapshot *m, struct buffer *out);
int control_snapshot_decode(struct cursor in, struct control_snapshot *m, struct error *err);
void control_snapshot_free(struct control_snapshot *m);

/* A step of the start that takes its time (the making of a template): struct progress_event on its way. */
struct control_progress {
	char *task, *unit;
	uint64_t done, total;
	bool finished;
};
void control_progress_encode(const struct control_progress *m, struct buffer *out);
int control_progress_decode(struct cursor in, struct control_progress *m, struct error *err);
void control_progress_free(struct control_progress *m);

/* What the sandbox uses; counters begin with its start. */
struct control_stats {
	uint64_t time;           /* of `usage`, nanoseconds since 1970; 0: the guest has said nothing yet */
	uint64_t cpu;            /* nanoseconds of the engine's process */
	uint32_t cpu_thousandth; /* of one cpu, in the last seconds */
	struct message_usage usage; /* the guest's words */
};
void control_stats_encode(const struct control_stats *m, struct buffer *out);
int control_stats_decode(struct cursor in, struct control_stats *m, struct error *err);

/* Descriptors of the mcrun process. */
enum { CONTROL_FD_CLIENT = 3, CONTROL_FD_LOCK = 4 };

/* A listening socket in the sandbox's directory `fd`; one that a killed supervisor left is replaced. */
int control_listen(int fd, int *listener, struct error *err);

/* Connects to the supervisor of the sandbox in `fd`. NOT_FOUND: none runs. */
int control_connect(int fd, int *connection, struct error *err);
