package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// Processes hear of each other's events when they ask, all second long: that is the
// truth. With Config.Notify they also hear a hint to ask at once. A hint is sent after
// the commit, outside any transaction, since the server lets one transaction at a time
// commit that notifies.
const (
	// notifyPause is how long a process waits after a hint before it sends another, and
	// after a question before it follows another hint.
	notifyPause = 20 * time.Millisecond

	// notifyShare bounds which part of the time the questions take: one of so many.
	notifyShare = 20

	// notifyIdle is after how long without a hint the listener looks whether its
	// connection is alive.
	notifyIdle = 30 * time.Second

	maxListenPause = 10 * time.Second

	sendHint = `SELECT pg_notify(?, ?)`
)

// hints sends hints and follows those of others.
type hints struct {
	store   *Store
	channel string
	pause   atomic.Int64  // a notifyPause
	send    chan struct{} // has room for one
	came    chan struct{} // likewise
	stop    func()
}

// startHints begins to listen in a schema. Nobody waits for it.
func (s *Store) startHints(schema string) {
	sum := sha256.Sum256([]byte(schema))
	h := &hints{
		store: s, channel: s.config.Prefix + "events_" + hex.EncodeToString(sum[:8]),
		send: make(chan struct{}, 1), came: make(chan struct{}, 1),
	}
	h.pause.Store(int64(notifyPause))
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { h.sending(ctx) })
	group.Go(func() { h.listening(ctx) })
	group.Go(func() { h.following(ctx) })
	h.stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
	})
	s.hints = h
}

// signal puts a value where one has room.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tell says that events were committed.
func (h *hints) tell() {
	if h != nil {
		signal(h.send)
	}
}

func (h *hints) end() {
	if h != nil {
		h.stop()
	}
}

// rest waits, and reports whether ctx goes on.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// sending sends hints. One that is lost costs others the time until they ask.
func (h *hints) sending(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.send:
		}
		_ = h.store.ask(ctx, func(conn *session) error {
			return conn.Query(sendHint, func(sqlstore.Scanner) error { return nil }, h.channel, h.store.process)
		})
		if !rest(ctx, time.Duration(h.pause.Load())) {
			return
		}
	}
}

// following asks what others have appended, where a hint says so or may have been lost,
// and tells the watchers of this process.
func (h *hints) following(ctx context.Context) {
	o := &others{store: h.store}
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.came:
		}
		began := time.Now()
		scopes, err := o.look(ctx) // at first all: what came before it cannot be told apart
		if err == nil {
			for _, scope := range scopes {
				h.store.board.Tell(scope, nil, nil)
			}
		}
		if !rest(ctx, max(time.Duration(h.pause.Load()), notifyShare*time.Since(began))) {
			return
		}
	}
}

// listening listens on a connection of its own, and makes another one where that is
// lost.
func (h *hints) listening(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		_ = h.listen(ctx, func() { pause = firstPause })
		if !rest(ctx, jitter(pause)) {
			return
		}
		pause = min(2*pause, maxListenPause)
	}
}

// listen returns when the connection is lost. It calls listens once it has one.
func (h *hints) listen(ctx context.Context, listens func()) error {
	conn, err := h.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{h.channel}.Sanitize()); err != nil {
		return err
	}
	listens()
	signal(h.came) // what came while nobody listened
	for {
		idle, cancel := context.WithTimeout(ctx, notifyIdle)
		n, err := conn.WaitForNotification(idle)
		cancel()
		switch {
		case err == nil && n.Payload != h.store.process:
			signal(h.came)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			alive, cancel := h.store.wire()
			err = conn.Ping(alive)
			cancel()
		}
		if err != nil {
			return err
		}
	}
}

// connect connects as the pool does, beside it.
func (h *hints) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	pool := h.store.pool.Config()
	config := pool.ConnConfig
	if pool.BeforeConnect != nil {
		if err := pool.BeforeConnect(ctx, config); err != nil {
			return nil, fmt.Errorf("postgres: listener: %w", err)
		}
	}
	return pgx.ConnectConfig(ctx, config)
}
