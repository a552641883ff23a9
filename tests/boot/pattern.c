/* Guest program: fills so many MiB with a pattern made of the address, then its complement, and
 * checks both. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv)
{
    size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 16, n = (mib << 20) / sizeof(uint64_t);
    uint64_t *p = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned long errors = 0;

    if (p == MAP_FAILED) {
        puts("pattern: no memory");
        return 1;
    }
    for (unsigned round = 0; round < 2; round++) {
        uint64_t flip = round ? UINT64_MAX : 0;
        for (size_t i = 0; i < n; i++) {
            p[i] = (i * UINT64_C(0x9e3779b97f4a7c15)) ^ flip;
        }
        for (size_t i = 0; i < n; i++) {
            errors += p[i] != ((i * UINT64_C(0x9e3779b97f4a7c15)) ^ flip);
        }
    }
    printf("pattern: %zu MiB, %lu errors\n", mib, errors);
    return errors != 0;
}
