/* A 32-bit multiboot kernel that computes for ever, for measuring what breakpoints and watchpoints
 * cost: calls, branches, string instructions and memory. Cold code lies between the hot functions,
 * on their pages (cold_near), and on pages of its own (cold_far). */
__asm__(".text\n"
        ".align 4\n"
        ".long 0x1badb002, 0, -0x1badb002\n"
        ".globl _start\n"
        "_start:\n"
        "    movl $stack + 16384, %esp\n"
        "    xorl %ebp, %ebp\n"
        "    jmp kernel_main\n"
        ".macro cold name, n\n"
        "    .section .text.\\name, \"ax\"\n"
        "    .globl \\name\n"
        "\\name:\n"
        "    .rept \\n\n"
        "    nop\n"
        "    .endr\n"
        "    ret\n"
        "    .text\n"
        ".endm\n"
        "cold cold_far, 65536\n");

/* 128 instructions that are never run, in the middle of .text. */
#define COLD_NEAR(n)                                                                               \
    __asm__(".text\n.globl cold_near" #n "\ncold_near" #n ":\n.rept 128\nnop\n.endr\nret\n")

char stack[16384] __attribute__((aligned(4096)));
unsigned table[4096] __attribute__((aligned(4096)));
char text[2][256] __attribute__((aligned(4096)));
unsigned watched_page[1024] __attribute__((aligned(4096)));
volatile unsigned counter __attribute__((aligned(4096)));

static unsigned __attribute__((noinline)) hash(const char *s, unsigned n)
{
    unsigned h = 2166136261u;

    while (n--) {
        h = (h ^ (unsigned char)*s++) * 16777619;
    }
    return h;
}
COLD_NEAR(0);

static void __attribute__((noinline)) copy(char *d, const char *s, unsigned n)
{
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
}
COLD_NEAR(1);

static unsigned __attribute__((noinline)) fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}
COLD_NEAR(2);

static void __attribute__((noinline)) mix(unsigned seed)
{
    for (unsigned i = 0; i < 4096; i += 2) {
        seed = seed * 1664525 + 1013904223;
        table[seed >> 20] += table[i] ^ seed;
    }
}
COLD_NEAR(3);

static unsigned __attribute__((noinline)) sum(unsigned n)
{
    unsigned s = 0;

    for (unsigned i = 0; i < n; i++) {
        s += table[i] & 1 ? table[i] : i;
    }
    return s;
}
COLD_NEAR(4);

static unsigned twice(unsigned x)
{
    return 2 * x;
}
COLD_NEAR(5);

static unsigned thrice(unsigned x)
{
    return 3 * x;
}
COLD_NEAR(6);

static unsigned (*const functions[])(unsigned) = {twice, thrice, fib, sum};
COLD_NEAR(7);

void kernel_main(void)
{
    for (;;) {
        unsigned h = hash(text[0], sizeof(text[0]));
        copy(text[1], text[0], sizeof(text[0]));
        mix(h);
        for (unsigned i = 0; i < 64; i++) {
            text[0][i] += (char)functions[i & 1 ? 0 : h & 1](i);
        }
        text[0][0] = (char)(functions[2](12) + functions[3](1000));
        counter++;
    }
}
