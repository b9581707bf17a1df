#!/bin/sh
# The plan of mrk as plain aws, openssl and age commands, for the keys as they were seen then: it refuses any other state.
# It stops at the first error, and sends nothing twice. After that, or when it was killed, make a new plan: that goes on where
# the key stands. Key material is in no file, no argument and no variable: it is in pipes, and sealed in the store.
set -euC
umask 077
unset IFS CDPATH AWS_USE_FIPS_ENDPOINT AWS_USE_DUALSTACK_ENDPOINT
export LC_ALL=C TZ=UTC0 AWS_PAGER='' AWS_CLI_AUTO_PROMPT=off

PATIENCE=180  # seconds in which a change must show
ROTATING=900  # seconds in which a rotation must be over
FRESH=10      # how old, in seconds, a look may be when the rotation is sent
left=0 made=''
work=$(mktemp -d)

ended() {
  code=$?
  rm -rf "$work" ${made:+"$made"}
  case $code in 0 | 2 | 3 | 4 | 5) ;; *) code=3 ;; esac
  test "$code" -eq 0 || printf '%s\n' "ended with $code; a new plan goes on where the keys stand: mrk plan --script" >&2
  exit "$code"
}
trap ended EXIT
trap 'exit 5' HUP INT TERM

stop() {  # exit code, why
  printf 'stopped: %s\n' "$2" >&2
  exit "$1"
}

undone() {  # exit code, what is not done, what to do next
  printf 'not done: %s\nhint: %s\n' "$2" "$3" >&2
  test "$left" -eq 4 || left=$1
}

say() { printf '%s\n' "$1"; }

planned_for() {  # Regions: the environment names no other endpoint than the plan was made for
  given=${AWS_ENDPOINT_URL_KMS:-${AWS_ENDPOINT_URL:-}}
  for one in "$@"; do
    url=$(endpoint "$one")
    test -z "$given" || test "${given%/}" = "${url%/}" ||
      stop 4 "AWS_ENDPOINT_URL_KMS or AWS_ENDPOINT_URL names another endpoint than this plan was made for: $url in $one"
    case $url in http:*) unset http_proxy HTTP_PROXY all_proxy ALL_PROXY ;; esac
  done
}

in_time() {  # from when, and until when, the plan is good: seconds since 1970
  now=$(date +%s)
  test "$now" -ge "$1" || stop 4 "the clock of this machine is behind the one that made this plan"
  test "$now" -lt "$2" || stop 4 "this plan has become too old: what it judged may not hold any more"
}

kms() {  # Region, call, its options
  at=$1; shift
  url=$(endpoint "$at")
  aws kms "$@" --region "$at" --endpoint-url "$url"
}

once() (  # the same, never sent again: not even where the answer is lost
  export AWS_MAX_ATTEMPTS=1
  kms "$@"
)

is() {  # Region, key ARN, call, what must be true of its answer (JMESPath), more options
  at=$1 key=$2 call=$3 wanted=$4; shift 4
  test "$(kms "$at" "$call" --key-id "$key" --output json --query "$wanted" "$@")" = true
}

look() {  # Region, key ARN, what must be true of DescribeKey, of ListKeyRotations, and of GetKeyRotationStatus, if given
  {
    is "$1" "$2" describe-key "$3" &&
      is "$1" "$2" list-key-rotations "$4" --include-key-material ALL_KEY_MATERIAL &&
      { test $# -lt 5 || is "$1" "$2" get-key-rotation-status "$5"; } ||
      { printf '%s\n' "$1" >> "$work/odd"; exit 1; }
  } &
  looking="$looking $!"
}

all() {  # looks, made at once: whether all of them saw what they should
  looking='' as_planned=0
  rm -f "$work/odd"
  "$1"
  for one in $looking; do wait "$one" || as_planned=1; done
  return "$as_planned"
}

fresh() {  # looks: all of them, none of which is old
  begun=$(date +%s)
  all "$1" && test "$(($(date +%s) - begun))" -le "$FRESH"
}

odd() { if test -e "$work/odd"; then sort -u "$work/odd" | tr '\n' ' '; else printf 'none, but the looks took too long'; fi; }

await() {  # seconds, how many times in a row, seconds between two, then what must come true
  give_up=$(($(date +%s) + $1)) times=$2 pause=$3 seen=0; shift 3
  while :; do
    if "$@"; then seen=$((seen + 1)); else seen=0; fi
    test "$seen" -lt "$times" || return 0
    test "$(date +%s)" -lt "$give_up" || stop 3 "waited in vain for the key to be as planned, in: $(odd)"
    sleep "$pause"
  done
}

opened() { age -d -i "$IDENTITY" "$1" || : >> "$work/unread"; }

plaintext() { opened "$1" | sed -n 's/.*"key_material": "\([^"]*\)".*/\1/p' | { base64 -d || : >> "$work/unread"; }; }

holds_lines() {  # a file, lines that each stand in it once
  printf '%s\n' "$2" >| "$work/wanted"
  test "$(grep -Fxc -f "$work/wanted" "$1")" -eq "$(wc -l < "$work/wanted")"
}

store_is() {  # the store, lines of its stamp
  test -O "$1" && test -f "$1/store.json" || stop 4 "there is no store in $1, or you are not its owner: run as its owner"
  holds_lines "$1/store.json" "$2" || stop 4 "the store $1 is stamped for another place than this plan was made for"
}

entry_is() {  # an entry's file, its fields: it opens, says that it is this entry, and holds 32 bytes
  rm -f "$work/unread"
  opened "$1" | sed '/"key_material"/d' >| "$work/fields"
  size=$(plaintext "$1" | wc -c)
  test ! -e "$work/unread" && test "$size" -eq 32 || stop 4 "the store cannot give the key material in $1: restore it first"
  holds_lines "$work/fields" "$2" || stop 4 "$1 does not say that it is the entry that its name tells"
}

new_payload() {  # the fields of an entry: with new random bytes
  printf '{\n%s\n  "created_at": "%s",\n  "key_material": "' "$1" "$(date +%Y-%m-%dT%H:%M:%S+00:00)"
  { openssl rand -base64 32 || : >> "$work/unread"; } | tr -d '\n'
  printf '"\n}\n'
}

deposit() {  # an entry's file, its fields, recipients: new key material, unless the entry is there, which then counts
  entry=$1 fields=$2; shift 2
  if test ! -e "$entry"; then
    mkdir -p "${entry%/*}"
    made=${entry%/*}/.$(openssl rand -hex 16).tmp
    rm -f "$work/unread"
    new_payload "$fields" | age -e -o "$made" "$@"
    test ! -e "$work/unread" || stop 3 "openssl made no random bytes"
    sync "$made"
    ln "$made" "$entry" || test -e "$entry"
    rm -f "$made"
    made=''
  fi
  sync
  entry_is "$entry" "$fields"
}

never_sent() {  # an entry's file: no mark says that it was imported, or given up
  for mark in "${1%.age}".link.json "${1%.age}".discarded*.json "${1%.age}".withdrawn*.json; do
    test ! -e "$mark" || stop 4 "the store knows more than this plan did: $mark"
  done
}

import_material() {  # Region, key ARN, entry's file, its fields, ImportType, more options; leaves the answer in $id
  at=$1 key=$2 entry=$3 kind=$5
  entry_is "$entry" "$4"
  shift 5
  box=$(mktemp -d "$work/import.XXXXXX")
  kms "$at" get-parameters-for-import --key-id "$key" --wrapping-algorithm "$WRAPPING" --wrapping-key-spec RSA_4096 \
      --query '[KeyId, PublicKey, ImportToken]' --output text > "$box/parameters"
  test "$(cut -f1 "$box/parameters")" = "$key" || stop 4 "KMS in $at gave the import parameters of another key"
  cut -f2 "$box/parameters" > "$box/wrapping-key.base64"
  base64 -d < "$box/wrapping-key.base64" > "$box/wrapping-key.der"
  cut -f3 "$box/parameters" > "$box/token.base64"
  base64 -d < "$box/token.base64" > "$box/token"
  openssl pkey -pubin -inform DER -in "$box/wrapping-key.der" -noout -text > "$box/about"
  grep -q '(4096 bit)' "$box/about" && grep -q 'Exponent: 65537 ' "$box/about" ||
    stop 4 "the wrapping key that KMS in $at gave is not the one that was asked for"
  rm -f "$work/unread"
  plaintext "$entry" | openssl pkeyutl -encrypt -out "$box/wrapped" -inkey "$box/wrapping-key.der" -keyform DER -pubin \
      -pkeyopt rsa_padding_mode:oaep -pkeyopt "rsa_oaep_md:$DIGEST" -pkeyopt "rsa_mgf1_md:$DIGEST"
  test ! -e "$work/unread" || stop 3 "the key material could not be read from $entry"
  send=kms
  test "$kind" != NEW_KEY_MATERIAL || send=once
  id=$("$send" "$at" import-key-material --key-id "$key" --import-type "$kind" --query KeyMaterialId --output text \
      --encrypted-key-material "fileb://$box/wrapped" --import-token "fileb://$box/token" "$@") ||
    stop 3 "the import into $at failed, or its answer is lost: it is not sent again; its bytes are in the store"
  rm -rf "$box"
}

import_new() {  # the same; leaves the id of the new material in $new_id
  never_sent "$3"
  import_material "$@"
  case $id in *[!0-9a-f]* | '') stop 4 "KMS in $1 gave no id to the new key material" ;; esac
  test "${#id}" -eq 64 || stop 4 "KMS in $1 gave no id to the new key material"
  new_id=$id
}

import_existing() {  # the same, and the id that KMS must know these bytes by
  wanted_id=$1; shift
  import_material "$@" --key-material-id "$wanted_id"
  test "$id" = "$wanted_id" || stop 4 "KMS in $1 says that these bytes are $id, not $wanted_id"
}

replicate() {  # Region, key ARN, Region of the replica: with the same key policy, so that access is not widened
  kms "$1" get-key-policy --key-id "$2" --policy-name default --query Policy --output text > "$work/policy-$3"
  once "$1" replicate-key --key-id "$2" --replica-region "$3" --policy "file://$work/policy-$3" --output json > "$work/made-$3"
}

rotate() {  # Region, key ARN: whatever comes back, what the Regions then show is what counts
  once "$1" rotate-key-on-demand --key-id "$2" --output json > "$work/rotated" ||
    say "RotateKeyOnDemand failed, or its answer is lost: it is not sent again; looking whether KMS rotates" >&2
}

uses() {  # Region, key ARN, the id of the material that it must encrypt under
  used=$(kms "$1" generate-data-key-without-plaintext --key-id "$2" --key-spec AES_256 \
      --encryption-context "$CONTEXT" --query KeyMaterialId --output text)
  test "$used" = "$3" || stop 4 "the key in $1 encrypts under $used, not under $3"
}
