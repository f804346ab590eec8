package e2e

import (
	"context"
	"testing"

	"assize.dev/services/sign"
	"assize.dev/services/verdict"
	"assize.dev/shared/blob"
)

// replayAll makes every decision again from what is stored: the signed
// statements follow, byte for byte. It returns how many there are.
func replayAll(ctx context.Context, t *testing.T, store blob.Store) (replayed int) {
	t.Helper()
	replayer := verdict.NewReplayer(store)
	for found, err := range verdict.All(ctx, store, "") {
		if err != nil {
			t.Fatal(err)
		}
		replayed++
		statement, _, err := sign.ReadVerdict(found.Envelope)
		if err != nil {
			t.Fatal(err)
		}
		p, err := statement.Verdict()
		if err != nil {
			t.Fatal(err)
		}
		record, err := verdict.RecordOf(ctx, store, p.Record.Key, p.Record.Digest)
		if err != nil {
			t.Fatal(err)
		}
		d, err := replayer.Replay(ctx, p.Record.Key, record)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := sign.Restates(found.Envelope, d); err != nil || !same {
			t.Errorf("run %s: another statement follows: %s, %v; signed %s", found.Run, d.Decision, err, p.Decision)
		}
	}
	return replayed
}
