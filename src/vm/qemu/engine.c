/* SPDX-License-Identifier: Apache-2.0 */
/* The engine QEMU: clones of templates, or a boot. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/process.h"
#include "vm/child.h"
#include "vm/engine.h"
#include "vm/qemu/freeze.h"
#include "vm/qemu/snapshot.h"
#include "vm/qemu/templates_clean.h"

#define QMP_TIME   (20 * NANOSECONDS_PER_SECOND)
#define START_TIME (20 * NANOSECONDS_PER_SECOND)

struct qemu_vm {
	struct vm vm;
	struct qmp qmp;
	char *home;
	char machine[SHA256_HEX_SIZE];
	struct snapshot_source source; /* its base: of a clone */
	/* Of a clone of a template; "": it is none. */
	char key[SHA256_HEX_SIZE];
	ino_t inode;
};

static struct qemu_vm *of(const struct vm *vm)
{
	return (struct qemu_vm *)vm;
}

static int available(struct error *err)
{
	_cleanup_free_ char *path = machine_find_qemu(err);

	return path ? 0 : -ERROR_UNAVAILABLE;
}

/* Takes over the process and, on success, the HELLO and what the memory of a clone is based on (else -1). */
static int new_vm(const struct recipe *p, struct qemu *q, uint8_t **hello, size_t hello_size, int *base,
	struct vm **out, struct error *err)
{
	struct qemu_vm *v = calloc(1, sizeof *v);
	char *home = text_copy(p->config->home, err);

	if (!v || !home || recipe_machine(p, v->machine, err) < 0) {
		free(v);
		free(home);
		qemu_end(q);
		return error_no_memory(err, "start a VM");
	}
	v->vm = (struct vm){.engine = &engine_qemu,
		.pid = q->pid,
		.pid_fd = q->pid_fd,
		.agent_fd = q->agent_fd,
		.volumes_fd = q->volumes_fd,
		.console_fd = q->words_fd,
		.clone = *base >= 0,
		.accelerator = p->machine.kvm ? "kvm" : "tcg",
		.hello = TAKE_PTR(*hello),
		.hello_size = hello_size};
	v->qmp = q->qmp;
	v->home = home;
	v->source = SNAPSHOT_SOURCE_NONE;
	v->source.base = TAKE_FD(*base);
	qemu_empty(q);
	*out = &v->vm;
	return 0;
}

static int start_cold(const struct recipe *p, struct vm **vm, struct error *err)
{
	_cleanup_free_ uint8_t *hello = NULL;
	size_t hello_size = 0;
	struct qemu q;
	int none = -1, r;

	qemu_empty(&q);
	r = boot_machine(p, NULL, &q, &hello, &hello_size, err);
	return r == 0 ? new_vm(p, &q, &hello, hello_size, &none, vm, err) : r;
}

/* QEMU loads the state, and the machine runs on. One that cannot be loaded ends QEMU, which whoever waits for
 * the agent's answer sees. */
static int start_loaded(const struct recipe *p, int memory, int state, struct qemu *q, struct error *err)
{
	struct machine machine = p->machine;
	const struct qemu_spec spec = {.path = p->qemu,
		.machine = &machine,
		.memory_fd = memory,
		.state_fd = state,
		.config = p->config};

	machine.role = MACHINE_CLONE;
	return qemu_start(&spec, clock_monotonic() + START_TIME, q, err);
}

static int start_clone(const struct recipe *p, struct vm **vm, struct error *err)
{
	struct template t;
	struct qemu q;
	int r = template_take(p, &t, err);

	if (r < 0)
		return r;
	r = start_loaded(p, t.memory, t.state, &q, err);
	if (r == 0)
		r = new_vm(p, &q, &t.hello, t.hello_size, &t.memory, vm, err);
	if (r == 0) {
		memcpy(of(*vm)->key, t.key, sizeof t.key);
		of(*vm)->inode = t.inode;
	}
	template_close(&t);
	return r;
}

/* A state of another machine, or of another QEMU, may load and go wrong later: it is not tried. */
static int check_saved(const struct recipe *p, struct error *err)
{
	const struct vm_saved *s = p->config->saved;
	char machine[SHA256_HEX_SIZE];
	struct stat st;
	int r = recipe_machine(p, machine, err);

	if (r < 0)
		return r;
	if (strcmp(machine, s->machine))
		return error_set(err, ERROR_UNAVAILABLE,
			"it was saved on another machine: QEMU, accelerator or processor are not the same "
			"here");
	if (fstat(s->memory, &st) < 0)
		return error_errno(err, errno, "look at the saved memory");
	if ((uint64_t)st.st_size != p->machine.memory)
		return error_set(err, ERROR_CORRUPT, "the saved memory is not as large as the machine's");
	return 0;
}

static int start_saved(const struct recipe *p, struct vm **vm, struct error *err)
{
	const struct vm_saved *s = p->config->saved;
	_cleanup_free_ uint8_t *hello = NULL;
	_cleanup_fd_ int base = -1;
	struct qemu q;
	int r = check_saved(p, err);

	if (r < 0)
		return r;
	hello = malloc(s->hello_size + 1);
	base = fcntl(s->memory, F_DUPFD_CLOEXEC, 0);
	if (!hello || base < 0)
		return error_no_memory(err, "go on with a saved machine");
	memcpy(hello, s->hello, s->hello_size);
	r = start_loaded(p, s->memory, s->state, &q, err);
	return r == 0 ? new_vm(p, &q, &hello, s->hello_size, &base, vm, err) : r;
}

static int start(const struct vm_config *config, struct vm **vm, struct error *err)
{
	struct recipe p;
	int r = recipe_make(config, &p, err);

	if (r < 0)
		return r;
	if (config->saved)
		r = start_saved(&p, vm, err);
	else if (config->cold || config->nfs || config->share_count)
		r = start_cold(&p, vm, err);
	else
		r = start_clone(&p, vm, err);
	recipe_free(&p);
	return r;
}

static int command(struct vm *vm, const char *name, struct error *err)
{
	return qmp_execute(&of(vm)->qmp, name, NULL, -1, clock_monotonic() + QMP_TIME, NULL, err);
}

static int pause_vm(struct vm *vm, struct error *err)
{
	return command(vm, "stop", err);
}

static int resume_vm(struct vm *vm, struct error *err)
{
	return command(vm, "cont", err);
}

static int snapshot_prepare(struct vm *vm, struct error *err)
{
	return snapshot_source_open(&of(vm)->source, vm->pid, err);
}

static int snapshot_base(const struct vm *vm, int memory, struct error *err)
{
	return snapshot_copy_base(&of(vm)->source, memory, err);
}

static int snapshot_save(struct vm *vm, int memory, int state, struct error *err)
{
	int r = snapshot_save_devices(&of(vm)->qmp, state, err);

	return r == 0 ? snapshot_copy_pages(&of(vm)->source, memory, err) : r;
}

static const char *machine_of(const struct vm *vm)
{
	return of(vm)->source.memory >= 0 ? of(vm)->machine : "";
}

static int wait_vm(struct vm *vm, struct error *err)
{
	int status, r = child_wait(vm, &status, err);

	if (r < 0)
		return r;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGBUS)
		return child_explain(vm, "QEMU", status, err);
	r = error_set(err, ERROR_NO_SPACE,
		"QEMU could not get at the guest's memory: is the file system of %s full?", of(vm)->home);
	child_last_words(vm->console_fd, err);
	return r;
}

static void free_vm(struct vm *vm)
{
	struct qemu_vm *v = of(vm);

	qmp_close(&v->qmp);
	snapshot_source_close(&v->source);
	free(v->home);
	free(v);
}

static int discard(const struct vm *vm, struct error *err)
{
	const struct qemu_vm *v = of(vm);

	return *v->key ? template_remove(v->home, v->key, v->inode, err) : 0;
}

static int prepare(const struct vm_config *config, struct error *err)
{
	struct template t;
	struct recipe p;
	int r = recipe_make(config, &p, err);

	if (r < 0)
		return r;
	r = template_take(&p, &t, err);
	if (r == 0)
		template_close(&t);
	recipe_free(&p);
	return r;
}

static void examine_program(const struct examination *e)
{
	struct error err = {0};
	_cleanup_free_ char *path = machine_find_qemu(&err), *version = NULL;
	_cleanup_buffer_ struct buffer out = {0};
	struct process_run_options options = {.out = &out, .limit = 4096, .timeout = QMP_TIME};

	if (!path) {
		finding(e, "qemu", VM_FINDING_BAD, "%s", err.text);
		return;
	}
	if (process_run((const char *const[]){path, "--version", NULL}, &options, &err) < 0) {
		finding(e, "qemu", VM_FINDING_BAD, "%s", err.text);
		return;
	}
	version = buffer_take_text(&out);
	finding(e, "qemu", VM_FINDING_GOOD, "%s: %.*s", path, version ? (int)strcspn(version, "\n") : 0,
		version ? version : "");
}

static void examine_accelerator(const struct examination *e)
{
	struct accelerator a;
	struct error err = {0};

	if (accelerator_find(e->home, VM_ACCELERATOR_AUTO, &a, &err) < 0)
		finding(e, "kvm", VM_FINDING_BAD, "%s", err.text);
	else if (a.kvm)
		finding(e, "kvm", VM_FINDING_GOOD, "%s", a.reason);
	else
		finding(e, "kvm", VM_FINDING_NOTE,
			"%s. Sandboxes run by software emulation (TCG), several times slower", a.reason);
}

/* All bytes of all templates. One that is damaged is removed: the next start makes it anew. */
static void examine_templates(const struct examination *e)
{
	_cleanup_text_list_ char **keys = NULL;
	size_t whole = 0;

	template_list(e->home, &keys, NULL);
	for (size_t i = 0; i < text_list_size(keys); i++) {
		struct template t;
		struct error err = {0};
		int r = template_open(e->home, keys[i], true, &t, &err);

		if (r == 0)
			whole++;
		else if (r != -ERROR_NOT_FOUND)
			finding(e, "templates", VM_FINDING_NOTE, "%s%s", err.text,
				template_remove(e->home, keys[i], t.inode, NULL) == 0
					? ": it is removed, and the next start makes another"
					: "");
		template_close(&t);
	}
	finding(e, "templates", VM_FINDING_GOOD, "%zu, every byte checked", whole);
}

static void examine(const struct examination *e)
{
	examine_program(e);
	examine_accelerator(e);
	examine_templates(e);
}

const struct vm_engine engine_qemu = {.name = "qemu",
	.templates = true,
	.nics_reconnect = true,
	.available = available,
	.start = start,
	.pause = pause_vm,
	.resume = resume_vm,
	.wait = wait_vm,
	.snapshot_prepare = snapshot_prepare,
	.snapshot_base = snapshot_base,
	.snapshot_save = snapshot_save,
	.machine = machine_of,
	.free = free_vm,
	.template_discard = discard,
	.template_prepare = prepare,
	.examine = examine,
	.templates_clean = templates_clean,
	.sweep = template_sweep};
