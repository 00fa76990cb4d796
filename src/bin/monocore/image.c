/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/images.h"
#include "bin/monocore/verbs.h"

static const struct command *const children[] = {
	&image_ls_command,
	&image_inspect_command,
	&history_command,
	&pull_command,
	&push_command,
	&tag_command,
	&save_command,
	&load_command,
	&image_rm_command,
	&image_prune_command,
	&image_check_command,
	&image_mount_command,
	NULL,
};

const struct command image_command = {
	.name = "image",
	.summary = "look after the images that are here",
	.help = "Most of these are verbs by themselves, too: 'monocore images', 'rmi', 'tag', 'pull' and so "
		"on.",
	.children = children,
	.group = GROUP_IMAGES,
};
