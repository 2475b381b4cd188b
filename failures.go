package provision

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/scimjit/provision/internal/failures"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// failuresInterval is how often processes tell each other of failed authentications,
// while there are some.
const failuresInterval = time.Second

const sharingFailures = "sharing failed authentications"

// sharingFailures tells other processes of failed authentications until ctx ends. It
// does not wait for other background work, which may take long.
func (e *Engine) sharingFailures(ctx context.Context, failed func(error)) (stop func()) {
	var wg sync.WaitGroup
	if e.SingleProcess {
		return wg.Wait
	}
	wg.Go(func() {
		ticker := time.NewTicker(failuresInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := e.shareFailures(ctx); err != nil {
					failed(err)
				}
			}
		}
	})
	return wg.Wait
}

// shareFailures adds the failures that this process has counted to those of all
// processes, and counts these. Where there is nothing new it asks nobody: so bad
// requests cost one write a second, of a bounded size, however many there are.
func (e *Engine) shareFailures(ctx context.Context) error {
	taken, at := e.failures.Take(e.reading()), time.Now()
	if len(taken) == 0 || e.SingleProcess {
		return nil
	}
	var all failures.Ages
	err := e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) (err error) {
		all, err = addFailures(tx, taken, time.Since(at))
		return err
	})
	if err != nil {
		e.failures.GiveBack(taken)
		return err
	}
	e.failures.Merge(all, e.reading())
	return nil
}

// addFailures adds failures to those that are stored, by the clock of the store, and
// returns all. They were taken a while ago.
func addFailures(tx store.Tx, taken failures.Ages, ago time.Duration) (failures.Ages, error) {
	now, err := tx.Now()
	if err != nil {
		return nil, err
	}
	stored, err := records.Failures.Load(tx, "")
	if err != nil {
		return nil, err
	}
	all := failures.Ages{}
	for text, times := range stored.Value {
		key, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			return nil, err
		}
		for _, at := range times {
			all.Add(key, now.Sub(time.UnixMilli(at)))
		}
	}
	for key, ages := range taken {
		for _, age := range ages {
			all.Add(key, age+ago)
		}
	}
	all.Cut()
	stored.Value = make(map[string][]int64, len(all))
	for key, ages := range all {
		text := strconv.FormatUint(key, 16)
		for _, age := range ages {
			stored.Value[text] = append(stored.Value[text], now.Add(-age).UnixMilli())
		}
	}
	return all, records.Failures.Save(tx, &stored)
}
