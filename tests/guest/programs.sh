#!/bin/sh
# Runs inside the tree (chroot), natively and in the guest; every line that it prints must be the same in both.
PATH=/usr/bin:/bin:/usr/sbin
export PATH LC_ALL=C HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
cd /tmp || exit 1
python3() { command python3 -B "$@"; }
part() { echo "-- $1"; }
sum() { md5sum | cut -d' ' -f1; }

part glibc
/work/libm_sums

part openssl
python3 -c 'import sys; x = 1
b = bytearray()
for i in range(300000):
    x = (x * 1103515245 + 12345) & 0x7fffffff
    b.append(x >> 16 & 255)
sys.stdout.buffer.write(bytes(b))' >data
for d in md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-256 sha3-512 shake256 blake2b512 blake2s256 sm3; do
    echo "$d $(openssl dgst -$d <data | sum)"
done
key=00112233445566778899aabbccddeeff
for c in aes-128-cbc aes-256-cbc aes-128-ctr aes-256-ctr aes-256-ecb aes-128-cfb aes-256-ofb camellia-256-cbc \
    aria-256-ctr chacha20 des-ede3-cbc sm4-ctr; do
    openssl enc -$c -K $key$key -iv $key -in data -out enc 2>/dev/null
    echo "$c $(sum <enc) $(openssl enc -d -$c -K $key$key -iv $key -in enc 2>/dev/null | sum)"
done
for m in "HMAC -digest SHA256 -macopt hexkey:$key" "CMAC -cipher AES-128-CBC -macopt hexkey:$key" \
    "GMAC -cipher AES-256-GCM -macopt hexkey:$key$key -macopt hexiv:00112233445566778899aabb" \
    "Poly1305 -macopt hexkey:$key$key"; do
    # Words of $m are arguments.
    echo "${m%% *} $(openssl mac -macopt size:16 $(echo "$m" | cut -d' ' -f2-) -in data "${m%% *}" 2>/dev/null ||
        openssl mac $(echo "$m" | cut -d' ' -f2-) -in data "${m%% *}")"
done
openssl prime -hex FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF
for k in "RSA -pkeyopt rsa_keygen_bits:2048" "EC -pkeyopt ec_paramgen_curve:P-256" "EC -pkeyopt ec_paramgen_curve:P-384" ED25519 X25519; do
    openssl genpkey -algorithm $k -out key 2>/dev/null || echo "no key $k"
    openssl pkey -in key -pubout -out pub
    case $k in
    X25519) openssl pkeyutl -derive -inkey key -peerkey pub | wc -c ;;
    ED25519) openssl pkeyutl -sign -rawin -inkey key -in /work/pattern.py -out sig && openssl pkeyutl -verify -rawin -pubin -inkey pub -in /work/pattern.py -sigfile sig ;;
    *) openssl dgst -sha256 -sign key -out sig data && openssl dgst -sha256 -verify pub -signature sig data ;;
    esac
done
for c in aes-256-ctr aes-128-gcm chacha20-poly1305 sha256; do
    openssl speed -seconds 1 -bytes 4096 -evp $c >speed 2>/dev/null && echo "speed $c $(grep -ci "^$c" speed)"
done

part encoders
python3 /work/pattern.py 20 >in.y4m
echo "pattern $(sum <in.y4m)"
x264 --quiet --no-progress --threads 1 --preset medium -o out.264 in.y4m 2>/dev/null
echo "x264 $(sum <out.264)"
vpxenc --quiet --threads=1 --codec=vp9 --cpu-used=4 --ivf -o out.ivf in.y4m 2>/dev/null
echo "vpxenc $(sum <out.ivf) vpxdec $(vpxdec --i420 -o - out.ivf 2>/dev/null | sum)"
flac -s -f --force-raw-format --endian=little --sign=signed --channels=2 --bps=16 --sample-rate=44100 -8 -o out.flac data
echo "flac $(sum <out.flac) $(flac -s -d -c --force-raw-format --endian=little --sign=signed out.flac | sum)"
{ printf 'P6\n200 200\n255\n'; head -c 120000 in.y4m; } >in.ppm
cjpeg -quality 80 in.ppm >out.jpg
echo "cjpeg $(sum <out.jpg) djpeg $(djpeg out.jpg | sum)"
zstd -q -12 -T1 -c in.y4m >out.zst
echo "zstd $(sum <out.zst) $(zstd -q -d -c out.zst | sum)"

part perl
perl /work/arithmetic.pl

part python
for t in test_float test_math test_cmath test_long test_int test_complex test_struct test_fractions test_hashlib \
    test_binascii test_array ${PYTHON_TESTS:-test_statistics}; do
    python3 -W ignore -m unittest -v test.$t >log 2>&1
    # How many tests, and each that is not ok.
    echo "$t: $(grep -c '\.\.\. ok$' log) ok; $(grep -E '^(FAIL|ERROR):|^(FAILED|OK)' log | sort | tr '\n' ' ')"
done
part end
