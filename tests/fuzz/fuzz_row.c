/* Rows: a row.json, or (first byte 'c') a runs.csv; what was read is written, and reads back as it is. */
#include "results/journal_csv.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *count, char ***words)
{
    (void)count;
    (void)words;
    df_warn_set(fuzz_silence, NULL);
    return 0;
}

static void read_row(const char *text, size_t size, struct df_arena *memory)
{
    struct df_text first = DF_TEXT_INIT, second = DF_TEXT_INIT;
    struct df_run_row row, again;

    if (df_run_row_parse(text, size, "row.json", memory, &row, NULL) == DF_OK) {
        df_run_row_json(&row, &first);
        DF_ASSERT(df_run_row_parse(first.data, first.length, "row.json", memory, &again, NULL) == DF_OK);
        df_run_row_json(&again, &second);
        DF_ASSERT(strcmp(first.data, second.data) == 0);
    }
    df_text_release(&first);
    df_text_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct df_journal *journal = df_journal_new();

    if (size && data[0] == 'c')
        (void)df_journal_csv_read(fuzz_file(data + 1, size - 1), journal, NULL);
    else
        read_row((const char *)data, size, journal->memory);
    df_journal_settle(journal);
    df_journal_free(journal);
    return 0;
}
