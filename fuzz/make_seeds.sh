#!/usr/bin/env bash
# What the fuzzers begin with: small images, archives and streams as Debian's tools make them, and
# requests and documents as they are: make_seeds.sh TARGET DIRECTORY
set -euo pipefail
target=$1
mkdir -p "$2"
out=$(readlink -f "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $target in
  http_fuzz)
    seed() { # NAME METHOD TARGET [HEADERS AND BODY]
      printf '\177%s %s HTTP/1.1\r\nHost: capsem\r\n%b\r\n' "$2" "$3" "${4:-}" >"$out/$1"
    }
    seed vm GET /v1/vm
    seed wait GET '/v1/vm?wait=ended'
    seed events GET '/v1/events?since=1'
    seed follow GET '/v1/events?follow=1'
    for one in session copy port; do
      path=${one%y}; [ "$path" = "$one" ] && path+=s || path+=ies
      seed "$path" POST "/v1/$path" "Connection: Upgrade\\r\\nUpgrade: capsem-$one\\r\\n"
    done
    seed stop POST /v1/stop 'Content-Length: 13\r\n\r\n{"grace_ms":5}'
    seed chunked POST /v1/stop 'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n'
    seed kill POST /v1/kill
    exit
    ;;
  policy_fuzz)
    seed() { # NAME QUESTION POLICY
      printf '%b\n%b' "$2" "$3" >"$out/$1"
    }
    rule='[[rule]]\naction = "allow"\nhost = '
    seed sets 'registry.npmjs.org\tGET\t/x\t/usr/bin/npm\t\t' 'sets = ["npm", "debian", "go"]\n'
    seed names 'a.example\tGET\t/' "$rule\"*.example\"\nport = \"any\"\n${rule/allow/deny}[\"*\", \"a.b\"]\n"
    seed path 'a.b\tPOST\t/v1/../x%2f%2e' "$rule\"a.b\"\nmethod = [\"GET\", \"PUT\"]\npath = \"/v1/*\"\n"
    seed deny 'a.b\tGET\t//x' "${rule/allow/deny}\"a.b\"\npath = \"/x\"\n$rule\"*\"\ntls = \"inspect\"\n"
    seed address '\tGET\t/\t\t\t10.0.0.1' "$rule[\"10.0.0.0/8\", \"fd00::1\"]\nport = [1, 443]\n"
    seed process 'a.b\tGET\t/\t/bin/x' "$rule\"a.b\"\nprocess = \"*/x\"\nname = \"n\"\nfrom = \"f\"\n"
    seed script 'b\xc3\xbccher.example' "$rule\"b\xc3\xbccher.example\"\n"
    seed url 'https://xn--bcher-kva.example:8443/x' ''
    exit
    ;;
  dns_fuzz)
    name='\7example\3org\0'
    opt='\0\0\51\4\320\0\0\200\0\0\14\0\12\0\10cookie..'
    printf '\22\64\1\0\0\1\0\0\0\0\0\0%b\0\1\0\1' "$name" >"$out/a"
    printf '\22\64\1\0\0\1\0\0\0\0\0\1%b\0\34\0\1%b' "$name" "$opt" >"$out/aaaa-edns"
    printf '\22\64\1\0\0\1\0\0\0\0\0\0\300\14\0\1\0\1' >"$out/pointer"
    exit
    ;;
  tls_hello_fuzz)
    # The first byte says in which pieces the rest is read. Server name, protocols and versions, once
    # in one record and once in two.
    extensions='\0\0\0\24\0\22\0\0\17www.example.org\0\20\0\16\0\14\2h2\10http/1.1\0\53\0\5\4\3\4\3\3'
    fields='\0\0\2\300\53\1\0\0\63'
    head='\1\0\0\136\3\3'
    zero='www\0'
    printf '\377\26\3\1\0\142%b%032d%b%b' "$head" 0 "$fields" "$extensions" >"$out/hello"
    printf '\0\26\3\1\0\46%b%032d\26\3\1\0\74%b%b' "$head" 0 "$fields" "$extensions" >"$out/two"
    printf '\377\26\3\1\0\142%b%032d%b%b' "$head" 0 "$fields" "${extensions/www./"$zero"}" >"$out/nul"
    exit
    ;;
  http1_proxy_fuzz)
    seed() { # NAME REQUESTS ANSWERS
      printf '\177\001%b\377%b' "$2" "$3" >"$out/$1"
    }
    host='Host: a.example\r\n'
    ok='HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    get="GET /x?y HTTP/1.1\r\n$host\r\n"
    seed get "$get$get" "$ok$ok"
    seed post "POST / HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabc" "$ok"
    seed chunks "PUT / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n" \
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'
    seed denied "GET /no HTTP/1.1\r\n$host\r\nPOST /no HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabc$get" "$ok"
    seed upgrade "GET / HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: websocket\r\n\r\nab" \
      'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nab'
    seed end "GET http://a.example:80/ HTTP/1.0\r\n${host}Connection: keep-alive, TE\r\nTE: trailers\r\n\r\n" \
      'HTTP/1.1 200 OK\r\nAlt-Svc: x\r\n\r\nall'
    seed head "HEAD /%61/b HTTP/1.1\r\n${host}Expect: 100-continue\r\n\r\n" "HTTP/1.1 304 N\r\nContent-Length: 3\r\n\r\n"
    exit
    ;;
  http2_proxy_fuzz)
    number() { # SIZE VALUE: so many bytes as escapes, the highest first
      local bits
      for ((bits = ($1 - 1) * 8; bits >= 0; bits -= 8)); do printf '\\x%02x' $(($2 >> bits & 255)); done
    }
    size() { printf '%b' "$1" | wc -c; }
    frame() { # TYPE FLAGS STREAM [PAYLOAD], as escapes
      number 3 "$(size "${4:-}")" && number 1 "$1" && number 1 "$2" && number 4 "$3" && printf '%s' "${4:-}"
    }
    seed() { # NAME CLIENT SERVER [FLAGS]
      printf '\177%b%b%b%b' "${4:-\x04}" "$(number 2 "$(size "$2")")" "$2" "$3" >"$out/$1"
    }
    # Numbers of the static table, and literals (RFC 7541, 6 and appendix A).
    host='\x41\x09a.example'
    get='\x82\x87\x84'$host post='\x83\x87\x84'$host denied='\x82\x87\x04\x03/no'$host ok='\x88'
    zero='\x00\x00\x00' sum='\x00\x01x\x01y' status='\x00\x0bgrpc-status\x010'
    seed get "$(frame 1 5 1 "$get")$(frame 1 5 3 "$get")" "$(frame 1 4 1 "$ok")$(frame 0 1 1 ok)$(frame 1 5 3 "$ok")"
    seed post "$(frame 1 4 1 "$post")$(frame 0 0 1 abc)$(frame 1 5 1 "$sum")" \
      "$(frame 1 4 1 '\x08\x03103')$(frame 1 4 1 "$ok")$(frame 0 0 1 ok)$(frame 1 5 1 "$status")"
    seed denied "$(frame 1 5 1 "$denied")$(frame 1 5 3 "$get")" "$(frame 1 5 1 "$ok")"
    seed reset "$(frame 1 4 1 "$post")$(frame 0 0 1 abc)$(frame 3 0 1 "$zero"'\x08')" "$(frame 3 0 1 "$zero"'\x07')"
    seed goaway "$(frame 1 5 1 "$get")$(frame 7 0 0 "$zero\\x00$zero\\x00")" "$(frame 7 0 0 "$zero\\x01$zero\\x00")"
    seed windows "$(frame 4 0 0 "\\x00\\x04$zero\\x01")$(frame 1 5 1 "$get")$(frame 8 0 1 "$zero\\x01")" \
      "$(frame 4 1 0)$(frame 1 4 1 "$ok")$(frame 0 1 1 abcdef)$(frame 6 0 0 12345678)"
    seed continued "$(frame 1 1 1 '\x82\x87')$(frame 9 4 1 '\x84'"$host")$(frame 2 0 3 "$zero\\x00\\x01")" \
      "$(frame 5 4 1 "$zero\\x02$get")"
    seed websocket "$(frame 1 4 1 '\x02\x07CONNECT\x87\x84'"$host"'\x00\x09:protocol\x09websocket')$(frame 0 0 1 a)" \
      "$(frame 1 4 1 "$ok")$(frame 0 0 1 b)$(frame 10 0 0 '\x00\x00h3')" '\x0c'
    exit
    ;;
  model_usage_fuzz)
    usage='"usage":{"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":3}'
    printf '\000\001{"model":"m","content":[{"type":"tool_use","name":"t"}],%s}' "$usage" >"$out/anthropic"
    printf '\200\001data: {"message":{"model":"m",%s}}\n\n' "$usage" >"$out/anthropic-events"
    printf '\001\001{"model":"m","usage":{"prompt_tokens":1,"completion_tokens":2}}' >"$out/openai"
    printf '\202\001data: {"response":{"model":"m",%s}}\r\n\r\n' "$usage" >"$out/openai-events"
    printf '\003\001[{"usageMetadata":{"promptTokenCount":1,"thoughtsTokenCount":2}}]' >"$out/google"
    exit
    ;;
  api_json_fuzz)
    printf '{"grace_ms":5}' >"$out/stop"
    printf '{"sequence":1,"dropped":0,"at_us":2,"kind":"state","text":"x"}' >"$out/event"
    error='{"message":"m","attempted":"a","subject":"b","reason":"c","advice":"d","kind":"invalid"}'
    printf '{"error":%s,"console":["x"]}' "$error" >"$out/failure"
    start='{"accelerator":"tcg","memory_bytes":1,"cpus":1,"boot_limit_ms":1,"hostname":"h","cache_directory":"/c"}'
    printf '%s' "$start" >"$out/start"
    printf '{"created_at":1,"start":%s,"state":"stopped","changed_at":1,"reason":"","boot_id":""}' \
      "$start" >"$out/record"
    printf '{"state":"ended","timeline":[{"name":"n","begin_us":1,"end_us":2}],"end":{"kind":"failed","error":%s}}' \
      "$error" >"$out/vm"
    exit
    ;;
esac

# A tree with one of each type that an ordinary user can make.
mkdir -p "$work/tree/bin" "$work/tree/empty"
cd "$work/tree"
printf '#!/bin/sh\necho hello\n' >init
chmod 755 init
ln init bin/linked
ln -s ../init bin/link
mkfifo fifo
head -c 3000 /dev/zero | tr '\0' x >bin/large
if [ "$target" = tar_fuzz ]; then
  truncate -s 64k bin/sparse
  printf x | dd of=bin/sparse bs=1 seek=40000 conv=notrunc status=none
  mkdir -p "bin/$(printf 'long%.0s' {1..50})"
  cd ..
  mv tree a  # the name that the fuzzer asks for
  tar --format=ustar -cf "$out/ustar" a/init a/empty a/bin/link
  for format in pax gnu; do tar --format=$format --sparse -cf "$out/$format" a; done
  # Ways out of the target: by its path, and by a link that is there already or comes with it.
  tar -P --transform 's,^a/init,../canary,' -cf "$out/up" a/init
  tar -P --transform 's,^a/init,s/canary,' -cf "$out/through" a/init
  tar -P --transform 's,^a/bin/link,a/l,S;s,^\.\./init,../../beside,;s,^a/init,a/l/new,' -cf "$out/along" \
    a/bin/link a/init
  exit
fi
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
