package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// TakeRequests takes up to n requests from those that a credential of a connection may
// send to all processes together, and returns how many there were: none when they are
// used up. They grow by perSecond, up to burst, by the clock of the store; both are the
// same in every process.
//
// It writes to the store where there are some. So a process takes many at a time, asks
// again when it has used them, and then waits a little where there were not as many as
// it wanted: no request costs a write of its own. [scim.Handler] does so. With
// [Engine.SingleProcess], and for a connection that does not exist, it returns n and
// asks nobody.
//
// [scim.Handler]: https://pkg.go.dev/github.com/scimjit/provision/scim#Handler
func (p Plumbing) TakeRequests(ctx context.Context, connection, credential string, n int, perSecond float64, burst int) (taken int, err error) {
	if p.engine.SingleProcess || !isConnectionID(connection) {
		return n, nil
	}
	sum := sha256.Sum256([]byte(credential))
	err = p.engine.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		taken = n
		if _, err := records.LiveConnection(tx); err != nil {
			return err
		}
		now, err := tx.Now()
		if err != nil {
			return err
		}
		e, err := records.Allowance.Load(tx, hex.EncodeToString(sum[:]))
		if err != nil {
			return err
		}
		left := float64(burst)
		if e.Stored() {
			// A time that is still to come was written by a clock that was wrong.
			since := max(now.Sub(e.Value.At), 0).Seconds()
			left = min(left, e.Value.Left+since*perSecond)
		}
		if taken = min(n, int(math.Floor(left))); taken <= 0 {
			taken = 0
			return nil
		}
		left -= float64(taken)
		e.Value = records.Left{Left: left, At: now}
		e.Expires = now.Add(time.Duration((float64(burst) - left) / perSecond * float64(time.Second)))
		return records.Allowance.Save(tx, &e)
	})
	return taken, unlessDeleted(err)
}
