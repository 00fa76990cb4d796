/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "guest/beneath.h"
#include "guest/clock.h"
#include "guest/made.h"
#include "guest/root.h"
#include "guest/volumes.h"

/* All clones of a template wake with one and the same generator: what the host sends is credited, and the
 * generator keyed anew at once. */
static int stir_entropy(const struct boot *b, const struct message_setup *m, struct error *err)
{
	struct {
		struct rand_pool_info info;
		uint8_t bytes[SETUP_ENTROPY_MAX];
	} pool;

	pool.info.entropy_count = (int)m->entropy_size * 8;
	pool.info.buf_size = (int)m->entropy_size;
	memcpy(pool.bytes, m->entropy, m->entropy_size);
	if (ioctl(b->random, RNDADDENTROPY, &pool) < 0 || ioctl(b->random, RNDRESEEDCRNG, 0) < 0)
		return error_errno(err, errno, "add the host's entropy");
	explicit_bzero(&pool, sizeof pool);
	return 0;
}

/* In place of what was in it: a copy of the machine has what the one had that it was copied from. */
static int write_file(
	struct boot *b, enum boot_file file, const char *text, const char *tail, struct error *err)
{
	static const char *const names[] = {[FILE_HOSTS] = "/etc/hosts",
		[FILE_RESOLV_CONF] = "/etc/resolv.conf",
		[FILE_HOSTNAME] = "/etc/hostname",
		[FILE_MACHINE_ID] = "/etc/machine-id",
		[FILE_BOOT_ID] = "the boot id"};
	struct iovec parts[] = {{(char *)text, strlen(text)}, {(char *)tail, strlen(tail)}};
	size_t n = parts[0].iov_len + parts[1].iov_len;

	if (pwritev(b->files[file], parts, ARRAY_SIZE(parts), 0) != (ssize_t)n ||
		(b->written[file] && ftruncate(b->files[file], (off_t)n) < 0))
		return error_errno(err, errno, "write %s", names[file]);
	b->written[file] = true;
	return 0;
}

static int write_identity(struct boot *b, const struct message_setup *m, struct error *err)
{
	int r;

	if (sethostname(m->hostname, strlen(m->hostname)) < 0)
		return error_errno(err, errno, "set the hostname to '%s'", m->hostname);
	r = write_file(b, FILE_HOSTNAME, m->hostname, "\n", err);
	if (r == 0)
		r = write_file(b, FILE_MACHINE_ID, m->machine_id, "\n", err);
	if (r == 0)
		r = write_file(b, FILE_BOOT_ID, m->boot_id, "\n", err);
	if (r == 0)
		r = write_file(b, FILE_HOSTS, m->hosts, "", err);
	if (r == 0)
		r = write_file(b, FILE_RESOLV_CONF, m->resolv_conf, "", err);
	return r;
}

static int limit_processes(const struct boot *b, const struct message_setup *m, struct error *err)
{
	char text[16];
	int n = snprintf(text, sizeof text, "%u", m->pids);

	if (m->pids && write(b->cgroup_pids_max, text, (size_t)n) != n)
		return error_errno(err, errno, "limit the sandbox to %u processes", m->pids);
	return 0;
}

/* Makes an empty file `name` in /etc, where the image has nothing that a file can be bound over: nothing, a
 * link that leads nowhere or to another mount, a directory. */
static bool make_way(const struct boot *b, const char *name)
{
	_cleanup_fd_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_fd_ int etc = beneath_open(root, "etc", O_PATH | O_DIRECTORY, 0, BENEATH_MOUNT);

	if (etc < 0)
		etc = beneath_insist(root, "etc", made_maker(b->first));
	return etc >= 0 && made_file(etc, name, b->first);
}

static bool bind_file(int tree, const char *path)
{
	_cleanup_fd_ int target = beneath_open(AT_FDCWD, path, O_PATH, 0, BENEATH_MOUNT);

	return target >= 0 && syscall(SYS_move_mount, tree, "", target, "",
				      MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
}

/* An image that leaves no way to do this (a directory with files as its /etc/hosts) keeps what it has. */
static void place_files(const struct boot *b, const struct message_setup *m)
{
	static const struct {
		enum boot_file file;
		const char *path;
	} places[] = {{FILE_HOSTS, "/etc/hosts"}, {FILE_RESOLV_CONF, "/etc/resolv.conf"},
		{FILE_HOSTNAME, "/etc/hostname"}, {FILE_MACHINE_ID, "/etc/machine-id"}};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int tree = b->trees[places[i].file];
		const char *path = places[i].path;

		if ((places[i].file == FILE_HOSTS && !*m->hosts) ||
			(places[i].file == FILE_RESOLV_CONF && !*m->resolv_conf))
			continue;
		if (!bind_file(tree, path) && !(make_way(b, path + strlen("/etc/")) && bind_file(tree, path)))
			log_warning("%s: the image leaves no place for it", path);
	}
}

static int make_directories(const struct boot *b, const struct message_setup *m, struct error *err)
{
	_cleanup_fd_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (made_maker(b->first)(root, "tmp", 01777) < 0 && errno != EEXIST)
		return error_errno(err, errno, "make /tmp");
	for (size_t i = 0; m->volumes && m->volumes[i]; i++) {
		_cleanup_fd_ int fd =
			beneath_make(AT_FDCWD, m->volumes[i], BENEATH_ROOT, made_maker(b->first));

		if (fd < 0)
			return error_errno(err, errno, "make the volume's directory %s", m->volumes[i]);
	}
	return 0;
}

/* The root, which is the last of the mounts where it is one, stands already. */
static int mount_volumes(struct boot *b, const struct message_setup *m, struct error *err)
{
	uint32_t n = m->mount_count;
	int r;

	if (n && m->mounts[n - 1].flags & MOUNT_ROOT)
		n--;
	for (uint32_t i = 0; i < n; i++)
		b->staged |= m->mounts[i].flags & MOUNT_STAGED ? 1u << i : 0;
	if (!n)
		return 0;
	boot_spare(b, true); /* their process is not the sandbox's to lose */
	r = volumes_mount(m->mounts, n, boot_storage(b), b->first, &b->volumes, err);
	boot_spare(b, false);
	return r;
}

int setup(struct boot *b, const struct message_setup *m, struct error *err)
{
	int r = stir_entropy(b, m, err);

	if (r == 0)
		r = clock_set(m->realtime, err);
	if (r == 0 && m->upper_only)
		return root_set_up_upper(b, m, err);
	if (r == 0)
		r = write_identity(b, m, err);
	if (r == 0)
		r = network_set_up(&b->networks, m, err);
	if (r == 0)
		r = limit_processes(b, m, err);
	if (r == 0)
		r = root_set_up(b, m, err);
	if (r < 0)
		return r;
	place_files(b, m);
	r = make_directories(b, m, err);
	if (r == 0)
		r = mount_volumes(b, m, err);
	return r < 0 ? r : root_protect(m, err);
}

/* What volumes held may have changed meanwhile, and who serves them now does not know what was told. */
static void forget_files(const struct boot *b)
{
	_cleanup_fd_ int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	struct error err;

	if (fd < 0 || write(fd, "3", 1) != 1)
		log_warning("drop what is known of files: %s", strerror(errno));
	if (volumes_renew(&b->volumes, &err) < 0) /* and of those in use */
		log_warning("%s", err.text);
}

int setup_wake(struct boot *b, const struct message_setup *m, struct error *err)
{
	int r = stir_entropy(b, m, err);

	if (r == 0)
		r = clock_set(m->realtime, err);
	if (r == 0)
		r = write_identity(b, m, err);
	if (r == 0 && m->mount_count)
		forget_files(b);
	return r == 0 ? network_renew(&b->networks, m, err) : r;
}
