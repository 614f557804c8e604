/* The teacher cache file: every record of a training set (each image, and its mirror image where the schedule flips), written once, mapped
 * read-only and shared by all processes.
 *
 *   0            header (struct, hashed), padded to a page
 *   index        count x { offset, bytes, XXH64 } of each record, padded to a page
 *   records      as long as each is; record 2 i is image i, 2 i + 1 its mirror image (i alone without flips)
 *
 * The key is in the name and in the header. A file is complete or absent: it is written under a name of its own, synced and renamed. */
#ifndef DF_ABLATIONS_RUN_CACHE_H
#define DF_ABLATIONS_RUN_CACHE_H
#include "ablations/run/record.h"

struct df_cache_writer;
df_status df_cache_create(const char *path, const char *key, size_t count, struct df_cache_writer **out, struct df_error *err);
/* In any order, each once; a record begins with its layout. */
df_status df_cache_put(struct df_cache_writer *writer, size_t i, const void *record, struct df_error *err);
df_status df_cache_finish(struct df_cache_writer *writer, struct df_error *err);   /* frees the writer, also on failure */
void df_cache_abandon(struct df_cache_writer *writer);                             /* removes the unfinished file; NULL is fine */
uint64_t df_cache_bytes(uint64_t record_bytes /* of all records */, size_t count); /* size of the whole file */

struct df_cache;
/* Refuses (DF_ERR_STALE) a file of another key, version or count, and (DF_ERR_FORMAT) a torn one. */
df_status df_cache_open(const char *path, const char *key, size_t count, struct df_cache **out, struct df_error *err);
void df_cache_close(struct df_cache *cache);
/* The first time a record is asked for its checksum is compared. */
df_status df_cache_record(struct df_cache *cache, size_t i, const struct df_record_layout **record, struct df_error *err);
/* Opens it and compares every checksum. */
df_status df_cache_verify(const char *path, const char *key, size_t count, struct df_error *err);
/* For `defeat inspect`: what the header says, and all checksums when `verify`. */
bool df_cache_is(const char *path);
df_status df_cache_describe(const char *path, bool verify, struct df_text *out, struct df_error *err);
#endif
