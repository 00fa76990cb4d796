/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the words of its standard input. */
#include <ctype.h>
#include <stdio.h>

int main(void)
{
	unsigned long words = 0;
	int c, before = ' ';

	while ((c = getchar()) != EOF) {
		if (isspace(before) && !isspace(c))
			words++;
		before = c;
	}
	printf("%lu\n", words);
	return ferror(stdin) ? 1 : 0;
}
