/* What map_run must give, one number at a time, with no vector and no choice of version. */
#include "base/error.h"
#include "kernels/kernels.h"
#include "kernels/map_formulas.h"

static float map_one(uint32_t op, float x)
{
    switch (op) {
    case PLN_MAP_EXP:
        return map_exp_1(x);
    case PLN_MAP_LOG:
        return map_log_1(x);
    case PLN_MAP_TANH:
        return map_tanh_1(x);
    case PLN_MAP_ERF:
        return map_erf_1(x);
    case PLN_MAP_SIGMOID:
        return map_sigmoid_1(x);
    case PLN_MAP_EXPM1:
        return map_expm1_1(x);
    case PLN_MAP_LOG1P:
        return map_log1p_1(x);
    case PLN_MAP_SIN:
        return map_sin_1(x);
    default:
        return map_cos_1(x);
    }
}

int map_ref(uint32_t op, int64_t n, const float *x, float *out)
{
    if (op < PLN_MAP_EXP || op > PLN_MAP_COS)
        return PLN_E_INVALID;
    for (int64_t i = 0; i < n; i++)
        out[i] = map_one(op, x[i]);
    return PLN_OK;
}
