/* SPDX-License-Identifier: Apache-2.0 */
#include "vm/qemu/machine.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "codec/message.h"

#define MIB               (1024ULL * 1024)
#define QEMU_NAME         "qemu-system-x86_64"
#define TRANSLATION_CACHE 256 /* MiB for TCG's code: reserved, touched as it fills */
/* As large as those of its file system, which the kernel else reads in two sizes as it mounts it. */
#define DISK_BLOCKS ",logical_block_size=4096,physical_block_size=4096"
#define SHARE_QUEUE "1024" /* requests of 1 MiB need 256 and a few */
/* Without what every switch of a process and every opened file would pay for, and nobody asks for: pressure,
 * and security modules that have no policy here. */
#define KERNEL_WORDS "console=ttyS0 quiet reboot=t panic=-1 psi=0 lsm=landlock,yama"
/* What keeps a processor from speculating keeps nothing in TCG's code, and is as much work to translate. */
#define EMULATED_WORDS " mitigations=off"

uint64_t machine_memory(uint64_t bytes)
{
	uint64_t rounded = (bytes + MACHINE_MEMORY_STEP - 1) / MACHINE_MEMORY_STEP * MACHINE_MEMORY_STEP;

	return rounded < MACHINE_MEMORY_MIN ? MACHINE_MEMORY_MIN : rounded;
}

uint64_t machine_address_space(const struct machine *m)
{
	/* QEMU, its libraries, the code cache, a kernel that is being loaded, the worker threads' stacks and
	 * malloc arenas. */
	return m->memory + (3072 + TRANSLATION_CACHE + 128 * (uint64_t)m->cpus) * MIB;
}

/* An argument list that is being put together; sticky as struct buffer is. */
struct list {
	char **items;
	bool failed;
};

static void add(struct list *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct list *l, const char *format, ...)
{
	char text[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof text || text_list_add(&l->items, text, NULL) < 0)
		l->failed = true;
}

static void add_memory(struct list *l, const struct machine *m)
{
	unsigned long long mib = m->memory / MIB;

	add(l, "-m");
	add(l, "%lluM", mib);
	add(l, "-object");
	if (m->role == MACHINE_COLD && !m->share_count)
		add(l, "memory-backend-ram,id=m,size=%lluM", mib);
	else
		add(l, "memory-backend-file,id=m,size=%lluM,mem-path=" MACHINE_MEMORY_PATH ",share=%s", mib,
			m->role == MACHINE_CLONE ? "off" : "on");
}

/* file.locking=off: the descriptors come from us, who hold the locks; QEMU would probe for them by opening
 * /dev/null. */
static void add_disk(
	struct list *l, const char *name, int fd, bool there, const char *how, const char *device)
{
	if (there) {
		add(l, "-add-fd");
		add(l, "fd=%d,set=%d", fd, fd);
		add(l, "-blockdev");
		add(l,
			"driver=raw,node-name=%s,file.driver=file,file.filename=/dev/fdset/"
			"%d,file.locking=off,%s",
			name, fd, how);
	} else {
		add(l, "-blockdev");
		add(l, "driver=null-co,node-name=%s,size=%llu,read-zeroes=on,%s", name, 1ULL << 40, how);
	}
	add(l, "-device");
	add(l, "virtio-blk-device,drive=%s,werror=report,rerror=report%s", name, device);
}

static void add_shares(struct list *l, const struct machine *m)
{
	for (unsigned i = 0; i < m->share_count; i++) {
		add(l, "-chardev");
		add(l, "socket,id=share%u,fd=%u", i, MACHINE_FD_SHARES + i);
		add(l, "-device");
		add(l, "vhost-user-fs-device,chardev=share%u,tag=%s,queue-size=" SHARE_QUEUE, i,
			m->shares[i].tag);
	}
}

/* server=on: of the two ends it is the one that can be connected to again. */
static void add_nics(struct list *l, const struct machine *m)
{
	static const uint8_t mac[] = {MESSAGE_NETWORK_MAC};

	for (unsigned i = 0; i < m->nic_count; i++) {
		add(l, "-netdev");
		if (m->role == MACHINE_TEMPLATE || !m->nics || m->nics[i].listener < 0)
			add(l, "hubport,id=net%u,hubid=%u", i, i);
		else
			add(l, "stream,id=net%u,server=on,addr.type=fd,addr.str=%u", i, MACHINE_FD_NICS + i);
		add(l, "-device");
		add(l,
			"virtio-net-device,netdev=net%u,guest_announce=off,mac=%02x:%02x:%02x:%02x:%02x:"
			"%02x",
			i, mac[0], mac[1], mac[2], mac[3], mac[4], i);
	}
}

static void add_devices(struct list *l, const struct machine *m)
{
	static const char *const fixed[] = {"-chardev", "socket,id=agent,fd=4", "-device",
		"virtio-serial-device,id=serial,max_ports=4", "-device",
		"virtserialport,bus=serial.0,chardev=agent,name=" AGENT_PORT_NAME, "-device",
		"virtserialport,bus=serial.0,chardev=volumes,name=" VOLUMES_PORT_NAME};

	_Static_assert(MACHINE_FD_AGENT == 4, "named in the text above");
	add_disk(l, "vda", MACHINE_FD_IMAGE, m->role != MACHINE_TEMPLATE, "read-only=on", "");
	add_disk(l, "vdb", MACHINE_FD_DISK, m->role != MACHINE_TEMPLATE && m->disk,
		m->role != MACHINE_TEMPLATE && m->disk ? "read-only=off,discard=unmap" : "read-only=off",
		DISK_BLOCKS);
	add(l, "-chardev");
	if (m->volumes)
		add(l, "socket,id=volumes,fd=%d", MACHINE_FD_VOLUMES);
	else
		add(l, "null,id=volumes");
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add(l, "%s", fixed[i]);
	add_nics(l, m);
	add_shares(l, m);
	add(l, "-chardev");
	add(l, m->console ? "stdio,id=console,signal=off" : "null,id=console");
	add(l, "-serial");
	add(l, "chardev:console");
}

/* Debian's cloud kernel finds the devices by ACPI only. Without the counter's frequency three boots of ten
 * hang in its calibration; without tsc=reliable the kernel compares the counter with its timer's ticks, of
 * which a busy host drops some, and then keeps time by those. reboot=t, panic=-1 and -no-reboot make every
 * end of the guest one of QEMU. */
static void add_kernel(struct list *l, const struct machine *m)
{
	char clock[64] = "";

	add(l, "-kernel");
	add(l, MACHINE_KERNEL_PATH);
	add(l, "-initrd");
	add(l, MACHINE_INITRD_PATH);
	add(l, "-append");
	if (m->tsc_khz)
		snprintf(clock, sizeof clock, " tsc=reliable tsc_early_khz=%llu",
			(unsigned long long)m->tsc_khz);
	add(l, KERNEL_WORDS "%s%s", m->kvm ? "" : EMULATED_WORDS, clock);
}

char **machine_arguments(const struct machine *m, struct error *err)
{
	static const char *const fixed[] = {QEMU_NAME, "-M", "microvm,acpi=on,memory-backend=m",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-global",
		"virtio-mmio.force-legacy=false", "-chardev", "socket,id=qmp,fd=3", "-mon",
		"chardev=qmp,mode=control"};
	struct list l = {0};

	_Static_assert(MACHINE_FD_QMP == 3, "named in the text above");
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		add(&l, "%s", fixed[i]);
	add(&l, "-accel");
	if (m->kvm)
		add(&l, "kvm");
	else
		add(&l, "tcg,tb-size=%d", TRANSLATION_CACHE);
	/* A processor with erms ("fast" string moves) makes kernel and libc move bytes one by one, which TCG
	 * does. */
	add(&l, "-cpu");
	add(&l, m->kvm ? "host" : "max,-erms");
	add(&l, "-smp");
	add(&l, "%u", m->cpus);
	add_memory(&l, m);
	add_devices(&l, m);
	/* A clone has its kernel in the memory that it wakes up with. It has nothing to announce on its
	 * networks, which listen a moment
	 * later only: QEMU 7.2 would crash; and without rounds it would crash when a device is reset that
	 * could let the guest announce itself (above). */
	if (m->role == MACHINE_CLONE) {
		add(&l, "-global");
		add(&l, "migration.announce-rounds=0");
		add(&l, "-global");
		add(&l, "migration.send-configuration=off");
		add(&l, "-incoming");
		add(&l, "fd:%d", MACHINE_FD_STATE);
	} else {
		add_kernel(&l, m);
	}
	if (l.failed) {
		text_list_free(l.items);
		error_no_memory(err, "put together QEMU's arguments");
		return NULL;
	}
	return l.items;
}

char *machine_find_qemu(struct error *err)
{
	static const char *const places[] = {
		"/usr/bin/" QEMU_NAME, "/usr/local/bin/" QEMU_NAME, "/usr/libexec/qemu-kvm"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0) {
			char *path = realpath(places[i], NULL);

			if (path)
				return path;
		}
	error_set(err, ERROR_UNAVAILABLE,
		QEMU_NAME " is not installed (Debian's package qemu-system-x86; 'make setup' installs it)");
	return NULL;
}
