/* Numbers of the host as they lie in guest memory, which is little endian, and back. */
#ifndef TCG_GUEST_LE_H
#define TCG_GUEST_LE_H

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LE16(x) __builtin_bswap16(x)
#define LE32(x) __builtin_bswap32(x)
#define LE64(x) __builtin_bswap64(x)
#else
#define LE16(x) (x)
#define LE32(x) (x)
#define LE64(x) (x)
#endif
#define LE8(x) (x)

#endif
