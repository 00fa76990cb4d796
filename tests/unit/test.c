/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdarg.h>
#include <stdlib.h>

static struct test *first_test, **last_test = &first_test;
static jmp_buf failed;

void test_register(struct test *t)
{
	*last_test = t;
	last_test = &t->next;
}

void test_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	printf("# %s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	longjmp(failed, 1);
}

static bool wanted(const struct test *t, int count, char **names)
{
	for (int i = 1; i < count; i++)
		if (!strcmp(names[i], t->name))
			return true;
	return count < 2;
}

int main(int argc, char **argv)
{
	volatile int number = 0, bad = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct test *volatile t = first_test; t; t = t->next) {
		if (!wanted(t, argc, argv))
			continue;
		number++;
		if (setjmp(failed) == 0) {
			t->run();
			printf("ok %d - %s\n", number, t->name);
		} else {
			bad++;
			printf("not ok %d - %s\n", number, t->name);
		}
	}
	printf("1..%d\n", number);
	return bad || !number;
}
