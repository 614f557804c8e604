/* The picture of a scene: one of eight background families (multi-octave noise, alone or with stripes, rings, checks, warped stripes,
 * regions, blots), then the items from back to front, each coloured against the mean of what it covers and textured, then sensor noise,
 * gain and offset. Single precision, one plane per channel, loops that vectorise. */
#include "core/data/scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/portable_math.h"
#include "core/base/rng.h"

#define QUANTILES 1024
#define REGIONS   24

struct taps { /* the four cells a pixel is interpolated from */
    int at[4];
    float weight[4];
};

struct df_scene_painter {
    int size;
    float *plane[3], *field, *second, *warp, *cover, *texture, *cells, *rows;
    struct taps *taps;
    float normal[QUANTILES]; /* quantiles of the normal distribution, scaled to variance 1 */
};

static inline float clamp(float v, float low, float high) { return v < low ? low : v > high ? high : v; }

/* sin(2 pi t), to 3e-6: reduced to a quarter turn, then the odd Taylor polynomial of degree 9. */
static inline float wave(float t)
{
    float x = t - floorf(t + 0.5f);

    x = x > 0.25f ? 0.5f - x : x < -0.25f ? -0.5f - x : x;
    x *= 6.2831853f;
    const float q = x * x;
    return x * (1 + q * (-0.16666667f + q * (8.3333333e-3f + q * (-1.9841270e-4f + q * 2.7557319e-6f))));
}

/* Inverts the trapezoid sum of the density over [-4.5, 4.5] at the middles of QUANTILES equal parts. */
static void fill_quantiles(float *out)
{
    const double step = 1.0 / 512, half = 4.5;
    double total = 0, below = 0, square = 0, at = -half;

    for (double x = -half; x < half; x += step)
        total += df_exp(-0.5 * (x + step / 2) * (x + step / 2));
    for (int i = 0; i < QUANTILES; i++) {
        const double goal = total * (i + 0.5) / QUANTILES;
        double here = df_exp(-0.5 * (at + step / 2) * (at + step / 2));

        while (below + here < goal) {
            below += here;
            at += step;
            here = df_exp(-0.5 * (at + step / 2) * (at + step / 2));
        }
        const double value = at + step * (goal - below) / here;
        out[i] = (float)value;
        square += value * value;
    }
    const double scale = 1 / sqrt(square / QUANTILES);
    for (int i = 0; i < QUANTILES; i++)
        out[i] = (float)((double)out[i] * scale);
}

struct df_scene_painter *df_scene_painter_new(int size)
{
    struct df_scene_painter *p = df_calloc(1, sizeof *p);
    const size_t n = (size_t)size * (size_t)size;
    float *memory = df_malloc((10 * n + 8) * sizeof *memory);

    p->size = size;
    for (int c = 0; c < 3; c++)
        p->plane[c] = memory + (size_t)c * n;
    p->field = memory + 3 * n;
    p->second = memory + 4 * n;
    p->warp = memory + 5 * n;
    p->cover = memory + 6 * n;
    p->texture = memory + 7 * n;
    p->cells = memory + 8 * n;
    p->rows = memory + 9 * n;
    p->taps = df_malloc((size_t)size * sizeof *p->taps);
    fill_quantiles(p->normal);
    return p;
}

void df_scene_painter_free(struct df_scene_painter *painter)
{
    if (!painter)
        return;
    free(painter->plane[0]);
    free(painter->taps);
    free(painter);
}

float *df_scene_painter_cover(struct df_scene_painter *painter) { return painter->cover; }

/* out[i] += scale * normal; three numbers from each random word. */
static void add_normals(const struct df_scene_painter *p, struct df_rng *rng, float scale, size_t n, float *out)
{
    for (size_t i = 0; i < n; i += 3) {
        uint32_t word = df_rng_u32(rng);

        for (size_t k = i; k < n && k < i + 3; k++, word >>= 10)
            out[k] += scale * p->normal[word % QUANTILES];
    }
}

/* Cubic convolution (a = -1/2) with half-pixel centres; what lies outside is left out and the rest scaled to 1. */
static void cubic_taps(int from, int to, struct taps *taps)
{
    for (int x = 0; x < to; x++) {
        const float at = ((float)x + 0.5f) * (float)from / (float)to - 0.5f, cell = floorf(at), t = at - cell, s = 1 - t;
        const float weight[4] = { -0.5f * t * s * s, 1 + t * t * (1.5f * t - 2.5f), 1 + s * s * (1.5f * s - 2.5f), -0.5f * s * t * t };
        float sum = 0;

        for (int k = 0; k < 4; k++) {
            const int cell_k = (int)cell - 1 + k;

            taps[x].at[k] = cell_k < 0 ? 0 : cell_k >= from ? from - 1 : cell_k;
            taps[x].weight[k] = cell_k < 0 || cell_k >= from ? 0 : weight[k];
            sum += taps[x].weight[k];
        }
        for (int k = 0; k < 4; k++)
            taps[x].weight[k] /= sum;
    }
}

/* out += weight * (cells x cells normal values, enlarged to the image) */
static void add_octave(struct df_scene_painter *p, struct df_rng *rng, int cells, float weight, float *out)
{
    const int size = p->size;

    if (cells <= 0 || cells >= size) {
        add_normals(p, rng, weight, (size_t)size * (size_t)size, out);
        return;
    }
    memset(p->cells, 0, (size_t)cells * (size_t)cells * sizeof *p->cells);
    add_normals(p, rng, weight, (size_t)cells * (size_t)cells, p->cells);
    cubic_taps(cells, size, p->taps);
    for (int j = 0; j < cells; j++)
        for (int x = 0; x < size; x++) {
            const struct taps *t = &p->taps[x];
            const float *row = p->cells + j * cells;

            p->rows[j * size + x] =
                row[t->at[0]] * t->weight[0] + row[t->at[1]] * t->weight[1] + row[t->at[2]] * t->weight[2] + row[t->at[3]] * t->weight[3];
        }
    for (int y = 0; y < size; y++) {
        const struct taps *t = &p->taps[y];
        const float *a = p->rows + t->at[0] * size, *b = p->rows + t->at[1] * size, *c = p->rows + t->at[2] * size,
                    *d = p->rows + t->at[3] * size;
        float *row = out + y * size;

        for (int x = 0; x < size; x++)
            row[x] += a[x] * t->weight[0] + b[x] * t->weight[1] + c[x] * t->weight[2] + d[x] * t->weight[3];
    }
}

struct octave {
    int cells; /* 0: one per pixel */
    float weight;
};

/* Sum of octaves (ended by weight 0), divided by its standard deviation. */
static void noise(struct df_scene_painter *p, struct df_rng *rng, const struct octave *octaves, float *out)
{
    const size_t n = (size_t)p->size * (size_t)p->size;
    double sum = 0, square = 0;

    memset(out, 0, n * sizeof *out);
    for (; octaves->weight > 0; octaves++)
        add_octave(p, rng, octaves->cells, octaves->weight, out);
    for (size_t i = 0; i < n; i++) {
        sum += (double)out[i];
        square += (double)out[i] * (double)out[i];
    }
    const double variance = square / (double)n - sum / (double)n * (sum / (double)n);
    const float scale = (float)(1 / (sqrt(variance > 0 ? variance : 0) + 1e-6));
    for (size_t i = 0; i < n; i++)
        out[i] *= scale;
}

/* Regions of the nearest of some points, each with its value; the border between two is one pixel wide. */
static void add_regions(struct df_scene_painter *p, struct df_rng *rng, float *out)
{
    const int size = p->size, count = 10 + (int)df_rng_below(rng, REGIONS - 10 + 1);
    float px[REGIONS], py[REGIONS], value[REGIONS];

    for (int k = 0; k < count; k++) {
        px[k] = (float)(df_rng_uniform(rng) * size);
        py[k] = (float)(df_rng_uniform(rng) * size);
        value[k] = (float)df_rng_normal(rng);
    }
    float *const near = p->cells, *const next = p->rows, *const near_value = p->texture, *const next_value = p->cover; /* one row each */
    for (int y = 0; y < size; y++) {
        for (int x = 0; x < size; x++) {
            near[x] = next[x] = 1e30f;
            near_value[x] = next_value[x] = 0;
        }
        for (int k = 0; k < count; k++) {
            const float dy = (float)y + 0.5f - py[k];

            for (int x = 0; x < size; x++) {
                const float dx = (float)x + 0.5f - px[k], d = dx * dx + dy * dy, a = near[x], b = next[x], va = near_value[x],
                            vb = next_value[x];

                near[x] = d < a ? d : a;
                near_value[x] = d < a ? value[k] : va;
                next[x] = d < a ? a : d < b ? d : b;
                next_value[x] = d < a ? va : d < b ? value[k] : vb;
            }
        }
        for (int x = 0; x < size; x++) {
            const float share = clamp(0.5f + 0.5f * (sqrtf(next[x]) - sqrtf(near[x])), 0, 1);

            out[y * size + x] += share * near_value[x] + (1 - share) * next_value[x];
        }
    }
}

struct stripes { /* per pixel: turns = x * dx + y * dy (+ warp) */
    float dx, dy, soft;
};

static void add_stripes(struct df_scene_painter *p, struct stripes s, float amplitude, const float *warp, float *out)
{
    for (int y = 0; y < p->size; y++)
        for (int x = 0; x < p->size; x++) {
            const int i = y * p->size + x;

            out[i] += amplitude * wave((float)x * s.dx + (float)y * s.dy + (warp ? warp[i] * 0.31830989f : 0)); /* 2 rad per unit of warp */
        }
}

static void add_rings(struct df_scene_painter *p, float turns, float cx, float cy, float *out)
{
    for (int y = 0; y < p->size; y++)
        for (int x = 0; x < p->size; x++) {
            const float dx = (float)x - cx, dy = (float)y - cy;

            out[y * p->size + x] += wave(turns * sqrtf(dx * dx + dy * dy));
        }
}

static void add_checks(struct df_scene_painter *p, struct stripes s, float amplitude, float *out)
{
    const float sharp = 1 / s.soft;

    for (int y = 0; y < p->size; y++)
        for (int x = 0; x < p->size; x++) {
            const float a = clamp(sharp * wave((float)x * s.dx + (float)y * s.dy), -1, 1);
            const float b = clamp(sharp * wave((float)x * s.dy - (float)y * s.dx), -1, 1);

            out[y * p->size + x] += amplitude * a * b;
        }
}

/* The pattern of a family, about mean 0 and variance 1, in p->field. */
static void draw_pattern(struct df_scene_painter *p, struct df_rng *rng, int family)
{
    static const struct octave cloud[] = { { 3, 1 }, { 6, 0.7f }, { 12, 0.5f }, { 24, 0.35f }, { 48, 0.25f }, { 0, 0 } };
    static const struct octave grain[] = { { 4, 0.4f }, { 32, 0.6f }, { 0, 0.8f }, { 0, 0 } };
    static const struct octave bends[] = { { 4, 1 }, { 8, 0.5f }, { 0, 0 } };
    static const struct octave blots[] = { { 6, 1 }, { 12, 0.7f }, { 24, 0.4f }, { 0, 0 } };
    static const float share[DF_SCENE_FAMILIES] = { 1, 1, 0.6f, 0.6f, 0.6f, 0.5f, 0.4f, 0.4f }; /* of the noise under the pattern */
    const size_t n = (size_t)p->size * (size_t)p->size;
    const double turn = df_rng_range(rng, 0, 6.283185307179586), turns = df_rng_range(rng, 4, 10) / p->size;
    const float dx = (float)(turns * df_cos(turn)), dy = (float)(turns * df_sin(turn));
    const float cx = (float)(df_rng_uniform(rng) * p->size), cy = (float)(df_rng_uniform(rng) * p->size);

    noise(p, rng, family == 1 ? grain : cloud, p->field);
    for (size_t i = 0; i < n; i++)
        p->field[i] *= share[family];
    if (family == 2)
        add_stripes(p, (struct stripes){ dx, dy, 0 }, 1, NULL, p->field);
    else if (family == 3)
        add_rings(p, (float)turns, cx, cy, p->field);
    else if (family == 4)
        add_checks(p, (struct stripes){ dx / 2, dy / 2, 1.5707963f * (float)turns }, 0.9f, p->field);
    else if (family == 5) {
        noise(p, rng, bends, p->warp);
        add_stripes(p, (struct stripes){ 0.7f * dx, 0.7f * dy, 0 }, 1, p->warp, p->field);
    } else if (family == 6)
        add_regions(p, rng, p->field);
    else if (family == 7) {
        noise(p, rng, blots, p->warp);
        for (size_t i = 0; i < n; i++)
            p->field[i] += clamp(4 * p->warp[i], -1, 1);
    }
}

static void paint_background(struct df_scene_painter *p, const struct df_scene_options *options, struct df_rng *rng, int family)
{
    static const float palette[DF_SCENE_FAMILIES][3] = { { 0.55f, 0.45f, 0.35f }, { 0.35f, 0.5f, 0.35f }, { 0.35f, 0.45f, 0.6f },
                                                         { 0.6f, 0.55f, 0.4f },   { 0.5f, 0.4f, 0.55f },  { 0.45f, 0.45f, 0.45f },
                                                         { 0.6f, 0.45f, 0.45f },  { 0.35f, 0.55f, 0.55f } };
    static const struct octave tint[] = { { 4, 1 }, { 10, 0.5f }, { 0, 0 } };
    const size_t n = (size_t)p->size * (size_t)p->size;
    double way[3], norm = 1e-9;

    draw_pattern(p, rng, family);
    noise(p, rng, tint, p->second);
    for (int c = 0; c < 3; c++) {
        way[c] = 0.5 * df_rng_normal(rng) + 1;
        norm += way[c] * way[c];
    }
    const double amplitude = df_rng_range(rng, options->background_min, options->background_max) / sqrt(norm);
    for (int c = 0; c < 3; c++) {
        const float base = palette[family][c] + (float)df_rng_range(rng, -0.15, 0.15), a = (float)(amplitude * way[c]);
        const float b = (float)(0.05 * df_rng_normal(rng));
        float *out = p->plane[c];

        for (size_t i = 0; i < n; i++)
            out[i] = base + a * p->field[i] + b * p->second[i];
    }
}

/* Share of the second colour at (along, across) in turns of the texture; edges about a pixel wide. */
static inline float texture_share(int texture, float along, float across, float sharp)
{
    const float a = wave(along);

    if (texture == 1)
        return clamp(0.5f + sharp * a, 0, 1);
    const float b = wave(across);
    if (texture == 3)
        return clamp(0.5f + sharp * (a + b - 0.8f), 0, 1);
    const float s = clamp(0.5f + sharp * a, 0, 1), t = clamp(0.5f + sharp * b, 0, 1);
    return s * t + (1 - s) * (1 - t);
}

static void draw_texture(struct df_scene_painter *p, struct df_rng *rng, const struct df_scene_item *item, struct df_scene_patch patch)
{
    const size_t n = (size_t)patch.width * (size_t)patch.height;
    const float k = item->texture_turns, sharp = 1 / (6.2831853f * k);
    float *out = p->texture;

    memset(out, 0, n * sizeof *out);
    if (item->texture == 4) {
        add_normals(p, rng, 0.2f, n, out);
        for (size_t i = 0; i < n; i++)
            out[i] = clamp(out[i] + 0.5f, 0, 1);
    } else if (item->texture != 0) {
        for (int y = 0; y < patch.height; y++)
            for (int x = 0; x < patch.width; x++) {
                const float dx = (float)(patch.x + x) - item->x, dy = (float)(patch.y + y) - item->y;

                *out++ = texture_share(item->texture, k * (dx * item->texture_cosine + dy * item->texture_sine),
                                       k * (dy * item->texture_cosine - dx * item->texture_sine), sharp);
            }
    }
}

static void paint_item(struct df_scene_painter *p, struct df_rng *rng, const struct df_scene_item *item)
{
    const struct df_scene_patch patch = df_scene_cover(item, p->size, p->cover);
    double sum[3] = { 0 }, weight = 1e-6;

    draw_texture(p, rng, item, patch);
    for (int y = 0; y < patch.height; y++)
        for (int x = 0; x < patch.width; x++) {
            const float a = p->cover[y * patch.width + x];
            const int at = (patch.y + y) * p->size + patch.x + x;

            weight += (double)a;
            for (int c = 0; c < 3; c++)
                sum[c] += (double)(a * p->plane[c][at]);
        }
    const float slope = item->shade / item->radius;
    for (int c = 0; c < 3; c++) {
        const float first = (float)(sum[c] / weight) + item->shift[c];

        for (int y = 0; y < patch.height; y++) {
            const float *a = p->cover + y * patch.width, *t = p->texture + y * patch.width;
            const float dy = ((float)(patch.y + y) - item->y) * item->texture_sine;
            float *out = p->plane[c] + (patch.y + y) * p->size + patch.x;

            for (int x = 0; x < patch.width; x++) {
                const float along = ((float)(patch.x + x) - item->x) * item->texture_cosine + dy;
                const float colour = (first + item->second[c] * t[x]) * (1 + slope * along);

                out[x] += a[x] * (colour - out[x]);
            }
        }
    }
}

void df_scene_paint(struct df_scene_painter *p, const struct df_scene_options *options, const struct df_scene *scene, uint8_t *rgb)
{
    const size_t n = (size_t)p->size * (size_t)p->size;
    struct df_rng rng;

    df_rng_init(&rng, (uint64_t)options->seed, DF_RNG_SCENE, scene->stream | (uint64_t)1 << 63);
    paint_background(p, options, &rng, scene->family);
    for (size_t k = 0; k < scene->items; k++)
        paint_item(p, &rng, &scene->item[k]);
    const float sigma = (float)df_rng_range(&rng, options->noise_min, options->noise_max);
    const float gain = (float)df_rng_range(&rng, 1 - options->gain, 1 + options->gain);
    const float offset = (float)df_rng_range(&rng, -options->offset, options->offset);
    for (int c = 0; c < 3; c++) {
        add_normals(p, &rng, sigma, n, p->plane[c]);
        for (size_t i = 0; i < n; i++)
            rgb[3 * i + (size_t)c] = (uint8_t)(255 * clamp(p->plane[c][i] * gain + offset, 0, 1) + 0.5f);
    }
}
