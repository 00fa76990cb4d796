/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/monocore/own_place.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define DELETED " (deleted)"

void own_place_release(struct own_place *place)
{
	free(place->prefix);
	free(place->program);
	free(place->release);
	*place = (struct own_place){0};
}

/* Cuts `suffix` off the end of text, and says whether it was there. */
static bool cut_end(char *text, const char *suffix)
{
	if (!text_ends(text, suffix))
		return false;
	text[strlen(text) - strlen(suffix)] = 0;
	return true;
}

/* "P/lib/monocore/releases/1.2.3" is cut to "P". */
static bool cut_release(char *directory)
{
	char *slash = strrchr(directory, '/');

	if (!slash || !slash[1])
		return false;
	*slash = 0;
	if (cut_end(directory, "/" OWN_RELEASES))
		return true;
	*slash = '/';
	return false;
}

int own_place_of(const char *executable, struct own_place *place, struct error *err)
{
	_cleanup_free_ char *directory = text_copy(executable, err), *whole = NULL;
	char *slash = directory ? strrchr(directory, '/') : NULL;

	*place = (struct own_place){0};
	if (!directory)
		return -ERROR_NO_MEMORY;
	if (slash)
		*slash = 0;
	if (!slash || !cut_end(directory, "/bin"))
		return error_set(err, ERROR_UNAVAILABLE,
			"%s does not stand in a directory bin, so that it is not known what belongs to it",
			executable);
	whole = text_copy(directory, err);
	if (whole && cut_release(directory))
		place->release = TAKE_PTR(whole);
	else if (!whole)
		return -ERROR_NO_MEMORY;
	place->program = text_format(err, "%s/bin/%s", directory, slash + 1);
	place->prefix = TAKE_PTR(directory);
	return place->program ? 0 : -ERROR_NO_MEMORY;
}

int own_place_find(struct own_place *place, struct error *err)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	*place = (struct own_place){0};
	if (n <= 0)
		return error_errno(err, errno, "find this program's own file");
	path[n] = 0;
	cut_end(path, DELETED);
	return own_place_of(path, place, err);
}
