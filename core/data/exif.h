/* The EXIF orientation of a JPEG: how the stored picture must be turned to stand upright. Nothing else of EXIF is read, and no byte of the file
 * is trusted. Source: EXIF 2.32 (CIPA DC-008), 4.6.4 "Orientation"; TIFF 6.0, section 2. */
#ifndef DF_CORE_DATA_EXIF_H
#define DF_CORE_DATA_EXIF_H
#include <stddef.h>
#include <stdint.h>

/* 1 to 8, of a whole JPEG file, or as much as there is of one; 1 (upright) where the tag is absent, damaged or illegal. From 5 on the upright
 * picture has the stored one's height as its width. */
unsigned df_exif_orientation(const uint8_t *jpeg, size_t bytes);
/* The stored picture [height,width,3] upright: to is [height,width,3] for orientations 1 to 4, [width,height,3] from 5 on. */
void df_exif_turn(const uint8_t *stored, size_t width, size_t height, unsigned orientation, uint8_t *to);
#endif
