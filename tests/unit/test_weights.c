/* Weights files: round trip, and every lie that a header can tell. */
#include "net_helper.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/weights.h"

static registry *plugins;
static char path[64];

static int begin(void **state)
{
    (void)state;
    plugins = plugins_of_this_build();
    snprintf(path, sizeof path, "/tmp/perilune-weights-%ld", (long)getpid());
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(path);
    registry_free(plugins);
    return 0;
}

static void a_saved_model_loads_to_the_same_bits(void **state)
{
    (void)state;
    model *a = small_cnn(plugins, 3), *b;
    const char *const classes[] = {"nw", "ne", "sw", "se"};
    DONE(model_set_classes(a, classes, 4, &why));
    json_t *extra = json_pack("{s:s}", "note", "数字");
    DONE(model_save(a, path, extra, &why));
    DONE(model_load(plugins, path, &b, &why));
    assert_int_equal(b->nweights, a->nweights);
    assert_memory_equal(a->weights, b->weights, (size_t)a->nweights * sizeof(float));
    assert_int_equal(b->nclasses, 4);
    assert_string_equal(b->classes[3], "se");
    weights_file *f;
    DONE(weights_open(path, &f, &why));
    assert_string_equal(weights_metadata(f, "note"), "数字");
    assert_int_equal((int)((uintptr_t)weights_find(f, "dense/kernel")->data % 4), 0);
    weights_close(f);
    json_decref(extra);
    model_free(a);
    model_free(b);
}

static void weights_of_another_shape_are_refused(void **state)
{
    (void)state;
    model *a = small_cnn(plugins, 3), *m = new_model(plugins);
    value at = {-1, 0};
    CHAIN(m, &at, "Input", LIST(NULL, 6));
    CHAIN(m, &at, "Dense", INTEGER("units", 2));
    finish_model(m, at, 1);
    DONE(model_save(a, path, NULL, &why));
    assert_int_equal(model_load_weights(m, path, &why), PLN_E_FORMAT);
    assert_non_null(strstr(why.text, "tensor 'dense/kernel' has shape (144, 32), the model wants (6, 2)"));
    model_free(a);
    model_free(m);
}

/* Writes a file with this header and so many bytes of data. */
static void write_file(uint64_t length, const char *header, int data)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(&length, 8, 1, f);
    fputs(header, f);
    for (int i = 0; i < data; i++)
        fputc(0, f);
    fclose(f);
}

typedef struct lie {
    const char *header;
    int data;
    const char *message;
} lie;

static void every_lie_of_a_header_is_caught(void **state)
{
    (void)state;
    const lie lies[] = {
        {"{", 0, "its header is no JSON object"},
        {"[1]", 0, "its header is no JSON object"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "outside the file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
         "needs 8 bytes by its shape, its offsets give 4"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "no proper shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]}}", 8, "no proper shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, "no proper shape"},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8,
         "dtype 'F64', which this program does not read"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8,
         "overlaps another one or leaves a hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8,
         "4 bytes at the end belong to no tensor"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[0,4]}}",
         4, "overlaps another one or leaves a hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "outside the file"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[\"0\",4]}}", 4, "outside the file"},
        {"{\"a\":7}", 0, "dtype '(none)'"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "no proper shape"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]},\"a\":{}}", 1, "its header is no JSON object"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        weights_file *f;
        write_file(strlen(lies[i].header), lies[i].header, lies[i].data);
        assert_int_equal(weights_open(path, &f, &why), PLN_E_FORMAT);
        if (!strstr(why.text, lies[i].message))
            fail_msg("%s: %s", lies[i].header, why.text);
    }
}

static void a_header_longer_than_the_file_is_caught(void **state)
{
    (void)state;
    weights_file *f;
    write_file(1u << 30, "{}", 0);
    assert_int_equal(weights_open(path, &f, &why), PLN_E_FORMAT);
    assert_non_null(strstr(why.text, "its header claims 1073741824 bytes, the file has 10"));
    write_file(UINT64_MAX, "{}", 0);
    assert_int_equal(weights_open(path, &f, &why), PLN_E_FORMAT);
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    model *a = small_cnn(plugins, 3), *b;
    DONE(model_save(a, path, NULL, &why));
    FILE *f = fopen(path, "rb");
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    fclose(f);
    for (long cut = size - 1; cut >= 0; cut -= 1 + size / 97) {
        assert_int_equal(truncate(path, cut), 0);
        assert_int_equal(model_load(plugins, path, &b, &why), PLN_E_FORMAT);
    }
    model_free(a);
}

static void a_missing_file_and_folder_are_named(void **state)
{
    (void)state;
    model *a = small_cnn(plugins, 3), *b;
    assert_int_equal(model_load(plugins, "/nowhere/x.safetensors", &b, &why), PLN_E_IO);
    assert_string_equal(why.text, "cannot open the weights file /nowhere/x.safetensors: No such file or directory");
    assert_int_equal(model_save(a, "/nowhere/x.safetensors", NULL, &why), PLN_E_IO);
    assert_string_equal(why.text, "cannot write /nowhere/x.safetensors: No such file or directory");
    model_free(a);
}

static void a_model_whose_plugin_is_missing_says_which(void **state)
{
    (void)state;
    model *m;
    json_t *j = json_loads(
        "{\"format\":1,\"layers\":[{\"name\":\"s\",\"type\":\"Snake\",\"plugin\":\"org.you.snake\",\"version\":3,"
        "\"options\":{}}],\"uses\":[],\"outputs\":[]}",
        0, NULL);
    assert_int_equal(model_from_json(plugins, j, &m, &why), PLN_E_MISSING);
    assert_non_null(strstr(why.text, "needs the layer 'Snake' of the plugin 'org.you.snake', version 3"));
    json_decref(j);
}

static void options_left_at_their_defaults_survive_a_file(void **state)
{
    (void)state;
    model *m = new_model(plugins), *back;
    value at = {-1, 0};
    CHAIN(m, &at, "Input", LIST(NULL, 4, 4, 1));
    chain(m, &at, "ZeroPadding2D", NULL, 0);
    chain(m, &at, "MaxPooling2D", NULL, 0);
    chain(m, &at, "ReLU", NULL, 0);
    finish_model(m, at, 1);
    DONE(model_save(m, path, NULL, &why));
    DONE(model_load(plugins, path, &back, &why));
    assert_int_equal(back->nnodes, m->nnodes);
    model_free(m);
    model_free(back);
}

static void names_that_are_no_utf8_are_refused_at_once(void **state)
{
    (void)state;
    model *m = small_cnn(plugins, 1);
    layer *l;
    const char *const classes[] = {"a", "b\xe9", "c"};
    assert_int_equal(model_set_classes(m, classes, 3, &why), PLN_E_INVALID);
    assert_string_equal(why.text, "the name of class 1 is not UTF-8");
    const option_value v[] = {INTEGER("units", 1), TEXT("name", "caf\xe9")};
    assert_int_equal(layer_make(plugins, "Dense", v, 2, "x.lua:1", &l, &why), PLN_E_INVALID);
    assert_string_equal(why.text, "x.lua:1: Dense: option 'name' must be UTF-8");
    model_free(m);
}

static void an_empty_tensor_may_share_its_place(void **state)
{
    (void)state;
    weights_file *f;
    const char *header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                         "\"b\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    write_file(strlen(header), header, 4);
    DONE(weights_open(path, &f, &why));
    assert_int_equal(weights_count(f), 2);
    weights_close(f);
}

static void damaged_architectures_are_refused(void **state)
{
    (void)state;
    const char *const bad[] = {
        "{}",
        "{\"format\":2}",
        "{\"format\":1,\"layers\":[{}],\"uses\":[],\"outputs\":[]}",
        "{\"format\":1,\"layers\":[],\"uses\":[{\"layer\":0,\"in\":[]}],\"outputs\":[]}",
        "{\"format\":1,\"layers\":[],\"uses\":[],\"outputs\":[[0,0]]}",
        "{\"format\":1,\"layers\":[],\"uses\":[],\"outputs\":[]}",
        "{\"format\":1,\"layers\":7,\"uses\":\"x\",\"outputs\":{}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        model *m;
        json_t *j = json_loads(bad[i], 0, NULL);
        assert_non_null(j);
        assert_int_not_equal(model_from_json(plugins, j, &m, &why), PLN_OK);
        json_decref(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_saved_model_loads_to_the_same_bits),
        cmocka_unit_test(weights_of_another_shape_are_refused),
        cmocka_unit_test(every_lie_of_a_header_is_caught),
        cmocka_unit_test(a_header_longer_than_the_file_is_caught),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_missing_file_and_folder_are_named),
        cmocka_unit_test(a_model_whose_plugin_is_missing_says_which),
        cmocka_unit_test(options_left_at_their_defaults_survive_a_file),
        cmocka_unit_test(names_that_are_no_utf8_are_refused_at_once),
        cmocka_unit_test(an_empty_tensor_may_share_its_place),
        cmocka_unit_test(damaged_architectures_are_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
