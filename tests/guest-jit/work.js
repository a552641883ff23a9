// Workloads for Node in a guest: each prints its begin, and its end with a checksum that does not depend on the machine.
'use strict';
const scale = Number(process.argv[2] || 1);

function hash(text) {
    let h = 2166136261;
    for (let i = 0; i < text.length; i++) {
        h = Math.imul(h ^ text.charCodeAt(i), 16777619);
    }
    return (h >>> 0).toString(16);
}
let seed = 1;
function random(n) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >>> 8) % n;
}

// Tasks of several classes that hand packets to each other.
class Task {
    constructor(id) { this.id = id; this.queue = []; this.sum = 0; }
    take(p) { this.queue.push(p); }
}
class Adder extends Task {
    step(s) { const p = this.queue.shift(); if (p) { this.sum = (this.sum + p.v) | 0; p.v += this.id; s.send((this.id * 7 + p.v) % s.n, p); } }
}
class Mixer extends Task {
    step(s) { const p = this.queue.shift(); if (p) { p.v = (p.v ^ (p.v << 5) ^ this.id) & 0xffff; this.sum ^= p.v; s.send((this.id + p.v) % s.n, p); } }
}
class Lazy extends Task {
    step(s) { if (this.queue.length > 1) { const p = this.queue.pop(); this.sum++; s.send((this.id + 1) % s.n, p); } }
}
function scheduler() {
    const kinds = [Adder, Mixer, Lazy];
    const s = {n: 24, tasks: [], send(i, p) { this.tasks[i].take(p); }};
    for (let i = 0; i < s.n; i++) { s.tasks.push(new kinds[i % 3](i)); }
    for (let i = 0; i < 60; i++) { s.send(i % s.n, {v: i * 31}); }
    for (let r = 0; r < 60000 * scale; r++) { for (let i = 0; i < s.n; i++) { s.tasks[i].step(s); } }
    return s.tasks.map((t) => t.sum).join();
}
function json() {
    const rows = [];
    for (let i = 0; i < 2000; i++) { rows.push({id: i, name: 'n' + random(1e6), tags: ['a', 'b' + i, null, true], x: i / 7, sub: {k: [1, 2, i]}}); }
    let text = JSON.stringify(rows);
    for (let i = 0; i < 25 * scale; i++) { const o = JSON.parse(text); o[i].x += i; text = JSON.stringify(o); }
    return hash(text);
}
function regexps() {
    const words = [];
    for (let i = 0; i < 20000; i++) { words.push('user' + random(999) + '@host' + random(99) + '.example.org, tel. +' + random(1e6)); }
    const text = words.join('\n');
    let n = 0;
    for (let i = 0; i < 6 * scale; i++) {
        n += (text.match(/\b[a-z]+\d+@[a-z]+\d+(\.[a-z]+)+/g) || []).length;
        n += text.replace(/(\d)(\d)/g, '$2$1').split(/[,\n]\s*/).length;
        n += (text.match(/(?:tel|fax)\. \+(\d{3,})[^0-9]/gi) || []).length;
    }
    return String(n);
}
function strings() {
    let out = '', h = 0;
    for (let i = 0; i < 400000 * scale; i++) {
        out += String.fromCharCode(97 + i % 26) + i.toString(36);
        if (out.length > 20000) { h ^= parseInt(hash(out.toUpperCase().slice(100, 2000)), 16); out = out.slice(-10); }
    }
    return h.toString(16);
}
function typed() {
    const n = 1 << 20, a = new Uint32Array(n), f = new Float64Array(4096);
    let x = 12345;
    for (let r = 0; r < 12 * scale; r++) {
        for (let i = 0; i < n; i++) { x ^= x << 13; x ^= x >>> 17; x ^= x << 5; a[i] = (a[i] + x) >>> 0; }
        for (let i = 0; i < n; i++) { f[i & 4095] += a[i] & 255; }
    }
    return String(a[77]) + ' ' + f[5];
}
function mandelbrot() {
    let sum = 0;
    for (let py = 0; py < 250 * scale; py++) {
        for (let px = 0; px < 250; px++) {
            let x = 0, y = 0, i = 0;
            const cx = px / 125 - 1.5, cy = py / 125 - 1;
            while (i < 200 && x * x + y * y < 4) { const t = x * x - y * y + cx; y = 2 * x * y + cy; x = t; i++; }
            sum += i;
        }
    }
    return String(sum);
}
function garbage() {
    const make = (d) => d ? {l: make(d - 1), r: make(d - 1), v: d} : {l: null, r: null, v: 1};
    const count = (t) => t.l ? t.v + count(t.l) + count(t.r) : t.v;
    let n = 0;
    const kept = [];
    for (let i = 0; i < 40 * scale; i++) { const t = make(14); n += count(t); if (i % 8 === 0) { kept.push(t); } }
    return n + ' ' + kept.length;
}
// Many functions made at run time: the guest's compiler writes and replaces code all the time.
function compiler() {
    let sum = 0;
    for (let i = 0; i < 300 * scale; i++) {
        const f = new Function('n', `let s = ${i}; for (let k = 0; k < n; k++) { s = (s * ${i % 7 + 3} + k) | 0; if (s & ${i | 1}) { s ^= ${i * 5}; } } return s;`);
        for (let k = 0; k < 30; k++) { sum = (sum + f(100 + k)) | 0; }
        sum = (sum + f(20000)) | 0;
    }
    return String(sum);
}
for (const [name, f] of Object.entries({scheduler, json, regexps, strings, typed, mandelbrot, garbage, compiler})) {
    console.log(`begin node-${name}`);
    console.log(`end node-${name} ${f()}`);
}
