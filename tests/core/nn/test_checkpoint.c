/* Checkpoints: what the safetensors package wrote is read, what we write it reads (tests/golden/make_checkpoint.py), and files that lie
 * are refused with the tensor's name. */
#include "tests/support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/nn/averages.h"
#include "core/nn/checkpoint.h"

static struct df_device *device;
static struct df_error err;

static int setup(void **state)
{
    (void)state;
    assert_ok(df_device_open(df_test_device(), &device, &err));
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    df_device_close(device);
    return 0;
}

static struct df_parameters *network(uint64_t seed, bool with_gradients)
{
    struct df_parameters *parameters = df_parameters_new();
    const struct df_initialiser init = { DF_INIT_NORMAL, 1 };

    df_parameters_add(parameters, "conv.weight", DF_CONV_WEIGHT, (df_shape){ 2, 3, 4, 5 }, init, DF_RNG_INIT);
    df_parameters_add(parameters, "fc.weight", DF_LINEAR_WEIGHT, (df_shape){ 3, 1, 1, 2 }, init, DF_RNG_INIT)->trainable = false;
    df_parameters_add(parameters, "fc.bias", DF_VECTOR, (df_shape){ 1, 1, 1, 3 }, init, DF_RNG_INIT);
    df_parameters_add_buffer(parameters, "bn.running_mean", 5, 0);
    df_parameters_build(parameters, device, seed, with_gradients);
    return parameters;
}

static void values_of(const struct df_parameters *parameters, const char *name, df_real *out)
{
    const struct df_parameter *item = df_parameters_find(parameters, name);

    df_read(device, out, item->value, df_count(item->shape) * sizeof *out);
}

/* The fixture's ramps; the convolution's is over [2,5,3,4] = out, in, kh, kw, ours is [2,3,4,5] */
static void check_ramps(const struct df_parameters *parameters)
{
    df_real v[120];

    values_of(parameters, "conv.weight", v);
    for (size_t o = 0; o < 2; o++) {
        for (size_t y = 0; y < 3; y++) {
            for (size_t x = 0; x < 4; x++) {
                for (size_t i = 0; i < 5; i++)
                    assert_true(v[((o * 3 + y) * 4 + x) * 5 + i] == 1 + (df_real)(((o * 5 + i) * 3 + y) * 4 + x) / 8);
            }
        }
    }
    values_of(parameters, "fc.weight", v);
    for (size_t i = 0; i < 6; i++)
        assert_true(v[i] == -7 + (df_real)i / 8);
    values_of(parameters, "fc.bias", v);
    assert_true(v[2] == 100.25F);
    values_of(parameters, "bn.running_mean", v);
    assert_true(v[4] == 1);
}

static const struct df_metadata metadata[] = { { "cell", "{\"seed\":0}" }, { "note", "quotes \" and \xc3\xbcmlaut" } };

static void test_python_to_c_to_python(void **state)
{
    struct df_parameters *parameters = network(1, false);
    const uint64_t version = parameters->version;
    char *ours, *golden, *path = df_path_join(df_test_folder(), "ours.safetensors");
    size_t bytes, expected;

    (void)state;
    assert_ok(df_checkpoint_read("tests/golden/checkpoint_python.safetensors", parameters, false, false, &err));
    assert_true(parameters->version > version);
    check_ramps(parameters);
    assert_ok(
        df_checkpoint_write(path, (struct df_checkpoint){ .parameters = parameters, .metadata = metadata, .metadata_count = 2 }, &err));
    assert_ok(df_file_read(path, 0, &ours, &bytes, &err));
    if (getenv("DF_GOLDEN")) /* then make_checkpoint.py checks it */
        assert_ok(df_file_write("tests/golden/checkpoint_c.safetensors", ours, bytes, &err));
    assert_ok(df_file_read("tests/golden/checkpoint_c.safetensors", 0, &golden, &expected, &err));
    assert_int_equal(bytes, expected);
    assert_memory_equal(ours, golden, bytes);
    free(ours);
    free(golden);
    free(path);
    df_parameters_free(parameters);
}

static void test_metadata_and_index(void **state)
{
    cJSON *json;

    (void)state;
    assert_ok(df_checkpoint_metadata("tests/golden/checkpoint_python.safetensors", &json, &err));
    assert_string_equal(cJSON_GetObjectItem(json, "note")->valuestring, metadata[1].value);
    assert_int_equal(cJSON_GetArraySize(json), 2);
    cJSON_Delete(json);
    assert_ok(df_checkpoint_index("tests/golden/checkpoint_c.safetensors", &json, &err));
    assert_int_equal(cJSON_GetArraySize(json), 4);
    const cJSON *second = cJSON_GetArrayItem(json, 1);
    assert_string_equal(cJSON_GetObjectItem(second, "name")->valuestring, "fc.weight");
    assert_int_equal(cJSON_GetObjectItem(second, "bytes")->valueint, 24);
    assert_int_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(second, "shape"), 0)->valueint, 3);
    cJSON_Delete(json);
    assert_fails(df_checkpoint_metadata("no/such.safetensors", &json, &err), DF_ERR_NOT_FOUND, "no/such.safetensors");
    assert_null(json);
}

/* Value and moments come back to the bit; an export without them says so; the first items only = a student-only export. */
static void test_optimiser_state(void **state)
{
    struct df_parameters *a = network(2, true), *b = network(3, true);
    char *path = df_path_join(df_test_folder(), "state.safetensors");
    df_real moments[266], back[256];
    cJSON *index;

    (void)state;
    assert_true(a->values <= 256);
    df_test_fill(moments, 266, 4, 1);
    df_write(device, a->moment1, moments, a->values * sizeof *moments);
    df_write(device, a->moment2, moments + 10, a->values * sizeof *moments);
    assert_ok(df_checkpoint_write(path, (struct df_checkpoint){ .parameters = a, .with_optimiser = true }, &err));
    assert_ok(df_checkpoint_read(path, b, true, false, &err));
    assert_true(df_parameters_hash(a) == df_parameters_hash(b));
    for (size_t k = 0; k < b->count; k++) {
        const struct df_parameter *item = b->items[k];

        for (size_t i = item->offset; i < item->offset + df_count(item->shape) && !item->buffer; i++) {
            df_read(device, back, b->moment1, b->values * sizeof *back);
            assert_true(back[i] == (item->trainable ? moments[i] : 0));
            df_read(device, back, b->moment2, b->values * sizeof *back);
            assert_true(back[i] == (item->trainable ? moments[i + 10] : 0));
        }
    }
    assert_ok(df_checkpoint_write(path, (struct df_checkpoint){ .parameters = a, .count = 1 }, &err));
    assert_ok(df_checkpoint_index(path, &index, &err));
    assert_int_equal(cJSON_GetArraySize(index), 1);
    cJSON_Delete(index);
    assert_fails(df_checkpoint_read(path, b, false, false, &err), DF_ERR_FORMAT, "tensor 'fc.weight' is missing");
    assert_ok(df_checkpoint_write(path, (struct df_checkpoint){ .parameters = a }, &err));
    assert_fails(df_checkpoint_read(path, b, true, false, &err), DF_ERR_FORMAT, "'optimiser.moment1.conv.weight' is missing");
    free(path);
    df_parameters_free(a);
    df_parameters_free(b);
}

/* Averages of all items go with the optimiser's state where they are kept; an export has none, and a network without them takes none. */
static void test_averages(void **state)
{
    struct df_parameters *a = network(2, true), *b = network(3, true), *without = network(4, true);
    const size_t value_bytes = a->values * sizeof(df_real), buffer_bytes = a->buffers * sizeof(df_real);
    char *path = df_path_join(df_test_folder(), "averages.safetensors");
    df_real values[256], back[256];
    cJSON *index;

    (void)state;
    assert_true(a->values <= 256);
    df_averages_begin(a);
    df_averages_begin(b);
    for (size_t i = 0; i < a->count; i++) {
        const struct df_parameter *item = a->items[i];

        df_test_fill(values, 256, 20 + i, 1);
        df_write(device, item->value, values, df_count(item->shape) * sizeof *values);
    }
    df_averages_step(a, 0.5, 1);
    assert_ok(df_checkpoint_write(path, (struct df_checkpoint){ .parameters = a, .with_optimiser = true }, &err));
    assert_ok(df_checkpoint_read(path, b, true, false, &err));
    assert_true(df_parameters_hash(a) == df_parameters_hash(b));
    df_read(device, values, a->average, value_bytes);
    df_read(device, back, b->average, value_bytes);
    assert_memory_equal(values, back, value_bytes);
    df_read(device, values, a->average_buffer, buffer_bytes);
    df_read(device, back, b->average_buffer, buffer_bytes);
    assert_memory_equal(values, back, buffer_bytes);
    df_averages_swap(a);
    assert_true(df_parameters_hash(a) != df_parameters_hash(b));
    df_averages_swap(b);
    assert_true(df_parameters_hash(a) == df_parameters_hash(b));
    df_averages_swap(b);
    assert_fails(df_checkpoint_read(path, without, true, false, &err), DF_ERR_FORMAT, "'optimiser.average.conv.weight' is not one of");
    assert_ok(df_checkpoint_write(path, (struct df_checkpoint){ .parameters = without, .with_optimiser = true }, &err));
    assert_fails(df_checkpoint_read(path, b, true, false, &err), DF_ERR_FORMAT, "'optimiser.average.conv.weight' is missing");
    assert_ok(df_checkpoint_write(path, (struct df_checkpoint){ .parameters = a }, &err)); /* swapped: what an export is */
    assert_ok(df_checkpoint_index(path, &index, &err));
    assert_int_equal(cJSON_GetArraySize(index), 4);
    assert_ok(df_checkpoint_read(path, without, false, false, &err));
    assert_true(df_parameters_hash(a) == df_parameters_hash(without));
    cJSON_Delete(index);
    free(path);
    df_parameters_free(a);
    df_parameters_free(b);
    df_parameters_free(without);
}

/* A file of this header and so many bytes of data */
static const char *file_of(const char *header, size_t data)
{
    static char path[512];
    const uint64_t length = strlen(header);
    char *bytes = df_calloc(1, 8 + length + data);

    snprintf(path, sizeof path, "%s/broken.safetensors", df_test_folder());
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    assert_ok(df_file_write(path, bytes, 8 + length + data, &err));
    free(bytes);
    return path;
}

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}"
static const struct {
    const char *header;
    size_t data;
    const char *message;
} broken[] = {
    { "{" A "}", 20, "tensor 'a' ends at byte 24 of the data, which has 20" },
    { "{" A "}", 32, "32 bytes of data, expected 24" },
    { "{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[20,24]}}", 24, "tensor 'b' begins at byte 20 inside tensor 'a'" },
    { "{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[28,32]}}", 32, "a hole" },
    { "{" A "," A "}", 24, "'a'" }, /* twice: the JSON reader's error */
    { "{\"a\":{\"dtype\":\"F31\",\"shape\":[6],\"data_offsets\":[0,24]}}", 24, "unknown dtype 'F31'" },
    { "{\"a\":{\"shape\":[6],\"data_offsets\":[0,24]}}", 24, "no dtype" },
    { "{\"a\":7}", 24, "tensor 'a' has no dtype" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[7],\"data_offsets\":[0,24]}}", 24, "tensor 'a' has 24 bytes, expected 28" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-6],\"data_offsets\":[0,24]}}", 24, "no legal shape" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5,4],\"data_offsets\":[0,24]}}", 24, "no legal shape" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,24]}}", 24, "no legal shape" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[24,0]}}", 24, "no legal data_offsets" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[6],\"data_offsets\":[0]}}", 24, "no legal data_offsets" },
    { "{\"a\":{\"dtype\":\"F32\",\"shape\":[6]}}", 24, "no legal data_offsets" },
    { "[1,2]", 0, "not a JSON object" },
    { "{\"a\":", 0, "broken.safetensors" },
};

static void test_broken_headers(void **state)
{
    struct df_parameters *parameters = network(5, false);
    const uint64_t hash = df_parameters_hash(parameters);

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        assert_fails(df_checkpoint_read(file_of(broken[i].header, broken[i].data), parameters, false, true, &err), DF_ERR_FORMAT,
                     broken[i].message);
    assert_true(df_parameters_hash(parameters) == hash);
    df_parameters_free(parameters);
}

/* What people take for a safetensors file is told by its name. */
static void test_other_kinds(void **state)
{
    static const struct {
        const char *bytes, *message;
    } cases[] = { { "PK\3\4 and so on", "is what torch.save writes [python3 -c " },
                  { "\x80\2}q a pickle", "is a Python pickle" },
                  { "version https://git-lfs.github.com/spec/v1", "[git lfs pull]" },
                  { "\x89HDF\r\n and so on", "an HDF5 file" },
                  { "<!DOCTYPE html>", "a text with tags" },
                  { "{\"a\": [1, 2]}", "is a JSON text" },
                  { "whatever else", "not a safetensors file, or truncated" } };
    struct df_parameters *parameters = network(5, false);
    char path[512];

    (void)state;
    snprintf(path, sizeof path, "%s/other", df_test_folder());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_ok(df_file_write(path, cases[i].bytes, strlen(cases[i].bytes) + 1, &err));
        assert_fails(df_checkpoint_read(path, parameters, false, false, &err), DF_ERR_FORMAT, cases[i].message);
    }
    assert_fails(df_checkpoint_read(file_of("{" A "}", 24), parameters, false, false, &err), DF_ERR_FORMAT, "defeat convert SPEC FILE");
    df_parameters_free(parameters);
}

/* Every prefix of a good file is refused; so is a length that goes far beyond the file. */
static void test_truncated(void **state)
{
    struct df_parameters *parameters = network(6, false);
    const uint64_t hash = df_parameters_hash(parameters);
    char *data, *path = df_path_join(df_test_folder(), "short.safetensors");
    size_t bytes;

    (void)state;
    assert_ok(df_file_read("tests/golden/checkpoint_c.safetensors", 0, &data, &bytes, &err));
    for (size_t n = 0; n < bytes; n += n < 400 ? 29 : 97) {
        assert_ok(df_file_write(path, data, n, &err));
        assert_fails(df_checkpoint_read(path, parameters, false, false, &err), DF_ERR_FORMAT, "short.safetensors");
    }
    memset(data, 0xff, 8);
    assert_ok(df_file_write(path, data, bytes, &err));
    assert_fails(df_checkpoint_read(path, parameters, false, false, &err), DF_ERR_FORMAT, "header of 18446744073709551615 bytes");
    assert_true(df_parameters_hash(parameters) == hash);
    free(data);
    free(path);
    df_parameters_free(parameters);
}

/* What is in a file, as a hash; 0: it is refused, with its name and what to do. */
static uint64_t contents(const char *path, struct df_parameters *parameters)
{
    struct df_text text = DF_TEXT_INIT;
    cJSON *json;

    if (df_checkpoint_metadata(path, &json, &err) != DF_OK) {
        assert_non_null(strstr(err.text, path));
        return 0;
    }
    df_json_canonical(json, &text);
    cJSON_Delete(json);
    assert_ok(df_checkpoint_read(path, parameters, false, false, &err));
    df_text_addf(&text, "%llx", (unsigned long long)df_parameters_hash(parameters));

    const uint64_t hash = df_hash(text.data, text.length);

    df_text_release(&text);
    return hash;
}

/* Every single bit of a file of ours: it is refused, or the contents are what they were. */
static void test_every_bit(void **state)
{
    struct df_parameters *parameters = network(7, false);
    char *path = df_path_join(df_test_folder(), "bits.safetensors"), *data;
    size_t bytes, harmless = 0;

    (void)state;
    assert_ok(
        df_checkpoint_write(path, (struct df_checkpoint){ .parameters = parameters, .metadata = metadata, .metadata_count = 2 }, &err));
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    const uint64_t whole = contents(path, parameters);

    assert_true(whole != 0 && bytes > 900);
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        FILE *file = fopen(path, "wb");

        assert_non_null(file);
        data[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(fwrite(data, 1, bytes, file), bytes);
        assert_int_equal(fclose(file), 0);
        data[bit / 8] ^= (char)(1 << bit % 8);
        const uint64_t found = contents(path, parameters);

        assert_true(found == 0 || found == whole);
        harmless += found == whole;
    }
    assert_true(harmless < 64); /* white space behind the header */
    free(data);
    free(path);
    df_parameters_free(parameters);
}

/* Which readers compare, and what they say. A file from elsewhere has no hash, and is read. */
static void test_damage_is_told(void **state)
{
    static const char *const flips[][2] = { { "\"seed\\", "\"seee\\" },
                                            { "contents_hash", "contentt_hash" },
                                            { "conv.weight", "conv.weigit" } };
    struct df_parameters *parameters = network(7, false);
    const uint64_t hash = df_parameters_hash(parameters);
    char *path = df_path_join(df_test_folder(), "damaged.safetensors"), *data;
    size_t bytes;
    cJSON *json;

    (void)state;
    assert_ok(
        df_checkpoint_write(path, (struct df_checkpoint){ .parameters = parameters, .metadata = metadata, .metadata_count = 2 }, &err));
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    data[bytes - 3] ^= 1; /* a weight */
    assert_ok(df_file_write(path, data, bytes, &err));
    assert_fails(df_checkpoint_read(path, parameters, false, false, &err), DF_ERR_FORMAT, "is damaged: its contents have hash");
    assert_fails(df_checkpoint_metadata(path, &json, &err), DF_ERR_FORMAT, "[remove the file");
    assert_fails(df_checkpoint_index(path, &json, &err), DF_ERR_FORMAT, "damaged.safetensors");
    data[bytes - 3] ^= 1;
    for (size_t i = 0; i < sizeof flips / sizeof *flips; i++) {
        char *at = memmem(data, bytes, flips[i][0], strlen(flips[i][0]));

        assert_non_null(at);
        memcpy(at, flips[i][1], strlen(flips[i][1]));
        assert_ok(df_file_write(path, data, bytes, &err));
        assert_fails(df_checkpoint_metadata(path, &json, &err), DF_ERR_FORMAT, "is damaged");
        memcpy(at, flips[i][0], strlen(flips[i][0]));
    }
    assert_true(df_parameters_hash(parameters) == hash);
    assert_ok(df_file_write(path, data, bytes, &err));
    assert_ok(df_checkpoint_read(path, parameters, false, false, &err));
    free(data);
    free(path);
    df_parameters_free(parameters);
}

static void test_other_network(void **state)
{
    struct df_parameters *parameters = df_parameters_new();
    const struct df_initialiser init = { DF_INIT_ONE, 0 };
    const char *fixture = "tests/golden/checkpoint_python.safetensors";

    (void)state;
    df_parameters_add(parameters, "conv.weight", DF_CONV_WEIGHT, (df_shape){ 2, 4, 3, 5 }, init, DF_RNG_INIT);
    df_parameters_build(parameters, device, 0, false);
    assert_fails(df_checkpoint_read(fixture, parameters, false, true, &err), DF_ERR_FORMAT,
                 "tensor 'conv.weight' has shape [2,5,3,4], expected [2,5,4,3]");
    df_parameters_free(parameters);
    parameters = df_parameters_new();
    df_parameters_add(parameters, "fc.bias", DF_VECTOR, (df_shape){ 1, 1, 1, 3 }, init, DF_RNG_INIT);
    df_parameters_build(parameters, device, 0, false);
    assert_fails(df_checkpoint_read(fixture, parameters, false, false, &err), DF_ERR_FORMAT, "is not one of this network's");
    assert_ok(df_checkpoint_read(fixture, parameters, false, true, &err));
    assert_fails(df_checkpoint_read(file_of("{\"fc.bias\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[0,6]}}", 6), parameters,
                                    false, false, &err),
                 DF_ERR_FORMAT, "tensor 'fc.bias' has dtype BF16, expected F32 or F16");
    df_parameters_free(parameters);
}

/* Weights of two and more axes take two bytes and are what rounding makes of them; vectors and statistics are as they were. */
static void half_precision_is_what_rounding_gives(void **state)
{
    struct df_parameters *whole = network(5, true), *read = network(6, false);
    char *path = df_path_join(df_test_folder(), "half.safetensors"), *data;
    struct df_checkpoint what = { .parameters = whole, .half = true };
    const uint64_t before = df_parameters_hash(whole);
    df_real bias[3], kept[3];
    size_t bytes, halved;

    (void)state;
    values_of(whole, "fc.bias", bias);
    assert_ok(df_checkpoint_write(path, what, &err));
    assert_true(df_parameters_hash(whole) == before);
    assert_ok(df_checkpoint_read(path, read, false, false, &err));
    df_parameters_round(whole);
    assert_true(df_parameters_hash(whole) != before);
    assert_true(df_parameters_hash(read) == df_parameters_hash(whole));
    values_of(read, "fc.bias", kept);
    assert_memory_equal(bias, kept, sizeof bias);
    df_parameters_round(whole);
    assert_true(df_parameters_hash(read) == df_parameters_hash(whole));

    assert_ok(df_file_read(path, 0, &data, &halved, &err));
    free(data);
    what.half = false;
    assert_ok(df_checkpoint_write(path, what, &err));
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    free(data);
    assert_in_range(bytes - halved, 2 * (120 + 6) - 8, 2 * (120 + 6) + 8); /* and what the padding of the header makes of it */

    what.half = what.with_optimiser = true;
    assert_ok(df_checkpoint_write(path, what, &err));
    assert_ok(df_checkpoint_read(path, whole, true, false, &err)); /* moments are floats */
    free(path);
    df_parameters_free(read);
    df_parameters_free(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_python_to_c_to_python),
        cmocka_unit_test(test_metadata_and_index),
        cmocka_unit_test(test_optimiser_state),
        cmocka_unit_test(test_averages),
        cmocka_unit_test(test_broken_headers),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_other_network),
        cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_damage_is_told),
        cmocka_unit_test(half_precision_is_what_rounding_gives),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
