/* Philox4x32-10 and what is drawn from it.
 *
 * The layout of a stream: number `index` of row `row` is word index mod 4 of the block at counter
 * (index/4 low, index/4 high, row low, row high).  Uniform numbers use one word each, normal numbers and doubles use
 * words in pairs (2j, 2j+1).
 *
 * Speed: fills work on up to CHUNK blocks at once, in loops that the compiler turns into vectors; on x86-64 there is
 * a second version for AVX2.  Only integer operations, IEEE + - * and square root are used, never contracted, so that
 * the bits are the same with every instruction set and vector width. */
#include "base/random.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/hash.h"

/* Constants of Philox4x32 (Salmon et al., table 2 and section 3.3). */
#define M0     0xD2511F53u
#define M1     0xCD9E8D57u
#define W0     0x9E3779B9u
#define W1     0xBB67AE85u
#define ROUNDS 10

#define CHUNK 64 /* blocks computed at once: 256 numbers, 1 KiB */

#define INLINE static inline __attribute__((always_inline))

random_key random_key_make(uint64_t seed, uint32_t purpose, const char *name)
{
    hash h;
    char hex[HASH_HEX];
    hash_begin(&h);
    hash_integer(&h, (int64_t)seed);
    hash_integer(&h, purpose);
    hash_text(&h, name);
    hash_end(&h, hex);
    random_key key = {{0, 0}};
    for (int i = 0; i < 16; i++) {
        uint32_t digit = (uint32_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
        key.word[i / 8] = key.word[i / 8] << 4 | digit;
    }
    return key;
}

INLINE void philox(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t out[4])
{
#pragma GCC unroll 10
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)M0 * c0, p1 = (uint64_t)M1 * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += W0;
        k1 += W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void random_block(random_key key, const uint32_t counter[4], uint32_t out[4])
{
    philox(key.word[0], key.word[1], counter[0], counter[1], counter[2], counter[3], out);
}

static void block_at(random_key key, uint64_t row, uint64_t block, uint32_t out[4])
{
    philox(key.word[0], key.word[1], (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)row, (uint32_t)(row >> 32),
           out);
}

uint32_t random_bits(random_key key, uint64_t row, uint64_t index)
{
    uint32_t words[4];
    block_at(key, row, index / 4, words);
    return words[index % 4];
}

double random_double(random_key key, uint64_t row, uint64_t index)
{
    uint32_t words[4];
    block_at(key, row, index / 2, words);
    uint64_t high = words[index % 2 * 2] >> 5, low = words[index % 2 * 2 + 1] >> 6; /* 27 and 26 bits */
    return (double)(high << 26 | low) * 0x1p-53;
}

/* ------------------------------------------------------------------------------------------- filling in chunks ---- */

/* The words of blocks first .. first+count-1 in their order.  (The AVX2 version writes whole groups of GROUP blocks: up
 * to GROUP-1 more than asked for.)  The loop carries nothing: the compiler makes it a vector. */
static void chunk_words_plain(random_key key, uint64_t row, uint64_t first, int count, uint32_t words[4 * CHUNK])
{
    uint32_t k0 = key.word[0], k1 = key.word[1], row_low = (uint32_t)row, row_high = (uint32_t)(row >> 32);
    uint32_t low = (uint32_t)first, high = (uint32_t)(first >> 32);
    for (int b = 0; b < count; b++) {
        uint32_t c0 = low + (uint32_t)b;
        philox(k0, k1, c0, high + (c0 < low), row_low, row_high, words + 4 * b);
    }
}

#if defined(__x86_64__)

#define AVX2  __attribute__((target("avx2")))
#define GROUP 8

/* Four blocks, each word of a block in the low half of a 64-bit element: the 32 x 32 -> 64 bit product reads no more,
 * so that the upper halves may hold anything. */
typedef struct four_blocks {
    __m256i c0, c1, c2, c3;
} four_blocks;

AVX2 static inline four_blocks four_counters(uint64_t block, uint64_t row)
{
    __m256i blocks = _mm256_add_epi64(_mm256_set1_epi64x((int64_t)block), _mm256_setr_epi64x(0, 1, 2, 3));
    return (four_blocks){blocks, _mm256_srli_epi64(blocks, 32), _mm256_set1_epi64x((int64_t)row),
                         _mm256_set1_epi64x((int64_t)(row >> 32))};
}

AVX2 static inline four_blocks four_round(four_blocks f, __m256i k0, __m256i k1)
{
    __m256i p0 = _mm256_mul_epu32(f.c0, _mm256_set1_epi64x(M0)), p1 = _mm256_mul_epu32(f.c2, _mm256_set1_epi64x(M1));
    __m256i c0 = _mm256_xor_si256(_mm256_srli_epi64(p1, 32), _mm256_xor_si256(f.c1, k0));
    __m256i c2 = _mm256_xor_si256(_mm256_srli_epi64(p0, 32), _mm256_xor_si256(f.c3, k1));
    return (four_blocks){c0, p1, c2, p0};
}

/* Puts the sixteen words in order. */
AVX2 static inline void four_store(four_blocks f, uint32_t *words)
{
    __m256i pair01 = _mm256_blend_epi32(f.c0, _mm256_slli_epi64(f.c1, 32), 0xaa);
    __m256i pair23 = _mm256_blend_epi32(f.c2, _mm256_slli_epi64(f.c3, 32), 0xaa);
    __m256i even = _mm256_unpacklo_epi64(pair01, pair23), odd = _mm256_unpackhi_epi64(pair01, pair23);
    _mm256_storeu_si256((__m256i *)words, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256((__m256i *)(words + 8), _mm256_permute2x128_si256(even, odd, 0x31));
}

AVX2 static void chunk_words_avx2(random_key key, uint64_t row, uint64_t first, int count, uint32_t words[4 * CHUNK])
{
    __m256i k0[ROUNDS], k1[ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        k0[i] = _mm256_set1_epi64x(key.word[0] + i * W0);
        k1[i] = _mm256_set1_epi64x(key.word[1] + i * W1);
    }
    for (int b = 0; b < count; b += GROUP) { /* two times four blocks hide each other's latency */
        four_blocks f = four_counters(first + (uint64_t)b, row), g = four_counters(first + (uint64_t)b + 4, row);
#pragma GCC unroll 10
        for (int i = 0; i < ROUNDS; i++) {
            f = four_round(f, k0[i], k1[i]);
            g = four_round(g, k0[i], k1[i]);
        }
        four_store(f, words + 4 * b);
        four_store(g, words + 4 * b + 16);
    }
}

#endif

INLINE float unit(uint32_t bits)
{
    return (float)(int32_t)(bits >> 8) * 0x1p-24f;
}

INLINE void chunk_uniform(const uint32_t *restrict words, int count, float *restrict out)
{
    for (int i = 0; i < 4 * count; i++)
        out[i] = unit(words[i]);
}

INLINE float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

INLINE uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* ln u for normal u in (0, 1].  u = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s), s = (m-1)/(m+1),
 * |s| <= 0.1716, by its series up to s^9: the rest is below 2 s^11/11 = 7e-10. */
INLINE float log_unit(float u)
{
    uint32_t bits = bits_of(u);
    uint32_t shifted = bits - 0x3f3504f3u; /* sqrt(1/2) */
    int32_t e = (int32_t)shifted >> 23;
    float m = float_of(bits - ((uint32_t)e << 23));
    float s = (m - 1.0f) / (m + 1.0f), z = s * s;
    float p = 2.0f + z * (2.0f / 3 + z * (2.0f / 5 + z * (2.0f / 7 + z * (2.0f / 9))));
    return (float)e * 0.693147180559945f + s * p;
}

/* Box and Muller (1958): two words make two independent normal numbers, r cos a and r sin a with r = sqrt(-2 ln u),
 * u in (0,1] from the first word's upper 31 bits, a = 2 pi (v - 1/8) with v in [0,1) from the second.
 * The angle is split into its quarter turn (the top two bits) and t in [-1/2, 1/2) of a quarter turn (the next 22), so
 * that sine and cosine need polynomials for |x| <= pi/4 only (minimax; rest 2^-27 and 2^-33). */
INLINE void normal_pair(uint32_t first, uint32_t second, float *even, float *odd)
{
    float u = ((float)(int32_t)(first >> 1) + 0.5f) * 0x1p-31f;
    float r = sqrtf(-2.0f * log_unit(u));
    int32_t within = (int32_t)(second >> 8 & 0x3fffff) - 0x200000;
    float x = (float)within * (1.57079632679489662f * 0x1p-22f), z = x * x;
    float sine = x + x * z * (-0x1.555546p-3f + z * (0x1.110774p-7f + z * -0x1.9951f8p-13f));
    float cosine = 1.0f + z * (-0.5f + z * (0x1.55554ap-5f + z * (-0x1.6c0c28p-10f + z * 0x1.99e810p-16f)));
    /* Turning by a quarter: (c, s) -> (-s, c); by a half: both change sign. */
    uint32_t quarter = second >> 30, swap = 0u - (quarter & 1), half = (quarter & 2) << 30;
    uint32_t c = bits_of(cosine), s = bits_of(sine);
    uint32_t turned_c = ((c & ~swap) | ((s ^ 0x80000000u) & swap)) ^ half;
    uint32_t turned_s = ((s & ~swap) | (c & swap)) ^ half;
    *even = r * float_of(turned_c);
    *odd = r * float_of(turned_s);
}

INLINE void chunk_normal(const uint32_t *restrict words, int count, float *restrict out)
{
    for (int i = 0; i < 2 * count; i++)
        normal_pair(words[2 * i], words[2 * i + 1], &out[2 * i], &out[2 * i + 1]);
}

typedef struct fill {
    random_key key;
    uint64_t row, first, n;
    float *out;
} fill;

typedef void words_version(random_key key, uint64_t row, uint64_t first, int count, uint32_t words[4 * CHUNK]);
typedef void shape_version(const uint32_t *restrict words, int count, float *restrict out);

/* Chunk by chunk; the ends of the range, which may cut a block, go through a buffer. */
INLINE void fill_with(fill f, words_version *make_words, shape_version *shape)
{
    uint32_t words[4 * CHUNK];
    float buffer[4 * CHUNK];
    while (f.n > 0) {
        uint64_t skip = f.first % 4, there = 4 * CHUNK - skip;
        uint64_t take = f.n < there ? f.n : there;
        int count = (int)((skip + take + 3) / 4);
        int whole = skip == 0 && take % 4 == 0;
        float *target = whole ? f.out : buffer;
        make_words(f.key, f.row, f.first / 4, count, words);
        shape(words, count, target);
        if (!whole)
            memcpy(f.out, buffer + skip, take * sizeof(float));
        f.out += take;
        f.first += take;
        f.n -= take;
    }
}

static void fill_uniform_plain(fill f)
{
    fill_with(f, chunk_words_plain, chunk_uniform);
}

static void fill_normal_plain(fill f)
{
    fill_with(f, chunk_words_plain, chunk_normal);
}

#if defined(__x86_64__)

AVX2 static void fill_uniform_avx2(fill f)
{
    fill_with(f, chunk_words_avx2, chunk_uniform);
}

AVX2 static void fill_normal_avx2(fill f)
{
    fill_with(f, chunk_words_avx2, chunk_normal);
}

#define CHOOSE(name) (__builtin_cpu_supports("avx2") ? name##_avx2 : name##_plain)
#else
#define CHOOSE(name) name##_plain
#endif

void random_fill_uniform(random_key key, uint64_t row, uint64_t first, uint64_t n, float *out)
{
    CHOOSE(fill_uniform)((fill){key, row, first, n, out});
}

void random_fill_normal(random_key key, uint64_t row, uint64_t first, uint64_t n, float *out)
{
    CHOOSE(fill_normal)((fill){key, row, first, n, out});
}

/* ------------------------------------------------------------------------------------------------ permutations ---- */

#define FEISTEL_ROUNDS 8
#define PERMUTE_INDEX  UINT64_MAX /* counters of the round keys: where no fill gets to */

/* A mixer of 32 bits (the finaliser of MurmurHash3, by Austin Appleby, public domain) with a key put in front. */
static uint32_t mix(uint32_t x, uint32_t key)
{
    x ^= key;
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ x >> 16;
}

/* Half the bits of the smallest even power of two >= n. */
static int half_bits(uint64_t n)
{
    int half = 1;
    while (half < 32 && (UINT64_C(1) << (2 * half)) < n)
        half++;
    return half;
}

uint64_t random_permute(random_key key, uint64_t row, uint64_t n, uint64_t index)
{
    uint32_t keys[FEISTEL_ROUNDS];
    for (int i = 0; i < FEISTEL_ROUNDS / 4; i++)
        block_at(key, row, PERMUTE_INDEX - (uint64_t)i, keys + 4 * i);
    int half = half_bits(n);
    uint32_t mask = (uint32_t)((UINT64_C(1) << half) - 1);
    uint64_t at = index;
    if (index >= n)
        return index;
    do {
        uint32_t left = (uint32_t)(at >> half), right = (uint32_t)at & mask;
        for (int i = 0; i < FEISTEL_ROUNDS; i++) {
            /* The upper bits of the mixer decide also where only one or two bits are kept. */
            uint32_t next = left ^ (mix(right, keys[i]) >> (32 - half) & mask);
            left = right;
            right = next;
        }
        at = (uint64_t)left << half | right;
    } while (at >= n);
    return at;
}
