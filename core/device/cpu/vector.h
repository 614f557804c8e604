/* Vectors of the instruction set that this file is compiled for: V floats each. A lane never meets another lane here: no sum runs across a
 * vector, so the bits of what is computed do not depend on V.
 *   v4: AVX-512 (16 lanes)   v3: AVX2 with fused multiply-add (8)   aarch64: NEON (4)   plain: C's fmaf (1) */
#ifndef DF_CORE_DEVICE_CPU_VECTOR_H
#define DF_CORE_DEVICE_CPU_VECTOR_H
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
/* UNROLL(n): the loop's turns, at most n and known to the compiler, are written out: arrays that they index become registers. */
#if defined(__clang__)
#define UNROLL(n) _Pragma("unroll")
#define UNROLL_TWICE
#else
#define UNROLL_TEXT(text) _Pragma(#text)
#define UNROLL(n)         UNROLL_TEXT(GCC unroll n)
#define UNROLL_TWICE      UNROLL_TEXT(GCC unroll 2)
#endif

/* vmask: the first n lanes, n <= V. v_load_some gives 0 in the others and does not read them; v_store_some leaves them alone. vd: doubles, those
 * of half a vector of floats. */
#if !defined(DF_ISA_PLAIN) && defined(__AVX512F__)
#include <immintrin.h>
enum { V = 16 };
typedef __m512 vf;
typedef __mmask16 vmask;
INLINE vf v_zero(void) { return _mm512_setzero_ps(); }
INLINE vf v_set(float x) { return _mm512_set1_ps(x); }
INLINE vf v_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void v_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
INLINE vmask v_mask(size_t n) { return (vmask)((1u << n) - 1); }
INLINE vf v_load_some(const float *p, vmask m) { return _mm512_maskz_loadu_ps(m, p); }
INLINE void v_store_some(float *p, vmask m, vf v) { _mm512_mask_storeu_ps(p, m, v); }
INLINE vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf v_relu(vf a) { return _mm512_max_ps(_mm512_setzero_ps(), a); } /* a where they are equal, or a is NaN */
INLINE vf v_where_positive(vf y, vf v) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ), v); }
enum { HALVES = 2 };
typedef __m512d vd;
INLINE vd vd_half(vf v, int half) { return _mm512_cvtps_pd(half ? _mm512_extractf32x8_ps(v, 1) : _mm512_castps512_ps256(v)); }
INLINE vd vd_load(const double *p) { return _mm512_loadu_pd(p); }
INLINE void vd_store(double *p, vd v) { _mm512_storeu_pd(p, v); }
INLINE vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
INLINE vd vd_fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
#elif !defined(DF_ISA_PLAIN) && defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
enum { V = 8 };
typedef __m256 vf;
typedef __m256i vmask;
INLINE vf v_zero(void) { return _mm256_setzero_ps(); }
INLINE vf v_set(float x) { return _mm256_set1_ps(x); }
INLINE vf v_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void v_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
INLINE vmask v_mask(size_t n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
INLINE vf v_load_some(const float *p, vmask m) { return _mm256_maskload_ps(p, m); }
INLINE void v_store_some(float *p, vmask m, vf v) { _mm256_maskstore_ps(p, m, v); }
INLINE vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf v_relu(vf a) { return _mm256_max_ps(_mm256_setzero_ps(), a); }
INLINE vf v_where_positive(vf y, vf v) { return _mm256_and_ps(_mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ), v); }
enum { HALVES = 2 };
typedef __m256d vd;
INLINE vd vd_half(vf v, int half) { return _mm256_cvtps_pd(half ? _mm256_extractf128_ps(v, 1) : _mm256_castps256_ps128(v)); }
INLINE vd vd_load(const double *p) { return _mm256_loadu_pd(p); }
INLINE void vd_store(double *p, vd v) { _mm256_storeu_pd(p, v); }
INLINE vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
INLINE vd vd_fma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }
#elif !defined(DF_ISA_PLAIN) && defined(__aarch64__)
#include <arm_neon.h>
enum { V = 4 };
typedef float32x4_t vf;
typedef size_t vmask;
INLINE vf v_zero(void) { return vdupq_n_f32(0); }
INLINE vf v_set(float x) { return vdupq_n_f32(x); }
INLINE vf v_load(const float *p) { return vld1q_f32(p); }
INLINE void v_store(float *p, vf v) { vst1q_f32(p, v); }
INLINE vmask v_mask(size_t n) { return n; }
INLINE vf v_load_some(const float *p, vmask m)
{
    float lane[4] = { 0 };

    memcpy(lane, p, m * sizeof *p);
    return vld1q_f32(lane);
}
INLINE void v_store_some(float *p, vmask m, vf v)
{
    float lane[4];

    vst1q_f32(lane, v);
    memcpy(p, lane, m * sizeof *p);
}
INLINE vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
INLINE vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
INLINE vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
INLINE vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
INLINE vf v_relu(vf a) { return vbslq_f32(vcltzq_f32(a), vdupq_n_f32(0), a); }
INLINE vf v_where_positive(vf y, vf v) { return vbslq_f32(vcgtzq_f32(y), v, vdupq_n_f32(0)); }
enum { HALVES = 2 };
typedef float64x2_t vd;
INLINE vd vd_half(vf v, int half) { return vcvt_f64_f32(half ? vget_high_f32(v) : vget_low_f32(v)); }
INLINE vd vd_load(const double *p) { return vld1q_f64(p); }
INLINE void vd_store(double *p, vd v) { vst1q_f64(p, v); }
INLINE vd vd_add(vd a, vd b) { return vaddq_f64(a, b); }
INLINE vd vd_fma(vd a, vd b, vd c) { return vfmaq_f64(c, a, b); }
#else
enum { V = 1 };
typedef float vf;
typedef size_t vmask;
INLINE vf v_zero(void) { return 0; }
INLINE vf v_set(float x) { return x; }
INLINE vf v_load(const float *p) { return *p; }
INLINE void v_store(float *p, vf v) { *p = v; }
INLINE vmask v_mask(size_t n) { return n; }
INLINE vf v_load_some(const float *p, vmask m) { return m ? *p : 0; }
INLINE void v_store_some(float *p, vmask m, vf v)
{
    if (m)
        *p = v;
}
INLINE vf v_add(vf a, vf b) { return a + b; }
INLINE vf v_fma(vf a, vf b, vf c) { return fmaf(a, b, c); }
INLINE vf v_sub(vf a, vf b) { return a - b; }
INLINE vf v_mul(vf a, vf b) { return a * b; }
INLINE vf v_relu(vf a) { return a < 0 ? 0 : a; }
INLINE vf v_where_positive(vf y, vf v) { return y > 0 ? v : 0; }
enum { HALVES = 1 };
typedef double vd;
INLINE vd vd_half(vf v, int half)
{
    (void)half;
    return v;
}
INLINE vd vd_load(const double *p) { return *p; }
INLINE void vd_store(double *p, vd v) { *p = v; }
INLINE vd vd_add(vd a, vd b) { return a + b; }
INLINE vd vd_fma(vd a, vd b, vd c) { return fma(a, b, c); }
#endif
#endif
