# The execution log (-singlestep -d exec,cpu) in the form of steps.py, for 16 or (n=8) 8 registers.
function value(s) { sub(/^[^=]*=/, "", s); sub(/^0+/, "", s); return s == "" ? "0" : s }
/^Trace 0:/ { pc = $6; sub(/^0x/, "", pc); line = 0; next }
/=/ {
    if (pc == "") next
    line++
    for (i = 1; i <= 4; i++) reg[4 * (line - 1) + i] = value($i)
    if (line == 4) {
        if (pc != last) {
            printf "%s", pc
            for (i = 1; i <= n; i++) printf " %s", reg[i]
            print ""
        }
        last = pc
        pc = ""
    }
}
