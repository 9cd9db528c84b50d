/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "talks.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "page.h"

#define WIDTH 900
#define ROW 26
#define TOP 26
#define LEFT 235  /* where lines of who comes in begin */
#define MID 450	  /* the middle of the programs' boxes */
#define HALF 95	  /* half of their width */
#define RIGHT 665 /* where lines to others end */
#define NAME_MAX_SHOWN 24

/* What is drawn: each line, and the programs in the middle. */
struct talk {
	json_t *peer;
	int program;
};
struct drawing {
	struct talk in[TALKS_MAX], out[TALKS_MAX];
	int n_in, n_out, n_programs, rows;
	const char *programs[2 * TALKS_MAX];
};

static int program_of(struct drawing *d, const char *name)
{
	int i;

	for (i = 0; i < d->n_programs; i++)
		if (strcmp(d->programs[i], name) == 0)
			return i;
	d->programs[d->n_programs] = name;
	return d->n_programs++;
}

static void gather(struct drawing *d, json_t *peers)
{
	json_t *p;
	size_t i;

	memset(d, 0, sizeof(*d));
	json_array_foreach (peers, i, p) {
		bool in = json_is_true(json_object_get(p, "in"));
		int *n = in ? &d->n_in : &d->n_out;

		if (*n == TALKS_MAX)
			continue;
		(in ? d->in : d->out)[(*n)++] = (struct talk){
			p, program_of(d, json_text(p, "program"))};
	}
	d->rows = d->n_in > d->n_out ? d->n_in : d->n_out;
	if (d->n_programs > d->rows)
		d->rows = d->n_programs;
}

/* The height of one of n things that share the rows. */
static double at_y(const struct drawing *d, int i, int n)
{
	return TOP + ROW * d->rows * (i + 0.5) / n;
}

static const char *class_of(json_t *peer)
{
	return json_number(peer, "prevented") ? "talk bad"
	       : json_number(peer, "alerted") ? "talk warn"
					      : "talk";
}

static void line(struct html *h, json_t *peer, double x1, double y1, double x2,
		 double y2)
{
	double width = 1 + log10((double)json_number(peer, "times") + 1);
	double bend = (x2 - x1) / 2;

	str_addf(&h->out,
		 "<path class=\"%s\" stroke-width=\"%.1f\" d=\"M%.0f %.1fC%.0f "
		 "%.1f %.0f %.1f %.0f %.1f\"/>",
		 class_of(peer), width, x1, y1, x1 + bend, y1, x2 - bend, y2,
		 x2, y2);
}

static void lines(struct html *h, const struct drawing *d)
{
	int i;

	for (i = 0; i < d->n_in; i++)
		line(h, d->in[i].peer, LEFT, at_y(d, i, d->n_in), MID - HALF,
		     at_y(d, d->in[i].program, d->n_programs));
	for (i = 0; i < d->n_out; i++)
		line(h, d->out[i].peer, MID + HALF,
		     at_y(d, d->out[i].program, d->n_programs), RIGHT,
		     at_y(d, i, d->n_out));
}

static void label(struct html *h, double x, double y, const char *anchor,
		  const char *text)
{
	str_addf(&h->out, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"%s\">", x,
		 y + 4, anchor);
	html_text(h, text);
	html_raw(h, "</text>");
}

static void peer_label(struct html *h, json_t *peer, double y)
{
	bool in = json_is_true(json_object_get(peer, "in"));
	const char *address = json_text(peer, "address");
	bool v6 = strchr(address, ':') != NULL;
	char text[96];

	if (in)
		snprintf(text, sizeof(text), "%s → %d", address,
			 (int)json_number(peer, "port"));
	else
		snprintf(text, sizeof(text), "%s%s%s:%d", v6 ? "[" : "",
			 address, v6 ? "]" : "",
			 (int)json_number(peer, "port"));
	label(h, in ? LEFT - 6 : RIGHT + 6, y, in ? "end" : "start", text);
}

static void program_box(struct html *h, const char *path, double y)
{
	const char *name = strrchr(path, '/');
	char text[NAME_MAX_SHOWN + sizeof("…")];
	int n;

	name = name ? name + 1 : *path ? path : "?";
	n = (int)strnlen(name, NAME_MAX_SHOWN);
	/* Not in the middle of a character. */
	while (n && name[n] && ((unsigned char)name[n] & 0xc0) == 0x80)
		n--;
	snprintf(text, sizeof(text), "%.*s%s", n, name, name[n] ? "…" : "");
	str_addf(&h->out,
		 "<rect class=\"talker\" x=\"%d\" y=\"%.1f\" width=\"%d\" "
		 "height=\"20\" rx=\"4\"/>",
		 MID - HALF, y - 10, 2 * HALF);
	label(h, MID, y, "middle", text);
}

static void heads(struct html *h)
{
	label(h, LEFT - 6, 10, "end", lang_text(h->lang, TEXT_net_comes_in));
	label(h, MID, 10, "middle", lang_text(h->lang, TEXT_net_this_host));
	label(h, RIGHT + 6, 10, "start", lang_text(h->lang, TEXT_net_goes_out));
}

void talks_draw(struct html *h, json_t *peers)
{
	struct drawing d;
	int i;

	gather(&d, peers);
	if (!d.rows) {
		html_addf(h, "<p class=\"empty\">%s</p>",
			  lang_text(h->lang, TEXT_net_nobody));
		return;
	}
	str_addf(&h->out,
		 "<div class=\"scroll\"><svg class=\"talks\" viewBox=\"0 0 %d "
		 "%d\" aria-hidden=\"true\">",
		 WIDTH, TOP + ROW * d.rows + 6);
	heads(h);
	lines(h, &d);
	for (i = 0; i < d.n_programs; i++)
		program_box(h, d.programs[i], at_y(&d, i, d.n_programs));
	for (i = 0; i < d.n_in; i++)
		peer_label(h, d.in[i].peer, at_y(&d, i, d.n_in));
	for (i = 0; i < d.n_out; i++)
		peer_label(h, d.out[i].peer, at_y(&d, i, d.n_out));
	html_raw(h, "</svg></div>");
}
