/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests that print TAP. A test is named after the promise it keeps:
 *
 *     TEST(a_cut_archive_is_an_error)
 *     {
 *             CHECK(...);
 *     }
 *
 * TEST registers itself; main is in test.c. A failed check prints where and what and ends its test.
 * `program` alone runs all tests, `program NAME…` the named ones.
 */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

void test_register(struct test *t);
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define TEST(test_name) \
	static void test_name(void); \
	static struct test test_##test_name = {.name = #test_name, .run = test_name}; \
	__attribute__((constructor)) static void register_##test_name(void) \
	{ \
		test_register(&test_##test_name); \
	} \
	static void test_name(void)

#define CHECK(condition) \
	do { \
		if (!(condition)) \
			test_fail(__FILE__, __LINE__, "%s", #condition); \
	} while (0)

#define CHECK_INT(actual, expected) \
	do { \
		long long a_ = (long long)(actual), e_ = (long long)(expected); \
		if (a_ != e_) \
			test_fail(__FILE__, __LINE__, "%s is %lld, expected %lld", #actual, a_, e_); \
	} while (0)

#define CHECK_TEXT(actual, expected) \
	do { \
		const char *a_ = (actual), *e_ = (expected); \
		if (!a_ || strcmp(a_, e_)) \
			test_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #actual, \
				a_ ? a_ : "(null)", e_); \
	} while (0)

/* A call that must succeed; its error text is printed when it does not. Uses a `struct error err`. */
#define CHECK_OK(call) \
	do { \
		int r_ = (call); \
		if (r_ < 0) \
			test_fail(__FILE__, __LINE__, "%s: %s", #call, err.text); \
	} while (0)

/* A call that must fail with ERROR_<code>. */
#define CHECK_ERROR(call, expected_code) \
	do { \
		int r_ = (call); \
		if (r_ != -(int)(expected_code)) \
			test_fail(__FILE__, __LINE__, "%s returned %d, expected %d", #call, r_, \
				-(int)(expected_code)); \
	} while (0)
