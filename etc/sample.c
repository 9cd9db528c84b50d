/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Writes etc/splx.conf from the table of options. */
#include "common/conf.h"

int main(void)
{
	conf_sample(stdout);
	return fclose(stdout) == 0 ? 0 : 1;
}
