package saml_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// recorder is a store that tells what has been written to it.
type recorder struct {
	store.Store

	mu     sync.Mutex
	writes []string
}

func newRecorder() *recorder { return &recorder{Store: memory.New()} }

// take returns what has been written since the last call, in order.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.writes
	r.writes = nil
	return list
}

// Update implements store.Store.
func (r *recorder) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	var writes []string
	err := r.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		w := &recordingTx{Tx: tx}
		err := fn(ctx, w)
		writes = w.writes
		return err
	})
	if err == nil {
		r.mu.Lock()
		r.writes = append(r.writes, writes...)
		r.mu.Unlock()
	}
	return err
}

type recordingTx struct {
	store.Tx
	writes []string
}

func (t *recordingTx) wrote(what string) { t.writes = append(t.writes, what) }

func (t *recordingTx) PutResource(r *store.Resource) error {
	t.wrote("resource " + r.Type)
	return t.Tx.PutResource(r)
}

func (t *recordingTx) DeleteResource(typ, id string) error {
	t.wrote("resource " + typ)
	return t.Tx.DeleteResource(typ, id)
}

func (t *recordingTx) PutMembership(m store.Membership) (bool, error) {
	t.wrote("membership")
	return t.Tx.PutMembership(m)
}

func (t *recordingTx) DeleteMembership(group, member string, source store.Source) (bool, error) {
	t.wrote("membership")
	return t.Tx.DeleteMembership(group, member, source)
}

func (t *recordingTx) PutAccount(a *store.Account) error {
	t.wrote("account")
	return t.Tx.PutAccount(a)
}

func (t *recordingTx) AppendEvent(e *store.Event) error {
	t.wrote("event " + string(e.Type))
	return t.Tx.AppendEvent(e)
}

func (t *recordingTx) PutRecord(r *store.Record) error {
	t.wrote("record " + r.Kind)
	return t.Tx.PutRecord(r)
}

func (t *recordingTx) DeleteRecord(kind, key string, version int64) error {
	t.wrote("record " + kind)
	return t.Tx.DeleteRecord(kind, key, version)
}

// TestRecorder: a recorder that misses writes would let every attack test pass.
func TestRecorder(t *testing.T) {
	r := newRecorder()
	err := r.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
		return tx.PutRecord(&store.Record{Kind: "x", Key: "y", Value: []byte("{}")})
	})
	if got := r.take(); err != nil || !slices.Equal(got, []string{"record x"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if got := r.take(); got != nil {
		t.Errorf("again %q", got)
	}
}
