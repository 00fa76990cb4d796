/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of vm.h: they find the engine and hand on. What all engines do alike is done here. */
#include "vm/vm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "vm/engine.h"

#define TIMEOUT_ENV "MONOCORE_START_TIMEOUT"
#define TIMEOUT_MAX (24 * 3600 * NANOSECONDS_PER_SECOND)

const struct vm_engine *const engines[ENGINE_COUNT] = {&engine_qemu, &engine_krun};

const struct vm_engine *vm_engine_find(const char *name, struct error *err)
{
	struct error first = {0};

	for (size_t i = 0; i < ENGINE_COUNT; i++) {
		if (!strcmp(name, engines[i]->name))
			return engines[i]->available(err) < 0 ? NULL : engines[i];
		if (!strcmp(name, "auto")) {
			if (engines[i]->available(err) == 0)
				return engines[i];
			if (i == 0 && err)
				first = *err;
		}
	}
	if (strcmp(name, "auto"))
		error_set(err, ERROR_USAGE, "engine '%s': there is auto, qemu and krun", name);
	else if (err)
		*err = first;
	return NULL;
}

const char *vm_engine_name(const struct vm_engine *e)
{
	return e->name;
}

bool vm_engine_has_templates(const struct vm_engine *e)
{
	return e->templates;
}

bool vm_nics_reconnect(const struct vm_engine *e)
{
	return e->nics_reconnect;
}

const char *vm_root_type(const struct vm_engine *e, const char *home)
{
	return e->root_type ? e->root_type(home) : "erofs";
}

int vm_start(const struct vm_engine *e, const struct vm_config *config, struct vm **vm, struct error *err)
{
	if (config->cpus < 1 || config->cpus > 64)
		return error_set(
			err, ERROR_USAGE, "start a VM with %u cpus: 1 to 64 are possible", config->cpus);
	if (config->share_count > VM_SHARES_MAX)
		return error_set(err, ERROR_LIMIT,
			"start a VM with %zu file systems by virtiofs: %d are possible", config->share_count,
			VM_SHARES_MAX);
	if (config->nic_count < 1 || config->nic_count > VM_NICS_MAX)
		return error_set(err, ERROR_LIMIT,
			"start a VM with %zu network devices: 1 to %d are possible", config->nic_count,
			VM_NICS_MAX);
	if (config->saved && !e->snapshot_save)
		return error_set(
			err, ERROR_UNAVAILABLE, "the engine %s brings no saved machine back", e->name);
	return e->start(config, vm, err);
}

int vm_start_timeout(uint64_t usual, uint64_t *timeout, struct error *err)
{
	const char *text = getenv(TIMEOUT_ENV);
	int r = 0;

	*timeout = usual;
	if (text && *text)
		r = text_parse_duration(text, TIMEOUT_ENV, timeout, err);
	if (r == 0 && (*timeout == 0 || *timeout > TIMEOUT_MAX))
		r = error_set(
			err, ERROR_USAGE, TIMEOUT_ENV " '%s': more than nothing and at most a day", text);
	return r;
}

int vm_agent_fd(const struct vm *vm)
{
	return vm->agent_fd;
}

int vm_volumes_fd(const struct vm *vm)
{
	return vm->volumes_fd;
}

int vm_process_fd(const struct vm *vm)
{
	return vm->pid_fd;
}

pid_t vm_pid(const struct vm *vm)
{
	return vm->pid;
}

bool vm_is_clone(const struct vm *vm)
{
	return vm->clone;
}

const uint8_t *vm_hello(const struct vm *vm, size_t *size)
{
	*size = vm->hello_size;
	return vm->hello;
}

const char *vm_accelerator_name(const struct vm *vm)
{
	return vm->accelerator;
}

int vm_pause(struct vm *vm, struct error *err)
{
	return vm->engine->pause(vm, err);
}

int vm_resume(struct vm *vm, struct error *err)
{
	return vm->engine->resume(vm, err);
}

int vm_snapshot_prepare(struct vm *vm, struct error *err)
{
	if (!vm->engine->snapshot_prepare)
		return error_set(err, ERROR_UNAVAILABLE, "the engine %s saves no machines", vm->engine->name);
	return vm->engine->snapshot_prepare(vm, err);
}

int vm_snapshot_base(const struct vm *vm, int memory, struct error *err)
{
	return vm->engine->snapshot_base(vm, memory, err);
}

int vm_snapshot_save(struct vm *vm, int memory, int state, struct error *err)
{
	return vm->engine->snapshot_save(vm, memory, state, err);
}

const char *vm_machine(const struct vm *vm)
{
	return vm->engine->machine ? vm->engine->machine(vm) : "";
}

void vm_kill(struct vm *vm)
{
	siginfo_t info;

	if (vm->pid <= 0)
		return;
	kill(vm->pid, SIGKILL);
	/* Left to be reaped by vm_wait() or vm_free(): until then the pid is still ours. */
	while (waitid(P_PID, (id_t)vm->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
}

int vm_wait(struct vm *vm, struct error *err)
{
	return vm->engine->wait(vm, err);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	if (vm->pid > 0) {
		vm_kill(vm);
		while (waitpid(vm->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (vm->pid_fd >= 0)
		close(vm->pid_fd);
	if (vm->agent_fd >= 0)
		close(vm->agent_fd);
	if (vm->volumes_fd >= 0)
		close(vm->volumes_fd);
	if (vm->console_fd >= 0)
		close(vm->console_fd);
	free(vm->hello);
	vm->engine->free(vm);
}

int vm_template_discard(const struct vm *vm, struct error *err)
{
	return vm->clone ? vm->engine->template_discard(vm, err) : 0;
}

int vm_template_prepare(const struct vm_engine *e, const struct vm_config *config, struct error *err)
{
	return e->templates ? e->template_prepare(config, err) : 0;
}

int vm_templates_clean(const char *home, int64_t before, bool dry_run, vm_template_tell *tell, void *context,
	struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ENGINE_COUNT; i++)
		if (engines[i]->templates_clean)
			r = engines[i]->templates_clean(home, before, dry_run, tell, context, err);
	return r;
}

void vm_sweep(const char *home)
{
	for (size_t i = 0; i < ENGINE_COUNT; i++)
		if (engines[i]->sweep)
			engines[i]->sweep(home);
}
