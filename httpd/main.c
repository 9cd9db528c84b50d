/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "httpd.h"

int main(int argc, char **argv)
{
	return httpd_main(argc, argv);
}
