/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: PID 1 of a sandbox, and the host's only hand in it. One thread, one loop (loop.c), nothing
 * that blocks for long.
 *
 * Its life: boot (boot.c: all that needs no knowledge of the sandbox, up to HELLO; a template is frozen
 * here), set-up (setup.c: identity and root), then streams until SHUTDOWN.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest/boot.h"
#include "guest/port.h"
#include "guest/usage.h"

struct stream;
struct agent;

/* Something the loop waits for. */
struct watch {
	int fd;
	void (*ready)(struct agent *a, struct watch *w, uint32_t events);
};

/* The process of a transfer. */
struct agent_worker {
	pid_t pid;        /* 0: none */
	uint64_t kill_at; /* clock_monotonic() by which it should have ended; 0: nobody has called it off */
};

/* quiet.h */
struct agent_quiet {
	uint32_t stream; /* that asked; 0: none */
	bool reached;
	struct watch watch; /* of cgroup.events */
};

#define AGENT_SCRATCH_SIZE 65536
#define TRANSFERS_MAX      32

struct agent {
	struct port port;
	struct boot boot;
	struct usage usage;
	int epoll;   /* all watches but the outputs of processes */
	int outputs; /* an epoll for these, itself watched only while the port has room */
	bool outputs_watched;
	struct watch port_watch, signal_watch, outputs_watch;
	struct stream *streams; /* newest first */
	unsigned stream_count;
	struct agent_worker workers[TRANSFERS_MAX];
	bool transfers_waiting; /* some of them have a kill_at */
	bool is_set_up;
	bool upper_only; /* nothing but UPPER is taken: there is no root */
	struct agent_quiet quiet;
	unsigned freezes; /* streams while which the sandbox's processes stand still */
	bool reap_again;  /* there may be more zombies than one turn has reaped */
	bool shutting_down, killed;
	uint64_t shutdown_at; /* clock_monotonic() of the KILL */
	uint8_t *scratch;     /* AGENT_SCRATCH_SIZE bytes for whoever runs */
};

/* The struct that holds the watch `w` as `member`. */
#define WATCH_OWNER(w, type, member) ((type *)(void *)((char *)(w)-offsetof(type, member)))

/* Waits for events of w->fd; false: no memory for it. A watch is removed before its fd is closed. */
bool watch_add(int epoll, struct watch *w, uint32_t events);
void watch_remove(int epoll, struct watch *w);

/* Ends the VM at once: the last resort, too, where the agent cannot go on. */
_Noreturn void agent_reset(void);
