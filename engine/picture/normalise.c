/* From ink to a frame: widen what is too thin, scale to the box, put the centre of mass in the middle. */
#include "picture/normalise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "picture/ink.h"
#include "picture/resize.h"

#define STROKE_MIN    1.1   /* pixels of a frame of 28: below it a stroke is widened … */
#define STROKE_WANTED 2.2   /* … to this */
#define KEEP_WITHIN   1     /* pixels: a digit so near to the box's size is not resampled, which would blur it */
#define TIE           0.001 /* pixels */

/* The ink's box alone. */
typedef struct drawing {
    int64_t width, height;
    float *ink; /* [height][width], owned */
} drawing;

static int drawing_make(drawing *d, int64_t width, int64_t height, error *e)
{
    d->width = width;
    d->height = height;
    d->ink = calloc((size_t)(width * height), sizeof *d->ink);
    return d->ink ? PLN_E_OK : error_memory(e);
}

static float ink_at(const drawing *d, int64_t x, int64_t y)
{
    float v = x < 0 || y < 0 || x >= d->width || y >= d->height ? 0.0f : d->ink[y * d->width + x];
    return fminf(fmaxf(2 * v - 0.5f, 0.0f), 1.0f); /* steeper, so that noise in paper and ink is no edge */
}

/* Mean width of the strokes: twice the area over the perimeter, which is the plane's total variation (a stroke s wide
 * and L long has the area s L and the perimeter 2 L; soft edges change neither). */
static double stroke_width(const drawing *d)
{
    double area = 0, edge = 0;
    for (int64_t y = -1; y < d->height; y++)
        for (int64_t x = -1; x < d->width; x++) {
            float here = ink_at(d, x, y);
            area += here;
            edge += hypot(ink_at(d, x + 1, y) - here, ink_at(d, x, y + 1) - here);
        }
    return edge > 0 ? 2 * area / edge : 0;
}

/* out[i] = the maximum of in[i - 2r .. i], over a line of n + 2r (in is 0 outside its n). */
static void widen_line(const float *in, int64_t n, int64_t step, int64_t r, float *out, int64_t out_step)
{
    for (int64_t i = 0; i < n + 2 * r; i++) {
        float most = 0.0f;
        for (int64_t k = i - 2 * r < 0 ? 0 : i - 2 * r; k <= i && k < n; k++)
            most = fmaxf(most, in[k * step]);
        out[i * out_step] = most;
    }
}

/* Grows the ink by r pixels to every side: the maximum over a square, along x and then along y. */
static int widen(drawing *d, int64_t r, error *e)
{
    drawing x = {0}, y = {0};
    int status = drawing_make(&x, d->width + 2 * r, d->height, e);
    if (!status)
        status = drawing_make(&y, d->width + 2 * r, d->height + 2 * r, e);
    if (status)
        goto fail;
    for (int64_t row = 0; row < d->height; row++)
        widen_line(d->ink + row * d->width, d->width, 1, r, x.ink + row * x.width, 1);
    for (int64_t column = 0; column < x.width; column++)
        widen_line(x.ink + column, x.height, x.width, r, y.ink + column, y.width);
    free(x.ink);
    free(d->ink);
    *d = y;
    return PLN_E_OK;
fail:
    free(x.ink);
    free(y.ink);
    return status;
}

static int drawing_cut(const ink *k, drawing *d, error *e)
{
    int status = drawing_make(d, k->box_width, k->box_height, e);
    if (status)
        return status;
    for (int64_t y = 0; y < d->height; y++)
        memcpy(d->ink + y * d->width, k->plane + (k->box_top + y) * k->width + k->box_left,
               (size_t)d->width * sizeof *d->ink);
    return PLN_E_OK;
}

static void drawing_row(void *context, int64_t y, float *row)
{
    const drawing *d = context;
    memcpy(row, d->ink + y * d->width, (size_t)d->width * sizeof *row);
}

static void drawing_take(void *context, int64_t y, const float *row)
{
    drawing *d = context;
    memcpy(d->ink + y * d->width, row, (size_t)d->width * sizeof *row);
}

/* The strongest ink of row or column i; 0 outside. */
static double strongest(const drawing *d, int along_x, int64_t i)
{
    int64_t n = along_x ? d->height : d->width, step = along_x ? d->width : 1;
    float most = 0;
    if (i < 0 || i >= (along_x ? d->width : d->height))
        return 0;
    for (int64_t k = 0; k < n; k++)
        most = fmaxf(most, d->ink[i * (along_x ? 1 : d->width) + k * step]);
    return most;
}

/* Where the ink begins and ends along an axis, between pixels: an edge pixel that is half ink counts half. */
static resize_window solid(const drawing *d, int along_x)
{
    int64_t size = along_x ? d->width : d->height, first = 0, last = size - 1;
    while (first < last && strongest(d, along_x, first) < 0.5)
        first++;
    while (last > first && strongest(d, along_x, last) < 0.5)
        last--;
    if (first == last)
        return (resize_window){(double)first, 1};
    double begin = (double)(first + 1) - strongest(d, along_x, first) - strongest(d, along_x, first - 1);
    double end = (double)last + strongest(d, along_x, last) + strongest(d, along_x, last + 1);
    return (resize_window){begin, end - begin};
}

/* The samples of the result that a window makes at `scale`; the window grows to fill them: rounding up adds paper to
 * both sides instead of stretching the digit (a 1 that is 2.4 pixels wide would become 2 or 3). */
static int64_t fit_axis(resize_window *w, double scale)
{
    double whole = ceil(w->extent * scale - 1e-6), extent = fmax(whole, 1) / scale;
    w->begin += (w->extent - extent) / 2;
    w->extent = extent;
    return (int64_t)fmax(whole, 1);
}

/* Scales the longer side to the box, keeping the aspect. */
static int fit(const drawing *from, int box, int frame, drawing *to, error *e)
{
    resize_job job = {.from_width = from->width,
                      .from_height = from->height,
                      .x = solid(from, 1),
                      .y = solid(from, 0),
                      .channels = 1,
                      .source = drawing_row,
                      .source_context = (void *)(uintptr_t)from,
                      .sink = drawing_take,
                      .sink_context = to};
    double scale = box / fmax(job.x.extent, job.y.extent);
    int64_t longer = from->width > from->height ? from->width : from->height;
    if (longer >= box - KEEP_WITHIN && longer <= box + KEEP_WITHIN && longer <= frame) {
        scale = 1;
        job.x = (resize_window){0, (double)from->width};
        job.y = (resize_window){0, (double)from->height};
    }
    job.to_width = fit_axis(&job.x, scale);
    job.to_height = fit_axis(&job.y, scale);
    int status = drawing_make(to, job.to_width, job.to_height, e);
    return status ? status : resize_run(&job, e);
}

/* Where a line of `size` pixels begins in the frame, so that `mass` (its centre, from its own beginning) comes to lie
 * in [frame/2 - 0.5, frame/2 + 0.5); no ink is lost over the edge. Symmetric digits lie on that boundary exactly, and
 * TIE keeps rounding from tipping them. */
static int64_t place(double mass, int64_t size, int frame)
{
    int64_t middle = frame / 2, at = (int64_t)ceil((double)middle - 0.5 - TIE - mass);
    at = at > frame - size ? frame - size : at;
    return at < 0 ? 0 : at;
}

static void centre(const drawing *d, int frame, uint8_t *out)
{
    double sum = 0, x_sum = 0, y_sum = 0;
    float peak = 0;
    for (int64_t y = 0; y < d->height; y++)
        for (int64_t x = 0; x < d->width; x++) {
            float v = d->ink[y * d->width + x];
            sum += v;
            x_sum += v * (double)x;
            y_sum += v * (double)y;
            peak = fmaxf(peak, v);
        }
    int64_t left = place(x_sum / sum, d->width, frame), top = place(y_sum / sum, d->height, frame);
    memset(out, 0, (size_t)frame * (size_t)frame);
    for (int64_t y = 0; y < d->height; y++)
        for (int64_t x = 0; x < d->width; x++)
            out[(top + y) * frame + left + x] = (uint8_t)lroundf(255.0f * d->ink[y * d->width + x] / peak);
}

static void report_fill(normalise_report *r, const ink *k)
{
    r->left = k->left + k->box_left * k->factor;
    r->top = k->top + k->box_top * k->factor;
    r->width = k->box_width * k->factor;
    r->height = k->box_height * k->factor;
    r->light = k->paper.light;
    r->transparent = k->paper.from_alpha;
    r->paper = k->paper.level;
    r->contrast = k->contrast;
}

/* Widens thin strokes; `scale` is from pixels of the drawing to pixels of MNIST's frame. */
static int thicken(drawing *d, double scale, normalise_report *r, error *e)
{
    double stroke = stroke_width(d);
    r->stroke = (float)(stroke * scale);
    if (stroke * scale >= STROKE_MIN)
        return PLN_E_OK;
    int64_t grow = llround((STROKE_WANTED / scale - stroke) / 2);
    if (grow < 1)
        return PLN_E_OK;
    r->widened = 1;
    return widen(d, grow, e);
}

int normalise_digit(const picture *p, int box, int frame, uint8_t *out, normalise_report *report, error *e)
{
    ink k = {0};
    drawing d = {0}, small = {0};
    normalise_report r = {0};
    if (box < 1 || box > frame || frame > 4096)
        return error_set(e, PLN_E_INVALID,
                         "a digit cannot be put into a box of %d pixels in a frame of %d; "
                         "the box must be 1 or more, the frame no smaller and at most 4096",
                         box, frame);
    int status = ink_find(p, 3 * (int64_t)box, &k, e);
    if (!status)
        status = drawing_cut(&k, &d, e);
    if (status)
        goto fail;
    report_fill(&r, &k);
    double longer = (double)(d.width > d.height ? d.width : d.height);
    status = thicken(&d, (double)NORMALISE_BOX / longer, &r, e);
    if (!status)
        status = fit(&d, box, frame, &small, e);
    if (status)
        goto fail;
    centre(&small, frame, out);
    r.stroke *= (float)box / NORMALISE_BOX;
    if (report)
        *report = r;
fail:
    ink_free(&k);
    free(d.ink);
    free(small.ink);
    return status;
}
