/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#ifndef SPLX_HTTPD_PAGE_H
#define SPLX_HTTPD_PAGE_H

#include "visit.h"

/* What the pages share. */

/* From the doctype to where the page's own content begins. path: which entry
 * of the navigation it is. */
void page_begin(struct visit *v, enum text title, const char *path);
/* Its end, and the answer. */
void page_end(struct visit *v);

enum text page_error_text(int status);
/* A page that says what is wrong; message, in English, may be NULL. */
void page_error(struct visit *v, int status, const char *message);

/* A small picture of ours (icons.c), hidden from those who hear the page. */
void page_icon(struct html *h, const char *name);
/* What was done or went wrong before, above the content. */
void page_notes(struct visit *v);
/* <input type="hidden"> with the page's CSRF token. */
void page_csrf(struct visit *v);

/* Where an asset lies, with its version: it may be kept for ever. */
const char *asset_url(const char *name);

/* Members of an answer: "" and 0 where there are none. */
const char *json_text(json_t *object, const char *name);
int64_t json_number(json_t *object, const char *name);

/* The handlers of routes.def. */
#define ROUTE(method, path, access, body_max, handle)                          \
	void handle(struct visit *v);
#include "routes.def"
#undef ROUTE

#endif
