#ifndef DF_CORE_DEVICE_DRY_DRY_H
#define DF_CORE_DEVICE_DRY_DRY_H
#include "core/device/device.h"

/* Counts what it is asked (flops, the profile) and does nothing; what is read from it is zeros. For costs on paper: no name opens it. */
struct df_device *df_device_dry(void);
#endif
