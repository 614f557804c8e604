#include "results/cells.h"

#include <string.h>

#include "core/base/hash.h"

/* A distiller's "teacher" is the name of one of several. */
static bool is_hash(const cJSON *object, const char *key)
{
    return strcmp(key, "data_hash") == 0 || strcmp(key, "plugin") == 0 ||
           (strcmp(key, "teacher") == 0 && !cJSON_GetObjectItemCaseSensitive(object, "name"));
}

static cJSON *parse_cell(const char *text)
{
    cJSON *cell = NULL;

    if (df_json_parse(text, strlen(text), "cell", &cell, NULL) == DF_OK && cJSON_IsObject(cell))
        return cell;
    cJSON_Delete(cell);
    return NULL;
}

static double revision_of(const cJSON *object)
{
    const cJSON *revision = cJSON_GetObjectItemCaseSensitive(object, "revision");

    return cJSON_IsNumber(revision) ? revision->valuedouble : 1;
}

/* {"kind" or "name", "revision", ...}: the same but for the revision, which is not higher. *raised: it is lower. */
static bool same_class(cJSON *older, cJSON *newer, bool *raised)
{
    const double was = revision_of(older), is = revision_of(newer);

    cJSON_DeleteItemFromObjectCaseSensitive(older, "revision");
    cJSON_DeleteItemFromObjectCaseSensitive(newer, "revision");
    *raised = was < is;
    return was <= is && cJSON_Compare(older, newer, true);
}

/* Takes the member out of both, so that what is left can be compared as a whole. */
static bool take_class(cJSON *older, cJSON *newer, const char *key, bool *raised)
{
    cJSON *was = cJSON_DetachItemFromObjectCaseSensitive(older, key), *is = cJSON_DetachItemFromObjectCaseSensitive(newer, key);
    const bool same = was && is && same_class(was, is, raised);

    cJSON_Delete(was);
    cJSON_Delete(is);
    return same;
}

static bool take_distillers(cJSON *older, cJSON *newer, bool *raised)
{
    cJSON *was = cJSON_DetachItemFromObjectCaseSensitive(older, "distillers");
    cJSON *is = cJSON_DetachItemFromObjectCaseSensitive(newer, "distillers");
    bool same = was && is && cJSON_GetArraySize(was) == cJSON_GetArraySize(is);
    cJSON *a = was ? was->child : NULL, *b = is ? is->child : NULL;

    *raised = false;
    for (bool one; same && a; a = a->next, b = b->next) {
        same = same_class(a, b, &one);
        *raised |= one;
    }
    cJSON_Delete(was);
    cJSON_Delete(is);
    return same;
}

/* Ids and hashes that follow from the data's or the detector's revision. */
static void forget_hashes(cJSON *cell)
{
    cJSON *teacher;

    cJSON_DeleteItemFromObjectCaseSensitive(cell, "data_hash");
    cJSON_DeleteItemFromObjectCaseSensitive(cell, "teacher");
    cJSON_ArrayForEach(teacher, cJSON_GetObjectItemCaseSensitive(cell, "teachers"))
        cJSON_DeleteItemFromObjectCaseSensitive(teacher, "teacher");
}

static bool superseded(cJSON *older, cJSON *newer)
{
    bool data, detector, distillers;

    if (!take_class(older, newer, "data", &data) || !take_class(older, newer, "detector", &detector) ||
        !take_distillers(older, newer, &distillers))
        return false;
    if (data || detector) {
        forget_hashes(older);
        forget_hashes(newer);
    }
    return (data || detector || distillers) && cJSON_Compare(older, newer, true);
}

bool df_cell_is_superseded(const char *older, const char *newer)
{
    cJSON *was = parse_cell(older), *is = parse_cell(newer);
    const bool yes = was && is && superseded(was, is);

    cJSON_Delete(was);
    cJSON_Delete(is);
    return yes;
}

bool df_cells_same_but(const char *a, const char *b, const char *const *keys)
{
    cJSON *one = parse_cell(a), *other = parse_cell(b);

    for (; *keys; keys++)
        for (int k = 0; k < 2; k++)
            cJSON_DeleteItemFromObjectCaseSensitive(k ? one : other, *keys);
    const bool same = one && other && cJSON_Compare(one, other, true);

    cJSON_Delete(one);
    cJSON_Delete(other);
    return same;
}

void df_cell_question(const char *cell, char id[17])
{
    cJSON *asked = parse_cell(cell);
    struct df_text text = DF_TEXT_INIT;

    id[0] = 0;
    if (asked && cJSON_GetObjectItemCaseSensitive(asked, "question")) {
        cJSON_DeleteItemFromObjectCaseSensitive(asked, "networks");
        df_json_canonical(asked, &text);
        df_hash_text(id, df_hash(text.data, text.length));
    }
    df_text_release(&text);
    cJSON_Delete(asked);
}

static bool answers(const cJSON *older, const cJSON *asked)
{
    const cJSON *member, *other = older->child;

    if (cJSON_IsArray(asked) && cJSON_IsArray(older) && cJSON_IsObject(asked->child)) {
        bool same = cJSON_GetArraySize(asked) == cJSON_GetArraySize(older);

        for (member = asked->child; same && member; member = member->next, other = other->next)
            same = answers(other, member);
        return same;
    }
    if (!cJSON_IsObject(asked) || !cJSON_IsObject(older))
        return cJSON_Compare(older, asked, true);
    cJSON_ArrayForEach(member, asked)
    {
        other = cJSON_GetObjectItemCaseSensitive(older, member->string);
        if (other && !is_hash(asked, member->string) && !answers(other, member))
            return false;
    }
    return true;
}

bool df_cell_answers(const char *older, const cJSON *asked)
{
    cJSON *cell = parse_cell(older);
    const bool yes = cell && answers(cell, asked);

    cJSON_Delete(cell);
    return yes;
}
