/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine, whatever runs it. The engines (qemu/, krun/) are structs of function pointers behind
 * these calls. All calls block, bounded by deadlines; one thread at a time may use a struct vm.
 *
 * The contract of every engine: after vm_start() the guest's agent has booted, said HELLO and waits for
 * SETUP on the agent socket, be it freshly booted or a copy-on-write clone of a template. The process
 * behind the VM ends with the guest's reset, when it is killed, or when its parent dies, whichever is
 * first; nothing of it is left then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/progress.h"

struct vm;
struct vm_engine;

enum vm_accelerator { VM_ACCELERATOR_AUTO, VM_ACCELERATOR_KVM, VM_ACCELERATOR_TCG };

/* A file system that another process serves by vhost-user; the guest mounts it (virtiofs) by its tag. */
struct vm_share {
	const char *tag; /* 1 to 35 letters, digits and '-', unlike all others of the machine */
	int fd; /* a stream socket that is connected to who serves it; borrowed until vm_start() returns */
};
#define VM_SHARES_MAX 16

/* A network device. Frames come and go over a stream: 32 bits of length, big-endian, then the frame. */
struct vm_nic {
	int listener; /* a listening unix socket; borrowed until vm_start() returns. -1: nothing is behind it
		       */
	uint8_t mac[6]; /* what the agent will set; an engine that can tell the device so does */
};
#define VM_NICS_MAX 8

/* A machine that ran, as vm_snapshot_save() left it. All is borrowed until vm_start() returns. */
struct vm_saved {
	int memory, state; /* read-only */
	const uint8_t *hello;
	size_t hello_size;
	const char *machine; /* what vm_machine() said of it */
};

struct vm_config {
	const char *home;       /* $MONOCORE_HOME, absolute: holds templates/ and kernels/ */
	const char *agent_path; /* the static mcagent binary */
	unsigned cpus;          /* 1 to 64 */
	uint64_t memory;        /* bytes; rounded up to 64 MiB, 128 MiB at least */
	int image_fd;           /* /dev/vda, opened read-only; borrowed */
	int disk_fd;            /* /dev/vdb, read-write, or -1: borrowed. The device exists either way */
	int console_fd;         /* gets the serial console's bytes, or -1; borrowed */
	enum vm_accelerator accelerator;
	/* Their servers see all of the guest's memory. Such a machine boots, and the engine is qemu: others
	 * are UNAVAILABLE. */
	const struct vm_share *shares;
	size_t share_count; /* at most VM_SHARES_MAX */
	/* Their number is what a machine is made with, and part of a template. The engine qemu takes one
	 * connection on each listener, and another when that has ended; krun one that waits there already. */
	const struct vm_nic *nics;    /* NULL: nothing is behind any */
	size_t nic_count;             /* 1 to VM_NICS_MAX */
	bool volumes;                 /* connect the port of volumes (codec/volume.h) to vm_volumes_fd() */
	bool nfs;                     /* the guest has an NFS client: it boots, and the engine is qemu */
	bool cold;                    /* boot, do not clone a template */
	const struct vm_saved *saved; /* go on with it; NULL: a new machine. UNAVAILABLE: it was another
				       * machine, or the engine has none. Its agent waits for WAKE. */
	bool unconfined;              /* start even where the host cannot confine the engine's process */
	unsigned id; /* a small number unique among the running VMs of this user: root's uid per VM */
	const struct progress *progress; /* template making; may be NULL */
};

/* The engine called `name` ("auto": the first that works here). NULL: none, *err says what to install. */
const struct vm_engine *vm_engine_find(const char *name, struct error *err);
const char *vm_engine_name(const struct vm_engine *e);
bool vm_engine_has_templates(const struct vm_engine *e);
bool vm_nics_reconnect(const struct vm_engine *e); /* a device takes another stream when its own has ended */

/* The form of an image's disk that this engine's guests read, "erofs" or "ext4", as far as it is known: an
 * engine whose kernel is built elsewhere learns it at its first start. A vm_start() that fails as UNAVAILABLE
 * because the guest cannot read the image has changed what this answers, where there is another form. A
 * constant. */
const char *vm_root_type(const struct vm_engine *e, const char *home);

/* Starts a VM. A template is made when there is none, rebuilt when it is damaged or stale; where
 * config->cold is set or the engine has none, the guest boots. *vm is the caller's: vm_free(). */
int vm_start(const struct vm_engine *e, const struct vm_config *config, struct vm **vm, struct error *err);

/* How long a guest may take for one step of its start (to boot, to answer its set-up, to start its command):
 * `usual`, or what the environment variable MONOCORE_START_TIMEOUT says, a duration of at most a day. Both in
 * nanoseconds. USAGE, INVALID: it says nothing sensible. */
int vm_start_timeout(uint64_t usual, uint64_t *timeout, struct error *err);

int vm_agent_fd(const struct vm *vm);   /* stream socket to the agent, non-blocking; owned by vm */
int vm_volumes_fd(const struct vm *vm); /* the same for the port of volumes; -1: it was not asked for */
int vm_process_fd(const struct vm *vm); /* a pidfd: readable when the engine's process has ended */
pid_t vm_pid(const struct vm *vm);      /* of the engine's process, in the caller's namespace */
bool vm_is_clone(const struct vm *vm);
const uint8_t *vm_hello(const struct vm *vm, size_t *size); /* payload of the agent's HELLO */
const char *vm_accelerator_name(const struct vm *vm);       /* "kvm", "tcg" */

int vm_pause(struct vm *vm, struct error *err);
int vm_resume(struct vm *vm, struct error *err);
void vm_kill(struct vm *vm); /* at once; returns when the process is gone */

/* What it is to be saved. prepare: while this process may still look into others; UNAVAILABLE: such a
 * machine, or engine, cannot be. base: copies what has not changed since its start into the empty file
 * `memory`, while it runs. save: it is paused; the rest of its memory, and what the engine knows of its
 * devices, into the empty file `state`. What is on its disks is the caller's to copy. Afterwards it can be
 * resumed. */
int vm_snapshot_prepare(struct vm *vm, struct error *err);
int vm_snapshot_base(const struct vm *vm, int memory, struct error *err);
int vm_snapshot_save(struct vm *vm, int memory, int state, struct error *err);

/* What another host, or another version of the engine, must be like to go on with it; "" where it cannot be
 * saved. The VM's. */
const char *vm_machine(const struct vm *vm);

/* How the process ended, after vm_process_fd() became readable: 0 where the guest reset itself, otherwise an
 * error with the engine's last words. */
int vm_wait(struct vm *vm, struct error *err);
void vm_free(struct vm *vm); /* kills what still runs */

/* The template that a clone was made from did not bring up an agent: drop it, so that the next vm_start()
 * makes it anew. */
int vm_template_discard(const struct vm *vm, struct error *err);

/* Makes the template that config would use, if it is not there. */
int vm_template_prepare(const struct vm_engine *e, const struct vm_config *config, struct error *err);

/* Removes the templates that were last used before a second since 1970; dry_run: only tells. `size` is in
 * bytes on the disk. What runs is not touched by it. */
typedef void vm_template_tell(void *context, const char *key, uint64_t size);
int vm_templates_clean(const char *home, int64_t before, bool dry_run, vm_template_tell *tell, void *context,
	struct error *err);

/* Removes what killed processes left half-made under home. */
void vm_sweep(const char *home);

/* One finding of `self doctor`: what, how it stands, and what to do. */
struct vm_finding {
	const char *topic; /* "kvm", "qemu", "landlock", "user namespaces", "libkrun", "kernel", … */
	enum { VM_FINDING_GOOD, VM_FINDING_NOTE, VM_FINDING_BAD } state;
	char text[512];
};

/* Examines this host; calls `tell` for each finding. */
int vm_doctor(const char *home, const char *agent_path,
	void (*tell)(void *context, const struct vm_finding *finding), void *context, struct error *err);
