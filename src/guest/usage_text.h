/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of the kernel's texts (proc(5)): a core without I/O. What is not in a text is 0. */
#pragma once

#include <stdint.h>

struct usage_counters {
	uint64_t cpu_nanoseconds;         /* busy time of all cpus */
	uint64_t disk_read, disk_written; /* bytes */
	uint64_t net_received, net_sent;
};

/* /proc/stat: all that is neither idle nor waiting for I/O; `hertz` ticks are a second. */
void usage_cpu(const char *text, uint64_t hertz, struct usage_counters *c);
/* /proc/diskstats: whole disks (vd*, sd*); partitions and what is made of them would count twice. */
void usage_disks(const char *text, struct usage_counters *c);
/* /proc/net/dev: all interfaces but lo. */
void usage_net(const char *text, struct usage_counters *c);
/* /proc/meminfo: bytes. */
void usage_memory(const char *text, uint64_t *total, uint64_t *available);
/* /proc/loadavg: the first load * 1000. */
uint32_t usage_load(const char *text);
