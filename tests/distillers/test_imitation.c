/* The imitation distillers in float: losses to 1e-6, gradients to 1e-5. */
#include "tests/distillers/imitation.h"
