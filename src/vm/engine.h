/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine is to vm.c: a table of functions, and the part of struct vm that all engines share. */
#pragma once

#include "vm/vm.h"

struct vm {
	const struct vm_engine *engine;
	pid_t pid;
	int pid_fd;
	int agent_fd;
	int volumes_fd; /* or -1 */
	int console_fd; /* our end of what the engine's process says on standard error, or -1 */
	bool clone;
	const char *accelerator; /* a constant */
	uint8_t *hello;
	size_t hello_size;
};

/* What `self doctor` asks of an engine. */
struct examination {
	const char *home, *agent_path;
	void (*tell)(void *context, const struct vm_finding *finding);
	void *context;
};

/* Tells one finding; state: VM_FINDING_*. */
void finding(const struct examination *e, const char *topic, int state, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

struct vm_engine {
	const char *name;
	bool templates;
	bool nics_reconnect; /* as vm_nics_reconnect() */
	/* 0 when this host has what the engine needs; otherwise *err says what to install. */
	int (*available)(struct error *err);
	int (*start)(const struct vm_config *config, struct vm **vm, struct error *err);
	const char *(*root_type)(const char *home); /* as vm_root_type(); NULL: always "erofs" */
	int (*pause)(struct vm *vm, struct error *err);
	int (*resume)(struct vm *vm, struct error *err);
	int (*wait)(struct vm *vm, struct error *err);
	/* As vm_snapshot_…() and vm_machine(); all NULL: it saves none. */
	int (*snapshot_prepare)(struct vm *vm, struct error *err);
	int (*snapshot_base)(const struct vm *vm, int memory, struct error *err);
	int (*snapshot_save)(struct vm *vm, int memory, int state, struct error *err);
	const char *(*machine)(const struct vm *vm);
	void (*free)(struct vm *vm); /* the process has been killed and reaped */
	/* Of engines with templates; the VM is a clone. */
	int (*template_discard)(const struct vm *vm, struct error *err);
	int (*template_prepare)(const struct vm_config *config, struct error *err);
	void (*examine)(const struct examination *e); /* may be NULL */
	/* vm_templates_clean(); NULL: it has none */
	int (*templates_clean)(const char *home, int64_t before, bool dry_run, vm_template_tell *tell,
		void *context, struct error *err);
	void (*sweep)(const char *home); /* removes what killed processes left; may be NULL */
};

extern const struct vm_engine engine_qemu, engine_krun;

#define ENGINE_COUNT 2
extern const struct vm_engine *const engines[ENGINE_COUNT]; /* in the order in which "auto" tries them */

/* Reads the agent's HELLO, its first frame, from fd; gives up at the deadline (clock_monotonic) or when the
 * process behind pid_fd ends. The payload is the caller's. */
int agent_read_hello(
	int fd, int pid_fd, uint64_t deadline, uint8_t **payload, size_t *size, struct error *err);
