/* qcow2: compressed clusters, as raw deflate streams with a window of 4 KiB, or zstd frames. */
#include "host/qcow2_internal.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { WINDOW_BITS = -12, MEM_LEVEL = 9 };

static int64_t deflate_to(const void *in, size_t n, void *out, size_t room)
{
    z_stream s = {.next_in = (Bytef *)(uintptr_t)in,
                  .avail_in = (uInt)n,
                  .next_out = out,
                  .avail_out = (uInt)room};

    if (deflateInit2(&s, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return -EIO;
    }
    int r = deflate(&s, Z_FINISH);
    int64_t size = r == Z_STREAM_END               ? (int64_t)(room - s.avail_out)
                   : r == Z_OK || r == Z_BUF_ERROR ? 0
                                                   : -EIO;
    deflateEnd(&s);
    return size;
}

static int inflate_to(const void *in, size_t n, void *out, size_t size)
{
    z_stream s = {.next_in = (Bytef *)(uintptr_t)in,
                  .avail_in = (uInt)n,
                  .next_out = out,
                  .avail_out = (uInt)size};

    if (inflateInit2(&s, WINDOW_BITS) != Z_OK) {
        return -EIO;
    }
    int r = inflate(&s, Z_FINISH);
    bool ok = (r == Z_STREAM_END || r == Z_BUF_ERROR) && !s.avail_out;
    inflateEnd(&s);
    return ok ? 0 : -EIO;
}

int64_t q2_compress(uint8_t kind, const void *in, size_t n, void *out, size_t room)
{
    if (kind == 0) {
        return deflate_to(in, n, out, room);
    }
    size_t r = ZSTD_compress(out, room, in, n, ZSTD_CLEVEL_DEFAULT);
    return ZSTD_isError(r) ? 0 : (int64_t)r;
}

int q2_decompress(uint8_t kind, const void *in, size_t n, void *out, size_t size)
{
    if (kind == 0) {
        return inflate_to(in, n, out, size);
    }
    /* The frame is followed by whatever fills its last sector. */
    ZSTD_DCtx *d = ZSTD_createDCtx();
    ZSTD_inBuffer i = {in, n, 0};
    ZSTD_outBuffer o = {out, size, 0};
    bool ok = d != NULL;
    while (ok && o.pos < o.size) {
        size_t in_before = i.pos, out_before = o.pos;
        ok = !ZSTD_isError(ZSTD_decompressStream(d, &o, &i)) &&
             (i.pos != in_before || o.pos != out_before);
    }
    ZSTD_freeDCtx(d);
    return ok ? 0 : -EIO;
}
