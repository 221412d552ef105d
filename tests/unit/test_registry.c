/* The registry: finds, loads once, refuses with a sentence what is no plugin of ours. */
#include "net_helper.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static registry *plugins;

static int begin(void **state)
{
    (void)state;
    plugins = plugins_of_this_build();
    return 0;
}

static int end(void **state)
{
    (void)state;
    registry_free(plugins);
    return 0;
}

static void a_type_is_found_by_the_index_and_loaded_once(void **state)
{
    (void)state;
    const plugin_entry *a, *b;
    int before = registry_count(plugins);
    DONE(registry_find(plugins, PLN_LAYER, "Dense", &a, &why));
    assert_true(registry_count(plugins) > before && registry_count(plugins) < before + 4);
    DONE(registry_find(plugins, PLN_LAYER, "Dense", &b, &why));
    assert_ptr_equal(a, b);
    assert_string_equal(a->head->name, "Dense");
}

static void a_name_belongs_to_its_kind(void **state)
{
    (void)state;
    const plugin_entry *e;
    assert_int_equal(registry_find(plugins, PLN_OPTIMIZER, "Dense", &e, &why), PLN_E_MISSING);
    assert_int_equal(registry_find(plugins, PLN_OPTIMIZER, "Adams", &e, &why), PLN_E_MISSING);
    assert_string_equal(why.text, "unknown optimizer 'Adams' (did you mean 'Adam'?)");
    assert_int_equal(registry_find(plugins, PLN_LAYER, "Transmogrifier", &e, &why), PLN_E_MISSING);
    assert_non_null(strstr(why.text, "no plugin of that name in "));
}

static void every_built_in_loads(void **state)
{
    (void)state;
    registry *r = plugins_of_this_build();
    DONE(registry_load_all(r, NULL, NULL, &why));
    const char **names = registry_names(r, PLN_LAYER);
    int n = 0, found = 0;
    for (; names[n]; n++) {
        const plugin_entry *e;
        DONE(registry_find(r, PLN_LAYER, names[n], &e, &why));
        found++;
    }
    assert_true(found == n && n >= 20);
    free(names);
    registry_free(r);
}

typedef struct fault {
    const char *file, *message;
} fault;

static void a_bad_plugin_is_refused_with_a_sentence(void **state)
{
    (void)state;
    const fault faults[] = {
        {"bad_magic.so", "not a Perilune plugin: magic 0x0BADC0DE, expected 0x314E4C50"},
        {"bad_version.so", "built for version 1 of plugin.h, this program has version 0; build it again"},
        {"bad_size.so", "descriptor 1 (layer) has size 16, expected at least"},
        {"bad_kind.so", "descriptor 1 has the unknown kind 99"},
        {"bad_name.so", "'two words' is no type name"},
        {"bad_option.so", "option 'outside' lies outside the options struct of 8 bytes"},
        {"bad_choice.so", "option 'far': its default is no index into its choices"},
        {"bad_initializer.so", "option 'many': PLN_INITIALIZER belongs to options of type PLN_TEXT"},
        {"bad_count.so", "option 'list' lies outside the options struct of 8 bytes"},
        {"bad_function.so", "the function 'plan' is NULL"},
        {"bad_empty.so", "lacks id, version or descriptors"},
        {"bad_symbol.so", "it exports no symbol 'perilune_plugin'"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", BAD_FOLDER, faults[i].file);
        assert_int_equal(registry_load(plugins, path, &why), PLN_E_FORMAT);
        if (!strstr(why.text, faults[i].message) || !strstr(why.text, faults[i].file))
            fail_msg("%s: %s", faults[i].file, why.text);
    }
}

static void a_file_that_is_no_library_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/perilune-plugin-XXXXXX";
    int fd = mkstemp(path);
    assert_true(write(fd, "hello", 5) == 5);
    close(fd);
    assert_int_equal(registry_load(plugins, path, &why), PLN_E_FORMAT);
    assert_non_null(strstr(why.text, "cannot be loaded"));
    unlink(path);
    assert_int_equal(registry_load(plugins, path, &why), PLN_E_IO);
}

/* Loads a plugin of the bad folder alone and applies its layer. */
static int apply_good(const char *file)
{
    registry *r;
    char path[512];
    snprintf(path, sizeof path, "%s/%s", BAD_FOLDER, file);
    DONE(registry_open(PLUGIN_FOLDER, &r, &why));
    DONE(registry_load(r, path, &why));
    model *m = new_model(r);
    value at = {-1, 0}, out[MODEL_PORTS];
    layer *l;
    CHAIN(m, &at, "Input", LIST(NULL, 4));
    DONE(layer_make(r, "Good", NULL, 0, "x.lua:5", &l, &why));
    int status = model_apply(m, l, &at, 1, out, NULL, &why);
    layer_free(l);
    model_free(m);
    registry_free(r);
    return status;
}

static void a_plan_that_declares_nonsense_is_refused_at_the_line(void **state)
{
    (void)state;
    DONE(apply_good("bad_good.so"));
    assert_int_equal(apply_good("bad_slot.so"), PLN_E_INVALID);
    assert_string_equal(why.text,
                        "x.lua:5: Good: slot 1 (no name) is wrong: an output's first dimension must be PLN_BATCH");
    assert_int_equal(apply_good("bad_index.so"), PLN_E_INVALID);
    assert_non_null(strstr(why.text, "slot 1 means input 5; there are 1"));
    assert_int_equal(apply_good("bad_view.so"), PLN_E_INVALID);
    assert_non_null(strstr(why.text, "a view must have as many elements as its input"));
    assert_int_equal(apply_good("bad_silent.so"), PLN_E_INVALID);
    assert_non_null(strstr(why.text, "did not say why"));
}

static void a_folder_without_an_index_is_searched_by_file_name(void **state)
{
    (void)state;
    char folder[] = "/tmp/perilune-plugins-XXXXXX", link[128], target[512], other[128];
    registry *r;
    const plugin_entry *e;
    assert_non_null(mkdtemp(folder));
    snprintf(link, sizeof link, "%s/good.so", folder);
    snprintf(other, sizeof other, "%s/broken.so", folder);
    snprintf(target, sizeof target, "%s/bad_good.so", BAD_FOLDER);
    assert_int_equal(symlink(target, link), 0);
    snprintf(target, sizeof target, "%s/bad_magic.so", BAD_FOLDER);
    assert_int_equal(symlink(target, other), 0);
    DONE(registry_open(folder, &r, &why));
    DONE(registry_find(r, PLN_LAYER, "Good", &e, &why));
    assert_string_equal(e->path, link);
    registry_free(r);
    /* Under another name it is found by looking into every file; the broken one is passed over. */
    char renamed[128];
    snprintf(renamed, sizeof renamed, "%s/zzz.so", folder);
    assert_int_equal(rename(link, renamed), 0);
    DONE(registry_open(folder, &r, &why));
    DONE(registry_find(r, PLN_LAYER, "Good", &e, &why));
    registry_free(r);
    unlink(renamed);
    unlink(other);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_type_is_found_by_the_index_and_loaded_once),
        cmocka_unit_test(a_name_belongs_to_its_kind),
        cmocka_unit_test(every_built_in_loads),
        cmocka_unit_test(a_bad_plugin_is_refused_with_a_sentence),
        cmocka_unit_test(a_file_that_is_no_library_is_refused),
        cmocka_unit_test(a_plan_that_declares_nonsense_is_refused_at_the_line),
        cmocka_unit_test(a_folder_without_an_index_is_searched_by_file_name),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
