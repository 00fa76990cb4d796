/* SPDX-License-Identifier: Apache-2.0 */
/* What right files mean: YAML's words, variables, modules, and what reaches out. */
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "lib/project.h"
#include "project/env.h"
#include "project/interpolate.h"
#include "project/scalar.h"
#include "project/yaml.h"
#include "project_files.h"
#include "test.h"

static const struct memory_file files[] = {
	{"/p/.env", "COLOUR=blue\nNAME='a ${b}'\n", NULL},
	{"/p/web.env",
		"# of the web\nexport A=1\nB=\"x ${A}\\n\\${A}$$\" # one\nC= bare ${COLOUR} $$ # "
		"c\nD\nHOME\n\nA=2\n",
		NULL},
	{"/p/db/monocore.yaml",
		"sandboxes:\n"
		"  postgres: {image: postgres, depends_on: [init, schema], volumes: [./data:/d], groups: "
		"[data]}\n"
		"  init: {image: tool, depends_on: schema}\n"
		"  unused: {image: x}\n"
		"builds: {tool: {image: debian}, schema: {image: debian}}\n"
		"groups: {data: {envs: {IN: data}}}\n",
		NULL},
	{"/p/stack/monocore.yaml",
		"modules: {../db/monocore.yaml: {postgres: {as: sql}}}\nsandboxes: {api: {image: y, "
		"depends_on: [sql]}}\n",
		NULL},
	{"/p/empty.yaml", "", NULL},
	{"/p/nothing.yaml", "---\n", NULL},
	{"/p/link", NULL, "/etc"},
	{"/p/inside", NULL, "/p/real"},
	{"/p/outer.env", "Z=1\n", "/secret/outer.env"},
	{"/secret/outer.env", "Z=1\n", NULL},
	{"/else/monocore.yaml", "sandboxes: {far: {image: x, volumes: [./d:/d]}}\n", NULL},
};
static const char *const environment[] = {"HOME=/home/me", "TERM=xterm", "COLOUR=red", "EMPTY=", NULL};
static const struct memory_project memory = {files, sizeof files / sizeof *files, environment};

static struct project *load(const char *text)
{
	struct mistakes m;
	struct project *p;
	struct error err;
	int r = memory_load(&memory, text, strlen(text), &p, &m, &err);

	mistakes_free(&m);
	if (r < 0)
		test_fail(__FILE__, __LINE__, "'%s': %s", text, err.text);
	return p;
}

static const char *joined(char *const *list)
{
	static char out[1000];

	*out = 0;
	for (size_t i = 0; list && list[i]; i++) {
		strncat(out, *out ? "|" : "", sizeof out - strlen(out) - 1);
		strncat(out, list[i], sizeof out - strlen(out) - 1);
	}
	return out;
}

TEST(plain_words_mean_what_yaml_1_2_says)
{
	static const struct {
		const char *text;
		enum scalar_kind kind;
	} rows[] = {{"", SCALAR_NULL}, {"~", SCALAR_NULL}, {"null", SCALAR_NULL}, {"Null", SCALAR_NULL},
		{"nULL", SCALAR_TEXT}, {"true", SCALAR_BOOL}, {"True", SCALAR_BOOL}, {"tRue", SCALAR_TEXT},
		{"yes", SCALAR_TEXT}, {"no", SCALAR_TEXT}, {"on", SCALAR_TEXT}, {"off", SCALAR_TEXT},
		{"y", SCALAR_TEXT}, {"0", SCALAR_NUMBER}, {"010", SCALAR_NUMBER}, {"0o17", SCALAR_NUMBER},
		{"0x1F", SCALAR_NUMBER}, {"-5", SCALAR_NUMBER}, {"+5", SCALAR_NUMBER}, {"1_000", SCALAR_TEXT},
		{"0b1", SCALAR_TEXT}, {"12:30", SCALAR_TEXT}, {"1.5", SCALAR_FRACTION},
		{".5", SCALAR_FRACTION}, {"5.", SCALAR_FRACTION}, {".", SCALAR_TEXT}, {"-", SCALAR_TEXT},
		{"1e3", SCALAR_FRACTION}, {"e3", SCALAR_TEXT}, {"1e", SCALAR_TEXT}, {".inf", SCALAR_FRACTION},
		{"-.INF", SCALAR_FRACTION}, {".nan", SCALAR_FRACTION}, {"-.nan", SCALAR_TEXT},
		{"1.2.3", SCALAR_TEXT}, {"0x", SCALAR_TEXT}, {"0o8", SCALAR_TEXT},
		{"2024-01-01", SCALAR_TEXT}};
	uint64_t number;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (scalar_kind(rows[i].text) != rows[i].kind)
			test_fail(__FILE__, __LINE__, "'%s' is %s", rows[i].text,
				scalar_kind_name(scalar_kind(rows[i].text)));
	CHECK(scalar_number("010", &number) && number == 10);
	CHECK(scalar_number("0x1f", &number) && number == 31);
	CHECK(scalar_number("0o17", &number) && number == 15);
	CHECK(scalar_number("18446744073709551615", &number) && number == UINT64_MAX);
	CHECK(!scalar_number("18446744073709551616", &number) && !scalar_number("-1", &number));
}

/* The text of the file that a node was read from. */
static void check_span(const char *text, const struct yaml_node *node, const char *expected)
{
	char span[200];

	snprintf(span, sizeof span, "%.*s", (int)(node->end - node->start), text + node->start);
	CHECK_TEXT(span, expected);
}

TEST(nodes_know_their_places_and_bytes)
{
	static const char text[] = "\xef\xbb\xbf\xc3\xa4: [\xe2\x82\xac, \"q\\n\"] # c\n"
				   "b:\n  - x\n  - {y: z}\n\n"
				   "c: |\n  one\n  two\n\nd:\ne: &x {f: g}\nh:\n  i: *x\n";
	struct yaml_document *document;
	struct mistakes m = {0};
	struct yaml_node *root;
	struct error err;

	CHECK_OK(yaml_parse(text, sizeof text - 1, &m, 0, &document, &err));
	CHECK_INT(m.count, 0);
	root = yaml_root(document);
	CHECK(root->kind == YAML_MAPPING && root->count == 6);
	check_span(text, root->pairs[0].key, "\xc3\xa4");
	check_span(text, root->pairs[0].value, "[\xe2\x82\xac, \"q\\n\"]");
	check_span(text, root->pairs[0].value->items[0], "\xe2\x82\xac");
	check_span(text, root->pairs[0].value->items[1], "\"q\\n\"");
	CHECK_INT(root->pairs[0].value->items[1]->column, 8);
	check_span(text, yaml_get(root, "b"), "- x\n  - {y: z}");
	check_span(text, yaml_get(root, "c"), "|\n  one\n  two");
	CHECK_TEXT(yaml_get(root, "c")->text, "one\ntwo\n");
	check_span(text, yaml_get(root, "d"), "");
	check_span(text, yaml_get(root, "h"), "i: *x");
	CHECK(yaml_get(yaml_get(root, "h"), "i") == yaml_get(root, "e"));
	yaml_release(document);
	mistakes_free(&m);
}

TEST(an_empty_file_is_an_empty_project)
{
	struct mistakes m = {0};
	struct yaml_document *document;
	struct project *p = load("");
	struct error err;

	CHECK(!p->sandbox_count && !p->group_count);
	project_free(p);
	p = load("# nothing\nsandboxes:\nmeta:\n");
	CHECK(!p->sandbox_count);
	project_free(p);
	CHECK_OK(yaml_parse(NULL, 0, &m, 0, &document, &err));
	CHECK(!m.count);
	yaml_release(document);
	p = load("modules: {empty.yaml: [], env/../nothing.yaml: {}}\n");
	project_free(p);
}

TEST(merges_add_what_a_mapping_lacks)
{
	struct project *p = load("x-a: &a {ram: 200, cpus: 2}\n"
				 "x-b: &b {ram: 250, disk: 1G}\n"
				 "sandboxes:\n"
				 "  one: {<<: *a, image: x, ram: 300}\n"
				 "  two: {image: x, <<: [*b, *a]}\n"
				 "  three: &t {<<: *a, image: x}\n"
				 "  four: {<<: *t, cpus: 3}\n");

	CHECK(p->sandboxes[0].common.memory == 300ull << 20 && p->sandboxes[0].common.cpus == 2);
	CHECK(p->sandboxes[1].common.memory == 250ull << 20 && p->sandboxes[1].common.cpus == 2);
	CHECK(p->sandboxes[1].common.disk == 1ull << 30);
	CHECK(p->sandboxes[3].common.memory == 200ull << 20 && p->sandboxes[3].common.cpus == 3);
	project_free(p);
}

TEST(variables_are_put_in_their_places)
{
	static const struct {
		const char *text, *value; /* NULL: a mistake */
	} rows[] = {{"a ${TERM} b", "a xterm b"}, {"${TERM}${TERM}", "xtermxterm"},
		{"$TERM $$ $1 $(x) $", "$TERM $ $1 $(x) $"}, {"$${TERM}", "${TERM}"}, {"${COLOUR}", "blue"},
		{"${NOT:-d}", "d"}, {"${NOT-d}", "d"}, {"${EMPTY:-d}", "d"}, {"${EMPTY-d}", ""},
		{"${TERM:-d}", "xterm"}, {"${TERM:+y}", "y"}, {"${NOT:+y}", ""}, {"${EMPTY:+y}", ""},
		{"${EMPTY+y}", "y"}, {"${NOT:-${TERM}}", "xterm"}, {"${NOT:-a ${NOT:-b} c}", "a b c"},
		{"${NOT:-}", ""}, {"${TERM:?no}", "xterm"}, {"${TERM:-${NOT}}", "xterm"}, {"${NOT}", NULL},
		{"${NOT:?no}", NULL}, {"${EMPTY:?no}", NULL}, {"${EMPTY?no}", ""}, {"${", NULL},
		{"${}", NULL}, {"${TERM", NULL}, {"${TERM:}", NULL}, {"${NOT:-x", NULL}, {"${1}", NULL},
		{"{}", "{}"}, {"a}b", "a}b"}, {"", ""}};
	char text[300];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct mistakes m;
		struct project *p;
		struct error err;
		int r;

		snprintf(
			text, sizeof text, "sandboxes: {a: {image: x, labels: {l: \"%s\"}}}\n", rows[i].text);
		r = memory_load(&memory, text, strlen(text), &p, &m, &err);
		if (!rows[i].value != (r < 0))
			test_fail(__FILE__, __LINE__, "'%s': %s", rows[i].text, r < 0 ? err.text : "taken");
		if (r == 0 && strcmp(p->sandboxes[0].labels[0] + 2, rows[i].value) != 0)
			test_fail(__FILE__, __LINE__, "'%s' became '%s'", rows[i].text,
				p->sandboxes[0].labels[0] + 2);
		project_free(p);
		mistakes_free(&m);
	}
}

TEST(the_environment_is_that_of_groups_then_files_then_the_sandbox)
{
	struct project *p =
		load("groups: {g: {envs: {A: group, G: group}}}\n"
		     "sandboxes:\n"
		     "  web: {image: x, groups: [g], env_file: web.env, envs: [C=own, TERM, NOWHERE, N=]}\n"
		     "  map: {image: x, envs: {PORT: 80, YES: no, TERM: , T: \"\", V: 1.10}}\n");

	CHECK_TEXT(joined(p->sandboxes[0].common.env),
		"A=2|G=group|B=x 1\n${A}$$|C=own|HOME=/home/me|TERM=xterm|N=");
	CHECK_TEXT(joined(p->sandboxes[1].common.env), "PORT=80|YES=no|TERM=xterm|T=|V=1.10");
	CHECK_TEXT(joined(p->groups[0].env), "A=group|G=group");
	project_free(p);
}

TEST(a_sandbox_is_resolved_whole)
{
	struct project *p =
		load("builds:\n"
		     "  app:\n"
		     "    image: debian\n"
		     "    exports: {wheels: /out}\n"
		     "    steps:\n"
		     "      - make\n"
		     "      - {run: [make, install]}\n"
		     "      - {copy: [src, a.txt, /app/]}\n"
		     "      - {copy: [/bin/tool, /bin/], from: tools}\n"
		     "      - {env: {A: b}}\n"
		     "      - {workdir: /app}\n"
		     "      - {user: me}\n"
		     "  tools: {image: debian}\n"
		     "sandboxes:\n"
		     "  web:\n"
		     "    image: app\n"
		     "    ram: 1.5G\n"
		     "    cpus: 0x2\n"
		     "    disk: 100\n"
		     "    volumes: [./src/:/app/:ro, data:/var/lib/data, ~/x:/x]\n"
		     "    ports: [8080:80, 53/udp]\n"
		     "    depends_on: [db, app]\n"
		     "    imports: {wheels: /w}\n"
		     "    workdir: /app\n"
		     "    user: 1000\n"
		     "    shell: /bin/bash\n"
		     "    scripts: {start: python app.py, test: pytest}\n"
		     "    scope: group\n"
		     "    network: {allow: [example.com:443], deny: ['*:25'], bandwidth: 10M}\n"
		     "    groups: {back: {network: {ip: 10.0.1.5, hostname: api}, volumes: {s: /s:ro}}, "
		     "default: }\n"
		     "    restart: on-failure:3\n"
		     "    healthcheck: {exec: curl x, interval: 5s, retries: 9}\n"
		     "    labels: [team=web]\n"
		     "  db: {image: ./rootfs, restart: always, healthcheck: {exec: [a, b]}}\n"
		     "groups: {back: {network: {subnet: 10.0.1.0/24}, volumes: {s: ./shared}}}\n");
	const struct project_sandbox *web = project_sandbox(p, "web"), *db = project_sandbox(p, "db");
	const struct project_build *app = project_build(p, "app");
	const struct project_common *c = &web->common;

	CHECK_TEXT(c->image, "app");
	CHECK(c->image_is_build && c->memory == 3ull << 29 && c->cpus == 2 && c->disk == 100ull << 20);
	CHECK_INT(c->volume_count, 3);
	CHECK_TEXT(c->volumes[0].source, "/p/src");
	CHECK_TEXT(c->volumes[0].target, "/app");
	CHECK_TEXT(c->volumes[0].options, "ro");
	CHECK(c->volumes[1].named && !strcmp(c->volumes[1].source, "data"));
	CHECK_TEXT(c->volumes[2].source, "/home/me/x");
	CHECK_TEXT(joined(c->ports), "8080:80|53/udp");
	CHECK_TEXT(joined(c->depends_on), "db|app");
	CHECK_INT(c->import_count, 1);
	CHECK_TEXT(c->imports[0].build, "app");
	CHECK_TEXT(c->imports[0].source, "/out");
	CHECK_TEXT(c->imports[0].target, "/w");
	CHECK_TEXT(c->user, "1000");
	CHECK_TEXT(c->shell, "/bin/bash");
	CHECK(c->script_count == 2 && !strcmp(c->scripts[1].value, "pytest"));
	CHECK_TEXT(c->network.reach, "local");
	CHECK_TEXT(joined(c->network.allow), "example.com:443");
	CHECK_INT(c->network.bandwidth, 10 << 20);
	CHECK_INT(web->group_count, 2);
	CHECK_TEXT(web->groups[0].hostname, "api");
	CHECK_TEXT(web->groups[0].volumes[0].source, "/p/shared");
	CHECK_TEXT(web->groups[0].volumes[0].target, "/s");
	CHECK_TEXT(web->groups[1].group, "default");
	CHECK(web->restart == RESTART_ON_FAILURE && web->restart_most == 3);
	CHECK_TEXT(joined(web->healthcheck.command), "/bin/sh|-c|curl x");
	CHECK(web->healthcheck.interval == 5000000000 && web->healthcheck.timeout == 30000000000);
	CHECK_INT(web->healthcheck.retries, 9);
	CHECK_TEXT(joined(web->labels), "team=web");
	CHECK_TEXT(db->common.image, "/p/rootfs");
	CHECK(db->restart == RESTART_ALWAYS && !db->common.image_is_build);
	CHECK_TEXT(joined(db->healthcheck.command), "a|b");
	CHECK_TEXT(db->groups[0].group, "default");
	CHECK(project_group(p, "default") && project_group(p, "back"));
	CHECK_INT(app->step_count, 7);
	CHECK_TEXT(app->steps[0].command, "make");
	CHECK_TEXT(joined(app->steps[1].argv), "make|install");
	CHECK_TEXT(joined(app->steps[2].sources), "/p/src|/p/a.txt");
	CHECK_TEXT(app->steps[3].from, "tools");
	CHECK_TEXT(joined(app->steps[4].env), "A=b");
	CHECK_TEXT(app->steps[6].target, "me");
	project_free(p);
}

TEST(a_module_brings_what_is_listed_and_what_that_needs)
{
	struct project *p = load("modules:\n"
				 "  ./db/monocore.yaml: {postgres: {as: db}}\n"
				 "  stack/monocore.yaml: [api]\n"
				 "sandboxes: {web: {image: x, depends_on: [db, api, db.init]}}\n");
	static const char *const names[] = {"web", "db", "db.init", "api", "api.sql", "api.sql.init"};

	CHECK_INT(p->sandbox_count, 6);
	for (size_t i = 0; i < 6; i++)
		CHECK(project_sandbox(p, names[i]));
	CHECK_TEXT(p->sandboxes[0].common.name, "web");
	CHECK_TEXT(joined(project_sandbox(p, "db")->common.depends_on), "db.init|db.schema");
	CHECK_TEXT(joined(project_sandbox(p, "api")->common.depends_on), "api.sql");
	CHECK_TEXT(joined(project_sandbox(p, "api.sql")->common.depends_on), "api.sql.init|api.sql.schema");
	CHECK_TEXT(project_sandbox(p, "db.init")->common.image, "db.tool");
	CHECK_TEXT(project_sandbox(p, "db")->common.volumes[0].source, "/p/db/data");
	CHECK_TEXT(project_sandbox(p, "db")->common.directory, "/p/db");
	CHECK_TEXT(project_sandbox(p, "db")->groups[0].group, "db.data");
	CHECK_TEXT(project_sandbox(p, "db.init")->groups[0].group, "default");
	CHECK_TEXT(joined(project_sandbox(p, "db")->common.env), "IN=data");
	CHECK_INT(p->build_count, 4);
	CHECK_INT(p->reach_count, 0);
	project_free(p);
}

static bool reaches(
	const struct project *p, enum project_reach_kind kind, const char *component, const char *value)
{
	for (size_t i = 0; i < p->reach_count; i++)
		if (p->reaches[i].kind == kind && !strcmp(p->reaches[i].component, component) &&
			!strcmp(p->reaches[i].value, value))
			return true;
	return false;
}

TEST(all_that_reaches_out_is_known)
{
	struct project *p = load(
		"modules: {../else/monocore.yaml: {far: }}\n"
		"builds:\n"
		"  app: {image: debian, steps: [{copy: [/etc/passwd, link/x, inside/y, /p]}]}\n"
		"sandboxes:\n"
		"  web:\n"
		"    image: rootfs:/srv/root\n"
		"    volumes: [~/.ssh:/k, ./link/x:/l:ro, ./inside:/i, ../p/in:/j, /:/m:stage, data:/d]\n"
		"    ports: ['0.0.0.0:80:80', '127.0.0.9:81:81', '82', '[::1]:83:83', '10.1.2.3:84:84']\n"
		"    env_file: outer.env\n"
		"    envs: [TERM, COLOUR, NOT_SET]\n"
		"    user: ${HOME}\n"
		"    network: {allow: ['10.0.0.0/8', '1.1.1.1:53', '*:443', host.internal, example.com, "
		"1.0.0.0/8, 0.0.0.0/0]}\n"
		"    groups: {g: {volumes: {s: /s}}}\n"
		"  lab: {image: ./img, reach: any}\n"
		"groups: {g: {volumes: {s: /var/s}}}\n");
	static const struct {
		enum project_reach_kind kind;
		const char *component, *value;
	} expected[] = {{REACH_MODULE, "", "/else/monocore.yaml"}, {REACH_VOLUME, "sandboxes.far", "/else/d"},
		{REACH_COPY, "builds.app", "/etc/passwd"}, {REACH_IMAGE, "sandboxes.web", "/srv/root"},
		{REACH_VOLUME, "sandboxes.web", "/home/me/.ssh"}, {REACH_VOLUME, "sandboxes.web", "/:ro"},
		{REACH_PORT, "sandboxes.web", "0.0.0.0:80:80"},
		{REACH_PORT, "sandboxes.web", "10.1.2.3:84:84"},
		{REACH_ENV_FILE, "sandboxes.web", "/secret/outer.env"},
		{REACH_VARIABLE, "sandboxes.web", "TERM"}, {REACH_VARIABLE, "sandboxes.web", "HOME"},
		{REACH_BEYOND, "sandboxes.web", "10.0.0.0/8"}, {REACH_BEYOND, "sandboxes.web", "*:443"},
		{REACH_BEYOND, "sandboxes.web", "host.internal"},
		{REACH_BEYOND, "sandboxes.web", "0.0.0.0/0"}, {REACH_BEYOND, "sandboxes.lab", "any"},
		{REACH_VOLUME, "groups.g", "/var/s"}, {REACH_VOLUME, "sandboxes.web", "/var/s"}};

	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
		if (!reaches(p, expected[i].kind, expected[i].component, expected[i].value))
			test_fail(__FILE__, __LINE__, "%s %s is not told", expected[i].component,
				expected[i].value);
	CHECK_INT(p->reach_count, sizeof expected / sizeof *expected);
	project_free(p);
}

TEST(a_link_out_of_the_project_is_followed_before_it_is_judged)
{
	char directory[] = "/tmp/test_project.XXXXXX", path[100], *resolved;
	struct error err;

	CHECK(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/link", directory);
	CHECK(symlink("/etc", path) == 0);
	snprintf(path, sizeof path, "%s/link/../x/./none//y/..", directory);
	CHECK_OK(project_files_host.resolve(NULL, path, &resolved, &err));
	CHECK_TEXT(resolved, "/x/none");
	free(resolved);
	snprintf(path, sizeof path, "%s/link/nothing/here", directory);
	CHECK_OK(project_files_host.resolve(NULL, path, &resolved, &err));
	CHECK_TEXT(resolved, "/etc/nothing/here");
	free(resolved);
	snprintf(path, sizeof path, "%s/link", directory);
	CHECK(unlink(path) == 0);
	CHECK(symlink("nowhere/deep", path) == 0);
	CHECK_OK(project_files_host.resolve(NULL, path, &resolved, &err));
	CHECK(text_ends(resolved, "/nowhere/deep"));
	free(resolved);
	CHECK(unlink(path) == 0 && rmdir(directory) == 0);
}

TEST(what_is_no_file_is_not_read)
{
	struct buffer out = {0};
	struct error err;

	CHECK_ERROR(project_files_host.read(NULL, "/dev/zero", 10, &out, &err), ERROR_INVALID);
	CHECK_ERROR(project_files_host.read(NULL, "/tmp", 10, &out, &err), ERROR_INVALID);
	CHECK_ERROR(project_files_host.read(NULL, "/nowhere/at/all", 10, &out, &err), ERROR_NOT_FOUND);
	buffer_free(&out);
}

/* The schema's document is long, its JSON whole: the check against docs/ is tests/checks/docs.py's. */
TEST(the_schema_is_printed_both_ways)
{
	char *text;
	struct monocore_error err;

	CHECK(monocore_project_schema(false, &text, &err) == 0);
	CHECK(text_starts(text, "{\n") && strstr(text, "\"additionalProperties\": false") &&
		strstr(text, "env_file"));
	monocore_free(text);
	CHECK(monocore_project_schema(true, &text, &err) == 0);
	CHECK(text_starts(text, "# monocore.yaml\n") && strstr(text, "| `healthcheck` |"));
	monocore_free(text);
}
