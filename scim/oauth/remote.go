package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// refetch is the least time between two fetches.
	refetch = time.Minute

	// minAge and maxAge bound how long keys are used without a look for newer
	// ones, whatever the server says.
	minAge = 5 * time.Minute
	maxAge = 24 * time.Hour

	// maxStale is how long keys are used after that while they cannot be fetched.
	// Without an end, whoever keeps us from the server keeps a revoked key alive.
	maxStale = 24 * time.Hour

	maxKeySet    = 1 << 20
	fetchTimeout = 5 * time.Second
)

// RemoteKeys is a source of keys that an authorization server publishes at its
// jwks_uri (RFC 8414 section 2).
//
// The keys are fetched when they are first needed, and again when they are older
// than the server's Cache-Control max-age says, which is taken to be between 5
// minutes, also where it says nothing, and 24 hours. A token that names another
// key makes it look for new ones. In any case there is one fetch at a time and at
// most one a minute, whatever tokens arrive. While the server does not answer
// well, the keys that are known serve for another 24 hours. With time.Now nobody who
// sets the clock changes that; another Now that is set back makes it look for new
// keys, and begins the 24 hours again.
//
// Set the exported fields before the first call and do not change them after. A
// RemoteKeys is safe for concurrent use and must not be copied.
type RemoteKeys struct {
	// Client sends the requests; nil means http.DefaultClient. Its redirects are
	// not used: a redirect is an error.
	Client *http.Client

	// Timeout bounds a fetch; 0 means 5 seconds.
	Timeout time.Duration

	// Now tells the time; nil means time.Now.
	Now func() time.Time

	// Logger is told of fetches that fail; nil means slog.Default().
	Logger *slog.Logger

	url string

	mu      sync.Mutex
	keys    []Key         // of the last good fetch
	fetched time.Time     // when that was
	age     time.Duration // after which they are to be fetched again
	started time.Time     // when the last fetch began
	running chan struct{} // closed at the end of the running fetch, or nil
	failure error         // of the last fetch, or nil
}

var _ KeySource = (*RemoteKeys)(nil)

// NewRemoteKeys returns a source of the keys at an address: https, or http to the
// same machine. It does not fetch them yet.
func NewRemoteKeys(address string) (*RemoteKeys, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("oauth: address of keys: not a URL") // which may hold a password
	}
	if u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("oauth: address of keys %q: must be https without a user, or http to a loopback address", u.Redacted())
	}
	return &RemoteKeys{url: u.String()}, nil
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Keys implements [KeySource].
func (r *RemoteKeys) Keys(ctx context.Context, kid string) ([]Key, error) {
	for {
		keys, wait, err := r.look(ctx, kid)
		if wait == nil {
			return keys, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// look returns the keys, or a channel that is closed when to look again.
func (r *RemoteKeys) look(ctx context.Context, kid string) ([]Key, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if now.Before(r.started) { // the clock was set back
		r.started = time.Time{}
	}
	if now.Before(r.fetched) {
		r.fetched = now.Add(-r.age)
	}
	known := len(r.keys) > 0 && (kid == "" || slices.ContainsFunc(r.keys, func(k Key) bool { return k.ID == kid }))
	old := now.Sub(r.fetched)
	if !known || old >= r.age {
		if r.running == nil && (r.started.IsZero() || now.Sub(r.started) >= refetch) {
			r.started, r.running = now, make(chan struct{})
			// The fetch is for all who wait: it does not end with the request
			// that began it.
			go r.fetch(context.WithoutCancel(ctx), now)
		}
		if r.running != nil {
			return nil, r.running, nil
		}
	}
	if r.failure != nil && (!known || old >= r.age+maxStale) {
		return nil, nil, r.failure
	}
	return r.keys, nil, nil
}

// fetch gets the keys and wakes those who wait for them.
func (r *RemoteKeys) fetch(ctx context.Context, now time.Time) {
	keys, age, err := r.get(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = err
	if err == nil {
		r.keys, r.fetched, r.age = keys, now, age
	} else {
		r.logger().Warn("keys cannot be fetched", "url", r.url, "error", err)
	}
	close(r.running)
	r.running = nil
}

func (r *RemoteKeys) get(ctx context.Context) ([]Key, time.Duration, error) {
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = fetchTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := r.client().Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("the server answered %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, 0, err
	}
	if len(data) > maxKeySet {
		return nil, 0, fmt.Errorf("the key set has more than %d bytes", maxKeySet)
	}
	keys, err := parseKeys(data)
	return keys, maxAgeOf(resp.Header), err
}

// client is Client without redirects: one would lead to an address that nobody
// configured.
func (r *RemoteKeys) client() *http.Client {
	client := http.Client{}
	if r.Client != nil {
		client = *r.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("redirects are not followed") }
	return &client
}

// maxAgeOf reads Cache-Control (RFC 9111 section 5.2).
func maxAgeOf(header http.Header) time.Duration {
	age := minAge
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minAge
		case "max-age":
			if n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32); err == nil {
				age = time.Duration(n) * time.Second
			}
		}
	}
	return min(max(age, minAge), maxAge)
}

func (r *RemoteKeys) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (r *RemoteKeys) logger() *slog.Logger {
	if r.Logger != nil {
		return r.Logger
	}
	return slog.Default()
}
