/* All distillers: one line each. */
#include "distillers/distiller.h"

#define DISTILLERS(X)                                                                                                                      \
    X(none)                                                                                                                                \
    X(full_feature)                                                                                                                        \
    X(foreground)                                                                                                                          \
    X(background)                                                                                                                          \
    X(head_kl)                                                                                                                             \
    X(defeat)                                                                                                                              \
    X(mimic)                                                                                                                               \
    X(fgfi)                                                                                                                                \
    X(frs)                                                                                                                                 \
    X(cwd)                                                                                                                                 \
    X(pkd)                                                                                                                                 \
    X(dist)                                                                                                                                \
    X(fgd)                                                                                                                                 \
    X(mgd)                                                                                                                                 \
    X(reviewkd)                                                                                                                            \
    X(crosskd)                                                                                                                             \
    X(kd_classifier)

#define DECLARE(name) extern const struct df_distiller_class df_distiller_##name;
#define LIST(name)    &df_distiller_##name,
DISTILLERS(DECLARE)
const struct df_distiller_class *const df_distiller_classes[] = { DISTILLERS(LIST) NULL };
