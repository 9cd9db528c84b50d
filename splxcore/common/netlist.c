/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include "netlist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/fdutil.h"
#include "lib/log.h"
#include "lib/str.h"
#include "patternset.h"

#define WORD_MAX 64

/* ---- the text ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The end of a line, or of what counts in it. */
static bool is_over(const char *p, const char *end)
{
	return p == end || *p == '#' || *p == ';';
}

static int add_word(const char *word, size_t len, struct addrset *set,
		    struct err *err)
{
	char text[WORD_MAX], shown[WORD_MAX * 4];
	struct netaddr net;

	if (len >= sizeof(text) || memchr(word, '\0', len))
		return err_set(err, 0,
			       "no address: an address or network is allowed, "
			       "such as 192.0.2.0/24 or 2001:db8::/32");
	memcpy(text, word, len);
	text[len] = '\0';
	if (netaddr_parse(text, &net, NULL) < 0) {
		log_escape(shown, sizeof(shown), text);
		return err_set(err, 0,
			       "%s: an address or network is allowed, such as "
			       "192.0.2.0/24 or 2001:db8::/32",
			       shown);
	}
	if (net.bits < NETLIST_BITS_MIN)
		return err_set(err, 0,
			       "%s: at least %d bits are wanted; what is "
			       "nearly everything is no list",
			       text, NETLIST_BITS_MIN);
	addrset_add(set, &net);
	return 0;
}

static int take_line(const char *p, const char *end, struct addrset *set,
		     struct err *err)
{
	const char *word;
	size_t len;

	if (end - p > NETLIST_LINE_MAX)
		return err_set(err, 0, "at most %d characters are a line",
			       NETLIST_LINE_MAX);
	while (p < end && is_blank(*p))
		p++;
	if (is_over(p, end))
		return 0;
	word = p;
	while (!is_over(p, end) && !is_blank(*p))
		p++;
	len = (size_t)(p - word);
	while (p < end && is_blank(*p))
		p++;
	if (!is_over(p, end))
		return err_set(err, 0,
			       "one address or network is allowed in a line");
	return add_word(word, len, set, err);
}

int netlist_parse(const char *text, size_t len, const char *name,
		  struct addrset *set, struct err *err)
{
	const char *end = text + len;
	unsigned long line = 0;

	for (const char *p = text; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		line++;
		if (!eol)
			eol = end;
		if (take_line(p, eol, set, err) < 0)
			return err_add(err, "%s:%lu", name, line);
		p = eol == end ? end : eol + 1;
	}
	return 0;
}

bool netlist_name(const char *file, char name_r[NET_NAME_MAX + 1])
{
	const char *dot = strrchr(file, '.');
	size_t len = dot ? (size_t)(dot - file) : 0;

	if (!len || len > NET_NAME_MAX || strcasecmp(dot + 1, NETLIST_KIND))
		return false;
	memcpy(name_r, file, len);
	name_r[len] = '\0';
	return true;
}

/* ---- those of a set ---- */

int netlists_find(const struct netlists *lists, const char *name)
{
	for (size_t i = 0; i < lists->len; i++)
		if (strcmp(lists->items[i].name, name) == 0)
			return (int)i;
	return -1;
}

static struct netlist *list_for(struct netlists *lists, const char *name)
{
	int at = netlists_find(lists, name);
	struct netlist list = {0};

	if (at >= 0)
		return &lists->items[at];
	if (lists->len >= NETLISTS_MAX)
		return NULL;
	str_copy(list.name, sizeof(list.name), name);
	list.set = addrset_new();
	vec_push(lists, list);
	return &lists->items[lists->len - 1];
}

static int read_file(const char *dir, const struct manifest_file *f,
		     struct addrset *set, struct err *err)
{
	char *path = xasprintf("%s/%s", dir, f->name), *text;
	size_t len;
	int rc;

	rc = fd_read_file(path, NETLIST_FILE_MAX, &text, &len, err);
	if (rc == 0) {
		rc = netlist_parse(text, len, f->name, set, err);
		free(text);
	}
	free(path);
	return rc;
}

static int add_file(struct netlists *lists, const char *dir,
		    const struct patternset_part *p,
		    const struct manifest_file *f, const char *name,
		    struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct netlist_source source = {.version = p->m.version,
					.created = p->m.created};
	struct netlist *list = list_for(lists, name);
	int rc;

	if (fd < 0)
		rc = err_set(err, errno, "%s", dir);
	else if (!list)
		rc = err_set(err, 0, "%s: more than %d lists", f->name,
			     NETLISTS_MAX);
	else if (manifest_check_file(f, fd, err) < 0)
		rc = err_add(err, "%s", dir);
	else
		rc = read_file(dir, f, list->set, err);
	fd_close(&fd);
	if (rc == 0) {
		source.part = xstrdup(p->m.name);
		vec_push(&list->sources, source);
	}
	return rc;
}

static int add_part(struct netlists *lists, const char *dir,
		    const struct patternset_part *p, struct err *err)
{
	char *path = xasprintf("%s/%s", dir, p->m.name);
	const struct manifest_file *f;
	char name[NET_NAME_MAX + 1];
	int rc = 0;

	vec_each (f, &p->m)
		if (rc == 0 && netlist_name(f->name, name))
			rc = add_file(lists, path, p, f, name, err);
	free(path);
	return rc;
}

static int add_set(struct netlists *lists, const char *dir,
		   const struct patternset *set, struct err *err)
{
	const struct patternset_part *p;
	struct netlist *list;
	int rc = 0;

	vec_each (p, set)
		if (rc == 0)
			rc = add_part(lists, dir, p, err);
	vec_each (list, lists)
		addrset_seal(list->set);
	if (rc < 0)
		netlists_free(lists);
	else
		lists->number = set->number;
	return rc;
}

int netlists_load_dir(const char *dir, struct netlists *lists_r,
		      struct err *err)
{
	struct patternset set;
	int rc;

	memset(lists_r, 0, sizeof(*lists_r));
	if (patternset_read_dir(dir, &set, err) < 0)
		return -1;
	rc = add_set(lists_r, dir, &set, err);
	patternset_free(&set);
	return rc;
}

static int load_number(struct netlists *lists, const struct patternset *set,
		       struct err *err)
{
	/* By its number: `current` may come to mean another one. */
	char *dir = patternset_path(set->number, NULL);
	int rc = add_set(lists, dir, set, err);

	free(dir);
	return rc;
}

/* The newest set before that one whose lists are sound. */
static bool load_former(struct netlists *lists, uint64_t number)
{
	struct patternset_list all;
	bool found = false;

	patternset_list(&all, NULL);
	for (size_t i = all.len; i-- > 0 && !found;)
		found = (!number || all.items[i].number < number) &&
			load_number(lists, &all.items[i], NULL) == 0;
	patternset_list_free(&all);
	return found;
}

int netlists_load(struct netlists *lists_r, struct err *err)
{
	struct patternset set;
	struct err why = {0};
	int rc = patternset_current(&set, &why);

	memset(lists_r, 0, sizeof(*lists_r));
	if (rc == 0)
		return 0;
	if (rc > 0 && load_number(lists_r, &set, &why) == 0) {
		patternset_free(&set);
		return 0;
	}
	rc = load_former(lists_r, rc > 0 ? set.number : 0) ? 0 : -1;
	if (rc == 0)
		lists_r->fault = xasprintf(
			"the lists of set %llu serve instead of the current "
			"ones: %s",
			(unsigned long long)lists_r->number, why.text);
	else if (err)
		*err = why;
	patternset_free(&set);
	return rc;
}

void netlists_free(struct netlists *lists)
{
	struct netlist_source *s;
	struct netlist *list;

	vec_each (list, lists) {
		vec_each (s, &list->sources)
			free(s->part);
		vec_free(&list->sources);
		addrset_free(&list->set);
	}
	vec_free(lists);
	xfree(&lists->fault);
	lists->number = 0;
}
