#include "detectors/network_options.h"

#define ROW struct df_network_options
const df_option df_network_option_table[] = {
    { "depth", DF_INT_OPTION(ROW, depth), .standard = 50, .max = 152,
      .help = "of the ResNet: 10, 18, 34, 50, 101, 152; 0: as block and blocks say" },
    { "block", DF_CHOICE_OPTION(ROW, block), .choices = "basic|bottleneck", .when = "depth=0", .help = "kind of residual block" },
    { "blocks", DF_INT_LIST_OPTION(ROW, blocks), .min = 1, .max = 64, .text = "2,2,2,2", .when = "depth=0",
      .help = "blocks per stage, 1 to 4 stages" },
    { "base_width", DF_INT_OPTION(ROW, base_width), .standard = 64, .min = 1, .max = 1024,
      .help = "width of the first stage, doubled from stage to stage (channels)" },
    { "widths", DF_INT_LIST_OPTION(ROW, widths), .min = 1, .max = 8192, .text = "",
      .help = "width of every stage (channels), before a bottleneck's expansion of 4; none: from base_width" },
    { "stem_width", DF_INT_OPTION(ROW, stem_width), .max = 1024, .help = "width of the stem; 0: base_width (channels)" },
    { "stem", DF_CHOICE_OPTION(ROW, stem), .choices = "standard|small",
      .help = "7x7 stride 2 and max pool, or one 3x3 stride 2 (C2 has stride 4 either way)" },
    { "norm", DF_CHOICE_OPTION(ROW, norm), .choices = "batch|frozen",
      .help = "batch norm of the body: learned, or statistics and affine frozen" },
    { "norm_eps", DF_REAL_OPTION(ROW, norm_eps), .standard = 1e-5, .max = 1, .help = "added to the variance in batch norm" },
    { "norm_momentum", DF_REAL_OPTION(ROW, norm_momentum), .standard = 0.1, .max = 1,
      .help = "share of a new batch in the running statistics" },
    { "fpn_stages", DF_INT_LIST_OPTION(ROW, fpn_stages), .min = 2, .max = 5, .text = "3,4,5",
      .help = "stages that feed the FPN: 2 = C2 ... 5 = C5" },
    { "fpn_channels", DF_INT_OPTION(ROW, fpn_channels), .standard = 256, .min = 1, .max = 4096,
      .help = "width of every FPN level (channels)" },
    { "extra", DF_CHOICE_OPTION(ROW, extra), .standard = DF_EXTRA_P6P7, .choices = "none|pool|p6p7",
      .help = "levels above the last: none, a stride-2 pool, or P6 and P7" },
    { "extra_from", DF_CHOICE_OPTION(ROW, extra_from), .standard = DF_EXTRA_FROM_P5, .choices = "c5|p5", .when = "extra=p6p7",
      .help = "what P6 is made from: the last stage or the last level" },
    { "head_convs", DF_INT_OPTION(ROW, head_convs), .standard = 4, .max = 8, .help = "3x3 convolutions per head branch before the output" },
    { "head_width", DF_INT_OPTION(ROW, head_width), .max = 4096, .when = "head_convs!=0",
      .help = "width of these convolutions (channels); 0: fpn_channels" },
    { "head_norm", DF_CHOICE_OPTION(ROW, head_norm), .choices = "none|batch", .when = "head_convs!=0",
      .help = "batch norm in the head, of its own for every level" },
    { 0 },
};
#undef ROW

size_t df_network_options_levels(const struct df_network_options *options) { return options->fpn_stages.count + (size_t)options->extra; }
