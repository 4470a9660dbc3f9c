#!/usr/bin/env bash
# Small images and streams as Debian's tools make them: make_seeds.sh TARGET DIRECTORY
set -euo pipefail
target=$1
mkdir -p "$2"
out=$(readlink -f "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A tree with one of each type that an ordinary user can make.
mkdir -p "$work/tree/bin" "$work/tree/empty"
cd "$work/tree"
printf '#!/bin/sh\necho hello\n' >init
chmod 755 init
ln init bin/linked
ln -s ../init bin/link
mkfifo fifo
head -c 3000 /dev/zero | tr '\0' x >bin/large
cpio_of() { find . | LC_ALL=C sort | cpio -o --quiet "$@"; }
cpio_of -H newc >"$work/newc"
cpio_of -H crc >"$work/crc"
find . | LC_ALL=C sort | bsdtar --format newc --no-recursion -cf "$work/bsdtar" -T -
printf 'dir /dev 755 0 0\nfile' >"$work/text"

# The order of codec::kCodecs, whose place is the first byte of a seed for codec_fuzz.
codecs=(none gzip zstd lz4 xz)
pack() { # CODEC <FILE
  case $1 in
    none) cat ;;
    gzip) gzip -9n ;;
    zstd) zstd -q -3 --check -c ;;
    lz4) lz4 -q -l -9 -c ;;
    xz) xz -6 --check=crc32 -c ;;
  esac
}

for i in "${!codecs[@]}"; do
  codec=${codecs[i]}
  for archive in newc crc bsdtar text; do
    pack "$codec" <"$work/$archive" >"$work/packed"
    case $target in
      codec_fuzz)
        # shellcheck disable=SC2059
        { printf "\\$(printf '%03o' "$i")"; cat "$work/packed"; } >"$out/$codec-$archive"
        ;;
      *) cp "$work/packed" "$out/$codec-$archive" ;;
    esac
  done
done
[ "$target" = codec_fuzz ] && exit

# Several segments, with the padding between them that Linux and lz4 want.
for codec in "${codecs[@]}"; do
  cat "$out/none-newc" "$out/$codec-crc"
  head -c 8 /dev/zero
  cat "$out/gzip-newc"
done >"$out/several" || exit
head -c 2000 "$out/none-newc" >"$out/cut"
