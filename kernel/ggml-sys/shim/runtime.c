// What the kernels need beyond themselves: sizes of ggml's blocks for the test of the type table, and a failed assertion.

#define GGML_COMMON_DECL_C
#include "ggml-common.h"
#include "ggml.h"

_Noreturn void barellama_ggml_assertion_failed(int line);

_Noreturn void ggml_abort(const char *file, int line, const char *format, ...) {
    (void) file;
    (void) format;
    barellama_ggml_assertion_failed(line);
}

#define BLOCK(type, name, elements) case type: return (uint64_t) (elements) << 32 | sizeof(block_##name)

uint64_t barellama_ggml_block(uint32_t type) {
    switch (type) {
        BLOCK(GGML_TYPE_Q4_0, q4_0, QK4_0);
        BLOCK(GGML_TYPE_Q4_1, q4_1, QK4_1);
        BLOCK(GGML_TYPE_Q5_0, q5_0, QK5_0);
        BLOCK(GGML_TYPE_Q5_1, q5_1, QK5_1);
        BLOCK(GGML_TYPE_Q8_0, q8_0, QK8_0);
        BLOCK(GGML_TYPE_Q8_1, q8_1, QK8_1);
        BLOCK(GGML_TYPE_Q2_K, q2_K, QK_K);
        BLOCK(GGML_TYPE_Q3_K, q3_K, QK_K);
        BLOCK(GGML_TYPE_Q4_K, q4_K, QK_K);
        BLOCK(GGML_TYPE_Q5_K, q5_K, QK_K);
        BLOCK(GGML_TYPE_Q6_K, q6_K, QK_K);
        BLOCK(GGML_TYPE_Q8_K, q8_K, QK_K);
        BLOCK(GGML_TYPE_IQ2_XXS, iq2_xxs, QK_K);
        BLOCK(GGML_TYPE_IQ2_XS, iq2_xs, QK_K);
        BLOCK(GGML_TYPE_IQ3_XXS, iq3_xxs, QK_K);
        BLOCK(GGML_TYPE_IQ1_S, iq1_s, QK_K);
        BLOCK(GGML_TYPE_IQ4_NL, iq4_nl, QK4_NL);
        BLOCK(GGML_TYPE_IQ3_S, iq3_s, QK_K);
        BLOCK(GGML_TYPE_IQ2_S, iq2_s, QK_K);
        BLOCK(GGML_TYPE_IQ4_XS, iq4_xs, QK_K);
        BLOCK(GGML_TYPE_IQ1_M, iq1_m, QK_K);
        BLOCK(GGML_TYPE_TQ1_0, tq1_0, QK_K);
        BLOCK(GGML_TYPE_TQ2_0, tq2_0, QK_K);
        BLOCK(GGML_TYPE_MXFP4, mxfp4, QK_MXFP4);
        BLOCK(GGML_TYPE_NVFP4, nvfp4, QK_NVFP4);
        BLOCK(GGML_TYPE_Q1_0, q1_0, QK1_0);
        BLOCK(GGML_TYPE_Q2_0, q2_0, QK2_0);
        default: return 0;
    }
}

#ifdef BARELLAMA_SANITIZE
// Sanitized code keeps functions that nothing calls, and with them what they call: ggml's own rows and names.

size_t ggml_row_size(enum ggml_type type, int64_t elements) {
    (void) type;
    (void) elements;
    ggml_abort(__FILE__, __LINE__, "never called");
}

size_t ggml_type_size(enum ggml_type type) {
    return ggml_row_size(type, 0);
}

const char *ggml_type_name(enum ggml_type type) {
    (void) type;
    ggml_abort(__FILE__, __LINE__, "never called");
}
#endif
