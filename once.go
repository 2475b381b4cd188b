package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/scimjit/provision/store"
)

// recordOnce is a key that has been used, until it expires.
const recordOnce = "once"

// Once reports whether key is used for the first time: of all calls with it
// until the moment given, on every replica, exactly one is told true. It is what
// replay caches are made of. The key may have any length; [Engine.Run] removes
// keys whose time has passed.
//
// The time is compared with [Engine.Now]: whoever checks an expiry of its own
// keeps the key at least as long.
func (e *Engine) Once(ctx context.Context, connection, key string, until time.Time) (first bool, err error) {
	sum := sha256.Sum256([]byte(key))
	put := store.Record{Kind: recordOnce, Key: hex.EncodeToString(sum[:]), Expires: until.UTC(), Value: []byte("{}")}
	err = e.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		first = false
		next := put
		old, err := tx.Record(recordOnce, put.Key)
		switch {
		case err == nil && e.now().Before(old.Expires):
			return nil
		case err == nil:
			next.Version = old.Version
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if err := tx.PutRecord(&next); err != nil {
			return err
		}
		first = true
		return nil
	})
	return first && err == nil, err
}

// pruneOnce removes the keys of a connection whose time has passed.
func (e *Engine) pruneOnce(ctx context.Context, connection string) error {
	used := false
	err := e.Store.View(ctx, connection, func(_ context.Context, r store.Reader) error {
		keys, err := r.Records(recordOnce, "", 1)
		used = len(keys) > 0
		return err
	})
	if err != nil || !used {
		return err
	}
	return e.Store.Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		_, err := tx.PruneRecords(recordOnce, e.now())
		return err
	})
}
