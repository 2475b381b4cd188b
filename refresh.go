package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/metadata"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/internal/xsd"
	"github.com/scimjit/provision/store"
)

// How often metadata is fetched: as its validUntil and cacheDuration ask for, within
// bounds, and sooner after a failure. refreshLease is how long one process has to do
// it.
const (
	refreshLook    = time.Minute
	refreshUsual   = 4 * time.Hour
	refreshLeast   = time.Hour
	refreshMost    = 24 * time.Hour
	refreshRetry   = 10 * time.Minute
	refreshLease   = 2 * time.Minute
	refreshWorkers = 4
)

const fieldMetadataURL = "saml.metadataURL"

// RefreshMetadata fetches the metadata of the identity provider from
// [SAML.MetadataURL] now, and reports whether the connection has changed by it.
// [Engine.Run] does so every few hours, as the document asks for.
//
// A document of another entity id than before is refused, as is one that is past
// its validUntil; what was there before stays then, and the error is a
// [*ConnectionError] that says why. A first document may have any entity id, unless
// [SAML.IDPEntityID] names one. A change is told by the events connection.updated
// and connection.warning with the code metadata_changed, and a failure once by the
// code metadata_unavailable. The error is [ErrNotFound] for an unknown connection.
func (d *Directory) RefreshMetadata(ctx context.Context) (changed bool, err error) {
	c, err := d.engine.connection(ctx, d.connection)
	if err != nil {
		return false, err
	}
	if !c.refreshes() {
		return false, &ConnectionError{Connection: c.ID, Field: fieldMetadataURL, Reason: "it is not set, or the connection is disabled"}
	}
	return d.engine.refresh(ctx, c)
}

// refreshes reports whether the metadata of a connection is fetched.
func (c *compiled) refreshes() bool {
	return !c.Disabled && c.SAML != nil && c.SAML.MetadataURL != ""
}

// refreshDue fetches the metadata of a connection if it is time to, and no other
// process does it. What an identity provider does wrong is no error: it is told as
// a warning.
func (e *Engine) refreshDue(ctx context.Context, id string) error {
	c, err := e.dueForRefresh(ctx, id)
	if err != nil || c == nil {
		return err
	}
	claimed := false
	err = e.store().Update(ctx, id, func(_ context.Context, tx store.Tx) error {
		claimed = false
		state, err := records.MetadataRefresh.Load(tx, "")
		if err != nil {
			return err
		}
		now, err := tx.Now()
		if err != nil || !dueBy(state.Value, c.SAML.MetadataURL, now) {
			return err
		}
		state.Value.Leased = now.Add(refreshLease)
		if err := records.MetadataRefresh.Save(tx, &state); err != nil {
			return err
		}
		claimed = true
		return nil
	})
	if err != nil || !claimed {
		return err
	}
	_, err = e.refresh(ctx, c)
	var wrong *ConnectionError
	if errors.As(err, &wrong) {
		return nil
	}
	return err
}

// dueForRefresh returns the connection if its metadata is due, or nil.
func (e *Engine) dueForRefresh(ctx context.Context, id string) (due *compiled, err error) {
	err = e.store().View(ctx, id, func(_ context.Context, r store.Reader) error {
		c, err := e.connections.load(id, r)
		if errors.Is(err, ErrNotFound) || err == nil && !c.refreshes() {
			return nil
		}
		if err != nil {
			return err
		}
		state, err := records.MetadataRefresh.Value(r, "")
		if err != nil {
			return err
		}
		now, err := r.Now()
		if err == nil && dueBy(state, c.SAML.MetadataURL, now) {
			due = c
		}
		return err
	})
	return due, err
}

// dueBy reports whether a document is to be fetched, by the clock of the store. One that
// was wrong has it fetched early.
func dueBy(s records.Refresh, address string, now time.Time) bool {
	return !records.Ahead(s.Leased, now, refreshLease) && (s.URL != address || !records.Ahead(s.Next, now, refreshMost))
}

// refresh fetches the metadata of a connection and takes it.
func (e *Engine) refresh(ctx context.Context, c *compiled) (changed bool, err error) {
	text, fetched, wrong := e.fetchMetadata(ctx, c.SAML)
	if wrong != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err := e.missMetadata(ctx, c, wrong); err != nil {
			return false, err
		}
		return false, &ConnectionError{Connection: c.ID, Field: fieldMetadataURL, Value: shorten(c.SAML.MetadataURL), Reason: wrong.Error()}
	}
	err = e.update(ctx, c.ID, bySystem(), func(tx *change) error {
		changed, err = tx.takeMetadata(c.SAML.MetadataURL, text, fetched)
		return err
	})
	if changed {
		e.credentials.forget(c.ID)
	}
	return changed, err
}

// fetchMetadata returns the document that an identity provider publishes, if it can
// be used in the place of the one that is there.
func (e *Engine) fetchMetadata(ctx context.Context, s *SAML) (text string, idp *metadata.IdentityProvider, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.MetadataURL, nil)
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("Accept", "application/samlmetadata+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1")
	outbound := e.Outbound
	if outbound.MaxBytes <= 0 || outbound.MaxBytes > metadata.MaxBytes {
		outbound.MaxBytes = metadata.MaxBytes
	}
	resp, err := outbound.Client().Do(req)
	if err != nil {
		return "", nil, tellable(err)
	}
	defer func() { _ = resp.Body.Close() }() // all that matters was read
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return "", nil, fmt.Errorf("it answers with a redirect, which is not followed: give the address that it leads to (%s)", shorten(resp.Header.Get("Location")))
	case resp.StatusCode != http.StatusOK:
		return "", nil, fmt.Errorf("it answers with status %d", resp.StatusCode)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", nil, tellable(err)
	}
	if idp, err = metadata.Parse(data, pinned(s)); err != nil {
		return "", nil, err
	}
	if !idp.ValidUntil.IsZero() && !e.now().Before(idp.ValidUntil) {
		return "", nil, fmt.Errorf("the document was valid until %s", idp.ValidUntil.Format(time.RFC3339))
	}
	return metadata.Text(data), idp, nil
}

// tellable returns why a request failed, as a customer may read it: without what
// the name that they gave resolves to here, and who resolves it.
func tellable(err error) error {
	var name *net.DNSError
	var dial *net.OpError
	var request *url.Error
	switch {
	case errors.As(err, &name):
		return fmt.Errorf("the name %q cannot be resolved", shorten(name.Name))
	case errors.As(err, &dial) && errors.Is(err, ErrOutbound):
		return dial.Err
	case errors.As(err, &request) && request.Timeout():
		return errors.New("it does not answer in time")
	case errors.As(err, &request):
		return request.Err
	}
	return err
}

// pinned returns the entity id that a document must have: the one that is set, or
// that of the document which is there; "" accepts any.
func pinned(s *SAML) string {
	if s.IDPEntityID != "" || s.Metadata == "" {
		return s.IDPEntityID
	}
	idp, err := metadata.Parse([]byte(s.Metadata), "")
	if err != nil {
		return ""
	}
	return idp.EntityID
}

// takeMetadata puts a document that was fetched into the connection, if it says
// something else than the one that is there, and notes when to fetch it again. An
// edit since then, of the address or of the entity that is meant, makes it void.
func (c *change) takeMetadata(address, text string, fetched *metadata.IdentityProvider) (changed bool, err error) {
	if !c.conn.refreshes() || c.conn.SAML.MetadataURL != address {
		return false, nil
	}
	if id := xsd.Collapse(pinned(c.conn.SAML)); id != "" && id != fetched.EntityID {
		return false, nil
	}
	state, err := records.MetadataRefresh.Load(c.tx, "")
	if err != nil {
		return false, err
	}
	now, err := c.tx.Now()
	if err != nil {
		return false, err
	}
	state.Value = records.Refresh{URL: address, Next: now.Add(untilNext(fetched, c.now))}
	if err := records.MetadataRefresh.Save(c.tx, &state); err != nil {
		return false, err
	}
	before := c.conn
	was, _ := metadata.Parse([]byte(before.SAML.Metadata), before.SAML.IDPEntityID) // nil where there is none
	same := was != nil && was.Same(fetched)
	if same && !outlived(was, fetched, c.now) {
		return false, nil
	}
	next := before.Clone()
	next.SAML.Metadata = text
	if c.conn, err = compile(next, permissionNames(next.Policy)...); err != nil {
		return false, err
	}
	if changed, err = c.putConnection(before); err != nil || same || was == nil {
		return changed, err
	}
	return changed, c.warnOfMetadata(warnMetadataChanged, "the identity provider has changed its metadata: "+strings.Join(was.Differences(fetched), "; "))
}

// outlived reports whether a document that says nothing new is needed since the one
// that is there ends soon.
func outlived(was, fetched *metadata.IdentityProvider, now time.Time) bool {
	return !was.ValidUntil.IsZero() && was.ValidUntil.Sub(now) < 2*refreshMost &&
		(fetched.ValidUntil.IsZero() || fetched.ValidUntil.After(was.ValidUntil))
}

// untilNext is when a document asks to be fetched again.
func untilNext(idp *metadata.IdentityProvider, now time.Time) time.Duration {
	wait := idp.CacheDuration
	if !idp.ValidUntil.IsZero() {
		if left := idp.ValidUntil.Sub(now); wait == 0 || left < wait {
			wait = left
		}
	}
	if wait == 0 {
		wait = refreshUsual
	}
	return min(max(wait, refreshLeast), refreshMost)
}

// missMetadata notes that a document could not be had, and tells it once.
func (e *Engine) missMetadata(ctx context.Context, conn *compiled, cause error) error {
	e.logger().Warn("metadata of the identity provider", "connection", conn.ID, "url", conn.SAML.MetadataURL, "error", cause)
	return e.update(ctx, conn.ID, bySystem(), func(c *change) error {
		if !c.conn.refreshes() || c.conn.SAML.MetadataURL != conn.SAML.MetadataURL {
			return nil
		}
		state, err := records.MetadataRefresh.Load(c.tx, "")
		if err != nil {
			return err
		}
		s := &state.Value
		if s.URL != conn.SAML.MetadataURL {
			*s = records.Refresh{URL: conn.SAML.MetadataURL}
		}
		first := s.Failures == 0
		now, err := c.tx.Now()
		if err != nil {
			return err
		}
		s.Leased, s.Next = time.Time{}, now.Add(min(refreshRetry<<min(s.Failures, 8), refreshUsual))
		s.Failures++
		if err := records.MetadataRefresh.Save(c.tx, &state); err != nil || !first {
			return err
		}
		return c.warnOfMetadata(warnMetadataUnavailable, "the metadata of the identity provider cannot be had, and what was there before stays: "+cause.Error())
	})
}

// warnOfMetadata appends the event of a warning about fetching.
func (c *change) warnOfMetadata(code, text string) error {
	return c.warn(Warning{Code: code, Field: fieldMetadataURL, Text: text})
}

// keepFetched gives settings that come without it the document that was fetched for
// the same address.
func (c *Connection) keepFetched(stored *Connection) {
	if c.SAML == nil || stored.SAML == nil || c.SAML.Metadata != "" || c.SAML.MetadataURL == "" ||
		c.SAML.MetadataURL != stored.SAML.MetadataURL || c.SAML.IDPEntityID != stored.SAML.IDPEntityID {
		return
	}
	saml := *c.SAML // the caller's stays as it is
	saml.Metadata = stored.SAML.Metadata
	c.SAML = &saml
}
