/* perilune.h: the engine inside another C or C++ program.  Load a trained model, ask it for predictions:
 *
 *     pln_model *model = pln_model_load("mnist-cnn.safetensors", NULL);
 *     float p[10];
 *     if (!model || pln_model_predict_png(model, "seven.png", p) != 0)
 *         fprintf(stderr, "%s\n", pln_message());
 *     else
 *         printf("%d\n", (int)pln_best(p, 10));
 *     pln_model_free(model);
 *
 * Link with $(pkg-config --cflags --libs perilune).  Functions that can fail return a status or NULL as said; pln_message() then has
 * the reason.
 * Thread rule: a model belongs to one thread at a time; different models may be used on different threads.
 */
#ifndef PERILUNE_PERILUNE_H
#define PERILUNE_PERILUNE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef PLN_API
#if defined(__GNUC__)
#define PLN_API __attribute__((visibility("default")))
#else
#define PLN_API
#endif
#endif

typedef struct pln_model pln_model;

/* The program's version, "0.1.0". */
PLN_API const char *pln_version(void);

/* Why the last call on this thread failed; valid until the next one. */
PLN_API const char *pln_message(void);

/* Loads a model from a safetensors file.  `plugins`: folders (colon-separated) to look for layer plugins in before the
 * installed ones, or NULL.  NULL when it fails. */
PLN_API pln_model *pln_model_load(const char *path, const char *plugins);
PLN_API void pln_model_free(pln_model *model);

/* Elements of one sample of input `input` and of one prediction. */
PLN_API int64_t pln_model_input_size(const pln_model *model, int input);
PLN_API int64_t pln_model_output_size(const pln_model *model);

/* The name of a class, or NULL. */
PLN_API const char *pln_model_class(const pln_model *model, int64_t index);

/* Predicts `count` samples: in[i] holds input i of all samples, [count, input size] float32, row-major, channels last; out
 * receives [count, output size].  0 when done, otherwise a status above 0. */
PLN_API int pln_model_predict(pln_model *model, const float *const *in, int64_t count, float *out);

/* Predicts one picture in a PNG file, normalised as the training data were (a digit is cropped, scaled to 20x20 and centred
 * in 28x28; other pictures are resized).  out receives one prediction. */
PLN_API int pln_model_predict_png(pln_model *model, const char *path, float *out);

/* The index of the largest of n numbers (the first of equals). */
PLN_API int64_t pln_best(const float *scores, int64_t n);

#ifdef __cplusplus
}
#endif

#endif
