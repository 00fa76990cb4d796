/* SPDX-License-Identifier: Apache-2.0 */
/* What the library does not do for a project: what nobody granted, and with the volumes of another. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "lib/component.h"
#include "monocore_build.h"
#include "monocore_volume.h"
#include "os/fs.h"
#include "sandbox/volume_owner.h"
#include "test.h"

static char folder[64];

static void remove_folder(void)
{
	if (folder[0])
		fs_remove_tree(AT_FDCWD, folder, NULL);
	folder[0] = 0;
}

static char *in_folder(const char *name)
{
	return text_format(NULL, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
	_cleanup_free_ char *path = in_folder(name);
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void make_folder(void)
{
	static const char *const inside[] = {"home", "shop", "shop/image"};

	remove_folder();
	snprintf(folder, sizeof folder, "/tmp/mc-rights-XXXXXX");
	CHECK(mkdtemp(folder));
	atexit(remove_folder);
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++) {
		_cleanup_free_ char *path = in_folder(inside[i]);

		CHECK(mkdir(path, 0700) == 0);
	}
}

static struct monocore *open_home(void)
{
	_cleanup_free_ char *home = in_folder("home");
	struct monocore_open_options o = MONOCORE_OPEN_OPTIONS_INIT;
	struct monocore_error err;
	struct monocore *mc;

	o.home = home;
	CHECK_INT(monocore_open(&o, &mc, &err), 0);
	return mc;
}

static struct monocore_project *open_shop(void)
{
	_cleanup_free_ char *file = in_folder("shop/monocore.yaml");
	struct monocore_project_options o = MONOCORE_PROJECT_OPTIONS_INIT;
	struct monocore_project *project;
	struct monocore_error err;

	o.file = file;
	CHECK_INT(monocore_project_open(&o, &project, NULL, &err), 0);
	return project;
}

static int change(struct monocore *mc, const struct monocore_project *p, enum monocore_project_wish wish,
	struct monocore_error *err)
{
	struct monocore_project_change_options o = MONOCORE_PROJECT_CHANGE_OPTIONS_INIT;

	o.wish = wish;
	return monocore_project_change(mc, p, &o, err);
}

TEST(a_project_is_neither_changed_nor_built_before_what_it_reaches_is_granted)
{
	static const char *const names[] = {"app", NULL};
	struct monocore_build_options b = MONOCORE_BUILD_OPTIONS_INIT;
	struct monocore_project *p;
	struct monocore_error err;
	struct monocore *mc;

	make_folder();
	write_file("shop/monocore.yaml", "builds:\n  app: {image: 'oci:./image'}\n"
					 "sandboxes:\n  web: {image: 'oci:./image', volumes: ['/etc:/x:ro'], "
					 "ports: ['0.0.0.0:80:80']}\n");
	mc = open_home();
	p = open_shop();
	CHECK_INT(change(mc, p, MONOCORE_PROJECT_UP, &err), -MONOCORE_DENIED);
	CHECK(strstr(err.text, "monocore.yaml:4:") &&
		strstr(err.text, "mounts /etc (read-only), and 1 more"));
	CHECK_INT(change(mc, p, MONOCORE_PROJECT_APPLY, &err), -MONOCORE_DENIED);
	CHECK_INT(monocore_project_build(mc, p, names, &b, NULL, &err), -MONOCORE_DENIED);
	CHECK_INT(change(mc, p, MONOCORE_PROJECT_DOWN, &err), 0);
	CHECK_INT(monocore_project_grant(mc, p, &err), 0);
	/* The image is none: that is as far as it comes. */
	CHECK(change(mc, p, MONOCORE_PROJECT_UP, &err) < 0 && err.code != MONOCORE_DENIED);
	CHECK(monocore_project_build(mc, p, names, &b, NULL, &err) < 0 && err.code != MONOCORE_DENIED);
	monocore_project_close(p);
	monocore_close(mc);
}

/* ---- volumes ------------------------------------------------------------------------------------------- */

static int own(struct monocore *mc, const char *id, const char *name, struct error *err)
{
	struct project_identity identity = {0};
	const struct project_volume v[] = {{.source = (char *)"data", .named = true},
		{.source = (char *)"/srv", .target = (char *)"/srv"}};

	snprintf(identity.id, sizeof identity.id, "%s", id);
	snprintf(identity.name, sizeof identity.name, "%s", name);
	return project_own_volumes(mc, &identity, v, ARRAY_SIZE(v), err);
}

static void make_volume(const char *name)
{
	_cleanup_free_ char *relative = text_format(NULL, "home/volumes/%s", name),
			    *path = in_folder(relative);

	CHECK(mkdir(path, 0700) == 0);
}

TEST(a_volume_is_of_the_project_that_used_it_first_whatever_others_are_called)
{
	struct monocore_volume_info *list;
	struct monocore_error failure;
	struct monocore *mc;
	struct error err;
	size_t count;

	make_folder();
	mc = open_home();
	CHECK_OK(own(mc, "0123456789abcdef", "shop", &err));
	CHECK_OK(own(mc, "fedcba9876543210", "shop", &err)); /* it was never made */
	make_volume("shop_data");
	CHECK_OK(own(mc, "fedcba9876543210", "shop", &err));
	CHECK_ERROR(own(mc, "0123456789abcdef", "shop", &err), ERROR_EXISTS);
	CHECK(strstr(err.text, "'shop_data'") && strstr(err.text, "monocore volume rm shop_data"));
	CHECK_INT(monocore_volumes(mc, &list, &count, &failure), 0);
	CHECK_INT(count, 1);
	CHECK_TEXT(list[0].project, "fedcba9876543210"); /* the home knows no such project */
	monocore_volumes_free(list, count);
	CHECK_INT(monocore_volume_remove(mc, "shop_data", &failure), 0);
	make_volume("shop_data"); /* by hand, so of nobody */
	CHECK_INT(monocore_volumes(mc, &list, &count, &failure), 0);
	CHECK_TEXT(list[0].project, "");
	monocore_volumes_free(list, count);
	CHECK_OK(own(mc, "0123456789abcdef", "shop", &err));
	monocore_close(mc);
}
