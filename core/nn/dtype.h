/* Numbers as safetensors files hold them, little endian: F64, F32, F16 (IEEE 754 binary16) and BF16. */
#ifndef DF_CORE_NN_DTYPE_H
#define DF_CORE_NN_DTYPE_H
#include <stddef.h>
#include <stdint.h>

size_t df_dtype_bytes(const char *dtype); /* of one number; 0: none of the four */
/* The number at `at`, which need not be aligned. F64 is rounded to float. */
float df_dtype_value(const char *dtype, const char *at);
/* The nearest binary16, ties to even; beyond 65504 (from 65520 on) an infinity. */
uint16_t df_half(float value);
float df_half_value(uint16_t bits);
#endif
