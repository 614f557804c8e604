/* Flat records out of a JSON file of any size, through yajl: the file is one array of records, or an object whose known members are arrays
 * of records; the fields that are asked for are checked for their type, all else is skipped. Used by coco_json.c only. */
#ifndef DF_CORE_DATA_RECORD_STREAM_H
#define DF_CORE_DATA_RECORD_STREAM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/base/status.h"

enum df_field_type {
    DF_FIELD_INT,  /* exact 64-bit; 1.0 is accepted */
    DF_FIELD_REAL, /* finite */
    DF_FIELD_TEXT, /* UTF-8 without NUL */
    DF_FIELD_BOX,  /* four finite numbers */
    DF_FIELD_FLAG, /* 0, 1; true and false are accepted and counted */
    /* What may be anything: */
    DF_FIELD_SIZE, /* exact 64-bit; null counts as absent */
    DF_FIELD_NAME, /* UTF-8 without NUL; whatever is no string counts as absent */
    DF_FIELD_HINT  /* 1 where it is true or a number other than 0 */
};

struct df_field {
    const char *name;
    enum df_field_type type;
};

struct df_value {
    union {
        int64_t integer;
        double real, box[4];
        const char *text; /* in the stream's arena */
    };
};

enum { DF_RECORD_FIELDS = 8 };
struct df_record {
    size_t position, line; /* of the record, both from 1 */
    unsigned seen;         /* bit f: field f is there */
    bool odd_flag;         /* a flag was true or false */
    struct df_value value[DF_RECORD_FIELDS];
};

struct df_stream;
struct df_section {
    const char *name;             /* member of the root object; NULL: the root itself is the array */
    const char *record;           /* what a record is called in messages */
    const struct df_field *field; /* ends with a NULL name; at most DF_RECORD_FIELDS */
    df_status (*add)(void *context, const struct df_record *record, struct df_stream *stream);
    void (*clear)(void *context); /* the member came a second time: forget what the first had */
};

struct df_stream_seen {
    unsigned sections; /* one bit per section that was there */
    uint64_t hash;     /* of the bytes */
};
/* Reads path. A member given twice counts once, the last, with a warning. */
df_status df_stream_read(const char *path, const struct df_section *sections, void *context, struct df_arena *memory,
                         struct df_stream_seen *out, struct df_error *err);
/* For `add`: fails with the file, the line and the record before the message. */
df_status df_stream_fail(struct df_stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
#endif
