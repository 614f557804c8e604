/* Sobol's sequence: points that fill a cube evenly, however many of them are taken, and along each axis alone as well. In Gray-code order (Antonov
 * and Saleev, 1979); direction numbers of Joe and Kuo, "Constructing Sobol sequences with better two-dimensional projections" (SIAM J. Sci.
 * Comput. 30, 2008), file new-joe-kuo-6.21201. Not scrambled: equal on every machine, without a seed. */
#ifndef DF_ABLATIONS_SOBOL_H
#define DF_ABLATIONS_SOBOL_H
#include <stddef.h>
#include <stdint.h>

#define DF_SOBOL_AXES 8
/* The coordinate of point `index` along an axis (0..DF_SOBOL_AXES - 1), in [0,1). Point 0 is the origin, point 1 the centre (0.5 everywhere);
 * of the points 0 .. 2^k - 1 each axis has one in every interval of length 2^-k. */
double df_sobol(uint32_t index, size_t axis);
#endif
