/* Checkpoints: safetensors files. 8 bytes: length of the header, little endian; the header: a JSON object {name: {dtype, shape,
 * data_offsets}}, padded with spaces to a multiple of 8; then the tensors without holes. A header is believed only after every tensor's
 * extent has been checked against its shape, its neighbours and the file's size; nothing is loaded before everything fits.
 * Format: github.com/huggingface/safetensors, README, section "Format" (header at most 100 MB). */
#include "core/nn/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/nn/dtype.h"
#include "core/nn/safetensors.h"

#define HEADER_LIMIT 100000000
#define RANK_LIMIT   8
#define HASH_KEY     "contents_hash"
#define NO_HASH      "0000000000000000"
#define WRITER_KEY   "writer" /* a file that says this must have the hash: a damaged key is noticed, too */
#define WRITER       "defeat"
#define REMAKE       "[one of this program's own: remove it, it is made again]"
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data is little endian");

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = { { "F32", 4 }, { "F64", 8 }, { "F16", 2 }, { "BF16", 2 }, { "I64", 8 },  { "I32", 4 },     { "I16", 2 },    { "I8", 1 },
               { "U64", 8 }, { "U32", 4 }, { "U16", 2 }, { "U8", 1 },   { "BOOL", 1 }, { "F8_E4M3", 1 }, { "F8_E5M2", 1 } };

/* ---- what a parameter is in a file ---- */

/* PyTorch's shape; returns its rank */
size_t df_stored_shape(const struct df_parameter *item, size_t shape[4])
{
    const df_shape s = item->shape;

    switch (item->kind) {
    case DF_CONV_WEIGHT:
        shape[0] = s.n, shape[1] = s.c, shape[2] = s.h, shape[3] = s.w;
        return 4;
    case DF_LINEAR_WEIGHT:
        shape[0] = s.n, shape[1] = s.c;
        return 2;
    case DF_FLAT_WEIGHT:
        shape[0] = s.n, shape[1] = s.c * s.h * s.w;
        return 2;
    default:
        shape[0] = df_count(s);
        return 1;
    }
}

/* [out,kh,kw,in] <-> [out,in,kh,kw]: rows of kh*kw x in, transposed; the identity for what has no such axes */
static bool transposed(const struct df_parameter *item) { return item->kind == DF_CONV_WEIGHT || item->kind == DF_FLAT_WEIGHT; }

void df_to_stored(const struct df_parameter *item, const df_real *values, float *stored)
{
    const bool conv = transposed(item);
    const size_t c = conv ? item->shape.c : 1, cells = conv ? item->shape.h * item->shape.w : 1, n = df_count(item->shape) / (c * cells);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < c; k++) {
            for (size_t p = 0; p < cells; p++)
                *stored++ = (float)values[(i * cells + p) * c + k];
        }
    }
}

void df_from_stored(const struct df_parameter *item, const float *stored, df_real *values)
{
    const bool conv = transposed(item);
    const size_t c = conv ? item->shape.c : 1, cells = conv ? item->shape.h * item->shape.w : 1, n = df_count(item->shape) / (c * cells);

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < c; k++) {
            for (size_t p = 0; p < cells; p++)
                values[(i * cells + p) * c + k] = (df_real)*stored++;
        }
    }
}

/* The tensors of a parameter: its value, for one that trains its two moments, and its average where one is kept. */
enum part { PART_VALUE, PART_MOMENT1, PART_MOMENT2, PART_AVERAGE, PARTS };
static const char *part_name(const struct df_parameter *item, enum part part, char name[160])
{
    static const char *const prefix[PARTS] = { "", "optimiser.moment1.", "optimiser.moment2.", "optimiser.average." };

    snprintf(name, 160, "%s%s", prefix[part], item->name);
    return name;
}
static bool part_exists(const struct df_parameter *item, enum part part, bool with_optimiser)
{
    if (part == PART_VALUE)
        return true;
    return with_optimiser && (part == PART_AVERAGE ? item->owner->average != NULL : !item->buffer && item->trainable);
}
static df_real *part_data(const struct df_parameters *parameters, const struct df_parameter *item, enum part part)
{
    df_real *const flat[PARTS] = { [PART_VALUE] = item->buffer ? parameters->buffer : parameters->value,
                                   [PART_MOMENT1] = parameters->moment1,
                                   [PART_MOMENT2] = parameters->moment2,
                                   [PART_AVERAGE] = item->buffer ? parameters->average_buffer : parameters->average };

    return flat[part] + item->offset;
}

/* Whether a file in half precision has it so: batch norm's vectors and biases keep their precision, which costs them nothing. */
static bool is_halved(const struct df_parameter *item) { return !item->buffer && item->kind != DF_VECTOR; }
static const char *part_dtype(const struct df_checkpoint *what, const struct df_parameter *item, enum part part)
{
    return what->half && part == PART_VALUE && is_halved(item) ? "F16" : "F32";
}

/* ---- the hash of the contents: of the header without this hash, and of the tensors ---- */

static cJSON *metadata_item(const cJSON *header, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(header, "__metadata__"), key);
}

/* With the header in it, whose hash is NO_HASH from then on. */
static struct df_hasher *hash_begin(cJSON *header)
{
    struct df_hasher *hasher = df_hasher_new();
    struct df_text json = DF_TEXT_INIT;

    cJSON_SetValuestring(metadata_item(header, HASH_KEY), NO_HASH);
    df_json_canonical(header, &json);
    df_hasher_add(hasher, json.data, json.length);
    df_text_release(&json);
    return hasher;
}

/* Into the header. */
static void hash_end(cJSON *header, struct df_hasher *hasher)
{
    char text[17];

    cJSON_SetValuestring(metadata_item(header, HASH_KEY), df_hash_text(text, df_hasher_value(hasher)));
    df_hasher_free(hasher);
}

/* ---- writing ---- */

cJSON *df_stored_describe(const struct df_parameter *item, size_t begin, const char *dtype)
{
    cJSON *tensor = cJSON_CreateObject(), *shape = cJSON_CreateArray(), *offsets = cJSON_CreateArray();
    size_t size[4];
    const size_t rank = df_stored_shape(item, size);

    for (size_t i = 0; i < rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)size[i]));
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin));
    cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + df_count(item->shape) * df_dtype_bytes(dtype))));
    cJSON_AddStringToObject(tensor, "dtype", dtype);
    cJSON_AddItemToObject(tensor, "shape", shape);
    cJSON_AddItemToObject(tensor, "data_offsets", offsets);
    return tensor;
}

/* *bytes: of all tensors, *largest: elements of the largest */
static cJSON *describe_all(const struct df_checkpoint *what, size_t *bytes, size_t *largest)
{
    cJSON *header = cJSON_CreateObject();
    char name[160];

    *bytes = 0;
    *largest = 1;
    cJSON *object = cJSON_AddObjectToObject(header, "__metadata__");

    for (size_t i = 0; i < what->metadata_count; i++) {
        const struct df_metadata *note = &what->metadata[i];

        if (strcmp(note->key, HASH_KEY) && strcmp(note->key, WRITER_KEY)) /* of a file that this is a copy of */
            cJSON_AddStringToObject(object, note->key, note->value);
    }
    cJSON_AddStringToObject(object, HASH_KEY, NO_HASH);
    cJSON_AddStringToObject(object, WRITER_KEY, WRITER);
    for (size_t i = 0; i < what->count; i++) {
        const struct df_parameter *item = what->parameters->items[i];
        const size_t elements = df_count(item->shape);

        *largest = elements > *largest ? elements : *largest;
        for (enum part part = PART_VALUE; part < PARTS; part++) {
            if (part_exists(item, part, what->with_optimiser)) {
                const char *dtype = part_dtype(what, item, part);

                cJSON_AddItemToObject(header, part_name(item, part, name), df_stored_describe(item, *bytes, dtype));
                *bytes += elements * df_dtype_bytes(dtype);
            }
        }
    }
    return header;
}

/* Length and header */
void df_safetensors_header(const cJSON *header, struct df_text *text)
{
    struct df_text json = DF_TEXT_INIT;
    uint64_t length;

    df_json_canonical(header, &json);
    while (json.length % 8)
        df_text_add(&json, " ");
    length = json.length;
    df_text_add_bytes(text, &length, sizeof length);
    df_text_add_bytes(text, json.data, json.length);
    df_text_release(&json);
}

/* A parameter's elements, as floats, where its tensor lies in the file. Returns what is behind it. */
static char *put(char *to, const float *stored, size_t elements, const char *dtype)
{
    if (strcmp(dtype, "F32") == 0) {
        memcpy(to, stored, elements * sizeof *stored);
    } else {
        for (size_t i = 0; i < elements; i++) {
            const uint16_t bits = df_half(stored[i]);

            memcpy(to + i * sizeof bits, &bits, sizeof bits);
        }
    }
    return to + elements * df_dtype_bytes(dtype);
}

df_status df_checkpoint_write(const char *path, struct df_checkpoint what, struct df_error *err)
{
    const struct df_parameters *parameters = what.parameters;
    struct df_text file = DF_TEXT_INIT;
    size_t bytes, largest;

    DF_ASSERT(parameters->built && what.count <= parameters->count);
    DF_ASSERT(!what.with_optimiser || (parameters->moment1 && !parameters->swapped));
    if (!what.count)
        what.count = parameters->count;
    cJSON *header = describe_all(&what, &bytes, &largest);

    df_safetensors_header(header, &file);
    const size_t at = file.length;
    char *data = df_malloc(at + bytes + 1), *to = data + at;
    df_real *values = df_malloc(largest * sizeof *values);
    float *stored = df_malloc(largest * sizeof *stored);

    for (size_t i = 0; i < what.count; i++) {
        const struct df_parameter *item = parameters->items[i];
        const size_t elements = df_count(item->shape);

        for (enum part part = PART_VALUE; part < PARTS; part++) {
            if (!part_exists(item, part, what.with_optimiser))
                continue;
            df_read(parameters->device, values, part_data(parameters, item, part), elements * sizeof *values);
            df_to_stored(item, values, stored);
            to = put(to, stored, elements, part_dtype(&what, item, part));
        }
    }
    struct df_hasher *hasher = hash_begin(header);

    df_hasher_add(hasher, data + at, bytes);
    hash_end(header, hasher);
    df_text_clear(&file);
    df_safetensors_header(header, &file); /* as long as before */
    memcpy(data, file.data, at);
    const df_status status = df_file_write(path, data, at + bytes, err);
    cJSON_Delete(header);
    free(values);
    free(stored);
    free(data);
    df_text_release(&file);
    return status;
}

/* ---- reading ---- */

struct extent {
    const char *name;
    size_t begin, end;
};

void df_safetensors_close(struct df_safetensors *opened)
{
    cJSON_Delete(opened->header);
    free(opened->data);
    if (opened->file)
        fclose(opened->file);
}

/* A whole number from 0 to 2^53 */
static bool whole(const cJSON *node, size_t *out)
{
    if (!cJSON_IsNumber(node) || !(node->valuedouble >= 0 && node->valuedouble <= 9007199254740992.0))
        return false;
    *out = (size_t)node->valuedouble;
    return (double)*out == node->valuedouble;
}

/* The elements of a shape; fails where the product leaves 2^53 */
static bool shape_elements(const cJSON *shape, size_t *out)
{
    size_t product = 1, size;
    const cJSON *axis;

    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > RANK_LIMIT)
        return false;
    cJSON_ArrayForEach(axis, shape)
    {
        if (!whole(axis, &size) || (size && product > ((size_t)1 << 53) / size))
            return false;
        product *= size;
    }
    *out = product;
    return true;
}

static df_status check_tensor(const struct df_safetensors *opened, const cJSON *tensor, struct extent *extent, struct df_error *err)
{
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(tensor, "dtype"), *shape = cJSON_GetObjectItemCaseSensitive(tensor, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(tensor, "data_offsets");
    const char *path = opened->path, *name = tensor->string;
    size_t elements, bytes = 0;

    if (!cJSON_IsObject(tensor) || !cJSON_IsString(dtype))
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has no dtype", path, name);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        bytes = strcmp(dtype->valuestring, dtypes[i].name) ? bytes : dtypes[i].bytes;
    if (!bytes)
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has the unknown dtype '%.32s', expected F32", path, name, dtype->valuestring);
    if (!shape_elements(shape, &elements))
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has no legal shape, expected up to %d whole numbers", path, name, RANK_LIMIT);
    if (cJSON_GetArraySize(offsets) != 2 || !whole(cJSON_GetArrayItem(offsets, 0), &extent->begin) ||
        !whole(cJSON_GetArrayItem(offsets, 1), &extent->end) || extent->begin > extent->end)
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has no legal data_offsets, expected [begin, end]", path, name);
    if (extent->end - extent->begin != elements * bytes)
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has %zu bytes, expected %zu for its shape and dtype %s", path, name,
                       extent->end - extent->begin, elements * bytes, dtype->valuestring);
    if (extent->end > opened->data_bytes)
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' ends at byte %zu of the data, which has %zu (the file is truncated) " REMAKE,
                       path, name, extent->end, opened->data_bytes);
    extent->name = name;
    return DF_OK;
}

static int by_begin(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;

    return x->begin != y->begin ? (x->begin > y->begin) - (x->begin < y->begin) : (x->end > y->end) - (x->end < y->end);
}

/* No two tensors share a byte, no byte is left over. */
static df_status check_extents(const struct df_safetensors *opened, struct extent *extents, size_t count, struct df_error *err)
{
    size_t end = 0;

    qsort(extents, count, sizeof *extents, by_begin);
    for (size_t i = 0; i < count; i++) {
        if (extents[i].begin < end)
            return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' begins at byte %zu inside tensor '%s', which ends at %zu", opened->path,
                           extents[i].name, extents[i].begin, extents[i - 1].name, end);
        if (extents[i].begin > end)
            return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' begins at byte %zu, expected %zu (a hole in the data)", opened->path,
                           extents[i].name, extents[i].begin, end);
        end = extents[i].end;
    }
    if (end != opened->data_bytes)
        return df_fail(err, DF_ERR_FORMAT, "'%s': %zu bytes of data, expected %zu after the last tensor", opened->path, opened->data_bytes,
                       end);
    return DF_OK;
}

static df_status check_header(const struct df_safetensors *opened, struct df_error *err)
{
    struct extent *extents = df_malloc(((size_t)cJSON_GetArraySize(opened->header) + 1) * sizeof *extents);
    df_status status = DF_OK;
    size_t count = 0;
    const cJSON *tensor;

    cJSON_ArrayForEach(tensor, opened->header)
    {
        if (status == DF_OK && strcmp(tensor->string, "__metadata__"))
            status = check_tensor(opened, tensor, &extents[count++], err);
    }
    if (status == DF_OK)
        status = check_extents(opened, extents, count, err);
    free(extents);
    return status;
}

/* What people take for a safetensors file, by its first bytes. */
static const struct {
    const char *magic, *is;
} others[] = {
    { "PK\3\4",
      "what torch.save writes [python3 -c \"import sys, torch, safetensors.torch; f = torch.load(sys.argv[1], 'cpu', weights_only=True); "
      "safetensors.torch.save_file({k: v.contiguous() for k, v in f.get('state_dict', f.get('model', f)).items()}, sys.argv[2])\" "
      "FILE NEW.safetensors]" },
    { "\x80\2", "a Python pickle, as torch.save wrote them before version 1.6 [read it with torch.load and write it with "
                "safetensors.torch.save_file]" },
    { "version https://git-lfs", "Git LFS's pointer to the file [git lfs pull]" },
    { "\x89HDF", "an HDF5 file, as Keras writes them" },
    { "<", "a text with tags: what a server answered in place of the file?" },
    { "{", "a JSON text" },
};

static df_status check_kind(const char *path, const void *begin, size_t bytes, struct df_error *err)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (bytes >= strlen(others[i].magic) && memcmp(begin, others[i].magic, strlen(others[i].magic)) == 0)
            return df_fail(err, DF_ERR_FORMAT, "'%s' is %s; expected a safetensors file", path, others[i].is);
    return DF_OK;
}

static df_status read_header(struct df_safetensors *opened, struct df_error *err)
{
    const char *path = opened->path;
    char begin[32];
    uint64_t length = 0;
    off_t size;

    if (fseeko(opened->file, 0, SEEK_END) || (size = ftello(opened->file)) < 0 || fseeko(opened->file, 0, SEEK_SET))
        return df_fail(err, DF_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    const size_t begun = fread(begin, 1, sizeof begin, opened->file);

    if (ferror(opened->file) || fseeko(opened->file, 8, SEEK_SET))
        return df_fail(err, DF_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (begun < sizeof length)
        return df_fail(err, DF_ERR_FORMAT, "'%s': %lld bytes, too short for a safetensors file " REMAKE, path, (long long)size);
    memcpy(&length, begin, sizeof length);
    if (length > HEADER_LIMIT || length > (uint64_t)size - 8) {
        DF_TRY(check_kind(path, begin, begun, err));
        return df_fail(err, DF_ERR_FORMAT,
                       "'%s': a header of %llu bytes, expected at most %lld (not a safetensors file, or truncated) " REMAKE, path,
                       (unsigned long long)length, size - 8 < HEADER_LIMIT ? (long long)size - 8 : (long long)HEADER_LIMIT);
    }
    char *text = df_malloc(length + 1);
    const bool whole_header = fread(text, 1, length, opened->file) == length;
    df_status status;

    text[length] = 0;
    if (whole_header)
        status = df_json_parse(text, length, path, &opened->header, err);
    else
        status = df_fail(err, DF_ERR_IO, "cannot read the header of '%s': %s", path, strerror(errno));
    free(text);
    DF_TRY(status);
    if (!cJSON_IsObject(opened->header))
        return df_fail(err, DF_ERR_FORMAT, "'%s': the header is not a JSON object", path);
    opened->data_at = 8 + (size_t)length;
    opened->data_bytes = (size_t)size - opened->data_at;
    return check_header(opened, err);
}

static df_status hash_data(const struct df_safetensors *opened, struct df_hasher *hasher, struct df_error *err)
{
    const size_t room = (size_t)1 << 20;
    size_t left = opened->data_bytes;
    char *piece = df_malloc(room);
    bool good = fseeko(opened->file, (off_t)opened->data_at, SEEK_SET) == 0;

    while (left && good) {
        const size_t n = left < room ? left : room;

        good = fread(piece, 1, n, opened->file) == n;
        df_hasher_add(hasher, piece, good ? n : 0);
        left -= n;
    }
    free(piece);
    return good ? DF_OK : df_fail(err, DF_ERR_IO, "cannot read '%s': %s", opened->path, strerror(errno));
}

/* The contents are those that were written, if the file says what they were: one from elsewhere need not. */
static df_status check_hash(const struct df_safetensors *opened, struct df_error *err)
{
    static const char remedy[] = "[remove the file: teachers and runs are made again; if it was changed on purpose, leave '" HASH_KEY
                                 "' and '" WRITER_KEY "' out of its metadata]";
    const cJSON *item = metadata_item(opened->header, HASH_KEY);
    const char *writer = cJSON_GetStringValue(metadata_item(opened->header, WRITER_KEY)), *found = cJSON_GetStringValue(item);
    char recorded[17];

    if (!item && !(writer && !strcmp(writer, WRITER)))
        return DF_OK;
    if (!found || strlen(found) != sizeof recorded - 1)
        return df_fail(err, DF_ERR_FORMAT, "'%s' is damaged: its hash is missing or is none %s", opened->path, remedy);
    memcpy(recorded, found, sizeof recorded);
    struct df_hasher *hasher = hash_begin(opened->header);
    const df_status status = hash_data(opened, hasher, err);

    hash_end(opened->header, hasher);
    found = cJSON_GetStringValue(item);
    if (status == DF_OK && strcmp(found, recorded))
        return df_fail(err, DF_ERR_FORMAT, "'%s' is damaged: its contents have hash %s, but %s is recorded %s", opened->path, found,
                       recorded, remedy);
    return status;
}

df_status df_safetensors_open(struct df_safetensors *opened, const char *path, struct df_error *err)
{
    *opened = (struct df_safetensors){ .file = df_file_open(path, "rb"), .path = path };
    if (!opened->file)
        return df_fail(err, errno == ENOENT || errno == ENOTDIR ? DF_ERR_NOT_FOUND : DF_ERR_IO, "cannot open '%s': %s", path,
                       strerror(errno));
    df_status status = read_header(opened, err);

    if (status == DF_OK)
        status = check_hash(opened, err);

    if (status != DF_OK)
        df_safetensors_close(opened);
    return status;
}

void df_stored_shape_text(const cJSON *shape, char *text, size_t bytes)
{
    struct df_text json = DF_TEXT_INIT;

    df_json_canonical(shape, &json);
    snprintf(text, bytes, "%s", df_text_get(&json));
    df_text_release(&json);
}

static const char convert_hint[] =
    "[a state dict of PyTorch's? make a checkpoint of it: defeat convert SPEC FILE NEW.safetensors, with --network "
    "teacher for a teacher's]";

/* Where a tensor lies in the data, and what its elements are. */
struct place {
    size_t at;
    const char *dtype;
};

/* The file must have this tensor, as F32 or, of a value, F16, and in the parameter's shape. */
static df_status check_wanted(const struct df_safetensors *opened, const struct df_parameter *item, enum part part, struct place *place,
                              struct df_error *err)
{
    char name[160], found[128], expected[128];
    const cJSON *tensor = cJSON_GetObjectItemCaseSensitive(opened->header, part_name(item, part, name));
    cJSON *wanted;

    if (!tensor && part == PART_VALUE && !metadata_item(opened->header, WRITER_KEY))
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' is missing, and this program did not write the file %s", opened->path, name,
                       convert_hint);
    if (!tensor)
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' is missing (%s)", opened->path, name,
                       part == PART_VALUE ? "is it a checkpoint of another network?" : "it is an export without the optimiser's state");
    wanted = df_stored_describe(item, 0, "F32");
    df_stored_shape_text(cJSON_GetObjectItemCaseSensitive(tensor, "shape"), found, sizeof found);
    df_stored_shape_text(cJSON_GetObjectItemCaseSensitive(wanted, "shape"), expected, sizeof expected);
    cJSON_Delete(wanted);
    if (strcmp(found, expected))
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has shape %s, expected %s", opened->path, name, found, expected);
    const char *dtype = cJSON_GetObjectItemCaseSensitive(tensor, "dtype")->valuestring;

    if (strcmp(dtype, "F32") && (part != PART_VALUE || strcmp(dtype, "F16")))
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' has dtype %s, expected F32%s", opened->path, name, dtype,
                       part == PART_VALUE ? " or F16" : "");
    place->dtype = dtype;
    place->at = (size_t)cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(tensor, "data_offsets"), 0)->valuedouble;
    return DF_OK;
}

/* What a position has beside the weights, and a reader of weights may pass over. Not averages that nobody keeps: the run would leave them. */
static bool is_state(const struct df_parameters *parameters, const char *name)
{
    return strncmp(name, "optimiser.moment", 16) == 0 || (parameters->average && strncmp(name, "optimiser.average.", 18) == 0);
}

static df_status check_nothing_else(const struct df_safetensors *opened, const struct df_parameters *parameters, struct df_error *err)
{
    const cJSON *tensor;

    cJSON_ArrayForEach(tensor, opened->header)
    {
        const char *name = tensor->string;

        if (!strcmp(name, "__metadata__") || is_state(parameters, name) || df_parameters_find(parameters, name))
            continue;
        if (!metadata_item(opened->header, WRITER_KEY))
            return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' is not one of this network's, and this program did not write the file %s",
                           opened->path, name, convert_hint);
        return df_fail(err, DF_ERR_FORMAT, "'%s': tensor '%s' is not one of this network's", opened->path, name);
    }
    return DF_OK;
}

/* load = false: checks; true: takes the data into the device */
static df_status each_tensor(const struct df_safetensors *opened, struct df_parameters *parameters, bool with_optimiser, bool load,
                             struct df_error *err)
{
    float *stored = NULL;
    df_real *values = NULL;
    df_status status = DF_OK;

    for (size_t i = 0; i < parameters->count && status == DF_OK; i++) {
        const struct df_parameter *item = parameters->items[i];
        const size_t elements = df_count(item->shape);

        for (enum part part = PART_VALUE; part < PARTS && status == DF_OK; part++) {
            struct place place = { 0 };

            if (!part_exists(item, part, with_optimiser))
                continue;
            status = check_wanted(opened, item, part, &place, err);
            if (status != DF_OK || !load)
                continue;
            stored = df_realloc(stored, elements * sizeof *stored);
            values = df_realloc(values, elements * sizeof *values);
            for (size_t k = 0; k < elements; k++)
                stored[k] = df_dtype_value(place.dtype, opened->data + place.at + k * df_dtype_bytes(place.dtype));
            df_from_stored(item, stored, values);
            df_write(parameters->device, part_data(parameters, item, part), values, elements * sizeof *values);
        }
    }
    free(stored);
    free(values);
    return status;
}

df_status df_safetensors_load(struct df_safetensors *opened, struct df_error *err)
{
    opened->data = df_malloc(opened->data_bytes + 1);
    if (fseeko(opened->file, (off_t)opened->data_at, SEEK_SET) ||
        fread(opened->data, 1, opened->data_bytes, opened->file) != opened->data_bytes)
        return df_fail(err, DF_ERR_IO, "cannot read '%s': %s", opened->path, strerror(errno));
    return DF_OK;
}

df_status df_checkpoint_read(const char *path, struct df_parameters *parameters, bool with_optimiser, bool allow_extra,
                             struct df_error *err)
{
    struct df_safetensors opened;

    DF_ASSERT(parameters->built && (!with_optimiser || parameters->moment1));
    DF_TRY(df_safetensors_open(&opened, path, err));
    df_status status = each_tensor(&opened, parameters, with_optimiser, false, err);

    if (status == DF_OK && with_optimiser && !metadata_item(opened.header, HASH_KEY))
        status = df_fail(err, DF_ERR_FORMAT, "'%s' has no hash of its contents", path);
    if (status == DF_OK && !allow_extra)
        status = check_nothing_else(&opened, parameters, err);
    if (status == DF_OK)
        status = df_safetensors_load(&opened, err);
    if (status == DF_OK) {
        status = each_tensor(&opened, parameters, with_optimiser, true, err);
        df_parameters_touch(parameters);
    }
    df_safetensors_close(&opened);
    return status;
}

void df_parameters_round(struct df_parameters *parameters)
{
    df_real *values = df_malloc((parameters->values + 1) * sizeof *values);

    for (size_t i = 0; i < parameters->count; i++) {
        const struct df_parameter *item = parameters->items[i];
        const size_t elements = df_count(item->shape);

        if (!is_halved(item))
            continue;
        df_read(parameters->device, values, item->value, elements * sizeof *values);
        for (size_t k = 0; k < elements; k++)
            values[k] = (df_real)df_half_value(df_half((float)values[k]));
        df_write(parameters->device, item->value, values, elements * sizeof *values);
    }
    free(values);
    df_parameters_touch(parameters);
}

df_status df_checkpoint_metadata(const char *path, cJSON **out, struct df_error *err)
{
    struct df_safetensors opened;
    const cJSON *value;

    *out = NULL;
    DF_TRY(df_safetensors_open(&opened, path, err));
    cJSON *metadata = cJSON_DetachItemFromObjectCaseSensitive(opened.header, "__metadata__");
    df_status status = DF_OK;

    if (!metadata)
        metadata = cJSON_CreateObject();
    if (!cJSON_IsObject(metadata))
        status = df_fail(err, DF_ERR_FORMAT, "'%s': __metadata__ is not an object", path);
    cJSON_ArrayForEach(value, metadata)
    {
        if (status == DF_OK && !cJSON_IsString(value))
            status = df_fail(err, DF_ERR_FORMAT, "'%s': metadata '%s' is not a string", path, value->string ? value->string : "");
    }
    df_safetensors_close(&opened);
    if (status == DF_OK)
        *out = metadata;
    else
        cJSON_Delete(metadata);
    return status;
}

df_status df_checkpoint_index(const char *path, cJSON **out, struct df_error *err)
{
    struct df_safetensors opened;
    const cJSON *tensor;

    *out = NULL;
    DF_TRY(df_safetensors_open(&opened, path, err));
    *out = cJSON_CreateArray();
    cJSON_ArrayForEach(tensor, opened.header)
    {
        const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(tensor, "data_offsets");
        cJSON *row;

        if (!strcmp(tensor->string, "__metadata__"))
            continue;
        row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", tensor->string);
        cJSON_AddStringToObject(row, "dtype", cJSON_GetObjectItemCaseSensitive(tensor, "dtype")->valuestring);
        cJSON_AddItemToObject(row, "shape", cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(tensor, "shape"), true));
        cJSON_AddNumberToObject(row, "offset", (double)opened.data_at + cJSON_GetArrayItem(offsets, 0)->valuedouble);
        cJSON_AddNumberToObject(row, "bytes", cJSON_GetArrayItem(offsets, 1)->valuedouble - cJSON_GetArrayItem(offsets, 0)->valuedouble);
        cJSON_AddItemToArray(*out, row);
    }
    df_safetensors_close(&opened);
    return DF_OK;
}
