/* The answers' rows, written after the answers were shown: committing takes longer than asking. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/database.h"
#include "cli/predict.h"

int predictions_add(predictions *list, answerer *m, const char *image, const answer *v, error *e)
{
    if (m->outputs != 10 || !v->probabilities)
        return PLN_E_OK; /* the table is one of digits and their ten probabilities */
    if (list->count == list->room) {
        int room = list->room ? 2 * list->room : 8;
        prediction *grown = realloc(list->list, (size_t)room * sizeof *grown);
        if (!grown)
            return error_memory(e);
        list->list = grown;
        list->room = room;
    }
    prediction *p = &list->list[list->count];
    *p = (prediction){.model = m,
                      .row = {.run = m->run,
                              .model = m->label,
                              .image = image,
                              .digit = v->best,
                              .truth = -1,
                              .confidence = v->scores[v->best],
                              .microseconds = v->microseconds,
                              .at = store_now()}};
    for (int64_t i = 0; i < 10; i++)
        p->row.probability[i] = v->scores[i];
    list->count++;
    return PLN_E_OK;
}

static int write_row(store *s, const prediction *p, error *e)
{
    char image[HASH_HEX];
    store_prediction row = p->row;
    if (!p->model->hash[0] && hash_file(p->model->file, p->model->hash, e) != PLN_E_OK)
        return e->status;
    row.model_hash = p->model->hash;
    if (strcmp(row.image, "-") != 0 && hash_file(row.image, image, e) == PLN_E_OK)
        row.image_hash = image;
    return store_predict(s, &row, e);
}

static int write_rows(const char *path, const predictions *list, error *e)
{
    store *s = NULL;
    int status = store_open(path, STORE_WRITE, &s, e);
    for (int i = 0; i < list->count && status == PLN_E_OK; i++)
        status = write_row(s, &list->list[i], e);
    if (!s)
        return status;
    if (status != PLN_E_OK)
        store_close(s, 0, NULL);
    else
        status = store_close(s, DATABASE_WAIT, e);
    return status;
}

void predictions_write(const predictions *list, const char *path)
{
    error e = {0};
    if (list->count && access(path, F_OK) == 0 && write_rows(path, list, &e) != PLN_E_OK)
        fprintf(stderr, "perilune predict: note: the answers were not recorded (--no-record does not try): %s\n",
                e.text);
}
