#!/bin/sh
# Makes these fixtures anew, with OpenSSL 3; the keys are thrown away.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

cat >ext.cnf <<'CNF'
[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[leaf]
keyUsage=critical,digitalSignature
extendedKeyUsage=codeSigning
subjectKeyIdentifier=hash
[tsa]
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,timeStamping
[crl]
default_ca=c
[c]
database=index
default_md=sha256
default_crl_days=70000
crl_extensions=e
[e]
authorityKeyIdentifier=keyid
[stamp]
default_tsa=t
[t]
serial=tsserial
signer_digest=sha256
default_policy=1.2.3
digests=sha256
CNF

# name issuer section algorithm subject serial
certify() {
	# shellcheck disable=SC2086 # the algorithm is several words
	openssl genpkey $4 -out "$1.key"
	openssl req -new -key "$1.key" -subj "/O=Example Test/CN=$5" -out "$1.csr"
	if [ "$2" = self ]; then
		openssl x509 -req -in "$1.csr" -signkey "$1.key" -extfile ext.cnf -extensions "$3" -days 73000 -sha256 -out "$1.pem"
	else
		openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -set_serial "$6" -extfile ext.cnf -extensions "$3" -days 73000 -sha256 -out "$1.pem"
	fi
}
ec='-algorithm EC -pkeyopt ec_paramgen_curve:P-256'
certify root self ca "$ec" 'Fixture Root'
certify inter root ca "$ec" 'Fixture Intermediate' 2
certify leaf inter leaf "$ec" 'Fixture Publisher' 3
certify rsa inter leaf '-algorithm RSA -pkeyopt rsa_keygen_bits:2048' 'Fixture Publisher' 4
certify tsaroot self ca "$ec" 'Fixture TSA Root'
certify tsa tsaroot tsa "$ec" 'Fixture TSA' 5

printf 'an artifact of some bytes\n' >artifact
sign() { openssl cms -sign -binary -certfile inter.pem -in artifact -outform DER "$@"; }
sign -signer leaf.pem -inkey leaf.key -out plain.p7s
sign -signer leaf.pem -inkey leaf.key -noattr -out noattr.p7s
sign -signer rsa.pem -inkey rsa.key -md sha512 -keyopt rsa_padding_mode:pss -out pss.p7s
cat leaf.pem inter.pem >chain.pem
openssl dgst -sha256 -sign leaf.key -out artifact.sig artifact
openssl ts -query -data artifact.sig -sha256 -cert -out sig.tsq
openssl ts -reply -config ext.cnf -section t -queryfile sig.tsq -signer tsa.pem -inkey tsa.key -out artifact.sig.tsr

: >index
openssl ca -config ext.cnf -name c -gencrl -cert inter.pem -keyfile inter.key -out inter.crl
openssl ca -config ext.cnf -name c -gencrl -cert tsaroot.pem -keyfile tsaroot.key -out tsaroot.crl
printf 'V\t21000101000000Z\t\t02\tunknown\t/CN=x\n' >index
openssl ocsp -index index -CA root.pem -issuer root.pem -serial 2 -rsigner root.pem -rkey root.key -ndays 70000 -noverify -respout inter.ocsp

cp artifact artifact.sig artifact.sig.tsr ./*.p7s ./*.crl inter.ocsp root.pem tsaroot.pem chain.pem "$out"
