/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_COMMON_PATTERNKIND_H
#define SPLX_COMMON_PATTERNKIND_H

/*
 * What pattern files there are, by extension, and when libclamav loads them.
 * What excludes signatures comes first, since it has no effect on what is
 * loaded already; certificates come before the catalogues that need them. Lists
 * of networks are not for libclamav (netlist.h).
 */
enum patternkind_order {
	PATTERNKIND_IGNORE,
	PATTERNKIND_DAILY, /* it may carry exclusions for the others */
	PATTERNKIND_CONFIG,
	PATTERNKIND_CERTIFICATE,
	PATTERNKIND_NORMAL,
	PATTERNKIND_NETWORK,
};

/* The kind of a file's name, which is its extension in lower case without the
 * dot, and when it is loaded; NULL for one that is no pattern file. */
const char *patternkind_of(const char *name, int *order_r);

#endif
