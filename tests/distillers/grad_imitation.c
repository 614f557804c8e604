/* The imitation distillers in double: losses to 1e-12, gradients to 1e-9. */
#include "tests/distillers/imitation.h"
