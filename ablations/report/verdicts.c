#include "ablations/report/verdicts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/csv_rows.h"
#include "results/html.h"
#include "results/inference.h"

enum { MOST_PAIRED_LINES = 24, MOST_MATRIX_LINES = 16 };

/* ---- comparisons ------------------------------------------------------------------------------------------------------------------ */

struct comparisons {
    size_t count;
    struct df_comparison **comparison;
    size_t *line, *other; /* [count] a and b */
};

static struct df_compare_run *runs_of(const struct df_page *page, size_t line)
{
    const struct df_table_request *rows = page->request->rows;
    const struct df_table_line_request *of = &rows->line[line];
    struct df_compare_run *run = df_calloc(of->runs + 1, sizeof *run);

    for (size_t i = 0; i < of->runs; i++)
        run[i] =
            (struct df_compare_run){ .seed = of->seed[i], .row = df_journal_find(page->request->journal, of->run[i], rows->semantics) };
    return run;
}

struct df_comparison *df_report_compare(const struct df_page *page, size_t a, size_t b, const struct df_comparison_request *request)
{
    const struct df_table_line_request *line = page->request->rows->line;
    struct df_compare_run *run_a = runs_of(page, a), *run_b = runs_of(page, b);
    struct df_text name_a = DF_TEXT_INIT, name_b = DF_TEXT_INIT;

    df_page_method_text(page, a, &name_a);
    df_page_method_text(page, b, &name_b);
    struct df_comparison *comparison = df_compare(&(struct df_compare_side){ df_text_get(&name_a), line[a].runs, run_a },
                                                  &(struct df_compare_side){ df_text_get(&name_b), line[b].runs, run_b }, request);

    df_text_release(&name_a);
    df_text_release(&name_b);
    free(run_a);
    free(run_b);
    return comparison;
}

static void comparisons_init(struct comparisons *all, size_t most)
{
    *all = (struct comparisons){ .comparison = df_calloc(most + 1, sizeof(struct df_comparison *)),
                                 .line = df_calloc(most + 1, sizeof(size_t)),
                                 .other = df_calloc(most + 1, sizeof(size_t)) };
}

static void comparisons_release(struct comparisons *all)
{
    for (size_t i = 0; i < all->count; i++)
        df_comparison_free(all->comparison[i]);
    free(all->comparison);
    free(all->line);
    free(all->other);
}

static void add_comparison(struct comparisons *all, const struct df_page *page, size_t a, size_t b, size_t comparisons)
{
    const struct df_comparison_request request = {
        .metric = "AP", .class = "", .confidence = df_simultaneous(0.95, comparisons), .comparisons = comparisons
    };

    all->comparison[all->count] = df_report_compare(page, a, b, &request);
    all->line[all->count] = a;
    all->other[all->count++] = b;
}

/* Whether the interval says something, which it does not of one pair or of equal ones. */
static const char *class_of(const struct df_comparison *c)
{
    return c->pairs && c->interval.sd > 0 && c->verdict != DF_UNDECIDED ? df_verdict_names[c->verdict] : "noise";
}

static void add_csv(const struct comparisons *all, size_t count, struct df_text *out)
{
    df_text_add(out, "a,b,verdict,pairs,difference,low,high,confidence,sd,p,p_holm,p_sign_flip,improvement,sentence\n");
    for (size_t i = 0; i < count; i++) {
        const struct df_comparison *c = all->comparison[i];
        const double number[] = { c->interval.mean, c->interval.low, c->interval.high, c->request.confidence, c->interval.sd, c->p,
                                  c->holm,          c->flip,         c->improvement };
        struct df_text sentence = DF_TEXT_INIT;

        df_csv_add(out, c->a, true);
        df_csv_add(out, c->b, false);
        df_csv_add(out, df_verdict_names[c->verdict], false);
        df_csv_add_int(out, (int64_t)c->pairs, false);
        for (size_t k = 0; k < sizeof number / sizeof *number; k++)
            df_csv_add_real(out, c->pairs ? number[k] : NAN, false);
        df_comparison_sentence(c, &sentence);
        df_csv_add(out, df_text_get(&sentence), false);
        df_text_add(out, "\n");
        df_text_release(&sentence);
    }
}

/* ---- each method against the baseline --------------------------------------------------------------------------------------------- */

static void add_details(const struct df_comparison *c, struct df_text *out)
{
    struct df_text details = DF_TEXT_INIT;

    df_comparison_details(c, &details);
    for (char *line = details.data, *end; line && *line; line = end + 1) {
        end = line + strcspn(line, "\n");
        DF_ASSERT(*end == '\n');
        *end = 0;
        df_text_add(out, "<p>");
        df_html_add(out, line);
        df_text_add(out, "</p>");
    }
    df_text_release(&details);
}

static void add_verdict(const struct df_comparison *c, struct df_text *out)
{
    struct df_text sentence = DF_TEXT_INIT;

    df_comparison_sentence(c, &sentence);
    df_text_addf(out, "<li class=\"%s\"><details><summary>", class_of(c));
    df_html_add_name(out, df_text_get(&sentence));
    df_text_add(out, "</summary>");
    add_details(c, out);
    df_text_add(out, "</details></li>\n");
    df_text_release(&sentence);
}

/* "Of 6 methods against 'none': 4 better, ..." */
static void say_counts(struct df_page *page, const struct comparisons *all)
{
    const struct df_table_request *rows = page->request->rows;
    size_t better = 0, worse = 0;

    for (size_t i = 0; i < all->count; i++) {
        better += strcmp(class_of(all->comparison[i]), "better") == 0;
        worse += strcmp(class_of(all->comparison[i]), "worse") == 0;
    }
    df_page_say(page, "lead", "Of %zu method%s against '%s'%s: %zu better, %zu worse, %zu undecided.", all->count,
                all->count == 1 ? "" : "s", rows->line[rows->line[0].baseline].label,
                page->table->line[0].variant[0] ? " of its variant" : "", better, worse, all->count - better - worse);
}

df_status df_report_verdicts(struct df_page *page, struct df_error *err)
{
    const struct df_table_request *rows = page->request->rows;
    struct comparisons all;
    struct df_text csv = DF_TEXT_INIT;
    size_t comparisons = 0;

    for (size_t l = 0; l < rows->lines; l++)
        comparisons += rows->line[l].baseline != l;
    comparisons_init(&all, comparisons);
    for (size_t l = 0; l < rows->lines; l++)
        if (rows->line[l].baseline != l)
            add_comparison(&all, page, l, rows->line[l].baseline, comparisons);
    df_comparisons_adjust(all.comparison, all.count);
    df_page_section_begin(page, "verdicts", "Verdicts");
    if (all.count)
        say_counts(page, &all);
    else
        df_page_say(page, "lead", "One method alone: there is nothing to compare it with.");
    df_text_add(&page->body, "<ul class=\"verdicts\">\n");
    for (size_t i = 0; i < all.count; i++)
        add_verdict(all.comparison[i], &page->body);
    df_text_add(&page->body, "</ul>\n");
    if (all.count > 1)
        df_page_say(page, "note",
                    "Differences in mAP, in percent points, paired by seed. All %zu intervals hold at once with 95 %% (Bonferroni): an "
                    "interval above 0 is better, below 0 worse.",
                    all.count);
    add_csv(&all, all.count, &csv);
    const df_status status = df_page_csv(page, "verdicts", "verdicts", &csv, err);

    df_page_section_end(page);
    df_text_release(&csv);
    comparisons_release(&all);
    return status;
}

df_status df_report_table(struct df_page *page, struct df_error *err)
{
    struct df_text csv = DF_TEXT_INIT;

    df_page_section_begin(page, "table", "Table");
    df_table_print(page->table, DF_TABLE_HTML, false, &page->body);
    df_table_print(page->table, DF_TABLE_CSV, true, &csv);
    const df_status status = df_page_csv(page, "table", "table", &csv, err);

    df_page_section_end(page);
    df_text_release(&csv);
    return status;
}

/* ---- any two ---------------------------------------------------------------------------------------------------------------------- */

/* What is chosen: the best method by its mean, and its baseline. */
static size_t best_line(const struct df_page *page)
{
    const struct df_table *table = page->table;
    size_t best = table->lines > 1 && table->line[0].baseline == 0 ? 1 : 0;

    for (size_t l = 0; l < table->lines; l++)
        if (l != table->line[l].baseline && table->line[l].points &&
            !(table->line[l].metric[DF_TABLE_AP].mean <= table->line[best].metric[DF_TABLE_AP].mean))
            best = l;
    return best;
}

static void add_choice(struct df_page *page, char side, size_t chosen)
{
    df_text_addf(&page->body, "<fieldset class=\"of-%c\"><legend>%s</legend>\n", side, side == 'a' ? "A" : "B");
    for (size_t l = 0; l < page->request->rows->lines; l++) {
        df_text_addf(&page->body, "<label><input type=\"radio\" name=\"%c\" id=\"%c%zu\"%s/>", side, side, l,
                     l == chosen ? " checked=\"checked\"" : "");
        df_page_method(page, l, &page->body);
        df_text_add(&page->body, "</label>\n");
    }
    df_text_add(&page->body, "</fieldset>\n");
}

/* Curves of the chosen are coloured, their pictures stand first and second; of one that is chosen twice, A holds. */
static void add_rules(struct df_page *page, const struct comparisons *all)
{
    struct df_text *out = &page->rules;

    for (size_t l = 0; l < page->request->rows->lines; l++) {
        df_text_addf(out, "#two:has(#b%zu:checked) .m%zu{--c:var(--b);--o:1;--w:2;--f:var(--shade)}", l, l);
        df_text_addf(out, "#two:has(#b%zu:checked) .p%zu{display:block;order:3;--c:var(--b)}\n", l, l);
        df_text_addf(out, "#two:has(#a%zu:checked) .m%zu{--c:var(--a);--o:1;--w:2;--f:var(--shade)}", l, l);
        df_text_addf(out, "#two:has(#a%zu:checked) .p%zu{display:block;order:2;--c:var(--a)}\n", l, l);
        df_text_addf(out, "#two:has(#a%zu:checked):has(#b%zu:checked) .same{display:block}\n", l, l);
    }
    for (size_t i = 0; i < all->count; i++) {
        const size_t a = all->line[i], b = all->other[i];

        df_text_addf(out, "#two:has(#a%zu:checked):has(#b%zu:checked) .v%zu{display:block}\n", a, b, i);
    }
}

static void add_matrix_cell(const struct df_comparison *c, struct df_text *out)
{
    const char *class = class_of(c);

    if (c->pairs)
        df_text_addf(out, "<td class=\"number %s\">%+.2f%s</td>", class, c->interval.mean, strcmp(class, "noise") == 0 ? " ~" : "");
    else
        df_text_add(out, "<td class=\"number noise\">-</td>");
}

static const struct df_comparison *comparison_of(const struct comparisons *all, size_t a, size_t b)
{
    size_t i = 0;

    while (all->line[i] != a || all->other[i] != b)
        DF_ASSERT(++i < all->count);
    return all->comparison[i];
}

static void add_matrix(struct df_page *page, const struct comparisons *all)
{
    const size_t lines = page->request->rows->lines;
    struct df_text *out = &page->body;

    df_text_add(out, "<details><summary>Every method (row) less every other (column)</summary>\n"
                     "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\"></th>");
    for (size_t l = 0; l < lines; l++) {
        df_text_add(out, "<th scope=\"col\" class=\"number\">");
        df_page_method(page, l, out);
        df_text_add(out, "</th>");
    }
    df_text_add(out, "</tr></thead>\n<tbody>\n");
    for (size_t a = 0; a < lines; a++) {
        df_text_add(out, "<tr><th scope=\"row\">");
        df_page_method(page, a, out);
        df_text_add(out, "</th>");
        for (size_t b = 0; b < lines; b++)
            if (a == b)
                df_text_add(out, "<td></td>");
            else
                add_matrix_cell(comparison_of(all, a, b), out);
        df_text_add(out, "</tr>\n");
    }
    df_text_add(out, "</tbody></table></div></details>\n");
}

/* Whoever reads may ask for either order: every pair is told in both. The first half are those of rising lines. */
static df_status add_pairs(struct df_page *page, const struct comparisons *all, struct df_error *err)
{
    const size_t pairs = all->count / 2;
    struct df_text csv = DF_TEXT_INIT;

    df_text_add(&page->body, "<ul class=\"verdicts\">\n");
    for (size_t i = 0; i < all->count; i++) {
        struct df_text sentence = DF_TEXT_INIT;

        df_comparison_sentence(all->comparison[i], &sentence);
        df_text_addf(&page->body, "<li class=\"pair v%zu %s\">", i, class_of(all->comparison[i]));
        df_html_add_name(&page->body, df_text_get(&sentence));
        df_text_add(&page->body, "</li>\n");
        df_text_release(&sentence);
    }
    df_text_add(&page->body, "<li class=\"pair same\">One method is chosen twice.</li>\n</ul>\n");
    df_page_say(page, "note", "The intervals of all %zu pairs of methods hold at once with 95 %% (Bonferroni, each %.4g %%).%s", pairs,
                100 * df_simultaneous(0.95, pairs),
                page->request->spec ? " 'defeat compare SPEC A B' asks about two alone, with 95 %." : "");
    if (page->request->rows->lines <= MOST_MATRIX_LINES)
        add_matrix(page, all);
    add_csv(all, pairs, &csv);
    const df_status status = df_page_csv(page, "pairs", "all pairs", &csv, err);

    df_text_release(&csv);
    return status;
}

df_status df_report_two_begin(struct df_page *page, struct df_error *err)
{
    const size_t lines = page->request->rows->lines, best = best_line(page), pairs = lines * (lines - 1) / 2;
    const bool paired = lines > 1 && lines <= MOST_PAIRED_LINES;
    df_status status = DF_OK;
    struct comparisons all;

    comparisons_init(&all, paired ? 2 * pairs : 0);
    for (int falling = 0; paired && falling < 2; falling++)
        for (size_t a = 0; a < lines; a++)
            for (size_t b = a + 1; b < lines; b++)
                add_comparison(&all, page, falling ? b : a, falling ? a : b, pairs);
    df_comparisons_adjust(all.comparison, all.count / 2);
    df_text_add(&page->body, "<div id=\"two\">\n");
    df_page_section_begin(page, "pair", "Two methods");
    add_rules(page, &all);
    df_page_say(page, "", "Choose two: their curves below are drawn in these colours, and their detections stand side by side.");
    df_text_add(&page->body, "<div class=\"pick\">\n");
    add_choice(page, 'a', best);
    add_choice(page, 'b', page->request->rows->line[best].baseline);
    df_text_add(&page->body, "</div>\n");
    if (paired)
        status = add_pairs(page, &all, err);
    else if (lines > 1)
        df_page_say(page, "note",
                    "%zu methods make %zu pairs; sentences are given of all pairs of up to %d methods: ask 'defeat compare' about others.",
                    lines, pairs, MOST_PAIRED_LINES);
    df_page_section_end(page);
    comparisons_release(&all);
    return status;
}

void df_report_two_end(struct df_page *page) { df_text_add(&page->body, "</div>\n"); }
