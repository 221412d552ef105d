/* What a terminal shows, character by character, in each style. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "picture/view.h"

static const view_style blocks = {1, VIEW_PLAIN, 80}, ascii = {0, VIEW_PLAIN, 80}, shades = {1, VIEW_SHADES, 80},
                        true_colour = {1, VIEW_TRUE, 80};

static void shows(const picture *p, const view_style *style, int trim, const char *want)
{
    text t = {0};
    assert_int_equal(view_picture(p, style, trim, &t, NULL), PLN_E_OK);
    assert_string_equal(t.bytes ? t.bytes : "", want);
    text_free(&t);
}

static void a_picture_is_drawn_in_half_blocks(void **state)
{
    uint8_t pixels[4 * 3] = {0, 255, 0, 255, 0, 0, 255, 255, 95, 96, 0, 200};
    picture p = {4, 3, 1, pixels};
    (void)state;
    shows(&p, &blocks, 0, " ▀▄█\n ▀ ▀\n");
}

static void a_picture_is_drawn_in_ascii_where_there_is_nothing_else(void **state)
{
    uint8_t pixels[5 * 2] = {0, 255, 128, 255, 30, 0, 255, 128, 0, 30};
    picture p = {5, 2, 1, pixels};
    (void)state;
    shows(&p, &ascii, 0, " @++.\n");
}

static void shades_of_gray_are_said_once_until_they_change(void **state)
{
    uint8_t pixels[3 * 2] = {0, 0, 255, 255, 255, 128};
    picture p = {3, 2, 1, pixels};
    (void)state;
    shows(&p, &true_colour, 0,
          "\033[38;2;0;0;0m\033[48;2;255;255;255m▀▀\033[38;2;255;255;255m\033[48;2;128;128;128m▀\033[0m\n");
    shows(&p, &shades, 0, "\033[38;5;16m\033[48;5;231m▀▀\033[38;5;231m\033[48;5;244m▀\033[0m\n");
}

static void empty_lines_around_are_left_out_when_asked(void **state)
{
    uint8_t pixels[2 * 8] = {0};
    picture p = {2, 8, 1, pixels};
    (void)state;
    shows(&p, &blocks, 1, "");
    pixels[2 * 3] = 255;
    shows(&p, &blocks, 1, "▄ \n");
    pixels[2 * 6 + 1] = 255;
    shows(&p, &blocks, 1, "▄ \n  \n ▀\n");
    shows(&p, &blocks, 0, "  \n▄ \n  \n ▀\n");
}

static void a_picture_wider_than_the_terminal_is_made_smaller(void **state)
{
    picture p;
    text t = {0};
    view_style narrow = {1, VIEW_PLAIN, 20};
    (void)state;
    assert_int_equal(picture_make(200, 100, 3, &p, NULL), PLN_E_OK);
    memset(p.pixels, 255, 200 * 100 * 3);
    assert_int_equal(view_picture(&p, &narrow, 0, &t, NULL), PLN_E_OK);
    assert_int_equal(view_width(t.bytes), 20);
    assert_int_equal(t.length, 5 * (20 * strlen("█") + 1));
    text_free(&t);
    picture_free(&p);
    error e;
    assert_int_equal(view_picture(&p, &narrow, 0, &t, &e), PLN_E_INVALID);
}

static void bar(double fraction, int width, const view_style *style, const char *want)
{
    text t = {0};
    view_bar(fraction, width, style, &t);
    assert_string_equal(t.bytes ? t.bytes : "", want);
    text_free(&t);
}

static void a_bar_is_filled_in_eighths(void **state)
{
    (void)state;
    bar(0, 3, &blocks, "   ");
    bar(1e-9, 3, &blocks, "▏  ");
    bar(0.5, 3, &blocks, "█▌ ");
    bar(1, 3, &blocks, "███");
    bar(7, 3, &blocks, "███");
    bar(-1, 3, &blocks, "   ");
    bar(NAN, 3, &blocks, "   ");
    bar(INFINITY, 2, &blocks, "██");
    static const char *const eighths[] = {"▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    for (int i = 0; i < 8; i++)
        bar((i + 1) / 8.0, 1, &blocks, eighths[i]);
    bar(0.5, 4, &ascii, "##  ");
    bar(1e-9, 4, &ascii, "#   ");
    bar(0.5, 0, &blocks, "");
    bar(0.5, -3, &blocks, "");
}

static void bars_name_measure_and_count(void **state)
{
    static const char *const names[] = {"T-shirt", "bag", "été"};
    double values[3] = {0.0213, 0.973, NAN};
    text t = {0};
    view_style bold = {1, VIEW_SHADES, 80};
    (void)state;
    view_bars(NULL, values, 3, 18, &blocks, &t);
    assert_string_equal(t.bytes, "0 ▏          2.1 %\n"
                                 "1 ██████▊   97.3 %\n"
                                 "2            nan %\n");
    text_free(&t);
    view_bars(names, values, 3, 20, &ascii, &t);
    assert_string_equal(t.bytes, "T-shirt #      2.1 %\n"
                                 "bag     ###   97.3 %\n"
                                 "été            nan %\n");
    text_free(&t);
    view_bars(NULL, values, 2, 12, &bold, &t);
    assert_string_equal(t.bytes, "0 ▏    2.1 %\n\033[1m1 █   97.3 %\033[0m\n");
    text_free(&t);
    values[1] = 1;
    view_style narrow = {0, VIEW_PLAIN, 14};
    view_bars(NULL, values, 2, 1000, &narrow, &t);
    assert_string_equal(t.bytes, "0 #      2.1 %\n1 ###  100.0 %\n");
    text_free(&t);
}

static void beside(const char *left, const char *right, int width, const char *want)
{
    view_style style = {1, VIEW_PLAIN, width};
    text t = {0};
    view_side_by_side(left, right, 3, &style, &t);
    assert_string_equal(t.bytes ? t.bytes : "", want);
    text_free(&t);
}

static void blocks_stand_side_by_side_where_there_is_room(void **state)
{
    (void)state;
    beside("▀▀\n█\n", "one\n\nthree\n", 80, "▀▀   one\n█\n     three\n");
    beside("a\nbb\nccc\n", "x", 80, "a     x\nbb\nccc\n");
    beside("\033[38;5;16m▀▀\033[0m\n█\n", "one\ntwo\n", 80, "\033[38;5;16m▀▀\033[0m   one\n█    two\n");
    beside("▀▀\n█\n", "one\n\nthree\n", 10, "▀▀   one\n█\n     three\n");
    beside("▀▀\n█\n", "one\n\nthree\n", 9, "▀▀\n█\none\n\nthree\n");
    beside("", "one", 80, "   one\n");
    beside("", "", 80, "");
}

static void cells_are_counted_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(view_width(""), 0);
    assert_int_equal(view_width("abc\nab"), 3);
    assert_int_equal(view_width("▀▄█▌\n"), 4);
    assert_int_equal(view_width("\033[38;2;1;2;3m▀\033[0m\n"), 1);
    assert_int_equal(view_width("\033["), 0);
}

static void the_environment_decides_the_style(void **state)
{
    int pipes[2];
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    setenv("TERM", "xterm-256color", 1);
    setenv("COLORTERM", "truecolor", 1);
    unsetenv("NO_COLOR");
    unsetenv("LC_ALL");
    unsetenv("LC_CTYPE");
    setenv("LANG", "de_DE.UTF-8", 1);
    setenv("COLUMNS", "132", 1);
    view_style s = view_style_of(pipes[1]);
    assert_int_equal(s.utf8, 1);
    assert_int_equal(s.colour, VIEW_PLAIN); /* a pipe */
    assert_int_equal(s.width, 132);
    setenv("LC_ALL", "C", 1);
    setenv("COLUMNS", "wide", 1);
    s = view_style_of(pipes[1]);
    assert_int_equal(s.utf8, 0);
    assert_int_equal(s.width, 80);
    setenv("LC_ALL", "C.utf8", 1);
    assert_int_equal(view_style_of(pipes[1]).utf8, 1);
    close(pipes[0]);
    close(pipes[1]);
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal))
        skip();
    int fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    assert_int_equal(view_style_of(fd).colour, VIEW_TRUE);
    unsetenv("COLORTERM");
    assert_int_equal(view_style_of(fd).colour, VIEW_SHADES);
    setenv("NO_COLOR", "1", 1);
    assert_int_equal(view_style_of(fd).colour, VIEW_PLAIN);
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    assert_int_equal(view_style_of(fd).colour, VIEW_PLAIN);
    struct winsize size = {.ws_row = 20, .ws_col = 47};
    assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
    assert_int_equal(view_style_of(fd).width, 47);
    close(fd);
    close(terminal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_picture_is_drawn_in_half_blocks),
        cmocka_unit_test(a_picture_is_drawn_in_ascii_where_there_is_nothing_else),
        cmocka_unit_test(shades_of_gray_are_said_once_until_they_change),
        cmocka_unit_test(empty_lines_around_are_left_out_when_asked),
        cmocka_unit_test(a_picture_wider_than_the_terminal_is_made_smaller),
        cmocka_unit_test(a_bar_is_filled_in_eighths),
        cmocka_unit_test(bars_name_measure_and_count),
        cmocka_unit_test(blocks_stand_side_by_side_where_there_is_room),
        cmocka_unit_test(cells_are_counted_not_bytes),
        cmocka_unit_test(the_environment_decides_the_style),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
