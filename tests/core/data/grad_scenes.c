/* The same pictures and boxes in the double build. */
#include "tests/core/data/test_scenes.c"
