/* Chooses the version of the element-wise functions that this CPU runs. */
#include "kernels/map.h"

#include "base/error.h"
#include "kernels/kernels.h"

int map_run(uint32_t op, int64_t n, const float *x, float *out)
{
    typedef void map_version(uint32_t op, int64_t n, const float *x, float *out);
    static map_version *const versions[ISA_COUNT] = KERNEL_TABLE(map_all);
    if (op < PLN_MAP_EXP || op > PLN_MAP_COS)
        return PLN_E_INVALID;
    versions[kernels_isa()](op, n, x, out);
    return PLN_OK;
}
