; A boot sector with a mistake, for the session in docs/debugging.md: its interrupt table has no entry for
; the page fault that it makes. nasm -f elf32 and ld --oformat binary, so that there are symbols.
        bits 16
        section .text
        global _start
_start: xor ax, ax
        mov ds, ax
        cli
        lgdt [gdt_pointer]
        lidt [idt_pointer]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:protected

        bits 32
protected:
        mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, 0x7c00
        ; the first 4 MiB are mapped one to one
        mov edi, 0x10000
        mov ecx, 1024
        xor eax, eax
        rep stosd
        mov dword [0x10000], 0x83
        mov eax, cr4
        or al, 0x10
        mov cr4, eax
        mov eax, 0x10000
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        call fill
.stop:  hlt
        jmp .stop

fill:   mov edi, 0x300000
        mov ecx, 0x180000
        mov eax, 0x2a
.next:  mov [edi], eax          ; the last of these are behind the 4 MiB
        add edi, 4
        loop .next
        ret

        align 8
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        dw 23
        dd gdt
idt:    times 8 dq 0            ; the processor's first 8 exceptions: #PF is the 15th
idt_pointer:
        dw 63
        dd idt
        times 510 - ($ - $$) db 0
        dw 0xaa55
