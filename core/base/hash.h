/* 64-bit content hash (XXH64, seed 0), one-shot and streaming. */
#ifndef DF_CORE_BASE_HASH_H
#define DF_CORE_BASE_HASH_H
#include <stddef.h>
#include <stdint.h>

#include "core/base/status.h"

uint64_t df_hash(const void *data, size_t bytes);
struct df_hasher;
struct df_hasher *df_hasher_new(void);
void df_hasher_add(struct df_hasher *hasher, const void *data, size_t bytes);
uint64_t df_hasher_value(const struct df_hasher *hasher);
void df_hasher_free(struct df_hasher *hasher);
char *df_hash_text(char buffer[17], uint64_t hash);                            /* 16 lower-case hex digits; returns buffer */
df_status df_file_hash(const char *path, char text[17], struct df_error *err); /* of all of its contents */
#endif
