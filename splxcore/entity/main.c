/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "entity.h"

int main(int argc, char **argv)
{
	return entity_main(argc, argv);
}
