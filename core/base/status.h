/* How functions fail. A function that can fail returns df_status and, if `err` is not NULL, leaves a message in it that names the
 * file, the place in it, what was found, what was expected and, in brackets, what to do. On failure object pointers are NULL and
 * every other out-parameter is untouched. */
#ifndef DF_CORE_BASE_STATUS_H
#define DF_CORE_BASE_STATUS_H

typedef enum {
    DF_OK = 0,
    DF_ERR_USAGE,       /* the caller's words are off: unknown name, bad option value */
    DF_ERR_FORMAT,      /* a file's contents are not what its format says */
    DF_ERR_IO,          /* the operating system refused */
    DF_ERR_NOT_FOUND,   /* a file or a named thing does not exist */
    DF_ERR_UNSUPPORTED, /* understood, but this build or method cannot do it */
    DF_ERR_STALE,       /* belongs to other data, another teacher or another version */
    DF_ERR_CHECK,       /* a check said no (the teacher gate, `--check`) */
    DF_ERR_INTERRUPTED  /* stopped by the user; can be resumed */
} df_status;

struct df_error {
    df_status status;
    char text[2048];
};

/* Fills err (which may be NULL) and returns status, so that `return df_fail(...)` reads as one thing. */
df_status df_fail(struct df_error *err, df_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message already in err; returns err's status (status when err is NULL). */
df_status df_fail_in(struct df_error *err, df_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Where it is fine that something is not there: DF_OK in place of DF_ERR_NOT_FOUND, and err as if nothing had been said. */
df_status df_absent_is_fine(df_status status, struct df_error *err);

#define DF_TRY(call)                                                                                                                       \
    do {                                                                                                                                   \
        const df_status df_try_ = (call);                                                                                                  \
        if (df_try_ != DF_OK)                                                                                                              \
            return df_try_;                                                                                                                \
    } while (0)

/* Our own bug: prints file, line and text, and aborts. Never for what a user can cause. Stays on in release builds. */
#define DF_ASSERT(condition) ((condition) ? (void)0 : df_bug(__FILE__, __LINE__, #condition))
_Noreturn void df_bug(const char *file, int line, const char *text);

/* malloc/calloc/realloc that never return NULL: on exhaustion they end the program as df_out_of_memory does. cJSON, yajl, libcsv and libpng are
 * given them, too: nothing goes on with a part of what it read. */
void *df_malloc(unsigned long bytes);
void *df_calloc(unsigned long count, unsigned long bytes);
void *df_realloc(void *old, unsigned long bytes);
char *df_strdup(const char *text);
/* Prints what was asked for (0: a library says no more than that it failed), removes the unfinished file, and exits with 1. */
_Noreturn void df_out_of_memory(unsigned long bytes);
/* A file that is being written under this temporary name, for df_out_of_memory; NULL: none any more. The text stays the caller's. */
void df_unfinished_file(const char *path);

/* Errors and warnings are for a terminal: whatever names they quote, control characters in them are shown as df_shown shows them. */
/* Warnings for the user (a box skipped, a cache turned off). The default sink writes "warning: ..." to stderr; the command line
 * may replace it. Never used for errors. */
typedef void df_warn_fn(void *context, const char *text);
void df_warn_set(df_warn_fn *fn, void *context);
void df_warn_print(const char *text); /* the default sink's line */
/* What the default sink calls before it writes a line to stderr: whoever holds a line there takes it away. */
void df_warn_makes_room(void (*fn)(void));
void df_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
#endif
