/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/usage_words.h"

#include <stdio.h>

#include "base/text.h"
#include "bin/cli/json.h"

const char *usage_cpu(uint32_t thousandth, char *out)
{
	snprintf(out, USAGE_WORDS_SIZE, "%.1f%%", thousandth / 10.0);
	return out;
}

const char *usage_share(uint64_t part, uint64_t whole, char *out)
{
	if (whole)
		snprintf(out, USAGE_WORDS_SIZE, "%.1f%%", 100.0 * (double)part / (double)whole);
	else
		snprintf(out, USAGE_WORDS_SIZE, "-");
	return out;
}

const char *usage_pair(uint64_t a, uint64_t b, char *out)
{
	char first[20], second[20];

	snprintf(out, USAGE_WORDS_SIZE, "%s / %s", text_human_size(a, first, sizeof first),
		text_human_size(b, second, sizeof second));
	return out;
}

void usage_write_json(struct buffer *b, const struct monocore_usage *u)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {{"cpu_nanoseconds", u->cpu}, {"cpu_thousandth", u->cpu_thousandth}, {"cpus", u->cpus},
		{"memory", u->memory}, {"memory_limit", u->memory_limit}, {"disk", u->disk},
		{"disk_limit", u->disk_limit}, {"disk_read", u->disk_read}, {"disk_written", u->disk_written},
		{"net_received", u->net_received}, {"net_sent", u->net_sent}, {"processes", u->processes}};

	json_put_open(b, '{');
	json_put_key(b, "name");
	json_put_string(b, u->name);
	json_put_key(b, "id");
	json_put_string(b, u->id);
	json_put_key(b, "state");
	json_put_string(b, monocore_state_name(u->state));
	json_put_key(b, "time");
	json_put_time(b, u->time);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		json_put_key(b, numbers[i].key);
		json_put_number(b, (int64_t)(numbers[i].value & INT64_MAX));
	}
	json_put_close(b, '}');
}
