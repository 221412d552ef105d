#include "kernels/gemm_version.h"

#define VERSION(suffix, panel)                                                                                         \
    {                                                                                                                  \
        panel, gemm_block_run_##suffix, gemm_pack_##suffix, gemm_turn_##suffix, gemm_gather_##suffix,                  \
            gemm_column_sums_##suffix                                                                                  \
    }

static const gemm_version versions[] = {
    VERSION(plain, 8),
#if defined(__x86_64__)
    VERSION(avx2, 16),
    VERSION(avx512, 32),
#endif
};

const gemm_version *gemm_version_now(void)
{
    return &versions[kernels_isa()];
}
