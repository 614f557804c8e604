#include "ablations/report/report.h"

#include "ablations/report/claim_answers.h"
#include "ablations/report/curve_panels.h"
#include "ablations/report/detections.h"
#include "ablations/report/figures.h"
#include "ablations/report/page.h"
#include "ablations/report/provenance.h"
#include "ablations/report/verdicts.h"
#include "core/base/file.h"

/* The answer first, then what it rests on, then what can be doubted. What is warned of on the way is told with the troubles. */
static df_status add_sections(struct df_page *page, struct df_error *err)
{
    DF_TRY(df_report_verdicts(page, err));
    DF_TRY(df_report_table(page, err));
    DF_TRY(df_report_bars(page, err));
    DF_TRY(df_report_gains(page, err));
    DF_TRY(df_report_heat(page, err));
    DF_TRY(df_report_classes(page, err));
    DF_TRY(df_report_errors(page, err));
    DF_TRY(df_report_claims(page, err)); /* of kinds of errors too */
    DF_TRY(df_report_two_begin(page, err));
    DF_TRY(df_report_curves(page, err));
    DF_TRY(df_report_detections(page, err));
    df_report_two_end(page);
    DF_TRY(df_report_troubles(page, err));
    return df_report_provenance(page, err);
}

static df_status write_document(const struct df_page *page, struct df_report_written *written, struct df_error *err)
{
    struct df_text document = DF_TEXT_INIT;
    df_status status;

    df_page_document(page, &document);
    if (document.length > DF_PAGE_MOST_BYTES)
        status =
            df_fail(err, DF_ERR_UNSUPPORTED, "'%s': %zu methods make a page of %zu bytes, expected at most %zu [fewer images: --images 0]",
                    page->request->path, page->request->rows->lines, document.length, DF_PAGE_MOST_BYTES);
    else
        status = df_file_write(page->request->path, document.data, document.length, err);
    if (status == DF_OK)
        *written = (struct df_report_written){ document.length, page->files };
    df_text_release(&document);
    return status;
}

df_status df_report_write(const struct df_report_request *request, struct df_report_written *written, struct df_error *err)
{
    struct df_page page;
    df_status status = df_page_init(&page, request, err);

    if (status == DF_OK)
        status = add_sections(&page, err);
    if (status == DF_OK)
        status = write_document(&page, written, err);
    df_page_release(&page);
    return status;
}
