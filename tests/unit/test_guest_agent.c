/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's loop as a process on the host, with a socket for its port: transfers with their windows, and
 * what the host may do to them. Set-up, the clock, SHUTDOWN and the reset of the machine belong to the first
 * process of a virtual machine, so they are stand-ins here; the system tests have the real ones.
 */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "codec/frame.h"
#include "codec/message.h"
#include "codec/tar.h"
#include "guest/agent.h"
#include "guest/clock.h"
#include "guest/loop.h"
#include "guest/setup.h"
#include "guest/shutdown.h"

#define PATIENCE 20000 /* milliseconds */

_Noreturn void agent_reset(void)
{
	_exit(9);
}

int setup(struct boot *b, const struct message_setup *m, struct error *err)
{
	(void)b;
	(void)m;
	return error_set(err, ERROR_UNAVAILABLE, "no set-up here");
}

int setup_wake(struct boot *b, const struct message_setup *m, struct error *err)
{
	(void)b;
	(void)m;
	(void)err;
	return 0;
}

int clock_correct(uint64_t realtime, struct error *err)
{
	(void)realtime;
	return error_set(err, ERROR_UNAVAILABLE, "this clock is another's");
}

void shutdown_begin(struct agent *a, const struct message_shutdown *m)
{
	(void)a;
	(void)m;
}

void shutdown_step(struct agent *a)
{
	(void)a;
}

struct host {
	int fd;
	pid_t agent;
	struct frame_reader reader;
	char path[64]; /* a directory to work in */
};

/* `cgroup` and `upper`, where the working directory has them, stand in for the kernel's. */
static _Noreturn void run_agent(int fd, const char *path)
{
	int at = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	static struct agent a;
	struct error err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(0);
	log_set(LOG_ERROR, open("/dev/null", O_WRONLY), "agent");
	a.boot = (struct boot){.port = fd,
		.cgroup = openat(at, "cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.cgroup_memory_events = -1,
		.disk_mount = -1,
		.upper = openat(at, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	for (size_t i = 0; i < USAGE_FILES; i++)
		a.usage.files[i] = -1;
	a.is_set_up = true;
	if (loop_prepare(&a, &err) < 0)
		_exit(8);
	loop_run(&a);
}

static void host_make(struct host *h)
{
	*h = (struct host){0};
	snprintf(h->path, sizeof h->path, "/tmp/monocore-guest-XXXXXX");
	CHECK(mkdtemp(h->path));
}

static void host_run(struct host *h)
{
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	h->agent = fork();
	CHECK(h->agent >= 0);
	if (h->agent == 0) {
		close(ends[0]);
		run_agent(ends[1], h->path);
	}
	close(ends[1]);
	h->fd = ends[0];
}

static void host_open(struct host *h)
{
	host_make(h);
	host_run(h);
}

static void remove_all(const char *path)
{
	DIR *stream = opendir(path);
	struct dirent *d;

	while (stream && (d = readdir(stream))) {
		char below[600];

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		snprintf(below, sizeof below, "%s/%s", path, d->d_name);
		if (unlink(below) < 0)
			remove_all(below);
	}
	if (stream)
		closedir(stream);
	rmdir(path);
}

/* The agent is still the one that was started: nothing has made it reset. */
static void host_close(struct host *h)
{
	CHECK(waitpid(h->agent, NULL, WNOHANG) == 0);
	kill(h->agent, SIGKILL);
	waitpid(h->agent, NULL, 0);
	close(h->fd);
	frame_reader_free(&h->reader);
	remove_all(h->path);
}

static void host_send(
	struct host *h, uint32_t stream, uint16_t type, uint16_t channel, const void *payload, size_t n)
{
	_cleanup_buffer_ struct buffer out = {0};
	size_t at = 0;

	CHECK(frame_write(&out, stream, type, channel, payload, n));
	while (at < out.size) {
		struct pollfd p = {.fd = h->fd, .events = POLLOUT};
		ssize_t done = send(h->fd, out.data + at, out.size - at, MSG_NOSIGNAL);

		CHECK(done >= 0 || errno == EAGAIN);
		at += done > 0 ? (size_t)done : 0;
		CHECK(at == out.size || poll(&p, 1, PATIENCE) == 1);
	}
}

static void host_request(struct host *h, uint32_t stream, uint16_t type, const char *path, uint32_t option)
{
	const struct message_request m = {.path = (char *)path, .option = option, .upper = UPPER_ROOT};
	_cleanup_buffer_ struct buffer payload = {0};

	message_request_encode(type, &m, &payload);
	host_send(h, stream, type, 0, payload.data, payload.size);
}

static void host_credit(struct host *h, uint32_t stream, uint32_t n)
{
	_cleanup_buffer_ struct buffer payload = {0};

	message_u32_encode(n, &payload);
	host_send(h, stream, MESSAGE_CREDIT, CHANNEL_OUT, payload.data, payload.size);
}

/* The next frame; false: none within that time. */
static bool host_wait(struct host *h, struct frame *f, int milliseconds)
{
	struct error err;
	int r;

	while ((r = frame_reader_next(&h->reader, f, &err)) == 0) {
		struct pollfd p = {.fd = h->fd, .events = POLLIN};
		uint8_t *space;
		size_t room;
		ssize_t n;

		if (poll(&p, 1, milliseconds) == 0)
			return false;
		space = frame_reader_space(&h->reader, &room);
		n = read(h->fd, space, room);
		CHECK(n > 0);
		frame_reader_filled(&h->reader, (size_t)n);
	}
	CHECK(r == 1);
	return true;
}

static void host_next(struct host *h, struct frame *f)
{
	CHECK(host_wait(h, f, PATIENCE));
}

/* Waits for the end of a stream and says how it came: DONE is 0. Collects its output, crediting it. */
static int host_finish(struct host *h, uint32_t stream, struct buffer *out)
{
	for (;;) {
		struct message_error m;
		struct frame f;
		int code;

		host_next(h, &f);
		if (f.stream != stream || f.type == MESSAGE_CREDIT || f.type == MESSAGE_ENTRY)
			continue;
		if (f.type == MESSAGE_DONE)
			return 0;
		if (f.type == MESSAGE_ERROR) {
			CHECK(message_error_decode(cursor_of(f.payload, f.size), &m, NULL) == 0);
			code = (int)m.code;
			message_error_free(&m);
			return -code;
		}
		CHECK_INT(f.type, MESSAGE_DATA);
		CHECK_INT(f.channel, CHANNEL_OUT);
		if (out)
			buffer_append(out, f.payload, f.size);
		host_credit(h, stream, (uint32_t)f.size);
	}
}

static const char *in(struct host *h, const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", h->path, name);
	return p;
}

static void make_file(const char *path, size_t size)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	uint8_t piece[1000];

	CHECK(fd >= 0);
	for (size_t at = 0; at < size;) {
		size_t n = size - at < sizeof piece ? size - at : sizeof piece;

		for (size_t i = 0; i < n; i++)
			piece[i] = (uint8_t)((at + i) * 7 >> 3);
		CHECK(write(fd, piece, n) == (ssize_t)n);
		at += n;
	}
}

/* A PING is answered at once, whatever else goes on. */
static void check_alive(struct host *h)
{
	static uint64_t cookie = 77;
	_cleanup_buffer_ struct buffer payload = {0};
	uint64_t got = 0;
	struct frame f;

	message_u64_encode(++cookie, &payload);
	host_send(h, 0, MESSAGE_PING, 0, payload.data, payload.size);
	do
		host_next(h, &f);
	while (f.type != MESSAGE_PONG);
	CHECK(message_u64_decode(cursor_of(f.payload, f.size), &got, NULL) == 0 && got == cookie);
}

static int names_in(const char *path)
{
	DIR *stream = opendir(path);
	int n = 0;

	CHECK(stream);
	while (readdir(stream))
		n++;
	closedir(stream);
	return n - 2;
}

/* Waits until something is so. */
#define WAIT_UNTIL(condition) \
	do { \
		for (int tries_ = 0; !(condition) && tries_ < 2000; tries_++) \
			usleep(10000); \
		CHECK(condition); \
	} while (0)

/* How many processes the agent has started that still run. */
static int workers(const struct host *h)
{
	char path[64], text[4096];
	ssize_t n;
	int fd, count = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", h->agent, h->agent);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	n = read(fd, text, sizeof text);
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		count += text[i] == ' ';
	return count;
}

TEST(a_file_comes_whole_through_its_window)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct host h;

	host_open(&h);
	make_file(in(&h, "file"), 1500000);
	host_request(&h, 5, MESSAGE_READ, in(&h, "file"), 0);
	CHECK_INT(host_finish(&h, 5, &out), 0);
	CHECK_INT(out.size, 1500000);
	for (size_t i = 0; i < out.size; i++)
		CHECK(out.data[i] == (uint8_t)(i * 7 >> 3));
	host_close(&h);
}

TEST(without_credit_no_more_than_the_window_comes_and_others_go_on)
{
	size_t got = 0;
	struct host h;
	struct frame f;

	host_open(&h);
	make_file(in(&h, "file"), 2 * STREAM_WINDOW);
	host_request(&h, 5, MESSAGE_READ, in(&h, "file"), 0);
	while (host_wait(&h, &f, 300)) {
		CHECK(f.type == MESSAGE_DATA && f.stream == 5);
		got += f.size;
	}
	CHECK_INT(got, STREAM_WINDOW);
	check_alive(&h);
	host_request(&h, 6, MESSAGE_READ, in(&h, "file"), 0);
	CHECK_INT(host_finish(&h, 6, NULL), 0);
	host_credit(&h, 5, STREAM_WINDOW);
	CHECK_INT(host_finish(&h, 5, NULL), 0);
	host_close(&h);
}

TEST(a_tree_goes_in_and_comes_out_again)
{
	_cleanup_buffer_ struct buffer tar = {0}, out = {0};
	static const uint8_t zeroes[512];
	struct tar_entry e = {.type = TAR_FILE, .path = (char *)"d/file", .mode = 0644, .size = 600000};
	uint32_t window = STREAM_WINDOW;
	struct error err;
	struct host h;
	size_t at = 0;

	host_open(&h);
	CHECK_OK(tar_write_entry(&tar, &e, &err));
	for (size_t i = 0; i < e.size; i++)
		buffer_u8(&tar, (uint8_t)(i >> 2));
	buffer_append(&tar, zeroes, tar_padding(e.size));
	tar_write_end(&tar);
	host_request(&h, 1, MESSAGE_PUT, h.path, PUT_KEEP_DIRECTORIES);
	while (at < tar.size) {
		size_t n = tar.size - at < 30000 ? tar.size - at : 30000;
		uint32_t more = 0;
		struct frame f;

		while (window < n) {
			host_next(&h, &f);
			CHECK_INT(f.type, MESSAGE_CREDIT);
			CHECK_OK(message_u32_decode(cursor_of(f.payload, f.size), &more, &err));
			window += more;
			CHECK(window <= STREAM_WINDOW);
		}
		host_send(&h, 1, MESSAGE_DATA, CHANNEL_IN, tar.data + at, n);
		window -= (uint32_t)n;
		at += n;
	}
	host_send(&h, 1, MESSAGE_END, CHANNEL_IN, NULL, 0);
	CHECK_INT(host_finish(&h, 1, NULL), 0);
	host_request(&h, 2, MESSAGE_GET, in(&h, "d/file"), 0);
	CHECK_INT(host_finish(&h, 2, &out), 0);
	CHECK(out.size > e.size + 1024 && !strcmp((const char *)out.data, "file"));
	CHECK_INT(names_in(h.path), 1);
	host_close(&h);
}

TEST(names_are_told_one_by_one)
{
	struct host h;
	struct frame f;
	int count = 0, links = 0;

	host_open(&h);
	for (int i = 0; i < 3000; i++) {
		char name[32];

		snprintf(name, sizeof name, "name-%d", i);
		make_file(in(&h, name), 0);
	}
	CHECK(symlink("name-7", in(&h, "link")) == 0);
	host_request(&h, 9, MESSAGE_LIST, h.path, 0);
	for (host_next(&h, &f); f.type == MESSAGE_ENTRY; host_next(&h, &f)) {
		struct message_entry m;

		CHECK(message_entry_decode(cursor_of(f.payload, f.size), &m, NULL) == 0);
		count++;
		links += S_ISLNK(m.mode) && !strcmp(m.link, "name-7");
		message_entry_free(&m);
	}
	CHECK_INT(f.type, MESSAGE_DONE);
	CHECK_INT(count, 3001);
	CHECK_INT(links, 1);
	for (uint32_t follow = 0; follow < 2; follow++) {
		struct message_entry m;

		host_request(&h, 10, MESSAGE_STAT, in(&h, "link"), follow);
		host_next(&h, &f);
		CHECK_INT(f.type, MESSAGE_ENTRY);
		CHECK(message_entry_decode(cursor_of(f.payload, f.size), &m, NULL) == 0);
		CHECK_TEXT(m.name, in(&h, "link"));
		CHECK_TEXT(m.link, follow ? "" : "name-7");
		CHECK(follow ? S_ISREG(m.mode) : S_ISLNK(m.mode));
		message_entry_free(&m);
		CHECK_INT(host_finish(&h, 10, NULL), 0);
	}
	host_close(&h);
}

TEST(what_is_asked_wrongly_is_an_error_on_its_stream_alone)
{
	struct host h;

	host_open(&h);
	CHECK(mkfifo(in(&h, "fifo"), 0600) == 0);
	host_request(&h, 1, MESSAGE_READ, in(&h, "none"), 0);
	CHECK_INT(host_finish(&h, 1, NULL), -ERROR_NOT_FOUND);
	host_request(&h, 2, MESSAGE_READ, h.path, 0);
	CHECK_INT(host_finish(&h, 2, NULL), -ERROR_INVALID);
	host_request(&h, 3, MESSAGE_READ, in(&h, "fifo"), 0);
	CHECK_INT(host_finish(&h, 3, NULL), -ERROR_INVALID);
	host_request(&h, 4, MESSAGE_LIST, in(&h, "fifo"), 0);
	CHECK_INT(host_finish(&h, 4, NULL), -ERROR_SYSTEM);
	host_request(&h, 5, MESSAGE_PUT, in(&h, "none"), 0);
	CHECK_INT(host_finish(&h, 5, NULL), -ERROR_NOT_FOUND);
	host_send(&h, 6, MESSAGE_GET, 0, "xx", 2);
	CHECK_INT(host_finish(&h, 6, NULL), -ERROR_INVALID);
	host_request(&h, 0, MESSAGE_GET, "/", 0);
	CHECK_INT(host_finish(&h, 0, NULL), -ERROR_INVALID);
	host_send(&h, 7, MESSAGE_METRICS, 0, "x", 1);
	CHECK_INT(host_finish(&h, 7, NULL), -ERROR_INVALID);
	make_file(in(&h, "large"), 3 * STREAM_WINDOW);
	host_request(&h, 8, MESSAGE_READ, in(&h, "large"), 0);
	host_send(&h, 8, MESSAGE_DATA, CHANNEL_IN, "x", 1);
	CHECK_INT(host_finish(&h, 8, NULL), -ERROR_INVALID);
	WAIT_UNTIL(workers(&h) == 0);
	check_alive(&h);
	host_close(&h);
}

TEST(a_writing_that_is_called_off_leaves_the_old_file_and_nothing_else)
{
	static const struct error gone = {.code = ERROR_CLOSED, .text = "gone"};
	const struct message_error m = {.code = gone.code, .text = (char *)gone.text};
	_cleanup_buffer_ struct buffer payload = {0};
	struct stat s;
	struct host h;

	host_open(&h);
	make_file(in(&h, "file"), 10);
	host_request(&h, 1, MESSAGE_WRITE, in(&h, "file"), 0600);
	host_send(&h, 1, MESSAGE_DATA, CHANNEL_IN, "half", 4);
	WAIT_UNTIL(names_in(h.path) == 2);
	CHECK_INT(workers(&h), 1);
	message_error_encode(&m, &payload);
	host_send(&h, 1, MESSAGE_ERROR, 0, payload.data, payload.size);
	WAIT_UNTIL(names_in(h.path) == 1 && workers(&h) == 0);
	CHECK(stat(in(&h, "file"), &s) == 0 && s.st_size == 10);
	host_request(&h, 1, MESSAGE_WRITE, in(&h, "file"), 0640);
	host_send(&h, 1, MESSAGE_DATA, CHANNEL_IN, "whole", 5);
	host_send(&h, 1, MESSAGE_END, CHANNEL_IN, NULL, 0);
	CHECK_INT(host_finish(&h, 1, NULL), 0);
	CHECK(stat(in(&h, "file"), &s) == 0 && s.st_size == 5 && (s.st_mode & 07777) == 0640);
	host_close(&h);
}

TEST(a_reading_that_is_called_off_leaves_no_process)
{
	static const uint8_t error_payload[] = {ERROR_CLOSED, 0, 0, 0, 0, 0, 0, 0};
	struct host h;
	struct frame f;

	host_open(&h);
	make_file(in(&h, "file"), 3 * STREAM_WINDOW);
	for (uint32_t id = 1; id <= 10; id++)
		host_request(&h, id, MESSAGE_READ, in(&h, "file"), 0);
	CHECK(host_wait(&h, &f, PATIENCE));
	for (uint32_t id = 1; id <= 10; id++)
		host_send(&h, id, MESSAGE_ERROR, 0, error_payload, sizeof error_payload);
	WAIT_UNTIL(workers(&h) == 0);
	check_alive(&h);
	host_close(&h);
}

TEST(output_that_nobody_wants_ends_its_stream)
{
	struct host h;

	host_open(&h);
	make_file(in(&h, "file"), 3 * STREAM_WINDOW);
	host_request(&h, 1, MESSAGE_READ, in(&h, "file"), 0);
	host_send(&h, 1, MESSAGE_CLOSE, CHANNEL_OUT, NULL, 0);
	CHECK_INT(host_finish(&h, 1, NULL), -ERROR_CLOSED);
	host_close(&h);
}

TEST(a_writer_that_never_finishes_keeps_nobody_waiting)
{
	uint8_t piece[32768] = {0};
	int waiting = 0;
	struct host h;

	host_open(&h);
	CHECK(mkfifo(in(&h, "fifo"), 0600) == 0);
	{
		/* A reader that reads nothing. */
		_cleanup_fd_ int reader = open(in(&h, "fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		host_request(&h, 1, MESSAGE_WRITE, in(&h, "fifo"), 0600);
		for (int i = 0; i < 8; i++)
			host_send(&h, 1, MESSAGE_DATA, CHANNEL_IN, piece, sizeof piece);
		check_alive(&h);
		make_file(in(&h, "file"), 100);
		host_request(&h, 2, MESSAGE_READ, in(&h, "file"), 0);
		CHECK_INT(host_finish(&h, 2, NULL), 0);
		WAIT_UNTIL(ioctl(reader, FIONREAD, &waiting) == 0 && waiting > 0);
	}
	CHECK_INT(host_finish(&h, 1, NULL), -ERROR_CLOSED);
	host_close(&h);
}

TEST(a_process_that_is_killed_is_an_error_of_its_stream)
{
	char path[64], text[32] = "";
	struct host h;
	int fd;

	host_open(&h);
	host_request(&h, 1, MESSAGE_WRITE, in(&h, "file"), 0600);
	WAIT_UNTIL(workers(&h) == 1);
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", h.agent, h.agent);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(read(fd, text, sizeof text - 1) > 0);
	close(fd);
	CHECK(kill(atoi(text), SIGKILL) == 0);
	CHECK_INT(host_finish(&h, 1, NULL), -ERROR_SYSTEM);
	check_alive(&h);
	host_close(&h);
}

TEST(so_many_transfers_and_no_more)
{
	struct host h;

	host_open(&h);
	for (uint32_t id = 1; id <= TRANSFERS_MAX; id++)
		host_request(&h, id, MESSAGE_WRITE, in(&h, "file"), 0600);
	host_request(&h, 1000, MESSAGE_STAT, h.path, 0);
	CHECK_INT(host_finish(&h, 1000, NULL), -ERROR_LIMIT);
	for (uint32_t id = 1; id <= TRANSFERS_MAX; id++) {
		host_send(&h, id, MESSAGE_END, CHANNEL_IN, NULL, 0);
		CHECK_INT(host_finish(&h, id, NULL), 0);
	}
	WAIT_UNTIL(workers(&h) == 0);
	for (uint32_t id = 1; id <= 3 * TRANSFERS_MAX; id++) {
		host_request(&h, id, MESSAGE_STAT, h.path, 0);
		CHECK_INT(host_finish(&h, id, NULL), 0);
	}
	host_close(&h);
}

TEST(more_than_the_window_holds_is_an_error)
{
	uint8_t piece[65536] = {0};
	struct host h;

	host_open(&h);
	CHECK(mkfifo(in(&h, "fifo"), 0600) == 0);
	{
		_cleanup_fd_ int reader = open(in(&h, "fifo"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		host_request(&h, 1, MESSAGE_WRITE, in(&h, "fifo"), 0600);
		CHECK(reader >= 0);
		for (int i = 0; i < 10; i++)
			host_send(&h, 1, MESSAGE_DATA, CHANNEL_IN, piece, sizeof piece);
		CHECK_INT(host_finish(&h, 1, NULL), -ERROR_INVALID);
		WAIT_UNTIL(workers(&h) == 0); /* although it still waits for the reader */
	}
	host_close(&h);
}

static void write_text(const char *path, const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static char first_byte(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = 0;

	CHECK(fd >= 0 && read(fd, &c, 1) >= 0);
	return c;
}

static void host_open_upper(struct host *h, const char *frozen)
{
	host_make(h);
	CHECK(mkdir(in(h, "cgroup"), 0755) == 0 && mkdir(in(h, "upper"), 0755) == 0);
	write_text(in(h, "cgroup/cgroup.freeze"), "-");
	write_text(in(h, "cgroup/cgroup.events"), frozen);
	make_file(in(h, "upper/file"), 3 * STREAM_WINDOW);
	host_run(h);
}

TEST(a_sandbox_that_keeps_nothing_has_an_empty_layer)
{
	static const uint8_t zeroes[1024];
	_cleanup_buffer_ struct buffer out = {0};
	struct host h;

	host_open(&h);
	host_request(&h, 1, MESSAGE_UPPER, NULL, 0);
	CHECK_INT(host_finish(&h, 1, &out), 0);
	CHECK(out.size == sizeof zeroes && !memcmp(out.data, zeroes, sizeof zeroes));
	host_close(&h);
}

TEST(what_is_at_a_path_is_removed_with_all_below_it_and_nothing_behind_a_link)
{
	struct host h;

	host_open(&h);
	CHECK(mkdir(in(&h, "tree"), 0755) == 0 && mkdir(in(&h, "tree/below"), 0755) == 0);
	make_file(in(&h, "file"), 1);
	make_file(in(&h, "tree/below/file"), 1);
	CHECK(symlinkat("../file", open(in(&h, "tree"), O_RDONLY | O_CLOEXEC), "link") == 0);
	host_request(&h, 1, MESSAGE_REMOVE, in(&h, "tree"), 0);
	CHECK_INT(host_finish(&h, 1, NULL), 0);
	CHECK(access(in(&h, "tree"), F_OK) < 0 && access(in(&h, "file"), F_OK) == 0);
	host_request(&h, 2, MESSAGE_REMOVE, in(&h, "tree"), 0);
	CHECK_INT(host_finish(&h, 2, NULL), 0); /* it is gone already */
	host_close(&h);
}

TEST(what_is_staged_is_not_removed_below_its_overlay)
{
	const struct message_request m = {.path = (char *)".", .upper = 0};
	_cleanup_buffer_ struct buffer payload = {0};
	struct host h;

	host_open(&h);
	message_request_encode(MESSAGE_REMOVE, &m, &payload);
	host_send(&h, 1, MESSAGE_REMOVE, 0, payload.data, payload.size);
	CHECK_INT(host_finish(&h, 1, NULL), -ERROR_UNAVAILABLE);
	host_close(&h);
}

TEST(processes_stand_still_while_their_changes_are_read)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct host h;
	struct frame f;

	host_open_upper(&h, "populated 1\nfrozen 1\n");
	host_request(&h, 1, MESSAGE_UPPER, NULL, 1);
	host_next(&h, &f);
	CHECK_INT(f.type, MESSAGE_DATA);
	CHECK_INT(first_byte(in(&h, "cgroup/cgroup.freeze")), '1');
	host_credit(&h, 1, (uint32_t)f.size);
	CHECK_INT(host_finish(&h, 1, &out), 0);
	CHECK(out.size > 3 * STREAM_WINDOW - f.size);
	WAIT_UNTIL(first_byte(in(&h, "cgroup/cgroup.freeze")) == '0');
	host_close(&h);
}

TEST(processes_go_on_when_the_last_who_wanted_them_still_has_gone)
{
	struct host h;
	struct frame f;

	host_open_upper(&h, "frozen 1\n");
	host_request(&h, 1, MESSAGE_UPPER, NULL, 1);
	host_next(&h, &f);
	host_request(&h, 2, MESSAGE_UPPER, NULL, 1);
	do
		host_next(&h, &f);
	while (f.stream != 2);
	host_send(&h, 1, MESSAGE_ERROR, 0, "\1\0\0\0\0\0\0\0", 8);
	check_alive(&h);
	CHECK_INT(first_byte(in(&h, "cgroup/cgroup.freeze")), '1');
	host_send(&h, 2, MESSAGE_ERROR, 0, "\1\0\0\0\0\0\0\0", 8);
	WAIT_UNTIL(first_byte(in(&h, "cgroup/cgroup.freeze")) == '0');
	WAIT_UNTIL(workers(&h) == 0);
	host_close(&h);
}

TEST(nobody_is_held_still_who_need_not_be)
{
	_cleanup_buffer_ struct buffer out = {0};
	struct host h;

	host_open_upper(&h, "frozen 0\n");
	host_request(&h, 1, MESSAGE_UPPER, NULL, 0);
	CHECK_INT(host_finish(&h, 1, &out), 0);
	CHECK_INT(first_byte(in(&h, "cgroup/cgroup.freeze")), '-');
	host_close(&h);
}
