/* Libraries, the machine, and how fast its products are. */
#include <jansson.h>
#include <lua.h>
#include <nettle/version.h>
#include <png.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <zlib.h>

#include "base/cpus.h"
#include "base/lanes.h"
#include "cli/doctor.h"
#include "kernels/kernels.h"

#ifndef PERILUNE_VERSION
#define PERILUNE_VERSION "?"
#endif

#define SIDE    512 /* of the matrices that are multiplied */
#define SECONDS 0.2 /* of measuring, for each number of lanes */

/* ------------------------------------------------------------------------------------------- libraries ---- */

/* Compares "3.40.1" with "3.37": the version found, and the least wanted. */
static int is_older(const char *found, const char *wanted)
{
    for (int i = 0; i < 3; i++) {
        long a = strtol(found, (char **)(uintptr_t)&found, 10), b = strtol(wanted, (char **)(uintptr_t)&wanted, 10);
        if (a != b)
            return a < b;
        if (*found != '.' || *wanted != '.')
            return 0;
        found++;
        wanted++;
    }
    return 0;
}

static void add_library(findings *f, const char *name, const char *found, const char *wanted)
{
    char words[64];
    int old = is_older(found, wanted);
    snprintf(words, sizeof words, "%s or newer", wanted);
    finding_add(f, old ? FINDING_BAD : FINDING_GOOD, name, words, "%s", found);
}

void doctor_libraries(findings *f)
{
    char lua[32], nettle[32];
    snprintf(lua, sizeof lua, "%d.%d", LUA_VERSION_NUM / 100, LUA_VERSION_NUM % 100);
    snprintf(nettle, sizeof nettle, "%d.%d", nettle_version_major(), nettle_version_minor());
    finding_add(f, FINDING_GOOD, "perilune", NULL, "%s, compiled by %s", PERILUNE_VERSION,
#ifdef __clang__
                __VERSION__
#else
                "gcc " __VERSION__
#endif
    );
    if (lua_version(NULL) == LUA_VERSION_NUM)
        finding_add(f, FINDING_GOOD, "Lua", "5.4", "%s (%s)", lua, LUA_RELEASE);
    else
        finding_add(f, FINDING_BAD, "Lua", "5.4", "the library is another version than the header, %s", LUA_RELEASE);
    add_library(f, "SQLite", sqlite3_libversion(), "3.37");
    add_library(f, "libpng", png_get_libpng_ver(NULL), "1.6");
    add_library(f, "zlib", zlibVersion(), "1.2");
    add_library(f, "nettle", nettle, "3.4");
    add_library(f, "jansson", jansson_version_str(), "2.13");
}

/* --------------------------------------------------------------------------------------------- machine ---- */

/* The processor's name, from Linux; the machine's type where it has none. */
static void read_processor(char *out, size_t size)
{
    char line[256];
    struct utsname u;
    FILE *f = fopen("/proc/cpuinfo", "re");
    snprintf(out, size, "%s", uname(&u) == 0 ? u.machine : "?");
    while (f && fgets(line, sizeof line, f)) {
        char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !value)
            continue;
        value += 1 + strspn(value + 1, " \t");
        value[strcspn(value, "\n")] = 0;
        snprintf(out, size, "%s", value);
        break;
    }
    if (f)
        fclose(f);
}

void doctor_machine(findings *f)
{
    char name[160];
    int cores = cpus_affinity(), usable = lanes_available();
    read_processor(name, sizeof name);
    if (usable < cores)
        finding_add(f, FINDING_NOTE, "processor", NULL, "%s; %d cores, of which a quota leaves %d to this process",
                    name, cores, usable);
    else
        finding_add(f, FINDING_GOOD, "processor", NULL, "%s; %d core%s", name, cores, cores == 1 ? "" : "s");
}

/* ----------------------------------------------------------------------------------------------- speed ---- */

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* GFLOP/s of the best product within SECONDS; 0 when it could not be done. */
static double measure(lanes *pool, const pln_gemm *g)
{
    double begin = now_seconds(), best = 0;
    while (now_seconds() - begin < SECONDS) {
        double at = now_seconds();
        if (gemm_run(pool, g) != PLN_OK)
            return 0;
        double rate = 2e-9 * SIDE * SIDE * SIDE / (now_seconds() - at);
        best = rate > best ? rate : best;
    }
    return best;
}

static void fill(pln_tensor *t, float *data)
{
    *t = (pln_tensor){.size = PLN_SIZE_TO(pln_tensor, host),
                      .dtype = PLN_F32,
                      .rank = 2,
                      .data = data,
                      .shape = {SIDE, SIDE},
                      .stride = {SIDE, 1}};
    for (int i = 0; i < SIDE * SIDE; i++)
        data[i] = (float)(i % 251) * 0.004f - 0.5f;
}

void doctor_speed(findings *f)
{
    error e;
    pln_tensor t[3];
    lanes *pool = NULL;
    int all = lanes_available();
    size_t bytes = sizeof(float) * SIDE * SIDE;
    float *memory = aligned_alloc(64, 3 * bytes);
    if (!memory || lanes_open(all, &pool, &e) != PLN_E_OK) {
        free(memory);
        f->failed = 1;
        return;
    }
    for (int i = 0; i < 3; i++)
        fill(&t[i], memory + (size_t)i * SIDE * SIDE);
    pln_gemm g = {.size = PLN_SIZE_TO(pln_gemm, colsum),
                  .m = SIDE,
                  .n = SIDE,
                  .k = SIDE,
                  .a = &t[0],
                  .b = &t[1],
                  .c = &t[2],
                  .lda = SIDE,
                  .ldb = SIDE,
                  .ldc = SIDE,
                  .alpha = 1};
    double one = measure(NULL, &g), many = all > 1 ? measure(pool, &g) : 0;
    int slow = !strcmp(kernels_name(), "plain");
    if (one == 0)
        finding_add(f, FINDING_BAD, "kernels", NULL, "%s: a product of %d x %d matrices failed", kernels_name(), SIDE,
                    SIDE);
    else if (many > 0)
        finding_add(f, slow ? FINDING_NOTE : FINDING_GOOD, "kernels", slow ? "avx2 or avx512" : NULL,
                    "%s; %.0f GFLOP/s on 1 thread, %.0f on %d", kernels_name(), one, many, all);
    else
        finding_add(f, slow ? FINDING_NOTE : FINDING_GOOD, "kernels", slow ? "avx2 or avx512" : NULL,
                    "%s; %.0f GFLOP/s", kernels_name(), one);
    lanes_close(pool);
    free(memory);
}
