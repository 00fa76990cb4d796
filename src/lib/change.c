/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A project's plan is carried out: threads take from it what may be done now, each one step at a time. One
 * command at a time changes a project; what there is of it is looked at under its lock.
 */
#include "lib/change.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "lib/build_inputs.h"
#include "os/fs.h"

#define WORKERS_LEAST 4u
#define WORKERS_MOST  64u
#define LOG_LINES     10
#define LOG_BYTES     4096

struct work {
	struct change *change;
	pthread_mutex_t mutex; /* guards the plan and what is below */
	pthread_cond_t finished;
	unsigned busy;
	struct outcome {
		uint64_t began, time;
		char *error, *log;
	} * outcomes;       /* one for each step */
	struct error first; /* of the steps that failed */
};

/* ---- telling ------------------------------------------------------------------------------------------ */

static enum monocore_step_state state_of(enum plan_progress p)
{
	static const enum monocore_step_state states[] = {[PLAN_WAITING] = MONOCORE_STEP_WAITING,
		[PLAN_WORKING] = MONOCORE_STEP_WORKING,
		[PLAN_DONE] = MONOCORE_STEP_DONE,
		[PLAN_FAILED] = MONOCORE_STEP_FAILED,
		[PLAN_LEFT_OUT] = MONOCORE_STEP_LEFT_OUT};

	return states[p];
}

static void tell(const struct change *c, size_t i, const struct outcome *outcome)
{
	const struct plan_step *s = &c->plan.steps[i];
	struct monocore_project_step told = {.verb = plan_verb(s->action),
		.component = s->component,
		.sandbox = s->sandbox,
		.why = s->why,
		.state = state_of(s->progress),
		.silent = s->silent,
		.number = i,
		.number_of = c->plan.count};

	if (!c->options->tell)
		return;
	if (outcome) {
		told.error = outcome->error;
		told.log = outcome->log;
		told.time = outcome->time;
	}
	c->options->tell(c->options->context, &told);
}

static void tell_all(const struct change *c)
{
	for (size_t i = 0; i < c->plan.count; i++)
		tell(c, i, NULL);
}

/* ---- what its log said last --------------------------------------------------------------------------- */

static int add_line(void *context, const struct monocore_log_line *line)
{
	struct buffer *b = context;

	buffer_append(b, line->data, line->size);
	if (line->size && ((const char *)line->data)[line->size - 1] != '\n')
		buffer_u8(b, '\n');
	if (b->size > LOG_BYTES)
		buffer_consume(b, b->size - LOG_BYTES);
	return 0;
}

/* NULL: it has said nothing, or nobody knows. */
static char *last_lines(const struct change *c, const struct plan_step *s)
{
	struct monocore_log_options o = MONOCORE_LOG_OPTIONS_INIT;
	_cleanup_buffer_ struct buffer b = {0};
	struct monocore_error ignored;

	o.last = LOG_LINES;
	if ((s->action != PLAN_START && s->action != PLAN_HEALTH) ||
		monocore_log(c->mc, s->sandbox, &o, add_line, &b, &ignored) < 0 || !b.size)
		return NULL;
	return buffer_take_text(&b);
}

/* ---- work --------------------------------------------------------------------------------------------- */

/* With the mutex held. */
static void finish(struct work *w, size_t i, int r, const struct error *err, char *log)
{
	struct change *c = w->change;
	struct plan_step *steps = c->plan.steps;
	struct outcome *o = &w->outcomes[i];

	o->time = clock_monotonic() - o->began;
	o->log = log;
	o->error = r < 0 ? text_copy(err->text, NULL) : NULL;
	if (r < 0 && !w->first.code) {
		w->first = *err;
		error_prefix(&w->first, "%s %s", plan_verb(steps[i].action), steps[i].component);
	}
	plan_finish(&c->plan, i, r == 0);
	tell(c, i, o);
	for (size_t k = i + 1; r < 0 && k < c->plan.count; k++) {
		if (steps[k].progress != PLAN_LEFT_OUT || steps[k].failed != i)
			continue;
		w->outcomes[k].error =
			text_format(NULL, "%s %s failed", plan_verb(steps[i].action), steps[i].component);
		tell(c, k, &w->outcomes[k]);
	}
}

static void work_on(struct work *w, size_t i)
{
	struct change *c = w->change;
	struct plan_step step = c->plan.steps[i];
	struct error err = {0};
	_cleanup_free_ char *log = NULL;
	int r;

	w->outcomes[i].began = clock_monotonic();
	w->busy++;
	tell(c, i, NULL);
	pthread_mutex_unlock(&w->mutex);
	r = change_step(c, &step, &err);
	log = r < 0 ? last_lines(c, &step) : NULL;
	pthread_mutex_lock(&w->mutex);
	w->busy--;
	if (r == -ERROR_CLOSED && change_is_stopped(c))
		c->plan.steps[i].progress = PLAN_WAITING; /* it was not waited for to its end */
	else
		finish(w, i, r, &err, TAKE_PTR(log));
	pthread_cond_broadcast(&w->finished);
}

static void *worker(void *context)
{
	struct work *w = context;
	struct plan *plan = &w->change->plan;

	pthread_mutex_lock(&w->mutex);
	for (;;) {
		size_t i = change_is_stopped(w->change) ? plan->count : plan_next(plan);

		if (i < plan->count)
			work_on(w, i);
		else if (w->busy)
			pthread_cond_wait(&w->finished, &w->mutex);
		else
			break;
	}
	pthread_mutex_unlock(&w->mutex);
	return NULL;
}

static unsigned worker_count(const struct change *c)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = c->options->parallel;

	if (!n)
		n = cpus * 2 > WORKERS_LEAST ? (unsigned)cpus * 2 : WORKERS_LEAST;
	n = n > WORKERS_MOST ? WORKERS_MOST : n;
	return c->plan.count < n ? (unsigned)c->plan.count : n;
}

static int judge(const struct work *w, struct error *err)
{
	const struct plan *plan = &w->change->plan;
	size_t left = 0;

	for (size_t i = 0; i < plan->count; i++)
		left += plan->steps[i].progress == PLAN_WAITING;
	if (w->first.code) {
		*err = w->first;
		return -(int)err->code;
	}
	return left ? error_set(err, ERROR_CLOSED,
			      "stopped with %zu of %zu steps not done: what is up stays up, and the same "
			      "command again does the rest",
			      left, plan->count)
		    : 0;
}

/* This thread is one of the workers: there is one where no other can be had. */
static int carry_out(struct change *c, struct error *err)
{
	struct work w = {
		.change = c, .mutex = PTHREAD_MUTEX_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER};
	unsigned most = worker_count(c), started = 0;
	pthread_t threads[WORKERS_MOST];
	int r;

	w.outcomes = calloc(c->plan.count + 1, sizeof *w.outcomes);
	if (!w.outcomes)
		return error_no_memory(err, "change a project");
	while (started + 1 < most && pthread_create(&threads[started], NULL, worker, &w) == 0)
		started++;
	worker(&w);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	r = judge(&w, err);
	for (size_t i = 0; i < c->plan.count; i++) {
		free(w.outcomes[i].error);
		free(w.outcomes[i].log);
	}
	free(w.outcomes);
	return r;
}

/* ---- the calls ---------------------------------------------------------------------------------------- */

static void change_free(struct change *c)
{
	plan_free(&c->plan);
	seen_free(&c->seen);
	text_list_free(c->names);
	project_identity_free(&c->identity);
}

/* What there is now, and what is to be done about it. */
static int make_plan(struct change *c, enum plan_wish wish, struct error *err)
{
	const struct monocore_project_change_options *o = c->options;
	struct plan_request q = {.wish = wish, .wait = o->wait, .prepare = o->prepare};
	int r;

	plan_free(&c->plan);
	seen_free(&c->seen);
	text_list_free(TAKE_PTR(c->names));
	r = seen_find(c->mc, c->project->project, &c->identity, &c->seen, err);
	if (r == 0)
		r = seen_names(&c->seen, c->project->project, &c->identity, o->names, &c->names, err);
	q.names = c->names;
	q.project = c->identity.name;
	q.seen = c->seen.items;
	q.seen_count = c->seen.count;
	return r == 0 ? plan_make(c->project->project, &q, &c->plan, err) : r;
}

static enum plan_wish wish_of(const struct monocore_project_change_options *o)
{
	return o->wish == MONOCORE_PROJECT_DOWN    ? PLAN_DOWN
	       : o->wish == MONOCORE_PROJECT_APPLY ? PLAN_APPLY
						   : PLAN_UP;
}

/* Somebody says so, or files that were copied are others by now. */
static bool builds_first(const struct change *c)
{
	if (c->options->wish == MONOCORE_PROJECT_DOWN)
		return false;
	return c->options->build || inputs_have_changed(c->mc, c->project->project, &c->identity);
}

static int plan(struct change *c, struct error *err)
{
	int r = project_who(c->mc, c->project, false, &c->identity, err);

	if (r == 0 && builds_first(c)) {
		r = make_plan(c, PLAN_BUILDS, err);
		if (r == 0)
			tell_all(c);
	}
	if (r == 0)
		r = make_plan(c, wish_of(c->options), err);
	if (r == 0)
		tell_all(c);
	return r;
}

/* projects/<id>/lock, for as long as the project is worked on. */
static int lock_project(const struct change *c, int *lock, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	_cleanup_free_ char *path = text_format(err, "projects/%s", c->identity.id);
	_cleanup_fd_ int fd = path ? fs_open(c->mc->home.fd, path, O_RDONLY | O_DIRECTORY, 0, err) : -1;
	int r = fd < 0 ? (path ? fd : -ERROR_NO_MEMORY)
		       : fs_lock(fd, "lock", FS_LOCK_EXCLUSIVE, false, lock, err);

	if (r == -ERROR_BUSY && c->options->waits)
		c->options->waits(c->options->context);
	while (r == -ERROR_BUSY) {
		if (change_is_stopped(c))
			return error_set(
				err, ERROR_CLOSED, "another command changes the project; nothing was done");
		nanosleep(&pause, NULL);
		r = fs_lock(fd, "lock", FS_LOCK_EXCLUSIVE, false, lock, err);
	}
	return r;
}

static int change(struct change *c, struct error *err)
{
	bool down = c->options->wish == MONOCORE_PROJECT_DOWN;
	_cleanup_fd_ int lock = -1;
	int r = down ? 0 : project_check_grants(c->mc, c->project, err);

	if (r == 0)
		r = project_who(c->mc, c->project, !down, &c->identity, err);
	if (r == 0 && *c->identity.id)
		r = lock_project(c, &lock, err);
	if (r == 0 && builds_first(c)) {
		r = make_plan(c, PLAN_BUILDS, err);
		if (r == 0)
			tell_all(c);
		if (r == 0)
			r = carry_out(c, err);
	}
	if (r == 0)
		r = make_plan(c, wish_of(c->options), err);
	if (r == 0)
		tell_all(c);
	return r == 0 ? carry_out(c, err) : r;
}

static int with_change(struct monocore *mc, const struct monocore_project *project,
	const struct monocore_project_change_options *o, int (*call)(struct change *, struct error *),
	struct monocore_error *error)
{
	struct change c = {.mc = mc, .project = project, .options = o};
	struct error err;
	int r;

	if (o->version != 1)
		r = error_set(&err, ERROR_INVALID, "options of version %u: this library knows 1", o->version);
	else
		r = call(&c, &err);
	change_free(&c);
	return r < 0 ? give_error(error, &err) : 0;
}

int monocore_project_plan(struct monocore *mc, const struct monocore_project *project,
	const struct monocore_project_change_options *options, struct monocore_error *error)
{
	return with_change(mc, project, options, plan, error);
}

int monocore_project_change(struct monocore *mc, const struct monocore_project *project,
	const struct monocore_project_change_options *options, struct monocore_error *error)
{
	return with_change(mc, project, options, change, error);
}
