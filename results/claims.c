#include "results/claims.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const df_claim_answer_names[DF_CLAIM_ANSWERS] = {
    [DF_NOT_RESOLVED] = "not resolved",
    [DF_REPRODUCED] = "reproduced",
    [DF_REFUTED] = "refuted",
};

/* ---- the file --------------------------------------------------------------------------------------------------------------------- */

static df_status read_figures(const cJSON *object, const char *file, struct df_claim *claim, struct df_error *err)
{
    static const char *const keys[] = { "a", "b", "source", NULL };
    const cJSON *paper;
    char where[1024];

    claim->paper_a = claim->paper_b = NAN;
    DF_TRY(df_json_object(object, "paper", true, file, &paper, err));
    snprintf(where, sizeof where, "%s/paper", file);
    DF_TRY(df_json_only(paper, keys, where, err));
    DF_TRY(df_json_real(paper, "a", false, where, &claim->paper_a, err));
    DF_TRY(df_json_real(paper, "b", false, where, &claim->paper_b, err));
    if (isnan(claim->paper_a) != isnan(claim->paper_b))
        return df_fail(err, DF_ERR_USAGE, "%s: a figure of one method alone (expected \"a\" and \"b\", or neither)", where);
    return df_json_string(paper, "source", true, where, &claim->paper, err);
}

static df_status read_kind(const cJSON *object, const char *where, enum df_claim_kind *out, struct df_error *err)
{
    const char *kind;

    DF_TRY(df_json_string(object, "claim", true, where, &kind, err));
    *out = strcmp(kind, "equal") == 0 ? DF_CLAIM_EQUAL : DF_CLAIM_BETTER;
    if (*out == DF_CLAIM_EQUAL || strcmp(kind, "better") == 0)
        return DF_OK;
    return df_fail(err, DF_ERR_USAGE, "%s/claim: '%s' (expected better or equal)", where, kind);
}

static df_status read_claim(const cJSON *object, const char *where, struct df_claim *claim, struct df_error *err)
{
    static const char *const keys[] = { "name", "detector", "spec", "a", "b", "claim", "margin", "metric", "paper", NULL };

    if (!cJSON_IsObject(object))
        return df_fail(err, DF_ERR_USAGE, "%s: expected an object with \"name\", \"spec\", \"a\", \"b\", ...", where);
    claim->metric = "AP";
    DF_TRY(df_json_only(object, keys, where, err));
    DF_TRY(df_json_string(object, "name", true, where, &claim->name, err));
    DF_TRY(df_json_string(object, "detector", true, where, &claim->detector, err));
    DF_TRY(df_json_string(object, "spec", true, where, &claim->spec, err));
    DF_TRY(df_json_string(object, "a", true, where, &claim->a, err));
    DF_TRY(df_json_string(object, "b", true, where, &claim->b, err));
    DF_TRY(read_kind(object, where, &claim->kind, err));
    DF_TRY(df_json_real(object, "margin", true, where, &claim->margin, err));
    if (!(claim->margin > 0 && claim->margin <= 100))
        return df_fail(err, DF_ERR_USAGE, "%s/margin: %g (expected points above 0, at most 100)", where, claim->margin);
    DF_TRY(df_json_string(object, "metric", false, where, &claim->metric, err));
    return read_figures(object, where, claim, err);
}

static df_status read_claims(const char *path, struct df_claims *out, struct df_error *err)
{
    static const char *const keys[] = { "paper", "claims", NULL };
    const cJSON *list, *object;
    char where[1024];

    DF_TRY(df_json_only(out->root, keys, path, err));
    DF_TRY(df_json_string(out->root, "paper", true, path, &out->paper, err));
    DF_TRY(df_json_array(out->root, "claims", true, path, &list, err));
    if (!list->child)
        return df_fail(err, DF_ERR_USAGE, "%s/claims: empty (expected at least one claim)", path);
    out->claim = df_calloc((size_t)cJSON_GetArraySize(list), sizeof *out->claim);
    cJSON_ArrayForEach(object, list)
    {
        struct df_claim *claim = &out->claim[out->count];

        snprintf(where, sizeof where, "%s/claims/%zu", path, out->count);
        DF_TRY(read_claim(object, where, claim, err));
        for (size_t i = 0; i < out->count; i++)
            if (strcmp(out->claim[i].spec, claim->spec) == 0 && strcmp(out->claim[i].name, claim->name) == 0)
                return df_fail(err, DF_ERR_USAGE, "%s/name: '%s' stands twice for '%s'", where, claim->name, claim->spec);
        out->count++;
    }
    return DF_OK;
}

df_status df_claims_read(const char *path, struct df_claims *out, struct df_error *err)
{
    *out = (struct df_claims){ 0 };
    df_status status = df_json_read(path, &out->root, err);

    if (status == DF_OK)
        status = read_claims(path, out, err);
    if (status != DF_OK)
        df_claims_release(out);
    return status;
}

void df_claims_release(struct df_claims *claims)
{
    free(claims->claim);
    cJSON_Delete(claims->root);
    *claims = (struct df_claims){ 0 };
}

/* ---- the answer ------------------------------------------------------------------------------------------------------------------- */

enum df_claim_answer df_claim_judge(const struct df_claim *claim, const struct df_comparison *comparison)
{
    const double low = comparison->interval.low, high = comparison->interval.high, margin = claim->margin;

    if (!(comparison->interval.sd > 0))
        return DF_NOT_RESOLVED;
    if (claim->kind == DF_CLAIM_BETTER)
        return low > 0 ? DF_REPRODUCED : high < margin ? DF_REFUTED : DF_NOT_RESOLVED;
    return low > -margin && high < margin ? DF_REPRODUCED : low >= margin || high <= -margin ? DF_REFUTED : DF_NOT_RESOLVED;
}

/* "DeFeat neck is 0.40 better than full feature (0.10 to 0.70; 5 pairs, for this teacher)": the sentence without its verdict, which is another
 * question's. */
static void add_effect(const struct df_comparison *c, struct df_text *out)
{
    if (!c->pairs) {
        df_text_addf(out, "%s and %s have no pair", c->a, c->b);
        return;
    }
    df_text_addf(out, "%s is %.2f %s than %s (", c->a, fabs(c->interval.mean), c->interval.mean < 0 ? "worse" : "better", c->b);
    if (c->interval.sd > 0)
        df_text_addf(out, "%.2f to %.2f; ", c->interval.low, c->interval.high);
    df_comparison_count(c, out);
    df_text_add(out, ")");
}

void df_claim_line(const struct df_claim *claim, const struct df_comparison *comparison, struct df_text *out)
{
    const double difference = claim->paper_a - claim->paper_b;

    df_text_addf(out, "%-12s  %s: ", df_claim_answer_names[df_claim_judge(claim, comparison)], claim->name);
    add_effect(comparison, out);
    df_text_add(out, "; the paper: ");
    if (isnan(difference))
        df_text_add(out, claim->paper);
    else
        df_text_addf(out, "%+.1f (%.1f, %.1f; %s)", difference, claim->paper_a, claim->paper_b, claim->paper);
}

static void add_figure(cJSON *object, const char *name, double value)
{
    if (isnan(value))
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddNumberToObject(object, name, value);
}

cJSON *df_claim_json(const struct df_claim *claim, const struct df_comparison *comparison)
{
    cJSON *root = cJSON_CreateObject(), *paper;

    cJSON_AddStringToObject(root, "name", claim->name);
    cJSON_AddStringToObject(root, "detector", claim->detector);
    cJSON_AddStringToObject(root, "spec", claim->spec);
    cJSON_AddStringToObject(root, "claim", claim->kind == DF_CLAIM_EQUAL ? "equal" : "better");
    cJSON_AddNumberToObject(root, "margin", claim->margin);
    cJSON_AddStringToObject(root, "answer", df_claim_answer_names[df_claim_judge(claim, comparison)]);
    paper = cJSON_AddObjectToObject(root, "paper");
    add_figure(paper, "a", claim->paper_a);
    add_figure(paper, "b", claim->paper_b);
    add_figure(paper, "difference", claim->paper_a - claim->paper_b);
    cJSON_AddStringToObject(paper, "source", claim->paper);
    cJSON_AddItemToObject(root, "comparison", df_comparison_json(comparison));
    return root;
}
