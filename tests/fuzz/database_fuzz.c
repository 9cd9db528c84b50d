/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/*
 * Databases in ClamAV's containers, and their headers. What is called whole has
 * a list that names a version; whatever comes, reading it ends.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cvd.h"
#include "fuzz.h"
#include "lib/fdutil.h"
#include "vsapiapp/database.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("database", MFD_CLOEXEC);
	struct cvd_head head;
	struct err err = {0};

	check(fd >= 0 && fd_write_all(fd, data, size) == 0);
	if (database_content(fd, "test", &head, &err) == 0)
		check(head.version > 0 && head.version <= CVD_VERSION_MAX);
	else
		check(err.text[0]);
	err_clear(&err);
	if (cvd_head_parse((const char *)data, size, &head, &err) < 0)
		check(err.text[0] && head.version == 0);
	close(fd);
	return 0;
}
