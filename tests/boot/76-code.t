# Code that writes code: stores and string instructions over functions that ran, over what follows, downwards, over the end
# of a page, and beside code that must stay. Each case ends with a sum that only the new code gives.
. "$SRC/tests/boot/lib.sh"
command -v nasm >/dev/null || skip_all "nasm is not installed"

cat >"$work/code.asm" <<'ASM'
        org 0x7c00
        bits 16
%assign sum 0
%assign i 1
%rep 300
%assign low i & 0xff
%if low > 127
%assign low low - 256
%endif
%assign sum sum + low
%assign i i + 1
%endrep
; The function at the address gives the value; it runs often enough to be linked to.
%macro expect 3                 ; case, address, what the function there gives
        mov bp, %1
        mov cx, 20
%%again: push cx
        call %2
        pop cx
        cmp ax, %3
        jne fail
        loop %%again
%endmacro
start:  cld
        xor ax, ax
        mov ss, ax
        mov ds, ax
        mov es, ax
        mov sp, 0x7000
A       equ 0x8000
B       equ 0x9ffe              ; lies on two pages
; 1: rep movsb puts functions there, and others over them
        mov bx, 1
next:   mov si, one
        call put
        expect 1, A, 0x1111
        expect 2, B, 0x1111
        mov si, two
        call put
        expect 3, A, 0x2222
        expect 4, B, 0x2222
        dec bx
        jns next
; 5: downwards, by words, from the end: B gets its sixth byte too
        std
        mov si, one + 4
        mov di, B + 4
        mov cx, 3
        rep movsw
        cld
        expect 5, B, 0x1111
; 6: rep stosb beside a function leaves it alone, and the page with it is written
        mov di, A + 16
        mov al, 0x90
        mov cx, 1000
        rep stosb
        expect 6, A, 0x2222
        cmp word [A + 1014], 0x9090
        jne fail
; 7: rep stosb over the operand
        mov di, A + 1
        mov al, 0x33
        mov cx, 2
        rep stosb
        expect 7, A, 0x3333
; 8: a plain store over the operand
        mov byte [A + 2], 0x44
        expect 8, A, 0x4433
; 9: rep stosb over what follows at once: inc bx becomes nop, twice
        mov bp, 9
        xor bx, bx
        mov al, 0x90
        mov di, here
        mov cx, 2
        rep stosb
here:   inc bx
        inc bx
        inc bx
        cmp bx, 1
        jne fail
; 10: a store over the next instruction, again and again
        mov bp, 10
        xor bx, bx
        mov cx, 300
patch:  mov [there + 2], cl
there:  add bx, 0x7f
        loop patch
        cmp bx, sum & 0xffff
        jne fail
        mov bp, 1
fail:   mov ax, bp
        out 0xf4, al
        hlt
put:    push si
        mov di, A
        mov cx, 5
        rep movsb
        pop si
        mov di, B
        mov cx, 5
        rep movsb
        ret
        times 2 db 0
one:    mov ax, 0x1111
        ret
two:    mov ax, 0x2222
        ret
        times 510-($-$$) db 0
        dw 0xaa55
ASM
nasm -f bin -o "$work/disk" "$work/code.asm"
ok $? "the boot sector is assembled"
head -c 65536 /dev/zero >>"$work/disk"

for smp in 1 2; do
    case $smp$accel in 2*verify*) continue ;; esac # compares one vcpu's code only
    timeout $((30 * slow)) $DRAGOMAN -accel "$accel" -smp "$smp" -m 16 -display none -serial null -monitor none \
        -device isa-debug-exit,iobase=0xf4 -drive "file=$work/disk,format=raw" -snapshot </dev/null >"$work/console" 2>&1
    status=$?
    [ $status = 3 ] || echo "# failed case $((status / 2)) (status $status): $(cat "$work/console")"
    ok $([ $status = 3 ]; echo $?) "new code runs where it was written ($smp vcpu)"
done
finish
