/* The same digit, drawn in every way people draw, must come out as nearly the same 28 x 28 picture; and what is no
 * digit must not come out at all. The digits are drawn here, from a few strokes in a unit square. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "picture/normalise.h"

#define CELLS (NORMALISE_FRAME * NORMALISE_FRAME)

/* ---- drawing --------------------------------------------------------------------------------------------------- */

typedef struct point {
    double x, y;
} point;

typedef struct glyph {
    const char *name;
    int count;
    point at[24];
} glyph;

/* In a square of 1 x 1. */
static const glyph glyphs[] = {
    {"one", 2, {{0.5, 0.1}, {0.5, 0.9}}},
    {"slanted one", 3, {{0.4, 0.25}, {0.6, 0.1}, {0.45, 0.9}}},
    {"seven", 3, {{0.25, 0.12}, {0.75, 0.12}, {0.4, 0.9}}},
    {"four", 5, {{0.6, 0.9}, {0.6, 0.1}, {0.25, 0.6}, {0.25, 0.62}, {0.78, 0.62}}},
    {"zero",
     17,
     {{0.50, 0.10},
      {0.61, 0.13},
      {0.71, 0.22},
      {0.77, 0.35},
      {0.80, 0.50},
      {0.77, 0.65},
      {0.71, 0.78},
      {0.61, 0.87},
      {0.50, 0.90},
      {0.39, 0.87},
      {0.29, 0.78},
      {0.23, 0.65},
      {0.20, 0.50},
      {0.23, 0.35},
      {0.29, 0.22},
      {0.39, 0.13},
      {0.50, 0.10}}},
};

#define GLYPHS ((int)(sizeof glyphs / sizeof *glyphs))

static double to_segment(point p, point a, point b)
{
    double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    double t = length > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / length : 0;
    t = fmin(fmax(t, 0), 1);
    return hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

/* Where and how a glyph is drawn.  The square's side is `size` pixels, its corner at (left, top). */
typedef struct drawn {
    int width, height;
    double left, top, size, stroke; /* stroke: share of the square */
} drawn;

/* Ink of a pixel, 0 .. 1, with soft edges one pixel wide. */
static double ink_at(const glyph *g, const drawn *d, int x, int y)
{
    point p = {(x + 0.5 - d->left) / d->size, (y + 0.5 - d->top) / d->size};
    double near = 1e9;
    for (int i = 0; i + 1 < g->count; i++)
        near = fmin(near, to_segment(p, g->at[i], g->at[i + 1]));
    return fmin(fmax((d->stroke / 2 - near) * d->size + 0.5, 0), 1);
}

static picture paint(const glyph *g, const drawn *d, int paper, int ink)
{
    picture p;
    assert_int_equal(picture_make(d->width, d->height, 1, &p, NULL), PLN_E_OK);
    for (int y = 0; y < d->height; y++)
        for (int x = 0; x < d->width; x++)
            p.pixels[y * d->width + x] = (uint8_t)lround(paper + (ink - paper) * ink_at(g, d, x, y));
    return p;
}

/* A square sheet with the digit in its middle. */
static drawn sheet(double size)
{
    int side = (int)ceil(size * 1.4);
    return (drawn){side, side, (side - size) / 2, (side - size) / 2, size, 0.11};
}

static void read_digit(const picture *p, uint8_t out[CELLS], normalise_report *r)
{
    error e = {0};
    int status = normalise_digit(p, NORMALISE_BOX, NORMALISE_FRAME, out, r, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(status, PLN_E_OK);
}

static void reference(int glyph_number, uint8_t out[CELLS])
{
    drawn d = sheet(100);
    picture p = paint(&glyphs[glyph_number], &d, 255, 0);
    read_digit(&p, out, NULL);
    picture_free(&p);
}

/* Mean absolute difference of b from a moved by (dx, dy).  A digit against none gives 25 and more. */
static double difference_moved(const uint8_t a[CELLS], const uint8_t b[CELLS], int dx, int dy)
{
    double sum = 0;
    for (int y = 0; y < NORMALISE_FRAME; y++)
        for (int x = 0; x < NORMALISE_FRAME; x++) {
            int u = x - dx, v = y - dy, inside = u >= 0 && v >= 0 && u < NORMALISE_FRAME && v < NORMALISE_FRAME;
            sum += abs((inside ? a[v * NORMALISE_FRAME + u] : 0) - b[y * NORMALISE_FRAME + x]);
        }
    return sum / CELLS;
}

/* Centring is by whole pixels, so that a hair's difference may tip a digit over to the next one: the least of 9
 * places. */
static double difference(const uint8_t a[CELLS], const uint8_t b[CELLS])
{
    double least = 1e9;
    for (int n = 0; n < 9; n++)
        least = fmin(least, difference_moved(a, b, n % 3 - 1, n / 3 - 1));
    return least;
}

static point mass(const uint8_t a[CELLS])
{
    double sum = 0, x = 0, y = 0;
    for (int i = 0; i < CELLS; i++) {
        sum += a[i];
        x += a[i] * (i % NORMALISE_FRAME);
        y += a[i] * (i / NORMALISE_FRAME);
    }
    return (point){x / sum, y / sum};
}

static void looks_like(const picture *p, const glyph *g, const uint8_t want[CELLS], double bound, const char *how)
{
    uint8_t got[CELLS];
    read_digit(p, got, NULL);
    double d = difference(got, want);
    if (d > bound)
        fail_msg("%s, %s: differs by %.2f, more than %.2f", g->name, how, d, bound);
    point m = mass(got);
    assert_true(m.x >= 13.45 && m.x < 14.55 && m.y >= 13.45 && m.y < 14.55);
}

/* ---- the same digit -------------------------------------------------------------------------------------------- */

static void a_digit_is_twenty_pixels_long_bright_and_centred(void **state)
{
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t a[CELLS];
        int first = -1, last = -1, peak = 0, left = 99, right = -1;
        reference(i, a);
        for (int n = 0; n < CELLS; n++) {
            peak = a[n] > peak ? a[n] : peak;
            if (!a[n])
                continue;
            first = first < 0 ? n / NORMALISE_FRAME : first;
            last = n / NORMALISE_FRAME;
            left = n % NORMALISE_FRAME < left ? n % NORMALISE_FRAME : left;
            right = n % NORMALISE_FRAME > right ? n % NORMALISE_FRAME : right;
        }
        assert_int_equal(last - first + 1, 20);
        assert_true(right - left + 1 < 20);
        assert_int_equal(peak, 255);
        point m = mass(a);
        assert_true(m.x >= 13.5 && m.x < 14.5 && m.y >= 13.5 && m.y < 14.5);
    }
}

static void size_does_not_matter(void **state)
{
    static const double sizes[] = {14, 20, 28, 40, 56, 90, 150, 280, 400, 800};
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t want[CELLS];
        reference(i, want);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            drawn d = sheet(sizes[s]);
            char how[40];
            snprintf(how, sizeof how, "size %.0f", sizes[s]);
            picture p = paint(&glyphs[i], &d, 255, 0);
            looks_like(&p, &glyphs[i], want, sizes[s] < 18 ? 12 : sizes[s] < 50 ? 8 : 2, how);
            picture_free(&p);
        }
    }
}

static void place_does_not_matter(void **state)
{
    static const double places[][2] = {{-14, -4}, {324, -4}, {-14, 304}, {324, 304}, {-14, 130}, {150, 40.5}};
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t want[CELLS];
        reference(i, want);
        for (int n = 0; n < 6; n++) {
            drawn d = {420, 400, places[n][0], places[n][1], 100, 0.11};
            char how[40];
            snprintf(how, sizeof how, "place %d", n);
            picture p = paint(&glyphs[i], &d, 250, 20);
            looks_like(&p, &glyphs[i], want, 1, how);
            picture_free(&p);
        }
    }
}

static void a_small_digit_on_a_large_sheet_is_read_in_full_detail(void **state)
{
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t want[CELLS], got[CELLS];
        normalise_report r;
        drawn d = {1800, 1300, 1200, 900, 100, 0.11};
        picture p = paint(&glyphs[i], &d, 255, 0);
        reference(i, want);
        looks_like(&p, &glyphs[i], want, 0.5, "in a large picture");
        read_digit(&p, got, &r);
        assert_true(r.left > 1200 && r.left + r.width < 1300 && r.top > 900 && r.top + r.height < 1000);
        assert_true(r.height >= 89 && r.height <= 95);
        picture_free(&p);
    }
}

static void polarity_and_contrast_do_not_matter(void **state)
{
    static const int tones[][2] = {{255, 0}, {0, 255}, {200, 120}, {90, 150}, {30, 0}, {128, 255}, {240, 205}};
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t want[CELLS], got[CELLS];
        normalise_report r;
        reference(i, want);
        for (int n = 0; n < 7; n++) {
            drawn d = sheet(100);
            char how[40];
            snprintf(how, sizeof how, "%d on %d", tones[n][1], tones[n][0]);
            picture p = paint(&glyphs[i], &d, tones[n][0], tones[n][1]);
            looks_like(&p, &glyphs[i], want, 0.5, how);
            read_digit(&p, got, &r);
            assert_int_equal(r.light, tones[n][1] > tones[n][0]);
            assert_int_equal(lroundf(r.paper), tones[n][0]);
            assert_int_equal(lroundf(r.contrast), abs(tones[n][1] - tones[n][0]));
            picture_free(&p);
        }
    }
}

static void colours_do_not_matter_even_where_luma_hides_them(void **state)
{
    static const uint8_t colours[][2][3] = {{{255, 255, 255}, {255, 240, 0}},  /* yellow on white */
                                            {{0, 0, 0}, {0, 0, 180}},          /* blue on black */
                                            {{200, 60, 60}, {60, 131, 60}},    /* green on red of the same luma */
                                            {{255, 255, 255}, {20, 40, 120}}}; /* blue ink on white */
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t want[CELLS];
        reference(i, want);
        for (int n = 0; n < 4; n++) {
            drawn d = sheet(100);
            picture p;
            assert_int_equal(picture_make(d.width, d.height, 3, &p, NULL), PLN_E_OK);
            for (int at = 0; at < d.width * d.height; at++)
                for (int c = 0; c < 3; c++) {
                    double v = ink_at(&glyphs[i], &d, at % d.width, at / d.width);
                    p.pixels[3 * at + c] =
                        (uint8_t)lround(colours[n][0][c] + v * (colours[n][1][c] - colours[n][0][c]));
                }
            looks_like(&p, &glyphs[i], want, 0.5, "in colour");
            picture_free(&p);
        }
    }
}

/* RGBA: the digit as alpha in one colour; or black on a white card with transparent surroundings. */
static picture paint_alpha(const glyph *g, int card, uint8_t colour)
{
    drawn d = sheet(100);
    picture p;
    assert_int_equal(picture_make(d.width, d.height, 4, &p, NULL), PLN_E_OK);
    for (int y = 0; y < d.height; y++)
        for (int x = 0; x < d.width; x++) {
            uint8_t *to = p.pixels + 4 * (y * d.width + x);
            double v = ink_at(g, &d, x, y);
            int inside = x > 8 && y > 8 && x < d.width - 9 && y < d.height - 9;
            to[0] = to[1] = to[2] = card ? (uint8_t)lround(255 * (1 - v)) : colour;
            to[3] = card ? (inside ? 255 : 0) : (uint8_t)lround(255 * v);
        }
    return p;
}

static void a_transparent_ground_is_no_paper(void **state)
{
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t want[CELLS], got[CELLS];
        normalise_report r;
        reference(i, want);
        for (int n = 0; n < 4; n++) {
            static const uint8_t colours[] = {0, 255, 128, 0};
            picture p = paint_alpha(&glyphs[i], n == 3, colours[n]);
            looks_like(&p, &glyphs[i], want, 0.5, n == 3 ? "on a card" : "on a transparent ground");
            read_digit(&p, got, &r);
            assert_int_equal(r.transparent, n != 3);
            picture_free(&p);
        }
    }
}

static void an_opaque_alpha_channel_changes_nothing(void **state)
{
    (void)state;
    uint8_t want[CELLS];
    drawn d = sheet(100);
    picture p = paint(&glyphs[2], &d, 255, 0), q;
    reference(2, want);
    for (int channels = 2; channels <= 4; channels++) {
        assert_int_equal(picture_convert(&p, channels, 0, &q, NULL), PLN_E_OK);
        looks_like(&q, &glyphs[2], want, 0.6, "with opaque alpha");
        picture_free(&q);
    }
    picture_free(&p);
}

static void noise_and_specks_are_cleaned_away(void **state)
{
    random_key key = random_key_make(7, RANDOM_DIGITS, "noise");
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t want[CELLS];
        drawn d = sheet(180);
        picture p = paint(&glyphs[i], &d, 225, 40);
        int n = d.width * d.height;
        float *noise = malloc((size_t)n * sizeof *noise);
        assert_non_null(noise);
        random_fill_normal(key, (uint64_t)i, 0, (uint64_t)n, noise);
        for (int at = 0; at < n; at++)
            p.pixels[at] = (uint8_t)fmin(fmax(p.pixels[at] + 12 * noise[at], 0), 255);
        for (int s = 0; s < 60; s++) { /* black specks of 2 x 2 */
            int x = (int)(random_double(key, 100 + (uint64_t)i, (uint64_t)(2 * s)) * (d.width - 2));
            int y = (int)(random_double(key, 100 + (uint64_t)i, (uint64_t)(2 * s + 1)) * (d.height - 2));
            for (int k = 0; k < 4; k++)
                p.pixels[(y + k / 2) * d.width + x + k % 2] = 30;
        }
        reference(i, want);
        looks_like(&p, &glyphs[i], want, 3, "noisy");
        free(noise);
        picture_free(&p);
    }
}

static void a_thin_line_on_a_large_sheet_becomes_as_wide_as_a_pen(void **state)
{
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t got[CELLS];
        normalise_report r;
        drawn d = {500, 500, 50, 50, 400, 2.0 / 400};
        picture p = paint(&glyphs[i], &d, 255, 0);
        read_digit(&p, got, &r);
        assert_int_equal(r.widened, 1);
        assert_true(r.stroke < 0.3f);
        int sum = 0;
        for (int n = 0; n < CELLS; n++)
            sum += got[n] > 127;
        assert_true(sum >= 36); /* 20 long, about 2 wide */
        picture_free(&p);
    }
}

static void a_normalised_digit_stays_as_it_is(void **state)
{
    (void)state;
    for (int i = 0; i < GLYPHS; i++) {
        uint8_t once[CELLS], twice[CELLS];
        reference(i, once);
        picture p = {NORMALISE_FRAME, NORMALISE_FRAME, 1, once};
        read_digit(&p, twice, NULL);
        if (difference(once, twice) > 0.6)
            fail_msg("%s differs by %.2f from itself", glyphs[i].name, difference(once, twice));
    }
}

static void the_frame_is_what_the_net_wants(void **state)
{
    static const int sizes[][2] = {{20, 28}, {24, 32}, {8, 8}, {1, 1}, {60, 64}, {200, 224}};
    drawn d = sheet(100);
    picture p = paint(&glyphs[3], &d, 255, 0);
    (void)state;
    for (int n = 0; n < 6; n++) {
        int frame = sizes[n][1], rows = 0, columns = 0;
        uint8_t *out = malloc((size_t)(frame * frame));
        assert_non_null(out);
        assert_int_equal(normalise_digit(&p, sizes[n][0], frame, out, NULL, NULL), PLN_E_OK);
        for (int y = 0; y < frame; y++) {
            int row = 0, column = 0;
            for (int x = 0; x < frame; x++) {
                row |= out[y * frame + x];
                column |= out[x * frame + y];
            }
            rows += row != 0;
            columns += column != 0;
        }
        assert_int_equal(rows > columns ? rows : columns, sizes[n][0]);
        free(out);
    }
    error e;
    uint8_t one[1];
    assert_int_equal(normalise_digit(&p, 29, 28, one, NULL, &e), PLN_E_INVALID);
    assert_non_null(strstr(e.text, "a box of 29 pixels in a frame of 28"));
    assert_int_equal(normalise_digit(&p, 0, 28, one, NULL, &e), PLN_E_INVALID);
    assert_int_equal(normalise_digit(&p, 20, 5000, one, NULL, &e), PLN_E_INVALID);
    picture_free(&p);
}

/* ---- no digit -------------------------------------------------------------------------------------------------- */

static void holds_no_digit(const picture *p, const char *what)
{
    uint8_t out[CELLS];
    error e = {0};
    memset(out, 77, sizeof out);
    int status = normalise_digit(p, NORMALISE_BOX, NORMALISE_FRAME, out, NULL, &e);
    if (status != PLN_E_EMPTY)
        fail_msg("%s (%d x %d x %d): a digit was found (%s)", what, (int)p->width, (int)p->height, p->channels, e.text);
    assert_int_equal(strncmp(e.text, "no digit found: ", 16), 0);
    for (int i = 0; i < CELLS; i++)
        assert_int_equal(out[i], 77);
}

static void a_blank_picture_holds_no_digit(void **state)
{
    static const int sizes[][2] = {{1, 1}, {2, 2}, {28, 28}, {1, 500}, {640, 480}, {1500, 900}};
    static const uint8_t tones[] = {0, 128, 255};
    (void)state;
    for (int s = 0; s < 6; s++)
        for (int channels = 1; channels <= 4; channels++)
            for (int t = 0; t < 3; t++) {
                picture p;
                assert_int_equal(picture_make(sizes[s][0], sizes[s][1], channels, &p, NULL), PLN_E_OK);
                memset(p.pixels, tones[t], (size_t)(p.width * p.height * channels));
                if (channels % 2 == 0 && t != 0) /* a sheet of one colour, opaque */
                    for (int64_t i = channels - 1; i < p.width * p.height * channels; i += channels)
                        p.pixels[i] = 255;
                holds_no_digit(&p, "blank");
                picture_free(&p);
            }
}

static void noise_alone_holds_no_digit(void **state)
{
    static const int sizes[][2] = {{28, 28}, {100, 80}, {400, 400}, {700, 500}, {1100, 600}};
    (void)state;
    for (int seed = 0; seed < 3; seed++)
        for (int s = 0; s < 5; s++)
            for (int sort = 0; sort < 5; sort++) {
                random_key key = random_key_make((uint64_t)seed, RANDOM_DIGITS, "paper");
                picture p;
                assert_int_equal(picture_make(sizes[s][0], sizes[s][1], 1, &p, NULL), PLN_E_OK);
                int n = sizes[s][0] * sizes[s][1];
                float *noise = malloc((size_t)n * sizeof *noise);
                assert_non_null(noise);
                if (sort < 2)
                    random_fill_normal(key, (uint64_t)sort, 0, (uint64_t)n, noise);
                else
                    random_fill_uniform(key, (uint64_t)sort, 0, (uint64_t)n, noise);
                for (int at = 0; at < n; at++) {
                    double values[] = {200 + 8 * noise[at], 128 + 50 * noise[at], 255 * noise[at],
                                       noise[at] < 0.01f ? 0 : 255, noise[at] < 0.12f ? 255 : 0};
                    p.pixels[at] = (uint8_t)fmin(fmax(values[sort], 0), 255);
                }
                char what[60];
                snprintf(what, sizeof what, "noise of sort %d, seed %d", sort, seed);
                holds_no_digit(&p, what);
                free(noise);
                picture_free(&p);
            }
}

static void dust_and_even_patterns_hold_no_digit(void **state)
{
    random_key key = random_key_make(3, RANDOM_DIGITS, "dust");
    picture p;
    (void)state;
    assert_int_equal(picture_make(200, 200, 1, &p, NULL), PLN_E_OK);
    for (int s = 0; s < 80; s++) {
        int x = (int)(random_double(key, 0, (uint64_t)s) * 198), y = (int)(random_double(key, 1, (uint64_t)s) * 198);
        for (int k = 0; k < 4; k++)
            p.pixels[(y + k / 2) * 200 + x + k % 2] = 255;
    }
    holds_no_digit(&p, "dust");
    for (int at = 0; at < 200 * 200; at++)
        p.pixels[at] = (uint8_t)(at % 200 / 10 % 2 == at / 2000 % 2 && at % 20 < 8 ? 255 : 0); /* rectangles */
    holds_no_digit(&p, "a pattern");
    memset(p.pixels, 255, 200 * 200);
    p.pixels[100 * 200 + 100] = 0;
    holds_no_digit(&p, "a single point");
    picture_free(&p);
    assert_int_equal(normalise_digit(&p, 20, 28, (uint8_t[CELLS]){0}, NULL, NULL), PLN_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digit_is_twenty_pixels_long_bright_and_centred),
        cmocka_unit_test(size_does_not_matter),
        cmocka_unit_test(place_does_not_matter),
        cmocka_unit_test(a_small_digit_on_a_large_sheet_is_read_in_full_detail),
        cmocka_unit_test(polarity_and_contrast_do_not_matter),
        cmocka_unit_test(colours_do_not_matter_even_where_luma_hides_them),
        cmocka_unit_test(a_transparent_ground_is_no_paper),
        cmocka_unit_test(an_opaque_alpha_channel_changes_nothing),
        cmocka_unit_test(noise_and_specks_are_cleaned_away),
        cmocka_unit_test(a_thin_line_on_a_large_sheet_becomes_as_wide_as_a_pen),
        cmocka_unit_test(a_normalised_digit_stays_as_it_is),
        cmocka_unit_test(the_frame_is_what_the_net_wants),
        cmocka_unit_test(a_blank_picture_holds_no_digit),
        cmocka_unit_test(noise_alone_holds_no_digit),
        cmocka_unit_test(dust_and_even_patterns_hold_no_digit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
