-- Workloads for LuaJIT in a guest; see work.js.
local scale = tonumber(arg[1] or 1)
local bit, ffi = require("bit"), require("ffi")

local function hash(s)
    local h = 5381
    for i = 1, #s do h = bit.tobit(bit.bxor(bit.lshift(h, 5) + h, s:byte(i))) end
    return bit.tohex(h)
end
local function mandelbrot()
    local sum = 0
    for py = 0, 400 * scale - 1 do
        for px = 0, 399 do
            local x, y, i, cx, cy = 0, 0, 0, px / 200 - 1.5, py / 200 - 1
            while i < 200 and x * x + y * y < 4 do x, y = x * x - y * y + cx, 2 * x * y + cy; i = i + 1 end
            sum = sum + i
        end
    end
    return sum
end
local function sieve()
    local n = 2000000
    local a, found = ffi.new("uint8_t[?]", n + 1), 0
    for _ = 1, 4 * scale do
        ffi.fill(a, n + 1)
        found = 0
        for i = 2, n do
            if a[i] == 0 then found = found + 1; for k = i + i, n, i do a[k] = 1 end end
        end
    end
    return found
end
local function strings()
    local h = {}
    for r = 1, 60 * scale do
        local t = {}
        for i = 1, 4000 do t[i] = string.format("%d:%s", i * r, ("x"):rep(i % 9)) end
        h[#h + 1] = hash(table.concat(t, ","):gsub("(%d)(%d)", "%2%1"):sub(1, 5000))
    end
    return hash(table.concat(h))
end
local function garbage()
    local function make(d) return d > 0 and { make(d - 1), make(d - 1), d } or { false, false, 1 } end
    local function count(t) return t[1] and t[3] + count(t[1]) + count(t[2]) or t[3] end
    local n = 0
    for _ = 1, 30 * scale do n = n + count(make(13)) end
    return n
end
-- Classes whose methods are found by metatables, sorted and looked up.
local function objects()
    local Point = {}
    Point.__index = Point
    function Point:add(o) return setmetatable({ x = self.x + o.x, y = self.y - o.y }, Point) end
    local list, p = {}, setmetatable({ x = 1, y = 2 }, Point)
    for r = 1, 20 * scale do
        for i = 1, 20000 do p = p:add({ x = i % 7, y = r }); list[i] = (p.x * 31 + p.y * 17) % 10007 end
        table.sort(list)
    end
    return list[1] + list[10000] + p.x + p.y
end
-- Code made at run time.
local function compiler()
    local sum = 0
    for i = 1, 400 * scale do
        local f = loadstring("local n, s = ..., " .. i .. " for k = 1, n do s = (s * 3 + k) % " .. (1000 + i) .. " end return s")
        sum = sum + f(5000)
    end
    return sum
end
for _, w in ipairs({ { "mandelbrot", mandelbrot }, { "sieve", sieve }, { "strings", strings }, { "garbage", garbage }, { "objects", objects }, { "compiler", compiler } }) do
    io.write("begin lua-", w[1], "\n")
    io.stdout:flush()
    io.write("end lua-", w[1], " ", tostring(w[2]()), "\n")
    io.stdout:flush()
end
