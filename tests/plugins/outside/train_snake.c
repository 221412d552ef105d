/* The engine's side of outside.sh: trains with the layer Snake, which is no built-in and lies in a folder that
 * PERILUNE_PLUGINS names, and leaves the files that perilune.h's example asks for in the current folder. */
#include "../chapter_cnn.h"

#include <math.h>
#include <string.h>

#include "net/weights.h"
#include "picture/png.h"

static registry *plugins;

static int begin(void **state)
{
    (void)state;
    DONE(registry_open(NULL, &plugins, &why));
    return 0;
}

static int end(void **state)
{
    (void)state;
    registry_free(plugins);
    return 0;
}

static model *snake_net(void)
{
    model *m = new_model(plugins);
    value at = {-1, 0};
    CHAIN(m, &at, "Input", LIST(NULL, 28, 28, 1));
    CHAIN(m, &at, "Conv2D", INTEGER("filters", 4), INTEGER("kernel_size", 3), INTEGER("strides", 2));
    CHAIN(m, &at, "Snake", REAL("a", 1.5));
    chain(m, &at, "Flatten", NULL, 0);
    CHAIN(m, &at, "Dense", INTEGER("units", 24), TEXT("activation", "snake"));
    CHAIN(m, &at, "Dense", INTEGER("units", 10), TEXT("activation", "softmax"));
    finish_model(m, at, 3);
    return m;
}

/* Trains an epoch at so many lanes. */
static model *trained(int count, char hex[HASH_HEX])
{
    dataset *set = chapter_data();
    model *m = snake_net();
    recipe r = classification(plugins);
    lanes *pool;
    trainer *t;
    fit_options o = {
        .train = set, .validation = set, .epochs = 2, .batch_size = CHAPTER_BATCH, .seed = 1, .shuffle = 1};
    DONE(lanes_open(count, &pool, &why));
    DONE(trainer_open(m, &r, &o, pool, &t, &why));
    trainer_event e = train_all(t);
    assert_true(isfinite(e.loss) && e.val_loss < 2.25); /* log(10) is 2.30 */
    trainer_digest(t, hex);
    trainer_free(t);
    recipe_free(&r);
    lanes_close(pool);
    free_quarters(set);
    return m;
}

static void a_plugin_from_outside_trains_as_layer_and_as_activation(void **state)
{
    (void)state;
    char one[HASH_HEX], three[HASH_HEX];
    model_free(trained(1, one));
    model *m = trained(3, three);
    assert_string_equal(one, three);
    DONE(model_save(m, "mnist-cnn.safetensors", NULL, &why));
    model_free(m);
}

static void an_option_out_of_bounds_is_refused_in_its_words(void **state)
{
    (void)state;
    layer *l;
    assert_int_equal(layer_make(plugins, "Snake", &REAL("a", -1), 1, "here.lua:7", &l, &why), PLN_E_INVALID);
    assert_non_null(strstr(why.text, "Snake"));
    assert_non_null(strstr(why.text, "'a'"));
}

/* Black on white: a bar, and a slanted leg. */
static void a_seven_is_drawn(void **state)
{
    (void)state;
    picture p;
    DONE(picture_make(60, 80, 1, &p, &why));
    for (int y = 0; y < 80; y++)
        for (int x = 0; x < 60; x++) {
            int bar = y >= 12 && y < 20 && x >= 12 && x < 46;
            int leg = y >= 12 && y < 68 && x >= 44 - y / 3 && x < 52 - y / 3;
            p.pixels[y * 60 + x] = bar || leg ? 0 : 255;
        }
    DONE(picture_write("seven.png", &p, &why));
    picture_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plugin_from_outside_trains_as_layer_and_as_activation),
        cmocka_unit_test(an_option_out_of_bounds_is_refused_in_its_words),
        cmocka_unit_test(a_seven_is_drawn),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
