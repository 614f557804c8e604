/* Files: read whole, write whole (temporary name + fsync + rename), folders, locks. */
#ifndef DF_CORE_BASE_FILE_H
#define DF_CORE_BASE_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/base/status.h"

/* Reads all of path into a new 0-terminated buffer (free() it). limit: most bytes accepted, 0 = 4 GiB. */
df_status df_file_read(const char *path, size_t limit, char **data, size_t *bytes, struct df_error *err);
/* fopen. Where it is memory that is missing, and not the file, the program ends: nobody goes on as if there was no such file. */
FILE *df_file_open(const char *path, const char *mode);
/* Replaces path as a whole: a reader sees the old or the new contents, never a part. */
df_status df_file_write(const char *path, const void *data, size_t bytes, struct df_error *err);
/* The end of such a write: fd, which wrote all of `part`, is synced and closed, and part takes path's name. On failure part stays. */
df_status df_file_put(int fd, const char *part, const char *path, struct df_error *err);
/* Whether a file is called as df_file_write calls one until it is whole. Its writer holds a lock on it: who gets the lock has found what a process that was
 * killed has left, unless the file is younger than a moment. */
bool df_file_is_unfinished(const char *name);
/* False: there is none. What cannot be looked at is not absent: whoever opens it then says why. */
bool df_file_exists(const char *path);
bool df_folder_is(const char *path); /* there, and a folder */
/* Its size, without opening it; DF_ERR_NOT_FOUND where there is none. What cannot be looked at is not absent but an error. */
df_status df_file_size(const char *path, size_t *bytes, struct df_error *err);
df_status df_file_remove(const char *path, struct df_error *err); /* absent is fine */
/* The names in a folder but for "." and "..", sorted, ended by NULL: df_names_free. */
df_status df_folder_list(const char *path, char ***names, struct df_error *err);
void df_names_free(char **names);
df_status df_folder_make(const char *path, struct df_error *err); /* with its parents; existing is fine */
/* Exclusive advisory lock (flock) on path, created if missing. Blocks unless try_only (then *fd = -1 if held by another);
 * a signal does not end the wait. On a file system without locks nobody waits: a warning says so, once. */
df_status df_lock(const char *path, bool try_only, int *fd, struct df_error *err);
void df_unlock(int fd);
/* Joins with one '/', newly allocated. An absolute b is returned alone. */
char *df_path_join(const char *a, const char *b);
char *df_path_folder(const char *path); /* "a" of "a/b", "." of "b"; newly allocated */
/* `path` as somebody in `folder` calls it, newly allocated: "../../data" for "a/data" and "a/out/x"; "." for the folder itself. Both must be there. */
df_status df_path_from(const char *path, const char *folder, char **out, struct df_error *err);
double df_now(void);                  /* monotonic seconds */
void df_utc(char buffer[24]);         /* "2026-01-31T23:59:59Z" */
size_t df_anonymous_peak_bytes(void); /* peak anonymous resident memory of this process as far as sampled; samples on each call */
#endif
