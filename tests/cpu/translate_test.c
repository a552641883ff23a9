/* Instruction sequences in all modes through the translator and the default executor: data
 * movement, the stack, addressing and segmentation, near jumps, block ends, precise faults. The
 * bytes were assembled from the text beside them; what is expected was worked out from the SDM. */
#include "tests/cpu/sandbox.h"
#include "tests/unit/tap.h"

struct reg_value {
    unsigned reg;
    uint64_t value;
};
struct mem_value {
    uint64_t addr;
    unsigned size;
    uint64_t value;
};

struct test {
    const char *name;
    enum sandbox_mode mode;
    const char *code;
    unsigned len;
    unsigned gap; /* no-ops between code and code2 */
    const char *code2;
    unsigned len2;
    struct reg_value init[8], want[8]; /* registers before and after */
    struct mem_value before[4], after[5];
    int fault;   /* vector + 1, or 0 */
    unsigned at; /* of the faulting instruction in the code */
};

#define BYTES(s)        .code = s, .len = sizeof(s) - 1
#define GAP(s, n, rest) BYTES(s), .gap = n, .code2 = rest, .len2 = sizeof(rest) - 1

static const struct test tests[] = {
    /* clang-format off */
    {
        .name = "MOV forms",
        .mode = SANDBOX_LONG, /* mov eax,-1; mov cx,0x1234; mov dh,0x56; mov rbx,-2; mov rsi,0x1122334455667788; mov r8b,9 */
        BYTES("\xb8\xff\xff\xff\xff\x66\xb9\x34\x12\xb6\x56\x48\xc7\xc3\xfe\xff\xff\xff\x48\xbe\x88\x77\x66\x55\x44\x33\x22\x11\x41\xb0\x09"),
        .init = {{X86_RAX, UINT64_C(0x5555555555555555)}, {X86_RCX, UINT64_C(0xaaaaaaaaaaaaaaaa)}, {X86_RDX, UINT64_C(0xaaaaaaaaaaaaaaaa)}},
        .want = {{X86_RAX, UINT64_C(0xffffffff)}, {X86_RCX, UINT64_C(0xaaaaaaaaaaaa1234)}, {X86_RDX, UINT64_C(0xaaaaaaaaaaaa56aa)}, {X86_RBX, UINT64_C(0xfffffffffffffffe)}, {X86_RSI, UINT64_C(0x1122334455667788)}, {X86_R8, 0x9}},
    },
    {
        .name = "MOV between memory and registers",
        .mode = SANDBOX_LONG, /* mov [rdi],rax; mov [rdi+8],eax; mov [rdi+12],ax; mov [rdi+14],ah; mov [rdi+15],al; mov ecx,[rdi+4]; mov dx,[rdi+2]; mov bh,[rdi+7]; mov rsi,[rdi+8] */
        BYTES("\x48\x89\x07\x89\x47\x08\x66\x89\x47\x0c\x88\x67\x0e\x88\x47\x0f\x8b\x4f\x04\x66\x8b\x57\x02\x8a\x7f\x07\x48\x8b\x77\x08"),
        .init = {{X86_RAX, UINT64_C(0x1122334455667788)}, {X86_RDI, 0x20000}, {X86_RCX, UINT64_C(0xffffffffffffffff)}, {X86_RDX, UINT64_C(0xffffffffffffffff)}, {X86_RBX, UINT64_C(0xffffffffffffffff)}},
        .want = {{X86_RCX, 0x11223344}, {X86_RDX, UINT64_C(0xffffffffffff5566)}, {X86_RBX, UINT64_C(0xffffffffffff11ff)}, {X86_RSI, UINT64_C(0x8877778855667788)}},
        .after = {{0x20000, 8, UINT64_C(0x1122334455667788)}},
    },
    {
        .name = "MOV immediates to memory",
        .mode = SANDBOX_LONG, /* mov byte [rdi],0x80; mov word [rdi+2],0x8001; mov dword [rdi+4],0x80000002; mov qword [rdi+8],-3 */
        BYTES("\xc6\x07\x80\x66\xc7\x47\x02\x01\x80\xc7\x47\x04\x02\x00\x00\x80\x48\xc7\x47\x08\xfd\xff\xff\xff"),
        .init = {{X86_RDI, 0x20000}},
        .after = {{0x20000, 8, UINT64_C(0x8000000280010080)}, {0x20008, 8, UINT64_C(0xfffffffffffffffd)}},
    },
    {
        .name = "addressing: scale, index, displacement",
        .mode = SANDBOX_LONG, /* mov eax,[rdi+rsi*4+16]; mov ecx,[rsi*8+0x20000-64]; mov edx,[rdi-8+rsi]; mov ebx,[0x20020]; mov r9d,[edi+esi*2] */
        BYTES("\x8b\x44\xb7\x10\x8b\x0c\xf5\xc0\xff\x01\x00\x8b\x54\x37\xf8\x8b\x1c\x25\x20\x00\x02\x00\x67\x44\x8b\x0c\x77"),
        .init = {{X86_RDI, 0x20000}, {X86_RSI, 0x8}},
        .want = {{X86_RAX, 0x30}, {X86_RCX, 0x0}, {X86_RDX, 0x0}, {X86_RBX, 0x20}, {X86_R9, 0x10}},
        .before = {{0x20000, 4, 0x0}, {0x20010, 4, 0x10}, {0x20020, 4, 0x20}, {0x20030, 4, 0x30}},
    },
    {
        .name = "addressing: 32-bit addresses wrap in 64-bit mode",
        .mode = SANDBOX_LONG, /* mov eax,[edi+0x10] */
        BYTES("\x67\x8b\x47\x10"),
        .init = {{X86_RDI, UINT64_C(0xabcdef00fffffff0)}},
        .want = {{X86_RAX, 0x0}},
    },
    {
        .name = "addressing: rip-relative",
        .mode = SANDBOX_LONG, /* mov eax,[rel here]; jmp over; here: dd 0x12345678; over: lea rcx,[rel here] */
        BYTES("\x8b\x05\x02\x00\x00\x00\xeb\x04\x78\x56\x34\x12\x48\x8d\x0d\xf5\xff\xff\xff"),
        .want = {{X86_RAX, 0x12345678}, {X86_RCX, 0x10008}},
    },
    {
        .name = "addressing: moffs",
        .mode = SANDBOX_LONG, /* mov al,[abs qword 0x20010]; mov [abs qword 0x20020],rax */
        BYTES("\xa0\x10\x00\x02\x00\x00\x00\x00\x00\x48\xa3\x20\x00\x02\x00\x00\x00\x00\x00"),
        .init = {{X86_RAX, 0x1100}},
        .want = {{X86_RAX, 0x11cd}},
        .before = {{0x20010, 1, 0xcd}},
        .after = {{0x20020, 8, 0x11cd}},
    },
    {
        .name = "MOVZX, MOVSX, MOVSXD",
        .mode = SANDBOX_LONG, /* movzx eax,byte [rdi]; movsx ecx,byte [rdi]; movsx rdx,word [rdi]; movsxd rbx,dword [rdi]; movzx si,byte [rdi+1]; movsx r8w,byte [rdi+1];  movzx ebp,ah; movsx r10,word [rdi+2] */
        BYTES("\x0f\xb6\x07\x0f\xbe\x0f\x48\x0f\xbf\x17\x48\x63\x1f\x66\x0f\xb6\x77\x01\x66\x44\x0f\xbe\x47\x01\x0f\xb6\xec\x4c\x0f\xbf\x57\x02"),
        .init = {{X86_RDI, 0x20000}, {X86_RSI, UINT64_C(0xffffffffffffffff)}, {X86_R8, 0x0}},
        .want = {{X86_RAX, 0x81}, {X86_RCX, UINT64_C(0xffffff81)}, {X86_RDX, UINT64_C(0xffffffffffff9281)}, {X86_RBX, UINT64_C(0xffffffffa4949281)}, {X86_RSI, UINT64_C(0xffffffffffff0092)}, {X86_R8, 0xff92}, {X86_RBP, 0x0}, {X86_R10, UINT64_C(0xffffffffffffa494)}},
        .before = {{0x20000, 4, UINT64_C(0xa4949281)}},
    },
    {
        .name = "MOVSX from registers",
        .mode = SANDBOX_LONG, /* movsx eax,cl; movsx edx,ch; movsxd rbx,ecx; movzx esi,cx */
        BYTES("\x0f\xbe\xc1\x0f\xbe\xd5\x48\x63\xd9\x0f\xb7\xf1"),
        .init = {{X86_RCX, UINT64_C(0xf7f6f5f4f3f28190)}},
        .want = {{X86_RAX, UINT64_C(0xffffff90)}, {X86_RDX, UINT64_C(0xffffff81)}, {X86_RBX, UINT64_C(0xfffffffff3f28190)}, {X86_RSI, 0x8190}},
    },
    {
        .name = "LEA in all sizes",
        .mode = SANDBOX_LONG, /* lea rax,[rdi+rsi*8-1]; lea ecx,[rdi+rsi]; lea dx,[rdi+1]; lea rbx,[edi+esi]; lea rdi,[rdi+rdi*2] */
        BYTES("\x48\x8d\x44\xf7\xff\x8d\x0c\x37\x66\x8d\x57\x01\x67\x48\x8d\x1c\x37\x48\x8d\x3c\x7f"),
        .init = {{X86_RDI, UINT64_C(0x1ffffffff)}, {X86_RSI, 0x2}, {X86_RDX, UINT64_C(0xffffffffffffffff)}},
        .want = {{X86_RAX, UINT64_C(0x20000000e)}, {X86_RCX, 0x1}, {X86_RDX, UINT64_C(0xffffffffffff0000)}, {X86_RBX, 0x1}, {X86_RDI, UINT64_C(0x5fffffffd)}},
    },
    {
        .name = "XCHG",
        .mode = SANDBOX_LONG, /* xchg rax,rcx; xchg dl,dh; xchg [rdi],ebx; xchg [rdi+4],bl; xchg r8d,r9d */
        BYTES("\x48\x91\x86\xd6\x87\x1f\x86\x5f\x04\x45\x87\xc1"),
        .init = {{X86_RAX, 0x1}, {X86_RCX, 0x2}, {X86_RDX, 0x1234}, {X86_RBX, UINT64_C(0xffffffffffffffff)}, {X86_RDI, 0x20000}, {X86_R8, UINT64_C(0xffffffffffffffff)}, {X86_R9, UINT64_C(0xfffffffffffffffe)}},
        .want = {{X86_RAX, 0x2}, {X86_RCX, 0x1}, {X86_RDX, 0x3412}, {X86_RBX, 0x5060744}, {X86_R8, UINT64_C(0xfffffffe)}, {X86_R9, UINT64_C(0xffffffff)}},
        .before = {{0x20000, 8, UINT64_C(0x4433224405060708)}},
        .after = {{0x20000, 8, UINT64_C(0x44332208ffffffff)}},
    },
    {
        .name = "CBW family, CWD family",
        .mode = SANDBOX_LONG, /* cbw; mov rcx,rax; cwde; mov rdx,rax; cdqe; mov rsi,rax; cwd; mov r8,rdx; cdq; mov r9,rdx; cqo; mov r10,rdx */
        BYTES("\x66\x98\x48\x89\xc1\x98\x48\x89\xc2\x48\x98\x48\x89\xc6\x66\x99\x49\x89\xd0\x99\x49\x89\xd1\x48\x99\x49\x89\xd2"),
        .init = {{X86_RAX, UINT64_C(0x1111111111110080)}},
        .want = {{X86_RCX, UINT64_C(0x111111111111ff80)}, {X86_RSI, UINT64_C(0xffffffffffffff80)}, {X86_R8, UINT64_C(0xffffffff)}, {X86_R9, UINT64_C(0xffffffff)}, {X86_R10, UINT64_C(0xffffffffffffffff)}},
    },
    {
        .name = "BSWAP, XLAT",
        .mode = SANDBOX_LONG, /* bswap rcx; bswap edx; mov al,0x90; xlatb */
        BYTES("\x48\x0f\xc9\x0f\xca\xb0\x90\xd7"),
        .init = {{X86_RCX, UINT64_C(0x102030405060708)}, {X86_RDX, UINT64_C(0xffffffff11223344)}, {X86_RBX, 0x20000}, {X86_RAX, UINT64_C(0xffffffffffffffff)}},
        .want = {{X86_RCX, UINT64_C(0x807060504030201)}, {X86_RDX, 0x44332211}, {X86_RAX, UINT64_C(0xffffffffffffff77)}},
        .before = {{0x20090, 1, 0x77}},
    },
    {
        .name = "SAHF, LAHF, CMC, STC, CLC, SETcc",
        .mode = SANDBOX_LONG, /* mov ah,0xd5; sahf; setc bl; seto bh; cmc; setc cl; setz ch; stc; lahf; mov dl,ah; clc; lahf; std; pushfq; pop rsi; cld; pushfq; pop rdi */
        BYTES("\xb4\xd5\x9e\x0f\x92\xc3\x0f\x90\xc7\xf5\x0f\x92\xc1\x0f\x94\xc5\xf9\x9f\x88\xe2\xf8\x9f\xfd\x9c\x5e\xfc\x9c\x5f"),
        .want = {{X86_RBX, 0x1}, {X86_RCX, 0x100}, {X86_RDX, 0xd7}, {X86_RAX, 0xd600}, {X86_RSI, 0x4d6}, {X86_RDI, 0xd6}},
    },
    {
        .name = "CMOVcc clears the upper half even when false",
        .mode = SANDBOX_LONG, /* mov ah,0x40; sahf; cmovz rax,rcx; cmovnz edx,ecx; cmovz bx,cx; cmovnz rsi,[rdi] */
        BYTES("\xb4\x40\x9e\x48\x0f\x44\xc1\x0f\x45\xd1\x66\x0f\x44\xd9\x48\x0f\x45\x37"),
        .init = {{X86_RAX, 0x0}, {X86_RCX, UINT64_C(0x1122334455667788)}, {X86_RDX, UINT64_C(0xffffffffffffffff)}, {X86_RBX, UINT64_C(0xffffffffffffffff)}, {X86_RSI, 0x5}, {X86_RDI, 0x20000}},
        .want = {{X86_RAX, UINT64_C(0x1122334455667788)}, {X86_RDX, UINT64_C(0xffffffff)}, {X86_RBX, UINT64_C(0xffffffffffff7788)}, {X86_RSI, 0x5}},
    },
    {
        .name = "CMOVcc loads even when false",
        .mode = SANDBOX_LONG, /* cmovz rax,[rdi] */
        BYTES("\x48\x0f\x44\x07"),
        .init = {{X86_RDI, 0x200000}},
        .want = {{X86_RSP, 0x40000}},
        .fault = 14 + 1,
        .at = 0,
    },
    {
        .name = "PUSH and POP",
        .mode = SANDBOX_LONG, /* push rax; push -2; push word 0x1234; push qword [rdi]; pop rcx; pop dx; pop rbx; pop qword [rdi+8] */
        BYTES("\x50\x6a\xfe\x66\x68\x34\x12\xff\x37\x59\x66\x5a\x5b\x8f\x47\x08"),
        .init = {{X86_RAX, 0x7}, {X86_RDI, 0x20000}, {X86_RDX, UINT64_C(0xffffffffffffffff)}},
        .want = {{X86_RCX, 0x55}, {X86_RDX, UINT64_C(0xffffffffffff1234)}, {X86_RBX, UINT64_C(0xfffffffffffffffe)}, {X86_RSP, 0x40000}},
        .before = {{0x20000, 8, 0x55}},
        .after = {{0x20008, 8, 0x7}},
    },
    {
        .name = "PUSH RSP, POP RSP",
        .mode = SANDBOX_LONG, /* push rsp; pop rax; push rdi; pop rsp */
        BYTES("\x54\x58\x57\x5c"),
        .init = {{X86_RDI, 0x20000}},
        .want = {{X86_RAX, 0x40000}, {X86_RSP, 0x20000}},
    },
    {
        .name = "POP [rsp+x] uses rSP after the increment",
        .mode = SANDBOX_LONG, /* push rax; pop qword [rsp-16] */
        BYTES("\x50\x8f\x44\x24\xf0"),
        .init = {{X86_RAX, 0x77}},
        .want = {{X86_RSP, 0x40000}},
        .after = {{0x3fff0, 8, 0x77}},
    },
    {
        .name = "a faulting PUSH leaves rSP",
        .mode = SANDBOX_LONG, /* push rax */
        BYTES("\x50"),
        .init = {{X86_RSP, 0x300000}},
        .want = {{X86_RSP, 0x300000}},
        .fault = 14 + 1,
        .at = 0,
    },
    {
        .name = "a faulting POP to memory leaves rSP",
        .mode = SANDBOX_LONG, /* pop qword [rdi] */
        BYTES("\x8f\x07"),
        .init = {{X86_RDI, 0x200000}},
        .want = {{X86_RSP, 0x40000}},
        .fault = 14 + 1,
        .at = 0,
    },
    {
        .name = "a faulting XCHG leaves both",
        .mode = SANDBOX_LONG, /* xchg [rdi],rax */
        BYTES("\x48\x87\x07"),
        .init = {{X86_RDI, 0x1ffffc}, {X86_RAX, 0x9}},
        .want = {{X86_RAX, 0x9}, {X86_RDI, 0x1ffffc}},
        .fault = 14 + 1,
        .at = 0,
    },
    {
        .name = "faults name their instruction",
        .mode = SANDBOX_LONG, /* mov eax,1; mov ebx,2; mov rcx,[rdi]; mov edx,3 */
        BYTES("\xb8\x01\x00\x00\x00\xbb\x02\x00\x00\x00\x48\x8b\x0f\xba\x03\x00\x00\x00"),
        .init = {{X86_RDI, 0x200000}, {X86_RCX, 0x4}},
        .want = {{X86_RAX, 0x1}, {X86_RBX, 0x2}, {X86_RCX, 0x4}, {X86_RDX, 0x0}},
        .fault = 14 + 1,
        .at = 10,
    },
    {
        .name = "ENTER 16,0 and LEAVE",
        .mode = SANDBOX_LONG, /* enter 16,0; mov rax,rsp; mov rcx,rbp; leave */
        BYTES("\xc8\x10\x00\x00\x48\x89\xe0\x48\x89\xe9\xc9"),
        .init = {{X86_RBP, 0x1234}},
        .want = {{X86_RAX, 0x3ffe8}, {X86_RCX, 0x3fff8}, {X86_RBP, 0x1234}, {X86_RSP, 0x40000}},
        .after = {{0x3fff8, 8, 0x1234}},
    },
    {
        .name = "ENTER with nesting",
        .mode = SANDBOX_LONG, /* enter 8,3; mov rax,rsp */
        BYTES("\xc8\x08\x00\x03\x48\x89\xe0"),
        .init = {{X86_RBP, 0x20040}},
        .want = {{X86_RBP, 0x3fff8}, {X86_RAX, 0x3ffd8}},
        .before = {{0x20038, 8, 0xa}, {0x20030, 8, 0xb}},
        .after = {{0x3fff8, 8, 0x20040}, {0x3fff0, 8, 0xa}, {0x3ffe8, 8, 0xb}, {0x3ffe0, 8, 0x3fff8}},
    },
    {
        .name = "CALL, RET, RET imm16",
        .mode = SANDBOX_LONG, /* call f; mov ebx,1; push rcx; call g; mov edx,2; jmp end; f: mov eax,5; ret; g: ret 8; end: */
        BYTES("\xe8\x12\x00\x00\x00\xbb\x01\x00\x00\x00\x51\xe8\x0d\x00\x00\x00\xba\x02\x00\x00\x00\xeb\x09\xb8\x05\x00\x00\x00\xc3\xc2\x08\x00"),
        .want = {{X86_RAX, 0x5}, {X86_RBX, 0x1}, {X86_RDX, 0x2}, {X86_RSP, 0x40000}},
    },
    {
        .name = "indirect CALL and JMP",
        .mode = SANDBOX_LONG, /* lea rax,[rel f]; mov [rdi],rax; call rax; call [rdi]; lea rax,[rel end]; jmp rax; f: inc ecx; ret; end: */
        BYTES("\x48\x8d\x05\x10\x00\x00\x00\x48\x89\x07\xff\xd0\xff\x17\x48\x8d\x05\x05\x00\x00\x00\xff\xe0\xff\xc1\xc3"),
        .init = {{X86_RDI, 0x20000}},
        .want = {{X86_RCX, 0x2}, {X86_RSP, 0x40000}},
    },
    {
        .name = "CALL RSP goes to the old rSP",
        .mode = SANDBOX_LONG, /* mov byte [rsp],0xc3; mov rcx,rsp; call rsp; mov eax,1 */
        BYTES("\xc6\x04\x24\xc3\x48\x89\xe1\xff\xd4\xb8\x01\x00\x00\x00"),
        .init = {{X86_RSP, 0x3ff00}},
        .want = {{X86_RAX, 0x1}, {X86_RSP, 0x3ff00}},
    },
    {
        .name = "CALL [rsp] reads before it pushes",
        .mode = SANDBOX_LONG, /* lea rax,[rel f]; push rax; call [rsp]; mov ebx,1; jmp end; f: mov ecx,[rsp]; ret; end: */
        BYTES("\x48\x8d\x05\x0b\x00\x00\x00\x50\xff\x14\x24\xbb\x01\x00\x00\x00\xeb\x04\x8b\x0c\x24\xc3"),
        .want = {{X86_RBX, 0x1}, {X86_RCX, 0x1000b}, {X86_RSP, 0x3fff8}},
    },
    {
        .name = "LOOP, LOOPE, LOOPNE, JRCXZ",
        .mode = SANDBOX_LONG, /* mov ecx,5; a: inc eax; loop a; mov ecx,3; cmp eax,eax; b: inc ebx; loope b; mov ecx,3; c: inc edx; loopne c; jrcxz d; mov esi,1; d: */
        BYTES("\xb9\x05\x00\x00\x00\xff\xc0\xe2\xfc\xb9\x03\x00\x00\x00\x39\xc0\xff\xc3\xe1\xfc\xb9\x03\x00\x00\x00\xff\xc2\xe0\xfc\xe3\x05\xbe\x01\x00\x00\x00"),
        .want = {{X86_RAX, 0x5}, {X86_RBX, 0x1}, {X86_RDX, 0x3}, {X86_RCX, 0x0}, {X86_RSI, 0x0}},
    },
    {
        .name = "LOOP with a 32-bit counter",
        .mode = SANDBOX_LONG, /* a: inc eax; a32 loop a */
        BYTES("\xff\xc0\x67\xe2\xfb"),
        .init = {{X86_RCX, UINT64_C(0xff00000003)}},
        .want = {{X86_RAX, 0x3}, {X86_RCX, 0x0}},
    },
    {
        .name = "Jcc after SUB in all sizes",
        .mode = SANDBOX_LONG, /* cmp al,cl; jl a; inc ebx; a: cmp ax,cx; jg b; inc ebx; b: cmp eax,ecx; jae c; inc ebx; c: cmp rax,rcx; jb d; mov edx,1; d: */
        BYTES("\x38\xc8\x7c\x02\xff\xc3\x66\x39\xc8\x7f\x02\xff\xc3\x39\xc8\x73\x02\xff\xc3\x48\x39\xc8\x72\x05\xba\x01\x00\x00\x00"),
        .init = {{X86_RAX, UINT64_C(0xffffffff80007f80)}, {X86_RCX, 0x7f}},
        .want = {{X86_RBX, 0x0}, {X86_RDX, 0x1}},
    },
    {
        .name = "FS and GS bases",
        .mode = SANDBOX_LONG, /* mov eax,[fs:0x10]; mov [gs:rdi+rsi*4],eax; mov ecx,[gs:edi+4]; lea rdx,[fs:rdi] */
        BYTES("\x64\x8b\x04\x25\x10\x00\x00\x00\x65\x89\x04\xb7\x65\x67\x8b\x4f\x04\x64\x48\x8d\x17"),
        .init = {{X86_RDI, 0x0}, {X86_RSI, 0x2}},
        .want = {{X86_RAX, 0x99}, {X86_RCX, 0x44}, {X86_RDX, 0x0}},
        .before = {{0x20110, 4, 0x99}, {0x30104, 4, 0x44}},
        .after = {{0x30108, 4, 0x99}},
    },
    {
        .name = "jump backwards and forwards over a page",
        .mode = SANDBOX_LONG, /* jmp x; times 4093 nop; x: mov eax,1; jmp y; times 10 nop; y: */
        GAP("\xe9\xfd\x0f\x00\x00", 4093, "\xb8\x01\x00\x00\x00\xeb\x0a\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90"),
        .want = {{X86_RAX, 0x1}},
    },
    {
        .name = "an instruction over a page border",
        .mode = SANDBOX_LONG, /* jmp x; times 4085 nop; x: inc eax; mov rbx,0x1122334455667788 */
        GAP("\xe9\xf5\x0f\x00\x00", 4085, "\xff\xc0\x48\xbb\x88\x77\x66\x55\x44\x33\x22\x11"),
        .want = {{X86_RBX, UINT64_C(0x1122334455667788)}, {X86_RAX, 0x1}},
    },
    {
        .name = "#UD of an invalid opcode",
        .mode = SANDBOX_LONG, /* mov eax,1; db 0x0f,0x0b */
        BYTES("\xb8\x01\x00\x00\x00\x0f\x0b"),
        .want = {{X86_RAX, 0x1}},
        .fault = 6 + 1,
        .at = 5,
    },
    {
        .name = "#UD in 64-bit mode of PUSHA",
        .mode = SANDBOX_LONG, /* db 0x60 */
        BYTES("\x60"),
        .fault = 6 + 1,
        .at = 0,
    },
    {
        .name = "more than 15 bytes are #GP",
        .mode = SANDBOX_LONG, /* times 15 db 0x66; nop */
        BYTES("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"),
        .fault = 13 + 1,
        .at = 0,
    },
    {
        .name = "LOCK on MOV is #UD",
        .mode = SANDBOX_LONG, /* db 0xf0,0x89,0x07 */
        BYTES("\xf0\x89\x07"),
        .fault = 6 + 1,
        .at = 0,
    },
    {
        .name = "32-bit PUSHA, POPA",
        .mode = SANDBOX_PROT32, /* pusha; mov eax,[esp+12]; popa */
        BYTES("\x60\x8b\x44\x24\x0c\x61"),
        .init = {{X86_RAX, 0x1}, {X86_RCX, 0x2}, {X86_RDX, 0x3}, {X86_RBX, 0x4}, {X86_RBP, 0x5}, {X86_RSI, 0x6}, {X86_RDI, 0x7}},
        .want = {{X86_RAX, 0x1}, {X86_RCX, 0x2}, {X86_RDX, 0x3}, {X86_RBX, 0x4}, {X86_RBP, 0x5}, {X86_RSI, 0x6}, {X86_RDI, 0x7}, {X86_RSP, 0x40000}},
        .after = {{0x3fffc, 4, 0x1}, {0x3fff8, 4, 0x2}, {0x3fff0, 4, 0x4}, {0x3ffec, 4, 0x40000}, {0x3ffe0, 4, 0x7}},
    },
    {
        .name = "32-bit PUSH, CALL, RET",
        .mode = SANDBOX_PROT32, /* call f; mov ebx,1; jmp end; f: push 5; pop ecx; ret; end: */
        BYTES("\xe8\x07\x00\x00\x00\xbb\x01\x00\x00\x00\xeb\x04\x6a\x05\x59\xc3"),
        .want = {{X86_RBX, 0x1}, {X86_RCX, 0x5}, {X86_RSP, 0x40000}},
    },
    {
        .name = "32-bit addresses wrap at 4 GiB",
        .mode = SANDBOX_PROT32, /* mov eax,[edi+0x20010] */
        BYTES("\x8b\x87\x10\x00\x02\x00"),
        .init = {{X86_RDI, 0x0}},
        .want = {{X86_RAX, 0x42}},
        .before = {{0x20010, 4, 0x42}},
    },
    {
        .name = "32-bit addresses wrap at 4 GiB, with index",
        .mode = SANDBOX_PROT32, /* mov eax,[edi+esi*2+0x20000] */
        BYTES("\x8b\x84\x77\x00\x00\x02\x00"),
        .init = {{X86_RDI, UINT64_C(0xfffffff0)}, {X86_RSI, 0x10}},
        .want = {{X86_RAX, 0x42}},
        .before = {{0x20010, 4, 0x42}},
    },
    {
        .name = "16-bit addresses in 32-bit code",
        .mode = SANDBOX_PROT32, /* mov si,[bx+di+2] */
        BYTES("\x66\x67\x8b\x71\x02"),
        .init = {{X86_RBX, 0xffff}, {X86_RDI, 0x1003}},
        .want = {{X86_RSI, 0x42}},
        .before = {{0x1004, 2, 0x42}},
    },
    {
        .name = "INC and DEC keep carry",
        .mode = SANDBOX_PROT32, /* stc; inc eax; adc ebx,0; dec eax; setc cl; sbb edx,edx */
        BYTES("\xf9\x40\x83\xd3\x00\x48\x0f\x92\xc1\x19\xd2"),
        .want = {{X86_RBX, 0x1}, {X86_RCX, 0x0}, {X86_RDX, 0x0}},
    },
    {
        .name = "real mode: segments and 16-bit addressing",
        .mode = SANDBOX_REAL, /* mov ax,[bx+si+4]; mov [bp+2],ax; mov es:[di],al; mov cx,ss:[bp+2] */
        BYTES("\x8b\x40\x04\x89\x46\x02\x26\x88\x05\x36\x8b\x4e\x02"),
        .init = {{X86_RBX, 0xfffe}, {X86_RSI, 0x6}, {X86_RBP, 0x100}, {X86_RDI, 0x20}},
        .want = {{X86_RAX, 0x4142}, {X86_RCX, 0x4142}},
        .before = {{0x20008, 2, 0x4142}},
        .after = {{0x30102, 2, 0x4142}, {0x20020, 1, 0x42}},
    },
    {
        .name = "real mode: PUSH, POP with SP",
        .mode = SANDBOX_REAL, /* push sp; pop ax; push word 0x1234; pop bx */
        BYTES("\x54\x58\x68\x34\x12\x5b"),
        .init = {{X86_RSP, 0x1234fff0}},
        .want = {{X86_RAX, 0xfff0}, {X86_RBX, 0x1234}, {X86_RSP, 0x1234fff0}},
    },
    {
        .name = "real mode: PUSHA wraps with SP",
        .mode = SANDBOX_REAL, /* pusha */
        BYTES("\x60"),
        .init = {{X86_RSP, 0x8}, {X86_RAX, 0x1}, {X86_RDI, 0x7}, {X86_RCX, 0x2}},
        .want = {{X86_RSP, 0xfff8}},
        .after = {{0x30006, 2, 0x1}, {0x30004, 2, 0x2}, {0x3fff8, 2, 0x7}},
    },
    {
        .name = "real mode: an access over the limit is #GP",
        .mode = SANDBOX_REAL, /* mov ax,[bx] */
        BYTES("\x8b\x07"),
        .init = {{X86_RBX, 0xffff}},
        .want = {{X86_RAX, 0x0}},
        .fault = 13 + 1,
        .at = 0,
    },
    {
        .name = "real mode: a stack access over the limit is #SS",
        .mode = SANDBOX_REAL, /* push ax */
        BYTES("\x50"),
        .init = {{X86_RSP, 0x1}},
        .want = {{X86_RSP, 0x1}},
        .fault = 12 + 1,
        .at = 0,
    },
    {
        .name = "real mode: 32-bit offsets are checked",
        .mode = SANDBOX_REAL, /* mov ax,[ebx] */
        BYTES("\x67\x8b\x03"),
        .init = {{X86_RBX, 0x10000}},
        .want = {{X86_RAX, 0x0}},
        .fault = 13 + 1,
        .at = 0,
    },
    {
        .name = "real mode: near CALL, RET",
        .mode = SANDBOX_REAL, /* call f; mov cx,1; jmp end; f: mov bp,sp; mov ax,[bp]; ret; end: */
        BYTES("\xe8\x05\x00\xb9\x01\x00\xeb\x06\x89\xe5\x8b\x46\x00\xc3"),
        .want = {{X86_RCX, 0x1}, {X86_RAX, 0x3}, {X86_RSP, 0xfff0}},
    },
    {
        .name = "real mode: JCXZ, LOOP with CX",
        .mode = SANDBOX_REAL, /* mov ecx,0x10003; a: inc ax; loop a; jcxz b; inc bx; b: */
        BYTES("\x66\xb9\x03\x00\x01\x00\x40\xe2\xfd\xe3\x01\x43"),
        .want = {{X86_RAX, 0x3}, {X86_RCX, 0x10000}, {X86_RBX, 0x0}},
    },
    {
        .name = "real mode: XLAT, ENTER, LEAVE",
        .mode = SANDBOX_REAL, /* mov al,3; xlatb; enter 4,1; mov dx,sp; leave */
        BYTES("\xb0\x03\xd7\xc8\x04\x00\x01\x89\xe2\xc9"),
        .init = {{X86_RBX, 0xffff}, {X86_RBP, 0x55}},
        .want = {{X86_RAX, 0x66}, {X86_RDX, 0xffe8}, {X86_RBP, 0x55}, {X86_RSP, 0xfff0}},
        .before = {{0x20002, 1, 0x66}},
    },
    {
        .name = "V86 mode: segments, stack, calls",
        .mode = SANDBOX_V86, /* mov ax,[bx+4]; push ax; pop cx; call f; jmp end; f: ret; end: */
        BYTES("\x8b\x47\x04\x50\x59\xe8\x02\x00\xeb\x01\xc3"),
        .init = {{X86_RBX, 0x2}},
        .want = {{X86_RAX, 0x77}, {X86_RCX, 0x77}},
        .before = {{0x20006, 2, 0x77}},
    },
    {
        .name = "V86 mode: limits",
        .mode = SANDBOX_V86, /* mov ax,[bx] */
        BYTES("\x8b\x07"),
        .init = {{X86_RBX, 0xffff}},
        .fault = 13 + 1,
        .at = 0,
    },
    {
        .name = "16-bit protected mode: limits",
        .mode = SANDBOX_PROT16, /* mov ax,[bx]; mov ecx,[ebx+0x10000] */
        BYTES("\x8b\x07\x66\x67\x8b\x8b\x00\x00\x01\x00"),
        .init = {{X86_RBX, 0x4}},
        .want = {{X86_RAX, 0x77}},
        .before = {{0x20004, 2, 0x77}},
        .fault = 13 + 1,
        .at = 2,
    },
    {
        .name = "16-bit protected mode: stack over the limit",
        .mode = SANDBOX_PROT16, /* push ax */
        BYTES("\x50"),
        .init = {{X86_RSP, 0x1}},
        .want = {{X86_RSP, 0x1}},
        .fault = 12 + 1,
        .at = 0,
    },
    {
        .name = "16-bit protected mode: jump over the limit of CS",
        .mode = SANDBOX_PROT16, /* mov bx,5; jmp eax */
        BYTES("\xbb\x05\x00\x66\xff\xe0"),
        .init = {{X86_RAX, 0x10000}},
        .want = {{X86_RBX, 0x5}},
        .fault = 13 + 1,
        .at = 3,
    },
    {
        .name = "16-bit protected mode: call over the limit pushes nothing",
        .mode = SANDBOX_PROT16, /* call eax */
        BYTES("\x66\xff\xd0"),
        .init = {{X86_RAX, 0x10000}, {X86_RSP, 0x8000}},
        .want = {{X86_RSP, 0x8000}},
        .fault = 13 + 1,
        .at = 0,
    },
    {
        .name = "compatibility mode",
        .mode = SANDBOX_COMPAT, /* mov eax,[edi]; push eax; pop ecx; inc ecx; dec eax */
        BYTES("\x8b\x07\x50\x59\x41\x48"),
        .init = {{X86_RDI, 0x20000}},
        .want = {{X86_RAX, 0x4}, {X86_RCX, 0x6}, {X86_RSP, 0x40000}},
        .before = {{0x20000, 4, 0x5}},
    },
    /* clang-format on */
};

static struct sandbox box;

static uint64_t read_mem(const struct mem_value *m)
{
    uint8_t b[8] = {0};
    uint64_t x = 0;

    memory_read(box.m->memory, m->addr, b, m->size);
    for (unsigned n = m->size; n-- > 0;) {
        x = x << 8 | b[n];
    }
    return x;
}

static void run_test(const struct test *t)
{
    static uint8_t code[8192];
    uint64_t *r = box.c->v.reg;
    unsigned len = t->len + t->gap + t->len2;
    bool ok = true;

    sandbox_mode(&box, t->mode);
    x86_set_seg(box.c, SEG_FS, 0x10, t->mode == SANDBOX_LONG ? 0x20100 : SANDBOX_DATA, UINT32_MAX,
                box.c->seg[SEG_FS].attr);
    x86_set_seg(box.c, SEG_GS, 0x10, t->mode == SANDBOX_LONG ? 0x30100 : SANDBOX_DATA, UINT32_MAX,
                box.c->seg[SEG_GS].attr);
    memset(code, 0x90, sizeof code);
    memcpy(code, t->code, t->len);
    if (t->code2) {
        memcpy(code + t->len + t->gap, t->code2, t->len2);
    }
    for (const struct mem_value *m = t->before; m < t->before + 4 && m->size; m++) {
        uint8_t b[8];
        for (unsigned n = 0; n < 8; n++) {
            b[n] = (uint8_t)(m->value >> 8 * n);
        }
        memory_write(box.m->memory, m->addr, b, m->size);
    }
    for (unsigned n = 0; n < 8; n++) {
        if (t->init[n].reg || t->init[n].value) {
            r[t->init[n].reg] = t->init[n].value;
        }
    }
    int fault = sandbox_run(&box, code, len);
    if (fault != t->fault - 1) {
        printf("# exception %d instead of %d at rip %#llx\n", fault, t->fault - 1,
               (unsigned long long)r[X86_RIP]);
        ok = false;
    }
    uint64_t start = box.c->v.reg[X86_CS_BASE] ? 0 : SANDBOX_CODE;
    uint64_t rip = start + (t->fault ? t->at : len + (t->mode != SANDBOX_V86));
    if (r[X86_RIP] != rip) {
        printf("# rip %#llx instead of %#llx\n", (unsigned long long)r[X86_RIP],
               (unsigned long long)rip);
        ok = false;
    }
    for (unsigned n = 0; n < 8; n++) {
        const struct reg_value *w = &t->want[n];
        if ((w->reg || w->value) && r[w->reg] != w->value) {
            printf("# %s is %#llx instead of %#llx\n", box.ops.reg_name(w->reg),
                   (unsigned long long)r[w->reg], (unsigned long long)w->value);
            ok = false;
        }
    }
    for (const struct mem_value *m = t->after; m < t->after + 5 && m->size; m++) {
        uint64_t x = read_mem(m);
        if (x != m->value) {
            printf("# memory at %#llx is %#llx instead of %#llx\n", (unsigned long long)m->addr,
                   (unsigned long long)x, (unsigned long long)m->value);
            ok = false;
        }
    }
    tap_ok(ok, "%s", t->name);
}

enum { DR6_BS = 1 << 14 };

/* With TF set, the trap comes after each instruction, whatever way it goes on. */
static void test_single_step(void)
{
    static const struct {
        const char *name, *code;
        unsigned len, next; /* rip after it */
        int fault;
    } steps[] = {
        {"a plain instruction", "\xff\xc0", 2, 2, EXC_DB},             /* inc eax */
        {"a jump", "\xeb\x02\x90\x90", 4, 4, EXC_DB},                  /* jmp $+4 */
        {"a branch not taken", "\x83\xf8\x05\x74\x10", 5, 3, EXC_DB},  /* cmp eax, 5; je */
        {"an indirect jump", "\xff\xe1", 2, 0x40, EXC_DB},             /* jmp rcx */
        {"a return", "\xc3", 1, 0x80, EXC_DB},                         /* ret */
        {"a fault instead of the trap", "\x48\x8b\x06", 3, 0, EXC_PF}, /* mov rax, [rsi] */
    };
    struct x86_cpu *c = box.c;

    for (size_t n = 0; n < sizeof steps / sizeof steps[0]; n++) {
        sandbox_mode(&box, SANDBOX_LONG);
        sandbox_put64(&box, SANDBOX_STACK - 8, SANDBOX_CODE + 0x80);
        c->v.reg[X86_RSP] = SANDBOX_STACK - 8;
        c->v.reg[X86_RCX] = SANDBOX_CODE + 0x40;
        c->v.reg[X86_RSI] = SANDBOX_RAM;
        c->eflags |= FL_TF;
        int fault = sandbox_run(&box, steps[n].code, steps[n].len);
        bool ok = fault == steps[n].fault &&
                  c->v.reg[X86_RIP] == SANDBOX_CODE + (uint64_t)steps[n].next &&
                  (fault != EXC_DB || (box.fault_dr6 & DR6_BS));
        if (!ok) {
            printf("# exception %d at rip %#llx, dr6 %#llx\n", fault,
                   (unsigned long long)c->v.reg[X86_RIP], (unsigned long long)box.fault_dr6);
        }
        tap_ok(ok, "single step of %s", steps[n].name);
    }
}

static void test_rare_modes(void)
{
    static const char code[] = "\xff\xc0\xff\xc1\xff\xc2"; /* inc eax; inc ecx; inc edx */
    struct x86_cpu *c = box.c;

    sandbox_mode(&box, SANDBOX_LONG);
    c->eflags |= FL_RF;
    int fault = sandbox_run(&box, code, 6);
    tap_ok(fault < 0 && !(c->eflags & FL_RF) && c->v.reg[X86_RDX] == 1,
           "an instruction clears RF and goes on");

    sandbox_mode(&box, SANDBOX_LONG);
    c->shadow = 1;
    fault = sandbox_run(&box, code, 6);
    tap_ok(fault < 0 && c->shadow == 0 && c->v.reg[X86_RDX] == 1,
           "an instruction ends the interrupt shadow");

    sandbox_mode(&box, SANDBOX_LONG);
    c->shadow = 2;
    c->eflags |= FL_TF;
    fault = sandbox_run(&box, code, 6);
    tap_ok(fault == EXC_DB && c->v.reg[X86_RIP] == SANDBOX_CODE + 2,
           "the instruction after MOV SS is single-stepped");
}

/* Code up against the limit of CS, translated where it fits and run where it does not. */
static void test_code_limit(void)
{
    static const char incs[] = "\x40\x43\x41";    /* inc ax; inc bx; inc cx */
    static const char mov[] = "\x40\xb8\x34\x12"; /* inc ax; mov ax, 0x1234 */
    uint64_t *r = box.c->v.reg;
    int fault;

    sandbox_mode(&box, SANDBOX_REAL);
    fault = sandbox_run_at(&box, 0xfffd, incs, 3);
    tap_ok(fault == EXC_GP && r[X86_RIP] == 0x10000 && r[X86_RAX] == 1 && r[X86_RCX] == 1,
           "running off the end of the code segment is #GP there");

    sandbox_mode(&box, SANDBOX_REAL);
    fault = sandbox_run_at(&box, 0xfffd, mov, 4);
    tap_ok(fault == EXC_GP && r[X86_RIP] == 0xfffe && r[X86_RAX] == 1,
           "an instruction over the end of the code segment is #GP before it");

    /* The same bytes through another segment, whose limit they exceed. */
    sandbox_mode(&box, SANDBOX_PROT16);
    r[X86_RAX] = 0;
    fault = sandbox_run_at(&box, 0x100, incs, 3);
    bool ok = fault < 0 && r[X86_RAX] == 1;
    box.c->seg[SEG_CS].limit = 0x101;
    fault = sandbox_run_at(&box, 0x100, incs, 3);
    ok = ok && fault == EXC_GP && r[X86_RIP] == 0x102 && r[X86_RAX] == 2 && r[X86_RCX] == 1;
    if (!ok) {
        printf("# exception %d at rip %#llx\n", fault, (unsigned long long)r[X86_RIP]);
    }
    tap_ok(ok, "a block is good for its own limit only");
}

/* The last instruction before a page that is not there. */
static void test_fetch_fault(void)
{
    static const char code[] = "\xff\xc0\xb9\x44\x33\x22\x11"; /* inc eax; mov ecx, imm32 */
    uint64_t *r = box.c->v.reg;

    sandbox_mode(&box, SANDBOX_LONG);
    int fault = sandbox_run_at(&box, SANDBOX_RAM - SANDBOX_CODE - 4, code, 7);
    tap_ok(fault == EXC_PF && r[X86_RIP] == SANDBOX_RAM - 2 && r[X86_RAX] == 1 &&
               box.fault_cr2 == SANDBOX_RAM && (box.error & 1) == 0,
           "the fetch fault of a crossing instruction comes when it is reached");
    fault = sandbox_run_at(&box, SANDBOX_RAM - SANDBOX_CODE - 2, code, 2);
    tap_ok(fault == EXC_PF && r[X86_RIP] == SANDBOX_RAM && r[X86_RAX] == 2,
           "and that of the first byte after it");
}

int main(void)
{
    sandbox_create(&box, NULL, NULL);
    for (size_t n = 0; n < sizeof tests / sizeof tests[0]; n++) {
        run_test(&tests[n]);
    }
    test_single_step();
    test_rare_modes();
    test_code_limit();
    test_fetch_fault();
    sandbox_destroy(&box);
    return tap_done();
}
