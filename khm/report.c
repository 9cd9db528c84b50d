// SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception
/* Lines of text about what stands in the way. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "report.h"

/* The last line, when others were left out. */
static const char more[] = "...\n";
#define MORE_LEN (sizeof(more) - 1)

static bool report_is_full(const struct splxmod_report *r)
{
	return r->len >= MORE_LEN &&
	       !memcmp(r->text + r->len - MORE_LEN, more, MORE_LEN);
}

void splxmod_report_line(struct splxmod_report *r, const char *fmt, ...)
{
	size_t room = sizeof(r->text) - sizeof(more) - r->len;
	va_list args;
	size_t len;

	if (report_is_full(r))
		return;
	va_start(args, fmt);
	len = vsnprintf(r->text + r->len, room, fmt, args);
	va_end(args);
	if (len + 1 < room) {
		r->len += len;
		r->text[r->len++] = '\n';
		r->text[r->len] = 0;
	} else {
		memcpy(r->text + r->len, more, sizeof(more));
		r->len += MORE_LEN;
	}
}

/* A word of a line: what could be taken for a border becomes '_'. */
static void report_word(char *word_r, size_t size, const char *from)
{
	size_t i;

	if (!from || !*from)
		from = "-";
	for (i = 0; i + 1 < size && from[i]; i++)
		word_r[i] = from[i] > ' ' && from[i] < 0x7f ? from[i] : '_';
	word_r[i] = 0;
}

void splxmod_report_rival(struct splxmod_report *r, const char *kind,
			  const char *module, const char *symbol,
			  enum splxmod_effect effect)
{
	static const char *const effects[] = {
		[SPLXMOD_SAFE] = "safe",
		[SPLXMOD_BLOCKS_ARM] = "blocks-arm",
		[SPLXMOD_BLOCKS_UNLOAD] = "blocks-unload",
	};
	char module_word[64], symbol_word[128];

	if (effect != SPLXMOD_SAFE)
		r->rivals++;
	report_word(module_word, sizeof(module_word), module);
	report_word(symbol_word, sizeof(symbol_word), symbol);
	splxmod_report_line(r, "%s %s %s %s", kind, module_word, symbol_word,
			    effects[effect]);
}
