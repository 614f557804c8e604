#include "ablations/behaviour/question.h"

#include <stdlib.h>

#include "ablations/run/environment.h"
#include "ablations/run/store.h"
#include "core/base/file.h"
#include "core/base/hash.h"

static void add_networks(const struct df_question *question, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "networks");

    for (size_t i = 0; i < question->networks; i++) {
        cJSON *network = cJSON_CreateObject();

        cJSON_AddStringToObject(network, "cell", question->network[i]->cell->id);
        cJSON_AddStringToObject(network, "weights", question->network[i]->weights);
        cJSON_AddItemToArray(list, network);
    }
}

static void add_images(const struct df_question *question, cJSON *root)
{
    cJSON *images = cJSON_AddObjectToObject(root, "images");
    char hash[17];

    cJSON_AddStringToObject(images, "data", df_hash_text(hash, question->network[0]->images->hash));
    cJSON_AddStringToObject(images, "split", df_split_name[question->split]);
    cJSON_AddNumberToObject(images, "count", (double)question->images);
}

void df_question_seal(struct df_question *question)
{
    cJSON *root = cJSON_CreateObject();

    DF_ASSERT(question->networks > 0 && question->networks <= DF_QUESTION_NETWORKS);
    df_text_clear(&question->json);
    cJSON_AddNumberToObject(root, "semantics", DF_SEMANTICS);
    cJSON_AddStringToObject(root, "question", question->name);
    cJSON_AddNumberToObject(root, "revision", question->revision);
    add_networks(question, root);
    add_images(question, root);
    cJSON_AddItemToObject(root, "options", df_options_identity(question->options, question->values));
    df_json_canonical(root, &question->json);
    cJSON_Delete(root);
    df_hash_text(question->id, df_hash(question->json.data, question->json.length));
}

void df_question_release(struct df_question *question) { df_text_release(&question->json); }

char *df_question_folder(const struct df_question *question, const char *out)
{
    return df_store_question_folder(out, question->network[0]->cell->spec, question->name);
}

char *df_question_weights(const struct df_question *question, const char *out)
{
    char *folder = df_question_folder(question, out), *path = df_store_row_file(folder, question->id, "weights");

    free(folder);
    return path;
}

/* "teacher": the weights that the first network is held against; rows that other ones were held against are no pair. */
static char *environment_of(const struct df_question *question, struct df_arena *memory)
{
    const struct df_subject *first = question->network[0];
    struct df_text against = DF_TEXT_INIT, text = DF_TEXT_INIT;

    for (size_t i = 1; i < question->networks; i++)
        df_text_addf(&against, "%s%s", i > 1 ? " " : "", question->network[i]->weights);
    df_run_environment(first->cell, first->model.device, df_text_get(&against), &text);
    char *kept = df_arena_strdup(memory, df_text_get(&text));

    df_text_release(&against);
    df_text_release(&text);
    return kept;
}

struct df_run_row df_question_row(const struct df_question *question, struct df_arena *memory)
{
    const struct df_cell *cell = question->network[0]->cell;
    struct df_run_row row = df_store_row(cell, memory);
    struct df_text spec = DF_TEXT_INIT;
    char started[24];

    DF_ASSERT(question->id[0]);
    df_utc(started);
    df_text_addf(&spec, "%s.%s", cell->spec, question->name);
    row.spec = df_arena_strdup(memory, df_text_get(&spec));
    row.run = df_arena_strdup(memory, question->id);
    row.cell = df_arena_strdup(memory, df_text_get(&question->json));
    row.environment = environment_of(question, memory);
    row.started = df_arena_strdup(memory, started);
    df_text_release(&spec);
    return row;
}

df_status df_question_put(const struct df_question *question, const char *out, struct df_run_row *row, struct df_error *err)
{
    char *folder = df_question_folder(question, out), finished[24];

    df_utc(finished);
    row->finished = finished;
    const df_status status = df_store_put_row(folder, row, err);

    row->finished = "";
    free(folder);
    return status;
}
