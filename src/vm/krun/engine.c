/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine libkrun. It boots each guest: libkrun can neither save nor load one. It needs KVM, and a kernel
 * in libkrunfw that can mount what monocore makes; docs/engines.md has what is known of that.
 */
#include "vm/krun/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/message.h"
#include "os/fs.h"
#include "vm/accelerator.h"
#include "vm/child.h"
#include "vm/engine.h"
#include "vm/krun/guest_kernel.h"
#include "vm/krun/process.h"
#include "vm/krun/root_disk.h"

#define MEMORY_STEP (64ULL << 20)
#define MEMORY_MIN  (128ULL << 20)
#define MEMORY_MAX  (1ULL << 46)
#define BOOT_TIME   (30 * NANOSECONDS_PER_SECOND)
#define STOP_TIME   (2 * NANOSECONDS_PER_SECOND)

static uint64_t round_memory(uint64_t bytes)
{
	uint64_t rounded = (bytes + MEMORY_STEP - 1) / MEMORY_STEP * MEMORY_STEP;

	return rounded < MEMORY_MIN ? MEMORY_MIN : rounded;
}

static int open_kvm(int *fd, struct error *err)
{
	*fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT)
		return error_set(err, ERROR_UNAVAILABLE,
			"libkrun needs KVM, and there is no /dev/kvm: load the module kvm_intel or kvm_amd, "
			"or use "
			"--engine qemu");
	return error_set(err, ERROR_UNAVAILABLE,
		"libkrun needs KVM, and /dev/kvm cannot be opened: %s: add the user to the group kvm, or use "
		"--engine qemu",
		strerror(errno));
}

static int available(struct error *err)
{
	_cleanup_krun_library_ struct krun_library library = {0};
	_cleanup_fd_ int kvm = -1;
	int r = krun_library_find(&library, err);

	return r < 0 ? r : open_kvm(&kvm, err);
}

/* What HELLO says of the kernel is remembered, and judged. */
static int judge_hello(const struct krun_host *host, const struct vm_config *config, const uint8_t *hello,
	size_t size, struct error *err)
{
	struct message_hello m = {0};
	int r = message_hello_decode(cursor_of(hello, size), &m, err);

	if (r < 0)
		return error_prefix(err, "the agent's HELLO");
	krun_kernel_remember(config->home, host->library.build, m.missing);
	r = krun_kernel_suits(m.missing, config->image_fd, config->disk_fd >= 0, err);
	message_hello_free(&m);
	return r;
}

/* Takes over the process and the HELLO. */
static int new_vm(struct krun_process *p, uint8_t **hello, size_t size, struct vm **vm, struct error *err)
{
	struct vm *v = malloc(sizeof *v);

	if (!v)
		return error_no_memory(err, "start a VM");
	*v = (struct vm){.engine = &engine_krun,
		.pid = p->pid,
		.pid_fd = p->pid_fd,
		.agent_fd = p->agent_fd,
		.volumes_fd = p->volumes_fd,
		.console_fd = p->words_fd,
		.accelerator = "kvm",
		.hello = TAKE_PTR(*hello),
		.hello_size = size};
	*vm = v;
	return 0;
}

static int boot(
	const struct krun_host *host, const struct vm_config *config, struct vm **vm, struct error *err)
{
	_cleanup_free_ char *root_path = NULL;
	_cleanup_free_ uint8_t *hello = NULL;
	_cleanup_fd_ int root = -1;
	struct krun_spec spec = {.config = config,
		.library = &host->library,
		.by_path = host->by_path,
		.memory = round_memory(config->memory),
		.kvm_fd = host->kvm_fd};
	struct krun_process p;
	size_t size = 0;
	int r = krun_root_disk(config->home, config->agent_path, &root, &root_path, err);

	if (r < 0)
		return r;
	spec.root_fd = root;
	spec.root_path = root_path;
	r = krun_process_start(&spec, clock_monotonic() + host->boot_time, &p, &hello, &size, err);
	if (r < 0)
		return r;
	r = judge_hello(host, config, hello, size, err);
	if (r == 0)
		r = new_vm(&p, &hello, size, vm, err);
	if (r < 0)
		krun_process_end(&p, NULL);
	return r;
}

int krun_start(
	const struct krun_host *host, const struct vm_config *config, struct vm **vm, struct error *err)
{
	_cleanup_free_ char *missing = NULL;
	int r = 0;

	if (config->share_count)
		return error_set(err, ERROR_UNAVAILABLE,
			"libkrun has no vhost-user devices, by which virtiofs comes: use --engine qemu");
	if (config->nfs)
		return error_set(
			err, ERROR_UNAVAILABLE, "libkrun's kernel is given no NFS client: use --engine qemu");
	if (config->accelerator == VM_ACCELERATOR_TCG)
		return error_set(err, ERROR_UNAVAILABLE,
			"libkrun runs guests by KVM only: software emulation is to be had with --engine "
			"qemu");
	if (config->memory > MEMORY_MAX)
		return error_set(err, ERROR_LIMIT, "start a VM with more than 64 TiB of memory");
	missing = krun_kernel_recall(config->home, host->library.build);
	if (missing)
		r = krun_kernel_suits(missing, config->image_fd, config->disk_fd >= 0, err);
	return r < 0 ? r : boot(host, config, vm, err);
}

static const char *root_type(const char *home)
{
	_cleanup_krun_library_ struct krun_library library = {0};

	return krun_library_find(&library, NULL) < 0 ? "erofs" : krun_kernel_root_type(home, library.build);
}

static int start(const struct vm_config *config, struct vm **vm, struct error *err)
{
	struct krun_host host = {.kvm_fd = -1};
	struct accelerator accelerator;
	int r = krun_library_find(&host.library, err);

	if (r == 0)
		r = vm_start_timeout(BOOT_TIME, &host.boot_time, err);
	if (r == 0)
		r = accelerator_find(config->home, VM_ACCELERATOR_KVM, &accelerator, err);
	if (r == 0)
		r = open_kvm(&host.kvm_fd, err);
	if (r == 0)
		r = krun_start(&host, config, vm, err);
	if (host.kvm_fd >= 0)
		close(host.kvm_fd);
	krun_library_free(&host.library);
	return r;
}

/* libkrun has no call for this: the whole process stops, the guest's processors with it. */
static int pause_vm(struct vm *vm, struct error *err)
{
	uint64_t deadline = clock_monotonic() + STOP_TIME;

	if (vm->pid <= 0 || kill(vm->pid, SIGSTOP) < 0)
		return error_set(err, ERROR_CLOSED, "pause the VM: it has ended");
	for (;;) {
		siginfo_t info = {0};

		if (waitid(P_PID, (id_t)vm->pid, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT) < 0 &&
			errno != EINTR)
			return error_errno(err, errno, "pause the VM");
		if (info.si_pid && info.si_code == CLD_STOPPED)
			return 0;
		if (info.si_pid)
			return error_set(err, ERROR_CLOSED, "pause the VM: it has ended");
		if (clock_monotonic() > deadline)
			return error_set(err, ERROR_TIMEOUT, "pause the VM: libkrun's process does not stop");
		poll(NULL, 0, 1);
	}
}

static int resume_vm(struct vm *vm, struct error *err)
{
	if (vm->pid <= 0 || kill(vm->pid, SIGCONT) < 0)
		return error_set(err, ERROR_CLOSED, "resume the VM: it has ended");
	return 0;
}

static int wait_vm(struct vm *vm, struct error *err)
{
	int status, r = child_wait(vm, &status, err);

	return r < 0 ? r : child_explain(vm, "libkrun", status, err);
}

static void free_vm(struct vm *vm)
{
	free(vm);
}

static void examine(const struct examination *e)
{
	_cleanup_krun_library_ struct krun_library library = {0};
	_cleanup_free_ char *missing = NULL;
	_cleanup_fd_ int kvm = -1;
	struct error err = {0};

	if (krun_library_find(&library, &err) < 0 || open_kvm(&kvm, &err) < 0) {
		finding(e, "libkrun", VM_FINDING_NOTE, "%s", err.text);
		return;
	}
	missing = krun_kernel_recall(e->home, library.build);
	if (missing && *missing)
		finding(e, "libkrun", VM_FINDING_NOTE,
			"%s: its kernel cannot mount %s; it gets images as %s; it has no templates",
			library.path, missing, krun_kernel_root_type(e->home, library.build));
	else
		finding(e, "libkrun", VM_FINDING_GOOD, "%s; it has no templates: every sandbox boots",
			library.path);
}

const struct vm_engine engine_krun = {.name = "krun",
	.available = available,
	.start = start,
	.root_type = root_type,
	.pause = pause_vm,
	.resume = resume_vm,
	.wait = wait_vm,
	.free = free_vm,
	.examine = examine,
	.sweep = krun_root_disk_sweep};
