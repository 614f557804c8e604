/* State dicts: element types, names of older versions, other classes, the way back, and files that do not fit, refused with the tensor's name. */
#include "core/nn/state_dict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "core/nn/checkpoint.h"
#include "tests/support/support.h"

static struct df_device *device;
static struct df_error err;

static int setup(void **state)
{
    (void)state;
    assert_ok(df_device_open("cpu", &device, &err));
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    df_device_close(device);
    return 0;
}

static const char *path(const char *name)
{
    static char text[600];

    snprintf(text, sizeof text, "%s/%s", df_test_folder(), name);
    return text;
}

/* ---- files by hand: "name dtype d0,d1 value step": elements value, value + step, ... (F64, F32), or one bit pattern for all (F16, BF16) ---- */

struct tensor {
    const char *name, *dtype, *shape;
    double first, step;
    uint16_t bits;
};

static size_t elements(const char *shape)
{
    size_t n = 1;

    for (const char *at = shape; *at; at += *at == ',')
        n *= strtoul(at, (char **)(void *)&at, 10);
    return n;
}

static void add_data(struct df_text *data, const struct tensor *t)
{
    for (size_t i = 0; i < elements(t->shape); i++) {
        const double wide = t->first + t->step * (double)i;
        const float single = (float)wide;
        const int64_t whole = (int64_t)wide;

        if (strcmp(t->dtype, "F64") == 0)
            df_text_add_bytes(data, &wide, sizeof wide);
        else if (strcmp(t->dtype, "F32") == 0)
            df_text_add_bytes(data, &single, sizeof single);
        else if (strcmp(t->dtype, "I64") == 0)
            df_text_add_bytes(data, &whole, sizeof whole);
        else
            df_text_add_bytes(data, &t->bits, sizeof t->bits);
    }
}

static const char *write_file(const char *name, const struct tensor *tensors, size_t count)
{
    struct df_text header = DF_TEXT_INIT, data = DF_TEXT_INIT, file = DF_TEXT_INIT;
    uint64_t length;

    df_text_add(&header, "{");
    for (size_t i = 0; i < count; i++) {
        const size_t begin = data.length;

        add_data(&data, &tensors[i]);
        df_text_addf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", i ? "," : "", tensors[i].name,
                     tensors[i].dtype, tensors[i].shape, begin, data.length);
    }
    df_text_add(&header, "}");
    length = header.length;
    df_text_add_bytes(&file, &length, sizeof length);
    df_text_add_bytes(&file, header.data, header.length);
    df_text_add_bytes(&file, data.data, data.length);
    assert_ok(df_file_write(path(name), file.data, file.length, &err));
    df_text_release(&header);
    df_text_release(&data);
    df_text_release(&file);
    return path(name);
}

static const struct df_initialiser draw = { DF_INIT_NORMAL, 1 };

/* Names as torchvision's, so that older ones exist. */
static struct df_parameters *network(uint64_t seed)
{
    struct df_parameters *parameters = df_parameters_new();

    df_parameters_add(parameters, "backbone.fpn.inner_blocks.1.0.weight", DF_CONV_WEIGHT, (df_shape){ 2, 2, 1, 3 }, draw, DF_RNG_INIT);
    df_parameters_add(parameters, "head.classification_head.conv.3.0.bias", DF_VECTOR, (df_shape){ 1, 1, 1, 3 }, draw, DF_RNG_INIT);
    df_parameters_add(parameters, "rpn.head.conv.0.0.weight", DF_LINEAR_WEIGHT, (df_shape){ 2, 1, 1, 2 }, draw, DF_RNG_INIT);
    df_parameters_add_buffer(parameters, "backbone.body.bn1.running_var", 4, 1);
    df_parameters_build(parameters, device, seed, false);
    return parameters;
}

static const struct tensor whole[] = { { "backbone.fpn.inner_blocks.1.0.weight", "F32", "2,3,2,1", 1, 0.5, 0 },
                                       { "head.classification_head.conv.3.0.bias", "F64", "3", -1, 0.1, 0 },
                                       { "rpn.head.conv.0.0.weight", "F16", "2,2", 0, 0, 0xC101 },
                                       { "backbone.body.bn1.running_var", "BF16", "4", 0, 0, 0x4049 },
                                       { "backbone.body.bn1.num_batches_tracked", "I64", "", 7, 0, 0 } };
enum { WHOLE = sizeof whole / sizeof *whole };

static df_real at(const struct df_parameters *parameters, size_t item, size_t k)
{
    df_real value;

    df_read(device, &value, parameters->items[item]->value + k, sizeof value);
    return value;
}

static void check_whole(const struct df_parameters *parameters)
{
    for (size_t o = 0; o < 2; o++) /* [out,in,h,w] in the file, [out,h,w,in] here */
        for (size_t y = 0; y < 2; y++)
            for (size_t i = 0; i < 3; i++)
                assert_true(at(parameters, 0, (o * 2 + y) * 3 + i) == 1 + (df_real)((o * 3 + i) * 2 + y) / 2);
    assert_true(at(parameters, 1, 2) == (df_real)(float)(-1 + 0.1 * 2));
    assert_true(at(parameters, 2, 3) == (df_real)-2.501953125); /* sign, exponent 16, 257 / 1024: -(2 + 2 * 257 / 1024) */
    assert_true(at(parameters, 3, 1) == (df_real)3.140625);
}

static void element_types_are_read(void **state)
{
    struct df_parameters *parameters = network(1);

    (void)state;
    assert_ok(df_state_dict_read(write_file("whole", whole, WHOLE), parameters, NULL, &err));
    check_whole(parameters);
    df_parameters_free(parameters);
}

/* Subnormal, smallest normal, largest half; brain floats are the upper half of a float. */
static void halves_are_exact(void **state)
{
    static const struct {
        const char *dtype;
        uint16_t bits;
        double value;
    } cases[] = { { "F16", 0x0001, 0x1p-24 },   { "F16", 0x83FF, -1023 * 0x1p-24 },
                  { "F16", 0x0400, 0x1p-14 },   { "F16", 0x7BFF, 65504 },
                  { "F16", 0x3C00, 1 },         { "F16", 0x8000, 0 },
                  { "BF16", 0x0001, 0x1p-133 }, { "BF16", 0xBF80, -1 } };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct df_parameters *parameters = df_parameters_new();
        const struct tensor one = { "v", cases[i].dtype, "3", 0, 0, cases[i].bits };

        df_parameters_add(parameters, "v", DF_VECTOR, (df_shape){ 1, 1, 1, 3 }, draw, DF_RNG_INIT);
        df_parameters_build(parameters, device, 0, false);
        assert_ok(df_state_dict_read(write_file("half", &one, 1), parameters, NULL, &err));
        assert_true((double)at(parameters, 0, 2) == cases[i].value);
        df_parameters_free(parameters);
    }
}

static void older_names_are_known(void **state)
{
    struct df_parameters *parameters = network(1);
    struct tensor older[WHOLE];

    (void)state;
    memcpy(older, whole, sizeof whole);
    older[0].name = "backbone.fpn.inner_blocks.1.weight";
    older[1].name = "head.classification_head.conv.6.bias"; /* a ReLU stood after every convolution */
    older[2].name = "rpn.head.conv.weight";
    assert_ok(df_state_dict_read(write_file("older", older, WHOLE), parameters, NULL, &err));
    check_whole(parameters);
    older[1].name = "head.classification_head.conv.3.bias";
    assert_fails(df_state_dict_read(write_file("older", older, WHOLE), parameters, NULL, &err), DF_ERR_FORMAT,
                 "tensor 'head.classification_head.conv.3.0.bias' is missing, expected with shape [3]; the nearest name in the file is "
                 "'head.classification_head.conv.3.bias'");
    df_parameters_free(parameters);
}

/* What cannot be used changes nothing. */
static void refuse(const struct tensor *tensors, size_t count, const char *message)
{
    struct df_parameters *parameters = network(2);
    const uint64_t before = df_parameters_hash(parameters);

    assert_fails(df_state_dict_read(write_file("refused", tensors, count), parameters, NULL, &err), DF_ERR_FORMAT, message);
    assert_true(df_parameters_hash(parameters) == before);
    df_parameters_free(parameters);
}

static void what_does_not_fit_is_refused_by_name(void **state)
{
    struct tensor bad[WHOLE + 1];

    (void)state;
    memcpy(bad, whole, sizeof whole);
    refuse(bad, 1, "tensor 'head.classification_head.conv.3.0.bias' is missing, expected with shape [3], and so are 2 more");
    bad[WHOLE] = (struct tensor){ "rpn.head.conv.1.0.weight", "F32", "2,2", 0, 1, 0 };
    refuse(bad, WHOLE + 1, "tensor 'rpn.head.conv.1.0.weight' is not one of this network's (its nearest is 'rpn.head.conv.0.0.weight')");
    bad[WHOLE] = (struct tensor){ "rpn.head.conv.weight", "F32", "2,2", 0, 1, 0 }; /* under its other name as well */
    refuse(bad, WHOLE + 1, "tensor 'rpn.head.conv.weight' is not one of this network's");
    bad[WHOLE] = (struct tensor){ "x", "F32", "1", 0, 1, 0 };
    refuse(bad, WHOLE + 1, "tensor 'x' is not one of this network's");
    bad[0].shape = "2,2,3,1";
    refuse(bad, WHOLE, "tensor 'backbone.fpn.inner_blocks.1.0.weight' has shape [2,2,3,1], expected [2,3,2,1]");
    bad[0] = whole[0];
    bad[1].dtype = "I64";
    refuse(bad, WHOLE, "tensor 'head.classification_head.conv.3.0.bias' has dtype I64, expected F32, F64, F16 or BF16");
    bad[1] = whole[1];
    bad[1].first = 1e39; /* beyond float */
    refuse(bad, WHOLE, "tensor 'head.classification_head.conv.3.0.bias' holds inf");
    bad[1] = whole[1];
    bad[3].bits = 0x7FC0;
    refuse(bad, WHOLE, "tensor 'backbone.body.bn1.running_var' holds nan");
    bad[3].bits = 0xBF80;
    refuse(bad, WHOLE, "tensor 'backbone.body.bn1.running_var' holds -1, expected variances of 0 or more");
}

/* Names with something before them, and names of another program: the message says what is there. */
static void foreign_names_are_told(void **state)
{
    struct tensor tensors[WHOLE];
    char name[WHOLE][128];

    (void)state;
    for (size_t i = 0; i < WHOLE; i++) {
        tensors[i] = whole[i];
        snprintf(name[i], sizeof name[i], "module.net.%s", whole[i].name);
        tensors[i].name = name[i];
    }
    refuse(tensors, WHOLE, "every name begins with 'module.net.', ");
    assert_non_null(strstr(err.text, "k[11:]"));
    tensors[WHOLE - 1].name = "epoch"; /* not all of them */
    refuse(tensors, WHOLE, "the file's 5 names begin with 'module.', 'epoch' [is it a state dict of this network?]");
}

/* Two groups of a background row and two classes, two columns each: rows [group][slot][column]. */
static void classes_are_chosen_by_number(void **state)
{
    static const struct df_class_rows rows[] = { { "head", 1, 2 }, { 0 } };
    static const int64_t number[] = { 3, 1 }, beyond[] = { 3, 5 }, background[] = { 0, 1 };
    struct df_class_choice choice = { .rows = rows, .classes = 2, .number = number };
    struct df_parameters *parameters = df_parameters_new();
    struct tensor file[] = { { "head.weight", "F32", "20,3", 0, 1, 0 },
                             { "head.bias", "F32", "20", 100, 1, 0 } }; /* 2 x (1 + 4) x 2 rows */

    (void)state;
    df_parameters_add(parameters, "head.weight", DF_LINEAR_WEIGHT, (df_shape){ 12, 1, 1, 3 }, draw, DF_RNG_INIT);
    df_parameters_add(parameters, "head.bias", DF_VECTOR, (df_shape){ 1, 1, 1, 12 }, draw, DF_RNG_INIT);
    df_parameters_build(parameters, device, 4, false);
    assert_ok(df_state_dict_read(write_file("classes", file, 2), parameters, &choice, &err));
    for (size_t group = 0; group < 2; group++)
        for (size_t slot = 0; slot < 3; slot++)
            for (size_t column = 0; column < 2; column++) {
                const size_t own = (group * 3 + slot) * 2 + column, from = (group * 5 + (slot ? (size_t)number[slot - 1] : 0)) * 2 + column;

                assert_true(at(parameters, 1, own) == (df_real)(100 + from));
                assert_true(at(parameters, 0, own * 3 + 2) == (df_real)(from * 3 + 2));
            }
    choice.number = beyond;
    assert_fails(df_state_dict_read(path("classes"), parameters, &choice, &err), DF_ERR_FORMAT,
                 "tensor 'head.weight' has classes 1 to 4, but class 5 is asked for");
    choice.number = background;
    assert_fails(df_state_dict_read(path("classes"), parameters, &choice, &err), DF_ERR_FORMAT, "but class 0 is asked for");
    choice.number = NULL;
    assert_fails(df_state_dict_read(path("classes"), parameters, &choice, &err), DF_ERR_FORMAT,
                 "tensor 'head.weight' has shape [20,3], expected [12,3] [other classes? --classes id chooses them by category id]");
    choice.number = number;
    file[0].shape = "18,3";
    assert_fails(df_state_dict_read(write_file("classes", file, 2), parameters, &choice, &err), DF_ERR_FORMAT,
                 "tensor 'head.weight' has 18 rows, expected a multiple of 4");
    file[0].shape = "20,3,1";
    assert_fails(df_state_dict_read(write_file("classes", file, 2), parameters, &choice, &err), DF_ERR_FORMAT, "has shape [20,3,1]");
    df_parameters_free(parameters);
}

static void the_way_back_is_exact(void **state)
{
    struct df_parameters *parameters = network(1), *again = network(2);
    cJSON *index, *metadata;
    const cJSON *row;
    size_t tracked = 0;
    char file[600];

    (void)state;
    assert_ok(df_state_dict_read(write_file("whole", whole, WHOLE), parameters, NULL, &err));
    snprintf(file, sizeof file, "%s", path("back"));
    assert_ok(df_state_dict_write(file, parameters, &err));
    assert_ok(df_state_dict_read(file, again, NULL, &err));
    check_whole(again);
    assert_true(df_parameters_hash(again) == df_parameters_hash(parameters));
    assert_ok(df_checkpoint_index(file, &index, &err));
    cJSON_ArrayForEach(row, index)
    {
        if (strcmp(cJSON_GetObjectItem(row, "name")->valuestring, "backbone.body.bn1.num_batches_tracked") != 0)
            continue;
        assert_string_equal(cJSON_GetObjectItem(row, "dtype")->valuestring, "I64");
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(row, "shape")), 0);
        tracked++;
    }
    assert_int_equal(tracked, 1);
    assert_int_equal(cJSON_GetArraySize(index), WHOLE);
    cJSON_Delete(index);
    assert_ok(df_checkpoint_metadata(file, &metadata, &err));
    assert_string_equal(cJSON_GetObjectItem(metadata, "format")->valuestring, "pt");
    cJSON_Delete(metadata);
    df_parameters_free(parameters);
    df_parameters_free(again);
}

/* A part of a network out of a whole file; out of one without the prefix in its names, as an image classifier's is. */
static void a_part_is_taken(void **state)
{
    static const struct tensor classifier[] = { { "bn1.running_var", "F32", "4", 5, 1, 0 }, { "fc.weight", "F32", "2,2", 0, 0, 0 } };
    static const struct tensor deeper[] = { { "backbone.body.bn1.running_var", "F32", "4", 5, 1, 0 },
                                            { "backbone.body.bn9.bias", "F32", "4", 0, 0, 0 } };
    struct df_parameters *parameters = network(1), *drawn = network(1);
    struct df_taken taken;

    (void)state;
    assert_ok(df_state_dict_take(write_file("whole", whole, WHOLE), parameters, 4, "backbone.fpn", &taken, &err));
    assert_true(taken.tensors == 1 && taken.kept == 3 && taken.left == 3);
    assert_string_equal(taken.first_left, "head.classification_head.conv.3.0.bias");
    assert_true(at(parameters, 0, 3) == (df_real)1.5); /* [0,1,0,0] is the file's [0,0,1,0] */
    for (size_t k = 0; k < 3; k++)
        assert_true(at(parameters, 1, k) == at(drawn, 1, k));
    assert_ok(df_state_dict_take(write_file("classifier", classifier, 2), parameters, 4, "backbone.body", &taken, &err));
    assert_true(taken.tensors == 1 && taken.kept == 3 && taken.left == 1 && at(parameters, 3, 2) == 7);
    assert_string_equal(taken.first_left, "fc.weight");
    assert_ok(df_state_dict_take(path("whole"), parameters, 4, "", &taken, &err));
    assert_true(taken.tensors == 4 && taken.kept == 0 && taken.left == 0);
    check_whole(parameters);
    /* beyond the count nobody looks: what distillers add is in no file */
    df_parameters_free(parameters);
    parameters = network(1);
    assert_fails(df_state_dict_take(path("whole"), parameters, 3, "", &taken, &err), DF_ERR_FORMAT, "'backbone.body.bn1.running_var'");
    assert_fails(df_state_dict_take(path("whole"), parameters, 4, "backbon.body", &taken, &err), DF_ERR_USAGE,
                 "no tensor of the network begins with 'backbon.body' (its first is 'backbone.fpn.inner_blocks.1.0.weight')");
    assert_fails(df_state_dict_take(path("classifier"), parameters, 4, "backbone.fpn", &taken, &err), DF_ERR_FORMAT,
                 "'backbone.fpn.inner_blocks.1.0.weight' is missing");
    assert_fails(df_state_dict_take(write_file("deeper", deeper, 2), parameters, 4, "backbone.body", &taken, &err), DF_ERR_FORMAT,
                 "'backbone.body.bn9.bias' is not one of this network's");
    assert_true(df_parameters_hash(parameters) == df_parameters_hash(drawn)); /* on failure nothing was touched */
    df_parameters_free(parameters);
    df_parameters_free(drawn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(element_types_are_read), cmocka_unit_test(halves_are_exact),
        cmocka_unit_test(older_names_are_known),  cmocka_unit_test(what_does_not_fit_is_refused_by_name),
        cmocka_unit_test(foreign_names_are_told), cmocka_unit_test(classes_are_chosen_by_number),
        cmocka_unit_test(the_way_back_is_exact),  cmocka_unit_test(a_part_is_taken),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
