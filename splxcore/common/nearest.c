/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <ctype.h>
#include <string.h>

#include "nearest.h"

#define WORD_MAX 63

static int lower(const char *s, size_t i)
{
	return tolower((unsigned char)s[i]);
}

static int min3(int a, int b, int c)
{
	int m = a < b ? a : b;

	return m < c ? m : c;
}

int nearest_distance(const char *a, const char *b)
{
	/* three rows of the table are enough to know of swapped neighbours */
	int rows[3][WORD_MAX + 1];
	size_t la = strnlen(a, WORD_MAX);
	size_t lb = strnlen(b, WORD_MAX);
	size_t i, j;

	for (j = 0; j <= lb; j++)
		rows[0][j] = (int)j;
	for (i = 1; i <= la; i++) {
		int *now = rows[i % 3];
		const int *up = rows[(i - 1) % 3];
		const int *up2 = rows[(i + 1) % 3];

		now[0] = (int)i;
		for (j = 1; j <= lb; j++) {
			int differ = lower(a, i - 1) != lower(b, j - 1);

			now[j] = min3(up[j] + 1, now[j - 1] + 1,
				      up[j - 1] + differ);
			if (i > 1 && j > 1 && differ &&
			    lower(a, i - 1) == lower(b, j - 2) &&
			    lower(a, i - 2) == lower(b, j - 1) &&
			    up2[j - 2] + 1 < now[j])
				now[j] = up2[j - 2] + 1;
		}
	}
	return rows[la % 3][lb];
}

int nearest_plausible(const char *typed, const char *meant, int distance)
{
	size_t len = strnlen(typed, WORD_MAX);

	/* the beginning of a word counts as the word: "quar" */
	if (len >= 3 && strncasecmp(typed, meant, len) == 0)
		return 1;
	return distance <= (len < 4 ? 1 : len < 8 ? 2 : (int)len / 3);
}
