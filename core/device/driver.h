/* NVIDIA's kernel driver, as its module tells it in /proc/driver/nvidia/version. */
#ifndef DF_CORE_DEVICE_DRIVER_H
#define DF_CORE_DEVICE_DRIVER_H
#include <stdbool.h>
#include <stddef.h>

/* The driver's number, such as "570.86.10": the first word of digits, with dots between them, that follows "Kernel Module" on its line. false:
 * text has none, or it does not fit into size bytes; then number is as it was. */
bool df_driver_number(const char *text, char *number, size_t size);
#endif
