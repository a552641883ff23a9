; A boot sector for the tests with debuggers: 16-bit code, then 32-bit, then 64-bit, each with something
; to step over. nasm -f bin; the labels' addresses are in the map.
        org 0x7c00
        bits 16
        [map symbols bootsector.map]
start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
stack:  mov ss, ax
        mov sp, 0x7c00
        cld
        mov si, start
        mov di, 0x8000
        mov cx, 8
rep16:  rep movsb
after_rep:
        mov word [0x60 * 4], handler
        mov word [0x60 * 4 + 2], 0
software:
        int 0x60
back:   jmp 0x100:segmented - 0x1000
segmented:                      ; cs base 0x1000
        mov word [0x8010], 0x1234
        mov ax, [0x8010]
        sti
allowed:
        nop
        cli
        jmp 0:protect
handler:
        inc dx
return: iret

protect:
        lgdt [gdt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:code32
        bits 32
code32: mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x7c00
        mov eax, 0x89abcdef
store32:
        mov [0x8020], eax
        ; page tables: 1 GiB page identity mapped
        mov edi, 0x10000
        xor eax, eax
        mov ecx, 0x800
        rep stosd
        mov dword [0x10000], 0x11007
        mov dword [0x11000], 0x12007
        mov dword [0x12000], 0x87
        mov eax, cr4
        or eax, 0x220           ; PAE, OSFXSR
        mov cr4, eax
        mov eax, 0x10000
        mov cr3, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp 24:code64
        bits 64
code64: mov rax, 0x123456789abcdef0
        mov r15, rax
        mov [0x8028], rax
        fninit
        fldpi
        movq xmm5, rax
loop64: inc qword [0x8030]
        lock inc qword [0x8038]
        jmp loop64

        align 8
gdt:    dq 0
        dq 0x00cf9b000000ffff   ; 32-bit code
        dq 0x00cf93000000ffff   ; data
        dq 0x00af9b000000ffff   ; 64-bit code
gdt_pointer:
        dw gdt_pointer - gdt - 1
        dd gdt
        times 510 - ($ - $$) db 0
        dw 0xaa55
