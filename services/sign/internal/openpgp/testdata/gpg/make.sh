#!/bin/sh
# Makes the samples beside it with GnuPG 2.2: sh make.sh, in this folder.
set -eu
GNUPGHOME=$(mktemp -d)
export GNUPGHOME
trap 'gpgconf --kill gpg-agent; rm -rf "$GNUPGHOME"' EXIT
g() { gpg -q --batch --yes --passphrase '' --faked-system-time "${now}T000000!" "$@"; }
now=20240101
g --quick-gen-key 'A <a@example.org>' ed25519 sign never
g --quick-gen-key 'B <b@example.org>' nistp256 cert never
b=$(g --list-keys --with-colons b@example.org | awk -F: '/^fpr/ {print $10; exit}')
g --quick-add-key "$b" rsa2048 sign never
now=20250101
g --export >ring.gpg
printf 'first line \n- dashed\n-dash\nFrom me\n\nlast line' >text.txt
g -u a@example.org --output clear.asc --clear-sign text.txt
g -u b@example.org --output clear-subkey.asc --digest-algo SHA512 --clear-sign text.txt
g -u a@example.org --output text.sig --textmode --detach-sign text.txt
g -u a@example.org -u b@example.org --output two.asc --armor --detach-sign text.txt
for z in none zip zlib bzip2; do
	g -u a@example.org --output "message-$z.gpg" --compress-algo $z --sign text.txt
done
g -u a@example.org -u b@example.org --output message-two.asc --armor --sign text.txt
g --output encrypted.gpg --passphrase x --symmetric text.txt
rm -f -- *~
