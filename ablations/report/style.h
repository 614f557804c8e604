/* The page's style sheet: light, dark, narrow, paper. */
#ifndef DF_ABLATIONS_REPORT_STYLE_H
#define DF_ABLATIONS_REPORT_STYLE_H
extern const char df_report_style[];
#endif
