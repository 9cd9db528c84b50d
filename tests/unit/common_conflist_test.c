/* SPDX-License-Identifier: GPL-2.0-only WITH cryptsetup-OpenSSL-exception */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conflist.h"
#include "common/paths.h"
#include "lib/alloc.h"
#include "lib/fdutil.h"

static struct conflist *list;

static int teardown(void **state)
{
	conflist_free(&list);
	return 0;
}

static void read_text(const char *text)
{
	conflist_free(&list);
	list = conflist_parse(text, "f");
}

/* The one problem there is. */
static const char *problem(void)
{
	assert_int_equal(list->problems.len, 1);
	return list->problems.items[0].text;
}

static void an_entry_is_read_with_all_it_says(void **state)
{
	const struct conflist_entry *e;

	read_text("# a comment\n\n"
		  "[abc, abc-two]  # names\n"
		  "Product = \"ABC \\\"the\\\" \\\\ Scanner\"  # more\n"
		  "Module = abc_hook*, abc?\n"
		  "\tRestartsItself=when it likes to # a comment\n"
		  "Text = \"# is no comment in here\"\n"
		  "[two]\nProduct = Two Words\nRestartsItself = no\n");
	assert_int_equal(list->problems.len, 0);
	assert_int_equal(list->entries.len, 2);
	e = &list->entries.items[0];
	assert_int_equal(e->services.len, 2);
	assert_string_equal(e->services.items[1], "abc-two");
	assert_string_equal(e->product, "ABC \"the\" \\ Scanner");
	assert_int_equal(e->modules.len, 2);
	assert_string_equal(e->restarts, "when it likes to");
	assert_string_equal(e->text, "# is no comment in here");
	assert_int_equal(e->line, 3);
	e = &list->entries.items[1];
	assert_string_equal(e->product, "Two Words");
	assert_null(e->restarts);
	assert_null(e->text);
}

static void services_and_modules_are_found(void **state)
{
	read_text("[a b]\nProduct=A\nModule = abc-hook* rv?\n"
		  "[c]\nProduct=C\n");
	assert_ptr_equal(conflist_service(list, "b"), &list->entries.items[0]);
	assert_ptr_equal(conflist_service(list, "c"), &list->entries.items[1]);
	assert_null(conflist_service(list, "abc"));
	assert_non_null(conflist_module(list, "abc_hook_two"));
	assert_non_null(conflist_module(list, "rv1"));
	assert_null(conflist_module(list, "rv12"));
	assert_null(conflist_module(list, ""));
	assert_true(conflist_same_module("a-b_c", "a_b-c"));
	assert_false(conflist_same_module("a", "b"));
}

static void a_wrong_entry_voids_itself_alone_and_is_told(void **state)
{
	static const struct {
		const char *entry;
		const char *said;
	} wrong[] = {
		{"[b]\nProdct = x\n", "f:4: Prodct: no such key; did you mean "
				      "Product?"},
		{"[b]\nColour = x\n", "f:4: Colour: no such key; allowed"},
		{"[b]\n", "f:3: the entry has no Product"},
		{"[b\nProduct = x\n", "f:3: an entry begins with [NAME ...]"},
		{"[b] c\nProduct = x\n", "f:3: an entry begins with"},
		{"[]\nProduct = x\n", "f:3: the name of a service is missing"},
		{"[../b]\nProduct = x\n", "f:3: ../b: is no name of a service"},
		{"[-b]\nProduct = x\n", "f:3: -b: is no name"},
		{"[b]\nProduct = \"x\n", "f:4: the text has to end with"},
		{"[b]\nProduct = \"x\" y\n", "f:4: the text has to end with"},
		{"[b]\nProduct = x\nProduct = y\n", "f:5: Product: stands "
						    "twice"},
		{"[b]\nProduct =\n", "f:4: Product: a value is missing"},
		{"[b]\nProduct = x\nModule = a/b\n", "f:5: a/b: is no name of "
						     "a kernel module"},
		{"[b]\nProduct\n", "f:4: is no \"Key = value\""},
		{"[b]\nProduct = x\033[2J\n", "f:4: holds a control"},
		{"[a]\nProduct = again\n", "f:3: a: stands twice"},
		{"[b a]\nProduct = again\n", "f:3: a: stands twice"},
	};
	size_t i;

	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		char *text = xasprintf("[a]\nProduct = A\n%s[z]\nProduct = Z\n",
				       wrong[i].entry);

		read_text(text);
		free(text);
		if (list->entries.len != 2 || !conflist_service(list, "z") ||
		    strcmp(conflist_service(list, "a")->product, "A") != 0)
			fail_msg("%s: the others do not hold", wrong[i].entry);
		if (!strstr(problem(), wrong[i].said))
			fail_msg("%s, not %s", problem(), wrong[i].said);
	}
}

static void what_belongs_to_no_entry_is_told(void **state)
{
	read_text("Product = x\n[a]\nProduct = A\n");
	assert_int_equal(list->entries.len, 1);
	assert_non_null(strstr(problem(), "f:1: belongs to no entry"));
}

static void problems_drive_no_terminal(void **state)
{
	read_text("[a\033[31m]\nProduct = A\n");
	assert_null(strchr(problem(), '\033'));
}

static void a_text_that_is_too_long_is_told(void **state)
{
	char *text = xmalloc(CONFLIST_TEXT_MAX + 64);
	int n = sprintf(text, "[a]\nProduct = ");

	memset(text + n, 'x', CONFLIST_TEXT_MAX + 1);
	text[n + CONFLIST_TEXT_MAX + 1] = '\0';
	read_text(text);
	assert_int_equal(list->entries.len, 0);
	assert_non_null(strstr(problem(), "too long"));
	free(text);
}

static void the_shipped_file_is_right_and_says_what_is_known(void **state)
{
	const struct conflist_entry *e;
	char *text;
	size_t len;

	assert_int_equal(fd_read_file("etc/conflicts.conf", CONFLIST_FILE_MAX,
				      &text, &len, NULL),
			 0);
	read_text(text);
	free(text);
	assert_int_equal(list->problems.len, 0);
	assert_int_equal(list->entries.len, 3);
	e = conflist_service(list, "sendmail");
	assert_string_equal(e->product, "InterScan VirusWall");
	assert_null(e->restarts);
	e = conflist_service(list, "ISFtp");
	assert_string_equal(e->product, "InterScan Web Security Suite");
	assert_non_null(e->restarts);
	assert_string_equal(conflist_service(list, "FJSVsvmon")->product,
			    "Fujitsu Interstage");
}

static char root[] = "/tmp/splx-conflist-XXXXXX";

static void without_the_file_nothing_is_known_and_that_is_told(void **state)
{
	struct err err = {0};
	char etc[64];

	assert_non_null(mkdtemp(root));
	paths_init(root);
	conflist_free(&list);
	list = conflist_read();
	assert_int_equal(list->entries.len, 0);
	assert_non_null(strstr(problem(), "no service is known by name"));
	conflist_free(&list);
	assert_int_equal(fd_mkdirs(paths()->conf_dir, 0755, &err), 0);
	assert_int_equal(
		fd_replace_file(paths()->conflicts, "[a]\0b", 5, 0644, &err),
		0);
	list = conflist_read();
	assert_int_equal(list->entries.len, 0);
	assert_non_null(strstr(problem(), "no text"));
	unlink(paths()->conflicts);
	rmdir(paths()->conf_dir);
	snprintf(etc, sizeof(etc), "%s/etc", root);
	assert_int_equal(rmdir(etc), 0);
	assert_int_equal(rmdir(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_read_with_all_it_says),
		cmocka_unit_test(services_and_modules_are_found),
		cmocka_unit_test(a_wrong_entry_voids_itself_alone_and_is_told),
		cmocka_unit_test(what_belongs_to_no_entry_is_told),
		cmocka_unit_test(problems_drive_no_terminal),
		cmocka_unit_test(a_text_that_is_too_long_is_told),
		cmocka_unit_test(
			the_shipped_file_is_right_and_says_what_is_known),
		cmocka_unit_test(
			without_the_file_nothing_is_known_and_that_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}
