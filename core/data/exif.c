/* Looking for one number in a JPEG's segments, and turning a picture by it. */
#include "core/data/exif.h"

#include <stdbool.h>
#include <string.h>

struct block { /* TIFF: a header of 8 bytes, then directories of 12-byte entries */
    const uint8_t *data;
    size_t bytes;
    bool big_endian;
};

/* The caller has checked that they are there. */
static size_t number(const struct block *block, size_t at, size_t bytes)
{
    size_t value = 0;

    for (size_t i = 0; i < bytes; i++)
        value |= (size_t)block->data[at + i] << 8 * (block->big_endian ? bytes - 1 - i : i);
    return value;
}

/* From the first directory. */
static unsigned orientation_of(const uint8_t *data, size_t bytes)
{
    const struct block block = { data, bytes, bytes > 0 && data[0] == 'M' };

    if (bytes < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0))
        return 1;
    size_t at = number(&block, 4, 4);

    if (at > bytes - 2)
        return 1;
    const size_t entries = number(&block, at, 2);

    at += 2;
    for (size_t i = 0; i < entries && bytes - at >= 12; i++, at += 12)
        if (number(&block, at, 2) == 0x112 && number(&block, at + 2, 2) == 3) { /* Orientation, a 16-bit number */
            const size_t value = number(&block, at + 8, 2);

            return value >= 1 && value <= 8 ? (unsigned)value : 1;
        }
    return 1;
}

/* Walks the segments up to the first scan. */
unsigned df_exif_orientation(const uint8_t *jpeg, size_t bytes)
{
    size_t at = 2;

    if (bytes < 2 || jpeg[0] != 0xff || jpeg[1] != 0xd8)
        return 1;
    while (bytes - at >= 4 && jpeg[at] == 0xff) {
        if (jpeg[at + 1] == 0xff) { /* fill byte */
            at++;
            continue;
        }
        const size_t length = (size_t)jpeg[at + 2] << 8 | jpeg[at + 3]; /* these two bytes included */

        if (jpeg[at + 1] == 0xda || length < 2 || length > bytes - at - 2)
            return 1;
        if (jpeg[at + 1] == 0xe1 && length >= 8 && memcmp(jpeg + at + 4, "Exif\0", 6) == 0)
            return orientation_of(jpeg + at + 10, length - 8);
        at += 2 + length;
    }
    return 1;
}

void df_exif_turn(const uint8_t *stored, size_t width, size_t height, unsigned orientation, uint8_t *to)
{
    static const struct {
        bool right,
            bottom; /* the upright picture's first column, its first row, is the stored one's last (orientations 5 to 8: row, column) */
    } from[9] = { [2] = { 1, 0 }, [3] = { 1, 1 }, [4] = { 0, 1 }, [6] = { 1, 0 }, [7] = { 1, 1 }, [8] = { 0, 1 } };
    const bool swap = orientation >= 5;
    const size_t w = swap ? height : width, h = swap ? width : height;

    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++, to += 3) {
            const size_t across = from[orientation].right ? w - 1 - x : x, down = from[orientation].bottom ? h - 1 - y : y;

            memcpy(to, stored + 3 * (swap ? across * width + down : down * width + across), 3);
        }
}
