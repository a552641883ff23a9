# The execution log (-singlestep -d exec,cpu) in the form of steps.py: linear pc, eight registers, flags, selectors.
function value(s) { sub(/^[^=]*=/, "", s); sub(/:.*/, "", s); sub(/^0+/, "", s); return s == "" ? "0" : s }
/^Trace 0:/ { pc = $6; sub(/^0x/, "", pc); line = 0; next }
/=/ && pc != "" {
    line++
    if (line <= 2) for (i = 1; i <= 4; i++) text = (line == 1 && i == 1 ? "" : text " ") value($i)
    if (line == 5) text = text " " value($2)
    if (line == 6) {
        for (i = 1; i <= 6; i++) text = text " " value($i)
        if (pc != last) print pc " " text
        last = pc
        pc = ""
    }
}
