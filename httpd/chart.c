/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "chart.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "html.h"

#define WIDTH 600
#define HEIGHT 140
#define TOP 8
#define BOTTOM 118 /* below stand the times */

static double most(json_t *values, double so_far)
{
	json_t *v;
	size_t i;

	json_array_foreach (values, i, v)
		if (json_is_number(v) && json_number_value(v) > so_far)
			so_far = json_number_value(v);
	return so_far;
}

/* The next number above that reads well: 1, 2, 5, 10, 20 … */
static double rounded(double top)
{
	double base = 1;

	while (base * 10 < top)
		base *= 10;
	if (base >= top)
		return base;
	if (base * 2 >= top)
		return base * 2;
	return base * 5 >= top ? base * 5 : base * 10;
}

static void value(struct html *h, enum chart_unit unit, double x)
{
	if (unit == CHART_COUNT) {
		html_number(h, (int64_t)llround(x));
		return;
	}
	if (x >= 1e9)
		str_addf(&h->out, "%.3g s", x / 1e9);
	else if (x >= 1e6)
		str_addf(&h->out, "%.3g ms", x / 1e6);
	else
		str_addf(&h->out, "%.3g µs", x / 1e3);
}

struct scale {
	double top;
	size_t n;
};

static double at_x(const struct scale *s, size_t i)
{
	return s->n < 2 ? WIDTH : (double)i * WIDTH / (double)(s->n - 1);
}

static double at_y(const struct scale *s, double v)
{
	return BOTTOM - v / s->top * (BOTTOM - TOP);
}

/* A line with gaps where nothing is known; with `fill` what is below it. */
static void line(struct html *h, json_t *values, const struct scale *s,
		 const char *class)
{
	bool down = false;
	json_t *v;
	size_t i;

	html_addf(h, "<path class=\"%s\" d=\"", class);
	json_array_foreach (values, i, v) {
		if (!json_is_number(v)) {
			down = false;
			continue;
		}
		str_addf(&h->out, "%c%.1f %.1f", down ? 'L' : 'M', at_x(s, i),
			 at_y(s, json_number_value(v)));
		if (!down) /* one alone is a dot */
			str_add(&h->out, "h.1");
		down = true;
	}
	html_raw(h, "\"/>");
}

static void area(struct html *h, json_t *values, const struct scale *s)
{
	size_t i, first = 0;
	bool down = false;
	json_t *v;

	html_raw(h, "<path class=\"area\" d=\"");
	for (i = 0; i <= s->n; i++) {
		v = i < s->n ? json_array_get(values, i) : NULL;
		if (json_is_number(v)) {
			if (!down) {
				first = i;
				str_addf(&h->out, "M%.1f %d", at_x(s, i),
					 BOTTOM);
			}
			str_addf(&h->out, "L%.1f %.1f", at_x(s, i),
				 at_y(s, json_number_value(v)));
			down = true;
		} else if (down) {
			str_addf(&h->out, "L%.1f %dL%.1f %dZ", at_x(s, i - 1),
				 BOTTOM, at_x(s, first), BOTTOM);
			down = false;
		}
	}
	html_raw(h, "\"/>");
}

static void times(struct html *h, const struct chart *c, size_t n)
{
	char text[16];
	struct tm tm;
	time_t t;
	int k;

	for (k = 0; k < 3; k++) {
		static const char *const anchor[] = {"start", "middle", "end"};

		t = (time_t)(c->from_s + c->step_s * (int64_t)n * k / 2);
		if (!localtime_r(&t, &tm))
			continue;
		strftime(text, sizeof(text), "%H:%M", &tm);
		str_addf(&h->out,
			 "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>",
			 WIDTH * k / 2, HEIGHT - 6, anchor[k], text);
	}
}

static void legend(struct html *h, const struct chart *c)
{
	json_t *last =
		json_array_get(c->values, json_array_size(c->values) - 1);

	html_addf(h, "<figcaption><strong>%s</strong>",
		  lang_text(h->lang, c->title));
	if (c->values2)
		html_addf(h,
			  "<span class=\"key one\">%s</span>"
			  "<span class=\"key two\">%s</span>",
			  lang_text(h->lang, c->name),
			  lang_text(h->lang, c->name2));
	html_addf(h, "<span class=\"muted\">%s ",
		  lang_text(h->lang, TEXT_chart_most));
	value(h, c->unit, most(c->values2, most(c->values, 0)));
	html_raw(h, "</span>");
	if (json_is_number(last)) {
		html_addf(h, "<span class=\"muted\">%s ",
			  lang_text(h->lang, TEXT_chart_last));
		value(h, c->unit, json_number_value(last));
		html_raw(h, "</span>");
	}
	html_raw(h, "</figcaption>");
}

void chart_draw(struct html *h, const struct chart *c)
{
	struct scale s = {.n = json_array_size(c->values)};
	double top = most(c->values2, most(c->values, 0));
	json_t *v;
	size_t i, known = 0;

	json_array_foreach (c->values, i, v)
		known += json_is_number(v) ? 1 : 0;
	s.top = rounded(top > 0 ? top : 1);
	html_raw(h, "<figure class=\"chart card\">");
	legend(h, c);
	if (!known) {
		html_addf(h, "<p class=\"empty\">%s</p></figure>",
			  lang_text(h->lang, TEXT_chart_none));
		return;
	}
	str_addf(&h->out,
		 "<svg viewBox=\"0 0 %d %d\" aria-hidden=\"true\">"
		 "<path class=\"grid\" d=\"M0 %dH%dM0 %dH%dM0 %dH%d\"/>",
		 WIDTH, HEIGHT, TOP, WIDTH, (TOP + BOTTOM) / 2, WIDTH, BOTTOM,
		 WIDTH);
	if (!c->values2)
		area(h, c->values, &s);
	line(h, c->values, &s, "line one");
	if (c->values2)
		line(h, c->values2, &s, "line two");
	str_addf(&h->out, "<text x=\"2\" y=\"%d\">", TOP + 12);
	value(h, c->unit, s.top);
	html_raw(h, "</text>");
	times(h, c, s.n);
	html_raw(h, "</svg></figure>");
}
