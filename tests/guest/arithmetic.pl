# Perl's arithmetic: integers, floating point in and out, pack, big numbers; one digest a subject.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Math::BigFloat;
use Math::BigInt;
use POSIX qw(floor ceil fmod);

my $seed = 12345;
sub rnd { $seed = ($seed * 1103515245 + 12345) & 0x7fffffff; return $seed; }
sub flt { return (rnd() / 65536 - 8192) * 10**(rnd() % 60 - 30); }

sub subject {
    my ($name, $times, $code) = @_;
    my $text = "";
    $text .= $code->() . "\n" for 1 .. $times;
    print "perl $name: ", md5_hex($text), "\n";
}

subject("integers", 20000, sub { my ($x, $y) = (rnd() * rnd(), rnd() + 1); use integer; join " ", $x / $y, $x % $y, $x * $y, $x << 3, $x >> 5, -$x / $y });
subject("sprintf", 20000, sub { my $x = flt(); sprintf "%.17g %.3e %f %a %d", $x, $x, $x / 1e10, $x, $x });
subject("strings to numbers", 20000, sub { my $x = sprintf("%.15g", flt()); join " ", $x + 0, $x * 2, $x == $x + 0 });
subject("functions", 20000, sub { my $x = flt(); join " ", map { sprintf "%.15g", $_ } sin($x), cos($x), exp($x / 1e25), log(abs($x) + 1), sqrt(abs $x), atan2($x, 3) });
subject("rounding", 20000, sub { my $x = flt() / 1e15; join " ", int($x), floor($x), ceil($x), fmod($x, 7) });
subject("pack", 20000, sub { my ($x, $y) = (flt(), rnd()); unpack "H*", pack "d f q l n N v V w", $x, $x / 1e20, $y * $y, $y, $y, $y, $y, $y, $y });
subject("big integers", 60, sub { my $x = Math::BigInt->new(rnd())->bpow(9); my $y = Math::BigInt->new(rnd())->bpow(4); join " ", $x * $y, $x / $y, $x % $y, $x->copy->bgcd($y), $x->copy->bmodpow(17, $y) });
subject("big decimals", 10, sub { Math::BigFloat->accuracy(40); my $x = Math::BigFloat->new(rnd())->bdiv(rnd()); join " ", $x->copy->bsqrt, $x->copy->blog, $x->copy->bexp(30) });
