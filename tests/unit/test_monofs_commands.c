/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands of monofs: what holds for all verbs at once. */
#include "test.h"

#include "bin/monofs/root.h"
#include "command_promises.h"

TEST(a_letter_has_one_meaning_in_all_verbs)
{
	letters_promise(&monofs_program);
}

TEST(every_command_and_option_says_what_it_is)
{
	help_promise(&monofs_program, 20);
}
