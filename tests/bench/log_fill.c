/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a log as a supervisor does: bench_log_fill DIRECTORY MEBIBYTES, into a sandbox's directory. Its
 * lines differ, and every 1/64 of it begins with "mark N".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "sandbox/output.h"

#define PARTS 64
#define BLOCK 32768

static size_t make_block(char block[BLOCK], unsigned *line)
{
	size_t n = 0;

	while (n < BLOCK - 200) {
		unsigned k = (*line)++;

		n += (size_t)snprintf(block + n, BLOCK - n,
			"2026-01-31T%02u:%02u:%02u.%03uZ info: worker %u: GET /path/of/a/page/%u HTTP/1.1 "
			"200, in %u ms\n",
			k / 3600000 % 24, k / 60000 % 60, k / 1000 % 60, k % 1000, k % 7, k / 13 % 101,
			k * 7 % 31);
	}
	return n;
}

static int fill(struct output_writer *w, uint64_t part, struct error *err)
{
	char block[BLOCK], mark[32];
	unsigned line = 0;
	int r = 0;

	for (int i = 0; r == 0 && i < PARTS; i++) {
		int n = snprintf(mark, sizeof mark, "mark %d\n", i);

		r = output_append(w, OUTPUT_OUT, mark, (size_t)n, err);
		for (uint64_t done = 0; r == 0 && done < part;) {
			size_t size = make_block(block, &line);

			r = output_append(w, OUTPUT_OUT, block, size, err);
			done += size;
		}
	}
	return r;
}

int main(int argc, char **argv)
{
	int directory = argc == 3 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	struct output_writer *w = NULL;
	struct error err = {.text = "usage: bench_log_fill DIRECTORY MEBIBYTES"};
	int r = directory < 0 ? -1 : output_open(directory, &w, &err);

	if (r == 0)
		r = fill(w, (strtoull(argv[2], NULL, 10) << 20) / PARTS, &err);
	output_close(w);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	return r < 0;
}
