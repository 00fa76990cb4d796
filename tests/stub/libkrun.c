/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for libkrun: no machine, but its calls. It checks the arguments of each and the order of all,
 * and logs them on the serial console's descriptor. What the real one does with the host when it is entered,
 * it does: /dev/kvm and the disks are opened by name. Then it plays an agent: HELLO, and answers to PING and
 * SHUTDOWN. It also tries what a guest that has broken out would try, and logs what it could do.
 *
 * What only the real library can show is listed in docs/engines.md.
 *
 * Built with STUB_GOOD, or with one fault: STUB_NO_VSOCK (lacks a call), STUB_REFUSES (a call fails),
 * STUB_SILENT (no HELLO ever), STUB_OLD_KERNEL (cannot mount EROFS), STUB_BREAKS (ends at the first PING),
 * STUB_CANNOT_ENTER (krun_start_enter fails).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/frame.h"
#include "codec/message.h"

#define EXPORT    __attribute__((visibility("default")))
#define CTX       7u
#define CONSOLE   3u
#define DISKS_MAX 4

#ifdef STUB_OLD_KERNEL
#define MISSING "erofs,fuse"
#else
#define MISSING ""
#endif

struct stub_disk {
	char id[16], path[64];
	bool read_only;
};

static struct {
	char order[1024]; /* names of the calls so far */
	struct stub_disk disks[DISKS_MAX];
	unsigned disk_count;
	int serial, port_in, port_out;
} stub = {.serial = -1, .port_in = -1, .port_out = -1};

int32_t krun_set_log_level(uint32_t level);
int32_t krun_create_ctx(void);
int32_t krun_set_vm_config(uint32_t ctx, uint8_t cpus, uint32_t mebibytes);
int32_t krun_disable_implicit_vsock(uint32_t ctx);
int32_t krun_disable_implicit_console(uint32_t ctx);
int32_t krun_add_serial_console_default(uint32_t ctx, int in, int out);
int32_t krun_set_kernel_console(uint32_t ctx, const char *console);
int32_t krun_add_virtio_console_multiport(uint32_t ctx);
int32_t krun_add_console_port_inout(uint32_t ctx, uint32_t console, const char *name, int in, int out);
int32_t krun_add_disk2(uint32_t ctx, const char *id, const char *path, uint32_t format, bool read_only);
int32_t krun_add_net_unixstream(
	uint32_t ctx, const char *path, int fd, const uint8_t mac[6], uint32_t features, uint32_t flags);
int32_t krun_set_root_disk_remount(uint32_t ctx, const char *device, const char *type, const char *options);
int32_t krun_set_exec(uint32_t ctx, const char *path, const char *const argv[], const char *const envp[]);
int32_t krun_start_enter(uint32_t ctx);

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (write(stub.serial >= 0 ? stub.serial : STDOUT_FILENO, line, (size_t)n) != n)
		_exit(90);
}

static int32_t wrong(const char *what)
{
	fprintf(stderr, "stub: %s\n", what);
	return -EINVAL;
}

static void called(const char *name)
{
	size_t n = strlen(stub.order);

	snprintf(stub.order + n, sizeof stub.order - n, "%s ", name);
}

EXPORT int32_t krun_set_log_level(uint32_t level)
{
	called("log_level");
	return level == 1 ? 0 : wrong("log level");
}

EXPORT int32_t krun_create_ctx(void)
{
	called("create");
	return (int32_t)CTX;
}

EXPORT int32_t krun_set_vm_config(uint32_t ctx, uint8_t cpus, uint32_t mebibytes)
{
	called("config");
	say("machine cpus=%u mebibytes=%u\n", cpus, mebibytes);
	return ctx == CTX ? 0 : wrong("context");
}

#ifndef STUB_NO_VSOCK
EXPORT int32_t krun_disable_implicit_vsock(uint32_t ctx)
{
	called("no_vsock");
	return ctx == CTX ? 0 : wrong("context");
}
#endif

EXPORT int32_t krun_disable_implicit_console(uint32_t ctx)
{
	called("no_console");
	return ctx == CTX ? 0 : wrong("context");
}

EXPORT int32_t krun_add_serial_console_default(uint32_t ctx, int in, int out)
{
	called("serial");
	if (ctx != CTX || in != -1 || fcntl(out, F_GETFD) < 0)
		return wrong("serial console");
	stub.serial = out;
	return 0;
}

EXPORT int32_t krun_set_kernel_console(uint32_t ctx, const char *console)
{
	called("kernel_console");
	return ctx == CTX && !strcmp(console, "ttyS0") ? 0 : wrong("kernel console");
}

EXPORT int32_t krun_add_virtio_console_multiport(uint32_t ctx)
{
	called("ports");
	return ctx == CTX ? (int32_t)CONSOLE : wrong("context");
}

EXPORT int32_t krun_add_console_port_inout(uint32_t ctx, uint32_t console, const char *name, int in, int out)
{
	if (ctx == CTX && console == CONSOLE && in == out && !strcmp(name, VOLUMES_PORT_NAME)) {
		say("volumes %d\n", fcntl(in, F_GETFD) >= 0);
		return 0;
	}
	called("port");
	if (ctx != CTX || console != CONSOLE || strcmp(name, AGENT_PORT_NAME))
		return wrong("port");
	/* As libkrun does: descriptors of its own, which do not block. */
	stub.port_in = dup(in);
	stub.port_out = dup(out);
	if (stub.port_in < 0 || stub.port_out < 0 || fcntl(stub.port_out, F_SETFL, O_NONBLOCK | O_RDWR) < 0)
		return wrong("port's descriptors");
	return 0;
}

EXPORT int32_t krun_add_disk2(uint32_t ctx, const char *id, const char *path, uint32_t format, bool read_only)
{
	struct stub_disk *d = &stub.disks[stub.disk_count];

	called("disk");
	if (ctx != CTX || format != 0 || stub.disk_count == DISKS_MAX)
		return wrong("disk");
#ifdef STUB_REFUSES
	if (!strcmp(id, "image"))
		return -ENOTSUP;
#endif
	snprintf(d->id, sizeof d->id, "%s", id);
	snprintf(d->path, sizeof d->path, "%s", path);
	d->read_only = read_only;
	stub.disk_count++;
	return 0;
}

/* What the device says is a frame behind its length: here the MAC. */
EXPORT int32_t krun_add_net_unixstream(
	uint32_t ctx, const char *path, int fd, const uint8_t mac[6], uint32_t features, uint32_t flags)
{
	unsigned char frame[10] = {0, 0, 0, 6};

	if (ctx != CTX || path || features || flags || stub.disk_count < 2)
		return wrong("network device");
	memcpy(frame + 4, mac, 6);
	return send(fd, frame, sizeof frame, MSG_NOSIGNAL) == sizeof frame ? 0 : wrong("network stream");
}

EXPORT int32_t krun_set_root_disk_remount(
	uint32_t ctx, const char *device, const char *type, const char *options)
{
	called("root");
	if (ctx != CTX || stub.disk_count == 0 || strcmp(device, "/dev/vda") || strcmp(type, "ext4") ||
		strcmp(options, "ro"))
		return wrong("root");
	return 0;
}

static bool has(const char *const list[], const char *word)
{
	for (; *list; list++)
		if (!strcmp(*list, word))
			return true;
	return false;
}

EXPORT int32_t krun_set_exec(
	uint32_t ctx, const char *path, const char *const argv[], const char *const envp[])
{
	called("exec");
	if (ctx != CTX || strcmp(path, "/init") || argv[0])
		return wrong("exec");
	if (!has(envp, "KRUN_INIT_PID1=1") || !has(envp, "monocore.image=/dev/vdb") ||
		!has(envp, "monocore.disk=/dev/vdc"))
		return wrong("environment");
	return 0;
}

static bool in_order(void)
{
	static const char *const start =
		"log_level create config no_vsock no_console serial kernel_console ports "
		"port disk disk ";
	size_t n = strlen(start);

	return !strncmp(stub.order, start, n) &&
	       (!strcmp(stub.order + n, "root exec ") || !strcmp(stub.order + n, "disk root exec "));
}

/* As libkrun opens its disks. The first bytes of the file system, and whether it can be written. */
static int32_t use_disk(const struct stub_disk *d)
{
	int fd = open(d->path, (d->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	unsigned char magic[64];
	bool wrote;

	if (fd < 0) {
		fprintf(stderr, "stub: open %s: %s\n", d->path, strerror(errno));
		return -errno;
	}
	if (pread(fd, magic, sizeof magic, 1024) != sizeof magic)
		return wrong("a disk cannot be read");
	wrote = pwrite(fd, "written by the guest", 20, 4096) == 20;
	say("disk %s %02x%02x%02x%02x %02x%02x%s\n", d->id, magic[0], magic[1], magic[2], magic[3], magic[56],
		magic[57], wrote ? " written" : "");
	return close(fd);
}

/* What it should not be able to do. */
static void try_to_leave(void)
{
	bool read_file = open("/etc/passwd", O_RDONLY) >= 0, write_file = open("/etc/passwd", O_RDWR) >= 0;
	bool make_file = open("/tmp/stub", O_WRONLY | O_CREAT, 0600) >= 0;
	bool make_socket = socket(AF_INET, SOCK_STREAM, 0) >= 0;

	say("leaves read=%d write=%d make=%d socket=%d environment=%d\n", read_file, write_file, make_file,
		make_socket, getenv("HOME") || getenv("USER"));
}

static void send_message(uint16_t type, const struct buffer *payload)
{
	struct buffer out = {0};

	if (!frame_write(&out, 0, type, 0, payload->data, payload->size) ||
		write(stub.port_out, out.data, out.size) != (ssize_t)out.size)
		_exit(91);
	buffer_free(&out);
}

static void say_hello(void)
{
	char kernel[] = "6.6.0-stub", missing[] = MISSING;
	const struct message_hello m = {
		.version = AGENT_PROTOCOL_VERSION, .kernel = kernel, .missing = missing};
	struct buffer payload = {0};

	message_hello_encode(&m, &payload);
	send_message(MESSAGE_HELLO, &payload);
	buffer_free(&payload);
}

static void answer(const struct frame *f)
{
	struct buffer payload = {0};

#ifdef STUB_BREAKS
	fprintf(stderr, "first words\nthe stub broke down\n");
	_exit(3);
#endif
	if (f->type == MESSAGE_SHUTDOWN)
		_exit(0); /* as libkrun does when the guest resets */
	if (f->type != MESSAGE_PING || !buffer_append(&payload, f->payload, f->size))
		_exit(92);
	send_message(MESSAGE_PONG, &payload);
	buffer_free(&payload);
}

_Noreturn static void play_agent(void)
{
	struct frame_reader reader = {0};

	fcntl(stub.port_in, F_SETFL, 0);
	for (;;) {
		struct error err;
		struct frame frame;
		size_t room;
		uint8_t *space = frame_reader_space(&reader, &room);
		ssize_t n = space ? read(stub.port_in, space, room) : -1;

		if (n <= 0)
			_exit(93);
		frame_reader_filled(&reader, (size_t)n);
		while (frame_reader_next(&reader, &frame, &err) == 1)
			answer(&frame);
	}
}

EXPORT int32_t krun_start_enter(uint32_t ctx)
{
	int kvm;

#ifdef STUB_CANNOT_ENTER
	fprintf(stderr, "Couldn't find or load libkrunfw.so.5\n");
	return -ENOENT;
#endif
	if (ctx != CTX || !in_order()) {
		fprintf(stderr, "stub: order: %s\n", stub.order);
		return -EINVAL;
	}
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return wrong("/dev/kvm does not open");
	for (unsigned i = 0; i < stub.disk_count; i++) {
		int32_t r = use_disk(&stub.disks[i]);

		if (r < 0)
			return r;
	}
	try_to_leave();
#ifdef STUB_SILENT
	for (;;)
		pause();
#endif
	say_hello();
	play_agent();
}
