/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans of projects: what is to be done, in which order, and that it comes to the same whatever order,
 * failure or kill there is on the way. A model stands for the host: it refuses a step that cannot be done.
 */
#include "test.h"

#include <stdlib.h>

#include "base/text.h"
#include "project/digest.h"
#include "project/imports.h"
#include "project/plan.h"

/* ---- projects by hand --------------------------------------------------------------------------------- */

static struct project *new_project(size_t sandboxes, size_t builds)
{
	struct project *p = calloc(1, sizeof *p);

	p->sandboxes = calloc(sandboxes + 1, sizeof *p->sandboxes);
	p->sandbox_count = sandboxes;
	p->builds = calloc(builds + 1, sizeof *p->builds);
	p->build_count = builds;
	return p;
}

static void name_it(struct project_common *c, const char *name, const char *image)
{
	c->name = text_copy(name, NULL);
	c->image = text_copy(image, NULL);
}

static void depend(struct project_common *c, const char *on)
{
	CHECK_INT(text_list_add(&c->depends_on, on, NULL), 0);
}

static void check_health(struct project_sandbox *s)
{
	CHECK_INT(text_list_add(&s->healthcheck.command, "true", NULL), 0);
}

/* web → api → db, and a job that needs nobody. */
static struct project *shop(void)
{
	static const char *const names[] = {"web", "api", "db", "job"};
	struct project *p = new_project(4, 0);

	for (size_t i = 0; i < 4; i++)
		name_it(&p->sandboxes[i].common, names[i], "image");
	depend(&p->sandboxes[0].common, "api");
	depend(&p->sandboxes[1].common, "db");
	return p;
}

static char digests[64][SHA256_HEX_SIZE];

static struct plan_seen seen_as(const struct project *p, size_t i, const char *sandbox, enum plan_state state)
{
	struct error err;

	CHECK_OK(project_digest(p, &p->sandboxes[i], digests[i], &err));
	return (struct plan_seen){.sandbox = sandbox,
		.component = p->sandboxes[i].common.name,
		.digest = digests[i],
		.state = state};
}

/* "stop shop-web, create shop-web" in the order of the steps. */
static const char *told(const struct plan *plan)
{
	static char text[2048];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < plan->count && n < sizeof text; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %s", i ? ", " : "",
			plan_verb(plan->steps[i].action), plan->steps[i].component);
	return text;
}

static const char *plan_of(const struct project *p, enum plan_wish wish, char *const *names,
	const struct plan_seen *seen, size_t count)
{
	const struct plan_request q = {
		.wish = wish, .names = names, .project = "shop", .seen = seen, .seen_count = count};
	struct plan plan;
	struct error err;
	const char *text;

	CHECK_OK(plan_make(p, &q, &plan, &err));
	text = told(&plan);
	plan_free(&plan);
	return text;
}

static const char *digest_now(const struct project *p, unsigned slot)
{
	struct error err;

	CHECK_OK(project_digest(p, &p->sandboxes[0], digests[slot], &err));
	return digests[slot];
}

static void set_text(char **text, const char *value)
{
	free(*text);
	*text = text_copy(value, NULL);
}

TEST(what_is_needed_is_started_first_and_stopped_last)
{
	struct project *p = shop();
	struct plan_seen seen[4];

	CHECK_TEXT(plan_of(p, PLAN_UP, NULL, NULL, 0), "create db, start db, wait for db, create api, start "
						       "api, wait for api, create web, start web, "
						       "create job, start job");
	seen[0] = seen_as(p, 0, "shop-web", PLAN_RUNNING);
	seen[1] = seen_as(p, 1, "shop-api", PLAN_PAUSED);
	seen[2] = seen_as(p, 2, "shop-db", PLAN_RUNNING);
	seen[3] = seen_as(p, 3, "shop-job", PLAN_STOPPED);
	CHECK_TEXT(plan_of(p, PLAN_DOWN, NULL, seen, 4), "stop web, stop api, stop db");
	CHECK_TEXT(plan_of(p, PLAN_UP, NULL, seen, 4), "resume api, start job");
	project_free(p);
}

static const char *prepared(const struct project *p, const struct plan_seen *seen, size_t count)
{
	char *api[] = {(char *)"api", NULL};
	const struct plan_request q = {.wish = PLAN_UP,
		.names = api,
		.prepare = true,
		.project = "shop",
		.seen = seen,
		.seen_count = count};
	struct plan plan;
	struct error err;
	const char *text;

	CHECK_OK(plan_make(p, &q, &plan, &err));
	text = told(&plan);
	plan_free(&plan);
	return text;
}

TEST(what_is_prepared_is_made_and_not_started_beside_all_that_it_needs)
{
	struct project *p = shop();
	struct plan_seen seen[2];

	CHECK_TEXT(prepared(p, NULL, 0), "create db, start db, wait for db, create api");
	seen[0] = seen_as(p, 1, "shop-api", PLAN_STOPPED);
	seen[1] = seen_as(p, 2, "shop-db", PLAN_RUNNING);
	CHECK_TEXT(prepared(p, seen, 2), "");
	seen[0].digest = "of before";
	CHECK_TEXT(prepared(p, seen, 2), "remove api, create api");
	seen[0].state = PLAN_RUNNING;
	CHECK_TEXT(prepared(p, seen, 2), "");
	seen[0].state = PLAN_PAUSED;
	CHECK_TEXT(prepared(p, seen, 2), "");
	project_free(p);
}

TEST(names_bring_what_they_need_and_nothing_else)
{
	struct project *p = shop();
	char *api[] = {(char *)"api", NULL}, *wrong[] = {(char *)"wbe", NULL};
	struct plan_seen seen[2];
	struct plan_request q = {.wish = PLAN_UP, .names = wrong, .project = "shop"};
	struct plan plan;
	struct error err;

	CHECK_TEXT(
		plan_of(p, PLAN_UP, api, NULL, 0), "create db, start db, wait for db, create api, start api");
	seen[0] = seen_as(p, 1, "shop-api", PLAN_RUNNING);
	seen[1] = seen_as(p, 2, "shop-db", PLAN_RUNNING);
	CHECK_TEXT(plan_of(p, PLAN_DOWN, api, seen, 2), "stop api");
	CHECK_ERROR(plan_make(p, &q, &plan, &err), ERROR_NOT_FOUND);
	CHECK_TEXT(err.text, "the project has no sandbox 'wbe'; did you mean 'web'?");
	project_free(p);
}

TEST(what_has_changed_is_made_anew_and_what_has_not_stays)
{
	struct project *p = shop();
	struct plan_seen seen[4];

	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = {"shop-web", "shop-api", "shop-db", "shop-job"};

		seen[i] = seen_as(p, i, names[i], PLAN_RUNNING);
	}
	CHECK_TEXT(plan_of(p, PLAN_APPLY, NULL, seen, 4), "");
	seen[2].other_image = true;
	CHECK_TEXT(plan_of(p, PLAN_APPLY, NULL, seen, 4), "stop db, remove db, create db, start db");
	seen[2].other_image = false;
	seen[0].digest = "of another time";
	seen[1].digest = "of another time";
	seen[1].state = PLAN_STOPPED;
	CHECK_TEXT(plan_of(p, PLAN_UP, NULL, seen, 4), "stop web, remove api, create api, start api, wait "
						       "for api, remove web, create web, start web");
	seen[0].digest = digests[0];
	seen[1].digest = digests[1];
	seen[1].state = PLAN_RUNNING;
	seen[3].other_network = true;
	CHECK_TEXT(plan_of(p, PLAN_UP, NULL, seen, 4), "update job");
	seen[3].state = PLAN_STOPPED;
	CHECK_TEXT(plan_of(p, PLAN_UP, NULL, seen, 4), "update job, start job");
	project_free(p);
}

TEST(what_the_file_has_no_more_is_stopped_by_apply_and_left_alone_by_up)
{
	struct project *p = shop();
	struct plan_seen seen[2];

	seen[0] = seen_as(p, 3, "shop-job", PLAN_RUNNING);
	seen[1] = (struct plan_seen){
		.sandbox = "shop-old", .component = "old", .digest = "", .state = PLAN_RUNNING};
	p->sandbox_count = 4;
	char *job[] = {(char *)"job", NULL};
	CHECK_TEXT(plan_of(p, PLAN_UP, job, seen, 2), "");
	CHECK_TEXT(plan_of(p, PLAN_DOWN, job, seen, 2), "stop job");
	CHECK_TEXT(plan_of(p, PLAN_DOWN, NULL, seen, 2), "stop old, stop job");
	CHECK(text_starts(plan_of(p, PLAN_APPLY, NULL, seen, 2), "stop old, create db"));
	/* A sandbox of another name that was made for a component is not the component's. */
	seen[0].sandbox = "shop2-job";
	CHECK(text_starts(plan_of(p, PLAN_APPLY, NULL, seen, 2), "stop job, stop old, create db"));
	CHECK_TEXT(plan_of(p, PLAN_UP, job, seen, 2), "create job, start job");
	project_free(p);
}

TEST(builds_come_before_what_is_made_of_them_and_only_where_it_is_made)
{
	struct project *p = new_project(2, 3);
	struct plan_seen seen[2];

	name_it(&p->builds[0].common, "app", "base");
	p->builds[0].common.image_is_build = true;
	name_it(&p->builds[1].common, "base", "image");
	name_it(&p->builds[2].common, "unused", "image");
	name_it(&p->sandboxes[0].common, "web", "app");
	p->sandboxes[0].common.image_is_build = true;
	name_it(&p->sandboxes[1].common, "db", "image");
	CHECK_TEXT(plan_of(p, PLAN_UP, NULL, NULL, 0),
		"build base, build app, create web, start web, create db, start db");
	CHECK_TEXT(plan_of(p, PLAN_BUILDS, NULL, NULL, 0), "build base, build app");
	seen[0] = seen_as(p, 0, "shop-web", PLAN_STOPPED);
	seen[1] = seen_as(p, 1, "shop-db", PLAN_RUNNING);
	CHECK_TEXT(plan_of(p, PLAN_UP, NULL, seen, 2), "start web");
	/* A build that is written in another way makes what is made of it another. */
	p->builds[0].common.cpus = 2;
	CHECK_TEXT(plan_of(p, PLAN_UP, NULL, seen, 2),
		"build base, build app, remove web, create web, start web");
	project_free(p);
}

TEST(a_sandbox_that_imports_is_made_of_a_build_of_its_own)
{
	struct project *p = new_project(1, 1);
	struct error err;

	name_it(&p->builds[0].common, "compile", "gcc");
	name_it(&p->sandboxes[0].common, "job", "image");
	depend(&p->sandboxes[0].common, "compile");
	p->sandboxes[0].common.imports = calloc(1, sizeof *p->sandboxes[0].common.imports);
	p->sandboxes[0].common.imports[0] = (struct project_import){.build = text_copy("compile", NULL),
		.name = text_copy("program", NULL),
		.source = text_copy("/out", NULL),
		.target = text_copy("/bin/program", NULL)};
	p->sandboxes[0].common.import_count = 1;
	CHECK_OK(project_add_imports(p, &err));
	CHECK_TEXT(p->sandboxes[0].common.image, "job.imports");
	CHECK_TEXT(project_build(p, "job.imports")->common.image, "image");
	CHECK_INT(project_build(p, "job.imports")->common.import_count, 1);
	CHECK(project_is_imports(p, &p->builds[1]) && !project_is_imports(p, &p->builds[0]));
	CHECK_TEXT(plan_of(p, PLAN_UP, NULL, NULL, 0),
		"build compile, build job.imports, create job, start job");
	/* What it imports is written in another way: so is it. */
	digest_now(p, 0);
	set_text(&p->builds[0].common.image, "clang");
	CHECK(strcmp(digest_now(p, 1), digests[0]) != 0);
	project_free(p);
}

TEST(a_failure_leaves_out_what_needs_it_and_nothing_else)
{
	struct project *p = shop();
	const struct plan_request q = {.wish = PLAN_UP, .project = "shop"};
	struct plan plan;
	struct error err;
	unsigned left_out = 0, done = 0;

	CHECK_OK(plan_make(p, &q, &plan, &err));
	for (size_t i; (i = plan_next(&plan)) < plan.count;)
		plan_finish(&plan, i,
			plan.steps[i].action != PLAN_START || strcmp(plan.steps[i].component, "db") != 0);
	for (size_t i = 0; i < plan.count; i++) {
		const struct plan_step *s = &plan.steps[i];

		done += s->progress == PLAN_DONE;
		left_out += s->progress == PLAN_LEFT_OUT;
		if (s->progress == PLAN_LEFT_OUT)
			CHECK_TEXT(plan.steps[s->failed].component, "db");
	}
	CHECK_INT(done, 5);     /* everything is created, and the job starts */
	CHECK_INT(left_out, 4); /* db's health, api's start and health, web's start */
	plan_free(&plan);
	project_free(p);
}

TEST(a_circle_is_an_error)
{
	struct project *p = shop();
	const struct plan_request q = {.wish = PLAN_UP, .project = "shop"};
	struct plan plan;
	struct error err;

	depend(&p->sandboxes[2].common, "web");
	CHECK_ERROR(plan_make(p, &q, &plan, &err), ERROR_INVALID);
	project_free(p);
}

/* ---- digests ------------------------------------------------------------------------------------------ */

TEST(a_digest_tells_what_must_be_made_anew_from_what_need_not)
{
	struct project *p = shop();
	struct project_sandbox *s = &p->sandboxes[0];
	struct project_common *c = &s->common;
	unsigned changes = 0;

#define CHANGES(...) \
	do { \
		digest_now(p, 0); \
		__VA_ARGS__; \
		CHECK(strcmp(digest_now(p, 1), digests[0]) != 0); \
		changes++; \
	} while (0)
#define KEEPS(...) \
	do { \
		digest_now(p, 0); \
		__VA_ARGS__; \
		CHECK_TEXT(digest_now(p, 1), digests[0]); \
		changes++; \
	} while (0)

	CHANGES(set_text(&c->image, "other"));
	CHANGES(c->memory = 1 << 30);
	CHANGES(c->disk = 1 << 30);
	CHANGES(c->cpus = 2);
	CHANGES(set_text(&c->workdir, "/srv"));
	CHANGES(set_text(&c->user, "me"));
	CHANGES(text_list_add(&c->env, "A=1", NULL));
	CHANGES(s->restart = RESTART_ALWAYS);
	CHANGES(s->restart_most = 3);
	CHANGES(check_health(s));
	CHANGES(s->healthcheck.interval = 5);
	CHANGES(s->healthcheck.retries = 5);
	CHANGES(text_list_add(&s->labels, "a=b", NULL));
	CHANGES(c->volumes = calloc(1, sizeof *c->volumes); c->volume_count = 1;
		c->volumes[0] = (struct project_volume){.source = text_copy("data", NULL),
			.target = text_copy("/data", NULL),
			.options = text_copy("", NULL)});
	CHANGES(c->volumes[0].named = true);
	CHANGES(set_text(&c->volumes[0].options, "ro"));
	CHANGES(s->groups = calloc(1, sizeof *s->groups); s->group_count = 1;
		s->groups[0].group = text_copy("default", NULL));
	CHANGES(set_text(&s->groups[0].hostname, "www"));
	CHANGES(c->scripts = calloc(2, sizeof *c->scripts); c->script_count = 1;
		c->scripts[0] = (struct project_pair){
			.name = text_copy("start", NULL), .value = text_copy("run", NULL)});
	CHANGES(set_text(&c->scripts[0].value, "run it"));
	CHANGES(set_text(&c->shell, "/bin/bash"));
	KEEPS(c->script_count = 2; c->scripts[1] = (struct project_pair){
					   .name = text_copy("test", NULL), .value = text_copy("try", NULL)});
	KEEPS(set_text(&c->network.reach, "none"));
	KEEPS(text_list_add(&c->network.allow, "*:80", NULL));
	KEEPS(c->network.bandwidth = 1 << 20);
	KEEPS(text_list_add(&c->ports, "80:80", NULL));
	KEEPS(depend(c, "job"));
	CHECK_INT(changes, 27);
	project_free(p);
}

TEST(a_group_gives_its_members_its_environment_under_their_own)
{
	struct project *p = shop();
	struct project_sandbox *s = &p->sandboxes[0];
	char **env = NULL;
	struct error err;

	p->groups = calloc(2, sizeof *p->groups);
	p->group_count = 2;
	p->groups[0].name = text_copy("front", NULL);
	p->groups[1].name = text_copy("back", NULL);
	s->groups = calloc(2, sizeof *s->groups);
	s->group_count = 2;
	s->groups[0].group = text_copy("front", NULL);
	s->groups[1].group = text_copy("back", NULL);
	CHECK_OK(text_list_add(&s->common.env, "B=own", &err));
	CHECK_OK(text_list_add(&p->groups[0].env, "B=front", &err));
	CHECK_OK(text_list_add(&p->groups[0].env, "C=front", &err));
	CHECK_OK(text_list_add(&p->groups[1].env, "C=back", &err));
	CHECK_OK(text_list_add(&p->groups[1].env, "A=back", &err));
	CHECK_OK(project_environment(p, s, &env, &err));
	CHECK_INT(text_list_size(env), 3);
	CHECK_TEXT(env[0], "A=back");
	CHECK_TEXT(env[1], "B=own");
	CHECK_TEXT(env[2], "C=front");
	text_list_free(env);
	project_free(p);
}

/* ---- the model ---------------------------------------------------------------------------------------- */

#define MOST    12 /* sandboxes of the file, and as many that it has no more */
#define WORKERS 4

struct thing {
	bool there;
	char name[32], component[32], digest[SHA256_HEX_SIZE];
	struct plan_seen seen;
};

struct world {
	unsigned long long seed;
	struct project *project;
	struct thing things[2 * MOST]; /* those of the file by their numbers, then strangers */
	bool built[MOST];
};

static unsigned chance(struct world *w, unsigned of)
{
	w->seed = w->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(w->seed >> 33) % of;
}

static void make_random(struct world *w)
{
	size_t sandboxes = 1 + chance(w, MOST), builds = chance(w, 4);
	struct project *p = w->project = new_project(sandboxes, builds);
	char name[32];

	for (size_t i = 0; i < builds; i++) {
		snprintf(name, sizeof name, "b%zu", i);
		name_it(&p->builds[i].common, name, "image");
		if (i && chance(w, 2)) {
			set_text(&p->builds[i].common.image, "b0");
			p->builds[i].common.image_is_build = true;
		}
	}
	/* In any order of the file: those with greater numbers need smaller ones, or the other way round. */
	for (size_t i = 0, down = chance(w, 2); i < sandboxes; i++) {
		size_t at = down ? sandboxes - 1 - i : i;
		struct project_sandbox *s = &p->sandboxes[at];

		snprintf(name, sizeof name, "s%zu", at);
		name_it(&s->common, name, "image");
		if (builds && chance(w, 3) == 0) {
			snprintf(name, sizeof name, "b%u", chance(w, (unsigned)builds));
			set_text(&s->common.image, name);
			s->common.image_is_build = true;
		}
		if (chance(w, 3) == 0)
			check_health(s);
		for (unsigned k = i ? chance(w, 4) : 0; k > 0; k--) {
			size_t before = chance(w, (unsigned)i);

			snprintf(name, sizeof name, "s%zu", down ? sandboxes - 1 - before : before);
			depend(&s->common, name);
		}
	}
}

static struct thing *thing_of(struct world *w, const char *sandbox)
{
	for (size_t i = 0; i < 2 * MOST; i++)
		if (w->things[i].there && !strcmp(w->things[i].name, sandbox))
			return &w->things[i];
	return NULL;
}

static bool is_ready(struct world *w, const char *component)
{
	char name[64];
	const struct thing *t;

	snprintf(name, sizeof name, "p-%s", component);
	t = thing_of(w, name);
	return t && t->seen.state == PLAN_RUNNING &&
	       (t->seen.health == PLAN_HEALTHY || t->seen.health == PLAN_UNCHECKED);
}

static size_t number_of(const char *component)
{
	return (size_t)atoi(component + 1);
}

static bool lives(const struct thing *t)
{
	return t->seen.state != PLAN_CREATED && t->seen.state != PLAN_STOPPED;
}

static void perform_create(struct world *w, const struct plan_step *s)
{
	size_t i = number_of(s->component);
	const struct project_sandbox *sandbox = &w->project->sandboxes[i];
	struct thing *t = &w->things[i];
	struct error err;

	CHECK(!thing_of(w, s->sandbox));
	if (sandbox->common.image_is_build)
		CHECK(w->built[number_of(sandbox->common.image)]);
	*t = (struct thing){.there = true};
	snprintf(t->name, sizeof t->name, "%s", s->sandbox);
	snprintf(t->component, sizeof t->component, "%s", s->component);
	CHECK_OK(project_digest(w->project, sandbox, t->digest, &err));
}

static void perform_start(struct world *w, const struct plan_step *s, struct thing *t)
{
	const struct project_sandbox *sandbox = &w->project->sandboxes[number_of(s->component)];

	CHECK(s->action == PLAN_START ? !lives(t) : t->seen.state == PLAN_PAUSED);
	CHECK(!t->seen.other_image && !t->seen.other_network);
	for (char **d = sandbox->common.depends_on; d && *d; d++)
		CHECK(is_ready(w, *d));
	t->seen.state = PLAN_RUNNING;
	t->seen.health = sandbox->healthcheck.command ? PLAN_CHECKING : PLAN_UNCHECKED;
}

/* Does it, where a host could; what it could not is a fault of the plan. */
static void perform(struct world *w, const struct plan_step *s)
{
	struct thing *t = s->sandbox ? thing_of(w, s->sandbox) : NULL;

	switch (s->action) {
	case PLAN_BUILD:
		w->built[number_of(s->component)] = true;
		return;
	case PLAN_CREATE:
		perform_create(w, s);
		return;
	case PLAN_STOP:
		CHECK(t && lives(t));
		t->seen.state = PLAN_STOPPED;
		t->seen.health = PLAN_UNCHECKED;
		return;
	case PLAN_REMOVE:
		CHECK(t && !lives(t));
		t->there = false;
		return;
	case PLAN_NETWORK:
		CHECK(t && t->seen.other_network);
		t->seen.other_network = false;
		return;
	case PLAN_START:
	case PLAN_RESUME:
		CHECK(t);
		perform_start(w, s, t);
		return;
	case PLAN_HEALTH:
		CHECK(t && lives(t));
		t->seen.state = PLAN_RUNNING;
		if (t->seen.health != PLAN_UNCHECKED)
			t->seen.health = PLAN_HEALTHY;
		return;
	default:
		CHECK(false);
	}
}

static size_t look(struct world *w, struct plan_seen *seen)
{
	size_t n = 0;

	for (size_t i = 0; i < 2 * MOST; i++) {
		struct thing *t = &w->things[i];

		if (!t->there)
			continue;
		t->seen.sandbox = t->name;
		t->seen.component = t->component;
		t->seen.digest = t->digest;
		seen[n++] = t->seen;
	}
	return n;
}

/* Several at once, in any order that the plan allows. steps: after how many it is killed; what is being done
 * then has happened, or not. fail: one step in so many does; 0: none. Returns how many steps there were. */
static size_t run_plan(struct world *w, enum plan_wish wish, bool wait, unsigned steps, unsigned fail)
{
	struct plan_seen seen[2 * MOST];
	struct plan_request q = {.wish = wish, .project = "p", .wait = wait, .seen = seen};
	size_t working[WORKERS], busy = 0, at, count;
	struct plan plan;
	struct error err;

	q.seen_count = look(w, seen);
	CHECK_OK(plan_make(w->project, &q, &plan, &err));
	count = plan.count;
	for (;;) {
		while (busy < WORKERS && (!busy || chance(w, 2)) && (at = plan_next(&plan)) < plan.count)
			working[busy++] = at;
		if (!busy || steps-- == 0)
			break;
		at = chance(w, (unsigned)busy);
		if (fail && chance(w, fail) == 0) {
			plan_finish(&plan, working[at], false);
		} else {
			perform(w, &plan.steps[working[at]]);
			plan_finish(&plan, working[at], true);
		}
		working[at] = working[--busy];
	}
	for (size_t i = 0; i < busy; i++)
		if (chance(w, 2))
			perform(w, &plan.steps[working[i]]);
	if (!busy && !fail)
		for (size_t i = 0; i < plan.count; i++)
			CHECK_INT(plan.steps[i].progress, PLAN_DONE);
	else if (!busy)
		for (size_t i = 0; i < plan.count; i++)
			CHECK(plan.steps[i].progress > PLAN_WORKING);
	plan_free(&plan);
	return count;
}

/* What happens to a host between two commands. */
static void disturb(struct world *w)
{
	for (size_t i = 0; i < 2 * MOST; i++) {
		struct thing *t = &w->things[i];

		if (t->there && chance(w, 4) == 0) {
			t->seen.state = chance(w, PLAN_STOPPED + 1);
			t->seen.health = t->seen.state == PLAN_RUNNING ? chance(w, 3) : PLAN_UNCHECKED;
		}
		t->seen.other_image |= t->there && chance(w, 10) == 0;
		t->seen.other_network |= t->there && chance(w, 10) == 0;
	}
	if (chance(w, 3) == 0) {
		struct thing *t = &w->things[MOST + chance(w, MOST)];

		*t = (struct thing){.there = true, .seen.state = PLAN_RUNNING};
		snprintf(t->name, sizeof t->name, "p-old%zu", (size_t)(t - w->things));
		snprintf(t->component, sizeof t->component, "old%zu", (size_t)(t - w->things));
	}
	if (chance(w, 2) == 0)
		w->project->sandboxes[chance(w, (unsigned)w->project->sandbox_count)].common.cpus++;
	if (w->project->build_count && chance(w, 3) == 0)
		w->project->builds[chance(w, (unsigned)w->project->build_count)].common.cpus++;
}

static void check_all_run(struct world *w, bool healthy)
{
	for (size_t i = 0; i < w->project->sandbox_count; i++) {
		const struct project_sandbox *s = &w->project->sandboxes[i];
		char name[64], digest[SHA256_HEX_SIZE];
		struct thing *t;
		struct error err;

		snprintf(name, sizeof name, "p-%s", s->common.name);
		t = thing_of(w, name);
		CHECK(t && t->seen.state == PLAN_RUNNING && !t->seen.other_image && !t->seen.other_network);
		CHECK_OK(project_digest(w->project, s, digest, &err));
		CHECK_TEXT(t->digest, digest);
		if (healthy)
			CHECK(is_ready(w, s->common.name));
	}
	for (size_t i = MOST; i < 2 * MOST; i++)
		CHECK(!w->things[i].there || !lives(&w->things[i]));
}

TEST(whatever_fails_or_is_killed_the_next_plan_does_the_rest)
{
	for (unsigned round = 0; round < 2000; round++) {
		struct world w = {.seed = round};
		bool wait;

		make_random(&w);
		for (unsigned i = 0; i < 6; i++) {
			disturb(&w);
			run_plan(&w, chance(&w, 5) ? PLAN_APPLY : PLAN_DOWN, chance(&w, 2), chance(&w, 40),
				chance(&w, 2) ? 4 + chance(&w, 10) : 0);
		}
		wait = chance(&w, 2);
		run_plan(&w, PLAN_APPLY, wait, UINT32_MAX, 0);
		run_plan(
			&w, PLAN_APPLY, wait, UINT32_MAX, 0); /* what restarted by itself is healthy by now */
		check_all_run(&w, wait);
		CHECK_INT(run_plan(&w, PLAN_APPLY, wait, UINT32_MAX, 0), 0);
		run_plan(&w, PLAN_DOWN, false, UINT32_MAX, 0);
		for (size_t i = 0; i < 2 * MOST; i++)
			CHECK(!w.things[i].there || !lives(&w.things[i]));
		project_free(w.project);
	}
}
