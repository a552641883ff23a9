; Boot sector of a floppy disk for 59-floppy.t: loads the 40 sectors behind it by the BIOS, one by one over
; both heads and three tracks, checks the first word of each (its number), and tells on the serial port.
    bits 16
    org 0x7c00
start:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    cld
    mov [drive], dl
    mov si, hello
    call print
    mov di, 1
next:
    mov ax, di
    xor dx, dx
    mov bx, 18
    div bx
    inc dx
    mov cl, dl              ; sector
    mov ch, al
    shr ch, 1               ; cylinder
    mov dh, al
    and dh, 1               ; head
    mov dl, [drive]
    mov bx, 0x8000
    mov ax, 0x0201
    int 0x13
    jc failed
    cmp [0x8000], di
    jne failed
    inc di
    cmp di, 41
    jb next
    mov bx, 0x8000          ; writes its last sector to the last place of the disk
    mov cx, 0x4f12
    mov dh, 1
    mov dl, [drive]
    mov ax, 0x0301
    int 0x13
    jc failed
    mov si, good
    call print
    jmp stop
failed:
    mov si, bad
    call print
stop:
    cli
    hlt
    jmp stop
print:
    lodsb
    test al, al
    jz .end
    mov dx, 0x3f8
    out dx, al
    jmp print
.end:
    ret
hello: db "floppy boot sector", 13, 10, 0
good: db "all sectors are right", 13, 10, 0
bad: db "a sector is wrong", 13, 10, 0
drive: db 0
    times 510 - ($ - $$) db 0
    dw 0xaa55
