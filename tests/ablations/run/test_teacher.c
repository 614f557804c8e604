/* Teachers and their cache: trained once, checked by the gate, recorded once; cached = live; stale and torn files are refused. */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ablations/run/cache.h"
#include "ablations/run/evaluate.h"
#include "ablations/run/model.h"
#include "ablations/run/teacher.h"
#include "ablations/run/trainer.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/nn/checkpoint.h"
#include "tests/ablations/run/tiny.h"

static struct df_cell *teacher;

static struct df_cell *student(const char *distiller, const char *options)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_error err = { 0 };

    tiny_add(cell, distiller, options, teacher);
    assert_ok(df_cell_seal(cell, &err));
    return cell;
}

static void trained_once_and_written_with_its_facts(void **state)
{
    struct df_run_options options = tiny_run(tiny_out("once"));
    struct df_teacher_facts facts;
    struct df_error err = { 0 };
    struct stat before, after;
    char *path, *again;

    (void)state;
    assert_ok(df_prepare_teacher(teacher, &options, &path, &err));
    assert_ok(df_teacher_facts_read(path, &facts, &err));
    assert_true(facts.gated && facts.measured);
    assert_string_equal(facts.id, teacher->id);
    assert_int_equal(facts.gate_images, 7);
    assert_int_equal(facts.levels, 3);
    for (size_t l = 0; l < 3; l++)
        assert_true(facts.neck_std[l] > 0);
    assert_true(facts.map == facts.gate_map); /* the whole split is smaller than the gate's subset */
    assert_int_equal(stat(path, &before), 0);
    assert_ok(df_prepare_teacher(teacher, &options, &again, &err));
    assert_int_equal(stat(again, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    free(path);
    free(again);
}

static const struct df_record_part *recorded(const struct df_record_layout *record, const char *name)
{
    size_t i = 0;

    while (strcmp(record->part[i].name, name) != 0)
        assert_true(++i < record->parts);
    return &record->part[i];
}

/* The standard deviation of the metadata, computed another way: from the cache's records. */
static void neck_std_is_that_of_the_features(void **state)
{
    struct df_cell *cell = student("full_feature", "{}");
    struct df_run_options options = tiny_run(tiny_out("std"));
    struct df_teacher_facts facts;
    struct df_dataset *train;
    struct df_teacher *open;
    struct df_cache *cache;
    struct df_error err = { 0 };
    char *path;

    (void)state;
    options.cache = DF_CACHE_ON;
    assert_ok(df_data_split(cell->data, DF_TRAIN, &train, &err));
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_teacher_open(cell, &cell->teacher[0], &options, train, &open, &err));
    path = df_teacher_path(cell->teacher[0].cell, &options);
    assert_ok(df_teacher_facts_read(path, &facts, &err));

    const char *name = strrchr(df_teacher_cache(open), '/') + 1;
    char key[17];

    snprintf(key, sizeof key, "%.16s", name);
    assert_ok(df_cache_open(df_teacher_cache(open), key, 36, &cache, &err));
    for (size_t l = 0; l < 3; l++) {
        const struct df_part *part = df_parts_at(&df_teacher_parts(open)->teacher, "neck", l);
        const size_t each = df_count(part->shape);
        double mean = 0, variance = 0;

        for (int pass = 0; pass < 2; pass++)
            for (size_t i = 0; i < 18; i++) {
                const struct df_record_layout *record;

                assert_ok(df_cache_record(cache, 2 * i, &record, &err));

                const df_real *x = (const void *)((const char *)record + recorded(record, part->name)->offset);

                for (size_t j = 0; j < each; j++) {
                    if (pass == 0)
                        mean += (double)x[j] / (double)(each * 18);
                    else
                        variance += ((double)x[j] - mean) * ((double)x[j] - mean) / (double)(each * 18);
                }
            }
        assert_close(facts.neck_std[l], sqrt(variance), 1e-9, 0);
        assert_true(part->std == facts.neck_std[l]);
    }
    df_cache_close(cache);
    df_teacher_close(open);
    free(path);
    df_cell_free(cell);
}

/* Scenes that count, over all processes: only a training opens the tune split, only it and the cache's builder read images. */
static struct counts {
    atomic_int trainings, reads;
} * counts;
static struct df_dataset_class counting;

static df_status read_and_count(struct df_dataset *dataset, size_t i, struct df_image *out, struct df_error *err)
{
    counts->reads++;
    return df_dataset_class_find("scenes", NULL)->read(dataset, i, out, err);
}

static df_status open_and_count(const struct df_data *data, enum df_split split, struct df_dataset **out, struct df_error *err)
{
    counts->trainings += split == DF_TUNE;
    return df_dataset_class_find("scenes", NULL)->open(data, split, out, err);
}

/* Two processes ask at once: one trains and builds, the other waits, both see the same files. */
static void two_processes_share_one(void **state)
{
    struct df_cell *cell = student("full_feature", "{}");
    struct df_data *data[] = { tiny_data_of("scenes", ".", TINY_DATA), tiny_data_of("scenes", ".", TINY_DATA) };
    struct df_run_options options = tiny_run(tiny_out("two")), alone = tiny_run(tiny_out("alone"));
    struct df_error err = { 0 };
    char *path = NULL;
    pid_t child[2];
    int status;

    (void)state;
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(counts, MAP_FAILED);
    counting = *data[0]->class;
    counting.open = open_and_count;
    counting.read = read_and_count;
    data[0]->class = data[1]->class = &counting;
    teacher->data = cell->data = data[0];
    alone.cache = options.cache = DF_CACHE_ON;
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &alone, &path, &err));
    free(path);
    path = NULL;
    assert_int_equal(counts->trainings, 1);

    const int reads = counts->reads;

    assert_true(reads > 36);
    counts->trainings = counts->reads = 0;
    teacher->data = cell->data = data[1];
    for (int k = 0; k < 2; k++) {
        child[k] = fork();
        if (child[k] == 0)
            _exit(df_prepare_cache(cell, &cell->teacher[0], &options, &path, &err) != DF_OK || !path);
    }
    for (int k = 0; k < 2; k++) {
        assert_int_equal(waitpid(child[k], &status, 0), child[k]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(counts->trainings, 1);
    assert_int_equal(counts->reads, reads); /* who waits looks at none */
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &path, &err));
    assert_non_null(path);
    teacher->data = tiny_data();
    for (int k = 0; k < 2; k++)
        df_data_free(data[k]);
    munmap(counts, sizeof *counts);
    free(path);
    df_cell_free(cell);
}

/* Who waited for the lock takes what is there, and does not train again. */
static void who_waited_does_not_train_again(void **state)
{
    struct df_run_options first = tiny_run(tiny_out("once")), second = tiny_run(tiny_out("waits"));
    struct df_error err = { 0 };
    struct stat before, after;
    char *path, *copy, lock[700], *data;
    int fd, status;
    size_t bytes;

    (void)state;
    assert_ok(df_prepare_teacher(teacher, &first, &path, &err));
    assert_ok(df_file_read(path, 0, &data, &bytes, &err));
    snprintf(lock, sizeof lock, "%s/teachers", second.out);
    assert_ok(df_folder_make(lock, &err));
    snprintf(lock, sizeof lock, "%s/teachers/%s.lock", second.out, teacher->id);
    assert_ok(df_lock(lock, false, &fd, &err));

    const pid_t child = fork();

    if (child == 0) {
        close(fd); /* else the child would hold the lock that it waits for */
        _exit(df_prepare_teacher(teacher, &second, &copy, &err) != DF_OK);
    }
    usleep(200 * 1000);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0); /* it waits */
    snprintf(lock, sizeof lock, "%s/teachers/%s.safetensors", second.out, teacher->id);
    assert_ok(df_file_write(lock, data, bytes, &err));
    assert_int_equal(stat(lock, &before), 0);
    df_unlock(fd);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(stat(lock, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    free(data);
    free(path);
}

/* Two teachers that differ in their weights alone have a cache each. */
static void each_teacher_has_its_own_cache(void **state)
{
    struct df_cell *other = tiny_cell(TINY_TEACHER, TINY_SCHEDULE, "cpu", 1001), *cell = student("full_feature", "{}"),
                   *twin = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("once"));
    struct df_error err = { 0 };
    char *first, *second;

    (void)state;
    other->teacher_role = true;
    assert_ok(df_cell_seal(other, &err));
    tiny_add(twin, "full_feature", "{}", other);
    assert_ok(df_cell_seal(twin, &err));
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &first, &err));
    assert_ok(df_prepare_cache(twin, &twin->teacher[0], &options, &second, &err));
    assert_string_not_equal(first, second);
    free(first);
    free(second);
    df_cell_free(twin);
    df_cell_free(cell);
    df_cell_free(other);
}

static void cached_is_live(void **state)
{
    struct df_cell *cell = student("defeat", "{\"w_fg\":0.5,\"w_bg\":1,\"head\":\"decoupled\",\"normalise_teacher\":true}");
    struct df_run_options options = tiny_run(tiny_out("cached"));
    struct df_run_result *cached, *live;
    struct df_error err = { 0 };
    uint64_t hash;

    (void)state;
    options.cache = DF_CACHE_ON;
    assert_ok(df_prepare_and_run(cell, &options, &cached, &err));
    hash = tiny_hash(options.out, cell);
    options.cache = DF_CACHE_OFF;
    assert_ok(df_prepare_and_run(cell, &options, &live, &err));
    tiny_assert_same(cached, live);
    assert_true(hash == tiny_hash(options.out, cell));
    df_run_result_free(cached);
    df_run_result_free(live);
    df_cell_free(cell);
}

/* What a training stands on is there or is named; nothing is trained or built on the way to it. */
static void a_trainer_trains_no_teacher(void **state)
{
    struct df_cell *cell = student("full_feature", "{}");
    struct df_run_options options = tiny_run(tiny_out("bare"));
    struct df_run_result *result = NULL;
    struct df_trainer *trainer;
    struct df_error err = { 0 };
    char *path = NULL, folder[600];

    (void)state;
    options.cache = DF_CACHE_ON;
    assert_fails(df_trainer_new(cell, &options, &trainer, &err), DF_ERR_NOT_FOUND,
                 "which is not there ['defeat prepare' of its spec trains it]");
    assert_non_null(strstr(err.text, teacher->id));
    assert_null(trainer);
    snprintf(folder, sizeof folder, "%s/teachers", options.out);
    assert_false(df_file_exists(folder));
    assert_ok(df_prepare_teacher(teacher, &options, &path, &err));
    free(path);
    assert_fails(df_run_cell(cell, &options, &result, &err), DF_ERR_NOT_FOUND,
                 "which is not there ['defeat prepare' of its spec builds it]");
    assert_null(result);
    options.cache = DF_CACHE_AUTO; /* to be used where it is there */
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_null(df_teacher_cache(trainer->teacher[0]));
    df_trainer_free(trainer);
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_non_null(df_teacher_cache(trainer->teacher[0]));
    df_trainer_free(trainer);
    df_cell_free(cell);
}

/* Row i of the teacher's state is what the network says of image i alone, flipped as the student sees it. */
static void each_image_has_its_own_teacher(void **state)
{
    struct df_cell *cell = student("full_feature", "{}");
    struct df_run_options options = tiny_run(tiny_out("once"));
    struct df_detection_state seen, taught, alone;
    const struct df_batch *batch, *one;
    struct df_trainer *trainer;
    struct df_loader *loader;
    struct df_model model;
    struct df_error err = { 0 };
    size_t flipped = 0;

    (void)state;
    options.cache = DF_CACHE_ON;
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_ok(df_loader_get(trainer->loader, 0, &batch, &err));
    df_detector_forward(trainer->student.model.detector, trainer->student.tape, batch, 0, &seen);
    assert_ok(df_teacher_state(trainer->teacher[0], trainer->student.tape, &seen, &taught, &err));

    const struct df_loader_config config = df_cell_loader(cell, trainer->train, false);
    char *path = df_teacher_path(cell->teacher[0].cell, &options);

    assert_ok(df_loader_new(&config, &loader, &err));
    assert_ok(df_model_open(teacher, trainer->train->categories, path, &model, &err));

    df_tape *tape = df_tape_new(model.device, false);

    assert_int_equal(batch->n, 5);
    for (size_t i = 0; i < batch->n; i++) {
        assert_ok(df_loader_one(loader, batch->index[i], batch->flipped[i], &one, &err));
        df_tape_reset(tape);
        df_detector_forward(model.detector, tape, one, 0, &alone);
        for (size_t l = 0; l < 3; l++) {
            const df_tensor *of_all = df_part(&taught, "neck", l)->tensor, *of_one = df_part(&alone, "neck", l)->tensor;
            const size_t each = df_count(of_one->shape);

            assert_int_equal(df_count(of_all->shape), 5 * each);
            assert_memory_equal(of_all->data + i * each, of_one->data, each * sizeof(df_real));
        }
        flipped += batch->flipped[i];
    }
    assert_true(flipped > 0 && flipped < 5);
    df_tape_free(tape);
    df_model_release(&model);
    df_loader_free(loader);
    df_trainer_free(trainer);
    free(path);
    df_cell_free(cell);
}

/* A full stack of the distiller with the most terms: all of them are logged, each under a name of its own. */
static void a_full_stack_logs_every_term(void **state)
{
    static const char options_text[] = "{\"head\":\"decoupled\"}";
    struct df_cell *cell = student("defeat", options_text);
    struct df_run_options options = tiny_run(tiny_out("once"));
    struct df_trainer *trainer;
    struct df_error err = { 0 };

    (void)state;
    while (cell->distillers < DF_STACK_MAX)
        tiny_add(cell, "defeat", options_text, teacher);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_ok(df_trainer_step(trainer, &err));
    assert_true(trainer->student.terms.count >= 2 + 4 * DF_STACK_MAX);
    assert_ok(df_trainer_read_log(trainer, &err));
    assert_int_equal(trainer->log.means, trainer->student.terms.count);
    df_trainer_free(trainer);
    df_cell_free(cell);
}

static char warned[1024];

static void remember_warning(void *context, const char *text)
{
    (void)context;
    snprintf(warned, sizeof warned, "%s", text);
}

static void auto_turns_a_large_cache_off(void **state)
{
    struct df_cell *cell = student("full_feature", "{}");
    struct df_run_options options = tiny_run(tiny_out("auto"));
    struct df_error err = { 0 };
    size_t bytes;
    char *path;

    (void)state;
    options.cache_limit_bytes = 1000;
    warned[0] = 0;
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &path, &err));
    assert_null(path);
    assert_non_null(strstr(warned, "runs live"));
    options.cache_limit_bytes = 1e9;
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &path, &err));
    assert_non_null(path);
    assert_ok(df_file_size(path, &bytes, &err));
    assert_ok(df_file_remove(path, &err));
    free(path);
    for (size_t room = bytes - 1; room <= bytes; room++) { /* images of one size: what it would take is what it takes */
        options.cache_limit_bytes = (double)room;
        assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &path, &err));
        assert_int_equal(path != NULL, room == bytes);
    }
    free(path);
    df_cell_free(cell);
}

static void damage(const char *path, off_t at)
{
    const int fd = open(path, O_RDWR);
    unsigned char byte = 0;

    assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* The first entry of a cache's index points elsewhere, and every hash is right. */
static void entry_elsewhere(const char *path, uint64_t offset)
{
    enum { INDEX = 4096, INDEX_HASH = 56, HEADER_HASH = 64 };
    struct df_error err;
    size_t bytes;
    uint64_t hash;
    char *file;

    assert_ok(df_file_read(path, 0, &file, &bytes, &err));
    memcpy(file + INDEX, &offset, sizeof offset);
    hash = df_hash(file + INDEX, 3 * 24);
    memcpy(file + INDEX_HASH, &hash, sizeof hash);
    hash = df_hash(file, HEADER_HASH);
    memcpy(file + HEADER_HASH, &hash, sizeof hash);
    assert_ok(df_file_write(path, file, bytes, &err));
    free(file);
}

/* One flipped bit in the header, in the table, in a record; a file cut short; another teacher's. */
static void torn_and_stale_files_are_refused(void **state)
{
    static const size_t sizes[] = { 4096, 8192, 64 };
    struct df_cache_writer *writer;
    struct df_cache *cache;
    struct df_error err = { 0 };
    const struct df_record_layout *record;
    unsigned char bytes[8192];
    struct df_text text = DF_TEXT_INIT;
    char path[600];

    (void)state;
    snprintf(path, sizeof path, "%s/0123456789abcdef.cache", df_test_folder());
    assert_ok(df_cache_create(path, "0123456789abcdef", 3, &writer, &err));
    assert_false(df_file_exists(path)); /* not before it is whole */
    for (size_t i = 0; i < 3; i++) {
        memset(bytes, (int)(65 + i), sizeof bytes);
        memcpy(bytes, &(struct df_record_layout){ .bytes = sizes[i], .canvas_h = 48 }, 32);
        assert_ok(df_cache_put(writer, i, bytes, &err));
    }
    assert_ok(df_cache_finish(writer, &err));
    assert_ok(df_cache_open(path, "0123456789abcdef", 3, &cache, &err));
    assert_ok(df_cache_record(cache, 2, &record, &err));
    assert_int_equal(record->bytes, 64);
    assert_int_equal(((const unsigned char *)record)[63], 67);
    df_cache_close(cache);
    assert_true(df_cache_is(path));
    assert_ok(df_cache_describe(path, true, &text, &err));
    assert_non_null(strstr(text.data, "0123456789abcdef"));
    assert_non_null(strstr(text.data, "48 x 0 pixels, 4096 bytes"));
    df_text_release(&text);

    assert_fails(df_cache_open(path, "fedcba9876543210", 3, &cache, &err), DF_ERR_STALE, "delete the file");
    assert_fails(df_cache_open(path, "0123456789abcdef", 4, &cache, &err), DF_ERR_STALE, path);
    damage(path, 20);
    assert_fails(df_cache_open(path, "0123456789abcdef", 3, &cache, &err), DF_ERR_FORMAT, "torn");
    damage(path, 20);
    damage(path, 4096 + 9);
    assert_fails(df_cache_open(path, "0123456789abcdef", 3, &cache, &err), DF_ERR_FORMAT, "index");
    damage(path, 4096 + 9);
    damage(path, 8192 + 4096 + 17);
    assert_ok(df_cache_open(path, "0123456789abcdef", 3, &cache, &err));
    assert_ok(df_cache_record(cache, 0, &record, &err));
    assert_fails(df_cache_record(cache, 1, &record, &err), DF_ERR_FORMAT, "record 1");
    df_cache_close(cache);
    entry_elsewhere(path, (uint64_t)1 << 40);
    assert_fails(df_cache_open(path, "0123456789abcdef", 3, &cache, &err), DF_ERR_FORMAT, "a record lies outside of it");
    for (off_t size = 8192 + 4096 + 8192 + 64 - 1; size > 0; size -= 3000) {
        assert_int_equal(truncate(path, size), 0);
        assert_fails(df_cache_open(path, "0123456789abcdef", 3, &cache, &err), DF_ERR_FORMAT, "torn");
    }
}

/* What a record says of itself is not followed out of it, however right its checksum is. */
static void records_stay_inside(void **state)
{
    const struct df_record_part good = { .name = "neck/0", .h = 2, .w = 3, .c = 4, .offset = 960 };
    static unsigned char bytes[4096];
    struct df_record_layout record = { .bytes = 1088, .parts = 1, .part = { good } };

    (void)state;
    memcpy(bytes, &record, sizeof record < sizeof bytes ? sizeof record : sizeof bytes);
    assert_true(df_record_legal(bytes, 1088));
    assert_false(df_record_legal(bytes, 1024)); /* another size than it says */
    assert_false(df_record_legal(bytes, 24));
    for (int k = 0; k < 8; k++) {
        struct df_record_layout bad = record;
        struct df_record_part *part = &bad.part[0];

        *(k == 0   ? &part->h
          : k == 1 ? &part->w
          : k == 2 ? &part->c
          : k == 3 ? &part->offset
          : k == 4 ? &bad.parts
          : k == 5 ? &bad.bytes
          : k == 6 ? &part->offset
                   : &part->h) = k == 3   ? 1024
                                 : k == 6 ? 961
                                 : k == 7 ? UINT64_MAX / 2
                                          : 100;
        assert_false(df_record_legal(&bad, 1088));
    }
    memset(record.part[0].name, 'x', sizeof record.part[0].name);
    assert_false(df_record_legal(&record, 1088));
}

/* One flipped bit in the last record of a real cache: found before any cell runs. */
static void a_damaged_record_is_found_at_once(void **state)
{
    struct df_cell *cell = student("full_feature", "{}");
    struct df_run_options options = tiny_run(tiny_out("damaged"));
    struct df_error err = { 0 };
    char *path, *none;
    struct stat st;

    (void)state;
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &path, &err));
    assert_int_equal(stat(path, &st), 0);
    damage(path, st.st_size - 3);
    assert_fails(df_prepare_cache(cell, &cell->teacher[0], &options, &none, &err), DF_ERR_FORMAT,
                 "record 35 does not match its checksum [delete the file");
    assert_non_null(strstr(err.text, path));
    assert_null(none);
    assert_int_equal(unlink(path), 0);
    free(path);
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &path, &err));
    free(path);
    df_cell_free(cell);
}

/* Copied once; a copy that is not whole is made again; without room, or without a place, the shared one is read. */
static void scratch_holds_a_checked_copy(void **state)
{
    struct df_cell *cell = student("full_feature", "{}");
    struct df_run_options options = tiny_run(tiny_out("scratch"));
    struct df_error err = { 0 };
    char *path, *copy, folder[600];
    struct df_dataset *train;
    struct df_teacher *open;
    struct stat made, later;

    (void)state;
    snprintf(folder, sizeof folder, "%s/scratch-disk", df_test_folder());
    setenv("DF_TEST_DISK", df_test_folder(), 1);
    options.scratch = "$DF_TEST_DISK/scratch-disk";
    assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &path, &err));
    assert_ok(df_data_split(cell->data, DF_TRAIN, &train, &err));
    assert_ok(df_teacher_open(cell, &cell->teacher[0], &options, train, &open, &err));
    copy = df_strdup(df_teacher_cache(open));
    df_teacher_close(open);
    assert_int_equal(strncmp(copy, folder, strlen(folder)), 0);
    assert_int_equal(stat(copy, &made), 0);
    for (int damaged = 0; damaged < 2; damaged++) {
        if (damaged)
            damage(copy, made.st_size - 3);
        assert_ok(df_teacher_open(cell, &cell->teacher[0], &options, train, &open, &err));
        assert_string_equal(df_teacher_cache(open), copy);
        df_teacher_close(open);
        assert_int_equal(stat(copy, &later), 0);
        assert_true((later.st_ino == made.st_ino) == !damaged);
    }
    df_warn_set(remember_warning, NULL);
    for (int unset = 0; unset < 2; unset++) {
        options.scratch = unset ? "$DF_TEST_UNSET" : "/dev/null/here";
        assert_ok(df_teacher_open(cell, &cell->teacher[0], &options, train, &open, &err));
        assert_string_equal(df_teacher_cache(open), path);
        df_teacher_close(open);
        assert_non_null(strstr(warned, unset ? "'$DF_TEST_UNSET': the variable is not set here" : "/dev/null"));
        assert_non_null(strstr(warned, "the shared cache is read"));
    }
    free(path);
    free(copy);
    df_cell_free(cell);
}

static void an_abandoned_cache_leaves_nothing(void **state)
{
    struct df_cache_writer *writer;
    struct df_error err = { 0 };
    char folder[600], path[640], **names;

    (void)state;
    snprintf(folder, sizeof folder, "%s/abandoned", df_test_folder());
    snprintf(path, sizeof path, "%s/k.cache", folder);
    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_cache_create(path, "k", 3, &writer, &err));
    assert_ok(df_folder_list(folder, &names, &err));
    assert_non_null(names[0]);
    assert_int_equal(strncmp(names[0], "k.cache.part.", 13), 0);
    df_names_free(names);
    df_cache_abandon(writer);
    assert_ok(df_folder_list(folder, &names, &err));
    assert_null(names[0]);
    df_names_free(names);
    assert_fails(df_cache_create("/nowhere/at/all.cache", "k", 3, &writer, &err), DF_ERR_IO, "/nowhere/at/all");
}

static void rewrite(const char *path, const struct df_model *model, struct df_metadata *items, size_t count, const char *key,
                    const char *value)
{
    struct df_error err = { 0 };

    for (size_t i = 0; i < count; i++)
        if (strcmp(items[i].key, key) == 0)
            items[i].value = value;
    assert_ok(df_checkpoint_write(
        path, (struct df_checkpoint){ .parameters = model->parameters, .metadata = items, .metadata_count = count }, &err));
}

static void the_gate_sees_other_weights(void **state)
{
    struct df_cell *cell = student("full_feature", "{}");
    struct df_run_options options = tiny_run(tiny_out("gate"));
    struct df_metadata items[16];
    struct df_teacher_facts facts;
    struct df_error err = { 0 };
    struct df_model model;
    size_t count = 0;
    cJSON *metadata;
    char *path, number[32], shown[32];
    df_real weight;

    (void)state;
    assert_fails(df_teacher_gate(cell->teacher[0].cell, &options, &err), DF_ERR_NOT_FOUND, teacher->id);
    assert_ok(df_prepare_teacher(teacher, &options, &path, &err));
    assert_ok(df_teacher_gate(cell->teacher[0].cell, &options, &err));

    assert_ok(df_checkpoint_metadata(path, &metadata, &err));
    assert_ok(df_model_load(teacher, path, &model, &err));
    for (const cJSON *item = metadata->child; item && count < 16; item = item->next)
        items[count++] = (struct df_metadata){ item->string, item->valuestring };
    weight = model.parameters->items[0]->value[0];
    model.parameters->items[0]->value[0] += 1;
    assert_ok(df_checkpoint_write(
        path, (struct df_checkpoint){ .parameters = model.parameters, .metadata = items, .metadata_count = count }, &err));
    assert_fails(df_teacher_gate(cell->teacher[0].cell, &options, &err), DF_ERR_CHECK, "teacher gate");
    /* weights as recorded, another number: the least difference counts here, half a point on another device */
    model.parameters->items[0]->value[0] = weight;
    assert_ok(df_teacher_facts_read(path, &facts, &err));
    rewrite(path, &model, items, count, "gate_map", df_format_real(number, facts.gate_map + 1e-9));
    df_format_real(shown, 100 * (facts.gate_map + 1e-9)); /* as the message has it */
    assert_fails(df_teacher_gate(cell->teacher[0].cell, &options, &err), DF_ERR_CHECK, shown);

    struct df_cell given = *teacher; /* as a file of somebody's: it may have been measured on other pictures, which its gate's hash tells */

    snprintf(given.file, sizeof given.file, "%s", path);
    assert_fails(df_teacher_gate(&given, &options, &err), DF_ERR_CHECK, "copy or make the file again");
    rewrite(path, &model, items, count, "gate_hash", "0123456789abcdef");
    warned[0] = 0;
    assert_ok(df_teacher_gate(&given, &options, &err));
    assert_non_null(strstr(warned, "it was measured on other images, on another canvas"));
    assert_non_null(strstr(warned, shown));
    rewrite(path, &model, items, count, "device", "abacus");
    assert_ok(df_teacher_gate(cell->teacher[0].cell, &options, &err));
    rewrite(path, &model, items, count, "gate_map", df_format_real(number, facts.gate_map + 0.0049));
    assert_ok(df_teacher_gate(cell->teacher[0].cell, &options, &err));
    rewrite(path, &model, items, count, "gate_map", df_format_real(number, facts.gate_map + 0.0051));
    df_format_real(shown, 100 * (facts.gate_map + 0.0051));
    assert_fails(df_teacher_gate(cell->teacher[0].cell, &options, &err), DF_ERR_CHECK, shown);
    /* the file of another teacher under this one's name */
    rewrite(path, &model, items, count, "id", "ffffffffffffffff");
    assert_fails(df_teacher_gate(cell->teacher[0].cell, &options, &err), DF_ERR_STALE, "ffffffffffffffff");
    df_model_release(&model);
    cJSON_Delete(metadata);
    free(path);
    df_cell_free(cell);
}

/* What its metadata say is what its own weights reach, which are not those that it was made of; and nothing of the machine is in it. */
static void half_precision_is_measured_anew(void **state)
{
    struct df_run_options options = tiny_run(tiny_out("halved"));
    struct df_cell *given;
    struct df_teacher_facts whole, half;
    struct df_error err = { 0 };
    struct df_model model;
    cJSON *metadata;
    char *path, file[600], hash[17];
    double map;

    (void)state;
    snprintf(file, sizeof file, "%s/half.safetensors", df_test_folder());
    assert_ok(df_prepare_teacher(teacher, &options, &path, &err));
    assert_ok(df_teacher_halve(teacher, path, file, &err));
    assert_ok(df_teacher_facts_read(path, &whole, &err));
    assert_ok(df_teacher_facts_read(file, &half, &err));
    assert_ok(df_model_load(teacher, file, &model, &err));
    assert_ok(df_teacher_kind_of(teacher)->measure(teacher, &model, 0, &map, &err));
    assert_true(half.map == map);
    assert_string_equal(half.parameters_hash, df_hash_text(hash, df_parameters_hash(model.parameters)));
    assert_string_not_equal(half.parameters_hash, whole.parameters_hash);
    assert_string_equal(half.id, whole.id);
    assert_true(half.neck_std[0] != whole.neck_std[0]);
    assert_ok(df_checkpoint_metadata(file, &metadata, &err));
    assert_null(cJSON_GetObjectItem(metadata, "isa"));
    given = tiny_given("cpu", &teacher->network, file);
    assert_ok(df_teacher_gate(given, &options, &err));
    cJSON_Delete(metadata);
    df_model_release(&model);
    df_cell_free(given);
    free(path);
}

/* A file without our metadata: neck_std is measured when it is opened, the gate can only warn. */
static void a_foreign_file_serves(void **state)
{
    struct df_cell *known = student("full_feature", "{\"normalise_teacher\":true}"),
                   *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("foreign"));
    struct df_run_result *a, *b;
    struct df_error err = { 0 };
    struct df_model model;
    char *path, file[600];

    (void)state;
    assert_ok(df_prepare_and_run(known, &options, &a, &err));
    path = df_teacher_path(known->teacher[0].cell, &options);
    assert_ok(df_model_load(teacher, path, &model, &err));
    snprintf(file, sizeof file, "%s/foreign.safetensors", df_test_folder());
    assert_ok(df_checkpoint_write(file, (struct df_checkpoint){ .parameters = model.parameters }, &err));

    struct df_cell *given = tiny_given("cpu", &teacher->network, file);

    tiny_add(cell, "full_feature", "{\"normalise_teacher\":true}", given);
    assert_ok(df_cell_seal(cell, &err));
    warned[0] = 0;
    assert_ok(df_teacher_gate(cell->teacher[0].cell, &options, &err));
    assert_non_null(strstr(warned, "no recorded mAP"));
    assert_ok(df_prepare_and_run(cell, &options, &b, &err));
    tiny_assert_same(a, b);
    df_run_result_free(a);
    df_run_result_free(b);
    df_model_release(&model);
    free(path);
    df_cell_free(given);
    df_cell_free(cell);
    df_cell_free(known);
}

/* The lowest bit of the byte `ahead` of this text's beginning */
static void flip(const char *path, const char *text, size_t ahead)
{
    struct df_error err = { 0 };
    size_t bytes;
    char *data;

    assert_ok(df_file_read(path, 0, &data, &bytes, &err));

    char *at = memmem(data, bytes, text, strlen(text));

    assert_non_null(at);
    at[ahead] ^= 1;
    assert_ok(df_file_write(path, data, bytes, &err));
    free(data);
}

/* One bit of the metadata, which no hash of the weights covers, or of a weight: nobody trains on it, nobody predicts with it. */
static void one_flipped_bit_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t ahead;
    } places[] = { { "\"neck_std\":\"", 14 }, { "\"map\":\"", 9 }, { "\"contents_hash\"", 3 }, { "}}", 3000 } };
    struct df_cell *cell = student("full_feature", "{\"normalise_teacher\":true}"),
                   *named = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("flipped"));
    struct df_run_result *result;
    struct df_error err = { 0 };
    struct df_model model;
    char *path, *weights;

    (void)state;
    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    df_run_result_free(result);
    path = df_teacher_path(cell->teacher[0].cell, &options);

    struct df_cell *given = tiny_given("cpu", &teacher->network, path);

    tiny_add(named, "full_feature", "{}", given);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        flip(path, places[i].text, places[i].ahead);
        assert_fails(df_prepare_and_run(cell, &options, &result, &err), DF_ERR_FORMAT, path);
        assert_non_null(strstr(err.text, "is damaged"));
        assert_non_null(strstr(err.text, "[remove the file"));
        assert_fails(df_teacher_gate(cell->teacher[0].cell, &options, &err), DF_ERR_FORMAT, "is damaged");
        assert_ok(df_cell_seal(named, &err));
        assert_fails(df_prepare_and_run(named, &options, &result, &err), DF_ERR_FORMAT, "is damaged");
        flip(path, i == 2 ? "\"cootents_hash\"" : places[i].text, places[i].ahead);
    }
    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    df_run_result_free(result);
    weights = tiny_weights(options.out, cell);
    flip(weights, "}}", 4000);
    assert_fails(df_model_load(cell, weights, &model, &err), DF_ERR_FORMAT, weights);
    free(weights);
    free(path);
    df_cell_free(given);
    df_cell_free(named);
    df_cell_free(cell);
}

/* The same weights in two files that say different things of them: two teachers, two caches. */
static void a_cache_belongs_to_its_file(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("two-files"));
    struct df_teacher_facts facts;
    struct df_error err = { 0 };
    char *path, *cache[2], id[2][17], hash[17], *data;
    struct df_model model;
    size_t bytes;

    (void)state;
    assert_ok(df_prepare_teacher(teacher, &options, &path, &err));
    assert_ok(df_model_load(teacher, path, &model, &err));

    struct df_cell *given = tiny_given("cpu", &teacher->network, "");

    tiny_add(cell, "full_feature", "{}", given);
    for (int i = 0; i < 2; i++) {
        const struct df_metadata note = { "note", i ? "two" : "one" };

        snprintf(given->file, sizeof given->file, "%s/noted%d.safetensors", df_test_folder(), i);
        assert_ok(df_checkpoint_write(
            given->file, (struct df_checkpoint){ .parameters = model.parameters, .metadata = &note, .metadata_count = 1 }, &err));
        assert_ok(df_cell_seal(cell, &err));
        memcpy(id[i], cell->id, sizeof id[i]);
        assert_ok(df_prepare_cache(cell, &cell->teacher[0], &options, &cache[i], &err));
    }
    assert_string_not_equal(id[0], id[1]);
    assert_string_not_equal(cache[0], cache[1]);
    assert_ok(df_teacher_facts_read("tests/golden/checkpoint_python.safetensors", &facts, &err)); /* without our hash: of its bytes */
    assert_ok(df_file_read("tests/golden/checkpoint_python.safetensors", 0, &data, &bytes, &err));
    assert_string_equal(facts.contents_hash, df_hash_text(hash, df_hash(data, bytes)));
    free(data);
    free(cache[0]);
    free(cache[1]);
    free(path);
    df_model_release(&model);
    df_cell_free(given);
    df_cell_free(cell);
}

static void necks_that_do_not_fit_are_refused(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("once"));
    struct df_run_result *result;
    struct df_error err = { 0 };

    (void)state;
    cell->network.fpn_stages.count = 2; /* C2, C3 */
    tiny_into(cell->detector->options, cell->detector->options_size, "{\"anchor_size\":[13,23],\"anchor_scales\":[1]}",
              cell->detector_options);
    tiny_add(cell, "full_feature", "{}", teacher);
    assert_ok(df_cell_seal(cell, &err));
    assert_fails(df_prepare_and_run(cell, &options, &result, &err), DF_ERR_UNSUPPORTED, "the teacher has 'neck/2', the student has not");
    df_cell_free(cell);
}

static void set(struct df_parts *parts, const char *kind, size_t level, size_t stride, df_shape shape)
{
    df_parts_set(parts, kind, level, stride, &(df_tensor){ .shape = shape });
}

/* What is asked for must be in both networks, maps with as many cells, rows alike. */
static void parts_must_fit(void **state)
{
    struct df_parts one = { 0 }, other = { 0 };
    struct df_needs stage = { 0 }, stages = { 0 }, neck = { 0 }, rows = { 0 };
    struct df_error err = { 0 };

    (void)state;
    df_needs_add(&stage, "backbone/3");
    df_needs_add(&stages, "backbone/*");
    df_needs_add(&neck, "neck/*");
    df_needs_add(&rows, "logits");
    set(&one, "backbone", 3, 8, (df_shape){ 1, 6, 8, 3 });
    set(&one, "backbone", 5, 32, (df_shape){ 1, 2, 2, 9 });
    set(&one, "logits", DF_NO_LEVEL, 0, (df_shape){ 1, 1, 60, 8 });
    set(&other, "backbone", 3, 16, (df_shape){ 1, 6, 8, 5 }); /* widths and strides may differ */
    set(&other, "logits", DF_NO_LEVEL, 0, (df_shape){ 1, 1, 60, 8 });
    assert_ok(df_parts_fit(&stage, &one, &other, &err));
    assert_ok(df_parts_fit(&rows, &one, &other, &err));
    assert_fails(df_parts_fit(&stages, &one, &other, &err), DF_ERR_UNSUPPORTED, "the teacher has 'backbone/5', the student has not");
    assert_fails(df_parts_fit(&stages, &other, &one, &err), DF_ERR_UNSUPPORTED, "the student has 'backbone/5', the teacher has not");
    assert_fails(df_parts_fit(&neck, &one, &other, &err), DF_ERR_UNSUPPORTED,
                 "'neck/*' is needed, but the teacher has no such part (it has backbone/3, backbone/5, logits)");
    set(&other, "backbone", 3, 8, (df_shape){ 1, 6, 9, 5 });
    assert_fails(df_parts_fit(&stage, &one, &other, &err), DF_ERR_UNSUPPORTED,
                 "'backbone/3': the teacher has 6 x 8 cells of stride 8, the student 6 x 9 of stride 8");
    set(&other, "logits", DF_NO_LEVEL, 0, (df_shape){ 1, 1, 60, 9 });
    assert_fails(df_parts_fit(&rows, &one, &other, &err), DF_ERR_UNSUPPORTED,
                 "'logits': the teacher has 60 rows of 8, the student 60 of 9");
}

/* Records of two canvases are no batch. */
static void a_batch_is_of_one_canvas(void **state)
{
    const struct df_record_layout one = { .canvas_h = 64, .canvas_w = 64 }, other = { .canvas_h = 64, .canvas_w = 96 };
    const struct df_record_layout *const layouts[] = { &one, &other };
    const struct df_parts none = { 0 };
    const struct df_needs needs = { 0 };
    const struct df_records records = { DF_RECORD_ON_HOST, layouts, NULL, &needs, &none };
    const struct df_detection_state student_state = { .batch = 2 };
    struct df_detection_state out;
    struct df_error err = { 0 };

    (void)state;
    assert_fails(df_record_state(&records, &student_state, NULL, &out, &err), DF_ERR_UNSUPPORTED,
                 "64 x 64 for one image of a batch and 64 x 96 for another");
}

/* A teacher of another detector, depth and width, whose neck fits. */
static void another_detector_teaches(void **state)
{
    struct df_cell *two = tiny_faster(1000), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1), *head = NULL;
    struct df_run_options options = tiny_run(tiny_out("hetero"));
    struct df_run_result *result;
    struct df_error err = { 0 };
    char folder[600];

    (void)state;
    two->teacher_role = true;
    assert_ok(df_cell_seal(two, &err));
    tiny_add(cell, "full_feature", "{\"normalise_teacher\":true}", two);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    df_run_result_free(result);
    head = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1); /* dense rows of one class and of eight */
    tiny_needs(head, "logits", two);
    assert_ok(df_cell_seal(head, &err));
    options.out = tiny_out("hetero-head");
    assert_fails(df_prepare_and_run(head, &options, &result, &err), DF_ERR_UNSUPPORTED, "'logits': the teacher has");
    assert_non_null(strstr(err.text, "rows of 1, the student"));
    snprintf(folder, sizeof folder, "%s/teachers", options.out);
    assert_false(df_file_exists(folder)); /* before anybody is trained */
    df_cell_free(head);
    df_cell_free(cell);
    df_cell_free(two);
}

/* A teacher that sees images twice as large, from maps of twice the stride: live as cached. Other proportions do not fit. */
static void another_canvas_teaches(void **state)
{
    struct df_cell *large = tiny_teacher("cpu"), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("large"));
    struct df_run_result *live, *cached;
    struct df_error err = { 0 };

    (void)state;
    large->canvas.min_side = 96; /* scenes of 48 x 48 on 128 x 128, the student's on 64 x 64 */
    large->canvas.divisor = 64;
    large->network.fpn_stages = (struct df_list){ 3, { 3, 4, 5 } };
    large->network.blocks = (struct df_list){ 4, { 1, 1, 1, 1 } };
    large->network.widths = (struct df_list){ 4, { 8, 16, 16, 16 } };
    assert_ok(df_cell_seal(large, &err));
    tiny_add(cell, "full_feature", "{}", large);
    assert_ok(df_cell_seal(cell, &err));
    options.cache = DF_CACHE_ON;
    assert_ok(df_prepare_and_run(cell, &options, &cached, &err));
    options.cache = DF_CACHE_OFF;
    assert_ok(df_prepare_and_run(cell, &options, &live, &err));
    tiny_assert_same(cached, live);
    df_run_result_free(cached);
    df_run_result_free(live);
    df_needs_add(&cell->teacher[0].needs, DF_NEEDS_HEAD);
    assert_fails(df_prepare_and_run(cell, &options, &live, &err), DF_ERR_UNSUPPORTED, "it has another canvas than the student");
    cell->teacher[0].needs.count = 0;
    df_needs_add(&cell->teacher[0].needs, "neck/*");
    large->canvas.min_side = 160;
    assert_fails(df_prepare_and_run(cell, &options, &live, &err), DF_ERR_UNSUPPORTED,
                 "'neck/0': the teacher has 24 x 24 cells of stride 8");
    df_cell_free(cell);
    df_cell_free(large);
}

/* A given teacher of other classes teaches features; its class logits do not fit, nor can the gate count its detections. */
static void a_teacher_of_other_classes(void **state)
{
    struct df_cell *given = tiny_given("cpu", &teacher->network, ""), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_cell *logits = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 1);
    struct df_run_options options = tiny_run(tiny_out("classes"));
    const struct df_metadata gate[] = { { "gate_map", "0.5" }, { "gate_images", "3" } };
    struct df_run_result *result;
    struct df_error err = { 0 };
    struct df_model model;
    struct df_dataset *data;

    (void)state;
    given->classes = 11;
    snprintf(given->file, sizeof given->file, "%s/eleven.safetensors", df_test_folder());
    assert_ok(df_model_create(given, 8, &model, &err));
    df_parameters_build(model.parameters, model.device, 9, false);
    assert_ok(df_checkpoint_write(given->file,
                                  (struct df_checkpoint){ .parameters = model.parameters, .metadata = gate, .metadata_count = 2 }, &err));
    tiny_add(cell, "full_feature", "{}", given);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare_and_run(cell, &options, &result, &err));
    df_run_result_free(result);
    warned[0] = 0;
    assert_ok(df_teacher_gate(cell->teacher[0].cell, &options, &err));
    assert_non_null(strstr(warned, "11 classes of its own"));
    assert_ok(df_data_split(cell->data, DF_VALIDATION, &data, &err));

    const struct df_evaluation one = { .cell = given, .dataset = data, .limit = 1 };
    double map;

    struct df_evaluator *evaluators[2];
    struct df_detector *const detectors[] = { model.detector, model.detector };
    struct df_coco_scores scores[2];

    assert_fails(df_evaluate_map(&one, model.detector, model.device, &map, &err), DF_ERR_UNSUPPORTED, "knows 11 classes, the data have");
    memset(scores, 0xff, sizeof scores);
    for (size_t k = 0; k < 2; k++)
        assert_ok(df_evaluator_new(&one, model.device, &evaluators[k], &err));
    assert_fails(df_evaluators_run(2, evaluators, detectors, scores, &err), DF_ERR_UNSUPPORTED, "knows 11 classes, the data have");
    for (size_t k = 0; k < 2; k++) { /* as it promises, also where it fails */
        df_coco_scores_release(&scores[k]);
        df_evaluator_free(evaluators[k]);
    }
    tiny_add(logits, "head_kl", "{}", given);
    assert_ok(df_cell_seal(logits, &err));
    assert_fails(df_prepare_and_run(logits, &options, &result, &err), DF_ERR_UNSUPPORTED, "rows of 11, the student");
    df_model_release(&model);
    df_cell_free(logits);
    df_cell_free(cell);
    df_cell_free(given);
}

static void kinds_are_named(void **state)
{
    struct df_error err = { 0 };

    (void)state;
    assert_ptr_equal(df_teacher_kind_find("detector", &err), df_teacher_kinds[0]);
    assert_ptr_equal(df_teacher_kind_find("classifier", &err), df_teacher_kinds[1]);
    assert_null(df_teacher_kind_find("detectr", &err));
    assert_non_null(strstr(err.text, "unknown kind of teacher 'detectr' (did you mean 'detector'?"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trained_once_and_written_with_its_facts),
        cmocka_unit_test(neck_std_is_that_of_the_features),
        cmocka_unit_test(two_processes_share_one),
        cmocka_unit_test(who_waited_does_not_train_again),
        cmocka_unit_test(each_teacher_has_its_own_cache),
        cmocka_unit_test(cached_is_live),
        cmocka_unit_test(a_trainer_trains_no_teacher),
        cmocka_unit_test(each_image_has_its_own_teacher),
        cmocka_unit_test(a_full_stack_logs_every_term),
        cmocka_unit_test(auto_turns_a_large_cache_off),
        cmocka_unit_test(torn_and_stale_files_are_refused),
        cmocka_unit_test(records_stay_inside),
        cmocka_unit_test(a_damaged_record_is_found_at_once),
        cmocka_unit_test(scratch_holds_a_checked_copy),
        cmocka_unit_test(an_abandoned_cache_leaves_nothing),
        cmocka_unit_test(the_gate_sees_other_weights),
        cmocka_unit_test(half_precision_is_measured_anew),
        cmocka_unit_test(a_foreign_file_serves),
        cmocka_unit_test(one_flipped_bit_is_refused),
        cmocka_unit_test(a_cache_belongs_to_its_file),
        cmocka_unit_test(parts_must_fit),
        cmocka_unit_test(a_batch_is_of_one_canvas),
        cmocka_unit_test(another_detector_teaches),
        cmocka_unit_test(another_canvas_teaches),
        cmocka_unit_test(a_teacher_of_other_classes),
        cmocka_unit_test(kinds_are_named),
        cmocka_unit_test(necks_that_do_not_fit_are_refused),
    };
    int failed;

    df_warn_set(remember_warning, NULL);
    teacher = tiny_teacher("cpu");
    failed = cmocka_run_group_tests_name("teacher", tests, NULL, NULL);
    df_cell_free(teacher);
    return failed;
}
