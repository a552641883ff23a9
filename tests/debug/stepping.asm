; A multiboot kernel for the test of single steps: it goes into 64-bit mode, with an IDT, paging, a timer
; interrupt, a user segment and SYSCALL, and does once what is hard to step through. Each place where a step
; must end has a label. nasm -f elf32; the 64-bit code lies below 2 GiB.
        bits 32
        section .text
        align 4
        dd 0x1badb002, 0, -0x1badb002
        global _start
_start: mov esp, stack_top
        ; 2 MiB pages for the first GiB; the last 2 MiB of it by a table of small ones, all absent
        mov edi, pml4
        xor eax, eax
        mov ecx, 4 * 1024
        rep stosd
        mov dword [pml4], pdpt + 7
        mov dword [pdpt], pd + 7
        mov edi, pd
        mov eax, 0x87
        mov ecx, 511
.fill:  mov [edi], eax
        add edi, 8
        add eax, 0x200000
        loop .fill
        mov dword [edi], pt + 7
        mov eax, 0x620                  ; PAE, OSFXSR, OSXMMEXCPT
        mov cr4, eax
        mov eax, pml4
        mov cr3, eax
        mov ecx, 0xc0000080             ; EFER: LME, SCE
        mov eax, 0x101
        xor edx, edx
        wrmsr
        mov eax, 0x80000011
        mov cr0, eax
        lgdt [gdt_pointer]
far_jump:
        jmp 8:code64

        bits 64
code64: mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esi, handlers
.gate:  lodsd
        mov edi, eax
        cmp eax, -1
        je .gates
        shl edi, 4
        lodsd
        mov [idt + rdi + 5], al
        lodsd
        mov [idt + rdi], ax
        shr eax, 16
        mov [idt + rdi + 6], ax
        mov word [idt + rdi + 2], 8
        jmp .gate
.gates: lidt [idt_pointer]
        mov eax, tss
        mov [gdt_tss + 2], ax
        shr eax, 16
        mov [gdt_tss + 4], al
        mov [gdt_tss + 7], ah
        mov qword [tss + 4], stack_top
        mov ax, 0x30
        ltr ax
        mov ecx, 0xc0000081             ; STAR: SYSCALL to 8 and 16, SYSRET to 0x18
        xor eax, eax
        mov edx, 0x00180008
        wrmsr
        inc ecx                         ; LSTAR
        mov eax, on_syscall
        xor edx, edx
        wrmsr
        mov al, 0x11                    ; both 8259s, vectors 0x20 and 0x28, the timer's line only
        out 0x20, al
        out 0xa0, al
        mov al, 0x20
        out 0x21, al
        mov al, 0x28
        out 0xa1, al
        mov al, 4
        out 0x21, al
        mov al, 2
        out 0xa1, al
        mov al, 1
        out 0x21, al
        out 0xa1, al
        mov al, 0xfe
        out 0x21, al
        mov al, 0xff
        out 0xa1, al
        mov al, 0x34                    ; the timer, 4 kHz
        out 0x43, al
        mov al, 0x2a
        out 0x40, al
        mov al, 1
        out 0x40, al
        mov al, 0x12                    ; for the log: what the keyboard controller and nobody knows
        out 0x64, al
        mov dx, 0x1234
        in al, dx
        mov al, 0x0a                    ; until the timer's interrupt is pending
        out 0x20, al
.wait:  in al, 0x20
        test al, 1
        jz .wait
ready:
s_loop: mov ecx, 3
l_loop: loop l_loop
s_rep:  mov esi, source
        mov edi, target
        mov ecx, 3
l_rep:  rep movsb
s_repe: mov esi, source
        mov edi, target
        mov byte [target + 1], 0
        mov ecx, 3
l_repe: repe cmpsb
s_ss:   mov ax, 16
l_ss:   mov ss, ax
l_ss2:  mov ss, ax
l_ss3:  mov esp, stack_top
s_int3: int3
l_int3: nop
s_pf:   mov rax, [0x3fe00010]           ; absent: the handler maps it
l_pf:   lea rax, [rax + 1]
s_tf:   pushfq
        or qword [rsp], 0x100
l_popf: popfq
l_tf:   nop
l_tf2:  nop                             ; #DB comes before this one
s_sti:  sti
l_sti:  nop
l_sti2: nop
l_cli:  cli
s_iret: push 0x23
        push user_top
        pushfq
        push 0x2b
        push user
l_iretq:
        iretq

user:   mov eax, 1
u_sys:  syscall
u_ret:  mov eax, 2
u_int:  int 0x40
u_int2: mov eax, [0x3fe01000]
u_pf:   nop
u_gp:   hlt                             ; #GP: the handler goes to the end
u_end:  jmp u_end

on_syscall:
        nop
x_ret:  o64 sysret
on_int3:
        nop
x_int3: iretq
on_int40:
        iretq
on_db:  and qword [rsp + 16], ~0x100
x_db:   iretq
on_pf:  push rax
        mov rax, cr2
        shr rax, 12
        and eax, 511
        mov qword [pt + rax * 8], 0x100007
        pop rax
        add rsp, 8
x_pf:   iretq
on_timer:
        push rax
        mov al, 0x20
        out 0x20, al
        pop rax
x_timer:
        iretq
on_gp:  mov rax, 0x600d
the_end:
        out 0xf4, al                    ; the debug exit, if there is one
        jmp the_end

        section .data
        align 16
gdt:    dq 0
        dq 0x00af9b000000ffff           ; 08 code
        dq 0x00cf93000000ffff           ; 10 data
        dq 0x00cffb000000ffff           ; 18 32-bit user code
        dq 0x00cff3000000ffff           ; 20 user data, as SYSRET wants it
        dq 0x00affb000000ffff           ; 28 user code
gdt_tss:
        dq 0x0000890000000067           ; 30
        dq 0
gdt_pointer:
        dw gdt_pointer - gdt - 1
        dd gdt, 0
        align 16
handlers:                               ; vector, access, address
        dd 1, 0x8e, on_db
        dd 3, 0x8e, on_int3
        dd 13, 0x8e, on_gp
        dd 14, 0x8e, on_pf
        dd 0x20, 0x8e, on_timer
        dd 0x40, 0xee, on_int40
        dd -1
idt_pointer:
        dw 256 * 16 - 1
        dd idt, 0
source: db "abcd"
target: db "abcd"
        section .bss
        alignb 4096
idt:    resb 4096
pml4:   resb 4096
pdpt:   resb 4096
pd:     resb 4096
pt:     resb 4096
tss:    resb 104
        alignb 16
        resb 4096
user_top:
        resb 4096
stack_top:
