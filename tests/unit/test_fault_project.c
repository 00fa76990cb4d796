/* SPDX-License-Identifier: Apache-2.0 */
/* A project is loaded while memory runs out: each allocation fails once, in its turn; it is said, and nothing
 * is leaked. */
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "project_files.h"
#include "test.h"

static const struct memory_file files[] = {
	{"/p/.env", "COLOUR=blue\n", NULL},
	{"/p/web.env", "A=1\nB=\"${A} ${TERM}\"\nTERM\n", NULL},
	{"/p/db/monocore.yaml",
		"sandboxes:\n  postgres: {image: tool, depends_on: [init], volumes: [./data:/d], groups: "
		"[g]}\n"
		"  init: {image: busybox}\nbuilds: {tool: {image: debian}}\ngroups: {g: {envs: [X=y]}}\n",
		NULL},
};
static const char *const environment[] = {"TERM=xterm", NULL};
static const struct memory_project memory = {files, sizeof files / sizeof *files, environment};

static const char right[] =
	"meta: {tags: [a, b]}\n"
	"x-base: &base {ram: 256, envs: [A=1, TERM]}\n"
	"modules: {db/monocore.yaml: {postgres: {as: db}}}\n"
	"builds:\n"
	"  app: {image: debian, exports: {w: /o}, steps: [make, {run: [a]}, {copy: [/etc/x, /y]}, {env: {A: "
	"b}}]}\n"
	"sandboxes:\n"
	"  web:\n"
	"    <<: *base\n"
	"    image: app\n"
	"    volumes: [./src:/app:ro, data:/d, /srv:/s]\n"
	"    ports: ['0.0.0.0:80:80', 81]\n"
	"    depends_on: [db, app]\n"
	"    imports: {w: /w}\n"
	"    env_file: web.env\n"
	"    user: ${COLOUR:-x}\n"
	"    scripts: {start: a}\n"
	"    network: {allow: ['*:443'], deny: ['*:25']}\n"
	"    groups: {g: {network: {ip: 10.0.0.5, hostname: api}, volumes: {s: /shared}}}\n"
	"    healthcheck: {exec: x}\n"
	"    labels: {a: b}\n"
	"  lab: {image: ./img, reach: any}\n"
	"groups: {g: {volumes: {s: ./shared}, envs: {G: g}}}\n";

static const char wrong[] = "sandboxes:\n"
			    "  web: {imge: x, ram: lots, user: '${NO}'}\n"
			    "  web: {image: x, depends_on: [wb]}\n"
			    "  a: {image: x, depends_on: [b]}\n"
			    "  b: {image: x, depends_on: [a]}\n";

/* Loads the text with each allocation failing once. `expected` is what comes of it where none does. */
static void each_allocation(const char *text, int expected)
{
	bool happened = true;

	for (unsigned n = 1; happened; n++) {
		long before = fault_blocks(), after;
		struct mistakes m;
		struct project *p;
		struct error err;
		int r;

		fault_arm(FAULT_MEMORY, n);
		r = memory_load(&memory, text, strlen(text), &p, &m, &err);
		happened = fault_happened();
		fault_disarm();
		if (r != expected && !(happened && r == -ERROR_NO_MEMORY))
			test_fail(__FILE__, __LINE__, "allocation %u: %d: %s", n, r, err.text);
		project_free(p);
		mistakes_free(&m);
		after = fault_blocks();
		if (after != before)
			test_fail(
				__FILE__, __LINE__, "allocation %u: %ld blocks are left", n, after - before);
		CHECK(n < 20000);
	}
}

TEST(a_project_is_loaded_whole_or_memory_is_said_to_be_out)
{
	each_allocation(right, 0);
}

TEST(mistakes_are_told_or_memory_is_said_to_be_out)
{
	each_allocation(wrong, -ERROR_INVALID);
}
