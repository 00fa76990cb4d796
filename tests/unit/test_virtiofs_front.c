/* SPDX-License-Identifier: Apache-2.0 */
/* What the virtiofs server promises to hostile front ends, to a guest whose memory goes away, and to honest
 * ones. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vfs/memory/memory.h"
#include "vfs/virtiofs/virtiofs.h"
#include "vfs_make.h"
#include "virtiofs_rig.h"

/* ---- memory that goes away -------------------------------------------------------------------------- */

static _Noreturn void serve_and_end(int fd)
{
	const struct fuse_options options = {.threads = 2};
	struct virtiofs_server *server;

	signal(SIGBUS, SIG_DFL); /* a sanitizer's report is none of ours */
	if (virtiofs_server_new(memory_fs(), fd, &options, &server, NULL) < 0 ||
		virtiofs_server_run(server, NULL) < 0)
		_exit(1);
	_exit(0);
}

TEST(memory_that_is_taken_away_ends_the_process)
{
	int ends[2], status;
	struct front f;
	pid_t child;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		serve_and_end(ends[0]);
	close(ends[0]);
	front_start(&f, ends[1]);
	CHECK(!front_is_closed(&f)); /* it has all of it */
	f.queues[REQUESTS].descriptors[0] =
		(struct vring_desc){.addr = FRONT_GUEST + FRONT_BYTES - 4096, .len = 4096};
	CHECK_INT(ftruncate(f.memory_fd, FRONT_RINGS), 0);
	front_offer(&f, REQUESTS, 0);
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	front_free(&f);
}

/* ---- front ends ------------------------------------------------------------------------------------- */

static int count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	CHECK(d != NULL);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

struct attack {
	uint32_t request;
	const void *payload;
	uint32_t size;
	int fds[VHOST_FDS_MAX];
	int count;
};

/* A front end that says this, in the middle of a conversation, is left; what it sent is closed. */
static void check_refused(struct attack a)
{
	int before = count_descriptors();
	struct rig r;
	struct front f;

	front_make(&f, rig_serve(&r, memory_fs()));
	front_greet(&f);
	front_share(&f);
	CHECK(!front_is_closed(&f));
	front_send(&f, a.request, a.payload, a.size, a.fds, a.count);
	CHECK(front_is_closed(&f));
	CHECK_INT(pthread_join(r.thread, NULL), 0);
	CHECK_INT(r.result, -ERROR_INVALID);
	CHECK(strlen(r.err.text) > 0);
	virtiofs_server_free(r.server);
	vfs_destroy(r.fs);
	front_free(&f);
	CHECK_INT(count_descriptors(), before);
}

static void refuse_number(uint32_t request, uint64_t number)
{
	check_refused((struct attack){.request = request, .payload = &number, .size = sizeof number});
}

static void refuse_state(uint32_t request, uint32_t index, uint32_t number)
{
	const struct vhost_state s = {index, number};

	check_refused((struct attack){.request = request, .payload = &s, .size = sizeof s});
}

TEST(messages_of_another_kind_or_size_are_refused)
{
	const uint64_t zeros[40] = {0};

	for (uint32_t request = 0; request < 45; request++) {
		if (request == VHOST_SET_OWNER || request == VHOST_RESET_OWNER)
			continue; /* whatever their payload, the next check has them */
		check_refused((struct attack){.request = request, .payload = zeros, .size = 20});
	}
	check_refused((struct attack){.request = VHOST_SET_OWNER, .payload = zeros, .size = 8});
	check_refused((struct attack){.request = UINT32_MAX, .payload = zeros, .size = 8});
	check_refused((struct attack){.request = VHOST_SET_MEM_TABLE, .payload = zeros, .size = 320});
}

TEST(descriptors_where_none_are_due_are_refused_and_closed)
{
	const uint64_t number = 0, none = VHOST_NO_FD;
	struct attack a = {.payload = &number, .size = sizeof number};

	for (int i = 0; i < VHOST_FDS_MAX; i++)
		a.fds[i] = STDIN_FILENO;
	for (a.count = 1; a.count <= VHOST_FDS_MAX; a.count++) {
		a.request = VHOST_SET_FEATURES;
		check_refused(a);
		a.request = VHOST_SET_VRING_CALL;
		if (a.count > 1)
			check_refused(a);
	}
	check_refused(
		(struct attack){.request = VHOST_SET_VRING_KICK, .payload = &number, .size = sizeof number});
	check_refused(
		(struct attack){.request = VHOST_SET_VRING_KICK, .payload = &none, .size = sizeof none});
	check_refused((struct attack){.request = VHOST_SET_VRING_CALL,
		.payload = &none,
		.size = sizeof none,
		.fds = {STDIN_FILENO},
		.count = 1});
}

static void refuse_table(struct vhost_table t, int fd)
{
	check_refused((struct attack){.request = VHOST_SET_MEM_TABLE,
		.payload = &t,
		.size = (uint32_t)(8 + t.count * sizeof t.regions[0]),
		.fds = {fd, fd, fd},
		.count = (int)t.count});
}

TEST(memory_that_makes_no_sense_is_refused)
{
	struct vhost_table good = front_table(), t;
	int fd = memfd_create("guest", MFD_CLOEXEC), nothing = open("/dev/zero", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0 && nothing >= 0 && ftruncate(fd, FRONT_BYTES) == 0);
	refuse_table(good, nothing);
	t = good;
	t.regions[1].guest--; /* overlaps */
	refuse_table(t, fd);
	t = good;
	t.regions[1].user = t.regions[0].user + 4096;
	refuse_table(t, fd);
	t = good;
	t.regions[1].size++; /* ends behind the file */
	refuse_table(t, fd);
	t = good;
	t.regions[1].offset = UINT64_MAX - 4095;
	refuse_table(t, fd);
	t = good;
	t.regions[0].size = 0;
	refuse_table(t, fd);
	t = good;
	t.regions[1].guest = UINT64_MAX - 4095;
	refuse_table(t, fd);
	t = good;
	t.regions[1].user = UINT64_MAX - 4095;
	refuse_table(t, fd);
	t = good;
	t.count = 0;
	refuse_table(t, fd);
	t = good;
	t.count = 9;
	check_refused((struct attack){
		.request = VHOST_SET_MEM_TABLE, .payload = &t, .size = 72, .fds = {fd, fd}, .count = 2});
	close(fd);
	close(nothing);
}

TEST(queues_that_make_no_sense_are_refused)
{
	refuse_number(VHOST_SET_FEATURES, 1ull << VIRTIO_F_RING_PACKED);
	refuse_number(VHOST_SET_FEATURES, 1ull << VIRTIO_F_ACCESS_PLATFORM);
	refuse_number(VHOST_SET_FEATURES, 1ull << VIRTIO_RING_F_EVENT_IDX);
	refuse_number(VHOST_SET_PROTOCOL_FEATURES, UINT64_MAX);
	for (uint32_t request = VHOST_SET_VRING_NUM; request <= VHOST_SET_VRING_ENABLE; request++)
		if (request == VHOST_SET_VRING_NUM || request == VHOST_SET_VRING_BASE ||
			request == VHOST_GET_VRING_BASE || request == VHOST_SET_VRING_ENABLE) {
			refuse_state(request, VIRTIOFS_QUEUES_MAX, 1);
			refuse_state(request, UINT32_MAX, 1);
		}
	refuse_number(VHOST_SET_VRING_CALL, 200 | VHOST_NO_FD);
	refuse_state(VHOST_SET_VRING_NUM, 0, 0);
	refuse_state(VHOST_SET_VRING_NUM, 0, 3);
	refuse_state(VHOST_SET_VRING_NUM, 0, 2 * VIRTIOFS_QUEUE_SIZE_MAX);
	refuse_state(VHOST_SET_VRING_NUM, 0, 1u << 31);
	refuse_state(VHOST_SET_VRING_BASE, 0, 65536);
	refuse_state(VHOST_SET_VRING_ENABLE, 0, 2);
}

/* The rings of a queue that runs are moved to there. */
static void refuse_addresses(uint64_t descriptors_at, uint64_t available, uint64_t used)
{
	const struct vhost_addresses a = {.index = REQUESTS,
		.descriptors = FRONT_USER + descriptors_at,
		.available = FRONT_USER + available,
		.used = FRONT_USER + used};
	struct rig r;

	rig_start(&r);
	front_send(r.front, VHOST_SET_VRING_ADDR, &a, sizeof a, NULL, 0);
	CHECK(front_is_closed(r.front));
	rig_stop(&r);
	CHECK_INT(r.result, -ERROR_INVALID);
}

TEST(rings_that_do_not_lie_in_the_memory_are_refused)
{
	refuse_addresses(FRONT_FIRST, 0, 0);
	refuse_addresses(FRONT_FIRST - 4096 + 16, 0, 0);
	refuse_addresses(0, FRONT_FIRST - 4, 0);
	refuse_addresses(0, 0, FRONT_FIRST - 2048);
	refuse_addresses(-FRONT_USER - 16, 0, 0);
	refuse_addresses(0, -FRONT_USER - 2, 0);
	refuse_addresses(0, 0, FRONT_APART + FRONT_BYTES);
	refuse_addresses(8, 0, 0);
	refuse_addresses(0, 1, 0);
	refuse_addresses(0, 0, 2);
}

TEST(a_device_of_the_old_kind_is_refused_in_words)
{
	const uint64_t number = REQUESTS;
	struct rig r;
	struct front f;

	front_make(&f, rig_serve(&r, memory_fs()));
	front_send_number(&f, VHOST_SET_FEATURES, VHOST_F_PROTOCOL_FEATURES);
	front_send(&f, VHOST_SET_VRING_KICK, &number, sizeof number, &f.queues[REQUESTS].kick, 1);
	CHECK(front_is_closed(&f));
	CHECK_INT(pthread_join(r.thread, NULL), 0);
	CHECK(strstr(r.err.text, "force-legacy=false"));
	virtiofs_server_free(r.server);
	vfs_destroy(r.fs);
	front_free(&f);
}

TEST(a_message_that_is_cut_ends_the_connection)
{
	const uint32_t half[] = {VHOST_SET_FEATURES, 1, 8, 0};
	struct rig r;
	struct front f;

	for (uint32_t size = 1; size < sizeof half; size++) {
		front_make(&f, rig_serve(&r, memory_fs()));
		CHECK_INT(write(f.fd, half, size), size);
		shutdown(f.fd, SHUT_WR);
		CHECK_INT(pthread_join(r.thread, NULL), 0);
		CHECK_INT(r.result, 0);
		virtiofs_server_free(r.server);
		vfs_destroy(r.fs);
		front_free(&f);
	}
}

TEST(a_call_that_nobody_takes_holds_up_nothing)
{
	const uint64_t number = REQUESTS;
	struct fuse_ask a = {.opcode = FUSE_DESTROY};
	int ends[2];
	struct rig r;

	rig_start(&r);
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK(fcntl(ends[1], F_SETPIPE_SZ, 4096) > 0);
	front_send(r.front, VHOST_SET_VRING_CALL, &number, sizeof number, &ends[1], 1);
	for (int i = 0; i < 2000; i++) {
		front_offer(r.front, REQUESTS, 0);
		while (__atomic_load_n(&r.front->queues[REQUESTS].used->idx, __ATOMIC_ACQUIRE) !=
			r.front->queues[REQUESTS].available->idx)
			usleep(10);
	}
	front_send(r.front, VHOST_SET_VRING_CALL, &number, sizeof number, &r.front->queues[REQUESTS].call, 1);
	close(ends[0]);
	close(ends[1]);
	rig_restart(&r);
	CHECK_INT(virtiofs_ask(r.client, &a), 0);
	rig_stop(&r);
}

/* ---- honest ones, at work --------------------------------------------------------------------------- */

struct load {
	struct rig *rig;
	atomic_bool end;
	atomic_uint done;
};

static void *work(void *context)
{
	struct load *l = context;

	while (!l->end) {
		check_alive(l->rig);
		l->done++;
	}
	return NULL;
}

TEST(memory_is_replaced_under_load)
{
	struct load l;
	struct rig r;
	pthread_t threads[3];
	unsigned before;

	rig_start(&r);
	l = (struct load){.rig = &r};
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_INT(pthread_create(&threads[i], NULL, work, &l), 0);
	for (int i = 0; i < 200; i++)
		front_share(r.front);
	CHECK(!front_is_closed(r.front));
	before = l.done;
	while (l.done < before + 100)
		usleep(100);
	l.end = true;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	rig_stop(&r);
}

TEST(a_queue_goes_on_where_it_was_stopped)
{
	const struct vhost_state state = {.index = REQUESTS};
	struct vhost_state answer;
	struct rig r;

	rig_start(&r);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < 100; k++)
			check_alive(&r);
		CHECK(front_ask(r.front, VHOST_GET_VRING_BASE, &state, sizeof state, &answer, sizeof answer));
		CHECK_INT(answer.index, REQUESTS);
		CHECK_INT(answer.number, r.front->queues[REQUESTS].available->idx);
		front_start_queue(r.front, REQUESTS);
	}
	front_send_state(r.front, VHOST_SET_VRING_ENABLE, REQUESTS, 0);
	CHECK(!front_is_closed(r.front));
	front_send_state(r.front, VHOST_SET_VRING_ENABLE, REQUESTS, 1);
	check_alive(&r);
	rig_stop(&r);
}

/* A file system whose reads wait until they are let go. */
static struct {
	struct vfs_operations operations;
	int64_t (*read)(struct vfs *, uint64_t, vfs_handle, void *, size_t, uint64_t);
	sem_t begun, go;
} slow;

static int64_t slow_read(
	struct vfs *fs, uint64_t ino, vfs_handle handle, void *bytes, size_t size, uint64_t offset)
{
	sem_post(&slow.begun);
	sem_wait(&slow.go);
	return slow.read(fs, ino, handle, bytes, size, offset);
}

static void *read_slowly(void *client)
{
	char bytes[8];

	CHECK_INT(
		vfs_read(client, vfs_find(client, VFS_ROOT, "f").ino, VFS_NO_HANDLE, bytes, sizeof bytes, 0),
		4);
	return NULL;
}

TEST(a_slow_request_holds_up_no_other)
{
	struct vfs *fs = memory_fs();
	pthread_t threads[3]; /* the server has one more */
	struct rig r;
	int fd;

	slow.operations = *fs->operations;
	slow.read = slow.operations.read;
	slow.operations.read = slow_read;
	fs->operations = &slow.operations;
	sem_init(&slow.begun, 0, 0);
	sem_init(&slow.go, 0, 0);
	fd = rig_serve(&r, fs);
	r.client = virtiofs_vfs_new(fd);
	r.front = virtiofs_vfs_front(r.client);
	vfs_make_text(r.client, VFS_ROOT, "f", "text");
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_INT(pthread_create(&threads[i], NULL, read_slowly, r.client), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		sem_wait(&slow.begun);
	for (int i = 0; i < 50; i++)
		check_alive(&r);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		sem_post(&slow.go);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	rig_stop(&r);
}

TEST(it_stops_when_it_is_told)
{
	struct rig r;

	rig_start(&r);
	virtiofs_server_stop(r.server);
	CHECK(front_is_closed(r.front));
	rig_stop(&r);
	CHECK_INT(r.result, 0);
}
