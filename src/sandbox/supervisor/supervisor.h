/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor of one running sandbox: all of the mcrun process but its main().
 *
 *   start.c    lock → VM → SETUP → READY → main process
 *   root.c     the form of the root file system that the guest reads
 *   agent.c    the agent's frames: to the stream they belong to
 *   clients.c  control connections: accept, read requests, drop
 *   streams.c  which client's stream is which of the agent's, and how much is under way on each
 *   metrics.c  what the sandbox uses
 *   console.c  the last words of the guest's kernel
 *   network.c  its networks: what connects the guest with the groups that it is in
 *   health.c   healthchecks
 *   keeper.c   what starts it again, where that is its policy: a process of its own, above this one
 *   shares.c   the file systems that come by virtiofs: their servers' lives
 *   volumes.c  the directories of the host that the guest has: beside all this, on a thread of its own
 *   snapshot.c the machine, saved while it runs
 *   resume.c   a sandbox that goes on where a snapshot was made
 *   stop.c     the ways to end, and what is written down and removed then
 *   run.c      the loop that all of these hang on (libuv)
 *
 * Phases only go forward: STARTING → RUNNING → STOPPING (the main process has ended or was told to) → ENDED
 * (the VM is gone; clients still read what is queued).
 *
 * Flow control. Between agent and supervisor, and between supervisor and client, each direction of each
 * channel has a window of STREAM_WINDOW bytes. Bytes of an exec's stream are credited to the agent when its
 * client credits them. Bytes of the main process are credited when the slowest attached client has; with
 * none attached, when they are in the log. So memory is bounded by windows, and a slow reader slows its
 * process, not its neighbours. A peer that sends more than its window is dropped: the guest with its VM.
 * Messages without a window have a place where alone the guest may say them. Behind all this each queue has
 * an end: who takes nothing until it is reached is dropped, too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/map.h"
#include "codec/message.h"
#include "os/peer.h"
#include "sandbox/control.h"
#include "sandbox/directory.h"
#include "sandbox/health.h"
#include "sandbox/home.h"
#include "sandbox/output.h"
#include "sandbox/record.h"
#include "sandbox/supervisor/network.h"
#include "sandbox/supervisor/root.h"
#include "sandbox/supervisor/shares.h"
#include "sandbox/supervisor/volumes.h"
#include "sandbox/volume_fill.h"
#include "vm/vm.h"

#define CLIENTS_MAX        64
#define CLIENT_STREAMS_MAX 64
#define QUEUE_MAX          (64 * 1024 * 1024) /* bytes that wait for one client, or for the guest */

struct supervisor;
struct life;

struct client {
	struct supervisor *supervisor;
	struct peer peer;
	uv_poll_t poll;
	struct client *next;
	bool dropped;         /* its handle is closing; it is freed then */
	bool owner;           /* the sandbox stops with it */
	bool attached;        /* takes the main process's output on main_stream */
	bool input;           /* writes the main process's input */
	uint32_t main_stream; /* its number for the main process's stream */
	uint32_t stop_stream; /* waits there for DONE once the sandbox has stopped; 0: does not */
	uint32_t streams;     /* open streams that are not the main process's */
	uint64_t outstanding[CHANNEL_COUNT]; /* bytes of the main process sent and not yet credited */
	bool closed[CHANNEL_COUNT];          /* wants no more of it */
};

/* A stream of the agent's. */
struct stream {
	uint32_t id;     /* the agent's number */
	uint16_t opener; /* the message that opened it */
	bool main;
	bool detached;             /* an exec that goes on without its client */
	bool started;              /* STARTED has come */
	bool ended[CHANNEL_COUNT]; /* END of out or err has come, CLOSE of in */
	uint32_t entries;          /* ENTRY messages so far */
	struct client *client;     /* NULL: nobody waits any more */
	uint32_t client_stream;
	/* Of the supervisor's own: is told what a client would be. NULL: there is none. */
	void (*own)(struct supervisor *s, struct stream *t, const struct frame *f);
	uint64_t unacked[CHANNEL_COUNT]; /* out, err: bytes from the agent; in: bytes from the client */
};

struct console {
	int fd; /* read end of what the guest's kernel writes, or -1 */
	char last[8192];
	size_t size;
};

struct check {
	struct health health;
	uv_timer_t timer;      /* to the next check, or to the end of one's time */
	struct stream *stream; /* of the check that runs; NULL: none does */
	uint64_t began;        /* clock_monotonic() */
	bool late;             /* it was given up, and is not gone yet */
	char output[512];      /* the beginning of what it has written */
	size_t size;
};

/* How far PHASE_STOPPING is: the stop signal was sent, then SIGKILL, then the guest was told to shut down. */
enum stop_step { STOP_NONE, STOP_ASKED, STOP_KILLED, STOP_SHUTDOWN };

enum phase { PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING, PHASE_ENDED };

/* A snapshot in the making. */
struct saving {
	struct client *client; /* NULL: none is made */
	uint32_t stream;       /* of the client's */
	int directory;         /* in snapshots/ */
	int memory;
	uint64_t since; /* clock_monotonic() when the machine was paused; 0: it runs */
};

struct supervisor {
	struct home home;
	struct directory directory;
	struct record record;
	struct status status;
	enum phase phase;
	pid_t pid;          /* of the process that holds the lock: this one, or its keeper */
	struct life *life;  /* shared with the keeper; NULL: it is not started again */
	uint64_t born;      /* when it was started, clock_monotonic() */
	bool asked_to_stop; /* by somebody outside */
	struct check check;

	uv_loop_t loop;
	uv_poll_t agent_poll, listener_poll, vm_poll, console_poll, volumes_poll, shares_poll, networks_poll;
	uv_signal_t signals[3];
	uv_timer_t stop_timer, clock_timer, shares_timer, networks_timer;
	int listener;
	unsigned slot; /* a small number that no other running VM of this user has */
	struct root root;
	int disk_fd;
	struct console console;

	const struct vm_engine *engine;
	struct vm *vm;
	struct volume_fills *fills; /* new volumes, until READY; NULL: none */
	struct volume_trees *trees; /* of monofs, that are held; NULL: none */
	struct volumes *volumes;    /* by the port of volumes; NULL: none */
	struct networks *networks;  /* NULL: none */
	struct shares *shares;      /* by virtiofs; NULL: none */
	struct peer agent;          /* its fd is the VM's, never closed by the peer */
	struct metrics_keeper *metrics;
	struct output_writer *output;
	uint64_t lost_output; /* bytes that the log could not take */

	struct client *clients;
	size_t client_count;
	struct map streams; /* by id, u32 */
	struct stream *main;
	uint32_t next_stream;
	uint32_t start_stream; /* of the client that asked for the start, the first in `clients` until it is
				  done */
	enum stop_step stop_step;
	struct saving saving;
	struct resume *resume; /* what it goes on with; NULL: it starts afresh */
	bool main_exited, paused;
	bool discard;    /* nobody wants its disk once it has stopped */
	bool fresh;      /* it was never started */
	bool upper_only; /* a VM that tells the changes of a stopped sandbox: nothing is run or written down
			  */
};

/* run.c */
int supervisor_loop(struct supervisor *s, struct error *err);
void supervisor_watch(struct supervisor *s); /* sets what is polled for after queues have changed */

/* start.c */
int supervisor_start(struct supervisor *s, struct error *err);

/* confine.c */
void supervisor_confine(struct supervisor *s);

/* console.c */
int console_open(struct console *c, int *write_end, struct error *err);
bool console_read(struct console *c); /* all there is, never blocking; false: nobody writes any more */
void console_close(struct console *c);
const char *console_panic(
	struct console *c, size_t *n); /* why the guest's kernel gave up, or NULL; not NUL-terminated */

/* snapshot.c */
int snapshot_request(
	struct client *c, const struct frame *f, struct error *err); /* is answered later, or fails */
bool snapshot_from_client(struct client *c, const struct frame *f);  /* of a held one; false: it is none */
void snapshot_abandon(
	struct supervisor *s, const struct client *c); /* the client's, or NULL: any; it runs on */

/* resume.c */
int resume_open(struct supervisor *s, struct error *err); /* s->resume stays NULL where there is nothing */
bool resume_may_boot(const struct resume *r);             /* where it cannot go on */
/* It is to boot, on an empty disk that is not open yet: nothing of what it had is left. */
int resume_drop(struct supervisor *s, const char *why, struct error *err);
const struct vm_saved *resume_machine(const struct resume *r);
const struct volumes_saved *resume_volumes(const struct resume *r); /* NULL: none, or nothing goes on */
int resume_streams(struct supervisor *s, struct error *err);        /* what its agent's are */
void resume_done(struct supervisor *s); /* it goes on: nothing of it is needed any more */
void resume_close(struct resume *r);

/* agent.c */
int agent_frame(struct supervisor *s, const struct frame *f, struct error *err);
void agent_readable(struct supervisor *s); /* reads and dispatches what is there; failures end the sandbox */
void agent_send_clock(struct supervisor *s); /* after the start, after a pause, and every few minutes */

/* health.c */
void checks_start(struct supervisor *s); /* the main process runs */

/* clients.c */

/* An exec takes the sandbox's own environment, directory and user where the client names none. */
int exec_complete(const struct record *record, struct message_exec *m, struct error *err);
struct client *client_add(struct supervisor *s, int fd, struct error *err); /* takes fd */
void client_readable(struct client *c);
void client_drop(struct client *c);
void client_watch(struct client *c); /* polls for writing only while bytes are queued */
bool client_send(
	struct client *c, uint32_t stream, uint16_t type, uint16_t channel, const void *payload, size_t n);
void clients_accept(struct supervisor *s);

/* streams.c */
struct stream *stream_open(
	struct supervisor *s, struct client *c, uint32_t client_stream, uint16_t opener, struct error *err);
struct stream *stream_find(const struct supervisor *s, uint32_t id);
struct stream *stream_of_client(const struct supervisor *s, const struct client *c, uint32_t client_stream);
struct stream *stream_first_of(const struct supervisor *s, const struct client *c); /* one of the client's */
void stream_close(struct supervisor *s, struct stream *t);
void stream_orphan(struct supervisor *s, struct stream *t);  /* its client is gone; t may be, too */
void stream_abandon(struct supervisor *s, struct stream *t); /* the same, where there is none any more */
int stream_from_agent(struct supervisor *s, struct stream *t, const struct frame *f, struct error *err);
int stream_from_client(
	struct supervisor *s, struct client *c, struct stream *t, const struct frame *f, struct error *err);
void main_credit(struct supervisor *s, uint16_t channel); /* gives the agent what all clients have taken */
void main_attach(
	struct supervisor *s, struct client *c, uint32_t client_stream, const struct control_attach *how);

/* stop.c */
void supervisor_main_exited(struct supervisor *s, const struct message_exited *m);
void supervisor_stop(struct supervisor *s, uint64_t grace); /* the stop signal, after `grace` ns the end */
void supervisor_fail(struct supervisor *s, const struct error *why); /* at once, with a reason */
void supervisor_vm_ended(struct supervisor *s);
void supervisor_note(struct supervisor *s, const char *format, ...) /* a line of the system's in the log */
	__attribute__((format(printf, 2, 3)));
/* One more of events/, with `key`=`value` where key is not NULL. */
void supervisor_event(struct supervisor *s, const char *action, const char *key, const char *value);
int supervisor_set_state(struct supervisor *s, const char *state, struct error *err);
/* How it stands once it has ended: "stopped", or "restarting", which its keeper was told then. */
const char *supervisor_end_state(struct supervisor *s);
bool supervisor_signal_ends(const struct supervisor *s, uint32_t number); /* as `stop` and `kill` send it */
void supervisor_cleanup(struct supervisor *s); /* removes a throw-away sandbox; frees everything */
