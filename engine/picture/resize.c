/* The resampler: weights of both axes first, then each result row as a weighted sum of horizontally resampled source
 * rows, of which the last two are remembered.  Memory: a few rows. */
#include "picture/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "picture/picture.h"

/* Result sample o is the sum over k < count[o] of weight[begin[o] + k] * source[first[o] + k]. */
typedef struct axis {
    int64_t *first, *count, *begin;
    float *weight;
} axis;

static void axis_free(axis *a)
{
    free(a->first);
    free(a->count);
    free(a->begin);
    free(a->weight);
}

static int64_t clamp(double at, int64_t low, int64_t high)
{
    return at < (double)low ? low : at > (double)high ? high : (int64_t)at;
}

static void axis_areas(axis *a, int64_t from, int64_t to, resize_window w)
{
    double s = w.extent / (double)to;
    int64_t used = 0;
    for (int64_t o = 0; o < to; o++) {
        double begin = w.begin + (double)o * s;
        double end = o + 1 == to ? w.begin + w.extent : w.begin + (double)(o + 1) * s;
        int64_t first = clamp(floor(begin), 0, from), last = clamp(ceil(end), first, from);
        a->first[o] = first;
        a->count[o] = last - first;
        a->begin[o] = used;
        for (int64_t i = first; i < last; i++) {
            double covered = fmin(end, (double)(i + 1)) - fmax(begin, (double)i);
            a->weight[used++] = (float)(covered / (end - begin));
        }
    }
}

static void axis_linear(axis *a, int64_t from, int64_t to, resize_window w, int zero_outside)
{
    double s = w.extent / (double)to;
    for (int64_t o = 0; o < to; o++) {
        double at = w.begin + ((double)o + 0.5) * s - 0.5, left = floor(at);
        float weight[2] = {(float)(1 - (at - left)), (float)(at - left)};
        a->first[o] = clamp(left, 0, from);
        a->begin[o] = 2 * o;
        a->count[o] = 0;
        for (int k = 0; k < 2; k++) {
            double tap = left + k;
            int inside = tap >= 0 && tap < (double)from;
            if (inside)
                a->weight[2 * o + a->count[o]++] = weight[k];
        }
        if (!zero_outside && a->count[o] == 1) {
            a->first[o] = left < 0 ? 0 : from - 1;
            a->weight[2 * o] = 1.0f;
        }
    }
}

static int axis_make(axis *a, int64_t from, int64_t to, resize_window w)
{
    /* areas touch each source sample once, and twice where two results meet inside it */
    int zero_outside = w.extent > 0;
    size_t weights = (size_t)(from + 2 * to);
    a->first = malloc((size_t)to * sizeof *a->first);
    a->count = malloc((size_t)to * sizeof *a->count);
    a->begin = malloc((size_t)to * sizeof *a->begin);
    a->weight = malloc(weights * sizeof *a->weight);
    if (!a->first || !a->count || !a->begin || !a->weight)
        return PLN_E_MEMORY;
    if (!zero_outside)
        w = (resize_window){0, (double)from};
    if (w.extent >= (double)to)
        axis_areas(a, from, to, w);
    else
        axis_linear(a, from, to, w, zero_outside);
    return PLN_E_OK;
}

/* The two source rows used last, resampled along x. */
typedef struct rows {
    int64_t y[2];
    float *row[2];
    int oldest;
    float *source;
} rows;

static const float *rows_get(rows *r, const resize_job *job, const axis *x, int64_t y)
{
    for (int i = 0; i < 2; i++)
        if (r->y[i] == y)
            return r->row[i];
    int slot = r->oldest, channels = job->channels;
    r->oldest = !slot;
    r->y[slot] = y;
    job->source(job->source_context, y, r->source);
    float *out = r->row[slot];
    for (int64_t o = 0; o < job->to_width; o++) {
        const float *weight = x->weight + x->begin[o], *from = r->source + x->first[o] * channels;
        float sum[4] = {0};
        for (int64_t k = 0; k < x->count[o]; k++)
            for (int c = 0; c < channels; c++)
                sum[c] += weight[k] * from[k * channels + c];
        memcpy(out + o * channels, sum, (size_t)channels * sizeof *sum);
    }
    return out;
}

int resize_run(const resize_job *job, error *e)
{
    axis x = {0}, y = {0};
    rows r = {.y = {-1, -1}};
    float *sum = NULL;
    int64_t n = job->to_width * job->channels;
    int status = PLN_E_OK;
    r.row[0] = malloc((size_t)n * sizeof(float));
    r.row[1] = malloc((size_t)n * sizeof(float));
    r.source = malloc((size_t)(job->from_width * job->channels) * sizeof(float));
    sum = malloc((size_t)n * sizeof(float));
    if (!r.row[0] || !r.row[1] || !r.source || !sum || axis_make(&x, job->from_width, job->to_width, job->x) ||
        axis_make(&y, job->from_height, job->to_height, job->y)) {
        status = error_memory(e);
        goto fail;
    }
    for (int64_t o = 0; o < job->to_height; o++) {
        for (int64_t i = 0; i < n; i++)
            sum[i] = 0.0f;
        for (int64_t k = 0; k < y.count[o]; k++) {
            float weight = y.weight[y.begin[o] + k];
            const float *row = rows_get(&r, job, &x, y.first[o] + k);
            for (int64_t i = 0; i < n; i++)
                sum[i] += weight * row[i];
        }
        job->sink(job->sink_context, o, sum);
    }
fail:
    axis_free(&x);
    axis_free(&y);
    free(r.row[0]);
    free(r.row[1]);
    free(r.source);
    free(sum);
    return status;
}

static void bytes_source(void *context, int64_t y, float *row)
{
    const picture *p = context;
    int64_t n = p->width * p->channels;
    const uint8_t *from = p->pixels + y * n;
    for (int64_t i = 0; i < n; i++)
        row[i] = from[i];
}

static void bytes_sink(void *context, int64_t y, const float *row)
{
    picture *p = context;
    int64_t n = p->width * p->channels;
    uint8_t *to = p->pixels + y * n;
    for (int64_t i = 0; i < n; i++)
        to[i] = (uint8_t)fminf(row[i] + 0.5f, 255.0f);
}

int picture_resize(const picture *from, int64_t width, int64_t height, picture *to, error *e)
{
    memset(to, 0, sizeof *to);
    if (from->channels != 1 && from->channels != 3)
        return error_set(
            e, PLN_E_INVALID,
            "a picture of %d channels cannot be resized; convert it to gray or RGB (1 or 3 channels) first",
            from->channels);
    int status = picture_make(width, height, from->channels, to, e);
    if (status)
        return status;
    resize_job job = {.from_width = from->width,
                      .from_height = from->height,
                      .to_width = width,
                      .to_height = height,
                      .channels = from->channels,
                      .source = bytes_source,
                      .source_context = (void *)(uintptr_t)from,
                      .sink = bytes_sink,
                      .sink_context = to};
    status = resize_run(&job, e);
    if (status)
        picture_free(to);
    return status;
}
