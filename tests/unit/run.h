/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of the distribution that judge what ours have written. */
#pragma once

/* Runs argv[0] (also from the sbin directories) with its output thrown away. Returns the exit status, 127
 * where the program is missing, or minus the signal. */
int run_quietly(char *const argv[]);
