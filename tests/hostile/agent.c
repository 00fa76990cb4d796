/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that means harm: process 1 in mcagent's place. It boots as mcagent does, so that all it does wrong
 * is what it says to the host. How it begins is compiled in (BEGINNING); one that says a proper HELLO waits
 * for SETUP and EXEC, and the command's name tells what to do then: acts[] has them all. Each later EXEC is
 * one more act, on its own stream.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "codec/frame.h"
#include "codec/message.h"
#include "codec/tar.h"
#include "guest/boot.h"
#include "volumes.h"

#define FLOOD_TIME   (2 * NANOSECONDS_PER_SECOND)
#define WRITE_MOST   32768
#define CHANNEL_NO   7
#define LIST_ENTRIES 10000 /* of 8 KiB */

static int port;
static struct frame_reader reader;

static _Noreturn void stay_silent(void)
{
	for (;;)
		pause();
}

static void say_bytes(const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n) {
		ssize_t done = write(port, at, n < WRITE_MOST ? n : WRITE_MOST);

		if (done > 0) {
			at += done;
			n -= (size_t)done;
		} else {
			poll(&(struct pollfd){.fd = port, .events = POLLOUT}, 1, 100);
		}
	}
}

static void say(uint32_t stream, uint16_t type, uint16_t channel, const void *payload, size_t n)
{
	_cleanup_buffer_ struct buffer out = {0};

	frame_write(&out, stream, type, channel, payload, n);
	say_bytes(out.data, out.size);
}

static void say_u32(uint32_t stream, uint16_t type, uint16_t channel, uint32_t value)
{
	_cleanup_buffer_ struct buffer payload = {0};

	message_u32_encode(value, &payload);
	say(stream, type, channel, payload.data, payload.size);
}

static void say_text(uint32_t stream, const char *text)
{
	say(stream, MESSAGE_DATA, CHANNEL_OUT, text, strlen(text));
}

static void say_exited(uint32_t stream, uint32_t code)
{
	const struct message_exited m = {.code = code};
	_cleanup_buffer_ struct buffer payload = {0};

	message_exited_encode(&m, &payload);
	say(stream, MESSAGE_EXITED, 0, payload.data, payload.size);
}

/* Text that would drive a terminal: colours, titles, a bell, several lines. */
static void say_error(uint32_t stream, size_t size)
{
	static const char evil[] = "\033[31mevil\033]0;title\007\r\n\177";
	char *text = malloc(size + 1);
	const struct message_error m = {.code = ERROR_SYSTEM, .text = text};
	_cleanup_buffer_ struct buffer payload = {0};

	for (size_t i = 0; i < size; i++)
		text[i] = evil[i % (sizeof evil - 1)];
	text[size] = 0;
	message_error_encode(&m, &payload);
	say(stream, MESSAGE_ERROR, 0, payload.data, payload.size);
	free(text);
}

static void say_ready(void)
{
	_cleanup_buffer_ struct buffer payload = {0};

	message_u64_encode(clock_monotonic(), &payload);
	say(0, MESSAGE_READY, 0, payload.data, payload.size);
}

static void say_hello(uint16_t version)
{
	struct utsname name;
	struct message_hello m = {.version = version, .missing = (char *)""};
	_cleanup_buffer_ struct buffer payload = {0};

	uname(&name);
	m.kernel = name.release;
	message_hello_encode(&m, &payload);
	say(0, MESSAGE_HELLO, 0, payload.data, payload.size);
}

/* Acts: what is done on a stream, or in place of an answer. */

static void act_noise(uint32_t stream)
{
	uint32_t state = 2463534242;
	uint8_t bytes[4096];

	(void)stream;
	for (int round = 0; round < 256; round++) {
		for (size_t i = 0; i < sizeof bytes; i++) {
			state ^= state << 13;
			state ^= state >> 17;
			state ^= state << 5;
			bytes[i] = (uint8_t)state;
		}
		say_bytes(bytes, sizeof bytes);
	}
}

static void act_giant(uint32_t stream)
{
	(void)stream;
	say_bytes((uint8_t[]){0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, MESSAGE_READY, 0, 0, 0}, FRAME_HEADER_SIZE);
	stay_silent();
}

static void act_endless(uint32_t stream)
{
	static uint8_t part[FRAME_PAYLOAD_MAX];
	_cleanup_buffer_ struct buffer frame = {0};

	buffer_u32(&frame, FRAME_HEADER_SIZE - 4 + FRAME_PAYLOAD_MAX);
	buffer_u32(&frame, stream);
	buffer_u16(&frame, MESSAGE_HELLO);
	buffer_u16(&frame, FRAME_MORE);
	buffer_append(&frame, part, sizeof part);
	for (;;)
		say_bytes(frame.data, frame.size);
}

static void act_half(uint32_t stream)
{
	_cleanup_buffer_ struct buffer out = {0};

	frame_write(&out, stream, MESSAGE_DATA, CHANNEL_OUT, "half of it is missing", 21);
	say_bytes(out.data, out.size / 2);
	stay_silent();
}

static void act_silent(uint32_t stream)
{
	(void)stream;
	stay_silent();
}

static void act_pong(uint32_t stream)
{
	(void)stream;
	say(0, MESSAGE_PONG, 0, "\0\0\0\0\0\0\0", 8);
}

static void act_refuse(uint32_t stream)
{
	(void)stream;
	say_error(0, 4000);
}

static void act_refuse_long(uint32_t stream)
{
	(void)stream;
	say_error(0, 1000000);
}

static void act_wrong_stream(uint32_t stream)
{
	say_u32(stream + 5, MESSAGE_STARTED, 0, 1);
}

static void act_window(uint32_t stream)
{
	static const uint8_t bytes[FRAME_PAYLOAD_MAX];

	for (int i = 0; i < 64; i++)
		say(stream, MESSAGE_DATA, CHANNEL_OUT, bytes, sizeof bytes);
}

static void act_unknown_stream(uint32_t stream)
{
	say_text(stream + 1000, "nobody asked\n");
}

static void act_unknown_type(uint32_t stream)
{
	say(stream, 999, 0, "what", 4);
}

static void act_unknown_channel(uint32_t stream)
{
	say(stream, MESSAGE_DATA, CHANNEL_NO, "where", 5);
}

static void act_hello_again(uint32_t stream)
{
	(void)stream;
	say_hello(AGENT_PROTOCOL_VERSION);
}

static void act_usage(uint32_t stream)
{
	const struct message_usage m = {0};
	_cleanup_buffer_ struct buffer payload = {0};

	message_usage_encode(&m, &payload);
	say(stream, MESSAGE_USAGE, 0, payload.data, payload.size);
}

static void act_error(uint32_t stream)
{
	say_error(stream, 4000);
}

static void act_credit(uint32_t stream)
{
	say_u32(stream, MESSAGE_CREDIT, CHANNEL_IN, UINT32_MAX);
}

static void act_nothing(uint32_t stream)
{
	for (;;)
		say(stream, MESSAGE_DATA, CHANNEL_OUT, NULL, 0);
}

static void act_ends(uint32_t stream)
{
	for (;;)
		say(stream, MESSAGE_END, CHANNEL_OUT, NULL, 0);
}

static void act_started(uint32_t stream)
{
	for (;;)
		say_u32(stream, MESSAGE_STARTED, 0, 2);
}

static void act_bad_exit(uint32_t stream)
{
	say_exited(stream, 70000);
}

static void act_exit(uint32_t stream)
{
	say_exited(stream, 3);
}

static void act_exit_twice(uint32_t stream)
{
	say_exited(stream, 3);
	say_exited(stream, 4);
}

static void act_exit_noise(uint32_t stream)
{
	say_exited(stream, 3);
	act_noise(stream);
}

static void act_reset(uint32_t stream)
{
	(void)stream;
	usleep(300000); /* what was said before is still on its way through the machine */
	reboot(RB_AUTOBOOT);
}

/* What costs the host a look and no more, in great number, and then an honest end. */
static void act_flood(uint32_t stream)
{
	uint64_t end = clock_monotonic() + FLOOD_TIME;
	_cleanup_buffer_ struct buffer many = {0};

	for (int i = 0; i < 1000; i++)
		frame_write(&many, 0, MESSAGE_PONG, 0, "12345678", 8);
	while (clock_monotonic() < end)
		say_bytes(many.data, many.size);
	say_text(stream, "after the flood\n");
	say_exited(stream, 0);
}

/* Errors of the connection are lines of the log. */
static void act_complain(uint32_t stream)
{
	uint64_t end = clock_monotonic() + FLOOD_TIME;

	while (clock_monotonic() < end)
		say_error(0, 4000);
	say_text(stream, "after the flood\n");
	say_exited(stream, 0);
}

static void act_console(uint32_t stream)
{
	static const char line[] = "Kernel panic - not syncing: only in words\n";
	uint64_t end = clock_monotonic() + FLOOD_TIME;

	while (clock_monotonic() < end)
		if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
			break;
	say_text(stream, "after the flood\n");
	say_exited(stream, 0);
}

/* Takes what has come; 1: a frame, 0: none within `wait` milliseconds. */
static int take(struct frame *f, int wait)
{
	struct error err;

	for (;;) {
		struct pollfd p = {.fd = port, .events = POLLIN};
		size_t room;
		uint8_t *space;
		ssize_t n;

		if (frame_reader_next(&reader, f, &err) > 0)
			return 1;
		if (wait >= 0 && poll(&p, 1, wait) == 0)
			return 0;
		space = frame_reader_space(&reader, &room);
		n = read(port, space, room);
		if (n > 0)
			frame_reader_filled(&reader, (size_t)n);
		else
			poll(&p, 1, wait < 0 ? 10 : wait);
	}
}

/* One byte a frame, as many as the host allows, for ever. */
static void act_crumbs(uint32_t stream)
{
	uint32_t window[CHANNEL_COUNT] = {0, STREAM_WINDOW, STREAM_WINDOW};
	struct frame f;

	for (;;) {
		_cleanup_buffer_ struct buffer many = {0};

		for (uint16_t channel = CHANNEL_OUT; channel <= CHANNEL_ERR; channel++)
			for (int i = 0; i < 1000 && window[channel]; i++, window[channel]--)
				frame_write(&many, stream, MESSAGE_DATA, channel, ".", 1);
		say_bytes(many.data, many.size);
		while (take(&f, many.size ? 0 : 100))
			if (f.type == MESSAGE_CREDIT && f.stream == stream && f.channel < CHANNEL_COUNT)
				window[f.channel] += f.payload[0] | (uint32_t)f.payload[1] << 8 |
						     (uint32_t)f.payload[2] << 16;
	}
}

static void act_serve(uint32_t stream)
{
	(void)stream; /* main() goes on with the next EXEC */
}

enum moment { INSTEAD_OF_READY, INSTEAD_OF_STARTED, RUNNING };

static void act_volume_requests(uint32_t stream)
{
	volume_requests(stream, say_text);
	say_exited(stream, 0);
}

static const struct act {
	const char *name;
	enum moment moment;
	void (*run)(uint32_t stream);
} acts[] = {
	{"noise", INSTEAD_OF_READY, act_noise},
	{"giant", INSTEAD_OF_READY, act_giant},
	{"endless", INSTEAD_OF_READY, act_endless},
	{"half", INSTEAD_OF_READY, act_half},
	{"silent", INSTEAD_OF_READY, act_silent},
	{"pong", INSTEAD_OF_READY, act_pong},
	{"refuse", INSTEAD_OF_READY, act_refuse},
	{"refuse-long", INSTEAD_OF_READY, act_refuse_long},
	{"never-started", INSTEAD_OF_STARTED, act_silent},
	{"wrong-stream", INSTEAD_OF_STARTED, act_wrong_stream},
	{"volume-noise", RUNNING, volume_noise},
	{"volume-credit", RUNNING, volume_credit},
	{"volume-window", RUNNING, volume_window},
	{"volume-giant", RUNNING, volume_giant},
	{"volume-requests", RUNNING, act_volume_requests},
	{"late-noise", RUNNING, act_noise},
	{"late-giant", RUNNING, act_giant},
	{"late-endless", RUNNING, act_endless},
	{"window", RUNNING, act_window},
	{"unknown-stream", RUNNING, act_unknown_stream},
	{"unknown-type", RUNNING, act_unknown_type},
	{"unknown-channel", RUNNING, act_unknown_channel},
	{"hello-again", RUNNING, act_hello_again},
	{"usage", RUNNING, act_usage},
	{"error", RUNNING, act_error},
	{"credit", RUNNING, act_credit},
	{"nothing", RUNNING, act_nothing},
	{"ends", RUNNING, act_ends},
	{"started", RUNNING, act_started},
	{"bad-exit", RUNNING, act_bad_exit},
	{"exit", RUNNING, act_exit},
	{"exit-twice", RUNNING, act_exit_twice},
	{"exit-noise", RUNNING, act_exit_noise},
	{"reset", RUNNING, act_reset},
	{"flood", RUNNING, act_flood},
	{"complain", RUNNING, act_complain},
	{"console", RUNNING, act_console},
	{"deaf", RUNNING, act_silent},
	{"crumbs", RUNNING, act_crumbs},
	{"serve", RUNNING, act_serve},
};

/* Changes of the sandbox as no agent tells them; which, the last command in "upper-" has said. */

static char upper_kind[32];

static void add_file(struct buffer *tar, const char *path, uint64_t size)
{
	const struct tar_entry e = {.type = TAR_FILE, .path = (char *)path, .mode = 0644, .size = size};

	tar_write_entry(tar, &e, NULL);
}

static void add_link(struct buffer *tar, enum tar_type type, const char *path, const char *target)
{
	const struct tar_entry e = {.type = type, .path = (char *)path, .link = (char *)target};

	tar_write_entry(tar, &e, NULL);
}

static void make_upper(struct buffer *tar)
{
	if (!strcmp(upper_kind, "upper-escape"))
		add_file(tar, "../../etc/passwd", 0);
	else if (!strcmp(upper_kind, "upper-absolute"))
		add_file(tar, "/etc/passwd", 0);
	else if (!strcmp(upper_kind, "upper-link")) {
		add_link(tar, TAR_SYMBOLIC_LINK, "a", "/etc");
		add_file(tar, "a/passwd", 0);
	} else if (!strcmp(upper_kind, "upper-hard"))
		add_link(tar, TAR_HARD_LINK, "a", "../../etc/passwd");
	else if (!strcmp(upper_kind, "upper-twice")) {
		add_file(tar, "a", 0);
		add_file(tar, "a", 0);
	} else if (!strcmp(upper_kind, "upper-large"))
		add_file(tar, "a", UINT64_C(1) << 60);
	else if (!strcmp(upper_kind, "upper-cut"))
		add_file(tar, "a", 100);
	else
		buffer_append_text(tar, "this is no archive, and long enough to be seen as none: ");
	if (strcmp(upper_kind, "upper-cut")) {
		static const uint8_t rest[1024];

		buffer_append(tar, rest, sizeof rest);
	}
}

static void tell_upper(uint32_t stream)
{
	_cleanup_buffer_ struct buffer tar = {0};

	make_upper(&tar);
	say(stream, MESSAGE_DATA, CHANNEL_OUT, tar.data, tar.size);
	if (!strcmp(upper_kind, "upper-reset"))
		reboot(RB_AUTOBOOT);
	if (!strcmp(upper_kind, "upper-entry"))
		say(stream, MESSAGE_ENTRY, 0, NULL, 0);
	say(stream, MESSAGE_DONE, 0, NULL, 0);
}

static void perform(uint32_t stream, const char *name, bool first)
{
	const struct act *act = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(acts); i++)
		if (!strcmp(acts[i].name, name))
			act = &acts[i];
	if (!strncmp(name, "upper-", 6)) {
		snprintf(upper_kind, sizeof upper_kind, "%s", name);
		say_u32(stream, MESSAGE_STARTED, 0, 2);
		say_exited(stream, 0);
		return;
	}
	if (!act)
		stay_silent();
	if (first && act->moment > INSTEAD_OF_READY)
		say_ready();
	if (act->moment > INSTEAD_OF_STARTED) {
		say_u32(stream, MESSAGE_STARTED, 0, 2);
		say_text(stream, "before\n");
	}
	act->run(stream);
}

/* As many bytes as the names may have, more than anybody should have to keep. */
static void list_much(uint32_t stream)
{
	static char name[MESSAGE_PATH_MAX + 1];
	const struct message_entry entry = {.name = name, .mode = 0120777, .link = name};
	_cleanup_buffer_ struct buffer payload = {0}, many = {0};

	memset(name, 'x', MESSAGE_PATH_MAX);
	message_entry_encode(&entry, &payload);
	for (int i = 0; i < 100; i++)
		frame_write(&many, stream, MESSAGE_ENTRY, 0, payload.data, payload.size);
	for (int i = 0; i < LIST_ENTRIES; i += 100)
		say_bytes(many.data, many.size);
	say(stream, MESSAGE_DONE, 0, NULL, 0);
}

/* STAT and GET are answered by what was not asked for, without end; a signal, a stop and all the rest by
 * nothing. */
static void answer(const struct frame *f, bool first)
{
	static const struct message_entry entry = {.name = (char *)"x", .mode = 0100644, .link = (char *)""};
	_cleanup_buffer_ struct buffer payload = {0};
	struct message_exec m;
	struct error err;

	if (f->type == MESSAGE_STAT || f->type == MESSAGE_GET) {
		message_entry_encode(&entry, &payload);
		for (;;)
			say(f->stream, MESSAGE_ENTRY, 0, payload.data, payload.size);
	}
	if (f->type == MESSAGE_LIST)
		list_much(f->stream);
	if (f->type == MESSAGE_UPPER)
		tell_upper(f->stream);
	if (f->type != MESSAGE_EXEC || message_exec_decode(cursor_of(f->payload, f->size), &m, &err) < 0)
		return;
	perform(f->stream, m.argv[0], first);
	message_exec_free(&m);
}

int main(void)
{
	static struct boot b;
	struct error err;
	bool first = true;
	struct frame f;

	if (getpid() != 1 || boot(&b, &err) < 0)
		return 2;
	port = b.port;
	if (!strcmp(BEGINNING, "mute"))
		stay_silent();
	if (!strcmp(BEGINNING, "noise"))
		act_noise(0);
	if (!strcmp(BEGINNING, "giant"))
		act_giant(0);
	if (!strcmp(BEGINNING, "version"))
		say_hello(AGENT_PROTOCOL_VERSION + 1);
	if (strcmp(BEGINNING, "hello"))
		stay_silent();
	say_hello(AGENT_PROTOCOL_VERSION);
	for (;;)
		if (take(&f, -1)) {
			answer(&f, first);
			first = first && f.type != MESSAGE_EXEC;
		}
}
