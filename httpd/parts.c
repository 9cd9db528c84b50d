/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "parts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"

/* ---- a part with a heading ---- */

void part_card(struct html *h, enum text title)
{
	html_addf(h, "<section class=\"card\"><h2>%s</h2>",
		  lang_text(h->lang, title));
}

void part_card_end(struct html *h)
{
	html_raw(h, "</section>");
}

void part_empty(struct html *h, enum text text)
{
	html_addf(h, "<p class=\"empty\">%s</p>", lang_text(h->lang, text));
}

void part_note_text(struct html *h, const char *class, const char *text)
{
	html_addf(h, "<div class=\"note %s\">", class);
	page_icon(h, !strcmp(class, "bad")    ? "critical"
		     : !strcmp(class, "ok")   ? "ok"
		     : !strcmp(class, "warn") ? "warning"
					      : "info");
	html_addf(h, "<p>%s</p></div>", text);
}

void part_note(struct html *h, const char *class, enum text text)
{
	part_note_text(h, class, lang_text(h->lang, text));
}

bool part_failed(struct visit *v, const char *verb)
{
	const char *why = visit_error(v, verb);

	if (why)
		part_note_text(&v->html, "warn", why);
	return why != NULL;
}

/* ---- states ---- */

const struct part_word part_roles[] = {
	{"viewer", TEXT_role_viewer, NULL},
	{"operator", TEXT_role_operator, NULL},
	{"admin", TEXT_role_admin, NULL},
	PART_WORDS_END,
};

const struct part_word part_states[] = {
	{"running", TEXT_task_running, "info"},
	{"paused", TEXT_paused, "warn"},
	{"interrupted", TEXT_task_interrupted, "warn"},
	{"cancelled", TEXT_task_cancelled, "warn"},
	{"done", TEXT_task_done, "ok"},
	{"failed", TEXT_task_failed, "bad"},
	PART_WORDS_END,
};

const struct part_word part_kinds_all[] = {
	{"", TEXT_all, NULL},
	{"virus", TEXT_kind_virus, NULL},
	{"scan", TEXT_kind_scan, NULL},
	{"update", TEXT_kind_update, NULL},
	{"system", TEXT_kind_system, NULL},
	{"network", TEXT_kind_network, NULL},
	{"audit", TEXT_kind_audit, NULL},
	PART_WORDS_END,
};

static const struct part_word *find(const struct part_word *words,
				    const char *word)
{
	while (words->word && strcmp(words->word, word) != 0)
		words++;
	return words;
}

static const char *told(enum lang lang, const struct part_word *w,
			const char *word)
{
	return w->text < TEXTS ? lang_text(lang, w->text) : word;
}

const char *part_word_text(enum lang lang, const struct part_word *words,
			   const char *word)
{
	return told(lang, find(words, word), word);
}

void part_word(struct html *h, const struct part_word *words, const char *word)
{
	words = find(words, word);
	html_addf(h, "<span class=\"badge %s\">",
		  words->class ? words->class : "plain");
	if (words->class)
		page_icon(h, !strcmp(words->class, "ok")     ? "ok"
			     : !strcmp(words->class, "bad")  ? "critical"
			     : !strcmp(words->class, "warn") ? "warning"
							     : "info");
	html_text(h, told(h->lang, words, word));
	html_raw(h, "</span>");
}

/* ---- tables ---- */

void part_table_heads(struct html *h, const enum text *heads, int n)
{
	int i;

	html_raw(h, "<div class=\"scroll\"><table><thead><tr>");
	for (i = 0; i < n; i++)
		if (heads[i] < TEXTS)
			html_addf(h, "<th>%s</th>",
				  lang_text(h->lang, heads[i]));
		else /* a heading that says nothing is none */
			html_raw(h, "<td></td>");
	html_raw(h, "</tr></thead><tbody>");
}

void part_table_end(struct html *h)
{
	html_raw(h, "</tbody></table></div>");
}

void part_cell(struct html *h, enum text label, const char *class)
{
	html_raw(h, "<td");
	if (*class)
		html_addf(h, " class=\"%s\"", class);
	if (label < TEXTS)
		html_addf(h, " data-label=\"%s\"", lang_text(h->lang, label));
	html_raw(h, ">");
}

void part_cell_end(struct html *h)
{
	html_raw(h, "</td>");
}

void part_cell_text(struct html *h, enum text label, const char *class,
		    const char *text)
{
	part_cell(h, label, class);
	html_text(h, *text ? text : "–");
	part_cell_end(h);
}

void part_cell_number(struct html *h, enum text label, int64_t n)
{
	part_cell(h, label, "num");
	html_number(h, n);
	part_cell_end(h);
}

void part_cell_time(struct html *h, enum text label, int64_t ns)
{
	part_cell(h, label, "when");
	html_time(h, ns);
	part_cell_end(h);
}

/* ---- facts ---- */

void part_facts(struct html *h)
{
	html_raw(h, "<dl class=\"facts card\">");
}

void part_facts_end(struct html *h)
{
	html_raw(h, "</dl>");
}

void part_fact(struct html *h, enum text name)
{
	html_addf(h, "<div class=\"fact\"><dt>%s</dt><dd>",
		  lang_text(h->lang, name));
}

void part_fact_end(struct html *h)
{
	html_raw(h, "</dd></div>");
}

void part_fact_text(struct html *h, enum text name, const char *value)
{
	part_fact(h, name);
	html_text(h, *value ? value : "–");
	part_fact_end(h);
}

void part_fact_number(struct html *h, enum text name, int64_t n)
{
	part_fact(h, name);
	html_number(h, n);
	part_fact_end(h);
}

void part_fact_time(struct html *h, enum text name, int64_t ns)
{
	part_fact(h, name);
	html_time(h, ns);
	part_fact_end(h);
}

/* ---- forms ---- */

static void form(struct visit *v, const char *action, const char *class,
		 const char *more)
{
	v->other_form = strcmp(action, v->route->path) != 0;
	html_addf(&v->html, "<form class=\"%s\" method=\"post\" action=\"%s\"",
		  class, action);
	html_raw(&v->html, more);
	page_csrf(v);
}

void part_form(struct visit *v, const char *action, const char *class)
{
	form(v, action, class, ">");
}

void part_form_files(struct visit *v, const char *action, const char *class)
{
	form(v, action, class, " enctype=\"multipart/form-data\">");
}

void part_form_end(struct html *h)
{
	html_raw(h, "</form>");
}

const char *part_value(const struct visit *v, const char *name,
		       const char *value)
{
	const char *typed = params_get(&v->form, name);

	return typed && !v->other_form ? typed : value;
}

void part_hidden(struct visit *v, const char *name, const char *value)
{
	/* Of several forms alike only the one that was sent has what was
	 * typed. */
	if (strcmp(part_value(v, name, value), value) != 0)
		v->other_form = true;
	html_addf(&v->html, "<input type=\"hidden\" name=\"%s\" value=\"%s\">",
		  name, value);
}

static void hint_add(struct html *h, enum text hint)
{
	if (hint < TEXTS)
		html_addf(h, "<small>%s</small>", lang_text(h->lang, hint));
}

static void field(struct visit *v, enum text label, const char *type,
		  const char *name, const char *value, enum text hint,
		  bool needed)
{
	bool secret = !strcmp(type, "password");
	struct html *h = &v->html;

	html_addf(h,
		  "<label><span>%s</span><input type=\"%s\" name=\"%s\" "
		  "value=\"%s\" autocomplete=\"%s\"",
		  lang_text(h->lang, label), type, name,
		  secret ? "" : part_value(v, name, value),
		  secret ? "new-password" : "off");
	html_raw(h, needed ? " required>" : ">");
	hint_add(h, hint);
	html_raw(h, "</label>");
}

void part_field(struct visit *v, enum text label, const char *type,
		const char *name, const char *value, enum text hint)
{
	field(v, label, type, name, value, hint, false);
}

void part_field_needed(struct visit *v, enum text label, const char *type,
		       const char *name, const char *value)
{
	field(v, label, type, name, value, TEXTS, true);
}

void part_area(struct visit *v, enum text label, const char *name,
	       const char *value, int rows, enum text hint)
{
	const char *text =
		strcmp(name, "key") ? part_value(v, name, value) : value;
	const char *end;
	struct html *h = &v->html;

	html_addf(h,
		  "<label><span>%s</span><textarea name=\"%s\" rows=\"%d\" "
		  "spellcheck=\"false\">\n",
		  lang_text(h->lang, label), name, rows);
	/* Its line ends are line ends, not something to be told of. */
	for (; *text; text = end) {
		char *line;

		end = text + strcspn(text, "\r\n\t");
		line = xstrndup(text, (size_t)(end - text));
		html_text(h, line);
		free(line);
		if (*end == '\n' || *end == '\t')
			html_raw(h, *end == '\n' ? "\n" : "\t");
		end += *end != '\0';
	}
	html_raw(h, "</textarea>");
	hint_add(h, hint);
	html_raw(h, "</label>");
}

void part_select(struct visit *v, enum text label, const char *name,
		 const struct part_word *words, const char *value)
{
	struct html *h = &v->html;

	value = part_value(v, name, value);
	html_addf(h, "<label><span>%s</span><select name=\"%s\">",
		  lang_text(h->lang, label), name);
	for (; words->word; words++) {
		html_addf(h, "<option value=\"%s\"", words->word);
		if (!strcmp(value, words->word))
			html_raw(h, " selected");
		html_addf(h, ">%s</option>", told(h->lang, words, words->word));
	}
	html_raw(h, "</select></label>");
}

void part_file(struct visit *v, enum text label, const char *name)
{
	html_addf(&v->html,
		  "<label><span>%s</span><input type=\"file\" name=\"%s\">"
		  "</label>",
		  lang_text(v->lang, label), name);
}

void part_check(struct visit *v, enum text label, const char *name, bool on)
{
	html_addf(&v->html,
		  "<label class=\"tick\"><input type=\"checkbox\" "
		  "name=\"%s\" value=\"true\"",
		  name);
	html_raw(&v->html, on ? " checked>" : ">");
	html_addf(&v->html, " %s</label>", lang_text(v->lang, label));
}

void part_button(struct html *h, const char *class, enum text text)
{
	html_addf(h, "<button class=\"%s\">%s</button>", class,
		  lang_text(h->lang, text));
}

void part_action_sends(struct visit *v, const char *action, const char *class,
		       enum text text, const char *const *fields)
{
	part_form(v, action, "inline");
	for (; *fields; fields += 2)
		part_hidden(v, fields[0], fields[1]);
	part_button(&v->html, class, text);
	part_form_end(&v->html);
}

void part_link(struct html *h, const char *path, enum text text)
{
	html_addf(h, "<a class=\"button\" href=\"%s\">%s</a>", path,
		  lang_text(h->lang, text));
}

/* ---- the question ---- */

/* All that is sent, but for the page's own. */
static bool is_sent(const struct param *p)
{
	return strcmp(p->name, "csrf") != 0 && strcmp(p->name, "sure") != 0;
}

static void tell_verb(struct visit *v, const char *verb)
{
	struct html *h = &v->html;
	const struct param *p;

	html_addf(h, "<p><code>splxctl %s</code></p><ul class=\"words\">",
		  verb);
	vec_each (p, &v->form)
		if (is_sent(p) && *p->value)
			html_addf(h,
				  "<li><span class=\"muted\">%s</span> "
				  "<span class=\"path\">%s</span></li>",
				  p->name, p->value);
	html_raw(h, "</ul>");
}

static void ask(struct visit *v, const struct part_question *q)
{
	const struct param *p;
	struct html *h = &v->html;
	int i;

	page_begin(v, q->title, q->back);
	html_raw(h, "<section class=\"card question\">");
	page_icon(h, "warning");
	html_raw(h, "<div><p class=\"lead\">");
	if (q->arg)
		html_say(h, q->text, q->arg);
	else
		html_say(h, q->text);
	html_raw(h, "</p>");
	if (q->n_opens)
		html_raw(h, "<ul>");
	for (i = 0; i < q->n_opens; i++)
		html_addf(h, "<li>%s</li>", lang_text(h->lang, q->opens[i]));
	if (q->n_opens)
		html_raw(h, "</ul>");
	if (q->verb)
		tell_verb(v, q->verb);
	part_form(v, v->route->path, "actions");
	vec_each (p, &v->form)
		if (is_sent(p))
			part_hidden(v, p->name, p->value);
	part_hidden(v, "sure", "yes");
	part_button(h, "danger", q->button);
	part_link(h, q->back, TEXT_back);
	part_form_end(h);
	html_raw(h, "</div></section>");
	page_end(v);
}

bool part_confirmed(struct visit *v, const struct part_question *q)
{
	if (!strcmp(visit_form(v, "sure"), "yes"))
		return true;
	ask(v, q);
	return false;
}

/* ---- queries ---- */

char *part_urlencode(const char *text)
{
	struct str out = {0};

	for (; *text; text++) {
		if (isascii(*text) && (isalnum(*text) || strchr("-_.", *text)))
			str_addn(&out, text, 1);
		else
			str_addf(&out, "%%%02X", (unsigned char)*text);
	}
	return out.s ? out.s : xstrdup("");
}
