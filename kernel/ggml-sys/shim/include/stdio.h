// Declarations only: what calls these is never linked.
#pragma once
#include <stddef.h>

typedef struct barellama_no_file FILE;
extern FILE *stderr;
int fprintf(FILE *stream, const char *format, ...);
int printf(const char *format, ...);
