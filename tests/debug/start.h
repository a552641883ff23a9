/* Where the small kernels of these tests begin: the multiboot header, a stack, a call of
 * kernel_main. */
__asm__(".text\n"
        ".align 4\n"
        ".long 0x1badb002, 0, -0x1badb002\n"
        ".globl _start\n"
        "_start:\n"
        "    movl $stack + 16384, %esp\n"
        "    xorl %ebp, %ebp\n"
        "    call kernel_main\n"
        "1:  hlt\n"
        "    jmp 1b\n");

char stack[16384] __attribute__((aligned(16)));
