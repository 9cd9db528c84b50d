/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Feeds the files of folders to a fuzz target, without a fuzzer. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"

#define INPUT_MAX (1u << 20)

static int replay(const char *path)
{
	struct err err;
	uint8_t *exact;
	char *data;
	size_t len;

	if (fd_read_file(path, INPUT_MAX, &data, &len, &err) < 0) {
		fprintf(stderr, "replay: %s\n", err.text);
		return -1;
	}
	/* no byte behind it, so that reading too far is seen */
	exact = xmalloc(len ? len : 1);
	for (size_t i = 0; i < len; i++)
		exact[i] = (uint8_t)data[i];
	free(data);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	int count = 0, i;

	for (i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		if (!dir)
			fatal(1, "opendir(%s): %m", argv[i]);
		while ((entry = readdir(dir))) {
			char *path;

			if (entry->d_name[0] == '.')
				continue;
			path = xasprintf("%s/%s", argv[i], entry->d_name);
			if (replay(path) < 0)
				return 1;
			free(path);
			count++;
		}
		closedir(dir);
	}
	printf("%s: %d inputs\n", argv[0], count);
	return count ? 0 : 1;
}
