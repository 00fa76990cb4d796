/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/usage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

void usage_open(struct usage *u, const struct boot *b)
{
	static const char *const names[USAGE_FILES] = {[USAGE_STAT] = "/proc/stat",
		[USAGE_MEMORY] = "/proc/meminfo",
		[USAGE_DISKS] = "/proc/diskstats",
		[USAGE_NET] = "/proc/self/net/dev",
		[USAGE_LOAD] = "/proc/loadavg"};

	for (size_t i = 0; i < USAGE_FILES; i++)
		u->files[i] = i == USAGE_PIDS ? openat(b->cgroup, "pids.current", O_RDONLY | O_CLOEXEC)
					      : open(names[i], O_RDONLY | O_CLOEXEC);
}

/* The text of a file in `scratch`; "" where it cannot be read. */
static const char *text_of(const struct usage *u, enum usage_file file, uint8_t *scratch, size_t size)
{
	size_t at = 0;
	ssize_t n = 1;

	while (n > 0 && at < size - 1) {
		n = pread(u->files[file], scratch + at, size - 1 - at, (off_t)at);
		at += n > 0 ? (size_t)n : 0;
	}
	scratch[at] = '\0';
	return (const char *)scratch;
}

static struct usage_counters count(const struct usage *u, uint8_t *scratch, size_t size)
{
	struct usage_counters c = {0};

	usage_cpu(text_of(u, USAGE_STAT, scratch, size), (uint64_t)sysconf(_SC_CLK_TCK), &c);
	usage_disks(text_of(u, USAGE_DISKS, scratch, size), &c);
	usage_net(text_of(u, USAGE_NET, scratch, size), &c);
	return c;
}

void usage_begin(struct usage *u, uint8_t *scratch, size_t size)
{
	u->begun = count(u, scratch, size);
}

/* An interface that was removed took its count with it. */
static uint64_t since(uint64_t now, uint64_t begun)
{
	return now > begun ? now - begun : 0;
}

void usage_read(const struct usage *u, int upper, uint8_t *scratch, size_t size, struct message_usage *m)
{
	const struct usage_counters c = count(u, scratch, size);
	struct statvfs s;

	*m = (struct message_usage){.cpu_nanoseconds = since(c.cpu_nanoseconds, u->begun.cpu_nanoseconds),
		.disk_read = since(c.disk_read, u->begun.disk_read),
		.disk_written = since(c.disk_written, u->begun.disk_written),
		.net_received = since(c.net_received, u->begun.net_received),
		.net_sent = since(c.net_sent, u->begun.net_sent)};
	if (fstatvfs(upper, &s) == 0) {
		m->disk_total = (uint64_t)s.f_blocks * s.f_frsize;
		m->disk_free = (uint64_t)s.f_bfree * s.f_frsize;
	}
	usage_memory(text_of(u, USAGE_MEMORY, scratch, size), &m->memory_total, &m->memory_available);
	m->load_milli = usage_load(text_of(u, USAGE_LOAD, scratch, size));
	m->processes = (uint32_t)strtoul(text_of(u, USAGE_PIDS, scratch, size), NULL, 10);
}
