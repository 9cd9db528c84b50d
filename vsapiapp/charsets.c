// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
#include "charsets.h"

#include <iconv.h>
#include <stddef.h>

static const char *const names[] = {
	"BIG5",		"CP1025",	"CP437",	"CP850",
	"CP866",	"CP874",	"CP875",	"CP932",
	"CP936",	"CP949",	"CP950",	"EUC-CN",
	"EUC-JP",	"EUC-KR",	"EUC-TW",	"GB18030",
	"GB2312",	"GBK",		"IBM037",	"IBM1026",
	"IBM1047",	"IBM273",	"IBM277",	"IBM278",
	"IBM280",	"IBM284",	"IBM285",	"IBM290",
	"IBM297",	"IBM420",	"IBM423",	"IBM424",
	"IBM500",	"IBM852",	"IBM855",	"IBM857",
	"IBM870",	"IBM871",	"IBM880",	"IBM905",
	"ISO-2022-JP",	"ISO-2022-KR",	"ISO-8859-1",	"ISO-8859-2",
	"ISO-8859-3",	"ISO-8859-4",	"ISO-8859-5",	"ISO-8859-6",
	"ISO-8859-7",	"ISO-8859-8",	"ISO-8859-9",	"ISO-8859-10",
	"ISO-8859-11",	"ISO-8859-13",	"ISO-8859-14",	"ISO-8859-15",
	"ISO-8859-16",	"JOHAB",	"KOI8-R",	"KOI8-U",
	"MACINTOSH",	"SHIFT_JIS",	"TIS-620",	"UNICODE",
	"US-ASCII",	"UTF-16",	"UTF-16BE",	"UTF-16LE",
	"UTF-32BE",	"UTF-32LE",	"UTF-7",	"UTF-8",
	"WINDOWS-1250", "WINDOWS-1251", "WINDOWS-1252", "WINDOWS-1253",
	"WINDOWS-1254", "WINDOWS-1255", "WINDOWS-1256", "WINDOWS-1257",
	"WINDOWS-1258",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

void charsets_keep(void)
{
	/* Never closed. One that the system lacks is done without. */
	static iconv_t kept[NAMES][2];

	if (kept[0][0])
		return;
	for (size_t i = 0; i < NAMES; i++) {
		kept[i][0] = iconv_open("UTF-16BE", names[i]);
		kept[i][1] = iconv_open("UTF-8//TRANSLIT", names[i]);
	}
}
