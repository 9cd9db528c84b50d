/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
/* Quarantine: what was taken away, back to its place or gone for good. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "page.h"
#include "table.h"

#define ITEMS 50

static const struct column columns[] = {
	{"time", TEXT_time, CELL_TIME, NULL},
	{"virus", TEXT_virus, CELL_TEXT, NULL},
	{"path", TEXT_file, CELL_PATH, NULL},
	{"size", TEXT_size, CELL_SIZE, NULL},
};

static void details(struct visit *v, json_t *row)
{
	html_addf(&v->html, "<a href=\"/quarantine/item?id=%lld\">%s</a>",
		  (long long)json_number(row, "id"),
		  lang_text(v->lang, TEXT_details));
}

static void filter(struct visit *v)
{
	struct html *h = &v->html;

	html_raw(h, "<form class=\"row card\" method=\"get\" "
		    "action=\"/quarantine\">");
	part_field(v, TEXT_virus, "search", "virus", visit_query(v, "virus"),
		   TEXTS);
	part_field(v, TEXT_file, "search", "path", visit_query(v, "path"),
		   TEXTS);
	part_button(&v->html, "", TEXT_filter);
	html_raw(h, "</form>");
}

static int64_t offset_of(const struct visit *v)
{
	int64_t n = strtoll(visit_query(v, "offset"), NULL, 10);

	return n > 0 ? n : 0;
}

/* To the pages beside, with the same filter. */
static void turn(struct visit *v, int64_t offset, enum text name)
{
	html_addf(&v->html,
		  "<form method=\"get\" action=\"/quarantine\" "
		  "class=\"inline\"><input type=\"hidden\" name=\"virus\" "
		  "value=\"%s\"><input type=\"hidden\" name=\"path\" "
		  "value=\"%s\"><input type=\"hidden\" name=\"offset\" "
		  "value=\"%lld\"><button>%s</button></form>",
		  visit_query(v, "virus"), visit_query(v, "path"),
		  (long long)offset, lang_text(v->lang, name));
}

static void restore_delete(struct visit *v)
{
	struct html *h = &v->html;

	html_raw(h, "<form method=\"post\" id=\"chosen\" class=\"row\">");
	page_csrf(v);
	html_addf(h,
		  "<button formaction=\"/quarantine/restore\">%s</button>"
		  "<button class=\"danger\" formaction=\"/quarantine/"
		  "delete\">%s</button></form>",
		  lang_text(v->lang, TEXT_restore),
		  lang_text(v->lang, TEXT_delete));
}

static void show(struct visit *v)
{
	json_t *data = visit_data(v, "quarantine.list");
	int64_t offset = offset_of(v), total = json_number(data, "total");
	struct table t = {columns, 4,	     TEXT_quarantine_empty,
			  NULL,	   "chosen", details};
	struct html *h = &v->html;

	if (v->role >= VERB_ADMIN)
		t.check = "id";
	page_begin(v, TEXT_quarantine, "/quarantine");
	filter(v);
	html_raw(h, "<section class=\"card\"><p class=\"muted\">");
	html_number(h, total);
	html_addf(h, " %s · ", lang_text(v->lang, TEXT_items));
	html_size(h, json_number(data, "bytes"));
	html_raw(h, "</p>");
	part_failed(v, "quarantine.list");
	table_draw(v, json_object_get(data, "items"), &t);
	html_raw(h, "<div class=\"row\">");
	if (t.check && total)
		restore_delete(v);
	if (offset > 0)
		turn(v, offset > ITEMS ? offset - ITEMS : 0, TEXT_newer);
	if (offset + ITEMS < total)
		turn(v, offset + ITEMS, TEXT_older);
	html_raw(h, "</div></section>");
	page_end(v);
}

void page_quarantine(struct visit *v)
{
	char limit[16], offset[24];
	const char *virus = visit_query(v, "virus");
	const char *path = visit_query(v, "path");

	snprintf(limit, sizeof(limit), "%d", ITEMS);
	snprintf(offset, sizeof(offset), "%lld", (long long)offset_of(v));
	visit_ask(v, "quarantine.list",
		  json_pack("{s:s, s:s, s:s*, s:s*}", "limit", limit, "offset",
			    offset, "virus", *virus ? virus : NULL, "path",
			    *path ? path : NULL));
	visit_then(v, show);
}

/* ---- one item ---- */

static void show_item(struct visit *v)
{
	static const struct column all[] = {
		{"id", TEXT_number, CELL_TEXT, NULL},
		{"time", TEXT_time, CELL_TIME, NULL},
		{"path", TEXT_file, CELL_PATH, NULL},
		{"size", TEXT_size, CELL_SIZE, NULL},
		{"sealed", TEXT_sealed_size, CELL_SIZE, NULL},
		{"sha256", TEXT_sha256, CELL_PATH, NULL},
		{"mode", TEXT_file_mode, CELL_TEXT, NULL},
		{"uid", TEXT_file_owner, CELL_TEXT, NULL},
		{"gid", TEXT_file_group, CELL_TEXT, NULL},
		{"mtime", TEXT_file_changed, CELL_TIME, NULL},
		{"source", TEXT_source, CELL_TEXT, NULL},
		{"program", TEXT_type_executable, CELL_PATH, NULL},
		{"pid", TEXT_process, CELL_TEXT, NULL},
		{"opener_uid", TEXT_opener, CELL_TEXT, NULL},
		{"detail", TEXT_details, CELL_PATH, NULL},
	};
	json_t *item = visit_data(v, "quarantine.show");
	struct html *h = &v->html;
	char id[24];

	if (!item) {
		visit_failed(v, 404, visit_error(v, "quarantine.show"));
		return;
	}
	snprintf(id, sizeof(id), "%lld", (long long)json_number(item, "id"));
	page_begin(v, TEXT_quarantine_item, "/quarantine");
	html_addf(h, "<section class=\"card\"><h2>%s</h2>",
		  json_text(item, "virus"));
	pairs_draw(v, item, all, (int)(sizeof(all) / sizeof(*all)));
	if (v->role >= VERB_ADMIN) {
		part_form(v, "/quarantine/restore", "row");
		part_hidden(v, "id", id);
		part_field(v, TEXT_restore_to, "text", "to", "", TEXTS);
		part_check(v, TEXT_restore_force, "force", false);
		part_button(&v->html, "", TEXT_restore);
		part_form_end(&v->html);
		part_action(v, "/quarantine/delete", "danger", TEXT_delete,
			    "id", id);
	}
	html_raw(h, "</section>");
	page_end(v);
}

void page_quarantine_item(struct visit *v)
{
	visit_ask(v, "quarantine.show",
		  json_pack("{s:s}", "id", visit_query(v, "id")));
	visit_then(v, show_item);
}
