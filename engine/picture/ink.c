/* The five steps of ink.h, each a few functions: reduce, paper, threshold, pieces, and a second look at full
 * resolution where the drawing is a small part of a large picture. */
#include "picture/ink.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "picture/resize.h"

/* Chosen by eye on drawings, scans and noise; levels are of 255. */
#define CONTRAST_MIN   20.0f /* strong ink departs at least this far from weak */
#define COHERENCE_MIN  0.12f /* strong pixels are neighbours this much more often than by chance */
#define WEAK_MIN       0.03f /* of the contrast; below it is paper */
#define COLOUR_GAIN    1.5f  /* a colour's spread replaces luma's if it is that much wider */
#define CARD_FILL      0.7f  /* opaque pixels that fill their box like this are a card, not strokes */
#define CARD_SPREAD    30.0f /* and differ among themselves by more than this (standard deviation) */
#define PIECE_MIN      15    /* a piece with less than 1/15 of the largest's strong pixels is a speck */
#define CROWD_MAX      10 /* more pieces than that of at least a quarter of the largest are a pattern, not a drawing */
#define SIDE_MIN       5  /* the largest piece's longer side, in pixels of the plane */
#define SIDE_MIN_SHARE 0.015 /* and as a share of the plane's */

/* ---- 1. reduce ------------------------------------------------------------------------------------------------- */

typedef struct region {
    const picture *p;
    int64_t left, top, width, height;
} region;

/* A row of the region as red, green, blue (alpha multiplied in) and alpha, 0 .. 255. */
static void region_row(void *context, int64_t y, float *row)
{
    const region *r = context;
    int channels = r->p->channels, colours = channels < 3 ? 1 : 3;
    const uint8_t *from = r->p->pixels + ((r->top + y) * r->p->width + r->left) * channels;
    for (int64_t x = 0; x < r->width; x++, from += channels, row += 4) {
        float alpha = channels > colours ? from[colours] : 255.0f;
        for (int c = 0; c < 3; c++)
            row[c] = from[colours == 1 ? 0 : c] * (alpha / 255.0f);
        row[3] = alpha;
    }
}

typedef struct canvas {
    int64_t width, height, factor;
    float *rgba; /* [height][width][4], owned */
} canvas;

static void canvas_row(void *context, int64_t y, const float *row)
{
    canvas *c = context;
    memcpy(c->rgba + y * c->width * 4, row, (size_t)(c->width * 4) * sizeof *row);
}

static int canvas_make(const region *r, canvas *c, error *e)
{
    int64_t longer = r->width > r->height ? r->width : r->height;
    c->factor = (longer + INK_SIDE - 1) / INK_SIDE;
    c->width = r->width / c->factor > 0 ? r->width / c->factor : 1;
    c->height = r->height / c->factor > 0 ? r->height / c->factor : 1;
    c->rgba = malloc((size_t)(c->width * c->height * 4) * sizeof *c->rgba);
    if (!c->rgba)
        return error_memory(e);
    resize_job job = {.from_width = r->width,
                      .from_height = r->height,
                      .to_width = c->width,
                      .to_height = c->height,
                      .channels = 4,
                      .source = region_row,
                      .source_context = (void *)(uintptr_t)r,
                      .sink = canvas_row,
                      .sink_context = c};
    return resize_run(&job, e);
}

/* ---- 2. paper -------------------------------------------------------------------------------------------------- */

static int clamp_byte(float v)
{
    return v <= 0.0f ? 0 : v >= 255.0f ? 255 : (int)(v + 0.5f);
}

/* The level below which `share` of the histogram lies. */
static int percentile(const int64_t histogram[256], double share)
{
    int64_t total = 0, sum = 0;
    for (int i = 0; i < 256; i++)
        total += histogram[i];
    for (int i = 0; i < 256; i++) {
        sum += histogram[i];
        if (sum > 0 && (double)sum >= share * (double)total)
            return i;
    }
    return 255;
}

static int on_border(const canvas *c, int64_t x, int64_t y)
{
    int64_t shorter = c->width < c->height ? c->width : c->height, band = 1 + shorter / 50;
    return x < band || y < band || x >= c->width - band || y >= c->height - band;
}

static float level_of(const ink_paper *paper, const float *rgba)
{
    float v = paper->colour[0] * rgba[0] + paper->colour[1] * rgba[1] + paper->colour[2] * rgba[2];
    return v + paper->under * (1.0f - rgba[3] / 255.0f);
}

static int border_median(const canvas *c, const ink_paper *paper, int alpha)
{
    int64_t histogram[256] = {0};
    for (int64_t y = 0; y < c->height; y++)
        for (int64_t x = 0; x < c->width; x++)
            if (on_border(c, x, y)) {
                const float *rgba = c->rgba + (y * c->width + x) * 4;
                histogram[clamp_byte(alpha ? rgba[3] : level_of(paper, rgba))]++;
            }
    return percentile(histogram, 0.5);
}

static void set_colour(ink_paper *paper, int plane)
{
    static const float planes[4][3] = {{0.299f, 0.587f, 0.114f}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    memcpy(paper->colour, planes[plane], sizeof paper->colour);
}

/* Luma, unless a single colour shows much more. */
static void choose_colour(const canvas *c, ink_paper *paper)
{
    double best = 0;
    int chosen = 0;
    for (int plane = 0; plane < 4; plane++) {
        double sum = 0, squares = 0, n = (double)(c->width * c->height);
        set_colour(paper, plane);
        for (int64_t i = 0; i < c->width * c->height; i++) {
            double v = level_of(paper, c->rgba + 4 * i);
            sum += v;
            squares += v * v;
        }
        double spread = sqrt(fmax(squares / n - sum / n * (sum / n), 0));
        if (plane == 0 || spread > best * (chosen ? 1.0 : COLOUR_GAIN)) {
            best = spread;
            chosen = plane;
        }
    }
    set_colour(paper, chosen);
}

/* On a transparent ground: strokes (the ink is alpha), or a card to read? Returns 1 for a card, and the card's level
 * as what lies under the rest. */
static int is_card(const canvas *c, ink_paper *paper)
{
    int64_t histogram[256] = {0}, count = 0, left = c->width, right = -1, top = c->height, bottom = -1;
    double sum = 0, squares = 0;
    for (int64_t y = 0; y < c->height; y++)
        for (int64_t x = 0; x < c->width; x++) {
            const float *rgba = c->rgba + (y * c->width + x) * 4;
            if (rgba[3] < 128.0f)
                continue;
            double v = level_of(paper, rgba) * 255.0 / rgba[3];
            histogram[clamp_byte((float)v)]++;
            sum += v;
            squares += v * v;
            count++;
            left = x < left ? x : left;
            right = x > right ? x : right;
            top = y < top ? y : top;
            bottom = y > bottom ? y : bottom;
        }
    if (count == 0)
        return 0;
    double n = (double)count, spread = sqrt(fmax(squares / n - sum / n * (sum / n), 0));
    double fill = n / (double)((right - left + 1) * (bottom - top + 1));
    paper->under = (float)percentile(histogram, 0.5);
    return fill > CARD_FILL && spread > CARD_SPREAD;
}

static void paper_decide(const canvas *c, ink_paper *paper)
{
    memset(paper, 0, sizeof *paper);
    set_colour(paper, 0);
    if (border_median(c, paper, 1) < 128) {
        if (!is_card(c, paper)) {
            paper->from_alpha = 1;
            return;
        }
    } else {
        paper->under = 255.0f; /* holes in an opaque picture show white */
    }
    choose_colour(c, paper);
    paper->level = (float)border_median(c, paper, 0);
    double darker = 0, lighter = 0;
    for (int64_t i = 0; i < c->width * c->height; i++) {
        double d = level_of(paper, c->rgba + 4 * i) - paper->level;
        *(d < 0 ? &darker : &lighter) += d * d;
    }
    paper->light = lighter > darker;
}

/* How far a pixel departs from the paper towards ink, 0 .. 255. */
static float departure(const ink_paper *paper, const float *rgba)
{
    if (paper->from_alpha)
        return rgba[3];
    float d = level_of(paper, rgba) - paper->level;
    d = paper->light ? d : -d;
    return d < 0.0f ? 0.0f : d;
}

/* ---- 3. threshold ---------------------------------------------------------------------------------------------- */

typedef struct levels {
    float strong;    /* a departure above this is ink */
    float low, high; /* departures that become 0 and 1 */
} levels;

/* Otsu: the threshold t that maximises w0 w1 (m0 - m1)^2 over the classes <= t and > t.  Gives both means. */
static int otsu(const int64_t histogram[256], double *below, double *above)
{
    double total = 0, sum = 0, n0 = 0, s0 = 0, best = -1;
    int threshold = 0;
    for (int i = 0; i < 256; i++) {
        total += (double)histogram[i];
        sum += (double)i * (double)histogram[i];
    }
    *below = *above = 0;
    for (int t = 0; t < 255; t++) {
        n0 += (double)histogram[t];
        s0 += (double)t * (double)histogram[t];
        double n1 = total - n0;
        if (n0 <= 0 || n1 <= 0)
            continue;
        double m0 = s0 / n0, m1 = (sum - s0) / n1, between = n0 * n1 * (m1 - m0) * (m1 - m0);
        if (between > best) {
            best = between;
            threshold = t;
            *below = m0;
            *above = m1;
        }
    }
    return threshold;
}

/* (c - p) / (1 - p): c is the share of strong pixels among the neighbours of strong pixels, p among all.  About 0 for
 * noise, 0.2 for a line one pixel wide, near 1 for thick strokes. */
static double coherence(const ink *k, float strong)
{
    int64_t ink_count = 0, pairs = 0, near = 0;
    for (int64_t y = 0; y < k->height; y++)
        for (int64_t x = 0; x < k->width; x++) {
            if (k->plane[y * k->width + x] <= strong)
                continue;
            ink_count++;
            for (int64_t v = y > 0 ? y - 1 : 0; v <= y + 1 && v < k->height; v++)
                for (int64_t u = x > 0 ? x - 1 : 0; u <= x + 1 && u < k->width; u++)
                    if (u != x || v != y) {
                        pairs++;
                        near += k->plane[v * k->width + u] > strong;
                    }
        }
    double p = (double)ink_count / (double)(k->width * k->height);
    return pairs && p < 1 ? ((double)near / (double)pairs - p) / (1 - p) : 0;
}

static int no_digit(error *e, const char *why)
{
    return error_set(e, PLN_E_EMPTY, "no digit found: %s", why);
}

static int threshold(ink *k, levels *l, error *e)
{
    int64_t all[256] = {0}, paper[256] = {0}, strong[256] = {0};
    double below, above;
    for (int64_t i = 0; i < k->width * k->height; i++)
        all[clamp_byte(k->plane[i])]++;
    int t = otsu(all, &below, &above);
    memcpy(paper, all, sizeof *all * (size_t)(t + 1));
    memcpy(strong + t + 1, all + t + 1, sizeof *all * (size_t)(255 - t));
    if (above - below < CONTRAST_MIN)
        return no_digit(e, "the picture is blank, or its ink too faint to tell from the paper");
    l->strong = (float)t + 0.5f;
    if (coherence(k, l->strong) < COHERENCE_MIN)
        return no_digit(e, "there is noise in the picture, but no stroke");
    /* departures of the paper are the positive half of its noise, whose 75th percentile is 0.67 sigma */
    l->low = fminf(3.0f * (float)percentile(paper, 0.75), l->strong / 2);
    l->high = (float)percentile(strong, 0.9);
    k->contrast = l->high;
    return PLN_E_OK;
}

/* ---- 4. pieces ------------------------------------------------------------------------------------------------- */

typedef struct piece {
    int64_t strong;                   /* strong pixels */
    int64_t left, top, right, bottom; /* of the strong pixels, inclusive */
} piece;

typedef struct pieces {
    int32_t *label; /* [height][width]: 0 none, else 1 + piece */
    int32_t *stack;
    piece *list;
    int32_t count, capacity;
} pieces;

static void piece_pixel(piece *p, int64_t x, int64_t y)
{
    if (p->strong++ == 0) {
        p->left = p->right = x;
        p->top = p->bottom = y;
    }
    p->left = x < p->left ? x : p->left;
    p->right = x > p->right ? x : p->right;
    p->top = y < p->top ? y : p->top;
    p->bottom = y > p->bottom ? y : p->bottom;
}

/* Labels the weak pixels that hang together with `seed` (diagonals count). */
static void flood(const ink *k, const levels *l, float weak, pieces *s, int32_t seed)
{
    int64_t depth = 0;
    piece *p = &s->list[s->count++];
    memset(p, 0, sizeof *p);
    s->label[seed] = s->count;
    s->stack[depth++] = seed;
    while (depth > 0) {
        int32_t at = s->stack[--depth];
        int64_t x = at % k->width, y = at / k->width;
        if (k->plane[at] > l->strong)
            piece_pixel(p, x, y);
        for (int64_t v = y > 0 ? y - 1 : 0; v <= y + 1 && v < k->height; v++)
            for (int64_t u = x > 0 ? x - 1 : 0; u <= x + 1 && u < k->width; u++) {
                int32_t next = (int32_t)(v * k->width + u);
                if (!s->label[next] && k->plane[next] > weak) {
                    s->label[next] = s->count;
                    s->stack[depth++] = next;
                }
            }
    }
}

static int pieces_find(const ink *k, const levels *l, float weak, pieces *s, error *e)
{
    int64_t n = k->width * k->height;
    s->label = calloc((size_t)n, sizeof *s->label);
    s->stack = malloc((size_t)n * sizeof *s->stack);
    if (!s->label || !s->stack)
        return error_memory(e);
    for (int64_t i = 0; i < n; i++) {
        if (s->label[i] || k->plane[i] <= l->strong)
            continue;
        if (s->count == s->capacity) {
            int32_t capacity = s->capacity * 2 + 64;
            piece *list = realloc(s->list, (size_t)capacity * sizeof *list);
            if (!list)
                return error_memory(e);
            s->list = list;
            s->capacity = capacity;
        }
        flood(k, l, weak, s, (int32_t)i);
    }
    return PLN_E_OK;
}

static int64_t piece_side(const piece *p)
{
    int64_t w = p->right - p->left + 1, h = p->bottom - p->top + 1;
    return w > h ? w : h;
}

/* Drops specks (strong = 0 marks them) and refuses what is nothing but specks. */
static int pieces_choose(const ink *k, pieces *s, error *e)
{
    int64_t largest = 0, side = 0, crowd = 0, longer = k->width > k->height ? k->width : k->height;
    for (int32_t i = 0; i < s->count; i++)
        largest = s->list[i].strong > largest ? s->list[i].strong : largest;
    for (int32_t i = 0; i < s->count; i++) {
        piece *p = &s->list[i];
        crowd += p->strong * 4 >= largest;
        if (p->strong * PIECE_MIN < largest)
            p->strong = 0;
        else if (piece_side(p) > side)
            side = piece_side(p);
    }
    if (side < SIDE_MIN || (double)side < SIDE_MIN_SHARE * (double)longer)
        return no_digit(e, "there are specks in the picture, but no stroke");
    if (crowd > CROWD_MAX)
        return no_digit(e, "the picture is full of marks of one size, and none stands out");
    return PLN_E_OK;
}

/* The box of all strong pixels, with a margin for the soft edges around them. */
static void box_find(ink *k, const pieces *s)
{
    piece all = {0};
    for (int32_t i = 0; i < s->count; i++)
        if (s->list[i].strong) {
            piece_pixel(&all, s->list[i].left, s->list[i].top);
            piece_pixel(&all, s->list[i].right, s->list[i].bottom);
        }
    int64_t margin = (piece_side(&all) + 19) / 20;
    k->box_left = all.left > margin ? all.left - margin : 0;
    k->box_top = all.top > margin ? all.top - margin : 0;
    k->box_width = (all.right + margin < k->width ? all.right + margin + 1 : k->width) - k->box_left;
    k->box_height = (all.bottom + margin < k->height ? all.bottom + margin + 1 : k->height) - k->box_top;
}

/* Clears all that is not the drawing's, stretches the rest to 0 .. 1, and draws the box tight around it. */
static void plane_finish(ink *k, const levels *l, const pieces *s)
{
    int64_t left = k->width, top = k->height, right = -1, bottom = -1;
    for (int64_t y = 0; y < k->height; y++)
        for (int64_t x = 0; x < k->width; x++) {
            float *v = &k->plane[y * k->width + x];
            int32_t label = s->label[y * k->width + x];
            int inside =
                x >= k->box_left && x < k->box_left + k->box_width && y >= k->box_top && y < k->box_top + k->box_height;
            if (!inside || !label || !s->list[label - 1].strong) {
                *v = 0.0f;
                continue;
            }
            *v = fminf(fmaxf((*v - l->low) / (l->high - l->low), 0.0f), 1.0f);
            left = x < left ? x : left;
            right = x > right ? x : right;
            top = y < top ? y : top;
            bottom = y > bottom ? y : bottom;
        }
    k->box_left = left;
    k->box_top = top;
    k->box_width = right - left + 1;
    k->box_height = bottom - top + 1;
}

/* Steps 3 and 4 on a plane of departures. */
static int plane_read(ink *k, error *e)
{
    levels l = {0};
    pieces s = {0};
    int status = threshold(k, &l, e);
    if (status)
        return status;
    float weak = fmaxf(l.low, WEAK_MIN * l.high);
    status = pieces_find(k, &l, weak, &s, e);
    if (!status)
        status = pieces_choose(k, &s, e);
    if (!status) {
        box_find(k, &s);
        plane_finish(k, &l, &s);
    }
    free(s.label);
    free(s.stack);
    free(s.list);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------------------------- */

/* Reads one region.  `paper` NULL: it is decided here, from this region. */
static int region_read(const region *r, const ink_paper *paper, ink *out, error *e)
{
    canvas c = {0};
    int status = canvas_make(r, &c, e);
    if (status)
        goto fail;
    memset(out, 0, sizeof *out);
    if (paper)
        out->paper = *paper;
    else
        paper_decide(&c, &out->paper);
    out->factor = c.factor;
    out->left = r->left;
    out->top = r->top;
    out->width = c.width;
    out->height = c.height;
    out->plane = malloc((size_t)(c.width * c.height) * sizeof *out->plane);
    if (!out->plane) {
        status = error_memory(e);
        goto fail;
    }
    for (int64_t i = 0; i < c.width * c.height; i++)
        out->plane[i] = departure(&out->paper, c.rgba + 4 * i);
    status = plane_read(out, e);
    if (status)
        ink_free(out);
fail:
    free(c.rgba);
    return status;
}

/* The box in pixels of the picture, a tenth wider all around. */
static region region_around(const picture *p, const ink *k)
{
    int64_t longer = k->box_width > k->box_height ? k->box_width : k->box_height, margin = 2 + longer / 10;
    int64_t left = k->left + (k->box_left - margin) * k->factor, top = k->top + (k->box_top - margin) * k->factor;
    int64_t right = k->left + (k->box_left + k->box_width + margin) * k->factor;
    int64_t bottom = k->top + (k->box_top + k->box_height + margin) * k->factor;
    left = left < 0 ? 0 : left;
    top = top < 0 ? 0 : top;
    right = right > p->width ? p->width : right;
    bottom = bottom > p->height ? p->height : bottom;
    return (region){p, left, top, right - left, bottom - top};
}

int ink_find(const picture *p, int64_t detail, ink *out, error *e)
{
    memset(out, 0, sizeof *out);
    if (!p->pixels || p->channels < 1 || p->channels > 4)
        return error_set(e, PLN_E_INVALID, "an empty picture has no ink to find; read or draw one first");
    region all = {p, 0, 0, p->width, p->height};
    int status = region_read(&all, NULL, out, e);
    if (status)
        return status;
    int64_t longer = out->box_width > out->box_height ? out->box_width : out->box_height;
    if (out->factor == 1 || longer >= detail)
        return PLN_E_OK;
    region near = region_around(p, out);
    ink closer;
    status = region_read(&near, &out->paper, &closer, e);
    if (status == PLN_E_EMPTY)
        return PLN_E_OK; /* too noisy from near: what was seen from afar stands */
    ink_free(out);
    if (status)
        return status;
    *out = closer;
    return PLN_E_OK;
}

void ink_free(ink *k)
{
    if (!k)
        return;
    free(k->plane);
    memset(k, 0, sizeof *k);
}
