/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times parts that no command shows alone, for bench.py and images.py; prints milliseconds.
 *
 *   parts image HOME REFERENCE     building the root file system of an image that the store lacks
 *   parts clone HOME AGENT ROOT    a clone: until its agent answers, and until its root is mounted
 *   parts stages LAYOUT            what a pull does with an image's layers, each step by itself: CPU time
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "codec/decompress.h"
#include "codec/frame.h"
#include "codec/message.h"
#include "codec/sha256.h"
#include "codec/tar.h"
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
		.nic_count = 1,
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

/* ---- the steps of a pull ---------------------------------------------------------------------------- */

enum stage { READ, HASH_PACKED, INFLATE, HASH_PLAIN, PARSE, STAGES };

struct stages {
	uint64_t time[STAGES];
	uint8_t in[256 << 10], out[256 << 10];
};

static uint64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NANOSECONDS_PER_SECOND + (uint64_t)t.tv_nsec;
}

static int parse_plain(struct tar_reader *tar, const uint8_t *bytes, size_t n, struct error *err)
{
	enum tar_event event = TAR_MORE;
	int r;

	do
		r = tar_reader_step(tar, &bytes, &n, &event, err);
	while (r == 0 && event != TAR_MORE && (event != TAR_END || n > 0));
	return r;
}

static int take_plain(
	struct stages *s, struct tar_reader *tar, struct sha256 *plain, size_t n, struct error *err)
{
	uint64_t began = cpu_time();
	int r;

	sha256_update(plain, s->out, n);
	s->time[HASH_PLAIN] += cpu_time() - began;
	began = cpu_time();
	r = parse_plain(tar, s->out, n, err);
	s->time[PARSE] += cpu_time() - began;
	return r;
}

static int time_layer(struct stages *s, int fd, struct error *err)
{
	_cleanup_(cleanup_decompress) struct decompress *d = NULL;
	struct tar_reader *tar = tar_reader_new(NULL, err);
	_cleanup_sha256_ struct sha256 packed = {0};
	_cleanup_sha256_ struct sha256 plain = {0};
	const struct decompress_options options = {0};
	int r = tar ? decompress_new(&options, &d, err) : -ERROR_NO_MEMORY;

	if (r == 0)
		r = sha256_init(&packed, err);
	if (r == 0)
		r = sha256_init(&plain, err);
	while (r == 0) {
		uint64_t began = cpu_time();
		ssize_t got = read(fd, s->in, sizeof s->in);
		const uint8_t *in = s->in;
		size_t n = got > 0 ? (size_t)got : 0, made = 0;

		s->time[READ] += cpu_time() - began;
		if (n == 0)
			break;
		began = cpu_time();
		sha256_update(&packed, in, n);
		s->time[HASH_PACKED] += cpu_time() - began;
		do {
			began = cpu_time();
			r = decompress_step(d, &in, &n, s->out, sizeof s->out, &made, err);
			s->time[INFLATE] += cpu_time() - began;
			if (r == 0)
				r = take_plain(s, tar, &plain, made, err);
		} while (r == 0 && (n > 0 || made == sizeof s->out));
	}
	tar_reader_free(tar);
	return r;
}

/* The blobs of a layout that are no JSON. */
static int time_stages(const char *layout)
{
	static const char *const names[] = {"read what came", "SHA-256 of what came", "inflate",
		"SHA-256 of the plain layers", "parse the tars"};
	struct stages *s = calloc(1, sizeof *s);
	char path[4096];
	struct dirent *entry;
	struct error err;
	DIR *d;

	snprintf(path, sizeof path, "%s/blobs/sha256", layout);
	d = opendir(path);
	if (!s || !d)
		return 1;
	while ((entry = readdir(d))) {
		_cleanup_fd_ int fd = openat(dirfd(d), entry->d_name, O_RDONLY | O_CLOEXEC);
		char first = 0;

		if (entry->d_name[0] == '.' || fd < 0 || pread(fd, &first, 1, 0) != 1 || first == '{')
			continue;
		if (time_layer(s, fd, &err) < 0)
			return fail(&err);
	}
	closedir(d);
	for (size_t i = 0; i < STAGES; i++)
		printf("%s %.3f\n", names[i], (double)s->time[i] / 1e6);
	free(s);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "image"))
		return time_image(argv[2], argv[3]);
	if (argc == 5 && !strcmp(argv[1], "clone"))
		return time_clone(argv[2], argv[3], argv[4]);
	if (argc == 3 && !strcmp(argv[1], "stages"))
		return time_stages(argv[2]);
	fprintf(stderr,
		"usage: parts image HOME REFERENCE | parts clone HOME AGENT ROOT | parts stages LAYOUT\n");
	return 2;
}
