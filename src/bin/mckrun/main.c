/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mckrun: becomes a virtual machine by libkrun (include/libkrun.h of github.com/containers/libkrun has the
 * calls). Started confined by the engine krun, see vm/krun/mckrun.h; uses nothing but libc, so that little
 * is in the process that the guest may break into.
 *
 * Every call is looked up before the first is made: a library that lacks one starts nothing.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/message.h"
#include "vm/krun/mckrun.h"

#define LOG_LEVEL_ERROR 1
#define FORMAT_RAW      0
#define FIXED_ARGUMENTS 5
#define NICS_MAX        8
#define MAC_SIZE        6

/* Without krun_disable_implicit_vsock the guest would get the host's network, by the sockets of TSI. */
#define CALLS(X) \
	X(krun_set_log_level, (uint32_t level)) \
	X(krun_create_ctx, (void)) \
	X(krun_set_vm_config, (uint32_t ctx, uint8_t cpus, uint32_t mebibytes)) \
	X(krun_disable_implicit_vsock, (uint32_t ctx)) \
	X(krun_disable_implicit_console, (uint32_t ctx)) \
	X(krun_add_serial_console_default, (uint32_t ctx, int in, int out)) \
	X(krun_set_kernel_console, (uint32_t ctx, const char *console)) \
	X(krun_add_virtio_console_multiport, (uint32_t ctx)) \
	X(krun_add_console_port_inout, (uint32_t ctx, uint32_t console, const char *name, int in, int out)) \
	X(krun_add_disk2, (uint32_t ctx, const char *id, const char *path, uint32_t format, bool read_only)) \
	X(krun_add_net_unixstream, (uint32_t ctx, const char *path, int fd, const uint8_t mac[6], \
					   uint32_t features, uint32_t flags)) \
	X(krun_set_root_disk_remount, \
		(uint32_t ctx, const char *device, const char *type, const char *options)) \
	X(krun_set_exec, \
		(uint32_t ctx, const char *path, const char *const argv[], const char *const envp[])) \
	X(krun_start_enter, (uint32_t ctx))

struct library {
#define X(name, arguments) int32_t(*name) arguments;
	CALLS(X)
#undef X
};

struct machine {
	uint8_t cpus;
	uint32_t mebibytes;
	bool granted, disk, volumes;
	uint8_t macs[NICS_MAX][MAC_SIZE];
	int nic_count;
};

_Noreturn static void give_up(int status, const char *what, const char *why)
{
	fprintf(stderr, "%s%s\n", what, why);
	exit(status);
}

static void *find(void *handle, const char *name)
{
	void *call = dlsym(handle, name);

	if (!call) {
		fprintf(stderr, MCKRUN_LIBRARY " has no %s: a newer libkrun is needed, with block devices\n",
			name);
		exit(MCKRUN_UNAVAILABLE);
	}
	return call;
}

static void load(struct library *l)
{
	const char *set = getenv(MCKRUN_LIBRARY_ENV);
	void *handle = dlopen(set && *set ? set : MCKRUN_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	void *call;

	if (!handle)
		give_up(MCKRUN_UNAVAILABLE, "load " MCKRUN_LIBRARY ": ", dlerror());
#define X(name, arguments) \
	call = find(handle, #name); \
	memcpy(&l->name, &call, sizeof call);
	CALLS(X)
#undef X
}

/* The call's result, where it is no error. */
static uint32_t check(const char *call, int32_t result)
{
	if (result < 0) {
		fprintf(stderr, "libkrun refused %s: %s\n", call, strerror(-result));
		exit(MCKRUN_REFUSED);
	}
	return (uint32_t)result;
}

#define CALL(name, ...) check(#name, l->name(__VA_ARGS__))

/* The serial line, which the kernel logs to, and virtio ports: the agent's, and that of volumes. */
static void add_consoles(const struct library *l, uint32_t ctx, const struct machine *m)
{
	uint32_t console;

	CALL(krun_disable_implicit_console, ctx);
	CALL(krun_add_serial_console_default, ctx, -1, STDOUT_FILENO);
	CALL(krun_set_kernel_console, ctx, "ttyS0");
	console = CALL(krun_add_virtio_console_multiport, ctx);
	CALL(krun_add_console_port_inout, ctx, console, AGENT_PORT_NAME, MCKRUN_FD_AGENT, MCKRUN_FD_AGENT);
	if (m->volumes)
		CALL(krun_add_console_port_inout, ctx, console, VOLUMES_PORT_NAME, MCKRUN_FD_VOLUMES,
			MCKRUN_FD_VOLUMES);
}

static void add_disks(const struct library *l, uint32_t ctx, const struct machine *m)
{
	CALL(krun_add_disk2, ctx, "agent", MCKRUN_PATH_ROOT, FORMAT_RAW, !m->granted);
	CALL(krun_add_disk2, ctx, "image", MCKRUN_PATH_IMAGE, FORMAT_RAW, !m->granted);
	if (m->disk)
		CALL(krun_add_disk2, ctx, "disk", MCKRUN_PATH_DISK, FORMAT_RAW, false);
}

/* Without offloads: the frames are what the switch understands. */
static void add_nics(const struct library *l, uint32_t ctx, const struct machine *m)
{
	for (int i = 0; i < m->nic_count; i++)
		CALL(krun_add_net_unixstream, ctx, NULL, MCKRUN_FD_NICS + i, m->macs[i], 0, 0);
}

/* libkrun's own init mounts the agent's disk and executes the agent in its place, as process 1. What it gets
 * as environment goes over the kernel's command line, where the agent looks for its devices. */
static void add_agent(const struct library *l, uint32_t ctx)
{
	static const char *const argv[] = {NULL};
	static const char *const envp[] = {"KRUN_INIT_PID1=1", "monocore.image=" MCKRUN_DEVICE_IMAGE,
		"monocore.disk=" MCKRUN_DEVICE_DISK, NULL};

	CALL(krun_set_root_disk_remount, ctx, MCKRUN_DEVICE_ROOT, "ext4", "ro");
	CALL(krun_set_exec, ctx, "/init", argv, envp);
}

static void become_machine(const struct library *l, const struct machine *m)
{
	uint32_t ctx;

	CALL(krun_set_log_level, LOG_LEVEL_ERROR);
	ctx = CALL(krun_create_ctx);
	CALL(krun_set_vm_config, ctx, m->cpus, m->mebibytes);
	CALL(krun_disable_implicit_vsock, ctx);
	add_consoles(l, ctx, m);
	add_disks(l, ctx, m);
	add_nics(l, ctx, m);
	add_agent(l, ctx);
	CALL(krun_start_enter, ctx);
}

/* A number of 1 to most; 0: it is none. */
static uint32_t parse(const char *text, uint32_t most)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	return *text < '0' || *text > '9' || *end || errno || n > most ? 0 : (uint32_t)n;
}

static bool parse_mac(const char *text, uint8_t mac[MAC_SIZE])
{
	unsigned long long n;
	char *end;

	if (strlen(text) != 2 * MAC_SIZE || strspn(text, "0123456789abcdef") != 2 * MAC_SIZE)
		return false;
	n = strtoull(text, &end, 16);
	for (int i = 0; i < MAC_SIZE; i++)
		mac[i] = (uint8_t)(n >> (8 * (MAC_SIZE - 1 - i)));
	return true;
}

static bool parse_machine(struct machine *m, int argc, char **argv)
{
	bool good = argc >= FIXED_ARGUMENTS && argc <= FIXED_ARGUMENTS + NICS_MAX;

	if (!good)
		return false;
	m->cpus = (uint8_t)parse(argv[1], UINT8_MAX);
	m->mebibytes = parse(argv[2], UINT32_MAX);
	m->granted = !strcmp(argv[3], "granted");
	m->disk = !strcmp(argv[4], "disk");
	for (int i = FIXED_ARGUMENTS; i < argc; i++)
		good &= parse_mac(argv[i], m->macs[m->nic_count++]);
	return good && m->cpus && m->mebibytes;
}

int main(int argc, char **argv)
{
	/* Looked at before libkrun opens anything. */
	struct machine m = {.volumes = fcntl(MCKRUN_FD_VOLUMES, F_GETFD) >= 0};
	struct library l;

	if (!parse_machine(&m, argc, argv))
		give_up(2, "mckrun is started by monocore: see monocore(1)", "");
	load(&l);
	become_machine(&l, &m);
	give_up(MCKRUN_REFUSED, "libkrun came back from krun_start_enter", "");
}
