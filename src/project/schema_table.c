/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that can stand in a monocore.yaml. docs/monocore.yaml.md is made of this. */
#include "project/schema.h"

const char *const schema_expected[] = {
#define X(name, expected, pattern) expected,
	SCHEMA_SCALARS(X)
#undef X
};

const char *const schema_patterns[] = {
#define X(name, expected, pattern) pattern,
	SCHEMA_SCALARS(X)
#undef X
};

#define SCALAR_OF(kind)     .shapes = SHAPE_SCALAR, .scalar = SCHEMA_##kind
#define LIST_OF(type, most) .shapes = SHAPE_LIST, .item = &(type), .items_most = (most)

static const struct schema text = {SCALAR_OF(TEXT)};
static const struct schema flag = {SCALAR_OF(BOOL)};
static const struct schema memory = {
	SCALAR_OF(SIZE), .least = PROJECT_MEMORY_MIN, .most = PROJECT_MEMORY_MAX};
static const struct schema disk = {SCALAR_OF(SIZE), .least = PROJECT_DISK_MIN, .most = PROJECT_DISK_MAX};
static const struct schema rate = {SCALAR_OF(RATE)};
static const struct schema duration = {SCALAR_OF(DURATION)};
static const struct schema image = {SCALAR_OF(IMAGE)};
static const struct schema name = {SCALAR_OF(NAME)};
static const struct schema path = {SCALAR_OF(PATH)};
static const struct schema target = {SCALAR_OF(TARGET)};
static const struct schema volume = {SCALAR_OF(VOLUME)};
static const struct schema mount = {SCALAR_OF(MOUNT)};
static const struct schema source = {SCALAR_OF(SOURCE)};
static const struct schema port = {SCALAR_OF(PORT)};
static const struct schema exposed = {SCALAR_OF(EXPOSE)};
static const struct schema rule = {SCALAR_OF(RULE)};
static const struct schema subnet = {SCALAR_OF(SUBNET)};
static const struct schema address = {SCALAR_OF(ADDRESS)};
static const struct schema hostname = {SCALAR_OF(HOSTNAME)};
static const struct schema variable = {SCALAR_OF(VARIABLE)};
static const struct schema label = {SCALAR_OF(LABEL)};
static const struct schema command = {SCALAR_OF(COMMAND)};
static const struct schema restart = {SCALAR_OF(RESTART)};
static const struct schema cpus = {SCALAR_OF(NUMBER), .least = 1, .most = PROJECT_CPUS_MAX};
static const struct schema retries = {SCALAR_OF(NUMBER), .least = 1, .most = 1000};

static const char *const reaches[] = {
	"none", "local", "public", "any", "group", "off", "internet", "all", NULL};
static const struct schema reach = {
	SCALAR_OF(CHOICE), .choices = reaches, .what = "none, local, public or any"};

static const struct schema value_or_nothing = {
	.what = "a value", .shapes = SHAPE_SCALAR | SHAPE_NOTHING, .scalar = SCHEMA_TEXT};
static const struct schema variables = {.what = "a list of KEY=value, or a mapping",
	.shapes = SHAPE_LIST | SHAPE_MAPPING | SHAPE_NOTHING,
	.item = &variable,
	.value = &value_or_nothing,
	.keys = KEYS_VARIABLE,
	.items_most = 4096};
static const struct schema labels = {.what = "a list of KEY=value, or a mapping",
	.shapes = SHAPE_LIST | SHAPE_MAPPING | SHAPE_NOTHING,
	.item = &label,
	.value = &text,
	.keys = KEYS_VARIABLE,
	.items_most = 256};
static const struct schema texts = {.what = "a text, or a list of texts",
	.shapes = SHAPE_SCALAR | SHAPE_LIST,
	.item = &text,
	.items_most = 256};
static const struct schema paths = {.what = "a path, or a list of paths",
	.shapes = SHAPE_SCALAR | SHAPE_LIST,
	.scalar = SCHEMA_PATH,
	.item = &path,
	.items_most = 32};
static const struct schema names = {.what = "a component's name, or a list of these",
	.shapes = SHAPE_SCALAR | SHAPE_LIST | SHAPE_NOTHING,
	.scalar = SCHEMA_NAME,
	.item = &name,
	.items_most = 256};
static const struct schema volumes = {.what = "a list of SOURCE:PATH[:OPTIONS]",
	.shapes = SHAPE_LIST | SHAPE_NOTHING,
	.item = &volume,
	.items_most = 32};
static const struct schema ports = {.what = "a list of [ADDRESS:][HOST:]GUEST",
	.shapes = SHAPE_LIST | SHAPE_NOTHING,
	.item = &port,
	.items_most = 256};
static const struct schema exposed_ports = {.what = "a list of PORT[/tcp|/udp]",
	.shapes = SHAPE_LIST | SHAPE_NOTHING,
	.item = &exposed,
	.items_most = 256};
static const struct schema rules = {.what = "a list of TARGET[:PORT][/tcp|udp|icmp]",
	.shapes = SHAPE_LIST | SHAPE_NOTHING,
	.item = &rule,
	.items_most = 64};
static const struct schema command_or_words = {.what = "a command, or a list of its words",
	.shapes = SHAPE_SCALAR | SHAPE_LIST,
	.scalar = SCHEMA_COMMAND,
	.item = &text,
	.items_most = 1024};
static const struct schema scripts = {.what = "a mapping of names to commands",
	.shapes = SHAPE_MAPPING | SHAPE_NOTHING,
	.value = &command,
	.keys = KEYS_WORD,
	.items_most = 256};
static const struct schema imports = {.what = "a mapping of exports to paths",
	.shapes = SHAPE_MAPPING | SHAPE_NOTHING,
	.value = &target,
	.keys = KEYS_EXPORT,
	.items_most = 256};
static const struct schema exports = {.what = "a mapping of names to paths",
	.shapes = SHAPE_MAPPING | SHAPE_NOTHING,
	.value = &target,
	.keys = KEYS_WORD,
	.items_most = 256};

static const struct schema_member network_members[] = {
	{"allow", &rules,
		"What it may reach beyond its reach. A target is an address or network, a domain, "
		"`*.domain`, "
		"`host.internal`, or `*`.",
		.example = "[\"*.pypi.org:443\", \"10.1.0.0/16:5432/tcp\"]"},
	{"deny", &rules, "What it may not reach; this is stronger than `allow`.", .example = "[\"*:25\"]"},
	{"bandwidth", &rate, "The most bytes a second, in each direction.", "no limit", "10M"},
	{NULL},
};
static const struct schema network = {"network", "a mapping of allow, deny and bandwidth",
	SHAPE_MAPPING | SHAPE_NOTHING, .members = network_members};

static const struct schema_member membership_network_members[] = {
	{"ip", &address, "Its address there, in the group's subnet.", "any that is free", "10.0.1.5"},
	{"hostname", &hostname, "How the group's others call it, beside its name.", "its name", "api"},
	{NULL},
};
static const struct schema membership_network = {"membership-network", "a mapping of ip and hostname",
	SHAPE_MAPPING | SHAPE_NOTHING, .members = membership_network_members};
static const struct schema mounts = {.what = "a mapping of the group's volumes to paths",
	.shapes = SHAPE_MAPPING | SHAPE_NOTHING,
	.value = &mount,
	.keys = KEYS_COMPONENT,
	.items_most = 32};
static const struct schema_member membership_members[] = {
	{"network", &membership_network, "Its place in the group's network."},
	{"volumes", &mounts, "Which of the group's volumes it mounts, and where.",
		.example = "{shared: /shared}"},
	{NULL},
};
static const struct schema membership = {"membership", "a mapping of network and volumes",
	SHAPE_MAPPING | SHAPE_NOTHING, .members = membership_members};
static const struct schema memberships = {.what = "a mapping of groups, or a list of their names",
	.shapes = SHAPE_LIST | SHAPE_MAPPING | SHAPE_NOTHING,
	.item = &name,
	.value = &membership,
	.keys = KEYS_REFERENCE,
	.items_most = 8};

static const struct schema_member healthcheck_members[] = {
	{"exec", &command_or_words,
		"The command that tells whether it is healthy, by its exit status: run by `/bin/sh -c`, or "
		"as it "
		"is where it is a list.",
		"the image's", "pg_isready"},
	{"interval", &duration, "How long after one check the next begins.", "30s", "10s"},
	{"timeout", &duration, "After how long a check counts as failed.", "30s", "5s"},
	{"retries", &retries, "How many checks fail in a row until it is unhealthy.", "3", "5"},
	{"start_period", &duration, "For how long after its start failed checks do not count.", "0s", "20s"},
	{"disable", &flag, "`true`: none is made, not the image's either.", "false", "true"},
	{NULL},
};
static const struct schema healthcheck = {
	"healthcheck", "a mapping with exec", SHAPE_MAPPING, .members = healthcheck_members};

static const struct schema_member proxy_members[] = {{NULL}};
static const struct schema proxy = {
	.what = "a mapping", .shapes = SHAPE_MAPPING | SHAPE_NOTHING, .members = proxy_members};

static const struct schema copied = {.what = "a list of paths, the last of them where they go",
	.shapes = SHAPE_LIST,
	.item = &path,
	.items_most = 256};
static const struct schema_member step_members[] = {
	{"run", &command_or_words, "Runs a command: by the build's shell, or as it is where it is a list.",
		.example = "[make, install]"},
	{"copy", &copied, "Copies files of the project, or of `from`; the last path is where they go.",
		.example = "[src, requirements.txt, /app/]"},
	{"from", &name, "The build whose files `copy` takes.", .example = "tools"},
	{"env", &variables, "Sets variables, for the steps behind it and in the image.",
		.example = "{LANG: C.UTF-8}"},
	{"workdir", &target, "The working directory, for the steps behind it and in the image.",
		.example = "/app"},
	{"user", &text, "Who runs the steps behind it, and the image.", .example = "app"},
	{NULL},
};
static const struct schema step = {"step", "a command, or a mapping of one of run, copy, env, workdir, user",
	SHAPE_SCALAR | SHAPE_MAPPING, SCHEMA_COMMAND, .members = step_members};
static const struct schema steps = {
	.what = "a list of steps", .shapes = SHAPE_LIST | SHAPE_NOTHING, .item = &step, .items_most = 512};

#define COMMON_MEMBERS(image_help, depends_help, volumes_help) \
	{"image", &image, image_help, .example = "docker.io/library/python:3.12-slim", .required = true}, \
		{"ram", &memory, "Its memory; a number alone counts MiB.", "512M", "1GiB"}, \
		{"cpus", &cpus, "How many processors it has.", "1", "2"}, \
		{"volumes", &volumes, volumes_help, .example = "[./src:/app:ro, data:/var/lib/data]"}, \
		{"envs", &variables, \
			"Its environment. KEY alone takes the value from the project's `.env` or the " \
			"host's " \
			"environment, if it is set there.", \
			.example = "[LANG=C.UTF-8]"}, \
		{"env_file", &paths, "Files of variables; `envs` comes over them.", .example = ".env"}, \
		{"depends_on", &names, depends_help, .example = "[db]"}, \
		{"workdir", &target, "The working directory.", "the image's", "/app"}, \
		{"user", &text, "Who runs its commands: a name or number, and `:GROUP`.", "the image's", \
			"app"}, \
		{"shell", &text, "The shell of its scripts.", "/bin/sh", "/bin/bash"}, \
		{"scripts", &scripts, \
			"Commands by name, for `monocore run NAME~SCRIPT`; `start` is the one that runs " \
			"where none is " \
			"named.", \
			.example = "{start: python app.py, test: pytest}"}, \
		{"imports", &imports, "Which exports of builds in `depends_on` it gets, and where.", \
			.example = "{wheels: /wheels}"}, \
		{"exports", &exports, "Files and directories that others can import, by a name.", \
			.example = "{wheels: /out}"}, \
		{"reach", &reach, \
			"What it may connect to: `none`, `local` (its groups), `public` (these and public " \
			"addresses) or " \
			"`any` (all but the host itself).", \
			"public", "local", .alias = "scope"}, \
		{"network", &network, "Rules beside `reach`."}, \
	{ \
		"disk", &disk, "The size of its writable disk; a number alone counts MiB.", "10G", "20G" \
	}

#define VOLUMES_HELP \
	"Directories, files, named volumes and trees of a monofs in it. The source is a path where it " \
	"begins " \
	"with `./`, `../`, `/` or `~`, `monofs://` and a path, else a name. Options: `ro`, `rw`, `squash`, " \
	"`nocopy`, `stage`."

static const struct schema_member build_members[] = {
	COMMON_MEMBERS("The image that it begins with, or another build's name.",
		"Builds that have to be there before it.", VOLUMES_HELP " They are there while it is built."),
	{"ports", &exposed_ports, "Ports that the image says it listens on.", .example = "[8080, 53/udp]"},
	{"healthcheck", &healthcheck,
		"How one knows whether it works: what the image says, and what `monocore build --snapshot` "
		"waits for."},
	{"steps", &steps,
		"What is done, in this order; each step is kept and done again only where it changed.",
		.example = "[apt-get update, {copy: [src, /app]}]"},
	{NULL},
};
static const struct schema build = {"build", "a mapping with image", SHAPE_MAPPING, .members = build_members};

static const struct schema_member sandbox_members[] = {
	COMMON_MEMBERS(
		"Its image: a name as docker has it, a build's name, `oci:DIR`, `docker-archive:FILE`, "
		"`rootfs:DIR`, or a path that begins with `./` or `/`.",
		"Sandboxes (or builds) that have to be up, and healthy, before it.", VOLUMES_HELP),
	{"ports", &ports, "Ports of the host that lead to it, by default of 127.0.0.1 alone.",
		.example = "[\"8080:80\", \"127.0.0.1:5353:53/udp\"]"},
	{"groups", &memberships, "The groups that it is in; the first has its default route.", "[default]",
		"{backend: {network: {hostname: api}}}"},
	{"restart", &restart, "When it is started again by itself.", "no", "on-failure"},
	{"healthcheck", &healthcheck, "How one knows whether it works."},
	{"labels", &labels, "Words for tools.", .example = "{team: web}"},
	{"proxy", &proxy, "Of functions.", .later = true},
	{NULL},
};
static const struct schema sandbox = {
	"sandbox", "a mapping with image", SHAPE_MAPPING, .members = sandbox_members};

static const struct schema_member group_network_members[] = {
	{"subnet", &subnet, "Its network.", "one that is free", "10.0.1.0/24"},
	{NULL},
};
static const struct schema group_network = {"group-network", "a mapping with subnet",
	SHAPE_MAPPING | SHAPE_NOTHING, .members = group_network_members};
static const struct schema group_volumes = {.what = "a mapping of names to paths",
	.shapes = SHAPE_MAPPING | SHAPE_NOTHING,
	.value = &source,
	.keys = KEYS_COMPONENT,
	.items_most = 32};
static const struct schema_member group_members[] = {
	{"network", &group_network, "Its network."},
	{"volumes", &group_volumes, "What its members can mount: a path, or a volume's name.",
		.example = "{shared: ./shared}"},
	{"envs", &variables, "The environment of its members, under their own.", .example = "{TZ: UTC}"},
	{NULL},
};
static const struct schema group = {"group", "a mapping of network, volumes and envs",
	SHAPE_MAPPING | SHAPE_NOTHING, .members = group_members};

static const struct schema_member selection_members[] = {
	{"as", &name, "What it is called here.", "its name there", "db"},
	{NULL},
};
static const struct schema selection = {
	"selection", "a mapping with as", SHAPE_MAPPING | SHAPE_NOTHING, .members = selection_members};
static const struct schema selections = {.what = "a mapping of its components, or a list of their names",
	.shapes = SHAPE_MAPPING | SHAPE_LIST,
	.item = &name,
	.value = &selection,
	.keys = KEYS_REFERENCE,
	.items_most = 1024};
static const struct schema modules = {.what = "a mapping of files to their components",
	.shapes = SHAPE_MAPPING | SHAPE_NOTHING,
	.value = &selections,
	.keys = KEYS_PATH,
	.items_most = PROJECT_FILES_MAX};

static const struct schema_member meta_members[] = {
	{"description", &text, "What it is.", .example = "a shop"},
	{"authors", &texts, "Who made it."},
	{"homepage", &text, "Its page."},
	{"repository", &text, "Where its source is."},
	{"readme", &text, "The file to read first.", .example = "README.md"},
	{"tags", &texts, "Words to find it by."},
	{"icon", &text, "A picture."},
	{NULL},
};
static const struct schema meta = {
	"meta", "a mapping", SHAPE_MAPPING | SHAPE_NOTHING, .members = meta_members};

#define COMPONENTS_OF(type, words) \
	.what = words, .shapes = SHAPE_MAPPING | SHAPE_NOTHING, .value = &(type), .keys = KEYS_COMPONENT
static const struct schema builds = {COMPONENTS_OF(build, "a mapping of names to builds")};
static const struct schema sandboxes = {COMPONENTS_OF(sandbox, "a mapping of names to sandboxes")};
static const struct schema groups = {COMPONENTS_OF(group, "a mapping of names to groups")};

static const struct schema_member file_members[] = {
	{"meta", &meta, "About the project."},
	{"modules", &modules, "Components that other files describe, brought in under a name.",
		.example = "{./db/monocore.yaml: {postgres: {as: db}}}"},
	{"builds", &builds, "Images that the project makes itself."},
	{"sandboxes", &sandboxes, "What runs."},
	{"groups", &groups, "What sandboxes share: a network, volumes, an environment."},
	{NULL},
};
const struct schema schema_file = {"file", "a mapping of meta, modules, builds, sandboxes and groups",
	SHAPE_MAPPING, .members = file_members};

const struct schema_stranger schema_strangers[] = {
	{"services", "sandboxes"},
	{"networks", "groups"},
	{"environment", "envs"},
	{"env", "envs"},
	{"memory", "ram"},
	{"mem_limit", "ram"},
	{"memory_limit", "ram"},
	{"cpu", "cpus"},
	{"working_dir", "workdir"},
	{"command", "scripts: {start: ...}"},
	{"entrypoint", "scripts: {start: ...}"},
	{"include", "modules"},
	{"expose", "ports"},
	{"storage", "disk"},
	{"test", "exec"},
	{NULL, NULL},
};
