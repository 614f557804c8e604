#include "detectors/network_options.h"

#define ROW struct df_network_options
const df_option df_network_option_table[] = {
    { "depth", DF_INT_OPTION(ROW, depth), 50, 0, 152, .help = "ResNet depth: 10, 18, 34, 50, 101, 152; 0: as block and blocks say" },
    { "block", DF_CHOICE_OPTION(ROW, block), 0, 0, 1, .help = "kind of residual block", .choices = "basic|bottleneck", .when = "depth=0" },
    { "blocks", DF_INT_LIST_OPTION(ROW, blocks), 0, 1, 64, .help = "blocks per stage, 1 to 4 stages", .text = "2,2,2,2",
      .when = "depth=0" },
    { "base_width", DF_INT_OPTION(ROW, base_width), 64, 1, 1024,
      .help = "width of the first stage, doubled from stage to stage (channels)" },
    { "widths", DF_INT_LIST_OPTION(ROW, widths), 0, 1, 8192,
      .help = "stage widths instead, before a bottleneck's expansion of 4 (channels)", .text = "" },
    { "stem_width", DF_INT_OPTION(ROW, stem_width), 0, 0, 1024, .help = "width of the stem; 0: base_width (channels)" },
    { "stem", DF_CHOICE_OPTION(ROW, stem), 0, 0, 1, .help = "7x7 stride 2 and max pool, or one 3x3 stride 2 (C2 has stride 4 either way)",
      .choices = "standard|small" },
    { "norm", DF_CHOICE_OPTION(ROW, norm), 0, 0, 1, .help = "batch norm of the body: learned, or statistics and affine frozen",
      .choices = "batch|frozen" },
    { "norm_eps", DF_REAL_OPTION(ROW, norm_eps), 1e-5, 0, 1, .help = "added to the variance in batch norm" },
    { "norm_momentum", DF_REAL_OPTION(ROW, norm_momentum), 0.1, 0, 1, .help = "share of a new batch in the running statistics" },
    { "fpn_stages", DF_INT_LIST_OPTION(ROW, fpn_stages), 0, 2, 5, .help = "stages that feed the FPN: 2 = C2 ... 5 = C5", .text = "3,4,5" },
    { "fpn_channels", DF_INT_OPTION(ROW, fpn_channels), 256, 1, 4096, .help = "width of every FPN level (channels)" },
    { "extra", DF_CHOICE_OPTION(ROW, extra), DF_EXTRA_P6P7, 0, 2, .help = "levels above the last: none, a stride-2 pool, or P6 and P7",
      .choices = "none|pool|p6p7" },
    { "extra_from", DF_CHOICE_OPTION(ROW, extra_from), DF_EXTRA_FROM_P5, 0, 1,
      .help = "what P6 is made from: the last stage or the last level", .choices = "c5|p5", .when = "extra=p6p7" },
    { "head_convs", DF_INT_OPTION(ROW, head_convs), 4, 0, 8, .help = "3x3 convolutions per head branch before the output" },
    { "head_width", DF_INT_OPTION(ROW, head_width), 0, 0, 4096, .help = "their width; 0: fpn_channels (channels)",
      .when = "head_convs!=0" },
    { "head_norm", DF_CHOICE_OPTION(ROW, head_norm), 0, 0, 1, .help = "batch norm in the head, of its own for every level",
      .choices = "none|batch", .when = "head_convs!=0" },
    { 0 },
};
#undef ROW

size_t df_network_options_levels(const struct df_network_options *options) { return options->fpn_stages.count + (size_t)options->extra; }
