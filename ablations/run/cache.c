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

#include "core/base/file.h"
#include "core/base/hash.h"

#define PAGE          4096
#define CACHE_VERSION 2
static const char cache_magic[8] = "DFCACHE";

struct cache_header {
    char magic[8];
    uint32_t version, real_bytes;
    char key[24];
    uint64_t count, file_bytes, index_hash;
    uint64_t header_hash; /* of all bytes before it */
};
_Static_assert(sizeof(struct cache_header) <= PAGE, "the header is one page");

struct entry {
    uint64_t offset, bytes, checksum;
};

static uint64_t pages(uint64_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

static uint64_t header_hash(const struct cache_header *header) { return df_hash(header, offsetof(struct cache_header, header_hash)); }

uint64_t df_cache_bytes(uint64_t record_bytes, size_t count) { return PAGE + pages(count * sizeof(struct entry)) + record_bytes; }

struct df_cache_writer {
    struct cache_header header; /* file_bytes: so far */
    struct entry *index;
    char *path, *part;
    int fd;    /* -1: closed */
    bool made; /* part */
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

df_status df_cache_create(const char *path, const char *key, size_t count, struct df_cache_writer **out, struct df_error *err)
{
    struct df_cache_writer *writer = df_calloc(1, sizeof *writer);
    struct cache_header *header = &writer->header;
    struct df_text part = DF_TEXT_INIT;

    *out = NULL;
    memcpy(header->magic, cache_magic, sizeof header->magic);
    header->version = CACHE_VERSION;
    header->real_bytes = sizeof(df_real);
    snprintf(header->key, sizeof header->key, "%s", key);
    header->count = count;
    header->file_bytes = df_cache_bytes(0, count);
    df_text_addf(&part, "%s.part.XXXXXX", path); /* its own: of two that do not see each other's locks, both finish */
    writer->path = df_strdup(path);
    writer->part = part.data;
    writer->index = df_calloc(count ? count : 1, sizeof *writer->index);
    writer->fd = mkostemp(writer->part, O_CLOEXEC);
    if (writer->fd < 0) {
        df_fail(err, DF_ERR_IO, "cannot create teacher cache '%s': %s", writer->part, strerror(errno));
        df_cache_abandon(writer);
        return DF_ERR_IO;
    }
    writer->made = true;
    df_unfinished_file(writer->part);
    *out = writer;
    return DF_OK;
}

df_status df_cache_put(struct df_cache_writer *writer, size_t i, const void *record, struct df_error *err)
{
    const uint64_t bytes = ((const struct df_record_layout *)record)->bytes, at = writer->header.file_bytes;

    DF_ASSERT(i < writer->header.count && !writer->index[i].bytes);
    writer->index[i] = (struct entry){ at, bytes, df_hash(record, bytes) };
    writer->header.file_bytes += bytes;
    return put_bytes(writer, at, record, bytes, err);
}

static void writer_free(struct df_cache_writer *writer)
{
    df_unfinished_file(NULL);
    free(writer->index);
    free(writer->path);
    free(writer->part);
    free(writer);
}

void df_cache_abandon(struct df_cache_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        close(writer->fd);
    if (writer->made)
        unlink(writer->part);
    writer_free(writer);
}

df_status df_cache_finish(struct df_cache_writer *writer, struct df_error *err)
{
    struct cache_header *header = &writer->header;
    const size_t table = header->count * sizeof *writer->index;
    df_status status;

    header->index_hash = df_hash(writer->index, table);
    header->header_hash = header_hash(header);
    status = put_bytes(writer, PAGE, writer->index, table, err);
    if (status == DF_OK)
        status = put_bytes(writer, 0, header, sizeof *header, err);
    if (status == DF_OK) {
        status = df_file_put(writer->fd, writer->part, writer->path, err);
        writer->fd = -1;
    }
    if (status != DF_OK) {
        df_cache_abandon(writer);
        return df_fail_in(err, status, "teacher cache");
    }
    writer_free(writer);
    return DF_OK;
}

struct df_cache {
    const unsigned char *map;
    size_t bytes;
    const struct cache_header *header;
    const struct entry *index;
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
    const struct entry *index = (const void *)(cache->map + PAGE);
    uint64_t end;

    if (memcmp(header->magic, cache_magic, sizeof cache_magic) != 0)
        return df_fail(err, DF_ERR_FORMAT, "'%s' is not a teacher cache (wrong first bytes)", path);
    if (header->version != CACHE_VERSION || header->real_bytes != sizeof(df_real))
        return df_fail(err, DF_ERR_STALE, "teacher cache '%s' has version %u with %u-byte numbers (expected %d with %zu) [delete the file]",
                       path, header->version, header->real_bytes, CACHE_VERSION, sizeof(df_real));
    if (header->header_hash != header_hash(header))
        return torn(path, err, "its header does not match its hash");
    if (header->count > cache->bytes / sizeof *index || df_cache_bytes(0, header->count) > cache->bytes)
        return torn(path, err, "it is shorter than its header says");
    if (header->file_bytes != cache->bytes)
        return torn(path, err, "its size is not what its header says");
    if (df_hash(index, header->count * sizeof *index) != header->index_hash)
        return torn(path, err, "its index does not match its hash");
    end = df_cache_bytes(0, header->count);
    for (size_t i = 0; i < header->count; i++)
        if (index[i].offset < end || index[i].offset > cache->bytes || index[i].offset % sizeof(uint64_t) ||
            index[i].bytes < sizeof(uint64_t) || index[i].bytes > cache->bytes - index[i].offset)
            return torn(path, err, "a record lies outside of it");
    cache->header = header;
    cache->index = index;
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

df_status df_cache_open(const char *path, const char *key, size_t count, struct df_cache **out, struct df_error *err)
{
    struct df_cache *cache;

    *out = NULL;
    DF_TRY(open_any(path, &cache, err));
    if (strcmp(cache->header->key, key) != 0 || cache->header->count != count) {
        df_fail(err, DF_ERR_STALE,
                "teacher cache '%s' is stale: key %s with %llu records (expected %s with %zu) [delete the file: it will be built again]",
                path, cache->header->key, (unsigned long long)cache->header->count, key, count);
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

df_status df_cache_record(struct df_cache *cache, size_t i, const struct df_record_layout **record, struct df_error *err)
{
    const struct entry *entry = &cache->index[i];
    const unsigned char *at = cache->map + entry->offset;

    DF_ASSERT(i < cache->header->count);
    if (!cache->checked[i]) {
        if (df_hash(at, entry->bytes) != entry->checksum)
            return df_fail(err, DF_ERR_FORMAT,
                           "teacher cache '%s' is torn: record %zu does not match its checksum [delete the file: it will be "
                           "built again]",
                           cache->path, i);
        if (!df_record_legal(at, entry->bytes))
            return df_fail(err, DF_ERR_FORMAT, "teacher cache '%s': record %zu is no record of this program [delete the file]", cache->path,
                           i);
        cache->checked[i] = true;
    }
    *record = (const void *)at;
    return DF_OK;
}

df_status df_cache_verify(const char *path, const char *key, size_t count, struct df_error *err)
{
    const struct df_record_layout *record;
    struct df_cache *cache;
    df_status status = DF_OK;

    DF_TRY(df_cache_open(path, key, count, &cache, err));
    for (size_t i = 0; i < count && status == DF_OK; i++)
        status = df_cache_record(cache, i, &record, err);
    df_cache_close(cache);
    return status;
}

bool df_cache_is(const char *path)
{
    char magic[sizeof cache_magic];
    FILE *file = df_file_open(path, "rb");
    bool is = false;

    if (file) {
        is = fread(magic, 1, sizeof magic, file) == sizeof magic && memcmp(magic, cache_magic, sizeof magic) == 0;
        fclose(file);
    }
    return is;
}

/* Of one record: they differ in their canvas only. */
static void describe(const struct df_record_layout *layout, struct df_text *out)
{
    df_text_addf(out, "  first     %llu x %llu pixels, %llu bytes\n", (unsigned long long)layout->canvas_h,
                 (unsigned long long)layout->canvas_w, (unsigned long long)layout->bytes);
    for (size_t i = 0; i < layout->parts; i++) {
        const struct df_record_part *part = &layout->part[i];

        df_text_addf(out, "  %-12s [%llu,%llu,%llu]", part->name, (unsigned long long)part->h, (unsigned long long)part->w,
                     (unsigned long long)part->c);
        if (part->stride)
            df_text_addf(out, "  stride %llu", (unsigned long long)part->stride);
        df_text_add(out, "\n");
    }
}

df_status df_cache_describe(const char *path, bool verify, struct df_text *out, struct df_error *err)
{
    struct df_cache *cache;
    const struct df_record_layout *record = NULL;
    df_status status = DF_OK;

    DF_TRY(open_any(path, &cache, err));
    df_text_addf(out, "teacher cache %s\n  key       %s\n  records   %llu, %.1f MB in all\n", path, cache->header->key,
                 (unsigned long long)cache->header->count, (double)cache->bytes / 1e6);
    for (size_t i = 0; i < (verify || !cache->header->count ? cache->header->count : 1) && status == DF_OK; i++) {
        status = df_cache_record(cache, i, &record, err);
        if (status == DF_OK && i == 0)
            describe(record, out);
    }
    if (verify && status == DF_OK)
        df_text_add(out, "  checksums all match\n");
    df_cache_close(cache);
    return status;
}
