// The few functions of math.h that ggml's kernels use; most become instructions, the rest is in Rust's compiler_builtins.
#pragma once

#define INFINITY __builtin_inff()
#define isfinite(x) __builtin_isfinite(x)
#define isinf(x) __builtin_isinf(x)
#define isnan(x) __builtin_isnan(x)

float expf(float);
float fabsf(float);
float floorf(float);
float fmaxf(float, float);
float fminf(float, float);
float ldexpf(float, int);
float log2f(float);
float logf(float);
float powf(float, float);
float roundf(float);
float sqrtf(float);
float tanhf(float);
long lroundf(float);
