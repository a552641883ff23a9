/* docs/isa.md is what the tables say today; else `make isa-doc` has been forgotten. */
#define ISA_DOC_TEST
#include "scripts/isa_doc.c"

#include "tests/unit/tap.h"

int main(void)
{
    static const char here[] = __FILE__, name[] = "tests/cpu/isa_doc_test.c";
    char path[4096], *want = NULL, line[4096], *at;
    size_t size;
    unsigned lines = 0, different = 0;

    snprintf(path, sizeof path, "%.*sdocs/isa.md", (int)(sizeof here - sizeof name), here);
    FILE *f = fopen(path, "r"), *out = open_memstream(&want, &size);
    tap_ok(f != NULL, "%s is there", path);
    tap_ok(out && write_doc(out) == 0, "it can be made");
    if (!f || !out) {
        return tap_done();
    }
    fclose(out);
    for (at = want; fgets(line, sizeof line, f); lines++) {
        size_t n = strlen(line);
        if (strncmp(at, line, n) != 0) {
            if (!different++) {
                printf("# line %u: %s", lines + 1, line);
            }
            n = strcspn(at, "\n") + (strchr(at, '\n') != NULL);
        }
        at += n;
    }
    tap_ok(!different && !*at, "%u lines, %u differ from what `make isa-doc` gives", lines,
           different);
    fclose(f);
    free(want);
    return tap_done();
}
