/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Small pictures, 24 by 24, drawn with lines of the text's colour. */
#include <string.h>

#include "page.h"

static const struct {
	const char *name, *path;
} icons[] = {
	{"shield", "M12 3l7.5 2.8v5.4c0 4.6-3.1 8.2-7.5 9.8-4.4-1.6-7.5-5.2-7.5"
		   "-9.8V5.8z"},
	{"shield-ok", "M12 3l7.5 2.8v5.4c0 4.6-3.1 8.2-7.5 9.8-4.4-1.6-7.5-5.2"
		      "-7.5-9.8V5.8zM8.4 11.8l2.6 2.6 4.7-5"},
	{"shield-half", "M12 3l7.5 2.8v5.4c0 4.6-3.1 8.2-7.5 9.8-4.4-1.6-7.5"
			"-5.2-7.5-9.8V5.8zM12 8v4.6M12 15.9v.2"},
	{"shield-off", "M12 3l7.5 2.8v5.4c0 4.6-3.1 8.2-7.5 9.8-4.4-1.6-7.5"
		       "-5.2-7.5-9.8V5.8zM9.2 9.2l5.6 5.6M14.8 9.2l-5.6 5.6"},
	{"ok", "M4.5 12.5l5 5 10-11"},
	{"info", "M12 3.5a8.5 8.5 0 100 17 8.5 8.5 0 000-17zM12 11v5.2M12 7.8"
		 "v.2"},
	{"warning", "M12 4L2.8 19.5h18.4zM12 10v4.2M12 16.8v.2"},
	{"critical", "M8.5 3.5h7l5 5v7l-5 5h-7l-5-5v-7zM9.3 9.3l5.4 5.4M14.7 "
		     "9.3l-5.4 5.4"},
	{"summary", "M4 13.5a8 8 0 1116 0M12 13.5l4-4M4 18.5h16"},
	{"quarantine", "M4 8h16v12H4zM3 4h18v4H3zM9.5 12h5"},
	{"patterns", "M12 3l8.5 4.5L12 12 3.5 7.5zM3.5 12l8.5 4.5 "
		     "8.5-4.5M3.5 16.5L12 21l8.5-4.5"},
	{"scan", "M10.5 4a6.5 6.5 0 100 13 6.5 6.5 0 000-13zM15.5 "
		 "15.5L21 21"},
	{"logs", "M5 3.5h14v17H5zM8.5 8h7M8.5 12h7M8.5 16h4"},
	{"statistics", "M4 20V4M4 20h16M8.5 16v-4M13 16V7M17.5 16v-6.5"},
	{"module",
	 "M7 7h10v10H7zM10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17"
	 " 10h4M17 14h4"},
	{"network", "M12 3.5a8.5 8.5 0 100 17 8.5 8.5 0 000-17zM3.5 12h17M12 "
		    "3.5c-5 5-5 12 0 17M12 3.5c5 5 5 12 0 17"},
	{"notify", "M6 16.5V11a6 6 0 0112 0v5.5l1.5 1.5h-15zM10 20.5h4M12 3v2"},
	{"tools", "M14.5 6.5a4 4 0 015-3l-2.5 2.5 1 2 2 1 2.5-2.5a4 4 0 01-5.5 "
		  "4.5L9 19.5a2.1 2.1 0 01-3-3L14.5 9z"},
	{"admin", "M12 4a4 4 0 100 8 4 4 0 000-8zM4.5 20.5c.8-4 3.8-6 7.5"
		  "-6s6.7 2 7.5 6"},
	{"bell", "M6 16.5V11a6 6 0 0112 0v5.5l1.5 2h-15zM10 21h4"},
	{"settings", "M4 7h9M17 7h3M4 12h3M11 12h9M4 17h9M17 17h3M13 5v4M7 "
		     "10v4M13 15v4"},
	{"logout", "M14 4h5.5v16H14M3.5 12h11M10.5 8l4 4-4 4"},
};

void page_icon(struct html *h, const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(icons) / sizeof(*icons); i++)
		if (!strcmp(icons[i].name, name))
			html_addf(h,
				  "<svg class=\"icon\" viewBox=\"0 0 24 24\" "
				  "aria-hidden=\"true\"><path d=\"%s\"/></svg>",
				  icons[i].path);
}
