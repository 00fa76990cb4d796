/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "bin/cli/completion.h"
#include "bin/monocore/install.h"
#include "bin/monocore/output.h"
#include "bin/monocore/self.h"
#include "monocore_project.h"
#include "monocore_snapshot.h"

const struct command self_completion_command = {
	.name = "completion",
	.arguments = "bash|zsh|fish",
	.summary = "print a completion script for a shell",
	.examples = "source <(monocore self completion bash)\n"
		    "monocore self completion zsh > ~/.zfunc/_monocore\n"
		    "monocore self completion fish > ~/.config/fish/completions/monocore.fish",
	.least = 1,
	.most = 1,
	.run = completion_run,
	.group = GROUP_HOST,
	.words = WORDS_SHELLS,
};

static void print_sandboxes(struct monocore *mc)
{
	struct monocore_sandbox_info *list;
	size_t size;

	if (monocore_list(mc, &list, &size, NULL) < 0)
		return;
	for (size_t i = 0; i < size; i++)
		printf("%s\n", list[i].name);
	monocore_list_free(list, size);
}

/* That we are in; NULL: there is none without mistakes. */
static struct monocore_project *open_project(struct cli *cli)
{
	struct monocore_project_options options = MONOCORE_PROJECT_OPTIONS_INIT;
	struct monocore_project *project;

	options.file = cli->global.config;
	return monocore_project_open(&options, &project, NULL, NULL) < 0 ? NULL : project;
}

static void print_components(struct cli *cli)
{
	struct monocore_project *project = open_project(cli);
	struct monocore_project_component *list;
	size_t count;

	if (!project)
		return;
	if (monocore_project_status(cli->mc, project, NULL, &list, &count, NULL) == 0) {
		for (size_t i = 0; i < count; i++)
			printf("%s\n", list[i].name);
		monocore_project_status_free(list, count);
	}
	monocore_project_close(project);
}

static void print_builds(struct cli *cli)
{
	struct monocore_project *project = open_project(cli);
	struct monocore_project_entry *list;
	size_t count;

	if (!project)
		return;
	if (monocore_project_entries(project, &list, &count, NULL) == 0) {
		for (size_t i = 0; i < count; i++)
			if (list[i].section == MONOCORE_SECTION_BUILDS)
				printf("%s\n", list[i].name);
		monocore_project_entries_free(list, count);
	}
	monocore_project_close(project);
}

static void print_snapshots(struct monocore *mc)
{
	struct monocore_snapshot_info *list;
	size_t count;

	if (monocore_snapshots(mc, &list, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		printf("%s\n", list[i].tag);
	monocore_snapshots_free(list, count);
}

static void print_images(struct monocore *mc)
{
	struct monocore_image_info *list;
	size_t size;

	if (monocore_image_list(mc, &list, &size, NULL) < 0)
		return;
	for (size_t i = 0; i < size; i++)
		printf("%s\n", list[i].short_name);
	monocore_image_list_free(list, size);
}

/* For the scripts: an error must not disturb the line that is being typed. */
static int run_names(struct cli *cli, const void *given, int count, char **words)
{
	const char *kind = count ? words[0] : "sandboxes";

	(void)given;
	if (monocore_open(NULL, &cli->mc, NULL) < 0) {
		cli->mc = NULL;
		return 0;
	}
	if (!strcmp(kind, "installed")) {
		cli->global.quiet = true;
		return install_list(cli, false);
	}
	if (!strcmp(kind, "snapshots"))
		print_snapshots(cli->mc);
	if (!strcmp(kind, "sandboxes") || !strcmp(kind, "names") || !strcmp(kind, "parts"))
		print_components(cli);
	if (!strcmp(kind, "sandboxes") || !strcmp(kind, "names"))
		print_sandboxes(cli->mc);
	if (!strcmp(kind, "builds") || !strcmp(kind, "parts"))
		print_builds(cli);
	if (!strcmp(kind, "images") || !strcmp(kind, "names"))
		print_images(cli->mc);
	return output_finish();
}

const struct command self_complete_names_command = {
	.name = "complete-names",
	.arguments = "[sandboxes|images|names|installed|parts|builds|snapshots]",
	.summary = "print the names of all that are of a kind, for completion",
	.most = 1,
	.run = run_names,
	.hidden = true,
	.group = GROUP_HOST,
};
