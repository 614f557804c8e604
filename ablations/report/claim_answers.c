#include "ablations/report/claim_answers.h"

#include <stdio.h>
#include <string.h>

#include "ablations/report/verdicts.h"
#include "results/csv_rows.h"
#include "results/html.h"
#include "results/inference.h"

/* The line of that label, or of that label with its options; SIZE_MAX: none, or several. */
static size_t line_of(const struct df_page *page, const char *method)
{
    const struct df_table_request *rows = page->request->rows;
    size_t found = SIZE_MAX, labels = 0;

    for (size_t l = 0; l < rows->lines; l++) {
        struct df_text name = DF_TEXT_INIT;

        df_page_method_text(page, l, &name);
        const bool whole = strcmp(df_text_get(&name), method) == 0;

        df_text_release(&name);
        if (whole)
            return l;
        if (strcmp(rows->line[l].label, method) == 0) {
            found = l;
            labels++;
        }
    }
    return labels == 1 ? found : SIZE_MAX;
}

/* "AP", "AP.disk", "TIDE.Bkg" */
static void split_score(const char *score, char metric[64], const char **class)
{
    const char *dot = df_score_class_dot(score);

    snprintf(metric, 64, "%s", score);
    *class = dot ? dot + 1 : "";
    if (dot && dot - score < 64)
        metric[dot - score] = 0;
}

static void tell_claim(struct df_page *page, const struct df_claim *claim, size_t a, size_t b, struct df_text *csv)
{
    static const char *const style[DF_CLAIM_ANSWERS] = { "noise", "better", "worse" };
    const size_t claims = page->request->claims;
    char metric[64];
    struct df_comparison_request request = {
        .metric = metric, .margin = claim->margin, .confidence = df_simultaneous(0.95, claims), .comparisons = claims
    };
    struct df_text line = DF_TEXT_INIT;

    split_score(claim->metric, metric, &request.class);
    struct df_comparison *comparison = df_report_compare(page, a, b, &request);
    const enum df_claim_answer answer = df_claim_judge(claim, comparison);

    df_claim_line(claim, comparison, &line);
    df_text_addf(&page->body, "<li class=\"%s\">", style[answer]);
    df_html_add_name(&page->body, df_text_get(&line));
    df_text_add(&page->body, "</li>\n");
    df_csv_add(csv, claim->name, true);
    df_csv_add(csv, df_claim_answer_names[answer], false);
    df_csv_add(csv, df_text_get(&line), false);
    df_text_add(csv, "\n");
    df_text_release(&line);
    df_comparison_free(comparison);
}

df_status df_report_claims(struct df_page *page, struct df_error *err)
{
    const struct df_report_request *request = page->request;
    struct df_text csv = DF_TEXT_INIT;

    if (!request->claims)
        return DF_OK;
    df_page_section_begin(page, "claims", "Claims");
    df_text_add(&csv, "claim,answer,sentence\n");
    df_text_add(&page->body, "<ul class=\"verdicts\">\n");
    for (size_t i = 0; i < request->claims; i++) {
        const struct df_claim *claim = request->claim[i];
        const size_t a = line_of(page, claim->a), b = line_of(page, claim->b);

        if (a != SIZE_MAX && b != SIZE_MAX)
            tell_claim(page, claim, a, b, &csv);
        else
            df_warn("the claim '%s': '%s' is no single method of this table", claim->name, a == SIZE_MAX ? claim->a : claim->b);
    }
    df_text_add(&page->body, "</ul>\n");
    df_page_say(page, "note",
                "What the paper says, asked of these rows. Intervals: %.4g %% (Student t), so that all %zu hold at once with 95 %% "
                "(Bonferroni). The "
                "paper's figures are COCO's; here the direction is asked, not the size.",
                100 * df_simultaneous(0.95, request->claims), request->claims);
    const df_status status = df_page_csv(page, "claims", "claims", &csv, err);

    df_page_section_end(page);
    df_text_release(&csv);
    return status;
}
