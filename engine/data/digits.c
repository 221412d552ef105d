/* The drawn digits: why.
 *
 * A user without a network, and every test, needs data that look like the real thing.  So digits are written by a
 * model of a hand: a way of writing (digits_strokes.c) whose points are displaced as a hand displaces them, a
 * slant, a turn, proportions, a pen of some width and pressure that now and then fails, a sheet that was not flat.
 * What is on the paper is then normalised as MNIST was: fitted into 20x20 pixels keeping its proportions, grey at
 * the edges, the centre of mass in the middle of 28x28.
 *
 * Digit i is a pure function of (seed, i), whatever the count, the lane and the machine: random numbers are
 * counter-based, and the arithmetic is +, -, *, / and sqrtf alone, which IEEE 754 defines to the bit.
 *
 * Units: the pen's points are in digit heights (0 .. 1, y downwards) until fit_line, in pixels of the box from there on.
 */
#include <math.h>
#include <string.h>

#include "base/fpu.h"
#include "base/random.h"
#include "data/digits_strokes.h"
#include "data/pictures.h"
#include "data/sources.h"

#define FIELD       28    /* side of a picture */
#define BOX         20    /* side of the box that the ink is fitted into */
#define CENTRE      14.5f /* where the centre of mass goes: the middle of pixel 14, as in MNIST */
#define SPAN_STEPS  6     /* points of the line between two points of a glyph */
#define LINE_POINTS (STROKE_POINTS * (SPAN_STEPS + 1))
#define DRAWS       320 /* random numbers of a digit; at most */
#define BLOCK       10  /* each block of ten has every digit once */
#define PIECE       250 /* digits of a piece of work */

/* ---------------------------------------------------------------------------------------------- randomness ---- */

_Static_assert(DRAWS >= 100 + 6 * STROKE_POINTS, "four for each point, two for each end, and the writer's habits");

typedef struct draws {
    float u[DRAWS];
    int next;
} draws;

static float uniform(draws *d)
{
    return d->u[d->next++];
}

static float between(draws *d, float lo, float hi)
{
    return lo + (hi - lo) * uniform(d);
}

/* Mean 0, deviation 1, never beyond 2.45: the sum of two uniform numbers. */
static float around(draws *d)
{
    float a = uniform(d);
    return (a + uniform(d) - 1.0f) * 2.4494897f;
}

static int chance(draws *d, float p)
{
    return uniform(d) < p;
}

/* ---------------------------------------------------------------------------------------------------- hand ---- */

/* Where the pen is to pass, and how. */
typedef struct path {
    int n;
    float x[STROKE_POINTS], y[STROKE_POINTS];
    uint8_t pen[STROKE_POINTS];
    int digit;
} path;

/* The line that it draws: points close together, with the pen's radius at each. */
typedef struct line {
    int n;
    float x[LINE_POINTS], y[LINE_POINTS], r[LINE_POINTS];
    uint8_t start[LINE_POINTS]; /* 1: the pen was lifted before this point */
} line;

static const glyph *choose_glyph(int digit, float u)
{
    int total = 0;
    const glyph *last = NULL;
    for (int i = 0; i < glyphs_count; i++)
        total += glyphs[i].digit == digit ? glyphs[i].weight : 0;
    float at = u * (float)total;
    for (int i = 0; i < glyphs_count; i++) {
        if (glyphs[i].digit != digit)
            continue;
        last = &glyphs[i];
        at -= (float)last->weight;
        if (at < 0.0f)
            break;
    }
    return last;
}

/* A mixture of the glyph's poses, nearer to one of them than to the middle of all, with the hand's own displacements:
 * each point's follows the one before it, since a hand does not jump. */
static void write_path(draws *d, int digit, path *p)
{
    const glyph *g = choose_glyph(digit, uniform(d));
    float weight[STROKE_POSES], sum = 0.0f;
    for (int k = 0; k < STROKE_POSES; k++) {
        float u = uniform(d);
        weight[k] = k < g->nposes ? u * u * u + 1e-3f : 0.0f;
        sum += weight[k];
    }
    float unsteady = between(d, 0.010f, 0.055f), dx = around(d), dy = around(d);
    p->n = g->npoints;
    p->digit = digit;
    for (int i = 0; i < p->n; i++) {
        float x = 0.0f, y = 0.0f;
        for (int k = 0; k < g->nposes; k++) {
            x += weight[k] * (float)g->pose[k][i].x;
            y += weight[k] * (float)g->pose[k][i].y;
        }
        dx = 0.6f * dx + 0.8f * around(d);
        dy = 0.6f * dy + 0.8f * around(d);
        p->x[i] = 0.01f * x / sum + unsteady * dx;
        p->y[i] = 0.01f * y / sum + unsteady * dy;
        p->pen[i] = g->pose[0][i].pen;
    }
}

/* Does a stroke begin at point i? */
static int begins(const path *p, int i)
{
    return i == 0 || p->pen[i] == PEN_UP;
}

static int ends(const path *p, int i)
{
    return i == p->n - 1 || p->pen[i + 1] == PEN_UP;
}

/* People begin earlier or later and stop sooner or overshoot: the first and last way of each stroke is made longer or
 * shorter. */
static void vary_ends(draws *d, path *p)
{
    for (int i = 0; i < p->n; i++) {
        int inner = begins(p, i) ? i + 1 : ends(p, i) ? i - 1 : i;
        if (inner == i)
            continue;
        float longer = 0.28f * around(d);
        p->x[i] += longer * (p->x[i] - p->x[inner]);
        p->y[i] += longer * (p->y[i] - p->y[inner]);
    }
}

/* The direction of the line at point i, seen from the span (from, from + 1): Catmull-Rom, and at a corner, as far
 * as the hand makes it sharp, the span's own direction. */
static float tangent(const path *p, const float *at, int i, int from, float sharp)
{
    float own = at[from + 1] - at[from];
    if (begins(p, i) || ends(p, i))
        return own;
    float smooth = 0.5f * (at[i + 1] - at[i - 1]);
    return p->pen[i] == PEN_CORNER ? sharp * own + (1.0f - sharp) * smooth : smooth;
}

static void line_add(line *l, float x, float y, int start)
{
    l->x[l->n] = x;
    l->y[l->n] = y;
    l->start[l->n++] = (uint8_t)start;
}

/* The line through the path's points: cubic Hermite spans. */
static void draw_line(draws *d, const path *p, line *l)
{
    float sharp = between(d, 0.0f, 1.2f);
    if (sharp > 1.0f)
        sharp = 1.0f;
    l->n = 0;
    for (int i = 0; i < p->n; i++) {
        if (begins(p, i))
            line_add(l, p->x[i], p->y[i], 1);
        if (ends(p, i))
            continue;
        float ax = tangent(p, p->x, i, i, sharp), bx = tangent(p, p->x, i + 1, i, sharp);
        float ay = tangent(p, p->y, i, i, sharp), by = tangent(p, p->y, i + 1, i, sharp);
        for (int k = 1; k <= SPAN_STEPS; k++) {
            float t = (float)k / SPAN_STEPS, t2 = t * t, t3 = t2 * t;
            float h0 = 2.0f * t3 - 3.0f * t2 + 1.0f, h1 = t3 - 2.0f * t2 + t, h2 = 3.0f * t2 - 2.0f * t3, h3 = t3 - t2;
            line_add(l, h0 * p->x[i] + h1 * ax + h2 * p->x[i + 1] + h3 * bx,
                     h0 * p->y[i] + h1 * ay + h2 * p->y[i + 1] + h3 * by, 0);
        }
    }
}

/* Slant, turn and proportions of the hand, and a sheet that bends smoothly: x += second-order polynomial of (x, y). */
static void bend_line(draws *d, int digit, line *l)
{
    float slant = 0.15f + (digit == 1 ? 0.30f : 0.26f) * around(d);
    float turn = 0.09f * around(d);
    float wide = 1.0f + 0.20f * around(d);
    float bend[8];
    for (int k = 0; k < 8; k++)
        bend[k] = 0.20f * around(d);
    for (int i = 0; i < l->n; i++) {
        float x = (l->x[i] - 0.5f) * wide, y = l->y[i] - 0.5f;
        float sx = x - slant * y;
        float tx = sx - turn * y, ty = y + turn * sx;
        float xx = tx * tx, xy = tx * ty, yy = ty * ty, yyy = yy * ty;
        l->x[i] = tx + bend[0] * xx + bend[1] * xy + bend[2] * yy + bend[3] * yyy;
        l->y[i] = ty + bend[4] * xx + bend[5] * xy + bend[6] * yy + bend[7] * yyy;
    }
}

/* ----------------------------------------------------------------------------------------------------- pen ---- */

typedef struct pen {
    float radius; /* pixels */
    float soft;   /* pixels from full ink to none at an edge */
} pen;

/* Fits the line into the box, in pixels: the longer side takes all of it, ink included. */
static void fit_line(line *l, float radius)
{
    float x0 = l->x[0], x1 = x0, y0 = l->y[0], y1 = y0;
    for (int i = 1; i < l->n; i++) {
        x0 = l->x[i] < x0 ? l->x[i] : x0;
        x1 = l->x[i] > x1 ? l->x[i] : x1;
        y0 = l->y[i] < y0 ? l->y[i] : y0;
        y1 = l->y[i] > y1 ? l->y[i] : y1;
    }
    float side = x1 - x0 > y1 - y0 ? x1 - x0 : y1 - y0;
    float scale = (BOX - 2.0f * radius) / (side > 1e-3f ? side : 1e-3f);
    float left = 0.5f * (BOX - scale * (x1 - x0)), top = 0.5f * (BOX - scale * (y1 - y0));
    for (int i = 0; i < l->n; i++) {
        l->x[i] = left + scale * (l->x[i] - x0);
        l->y[i] = top + scale * (l->y[i] - y0);
    }
}

/* The pen's radius along the line: pressure that swells and ebbs, a nib that is wider in one direction, thin
 * beginnings and ends, and sometimes a gap. */
static void press_pen(draws *d, line *l, float radius)
{
    float swell = 0.12f * around(d), ebb = 0.12f * around(d), nib = 0.18f * around(d), taper = between(d, 0.0f, 0.5f);
    float gap = chance(d, 0.03f) ? uniform(d) * (float)l->n : -100.0f, gap_width = between(d, 1.0f, 3.0f);
    float nx = around(d), ny = around(d), length = sqrtf(nx * nx + ny * ny) + 1e-3f;
    nx /= length;
    ny /= length;
    for (int i = 0; i < l->n; i++) {
        int from = l->start[i] ? i : i - 1, to = from + 1 < l->n ? from + 1 : from;
        float dx = l->x[to] - l->x[from], dy = l->y[to] - l->y[from], step = sqrtf(dx * dx + dy * dy) + 1e-3f;
        float along = (nx * dx + ny * dy) / step;
        float t = 2.0f * (float)i / (float)l->n - 1.0f;
        int edge = l->start[i] || i == l->n - 1 || l->start[i + 1];
        float r = 1.0f + swell * t + ebb * (t * t - 0.33f) + nib * (along * along - 0.5f) - (edge ? taper : 0.0f);
        float near = ((float)i - gap) / gap_width;
        if (near * near < 1.0f)
            r *= near * near - 0.5f;
        l->r[i] = radius * r;
    }
}

/* Inks the way from point i-1 to point i: each pixel gets the share of it that the pen covers, taken from the
 * distance of its centre to the edge of the ink. */
static void ink_span(const line *l, int i, float soft, float canvas[BOX][BOX])
{
    float ax = l->x[i - 1], ay = l->y[i - 1], ar = l->r[i - 1];
    float dx = l->x[i] - ax, dy = l->y[i] - ay, dr = l->r[i] - ar;
    float reach = (ar > ar + dr ? ar : ar + dr) + 0.5f * soft;
    if (reach <= 0.0f)
        return;
    float squared = dx * dx + dy * dy, inverse = squared > 1e-6f ? 1.0f / squared : 0.0f, sharp = 1.0f / soft;
    float left = (dx < 0 ? ax + dx : ax) - reach, right = (dx < 0 ? ax : ax + dx) + reach;
    float top = (dy < 0 ? ay + dy : ay) - reach, bottom = (dy < 0 ? ay : ay + dy) + reach;
    int x0 = left > 0.0f ? (int)left : 0, x1 = right < BOX - 1 ? (int)right : BOX - 1;
    int y0 = top > 0.0f ? (int)top : 0, y1 = bottom < BOX - 1 ? (int)bottom : BOX - 1;
    for (int y = y0; y <= y1; y++)
        for (int x = x0; x <= x1; x++) {
            float px = (float)x + 0.5f - ax, py = (float)y + 0.5f - ay;
            float t = (px * dx + py * dy) * inverse;
            t = t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t;
            float ex = px - t * dx, ey = py - t * dy;
            float cover = (ar + t * dr - sqrtf(ex * ex + ey * ey)) * sharp + 0.5f;
            canvas[y][x] = cover > canvas[y][x] ? cover : canvas[y][x];
        }
}

/* -------------------------------------------------------------------------------------------------- picture ---- */

/* Grey levels with the grain of paper at the edges, and the centre of mass in the middle of the field. */
static void develop(draws *d, uint32_t grain, float canvas[BOX][BOX], uint8_t *picture)
{
    uint8_t grey[BOX][BOX];
    float rough = 0.25f * uniform(d), mass = 0.0f, mx = 0.0f, my = 0.0f;
    for (int y = 0; y < BOX; y++)
        for (int x = 0; x < BOX; x++) {
            float v = canvas[y][x] > 1.0f ? 1.0f : canvas[y][x];
            grain = grain * 1664525u + 1013904223u;
            float noise = (float)(grain >> 8) * (1.0f / 16777216.0f) - 0.5f;
            v = v <= 0.0f ? 0.0f : v + rough * noise * (v < 0.5f ? 2.0f * v : 1.0f);
            v = v < 0.03f ? 0.0f : v > 1.0f ? 1.0f : v;
            grey[y][x] = (uint8_t)(v * 255.0f + 0.5f);
            mass += (float)grey[y][x];
            mx += (float)grey[y][x] * ((float)x + 0.5f);
            my += (float)grey[y][x] * ((float)y + 0.5f);
        }
    int left = (int)(CENTRE - mx / (mass + 1.0f) + 0.5f), top = (int)(CENTRE - my / (mass + 1.0f) + 0.5f);
    left = left < 0 ? 0 : left > FIELD - BOX ? FIELD - BOX : left;
    top = top < 0 ? 0 : top > FIELD - BOX ? FIELD - BOX : top;
    memset(picture, 0, FIELD * FIELD);
    for (int y = 0; y < BOX; y++)
        memcpy(picture + (top + y) * FIELD + left, grey[y], BOX);
}

static void digit_draw(random_key key, uint64_t number, int digit, uint8_t *picture)
{
    draws d = {.next = 0};
    path p;
    line l;
    float canvas[BOX][BOX] = {{0}};
    random_fill_uniform(key, number + 1, 0, DRAWS, d.u);
    write_path(&d, digit, &p);
    vary_ends(&d, &p);
    draw_line(&d, &p, &l);
    bend_line(&d, digit, &l);
    float thick = uniform(&d);
    pen tool = {.radius = 0.7f + (digit == 1 ? 2.0f : 1.3f) * thick * thick * thick + 0.5f * uniform(&d),
                .soft = between(&d, 0.7f, 1.4f)};
    fit_line(&l, tool.radius);
    press_pen(&d, &l, tool.radius);
    for (int i = 1; i < l.n; i++)
        if (!l.start[i])
            ink_span(&l, i, tool.soft, canvas);
    develop(&d, random_bits(key, number + 1, DRAWS), canvas, picture);
}

typedef struct digits_work {
    random_key key;
    pictures *p;
} digits_work;

/* [any] digits piece*PIECE .. of the set */
static int digits_piece(void *context, int64_t piece, int lane)
{
    const digits_work *w = context;
    int64_t end = (piece + 1) * PIECE < w->p->count ? (piece + 1) * PIECE : w->p->count;
    (void)lane;
    for (int64_t i = piece * PIECE; i < end; i++) {
        w->p->labels[i] = (int32_t)random_permute(w->key, (uint64_t)(i / BLOCK), BLOCK, (uint64_t)(i % BLOCK));
        digit_draw(w->key, (uint64_t)i, w->p->labels[i], w->p->images + i * FIELD * FIELD);
    }
    return PLN_E_OK;
}

int source_digits(lanes *pool, int64_t count, uint64_t seed, dataset **set, error *e)
{
    static const char *const names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", NULL};
    static const picture_set of = {"digits", names, 10};
    if (count < 1 || count > UINT32_MAX)
        return error_set(e, PLN_E_INVALID, "%lld drawn digits were asked for; 1 .. %lld are possible", (long long)count,
                         (long long)UINT32_MAX);
    pictures p = {.count = count, .height = FIELD, .width = FIELD, .channels = 1};
    int status = pictures_alloc(&p, e);
    if (status)
        return status;
    digits_work work = {random_key_make(seed, RANDOM_DIGITS, NULL), &p};
    unsigned saved = fpu_enter(); /* without a pool the caller's own floating-point state would decide */
    lanes_run(pool, (count + PIECE - 1) / PIECE, digits_piece, &work);
    fpu_leave(saved);
    return pictures_dataset(&p, &of, "", set, e);
}
