/* SPDX-License-Identifier: Apache-2.0 */
/* The engine QEMU: clones of templates, or a boot. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "os/process.h"
#include "vm/child.h"
#include "vm/engine.h"
#include "vm/qemu/freeze.h"

#define QMP_TIME   (20 * NANOSECONDS_PER_SECOND)
#define START_TIME (20 * NANOSECONDS_PER_SECOND)

struct qemu_vm {
	struct vm vm;
	struct qmp qmp;
	char *home;
	/* Of a clone. */
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

/* Takes over the process and, on success, the HELLO. */
static int new_vm(const struct recipe *p, struct qemu *q, uint8_t **hello, size_t hello_size,
	const struct template *t, struct vm **out, struct error *err)
{
	struct qemu_vm *v = calloc(1, sizeof *v);
	char *home = text_copy(p->config->home, err);

	if (!v || !home) {
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
		.clone = t != NULL,
		.accelerator = p->machine.kvm ? "kvm" : "tcg",
		.hello = TAKE_PTR(*hello),
		.hello_size = hello_size};
	v->qmp = q->qmp;
	v->home = home;
	if (t) {
		memcpy(v->key, t->key, sizeof v->key);
		v->inode = t->inode;
	}
	qemu_empty(q);
	*out = &v->vm;
	return 0;
}

static int start_cold(const struct recipe *p, struct vm **vm, struct error *err)
{
	_cleanup_free_ uint8_t *hello = NULL;
	size_t hello_size = 0;
	struct qemu q;
	int r;

	qemu_empty(&q);
	r = boot_machine(p, NULL, &q, &hello, &hello_size, err);
	return r == 0 ? new_vm(p, &q, &hello, hello_size, NULL, vm, err) : r;
}

/* QEMU loads the state, and the machine runs on. One that cannot be loaded ends QEMU, which whoever waits for
 * the agent's answer sees. */
static int start_clone(const struct recipe *p, struct vm **vm, struct error *err)
{
	struct machine machine = p->machine;
	struct template t;
	struct qemu_spec spec = {.path = p->qemu, .machine = &machine, .config = p->config};
	struct qemu q;
	int r = template_take(p, &t, err);

	if (r < 0)
		return r;
	machine.role = MACHINE_CLONE;
	spec.memory_fd = t.memory;
	spec.state_fd = t.state;
	r = qemu_start(&spec, clock_monotonic() + START_TIME, &q, err);
	if (r == 0)
		r = new_vm(p, &q, &t.hello, t.hello_size, &t, vm, err);
	template_close(&t);
	return r;
}

static int start(const struct vm_config *config, struct vm **vm, struct error *err)
{
	struct recipe p;
	int r = recipe_make(config, &p, err);

	if (r < 0)
		return r;
	r = config->cold || config->nfs || config->share_count ? start_cold(&p, vm, err)
							       : start_clone(&p, vm, err);
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
	free(v->home);
	free(v);
}

static int discard(const struct vm *vm, struct error *err)
{
	const struct qemu_vm *v = of(vm);

	return template_remove(v->home, v->key, v->inode, err);
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
	.free = free_vm,
	.template_discard = discard,
	.template_prepare = prepare,
	.examine = examine,
	.sweep = template_sweep};
