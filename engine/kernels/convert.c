/* Chooses the version of the conversions that this CPU runs. */
#include "kernels/kernels.h"
#include "kernels/map.h"

void convert_u8(int64_t n, const uint8_t *x, float scale, float shift, float *out)
{
    typedef void convert_version(int64_t n, const uint8_t *x, float scale, float shift, float *out);
    static convert_version *const versions[ISA_COUNT] = KERNEL_TABLE(convert_u8);
    versions[kernels_isa()](n, x, scale, shift, out);
}
