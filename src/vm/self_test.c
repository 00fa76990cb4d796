/* SPDX-License-Identifier: Apache-2.0 */
/* A guest of a dozen bytes: it counts down from twenty million and halts. Real hardware needs some ten
 * milliseconds; where KVM is only pretended it crawls or dies. */
#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "vm/accelerator.h"

#if defined(__x86_64__)
#define TEST_TIME MILLISECONDS(500)
#define PAGE      4096u
#define CODE_AT   0x1000u

/* mov ecx, 20000000; loop: dec ecx; jnz loop; hlt (16-bit code with 32-bit operands) */
static const uint8_t code[] = {0x66, 0xb9, 0x00, 0x2d, 0x31, 0x01, 0x66, 0x49, 0x75, 0xfc, 0xf4};

static bool run_guest(int kvm)
{
	struct kvm_userspace_memory_region region = {.guest_phys_addr = CODE_AT, .memory_size = PAGE};
	struct kvm_regs regs = {.rip = 0, .rflags = 2};
	struct kvm_sregs sregs;
	struct kvm_run *run;
	int vm = ioctl(kvm, KVM_CREATE_VM, 0), cpu, size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (vm < 0 || size < (int)sizeof *run || page == MAP_FAILED)
		return false;
	memcpy(page, code, sizeof code);
	region.userspace_addr = (uintptr_t)page;
	cpu = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -1 : ioctl(vm, KVM_CREATE_VCPU, 0);
	if (cpu < 0 || ioctl(cpu, KVM_GET_SREGS, &sregs) < 0)
		return false;
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	sregs.cs.base = CODE_AT;
	sregs.cs.selector = CODE_AT >> 4;
	if (run == MAP_FAILED || ioctl(cpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(cpu, KVM_SET_REGS, &regs) < 0)
		return false;
	while (ioctl(cpu, KVM_RUN, 0) < 0)
		if (errno != EINTR)
			return false;
	return run->exit_reason == KVM_EXIT_HLT && ioctl(cpu, KVM_GET_REGS, &regs) == 0 &&
	       (uint32_t)regs.rcx == 0;
}

bool accelerator_self_test(int kvm_fd)
{
	pid_t pid = fork();
	struct pollfd p = {.events = POLLIN};
	int status = -1;

	if (pid == 0)
		_exit(run_guest(kvm_fd) ? 0 : 1);
	if (pid < 0)
		return false;
	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd < 0 || poll(&p, 1, clock_poll_timeout(clock_monotonic() + TEST_TIME)) != 1)
		kill(pid, SIGKILL);
	if (p.fd >= 0)
		close(p.fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}
#else
bool accelerator_self_test(int kvm_fd)
{
	(void)kvm_fd;
	return false;
}
#endif
