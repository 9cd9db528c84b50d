/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "patternkind.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "netlist.h"

static const struct {
	const char *kind;
	int order;
} kinds[] = {
	{"ign", PATTERNKIND_IGNORE},	     {"ign2", PATTERNKIND_IGNORE},
	{"cfg", PATTERNKIND_CONFIG},	     {"gdb", PATTERNKIND_CONFIG},
	{"crb", PATTERNKIND_CERTIFICATE},    {"cat", PATTERNKIND_NORMAL},
	{"cbc", PATTERNKIND_NORMAL},	     {"cdb", PATTERNKIND_NORMAL},
	{"cld", PATTERNKIND_NORMAL},	     {"cud", PATTERNKIND_NORMAL},
	{"cvd", PATTERNKIND_NORMAL},	     {"db", PATTERNKIND_NORMAL},
	{"fp", PATTERNKIND_NORMAL},	     {"ftm", PATTERNKIND_NORMAL},
	{"hdb", PATTERNKIND_NORMAL},	     {"hdu", PATTERNKIND_NORMAL},
	{"hsb", PATTERNKIND_NORMAL},	     {"hsu", PATTERNKIND_NORMAL},
	{"idb", PATTERNKIND_NORMAL},	     {"imp", PATTERNKIND_NORMAL},
	{"ioc", PATTERNKIND_NORMAL},	     {"ldb", PATTERNKIND_NORMAL},
	{"ldu", PATTERNKIND_NORMAL},	     {"mdb", PATTERNKIND_NORMAL},
	{"mdu", PATTERNKIND_NORMAL},	     {"msb", PATTERNKIND_NORMAL},
	{"msu", PATTERNKIND_NORMAL},	     {"ndb", PATTERNKIND_NORMAL},
	{"ndu", PATTERNKIND_NORMAL},	     {"pdb", PATTERNKIND_NORMAL},
	{"pwdb", PATTERNKIND_NORMAL},	     {"rmd", PATTERNKIND_NORMAL},
	{"sdb", PATTERNKIND_NORMAL},	     {"sfp", PATTERNKIND_NORMAL},
	{"wdb", PATTERNKIND_NORMAL},	     {"yar", PATTERNKIND_NORMAL},
	{"yara", PATTERNKIND_NORMAL},	     {"zmd", PATTERNKIND_NORMAL},
	{NETLIST_KIND, PATTERNKIND_NETWORK},
};

const char *patternkind_of(const char *name, int *order_r)
{
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcasecmp(dot + 1, kinds[i].kind) != 0)
			continue;
		*order_r = kinds[i].order;
		if (!strcmp(name, "daily.cvd") || !strcmp(name, "daily.cld"))
			*order_r = PATTERNKIND_DAILY;
		return kinds[i].kind;
	}
	return NULL;
}
