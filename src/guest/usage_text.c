/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/usage_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define SECTOR 512 /* bytes, whatever the device has */

/* `at` is where each line begins. */
#define LINES_EACH(at, text) for (const char *at = (text); at && *at; at = strchr(at, '\n'), at += at != NULL)

/* Reads up to n numbers; how many there were in this line. */
static size_t read_numbers(const char *text, uint64_t *out, size_t n)
{
	size_t count = 0;

	while (count < n) {
		text += strspn(text, " \t");
		if (*text < '0' || *text > '9')
			break;
		out[count++] = strtoull(text, (char **)&text, 10);
	}
	return count;
}

void usage_cpu(const char *text, uint64_t hertz, struct usage_counters *c)
{
	/* user nice system idle iowait irq softirq steal; the guests' time is in user's already */
	uint64_t n[8] = {0};

	if (!text_starts(text, "cpu ") || !hertz)
		return;
	read_numbers(text + 4, n, 8);
	c->cpu_nanoseconds = (n[0] + n[1] + n[2] + n[5] + n[6] + n[7]) * (1000000000 / hertz);
}

void usage_disks(const char *text, struct usage_counters *c)
{
	LINES_EACH(line, text)
	{
		/* major minor name; then reads, merged, sectors, ms, writes, merged, sectors */
		const char *name = line + strspn(line, " 0123456789");
		size_t letters = strspn(name, "abcdefghijklmnopqrstuvwxyz");
		uint64_t n[7] = {0};

		if ((!text_starts(name, "vd") && !text_starts(name, "sd")) || name[letters] != ' ')
			continue;
		read_numbers(name + letters, n, 7);
		c->disk_read += n[2] * SECTOR;
		c->disk_written += n[6] * SECTOR;
	}
}

void usage_net(const char *text, struct usage_counters *c)
{
	LINES_EACH(line, text)
	{
		/* name: bytes and seven more received, bytes and seven more sent; the two first lines are
		 * heads
		 */
		size_t end = strcspn(line, "\n:");
		uint64_t n[9] = {0};

		if (line[end] != ':' || text_starts(line + strspn(line, " "), "lo:"))
			continue;
		read_numbers(line + end + 1, n, 9);
		c->net_received += n[0];
		c->net_sent += n[8];
	}
}

void usage_memory(const char *text, uint64_t *total, uint64_t *available)
{
	*total = *available = 0;
	LINES_EACH(line, text)
	{
		if (text_starts(line, "MemTotal:"))
			read_numbers(line + 9, total, 1);
		else if (text_starts(line, "MemAvailable:"))
			read_numbers(line + 13, available, 1);
	}
	*total *= 1024;
	*available *= 1024;
}

uint32_t usage_load(const char *text)
{
	char *end;
	unsigned long whole = strtoul(text, &end, 10), part = 0;
	unsigned scale = 100;

	if (end == text || whole > UINT32_MAX / 1000 - 1)
		return 0;
	for (const char *at = end + 1; *end == '.' && scale && *at >= '0' && *at <= '9'; at++, scale /= 10)
		part += scale * (unsigned long)(*at - '0');
	return (uint32_t)(whole * 1000 + part);
}
