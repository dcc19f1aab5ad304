#include "bad.h"

#include "config/yaml.h"

static void what_is_no_plain_yaml_is_rejected(void **state)
{
	static const struct bad cases[] = {
		{ NULL, "", "1:1: the file has no content" },
		{ NULL, "# nothing\n", "1:1: the file has no content" },
		{ NULL, "a: [1\n",
		  "2:1: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 1)" },
		{ NULL, "a: b: c\n", "1:5: not valid YAML: mapping values are not allowed in this context" },
		{ NULL, "a: &x 1\n", "1:4: anchors (&) and aliases (*) have no place here; quote the text if it is meant as such" },
		{ NULL, "a: *x\n", "1:4: anchors (&) and aliases (*) have no place here; quote the text if it is meant as such" },
		{ NULL, "a: !!str 1\n", "1:4: tags (!) have no place here; quote the text if it is meant as such" },
		{ NULL, "a: !x [1]\n", "1:4: tags (!) have no place here; quote the text if it is meant as such" },
		{ NULL, "a: &x {}\n", "1:4: anchors (&) and aliases (*) have no place here; quote the text if it is meant as such" },
		{ NULL, "a: &x []\n", "1:4: anchors (&) and aliases (*) have no place here; quote the text if it is meant as such" },
		{ NULL, "a: 1\n---\na: 2\n", "2:1: a second document has no place here" },
		{ NULL, "a: 1\na: 2\n", "2:1: key 'a' is repeated; it stands in line 1 already" },
		{ NULL, "{ [1]: 2 }\n", "1:3: a key must be a single word, not a list or mapping" },
		{ NULL, "{ {a: 1}: 2 }\n", "1:3: a key must be a single word, not a list or mapping" },
		{ NULL, "a: \"x\\0y\"\n", "1:4: a NUL byte has no place here" },
		{ NULL, "a: \200\n", "1:4: not valid YAML: invalid leading UTF-8 octet" },
		{ NULL, "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]\n", "1:17: nested deeper than 16 levels" },
		{ NULL, "a: |\n  -----BEGIN EC PRIVATE KEY-----\n  MHcCAQEE\n",
		  "1:4: this looks like a PEM block; keys and certificates are never values: give the path of a file that holds it" },
		{ NULL, "\ta: 1\n",
		  "1:1: not valid YAML: found character that cannot start any token (while scanning for the next token that begins in line 1)" },
	};

	(void)state;
	expect_errors(cases, COUNT(cases));
}

static const struct yaml_node *read_tree(const char *text, struct arena *arena)
{
	const struct yaml_node *root = NULL;
	struct error err = { 0 };

	if (!yaml_tree_read("t.yaml", text, strlen(text), arena, &root, &err))
		fail_msg("%s", err.text);
	return root;
}

static void nodes_know_their_place_in_characters(void **state)
{
	struct arena arena = { 0 };
	const struct yaml_node *root = read_tree("a: 1\r\n\"é\": { b: [x, 'y'] }\r\n", &arena);
	const struct yaml_node *list = yaml_tree_nearest(root, "é.b");

	(void)state;
	assert_int_equal(root->n, 2);
	assert_true(root->first->plain);
	assert_int_equal(list->kind, YAML_KIND_LIST);
	assert_int_equal(list->line, 2);
	assert_int_equal(list->column, 11);
	assert_string_equal(yaml_tree_element(list, 1)->text, "y");
	assert_false(yaml_tree_element(list, 1)->plain);
	assert_int_equal(yaml_tree_element(list, 1)->column, 15);
	arena_free(&arena);
}

static void a_path_is_followed_as_far_as_it_exists(void **state)
{
	struct arena arena = { 0 };
	const struct yaml_node *root = read_tree("a: { b: 1 }\n", &arena);

	(void)state;
	assert_ptr_equal(yaml_tree_nearest(root, "x.y"), root);
	assert_string_equal(yaml_tree_nearest(root, "a.b.c")->text, "1");
	assert_null(yaml_tree_entry(yaml_tree_nearest(root, "a.b"), "c"));
	arena_free(&arena);
}

static void a_byte_order_mark_and_16_levels_are_fine(void **state)
{
	struct arena arena = { 0 };

	(void)state;
	assert_int_equal(read_tree("\xef\xbb\xbf"
				   "a: 1\n",
				   &arena)
				 ->kind,
			 YAML_KIND_MAPPING);
	assert_int_equal(read_tree("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", &arena)->kind, YAML_KIND_LIST);
	arena_free(&arena);
}

static void a_bad_byte_is_found_in_its_line(void **state)
{
	(void)state;
	expect_error(NULL, "a: 1\nb: 2\nc: x\377\n", "3:5: not valid YAML: invalid leading UTF-8 octet");
}

static void a_file_over_a_mebibyte_is_not_read(void **state)
{
	scoped_free char *text = bad_repeat("# ", "0123456789abcdef", 65536, "\n");
	struct config *config = NULL;
	struct error err = { 0 };

	(void)state;
	assert_false(bad_read(text, &config, &err));
	assert_int_equal(err.code, ERROR_CONFIG);
	assert_string_equal(err.text, "t.yaml: larger than 1048576 bytes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_plain_yaml_is_rejected),      cmocka_unit_test(nodes_know_their_place_in_characters),
		cmocka_unit_test(a_path_is_followed_as_far_as_it_exists), cmocka_unit_test(a_byte_order_mark_and_16_levels_are_fine),
		cmocka_unit_test(a_bad_byte_is_found_in_its_line),        cmocka_unit_test(a_file_over_a_mebibyte_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
