/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "args.h"

#include <stdio.h>

#include "codes.h"
#include "version.h"

int args_told(int c, const char *name, const char *usage)
{
	if (c == 'V')
		printf("%s (" SPLX_PRODUCT ") " SPLX_VERSION "\n", name);
	else
		fputs(usage, c == 'h' ? stdout : stderr);
	return c == 'V' || c == 'h' ? LSB_OK : LSB_USAGE;
}
