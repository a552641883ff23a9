; A boot sector for the screen tests. It writes what is typed; F2 sets VBE mode 112h (640x480, 32 bits)
; and paints the first 64 KiB of it white, F3 goes back to text mode.
    bits 16
    org 0x7c00
start:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    mov ax, 3
    int 0x10
    mov si, ready
print:
    lodsb
    test al, al
    jz keys
    call put
    jmp print
keys:
    xor ax, ax
    int 0x16
    cmp ax, 0x3c00
    je graphics
    cmp ax, 0x3d00
    je start
    call put
    cmp al, 13
    jne keys
    mov al, 10
    call put
    jmp keys
put:
    mov ah, 0x0e
    mov bx, 7
    int 0x10
    ret
graphics:
    mov ax, 0x4f02
    mov bx, 0x112
    int 0x10
    mov ax, 0xa000
    mov es, ax
    xor di, di
    mov cx, 0x8000
    mov ax, 0xffff
    rep stosw
    jmp keys
ready:
    db "ready>", 0
    times 510 - ($ - $$) db 0
    dw 0xaa55
