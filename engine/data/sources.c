/* Where data sets come from: why in one table.
 *
 * A known set is a name, a folder, class names, a loader and a place where it is published.  Adding one is a row here.
 * A set that is nowhere is the first thing that a newcomer meets, so its message says where was looked and what to do.
 */
#include "data/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "data/file.h"
#include "data/loaders.h"

#define PLACES 3

static const char *const digit_names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", NULL};
static const char *const fashion_names[] = {"T-shirt/top", "Trouser", "Pullover", "Dress",      "Coat", "Sandal",
                                            "Shirt",       "Sneaker", "Bag",      "Ankle boot", NULL};
static const char *const cifar_names[] = {"airplane", "automobile", "bird", "cat",   "deer", "dog",
                                          "frog",     "horse",      "ship", "truck", NULL};

typedef struct known_set {
    picture_set set;
    const char *folder;
    int (*present)(const char *folder);
    int (*load)(const picture_set *of, const char *folder, const char *part, dataset **set, error *e);
    const char *get; /* how to get it */
} known_set;

static const known_set known[] = {
    {{"mnist", digit_names, 10},
     "mnist",
     idx_present,
     idx_load,
     "download train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
     "t10k-labels-idx1-ubyte.gz "
     "from https://ossci-datasets.s3.amazonaws.com/mnist/ into one of these folders, or use the built-in drawn digits "
     "(lab.data.digits), which need no files"},
    {{"fashion-mnist", fashion_names, 10},
     "fashion-mnist",
     idx_present,
     idx_load,
     "download train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
     "t10k-labels-idx1-ubyte.gz "
     "from https://github.com/zalandoresearch/fashion-mnist (data/fashion) into one of these folders"},
    {{"cifar10", cifar_names, 10},
     "cifar-10-batches-bin",
     cifar_present,
     cifar_load,
     "download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz and unpack it into the folder above one of "
     "these"},
};

static const known_set *known_find(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].set.name, name) == 0 || strcmp(known[i].folder, name) == 0)
            return &known[i];
    return NULL;
}

/* Place number i (0 .. PLACES-1) for a folder; 0 when the environment does not name it. */
static int place_path(int i, const char *folder, char path[FILE_PATH])
{
    const char *named = getenv("PERILUNE_DATA"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n = -1;
    if (i == 0 && named && *named)
        n = snprintf(path, FILE_PATH, "%s/%s", named, folder);
    else if (i == 1)
        n = snprintf(path, FILE_PATH, "./data/%s", folder);
    else if (i == 2 && data && data[0] == '/')
        n = snprintf(path, FILE_PATH, "%s/perilune/%s", data, folder);
    else if (i == 2 && home && home[0] == '/')
        n = snprintf(path, FILE_PATH, "%s/.local/share/perilune/%s", home, folder);
    return n > 0 && n < FILE_PATH;
}

static int known_place(const known_set *k, char path[FILE_PATH])
{
    for (int i = 0; i < PLACES; i++)
        if (place_path(i, k->folder, path) && k->present(path))
            return 1;
    return 0;
}

static int known_missing(const known_set *k, error *e)
{
    text places = {0};
    char path[FILE_PATH];
    for (int i = 0; i < PLACES; i++)
        if (place_path(i, k->folder, path))
            text_format(&places, "  %s%s\n", path, i == 0 ? "   ($PERILUNE_DATA)" : "");
    if (places.failed) {
        text_free(&places);
        return error_memory(e);
    }
    int status =
        error_set(e, PLN_E_MISSING,
                  "data set %s was not found. Looked in\n%sSet PERILUNE_DATA to the folder that holds %s/, or %s.",
                  k->set.name, places.bytes, k->folder, k->get);
    text_free(&places);
    return status;
}

/* Loads the wanted parts of a known set. */
static int known_load(const known_set *k, const char *folder, dataset **train, dataset **test, error *e)
{
    char found[FILE_PATH];
    dataset *first = NULL;
    int status = PLN_E_OK;
    if (!folder) {
        if (!known_place(k, found))
            return known_missing(k, e);
        folder = found;
    }
    if (train)
        status = k->load(&k->set, folder, "train", &first, e);
    if (!status && test)
        status = k->load(&k->set, folder, "test", test, e);
    if (status) {
        dataset_free(first);
        return status;
    }
    if (train)
        *train = first;
    return PLN_E_OK;
}

int source_idx(const char *name, const char *folder, dataset **train, dataset **test, error *e)
{
    const known_set *k = known_find(name);
    if (!k || k->load != idx_load)
        return error_set(e, PLN_E_INVALID, "no data set of IDX files is called '%s'; mnist and fashion-mnist are known",
                         name);
    return known_load(k, folder, train, test, e);
}

int source_cifar10(const char *folder, dataset **train, dataset **test, error *e)
{
    return known_load(known_find("cifar10"), folder, train, test, e);
}

int source_find(const char *name, char *where, size_t size)
{
    const known_set *k = known_find(name);
    char path[FILE_PATH];
    if (!k || !known_place(k, path) || strlen(path) >= size)
        return 0;
    memcpy(where, path, strlen(path) + 1);
    return 1;
}
