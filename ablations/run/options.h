/* How a cell is run, besides what it is: nothing here moves a number. */
#ifndef DF_ABLATIONS_RUN_OPTIONS_H
#define DF_ABLATIONS_RUN_OPTIONS_H
#include <stdbool.h>

#include "core/base/comm.h"

#define DF_CACHE_LIMIT_GIB 4 /* what an automatic teacher cache may take, unless told otherwise */

struct df_run_options {
    const char *out;
    enum { DF_CACHE_AUTO, DF_CACHE_ON, DF_CACHE_OFF } cache;
    double cache_limit_bytes; /* for auto */
    const char *scratch;      /* a folder of this machine for copies of caches (scratch.h); NULL: they are read where they are */
    bool skip_bad_images, prefetch;
    bool quiet;           /* no progress bar */
    bool export_results;  /* results.json */
    bool resume;          /* position checkpoints between evaluation points; a killed run goes on from its last one, same bits */
    bool guards;          /* a distiller that teaches nothing stops its cell (guard.h) */
    size_t telemetry;     /* steps from one measurement to the next (telemetry.h); 0: none */
    struct df_comm *comm; /* the ranks that train this cell together; NULL: alone */
};
#endif
