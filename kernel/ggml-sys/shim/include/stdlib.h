// Declarations only: what calls these is never linked.
#pragma once
#include <stddef.h>

void *malloc(size_t bytes);
void free(void *memory);
void qsort(void *base, size_t count, size_t bytes, int (*compare)(const void *, const void *));
_Noreturn void abort(void);
