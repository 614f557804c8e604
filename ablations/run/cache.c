/* The teacher cache file: writing, mapping, checking. */
#include "ablations/run/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/hash.h"

#define PAGE          4096
#define CACHE_VERSION 1
static const char cache_magic[8] = "DFCACHE";

struct cache_header {
    char magic[8];
    uint32_t version, real_bytes;
    char key[24];
    uint64_t count, checksums_at, records_at, file_bytes, checksums_hash;
    struct df_record_layout layout;
    uint64_t header_hash; /* of all bytes before it */
};
_Static_assert(sizeof(struct cache_header) <= PAGE, "the header is one page");

static uint64_t pages(uint64_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

static uint64_t header_hash(const struct cache_header *header) { return df_hash(header, offsetof(struct cache_header, header_hash)); }

static void header_fill(struct cache_header *header, const char *key, const struct df_record_layout *layout, size_t count)
{
    memset(header, 0, sizeof *header);
    memcpy(header->magic, cache_magic, sizeof header->magic);
    header->version = CACHE_VERSION;
    header->real_bytes = sizeof(df_real);
    snprintf(header->key, sizeof header->key, "%s", key);
    header->count = count;
    header->checksums_at = PAGE;
    header->records_at = PAGE + pages(count * sizeof(uint64_t));
    header->file_bytes = header->records_at + count * layout->bytes;
    header->layout = *layout;
}

uint64_t df_cache_bytes(const struct df_record_layout *layout, size_t count)
{
    return PAGE + pages(count * sizeof(uint64_t)) + count * layout->bytes;
}

struct df_cache_writer {
    struct cache_header header;
    uint64_t *checksum;
    char *path, *part;
    int fd;
};

static df_status put_bytes(struct df_cache_writer *writer, uint64_t at, const void *bytes, size_t n, struct df_error *err)
{
    const char *from = bytes;

    while (n) {
        const ssize_t done = pwrite(writer->fd, from, n, (off_t)at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return df_fail(err, DF_ERR_IO, "cannot write teacher cache '%s': %s [free disk space, or use --cache off]", writer->part,
                           done < 0 ? strerror(errno) : "nothing was written");
        from += done;
        at += (uint64_t)done;
        n -= (size_t)done;
    }
    return DF_OK;
}

df_status df_cache_create(const char *path, const char *key, const struct df_record_layout *layout, size_t count,
                          struct df_cache_writer **out, struct df_error *err)
{
    struct df_cache_writer *writer = df_calloc(1, sizeof *writer);
    struct df_text part = DF_TEXT_INIT;

    *out = NULL;
    header_fill(&writer->header, key, layout, count);
    df_text_addf(&part, "%s.part", path);
    writer->path = df_strdup(path);
    writer->part = part.data;
    writer->checksum = df_calloc(count ? count : 1, sizeof *writer->checksum);
    writer->fd = open(writer->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (writer->fd < 0) {
        df_fail(err, DF_ERR_IO, "cannot create teacher cache '%s': %s", writer->part, strerror(errno));
        df_cache_abandon(writer);
        return DF_ERR_IO;
    }
    *out = writer;
    return DF_OK;
}

df_status df_cache_put(struct df_cache_writer *writer, size_t i, const void *record, struct df_error *err)
{
    const uint64_t bytes = writer->header.layout.bytes;

    DF_ASSERT(i < writer->header.count);
    writer->checksum[i] = df_hash(record, bytes);
    return put_bytes(writer, writer->header.records_at + i * bytes, record, bytes, err);
}

static void writer_free(struct df_cache_writer *writer)
{
    free(writer->checksum);
    free(writer->path);
    free(writer->part);
    free(writer);
}

void df_cache_abandon(struct df_cache_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0) {
        close(writer->fd);
        unlink(writer->part);
    }
    writer_free(writer);
}

df_status df_cache_finish(struct df_cache_writer *writer, struct df_error *err)
{
    struct cache_header *header = &writer->header;
    const size_t table = header->count * sizeof(uint64_t);
    df_status status;

    header->checksums_hash = df_hash(writer->checksum, table);
    header->header_hash = header_hash(header);
    status = put_bytes(writer, header->checksums_at, writer->checksum, table, err);
    if (status == DF_OK)
        status = put_bytes(writer, 0, header, sizeof *header, err);
    if (status == DF_OK && (fsync(writer->fd) != 0 || rename(writer->part, writer->path) != 0))
        status = df_fail(err, DF_ERR_IO, "cannot finish teacher cache '%s': %s", writer->path, strerror(errno));
    if (status != DF_OK) {
        df_cache_abandon(writer);
        return status;
    }
    close(writer->fd);
    writer_free(writer);
    return DF_OK;
}

struct df_cache {
    const unsigned char *map;
    size_t bytes;
    const struct cache_header *header;
    const uint64_t *checksum;
    bool *checked; /* [count] */
    char *path;
};

static df_status torn(const char *path, struct df_error *err, const char *what)
{
    return df_fail(err, DF_ERR_FORMAT, "teacher cache '%s' is torn: %s [delete the file: it will be built again]", path, what);
}

static df_status map_file(const char *path, struct df_cache *cache, struct df_error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return df_fail(err, errno == ENOENT ? DF_ERR_NOT_FOUND : DF_ERR_IO, "cannot open teacher cache '%s': %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || st.st_size < PAGE) {
        close(fd);
        return torn(path, err, "it is shorter than its header");
    }
    cache->bytes = (size_t)st.st_size;

    void *map = mmap(NULL, cache->bytes, PROT_READ, MAP_SHARED, fd, 0);

    close(fd);
    if (map == MAP_FAILED)
        return df_fail(err, DF_ERR_IO, "cannot map teacher cache '%s': %s", path, strerror(errno));
    cache->map = map;
    return DF_OK;
}

/* Whether the header is whole and describes a file of exactly this size. */
static df_status check_whole(struct df_cache *cache, const char *path, struct df_error *err)
{
    const struct cache_header *header = (const void *)cache->map;
    struct cache_header expected;

    if (memcmp(header->magic, cache_magic, sizeof cache_magic) != 0)
        return df_fail(err, DF_ERR_FORMAT, "'%s' is not a teacher cache (wrong first bytes)", path);
    if (header->version != CACHE_VERSION || header->real_bytes != sizeof(df_real))
        return df_fail(err, DF_ERR_STALE, "teacher cache '%s' has version %u with %u-byte numbers (expected %d with %zu) [delete the file]",
                       path, header->version, header->real_bytes, CACHE_VERSION, sizeof(df_real));
    if (header->header_hash != header_hash(header))
        return torn(path, err, "its header does not match its hash");
    if (header->layout.bytes == 0 || header->count > cache->bytes / sizeof(uint64_t) || header->count > cache->bytes / header->layout.bytes)
        return torn(path, err, "it is shorter than its header says");
    header_fill(&expected, header->key, &header->layout, header->count);
    if (header->checksums_at != expected.checksums_at || header->records_at != expected.records_at || expected.file_bytes != cache->bytes)
        return torn(path, err, "its size is not what its header says");
    cache->header = header;
    cache->checksum = (const uint64_t *)(const void *)(cache->map + header->checksums_at);
    if (df_hash(cache->checksum, header->count * sizeof(uint64_t)) != header->checksums_hash)
        return torn(path, err, "its table of checksums does not match its hash");
    return DF_OK;
}

static df_status open_any(const char *path, struct df_cache **out, struct df_error *err)
{
    struct df_cache *cache = df_calloc(1, sizeof *cache);
    df_status status = map_file(path, cache, err);

    *out = NULL;
    if (status == DF_OK)
        status = check_whole(cache, path, err);
    if (status != DF_OK) {
        df_cache_close(cache);
        return status;
    }
    cache->path = df_strdup(path);
    cache->checked = df_calloc(cache->header->count ? cache->header->count : 1, sizeof *cache->checked);
    *out = cache;
    return DF_OK;
}

df_status df_cache_open(const char *path, const char *key, const struct df_record_layout *layout, size_t count, struct df_cache **out,
                        struct df_error *err)
{
    struct df_cache *cache;

    *out = NULL;
    DF_TRY(open_any(path, &cache, err));
    if (strcmp(cache->header->key, key) != 0 || cache->header->count != count ||
        memcmp(&cache->header->layout, layout, sizeof *layout) != 0) {
        df_fail(err, DF_ERR_STALE,
                "teacher cache '%s' is stale: key %s with %llu records of %llu bytes (expected %s, %zu of %llu) [delete the file: it will "
                "be built "
                "again]",
                path, cache->header->key, (unsigned long long)cache->header->count, (unsigned long long)cache->header->layout.bytes, key,
                count, (unsigned long long)layout->bytes);
        df_cache_close(cache);
        return DF_ERR_STALE;
    }
    *out = cache;
    return DF_OK;
}

void df_cache_close(struct df_cache *cache)
{
    if (!cache)
        return;
    if (cache->map)
        munmap((void *)(uintptr_t)cache->map, cache->bytes);
    free(cache->checked);
    free(cache->path);
    free(cache);
}

df_status df_cache_record(struct df_cache *cache, size_t i, const void **record, struct df_error *err)
{
    const uint64_t bytes = cache->header->layout.bytes;
    const unsigned char *at = cache->map + cache->header->records_at + i * bytes;

    DF_ASSERT(i < cache->header->count);
    if (!cache->checked[i]) {
        if (df_hash(at, bytes) != cache->checksum[i])
            return df_fail(err, DF_ERR_FORMAT,
                           "teacher cache '%s' is torn: record %zu does not match its checksum [delete the file: it will be "
                           "built again]",
                           cache->path, i);
        cache->checked[i] = true;
    }
    *record = at;
    return DF_OK;
}

bool df_cache_is(const char *path)
{
    char magic[sizeof cache_magic];
    FILE *file = fopen(path, "rb");
    bool is = false;

    if (file) {
        is = fread(magic, 1, sizeof magic, file) == sizeof magic && memcmp(magic, cache_magic, sizeof magic) == 0;
        fclose(file);
    }
    return is;
}

static void describe_map(const char *name, size_t k, const struct df_record_map *map, struct df_text *out)
{
    if (map->c)
        df_text_addf(out, "  %-9s %zu  [%llu,%llu,%llu]  stride %llu%s\n", name, k, (unsigned long long)map->h, (unsigned long long)map->w,
                     (unsigned long long)map->c, (unsigned long long)map->stride, map->offset == DF_NOT_RECORDED ? "  (not recorded)" : "");
}

df_status df_cache_describe(const char *path, bool verify, struct df_text *out, struct df_error *err)
{
    struct df_cache *cache;
    const void *record;
    df_status status = DF_OK;

    DF_TRY(open_any(path, &cache, err));

    const struct df_record_layout *layout = &cache->header->layout;

    df_text_addf(out, "teacher cache %s\n  key       %s\n  records   %llu of %llu bytes, %.1f MB in all\n", path, cache->header->key,
                 (unsigned long long)cache->header->count, (unsigned long long)layout->bytes, (double)cache->bytes / 1e6);
    df_text_addf(out, "  canvas    %llu x %llu, %llu classes, %llu anchors\n", (unsigned long long)layout->canvas_h,
                 (unsigned long long)layout->canvas_w, (unsigned long long)layout->classes, (unsigned long long)layout->anchors);
    for (size_t k = 0; k < DF_STAGES; k++)
        describe_map("stage", k, &layout->stage[k], out);
    for (size_t l = 0; l < layout->levels && l < DF_LEVELS; l++)
        describe_map("neck", l, &layout->neck[l], out);
    df_text_addf(out, "  logits    %s\n  deltas    %s\n", layout->logits == DF_NOT_RECORDED ? "not recorded" : "recorded",
                 layout->deltas == DF_NOT_RECORDED ? "not recorded" : "recorded");
    for (size_t i = 0; verify && i < cache->header->count && status == DF_OK; i++)
        status = df_cache_record(cache, i, &record, err);
    if (verify && status == DF_OK)
        df_text_add(out, "  checksums all match\n");
    df_cache_close(cache);
    return status;
}
