/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "ctl.h"

int main(int argc, char **argv)
{
	return ctl_main(argc, argv);
}
