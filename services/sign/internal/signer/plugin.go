package signer

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"time"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"

	"assize.dev/services/sign/internal/keys"
)

// Plugin signs with a key of a program that speaks the Sigstore KMS plug-in
// protocol, v1, as cosign does: one process per call, the method as JSON in
// the second argument, the message on standard input, the answer as JSON on
// standard output. The program gets this process's environment, where it
// finds its secrets, and its standard error. See
// https://github.com/sigstore/sigstore/tree/main/pkg/signature/kms/cliplugin,
// whose types are used here, but not its client: that one reads answers of
// any size and takes their fields for granted.
//
// A program runs once at a time in this process, whatever the number of its
// keys: tokens have few sessions, and SoftHSM2 2.6 loses sight of its tokens
// for moments when processes start side by side.
type Plugin struct {
	program  string // absolute path
	resource string // what follows ://
	timeout  time.Duration
	public   crypto.PublicKey
}

const (
	pluginPrefix = "sigstore-kms-"
	// pluginTimeout is for one call. A token in a card reader may take
	// seconds, and a person may have to touch it.
	pluginTimeout = 60 * time.Second
	// pluginGrace is how long a program that was told to end, or whose
	// children still hold its output, is waited for.
	pluginGrace = 2 * time.Second
	// maxPluginAnswer is room for any signature or public key many times over.
	maxPluginAnswer = 1 << 20
)

// turns has a channel of capacity 1 for each program's path, full while it
// runs.
var turns sync.Map

// pluginName keeps a reference from naming a program elsewhere than on PATH.
var pluginName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func openPlugin(ctx context.Context, name, resource string) (*Plugin, error) {
	if !pluginName.MatchString(name) {
		return nil, fmt.Errorf("%.80q is no name of a plug-in: want letters, digits, _ - and . before ://", name)
	}
	program, err := exec.LookPath(pluginPrefix + name)
	if err != nil {
		return nil, fmt.Errorf("a key %s:// needs the program %s%s: %w", name, pluginPrefix, name, err)
	}
	p := &Plugin{program: program, resource: resource, timeout: pluginTimeout}
	answer, err := p.call(ctx, nil, common.MethodArgs{
		MethodName: common.PublicKeyMethodName,
		PublicKey:  &common.PublicKeyArgs{PublicKeyOptions: &common.PublicKeyOptions{RPCOptions: rpcOptions(ctx)}},
	})
	if err != nil {
		return nil, err
	}
	if p.public, err = parsePluginKey(answer); err != nil {
		return nil, fmt.Errorf("%s: public key: %w", program, err)
	}
	return p, nil
}

// Public implements Signer.
func (p *Plugin) Public() crypto.PublicKey { return p.public }

// Sign implements Signer.
func (p *Plugin) Sign(ctx context.Context, message []byte) ([]byte, error) {
	answer, err := p.call(ctx, message, common.MethodArgs{
		MethodName: common.SignMessageMethodName,
		SignMessage: &common.SignMessageArgs{SignOptions: &common.SignOptions{
			RPCOptions:     rpcOptions(ctx),
			MessageOptions: common.MessageOptions{Digest: new([]byte)},
		}},
	})
	if err != nil {
		return nil, err
	}
	signature, err := parsePluginSignature(answer)
	if err == nil {
		err = check(p.public, message, signature)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: signature: %w", p.program, err)
	}
	return signature, nil
}

// rpcOptions are filled as cosign fills them.
func rpcOptions(ctx context.Context) common.RPCOptions {
	o := common.RPCOptions{KeyVersion: new(string), RemoteVerification: new(bool)}
	if deadline, ok := ctx.Deadline(); ok {
		o.CtxDeadline = &deadline
	}
	return o
}

// call runs the program once and returns what it printed.
func (p *Plugin) call(ctx context.Context, stdin []byte, method common.MethodArgs) ([]byte, error) {
	held, _ := turns.LoadOrStore(p.program, make(chan struct{}, 1))
	turn := held.(chan struct{})
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for %s to answer others: %w", p.program, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	options := rpcOptions(ctx)
	args, err := json.Marshal(common.PluginArgs{
		InitOptions: &common.InitOptions{
			CtxDeadline:     options.CtxDeadline,
			ProtocolVersion: common.ProtocolVersion,
			KeyResourceID:   p.resource,
			HashFunc:        crypto.SHA256, // for ECDSA; pure Ed25519 has no choice of a hash
			RPCOptions:      &options,
		},
		MethodArgs: &method,
	})
	if err != nil {
		return nil, err
	}
	stdout := &answerBuffer{full: cancel}
	cmd := exec.CommandContext(ctx, p.program, common.ProtocolVersion, string(args))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), stdout, os.Stderr
	cmd.WaitDelay = pluginGrace
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case stdout.overflowed:
		return nil, fmt.Errorf("%s: an answer of more than %d bytes", p.program, maxPluginAnswer)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: no answer to %s: %w", p.program, method.MethodName, ctx.Err())
	case errors.As(err, &exit) && exit.Exited():
		// By the protocol the exit code means nothing; the answer says what
		// went wrong.
	case err != nil:
		return nil, fmt.Errorf("running %s: %w", p.program, err)
	}
	return stdout.held.Bytes(), nil
}

// answerBuffer ends the program when it prints too much.
type answerBuffer struct {
	held       bytes.Buffer
	full       func()
	overflowed bool
}

func (b *answerBuffer) Write(p []byte) (int, error) {
	if b.held.Len()+len(p) > maxPluginAnswer {
		b.overflowed = true
		b.full()
		return 0, errors.New("too much output")
	}
	return b.held.Write(p)
}

func parsePluginKey(answer []byte) (crypto.PublicKey, error) {
	a, err := parsePluginAnswer(answer)
	if err != nil {
		return nil, err
	}
	if a.PublicKey == nil || len(a.PublicKey.PublicKeyPEM) == 0 {
		return nil, errors.New("the answer has no publicKey.publicKeyPEM")
	}
	k, err := keys.ParsePublicKey(a.PublicKey.PublicKeyPEM)
	if err != nil {
		return nil, err
	}
	return k.Key, suitable(k.Key)
}

func parsePluginSignature(answer []byte) ([]byte, error) {
	a, err := parsePluginAnswer(answer)
	if err != nil {
		return nil, err
	}
	if a.SignMessage == nil || len(a.SignMessage.Signature) == 0 {
		return nil, errors.New("the answer has no signMessage.signature")
	}
	return a.SignMessage.Signature, nil
}

func parsePluginAnswer(answer []byte) (*common.PluginResp, error) {
	var a common.PluginResp
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("the answer is not the protocol's JSON (its standard error may say why): %w", err)
	}
	if a.ErrorMessage != "" {
		return nil, fmt.Errorf("%.500q", a.ErrorMessage)
	}
	return &a, nil
}
