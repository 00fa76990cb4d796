/* SPDX-License-Identifier: Apache-2.0 */
#include "volumes.h"

#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/message.h"
#include "codec/volume.h"
#include "guest/device.h"

#define UNKNOWN 0x1234567812345678u

static int port = -1;

static void open_port(void)
{
	if (port < 0 && device_find_port(VOLUMES_PORT_NAME, 0, &port, NULL) < 0)
		exit(1);
}

static void send_bytes(const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n) {
		ssize_t done = write(port, at, n);

		if (done <= 0)
			exit(1);
		at += done;
		n -= (size_t)done;
	}
}

static void send_frame(uint16_t type, const void *payload, uint32_t n)
{
	uint8_t header[VOLUME_HEADER_SIZE];

	volume_frame_encode(&(struct volume_frame){n, 0, type}, header);
	send_bytes(header, sizeof header);
	send_bytes(payload, n);
}

void volume_noise(uint32_t stream)
{
	(void)stream;
	open_port();
	for (;;)
		send_bytes("this is no frame at all, and never will be one", 46);
}

void volume_credit(uint32_t stream)
{
	(void)stream;
	open_port();
	send_frame(VOLUME_CREDIT, "\xff\xff\xff\xff", 4);
	for (;;)
		pause();
}

void volume_window(uint32_t stream)
{
	static struct {
		struct fuse_in_header h;
		char bytes[VOLUME_PAYLOAD_MAX - sizeof(struct fuse_in_header)];
	} q = {.h = {.len = sizeof q, .opcode = FUSE_GETATTR}};

	(void)stream;
	open_port();
	for (uint64_t i = 1;; i++) {
		q.h.unique = i * 2; /* more than are ever answered at once */
		send_frame(VOLUME_DATA, &q, sizeof q);
	}
}

void volume_giant(uint32_t stream)
{
	const struct fuse_in_header h = {.len = UINT32_MAX, .opcode = FUSE_WRITE, .unique = 2};

	(void)stream;
	open_port();
	send_frame(VOLUME_DATA, &h, sizeof h);
	for (;;)
		pause();
}

static void read_fully(void *bytes, size_t n)
{
	char *at = bytes;

	while (n) {
		ssize_t got = read(port, at, n);

		if (got <= 0)
			exit(1);
		at += got;
		n -= (size_t)got;
	}
}

/* The answer to one request; nothing else is under way, so that a message begins with a frame. */
static int ask(uint32_t opcode, uint64_t node, const void *body, uint32_t n, void *out, size_t room)
{
	static uint64_t unique;
	uint8_t bytes[sizeof(struct fuse_in_header) + 8192], header[VOLUME_HEADER_SIZE],
		reply[VOLUME_PAYLOAD_MAX];
	const struct fuse_in_header h = {.len = (uint32_t)sizeof h + n,
		.opcode = opcode,
		.unique = unique += 2,
		.nodeid = node,
		.pid = 1};
	struct fuse_out_header o;
	struct volume_frame f;

	memcpy(bytes, &h, sizeof h);
	memcpy(bytes + sizeof h, body, n);
	send_frame(VOLUME_DATA, bytes, h.len);
	do {
		read_fully(header, sizeof header);
		if (volume_frame_decode(header, &f, NULL) < 0)
			exit(1);
		read_fully(reply, f.length);
	} while (f.type != VOLUME_DATA);
	memcpy(&o, reply, sizeof o);
	if (out && o.error == 0 && f.length - sizeof o <= room)
		memcpy(out, reply + sizeof o, f.length - sizeof o);
	return o.error;
}

static uint64_t look_up(const char *name, int *error)
{
	struct fuse_entry_out e = {0};

	*error = ask(FUSE_LOOKUP, FUSE_ROOT_ID, name, (uint32_t)strlen(name) + 1, &e, sizeof e);
	return e.nodeid;
}

struct teller {
	uint32_t stream;
	void (*tell)(uint32_t stream, const char *text);
};

static void say_result(const struct teller *t, const char *what, int error)
{
	char line[128];

	snprintf(line, sizeof line, "%s %d\n", what, error);
	t->tell(t->stream, line);
}

/* Names that no kernel would send. */
static void try_names(const struct teller *t)
{
	static const char *const names[] = {
		"..", ".", "", "../outside", "dir/../../outside/gold", "/etc/passwd"};
	static char long_name[5000];
	int error;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char what[64];

		look_up(names[i], &error);
		snprintf(what, sizeof what, "lookup '%s'", names[i]);
		say_result(t, what, error);
	}
	memset(long_name, 'x', sizeof long_name - 1);
	look_up(long_name, &error);
	say_result(t, "lookup long", error);
}

static void try_links(const struct teller *t)
{
	struct fuse_open_in o = {.flags = 0};
	struct fuse_read_in r = {.fh = UINT64_MAX, .size = UINT32_MAX};
	int error;
	uint64_t link = look_up("link", &error);

	say_result(t, "lookup link", error);
	say_result(t, "through link", ask(FUSE_LOOKUP, link, "gold", 5, NULL, 0));
	say_result(t, "open link", ask(FUSE_OPEN, link, &o, sizeof o, NULL, 0));
	say_result(t, "read link", ask(FUSE_READ, link, &r, sizeof r, NULL, 0));
	say_result(t, "unknown node", ask(FUSE_READ, UNKNOWN, &r, sizeof r, NULL, 0));
	say_result(t, "unknown directory", ask(FUSE_LOOKUP, UNKNOWN, "x", 2, NULL, 0));
	say_result(t, "unknown opcode", ask(9999, 1, "x", 2, NULL, 0) != 0);
}

/* What the host has to refuse where the volume is read-only. */
static void try_changes(const struct teller *t)
{
	struct {
		struct fuse_write_in w;
		char bytes[4];
	} write_file = {.w = {.fh = UINT64_MAX, .size = 4}, .bytes = "evil"};
	const struct {
		struct fuse_create_in c;
		char name[4];
	} create = {.c = {.flags = 0102, .mode = 0100644}, .name = "new"};
	const struct {
		struct fuse_mkdir_in m;
		char name[4];
	} mkdir = {.m = {.mode = 0755}, .name = "dir"};
	const struct fuse_setattr_in truncate = {.valid = FATTR_SIZE | FATTR_MODE, .mode = 06777};
	const struct fuse_open_in o = {.flags = 01002}; /* O_RDWR | O_TRUNC */
	int error;
	uint64_t file = look_up("file", &error);

	say_result(t, "write", ask(FUSE_WRITE, file, &write_file, sizeof write_file, NULL, 0));
	say_result(t, "create", ask(FUSE_CREATE, 1, &create, sizeof create, NULL, 0));
	say_result(t, "mkdir", ask(FUSE_MKDIR, 1, &mkdir, sizeof mkdir, NULL, 0));
	say_result(t, "unlink", ask(FUSE_UNLINK, 1, "file", 5, NULL, 0));
	say_result(t, "symlink", ask(FUSE_SYMLINK, 1, "s\0/etc", 7, NULL, 0));
	say_result(t, "truncate", ask(FUSE_SETATTR, file, &truncate, sizeof truncate, NULL, 0));
	say_result(t, "open", ask(FUSE_OPEN, file, &o, sizeof o, NULL, 0));
}

void volume_requests(uint32_t stream, void (*tell)(uint32_t stream, const char *text))
{
	const struct teller t = {stream, tell};
	struct {
		struct fuse_init_in i;
	} init = {.i = {.major = 7, .minor = 36, .max_readahead = 131072}};

	open_port();
	say_result(&t, "init", ask(FUSE_INIT, 0, &init, sizeof init, NULL, 0));
	try_names(&t);
	try_links(&t);
	try_changes(&t);
}
