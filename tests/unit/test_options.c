/* Options: what a script may write, and the whole message when it does not fit. */
#include "net_helper.h"

#include <math.h>
#include <string.h>

#include "perilune/plugin.h"

typedef struct thing {
    int64_t units, flag, mode, size[2], shape[7], shape_count;
    double rate;
    const char *word;
} thing;

static const char *const MODES[] = {"valid", "same", NULL};
static const pln_option OPTIONS[] = {
    {.name = "units",
     .help = "how many",
     .type = PLN_INT,
     .flags = PLN_REQUIRED,
     .offset = offsetof(thing, units),
     .lo = 1,
     .hi = 1e9},
    {.name = "rate",
     .help = "a part",
     .type = PLN_REAL,
     .flags = PLN_LIVE | PLN_OPEN_HI,
     .offset = offsetof(thing, rate),
     .dflt = 0.25,
     .lo = 0,
     .hi = 1},
    {.name = "flag", .help = "whether", .type = PLN_BOOL, .offset = offsetof(thing, flag), .dflt = 1},
    {.name = "mode", .help = "which", .type = PLN_CHOICE, .offset = offsetof(thing, mode), .dflt = 1, .choices = MODES},
    {.name = "size",
     .help = "how large",
     .type = PLN_INTS,
     .flags = PLN_SPREAD,
     .offset = offsetof(thing, size),
     .max_count = 2,
     .dflt = 1,
     .lo = 1,
     .hi = 100},
    {.name = "shape",
     .help = "dimensions",
     .type = PLN_INTS,
     .flags = PLN_POSITIONAL,
     .offset = offsetof(thing, shape),
     .max_count = 7,
     .count_offset = offsetof(thing, shape_count)},
    {.name = "word", .help = "a text", .type = PLN_TEXT, .offset = offsetof(thing, word), .dflt_text = "so"},
};
static const plugin_head HEAD = {.size = sizeof(plugin_head),
                                 .kind = PLN_LAYER,
                                 .id = "test",
                                 .name = "Thing",
                                 .help = "",
                                 .noptions = 7,
                                 .options = OPTIONS,
                                 .option_stride = sizeof(pln_option),
                                 .opts_size = sizeof(thing)};

static void defaults_fill_what_is_not_given(void **state)
{
    (void)state;
    options o;
    DONE(options_make(&HEAD, (const option_value[]){INTEGER("units", 5)}, 1, NULL, &o, &why));
    const thing *t = o.bytes;
    assert_true(t->units == 5 && t->rate == 0.25 && t->flag == 1 && t->mode == 1 && t->size[0] == 1 && t->size[1] == 1);
    assert_true(t->shape_count == 0);
    assert_string_equal(t->word, "so");
    options_free(&o);
}

static void values_of_every_type_are_taken(void **state)
{
    (void)state;
    options o;
    const option_value v[] = {REAL("units", 7.0),
                              INTEGER("rate", 0),
                              LIST("size", 3, 4),
                              LIST(NULL, 28, 28, 1),
                              TEXT("mode", "valid"),
                              TEXT("word", "other"),
                              {.name = "flag", .kind = VALUE_BOOL, .integer = 0}};
    DONE(options_make(&HEAD, v, 7, NULL, &o, &why));
    const thing *t = o.bytes;
    assert_true(t->units == 7 && t->rate == 0 && t->flag == 0 && t->mode == 0 && t->size[0] == 3 && t->size[1] == 4);
    assert_true(t->shape_count == 3 && t->shape[0] == 28 && t->shape[2] == 1);
    assert_string_equal(t->word, "other");
    json_t *j = options_json(&HEAD, o.bytes);
    char *s = json_dumps(j, JSON_COMPACT);
    assert_string_equal(
        s, "{\"units\":7,\"rate\":0.0,\"flag\":false,\"mode\":\"valid\",\"size\":[3,4],\"shape\":[28,28,1],"
           "\"word\":\"other\"}");
    free(s);
    json_decref(j);
    options_free(&o);
}

typedef struct refusal {
    option_value given;
    const char *message;
} refusal;

static void what_does_not_fit_is_said_in_full(void **state)
{
    (void)state;
    const refusal cases[] = {
        {INTEGER("units", 0), "Thing: option 'units' must be an integer of at least 1, not 0"},
        {REAL("units", 2.5), "Thing: option 'units' must be an integer of at least 1, not 2.5"},
        {TEXT("units", "ten"), "Thing: option 'units' must be an integer of at least 1, not \"ten\""},
        {REAL("units", 1e30), "Thing: option 'units' must be an integer of at least 1, not 1e+30"},
        {REAL("rate", NAN), "Thing: option 'rate' must be a number from 0 to 1 (excluded), not NaN"},
        {REAL("rate", INFINITY), "Thing: option 'rate' must be a number from 0 to 1 (excluded), not infinity"},
        {INTEGER("rate", 1), "Thing: option 'rate' must be a number from 0 to 1 (excluded), not 1"},
        {INTEGER("flag", 1), "Thing: option 'flag' must be true or false, not 1"},
        {TEXT("mode", "vaild"),
         "Thing: option 'mode' must be one of \"valid\", \"same\", not \"vaild\" (did you mean \"valid\"?)"},
        {LIST("size", 1, 2, 3), "Thing: option 'size' must be an integer or 2 integers from 1 to 100, not {1, 2, 3}"},
        {LIST("size", 1, 0), "Thing: option 'size' must be an integer or 2 integers from 1 to 100, not {1, 0}"},
        {LIST("shape", 1, 2, 3, 4, 5, 6, 7, 8),
         "Thing: option 'shape' must be a list of at most 7 integers, not {1, 2, 3, 4, 5, 6, 7, 8}"},
        {{.name = "word", .kind = VALUE_OTHER, .text = "a function"},
         "Thing: option 'word' must be a string, not a function"},
        {INTEGER("unit", 3), "Thing: unknown option 'unit' (did you mean 'units'?)"},
        {INTEGER("xyzzy", 3),
         "Thing: unknown option 'xyzzy'; it has units, rate, flag, mode, size, shape, word, extra"},
    };
    const char *const extra[] = {"extra", NULL};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        options o;
        const option_value v[] = {cases[i].given, INTEGER("units", 1)};
        int both = strcmp(cases[i].given.name, "units") != 0;
        assert_int_equal(options_make(&HEAD, v, 1 + both, extra, &o, &why), PLN_E_INVALID);
        assert_string_equal(why.text, cases[i].message);
    }
}

static void a_missing_option_is_named_with_its_meaning(void **state)
{
    (void)state;
    options o;
    assert_int_equal(options_make(&HEAD, NULL, 0, NULL, &o, &why), PLN_E_INVALID);
    assert_string_equal(why.text, "Thing: option 'units' is missing; it must be an integer of at least 1 (how many)");
}

static void an_option_given_twice_is_refused(void **state)
{
    (void)state;
    options o;
    const option_value v[] = {INTEGER("units", 1), LIST(NULL, 2), LIST("shape", 3)};
    assert_int_equal(options_make(&HEAD, v, 3, NULL, &o, &why), PLN_E_INVALID);
    assert_string_equal(why.text, "Thing: option 'shape' is given twice, by name and by position");
}

static void only_live_options_change_later(void **state)
{
    (void)state;
    options o;
    DONE(options_make(&HEAD, (const option_value[]){INTEGER("units", 5)}, 1, NULL, &o, &why));
    const option_value rate = REAL("rate", 0.5), units = INTEGER("units", 6), wrong = REAL("rate", 2);
    DONE(options_set(&HEAD, &o, &rate, &why));
    assert_true(((thing *)o.bytes)->rate == 0.5);
    assert_int_equal(options_set(&HEAD, &o, &units, &why), PLN_E_INVALID);
    assert_string_equal(why.text, "Thing: option 'units' cannot be changed during training");
    assert_int_equal(options_set(&HEAD, &o, &wrong, &why), PLN_E_INVALID);
    assert_true(((thing *)o.bytes)->rate == 0.5);
    options_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_what_is_not_given),
        cmocka_unit_test(values_of_every_type_are_taken),
        cmocka_unit_test(what_does_not_fit_is_said_in_full),
        cmocka_unit_test(a_missing_option_is_named_with_its_meaning),
        cmocka_unit_test(an_option_given_twice_is_refused),
        cmocka_unit_test(only_live_options_change_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
