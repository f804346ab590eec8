// Command sigstore-kms-assize-pkcs11 lets Assize and cosign sign with keys on
// PKCS#11 tokens: smart cards, HSMs, SoftHSM2. It is a plug-in of the
// Sigstore KMS protocol, in a process and a module of its own, so that nothing
// else of Assize links C code or loads a vendor's library.
//
// Build it, and put it on PATH under this very name:
//
//	cd services/sign/cmd/sigstore-kms-assize-pkcs11
//	GOWORK=off CGO_ENABLED=1 go build -o /usr/local/bin/ .
//
// Keys are Ed25519 (CKM_EDDSA, pure) or ECDSA P-256 (CKM_ECDSA over SHA-256)
// and named
//
//	assize-pkcs11://<token label>/<key label>[?id=<hex>&slot=<number>&module=<path>]
//
// Labels are percent-encoded where they hold / ? or %. The token label may be
// empty if there is a slot, the key label if there is an id (CKA_ID). The
// environment says the rest:
//
//	ASSIZE_PKCS11_MODULE    the vendor's library, unless the reference does
//	ASSIZE_PKCS11_PIN       the user PIN, or
//	ASSIZE_PKCS11_PIN_FILE  the file that holds it
//
// An example with SoftHSM2:
//
//	export ASSIZE_PKCS11_MODULE=/usr/lib/softhsm/libsofthsm2.so ASSIZE_PKCS11_PIN=1234
//	softhsm2-util --init-token --free --label assize --pin 1234 --so-pin 5678
//	pkcs11-tool --module $ASSIZE_PKCS11_MODULE --token-label assize --login --pin 1234 \
//	  --keypairgen --key-type EC:edwards25519 --label verdicts
//	ASSIZE_SIGN_KEY=assize-pkcs11://assize/verdicts sign
//
// A key for cosign, which this program makes on the token itself, never to
// leave it:
//
//	cosign generate-key-pair --kms assize-pkcs11://assize/images
//
// A token that locks itself after some wrong PINs is not asked with the last
// one: where its flags say that one try is left, logging in once by other
// means is needed first.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

func main() {
	if err := run(os.Args, os.Stdin, os.Stdout); err != nil {
		os.Exit(1) // told to the caller already, who by the protocol ignores the code
	}
}

// run answers one call of the protocol. Its error is also in the answer.
func run(args []string, stdin io.Reader, stdout io.Writer) error {
	call, err := parseCall(args)
	if err != nil {
		return errors.Join(err, handler.WriteErrorResponse(stdout, err))
	}
	k := &key{ref: call.InitOptions.KeyResourceID}
	defer k.close()
	answer, err := handler.Dispatch(stdout, stdin, call, k)
	if err == nil && answer.ErrorMessage != "" {
		err = errors.New(answer.ErrorMessage)
	}
	return err
}

// parseCall checks what the handler takes for granted.
func parseCall(args []string) (*common.PluginArgs, error) {
	if len(args) != 3 {
		return nil, errors.New("this is a plug-in for assize and cosign: give them a key assize-pkcs11://<token label>/<key label>")
	}
	if args[1] != common.ProtocolVersion {
		return nil, fmt.Errorf("protocol version %.20q, want %s", args[1], common.ProtocolVersion)
	}
	call, err := handler.GetPluginArgs(args)
	switch {
	case err != nil:
		return nil, fmt.Errorf("second argument: %w", err)
	case call.InitOptions == nil, call.MethodArgs == nil:
		return nil, errors.New("second argument: initOptions or methodName is missing")
	}
	complete := true
	switch call.MethodName {
	case common.CreateKeyMethodName:
		complete = call.CreateKey != nil
	case common.PublicKeyMethodName:
		complete = call.PublicKey != nil && call.PublicKey.PublicKeyOptions != nil
	case common.SignMessageMethodName:
		complete = call.SignMessage != nil && call.SignMessage.SignOptions != nil
	case common.VerifySignatureMethodName:
		complete = call.VerifySignature != nil && call.VerifySignature.VerifyOptions != nil
	}
	if !complete {
		return nil, fmt.Errorf("second argument: arguments of %s are missing", call.MethodName)
	}
	return call, nil
}
