; Walks one processor through its modes and notes what it sees: real mode, protected mode with rings,
; gates, V86 and tasks, then IA-32e mode with compatibility code, IST, SYSCALL and SYSENTER.
; Each note is two dwords (number, value) in the log at LOGBUF. At the end the notes are printed on port
; E9h, port F4h ends an emulator that has isa-debug-exit, and the processor halts.
;
; It has been run under QEMU's TCG (-cpu max,vendor=GenuineIntel), whose notes agree with the SDM but for what
; tests/cpu/modes_test.c lists.
;
; nasm -f bin modes.asm: a boot disk (the first sector loads the rest); or put the file at 7C00h and start at
; 0000:7E00h in real mode.

LOGBUF  equ 0x10000             ; linear; real mode and V86 code reach it through FS = 1000h
LOGPTR  equ 0x0600              ; dword: next free offset in LOGBUF
RESUME  equ 0x0604              ; dword: where fault handlers go on
RSTACK  equ 0x0608              ; dword: stack pointer to go on with
GDT     equ 0x1000
IDT32   equ 0x1800
IDT64   equ 0x2000
TSSA    equ 0x3000
TSSB    equ 0x3100
TSS64   equ 0x3200
STACKR  equ 0x5800              ; real mode
STACK0  equ 0x5000              ; main flow, ring 0
STACKI  equ 0x4800              ; ring 0 stack of the TSS
STACKB  equ 0x4400              ; task B
STACKST equ 0x4000              ; IST1
STACK3  equ 0x5400              ; ring 3
PML4    equ 0x70000
SECTORS equ 24

C32     equ 0x08
D32     equ 0x10
C16     equ 0x18
D16     equ 0x20
C3      equ 0x2b
D3      equ 0x33
TA      equ 0x38
TB      equ 0x40
CG      equ 0x48                ; call gate (two entries for 64 bit)
TG      equ 0x58                ; task gate to TB
NP      equ 0x60                ; data, absent
CF      equ 0x68                ; conforming code, DPL 0
XO      equ 0x70                ; execute only code
C64     equ 0x78
; SYSCALL/SYSRET/SYSENTER layout: 80 code64 0, 88 data 0, 90 code32 3, 98 data 3, a0 code64 3, a8 data 3
S0      equ 0x80
U32     equ 0x90 | 3
UD      equ 0x98 | 3
U64     equ 0xa0 | 3
T64     equ 0xb0
SMALL   equ 0xc0                ; data, limit 0xff
GDTLIM  equ 0xcf

bits 16
org 0x7c00
    cli
    xor ax, ax
    mov ss, ax
    mov sp, 0x7c00
    mov ds, ax
    mov es, ax
    mov ax, 0x200 | SECTORS
    mov bx, 0x7e00
    mov cx, 2
    xor dh, dh
    int 0x13
    jc $
    jmp 0:start
    times 510 - ($ - $$) db 0
    dw 0xaa55

%macro NOTE 2                   ; 32 and 64 bit code: number, value (anything a dword mov takes)
    push %2
    push %1
    call note
%endmacro
%macro NOTE16 2
    push dword %2
    push dword %1
    call note16
%endmacro

start:
    cli
    cld
    mov al, 0xff                ; no interrupts from the 8259s
    out 0x21, al
    out 0xa1, al
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, STACKR
    mov ax, 0x1000
    mov fs, ax
    mov dword [LOGPTR], 0
    ; IVT: 40h, 1 (single step), 13
    mov dword [0x40 * 4], rm_int40
    mov dword [0x41 * 4], rm_iret
    mov dword [1 * 4], rm_step
    mov dword [13 * 4], rm_gp

; ---- real mode ----
    stc
    sti
    int 0x40
rm_after40:
    pushf
    pop ax
    cli
    movzx eax, ax
    NOTE16 0x03, eax            ; flags after IRET: CF, IF
    push dword 0x00000246       ; IRETD: flags, cs, eip
    push dword 0
    push dword .back
    o32 iret
.back:
    pushfd
    pop eax
    cli
    NOTE16 0x04, eax
    mov eax, esp
    NOTE16 0x05, eax
    push word 0x1111
    call 0:rm_far
    mov eax, esp
    NOTE16 0x07, eax            ; RETF 2 released the word
    ; single step: count traps
    xor cx, cx
    pushf
    pop ax
    or ax, 0x100
    push ax
    popf
    nop                         ; trap 1
    mov ax, ss                  ; trap 2
    mov ss, ax                  ; held off
    nop                         ; trap 3 after this one
    int 0x41                    ; no trap of its own; handler runs with TF clear
    nop                         ; traps 4 (after IRET, which sets TF back: after the nop)
    pushf                       ; trap 5
    pop ax                      ; trap 6
    and ax, ~0x100              ; trap 7
    push ax                     ; trap 8
    popf                        ; trap 9 (TF was set when it began)
    nop
    movzx eax, cx
    NOTE16 0x08, eax
    lds si, [ptr16]
    mov ax, ds
    movzx eax, ax
    shl eax, 16
    mov ax, si
    xor bx, bx
    mov ds, bx
    NOTE16 0x09, eax
    mov bx, 0xffff
    mov word [RESUME], .lim
    mov ax, [bx]                ; crosses the limit: #GP
.lim:
    smsw ax
    movzx eax, ax
    and eax, 1
    NOTE16 0x0b, eax

; ---- protected mode ----
    mov si, gdt_image
    mov di, GDT
    mov cx, gdt_end - gdt_image
    rep movsb
    mov di, IDT32
    mov eax, vec0
    mov cx, 64
.idt:
    mov [di], ax
    mov word [di + 2], C32
    mov word [di + 4], 0x8e00
    mov word [di + 6], 0
    add eax, vec1 - vec0
    add di, 8
    loop .idt
    mov di, TSSA
    mov cx, 0x300
    xor ax, ax
    rep stosb
    mov dword [TSSA + 4], STACKI
    mov dword [TSSA + 8], D32
    mov word [TSSA + 102], 0x68
    lgdt [gdtr]
    lidt [idtr32]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp C32:pm32

rm_int40:
    push bp
    mov bp, sp
    movzx eax, word [bp + 2]
    sub ax, rm_after40
    NOTE16 0x01, eax            ; return IP
    pushf
    pop ax
    shl eax, 16
    mov ax, [bp + 6]
    NOTE16 0x02, eax            ; flags in the handler : pushed flags
    pop bp
    iret
rm_step:
    inc cx
rm_iret:
    iret
rm_gp:
    pop ax
    push word [RESUME]
    movzx eax, ax
    sub ax, rm_after40.lim
    NOTE16 0x0a, eax
    iret
rm_far:
    push bp
    mov bp, sp
    mov ax, [bp + 4]
    shl eax, 16
    mov ax, [bp + 6]
    NOTE16 0x06, eax
    pop bp
    retf 2
note16:                         ; pascal: number, value
    push bp
    mov bp, sp
    push eax
    push ebx
    push ds
    xor bx, bx
    mov ds, bx
    mov ebx, [LOGPTR]
    add dword [LOGPTR], 8
    mov eax, [bp + 4]
    mov [fs:bx], eax
    mov eax, [bp + 8]
    mov [fs:bx + 4], eax
    pop ds
    pop ebx
    pop eax
    pop bp
    ret 8
ptr16:
    dw 0x5678, 0x1234
gdtr:
    dw GDTLIM
    dd GDT
idtr32:
    dw 64 * 8 - 1
    dd IDT32
idtr64:
    dw 64 * 16 - 1
    dd IDT64
    dd 0
idtr16:
    dw 0x3ff
    dd 0

%macro DESC 3                   ; base, limit, attributes
    dw (%2) & 0xffff
    dw (%1) & 0xffff
    db ((%1) >> 16) & 0xff
    db (%3) & 0xff
    db (((%2) >> 16) & 15) | (((%3) >> 8) & 0xf0)
    db ((%1) >> 24) & 0xff
%endmacro
gdt_image:
    dq 0
    DESC 0, 0xfffff, 0xc09a     ; 08 not yet accessed
    DESC 0, 0xfffff, 0xc092     ; 10
    DESC 0, 0xffff, 0x009a      ; 18
    DESC 0, 0xffff, 0x0092      ; 20
    DESC 0, 0xfffff, 0xc0fa     ; 28
    DESC 0, 0xfffff, 0xc0f2     ; 30
    DESC TSSA, 0x67, 0x0089     ; 38
    DESC TSSB, 0x67, 0x0089     ; 40
    dw gate_entry, C32, 0xec02, 0 ; 48: call gate, DPL 3, 2 parameters
    dq 0                        ; 50
    dw 0, TB, 0xe500, 0         ; 58
    DESC 0, 0xfffff, 0xc012     ; 60
    DESC 0, 0xfffff, 0xc09e     ; 68
    DESC 0, 0xfffff, 0xc098     ; 70
    DESC 0, 0xfffff, 0xa09a     ; 78
    DESC 0, 0xfffff, 0xa09a     ; 80
    DESC 0, 0xfffff, 0xc092     ; 88
    DESC 0, 0xfffff, 0xc0fa     ; 90
    DESC 0, 0xfffff, 0xc0f2     ; 98
    DESC 0, 0xfffff, 0xa0fa     ; a0
    DESC 0, 0xfffff, 0xc0f2     ; a8
    DESC TSS64, 0x67, 0x0089    ; b0
    dq 0
    DESC 0x7000, 0xff, 0x4092   ; c0
    dq 0                        ; c8
gdt_end:

; A stub a vector: pushes an error code where the processor has not, then the vector.
bits 32
%assign v 0
%rep 64
vec%[v]:
  %if v == 8 || (v >= 10 && v <= 14) || v == 17
    nop
    nop
  %else
    push byte 0
  %endif
    push byte v
    jmp near fault32
%assign v v + 1
%endrep

; Notes vector << 16 | error code and the offset of EIP from RESUME's label, then goes on at RESUME with the
; stack of RSTACK, at ring 0.
fault32:
    push eax
    mov eax, D32
    mov ds, ax
    mov es, ax
    movzx eax, byte [esp + 4]
    shl eax, 16
    mov ax, [esp + 8]
    NOTE 0x20, eax
    mov eax, [esp + 12]
    sub eax, [RESUME]
    NOTE 0x21, eax
    mov eax, [esp + 20]
    and eax, 0x3f7700           ; not the status flags
    NOTE 0x22, eax
    mov eax, [esp]
    mov esp, [RSTACK]
    jmp dword [RESUME]

note:                           ; pascal: number, value; D32 base 0 in SS and DS
    push ebp
    mov ebp, esp
    push eax
    push ebx
    push ds
    push byte D3
    pop ds
    mov ebx, [LOGPTR]
    add dword [LOGPTR], 8
    mov eax, [ebp + 8]
    mov [LOGBUF + ebx], eax
    mov eax, [ebp + 12]
    mov [LOGBUF + ebx + 4], eax
    pop ds
    pop ebx
    pop eax
    pop ebp
    ret 8

%macro FAULTS 1+                ; an instruction that faults in ring 0
    mov dword [RESUME], %%on
    mov [RSTACK], esp
    %1
%%on:
%endmacro

pm32:
    mov ax, D32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK0
    mov ax, TA
    ltr ax
    str eax
    NOTE 0x10, eax
    movzx eax, byte [GDT + TA + 5]
    mov ah, [GDT + D32 + 5]
    NOTE 0x11, eax              ; busy, accessed
    xor eax, eax
    mov ecx, D3
    lar eax, ecx
    NOTE 0x12, eax
    mov ecx, SMALL
    lsl eax, ecx
    NOTE 0x13, eax
    mov ecx, XO
    verr cx
    setz al
    mov ecx, C32
    verr cx
    setz ah
    movzx eax, ax
    verw cx
    setz cl
    shl ecx, 24
    or eax, ecx
    NOTE 0x14, eax
    mov eax, 0x11110008
    mov ecx, 3
    arpl ax, cx
    setz cl
    rol ecx, 16
    xor eax, ecx
    NOTE 0x15, eax
    sldt eax
    NOTE 0x16, eax

    xor eax, eax
    lldt ax
    ; faults
    FAULTS ud2
    mov eax, 0xfff8
    FAULTS mov ds, ax
    mov eax, NP
    FAULTS mov ds, ax
    FAULTS mov ss, ax
    xor eax, eax
    FAULTS mov ss, ax
    mov eax, D3
    FAULTS mov ss, ax
    mov eax, XO
    FAULTS mov es, ax
    mov eax, 0x14               ; in the LDT, and there is none
    FAULTS mov es, ax
    FAULTS jmp D32:0
    FAULTS jmp 0:0
    FAULTS jmp C3:0
    FAULTS call TA:0            ; busy
    FAULTS jmp C16:0x12345      ; beyond the limit
    mov eax, TA
    FAULTS ltr ax
    FAULTS lldt ax
    FAULTS int 0x50             ; beyond the IDT
    mov byte [IDT32 + 0x21 * 8 + 5], 0x0e
    FAULTS int 0x21             ; gate not present
    mov byte [IDT32 + 0x21 * 8 + 5], 0x8e
    mov eax, SMALL
    mov fs, ax
    FAULTS mov eax, [fs:0xfd]   ; across the limit: 4 bytes at fd
    xor eax, eax
    mov gs, ax
    FAULTS mov eax, [gs:0]
    FAULTS mov [cs:0x7000], eax
    FAULTS int3

    ; far call, INT and IRET on the same level
    mov dword [IDT32 + 0x30 * 8], pm_int30 + (C32 << 16)
    stc
    int 0x30
.i30:
    pushfd
    pop eax
    and eax, 0x3f7701
    NOTE 0x32, eax
    push dword 0x77
    call C32:pm_far
    NOTE 0x34, esp
    push cs
    call near .near_far         ; the old trick: push cs, near call, retf
    NOTE 0x35, esp
    jmp .conf
.near_far:
    retf
.conf:
    call CF:pm_conf

; ---- ring 3 ----
    mov dword [IDT32 + 0x31 * 8], pm_int31 + (C32 << 16)
    mov word [IDT32 + 0x31 * 8 + 4], 0xef00   ; trap gate, DPL 3
    mov eax, D32
    mov fs, ax                  ; to be dropped
    mov eax, D3
    mov gs, ax                  ; to be kept
    mov eax, D3
    mov ds, ax
    mov es, ax
    push dword D3
    push dword STACK3
    push dword 0x40202          ; AC (without CR0.AM), IF
    push dword C3
    push dword ring3
    iret

pm_int30:
    mov eax, [esp]
    sub eax, pm32.i30
    NOTE 0x30, eax
    pushfd
    pop eax
    and eax, 0x3f7701
    shl eax, 16
    mov ax, [esp + 8]
    and eax, 0x77017701
    NOTE 0x31, eax
    iret
pm_far:
    mov eax, [esp + 8]
    shl eax, 16
    mov ax, [esp + 4]
    NOTE 0x33, eax
    retf 4
pm_conf:
    mov eax, cs
    NOTE 0x36, eax
    retf

%macro RAISES3 1+               ; an instruction that faults in ring 3; goes on in ring 0
    mov dword [RESUME], %%on
    mov dword [RSTACK], STACK0
    %1
%%on:
    push dword D3               ; and back
    push dword STACK3
    push dword 0x202
    push dword C3
    push dword %%again
    mov eax, D3
    mov ds, ax
    mov es, ax
    iret
%%again:
%endmacro

ring3:
    mov eax, fs
    shl eax, 16
    mov ax, gs
    NOTE 0x40, eax
    mov eax, cs
    shl eax, 16
    mov ax, ss
    NOTE 0x41, eax
    int 0x31
.i31:
    NOTE 0x44, esp
    mov eax, ds
    NOTE 0x45, eax
    RAISES3 cli
    RAISES3 hlt
    RAISES3 int 0x30            ; DPL 0 gate
    mov eax, D32
    RAISES3 mov ds, ax
    RAISES3 in al, 0x80         ; bit map beyond the TSS
    RAISES3 jmp C32:0
    RAISES3 call TA:0
    mov eax, CF
    mov es, ax                  ; conforming: may be read
    mov al, [es:0x7c00]
    mov eax, D3
    mov es, ax
    push dword 0x1234
    push dword 0x5678
    call CG | 3:0
.gate:
    NOTE 0x4a, esp
    call CF | 3:ring3_conf
    pushfd
    pop eax
    and eax, 0x3000
    push eax
    popfd                       ; IOPL stays, IF stays
    pushfd
    pop eax
    and eax, 0x3f7700
    NOTE 0x4b, eax
    jmp .leave
.leave:
    mov dword [RESUME], v86_setup
    mov dword [RSTACK], STACK0
    hlt

pm_int31:
    mov eax, [esp]
    sub eax, ring3.i31
    NOTE 0x42, eax
    mov eax, [esp + 8]
    and eax, 0x3f7700
    shl eax, 16
    mov ax, [esp + 12]
    NOTE 0x43, eax
    mov eax, D32
    mov ds, ax                  ; IRET makes it null in ring 3
    mov eax, ss
    NOTE 0x47, eax
    push byte D3
    pop ds
    iret
gate_entry:
    mov eax, [esp]
    sub eax, ring3.gate
    NOTE 0x48, eax
    mov eax, [esp + 8]
    shl eax, 16
    mov ax, [esp + 12]
    NOTE 0x49, eax
    mov eax, [esp + 16]
    NOTE 0x4c, eax
    retf 8
ring3_conf:
    mov eax, cs
    NOTE 0x4d, eax
    retf

; ---- V86 ----
v86_setup:
    mov eax, D32
    mov ds, ax
    mov es, ax
    mov word [IDT32 + 0x33 * 8], v86_int33
    mov word [IDT32 + 0x33 * 8 + 4], 0xee00
    mov word [IDT32 + 0x34 * 8], v86_int34
    mov word [IDT32 + 0x34 * 8 + 4], 0xee00
    push dword 0x1111           ; gs fs ds es
    push dword 0x1000
    push dword 0x2222
    push dword 0x3333
    push dword 0                ; ss
    push dword STACK3
    push dword 0x23202          ; VM, IOPL 3, IF
    push dword 0                ; cs
    push dword v86
    iret
bits 16
v86:
    mov ax, gs
    shl eax, 16
    mov ax, ds
    NOTE16 0x50, eax
    pushf
    pop ax
    and eax, 0x7700
    NOTE16 0x51, eax
    mov ax, 0x444
    mov es, ax
    int 0x33
.i33:
    NOTE16 0x54, esp
    o32 pushf                   ; IOPL 3: allowed
    pop eax
    and eax, 0x3f7700
    NOTE16 0x55, eax            ; VM reads as 0 from the stack image of PUSHFD
    push dword 0x202            ; IRET in V86 mode: IOPL stays 3
    push dword 0
    push dword .ir
    o32 iret
.ir:
    pushf
    pop ax
    and eax, 0x7700
    NOTE16 0x56, eax
    int 0x34                    ; leave V86 mode, IOPL 0 next
v86b:
    xor ax, ax
    mov ds, ax
    int 0x33                    ; IOPL 0: #GP(0)
    jmp $
bits 32
v86_int33:
    mov eax, [esp]
    sub eax, v86.i33
    NOTE 0x52, eax
    mov eax, ds
    shl eax, 16
    mov ax, [esp + 20]          ; es
    NOTE 0x53, eax
    iret
v86_int34:
    mov eax, D32
    mov ds, ax
    mov es, ax
    mov dword [RESUME], tasks
    mov dword [RSTACK], STACK0
    mov eax, [esp + 8]
    and eax, 0x3f7700
    NOTE 0x57, eax
    mov dword [esp], v86b
    mov dword [esp + 8], 0x20202
    iret

; ---- tasks ----
tasks:
    mov eax, D32
    mov ds, ax
    mov es, ax
    NOTE 0x60, esp
    mov edi, TSSB
    mov dword [edi + 28], 0
    mov dword [edi + 32], taskb
    mov dword [edi + 36], 2
    mov dword [edi + 40], 0xb0
    mov dword [edi + 56], STACKB
    mov dword [edi + 72], D32
    mov dword [edi + 76], C32
    mov dword [edi + 80], D32
    mov dword [edi + 84], D32
    mov dword [edi + 88], D32
    mov dword [edi + 92], 0
    mov word [edi + 102], 0x68
    mov eax, 0xa0
    stc
    call TB:0
.back1:
    setc cl
    movzx ecx, cl
    shl ecx, 16
    mov cx, ax
    NOTE 0x66, ecx
    pushfd
    pop eax
    and eax, 0x3f7700
    NOTE 0x67, eax              ; NT is clear here
    movzx eax, byte [GDT + TB + 5]
    NOTE 0x68, eax
    call TG:0                   ; goes on after its IRET
    mov eax, cr0
    and eax, 8
    NOTE 0x69, eax
    clts
    mov word [IDT32 + 13 * 8 + 2], TB
    mov word [IDT32 + 13 * 8 + 4], 0x8500
    mov dword [TSSB + 32], taskb_gp
    mov dword [TSSB + 56], STACKB
    mov eax, 0xfff8
.gp:
    mov gs, ax                  ; #GP through a task gate; it skips the instruction
.gp_end:
    NOTE 0x6d, esp
    ; double fault: #GP's gate is not present
    mov word [IDT32 + 13 * 8 + 2], C32
    mov word [IDT32 + 13 * 8 + 4], 0x0e00
    mov eax, 0xfff8
    FAULTS mov gs, ax
    mov word [IDT32 + 13 * 8 + 4], 0x8e00
    mov word [IDT32 + 13 * 8], vec13
    ; single step over IRET and into a T-bit task
    mov byte [TSSB + 100], 1
    mov dword [TSSB + 32], taskb_t
    mov dword [TSSB + 56], STACKB
    mov dword [TSSB + 36], 2
    mov dword [IDT32 + 1 * 8], taskb_db + (C32 << 16)
    xor eax, eax
    mov dr6, eax
    jmp TB:0
taskb:
    NOTE 0x61, eax
    pushfd
    pop eax
    and eax, 0x3f7701
    NOTE 0x62, eax
    movzx eax, word [TSSB]
    NOTE 0x63, eax
    mov eax, [TSSA + 32]
    sub eax, tasks.back1
    NOTE 0x64, eax
    mov al, [GDT + TA + 5]
    mov ah, [GDT + TB + 5]
    movzx eax, ax
    NOTE 0x65, eax
    iret
    NOTE 0x6a, 0                ; entered again here: by the task gate
    iret
taskb_gp:
    mov eax, [esp]
    NOTE 0x6b, eax              ; error code
    mov eax, [TSSA + 32]
    sub eax, tasks.gp
    NOTE 0x6c, eax
    mov dword [TSSA + 32], tasks.gp_end
    add esp, 4
    iret
taskb_t:
    nop
taskb_db:
    mov eax, dr6
    NOTE 0x6e, eax
    mov eax, [esp]
    sub eax, taskb_t
    NOTE 0x6f, eax
    mov al, [GDT + TA + 5]
    mov ah, [GDT + TB + 5]
    movzx eax, ax
    NOTE 0x70, eax
    mov esp, STACK0

; ---- IA-32e mode ----
    mov edi, PML4
    xor eax, eax
    mov ecx, 0x3000 / 4
    rep stosd
    mov dword [PML4], PML4 + 0x1007
    mov dword [PML4 + 0x1000], PML4 + 0x2007
    mov dword [PML4 + 0x2000], 0x87          ; 2 MiB, user
    mov edi, IDT64
    mov eax, wec0
    mov ecx, 64
.idt:
    mov [edi], ax
    mov word [edi + 2], C64
    mov word [edi + 4], 0x8e00
    mov word [edi + 6], 0
    mov dword [edi + 8], 0
    mov dword [edi + 12], 0
    add eax, wec1 - wec0
    add edi, 16
    loop .idt
    mov word [IDT64 + 0x31 * 16 + 4], 0xee00
    mov dword [TSS64 + 4], STACKI
    mov dword [TSS64 + 36], STACKST - 8      ; IST1, not aligned
    mov word [GDT + CG], gate64
    mov word [GDT + CG + 2], C64
    mov word [GDT + CG + 4], 0xec00
    mov dword [GDT + CG + 8], 0
    mov dword [GDT + CG + 12], 0
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, PML4
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x101
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    lidt [idtr64]
    mov ax, T64
    ltr ax                      ; from compatibility mode
    jmp C64:lm64

bits 64
%macro NOTEQ 2
    push %2
    push %1
    call note64
%endmacro
%assign v 0
%rep 64
wec%[v]:
  %if v == 8 || (v >= 10 && v <= 14) || v == 17
    nop
    nop
  %else
    push byte 0
  %endif
    push byte v
    jmp near fault64
%assign v v + 1
%endrep
fault64:
    push rax
    movzx eax, byte [rsp + 8]
    shl eax, 16
    mov ax, [rsp + 16]
    NOTEQ 0x80, rax
    mov rax, [rsp + 24]
    mov ecx, [abs RESUME]
    sub rax, rcx
    NOTEQ 0x81, rax
    mov rax, [rsp + 40]
    and eax, 0x3f7700
    NOTEQ 0x82, rax
    mov rax, [rsp + 48]         ; RSP
    shl eax, 16
    mov ax, [rsp + 56]          ; SS
    NOTEQ 0x83, rax
    mov rax, rsp
    add rax, 64
    shl eax, 16
    mov ax, ss
    NOTEQ 0x84, rax             ; the handler's stack
    mov esp, [abs RSTACK]
    mov eax, [abs RESUME]
    jmp rax
note64:
    push rax
    push rbx
    mov ebx, [abs LOGPTR]
    add dword [abs LOGPTR], 8
    mov eax, [rsp + 24]
    mov [rbx + LOGBUF], eax
    mov eax, [rsp + 32]
    mov [rbx + LOGBUF + 4], eax
    pop rbx
    pop rax
    ret 16
%macro FAULTSQ 1+
    mov dword [abs RESUME], %%on
    mov [abs RSTACK], esp
    %1
%%on:
%endmacro

lm64:
    mov ax, D32
    mov ss, ax
    mov esp, STACK0 - 8
    mov eax, 1
    shl rax, 40
    shr rax, 36
    NOTEQ 0x85, rax             ; 64-bit arithmetic
    FAULTSQ ud2
    mov byte [abs IDT64 + 6 * 16 + 4], 1
    FAULTSQ ud2
    mov byte [abs IDT64 + 6 * 16 + 4], 0
    xor eax, eax
    mov ss, ax                  ; null: allowed
    mov eax, ss
    NOTEQ 0x86, rax
    mov ecx, 3
    FAULTSQ mov ss, cx
    mov ax, D32
    mov ss, ax
    bts rcx, 63
    FAULTSQ mov eax, [rcx]      ; not canonical: #GP
    mov rbx, rsp
    FAULTSQ jmp dword far [abs tss_ptr] ; no task switches
    pushfq
    or dword [rsp], 0x4000
    popfq
    FAULTSQ iretq               ; NT
    pushfq
    and dword [rsp], ~0x4000
    popfq
    ; IRETQ on the same level, with a null SS
    mov rax, rsp
    push 0
    push rax
    push 0x202
    push C64
    push .same
    iretq
.same:
    cli
    sub rax, rsp
    mov ecx, ss
    shl ecx, 16
    or eax, ecx
    NOTEQ 0x87, rax
    ; to ring 3
    mov dword [abs RESUME], ring0_64
    mov dword [abs RSTACK], STACK0
    push UD
    push STACK3
    push 0x202
    push U64
    push ring3_64
    iretq
tss_ptr:
    dd 0
    dw TA
gate_ptr:
    dd 0
    dw CG | 3
ring3_64:
    mov eax, cs
    shl eax, 16
    mov ax, ss
    NOTEQ 0x88, rax
    int 0x31                    ; noted as a fault: vector 31; comes back in ring 0
    ; (not reached)
    hlt
ring0_64:
    mov dword [abs RSTACK], STACK0
    mov ecx, 0xc0000081
    xor eax, eax
    mov edx, (0x90 | 3) << 16 | S0
    wrmsr                       ; STAR
    inc ecx
    mov eax, sys_entry
    xor edx, edx
    wrmsr                       ; LSTAR
    mov ecx, 0xc0000084
    mov eax, 0x700
    wrmsr                       ; FMASK: TF, IF, DF
    mov ecx, 0x174
    mov eax, S0
    wrmsr
    inc ecx
    mov eax, STACK0
    wrmsr
    inc ecx
    mov eax, sysenter_entry
    wrmsr
    mov ecx, user_sys
    mov r11d, 0x602             ; IF, DF
    o64 sysret
user_sys:
    mov esp, STACK3
    pushfq
    pop rax
    cld
    and eax, 0x3f7700
    NOTEQ 0x8a, rax
    mov eax, cs
    shl eax, 16
    mov ax, ss
    NOTEQ 0x8b, rax
    std
    stc
    syscall
.after:
    NOTEQ 0x90, rax             ; back by SYSRETQ: RAX from the kernel
    call dword far [abs gate_ptr]
.gate:
    mov rax, rsp
    NOTEQ 0x93, rax
    ; compatibility mode
    push UD
    push STACK3
    push 0x202
    push U32
    push user32
    iretq
sys_entry:
    mov rsp, STACK0
    cld
    lea rax, [rcx]
    sub rax, user_sys.after
    NOTEQ 0x8c, rax
    and r11d, 0x3f7701
    NOTEQ 0x8d, r11
    pushfq
    pop rax
    and eax, 0x3f7701
    NOTEQ 0x8e, rax
    mov eax, cs
    shl eax, 16
    mov ax, ss
    NOTEQ 0x8f, rax
    mov eax, 0x5ca11
    mov r11d, 0x202
    mov esp, STACK3
    o64 sysret
gate64:
    mov rax, [rsp]
    sub rax, user_sys.gate
    shl eax, 16
    mov ax, [rsp + 8]
    NOTEQ 0x91, rax
    mov rax, [rsp + 16]
    shl eax, 16
    mov ax, [rsp + 24]
    NOTEQ 0x92, rax
    o64 retf

bits 32
user32:                         ; compatibility mode, ring 3
    mov eax, UD
    mov ds, ax
    mov es, ax
    mov eax, cs
    inc eax                     ; 40: an INC here, a REX prefix in 64-bit mode
    shl eax, 16
    mov ax, ss
    NOTE 0x94, eax
    mov dword [RESUME], .i31
    mov dword [RSTACK], STACK0
    mov word [IDT64 + 0x31 * 16], compat_int
    int 0x31
.i31:
    NOTE 0x97, eax
    sysenter
user32_back:
    mov eax, cs
    shl eax, 16
    mov ax, ss
    NOTE 0x9a, eax
    mov dword [RESUME], finish
    hlt                         ; #GP(0): to ring 0

bits 64
compat_int:
    mov rax, [rsp]
    sub rax, user32.i31
    NOTEQ 0x95, rax
    mov rax, [rsp + 24]
    shl eax, 16
    mov ax, [rsp + 32]
    NOTEQ 0x96, rax
    mov eax, 0x12345
    iretq
sysenter_entry:
    mov rax, rsp
    NOTEQ 0x98, rax
    mov eax, cs
    shl eax, 16
    mov ax, ss
    NOTEQ 0x99, rax
    mov edx, user32_back
    mov ecx, STACK3
    sysexit
finish:
    ; out of IA-32e mode and print
    jmp dword far [abs .out]
.out:
    dd out32
    dw C32
bits 32
out32:
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, 0xc0000080
    rdmsr
    and eax, ~0x101
    wrmsr
    mov eax, D32
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, STACK0
    mov eax, [LOGPTR]
    NOTE 0xff, eax
    xor esi, esi
.line:
    mov eax, [LOGBUF + esi]
    mov ecx, 2
    shl eax, 24
    call hex
    mov al, ' '
    out 0xe9, al
    mov eax, [LOGBUF + esi + 4]
    mov ecx, 8
    call hex
    mov al, 10
    out 0xe9, al
    add esi, 8
    cmp esi, [LOGPTR]
    jb .line
    mov al, 0
    out 0xf4, al
    cli
    hlt
    jmp $
hex:
    rol eax, 4
    push eax
    and al, 15
    cmp al, 10
    sbb al, 0x69
    das
    or al, 0x20
    out 0xe9, al
    pop eax
    loop hex
    ret
    times (SECTORS + 1) * 512 - ($ - $$) db 0
