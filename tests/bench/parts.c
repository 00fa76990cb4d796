/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times parts that no command shows alone, for bench.py; prints milliseconds.
 *
 *   parts image HOME REFERENCE     building the root file system of an image that the store lacks
 *   parts clone HOME AGENT ROOT    a clone: until its agent answers, and until its root is mounted
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "codec/frame.h"
#include "codec/message.h"
#include "oci/image.h"
#include "vm/vm.h"

static int fail(const struct error *err)
{
	fprintf(stderr, "parts: %s\n", err->text);
	return 1;
}

static double milliseconds(uint64_t since)
{
	return (double)(clock_monotonic() - since) / 1e6;
}

static int time_image(const char *home, const char *reference)
{
	const struct image_options options = {0};
	uint64_t began = clock_monotonic();
	struct store *store = NULL;
	struct image *image = NULL;
	struct error err;

	if (store_open(home, &store, &err) < 0 || image_open(store, reference, &options, &image, &err) < 0)
		return fail(&err);
	printf("%.3f\n", milliseconds(began));
	image_free(image);
	store_free(store);
	return 0;
}

/* Waits for one frame of this type from the agent. */
static int await(int fd, struct frame_reader *reader, uint16_t type, struct error *err)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	struct frame frame;
	int r;

	while ((r = frame_reader_next(reader, &frame, err)) == 0) {
		size_t room;
		uint8_t *space = frame_reader_space(reader, &room);
		ssize_t n;

		if (poll(&poller, 1, 30000) <= 0)
			return error_set(err, ERROR_TIMEOUT, "the agent does not answer");
		n = recv(fd, space, room, MSG_DONTWAIT);
		frame_reader_filled(reader, n > 0 ? (size_t)n : 0);
		if (n == 0)
			return error_set(err, ERROR_CLOSED, "the agent is gone");
	}
	if (r < 0)
		return r;
	return frame.type == type
		       ? 0
		       : error_set(err, ERROR_INVALID, "the agent said %s", message_name(frame.type));
}

static int say(int fd, uint16_t type, const struct buffer *payload, struct error *err)
{
	_cleanup_buffer_ struct buffer out = {0};

	if (!frame_write(&out, 0, type, 0, payload->data, payload->size) ||
		send(fd, out.data, out.size, MSG_NOSIGNAL) != (ssize_t)out.size)
		return error_set(err, ERROR_CLOSED, "write to the agent");
	return 0;
}

static int ask(struct vm *vm, uint64_t began, struct error *err)
{
	static const uint8_t entropy[64];
	struct message_setup setup = {.entropy = entropy,
		.entropy_size = sizeof entropy,
		.realtime = clock_realtime(),
		.hostname = (char *)"bench",
		.machine_id = (char *)"0123456789abcdef0123456789abcdef",
		.boot_id = (char *)"01234567-89ab-4cde-8f01-23456789abcd",
		.root_type = (char *)"erofs",
		.hosts = (char *)"",
		.resolv_conf = (char *)""};
	_cleanup_buffer_ struct buffer ping = {0}, payload = {0};
	struct frame_reader reader = {0};
	double answers;
	int r;

	message_u64_encode(1, &ping);
	message_setup_encode(&setup, &payload);
	r = say(vm_agent_fd(vm), MESSAGE_PING, &ping, err);
	if (r == 0)
		r = await(vm_agent_fd(vm), &reader, MESSAGE_PONG, err);
	answers = milliseconds(began);
	if (r == 0)
		r = say(vm_agent_fd(vm), MESSAGE_SETUP, &payload, err);
	if (r == 0)
		r = await(vm_agent_fd(vm), &reader, MESSAGE_READY, err);
	if (r == 0)
		printf("%.3f %.3f\n", answers, milliseconds(began));
	frame_reader_free(&reader);
	return r;
}

static int time_clone(const char *home, const char *agent, const char *root)
{
	struct vm_config config = {.home = home,
		.agent_path = agent,
		.cpus = 1,
		.memory = 512ULL << 20,
		.image_fd = open(root, O_RDONLY | O_CLOEXEC),
		.disk_fd = -1,
		.console_fd = -1,
		.id = 4095};
	struct error err;
	const struct vm_engine *engine = vm_engine_find("auto", &err);
	struct vm *vm = NULL;
	uint64_t began;
	int r;

	if (!engine || vm_template_prepare(engine, &config, &err) < 0)
		return fail(&err);
	began = clock_monotonic();
	if (vm_start(engine, &config, &vm, &err) < 0)
		return fail(&err);
	r = ask(vm, began, &err);
	vm_free(vm);
	return r < 0 ? fail(&err) : 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "image"))
		return time_image(argv[2], argv[3]);
	if (argc == 5 && !strcmp(argv[1], "clone"))
		return time_clone(argv[2], argv[3], argv[4]);
	fprintf(stderr, "usage: parts image HOME REFERENCE | parts clone HOME AGENT ROOT\n");
	return 2;
}
