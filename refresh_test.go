package provision_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// publisher is an identity provider that publishes its metadata.
type publisher struct {
	*httptest.Server
	outbound provision.Outbound
	document atomic.Pointer[string]
	asked    atomic.Int32
	asking   func() // while somebody asks; nil means nothing
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.asked.Add(1)
		if p.asking != nil {
			p.asking()
		}
		document := p.document.Load()
		if document == nil {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, *document)
	}))
	t.Cleanup(p.Close)
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	p.outbound = provision.Outbound{AllowPrivate: true, RootCAs: roots}
	return p
}

func (p *publisher) publish(document string) { p.document.Store(&document) }

// published is the metadata of the tests, with edits of old and new texts.
func published(t *testing.T, edits ...string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/saml/idp-metadata.xml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the document has no %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	return text
}

// refreshed is a tenant whose metadata a publisher has.
func refreshed(t *testing.T, st store.Store) (*tenant, *publisher) {
	t.Helper()
	p := newPublisher(t)
	tn := newTenant(t, st, `{}`)
	tn.engine.Outbound = p.outbound
	tn.saveSAML(provision.SAML{MetadataURL: p.URL + "/metadata"})
	return tn, p
}

func (tn *tenant) saveSAML(s provision.SAML) {
	tn.t.Helper()
	if _, err := tn.engine.Directory("acme").As(tester).UpdateConnection(tn.t.Context(), with(provision.Connection{ID: "acme", SCIM: true, SAML: &s})); err != nil {
		tn.t.Fatal(err)
	}
}

func (tn *tenant) saml() *provision.SAML {
	tn.t.Helper()
	c, err := tn.engine.Directory("acme").Connection(tn.t.Context())
	if err != nil {
		tn.t.Fatal(err)
	}
	return c.SAML
}

// told lists the events since a sequence that are about settings: their types, with
// the codes of warnings.
func (tn *tenant) told(after int64) string {
	tn.t.Helper()
	list, err := tn.engine.Directory("acme").Events(tn.t.Context(), after, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	var out []string
	for _, ev := range list {
		text := string(ev.Type)
		for _, r := range ev.Reasons {
			text += " " + r.Option + " " + r.Value
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func (tn *tenant) lastSequence() int64 {
	tn.t.Helper()
	list, err := tn.engine.Directory("acme").Events(tn.t.Context(), 0, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1].Sequence
}

const location = `Location="https://idp.example.com/sso"`

// The life of a document: it comes, changes, is away, is somebody else's.
func TestRefreshMetadata(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, p := refreshed(t, st)
		first := published(t)
		steps := []struct {
			name     string
			document string // "" is nothing
			after    time.Duration
			asked    int32  // how often by now
			metadata string // a part of what the connection has
			told     string
		}{
			{name: "away at first", asked: 1, told: "connection.warning saml.metadataURL metadata_unavailable"},
			{name: "away again", after: 10 * time.Minute, asked: 2},
			{name: "too early", document: first, after: 10 * time.Minute, asked: 2},
			{name: "there", document: first, after: 10 * time.Minute, asked: 3, metadata: location, told: "connection.updated"},
			{name: "not due", document: published(t, location, `Location="https://idp.example.com/new"`), after: 3 * time.Hour, asked: 3, metadata: location},
			{name: "changed", document: published(t, location, `Location="https://idp.example.com/new"`), after: time.Hour, asked: 4, metadata: "/new", told: "connection.updated, connection.warning saml.metadataURL metadata_changed"},
			{name: "the same in another form", document: "<?xml version=\"1.0\"?>\n" + published(t, location, `Location="https://idp.example.com/new"`), after: 4 * time.Hour, asked: 5, metadata: "/new"},
			{name: "of another entity", document: published(t, "https://idp.example.com/metadata", "https://evil.example/metadata"), after: 4 * time.Hour, asked: 6, metadata: "/new", told: "connection.warning saml.metadataURL metadata_unavailable"},
			{name: "a page", document: "<!DOCTYPE html><html></html>", after: 10 * time.Minute, asked: 7, metadata: "/new"},
			{name: "ended", document: published(t, "entityID=", `validUntil="2000-01-01T00:00:00Z" entityID=`), after: 20 * time.Minute, asked: 8, metadata: "/new"},
			{name: "back", document: first, after: 40 * time.Minute, asked: 9, metadata: location, told: "connection.updated, connection.warning saml.metadataURL metadata_changed"},
			{name: "away later", after: 4 * time.Hour, asked: 10, metadata: location, told: "connection.warning saml.metadataURL metadata_unavailable"},
		}
		for _, s := range steps {
			at := tn.lastSequence()
			tn.clock.add(s.after)
			p.document.Store(nil)
			if s.document != "" {
				p.publish(s.document)
			}
			tn.runOnce()
			tn.runOnce() // it is done once
			if got := p.asked.Load(); got != s.asked {
				t.Errorf("%s: asked %d times, want %d", s.name, got, s.asked)
			}
			if got := tn.saml().Metadata; !strings.Contains(got, s.metadata) || s.metadata == "" && got != "" {
				t.Errorf("%s: the metadata is %q", s.name, got)
			}
			if got := tn.told(at); got != s.told {
				t.Errorf("%s: told %q, want %q", s.name, got, s.told)
			}
		}
	})
}

// When a document is fetched again follows from what it says, within bounds.
func TestRefreshTimes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tests := []struct {
			attributes func(now time.Time) string
			want       time.Duration
		}{
			{func(time.Time) string { return "" }, 4 * time.Hour},
			{func(time.Time) string { return `cacheDuration="PT2H"` }, 2 * time.Hour},
			{func(time.Time) string { return `cacheDuration="PT1S"` }, time.Hour},
			{func(time.Time) string { return `cacheDuration="P30D"` }, 24 * time.Hour},
			{func(now time.Time) string {
				return fmt.Sprintf("validUntil=%q", now.Add(3*time.Hour).Format(time.RFC3339))
			}, 3 * time.Hour},
			{func(now time.Time) string {
				return fmt.Sprintf("cacheDuration=\"PT2H\" validUntil=%q", now.Add(240*time.Hour).Format(time.RFC3339))
			}, 2 * time.Hour},
		}
		for _, tt := range tests {
			tn, p := refreshed(t, st)
			p.publish(published(t, "entityID=", tt.attributes(tn.clock.Now())+" entityID="))
			tn.runOnce()
			p.publish(published(t))
			tn.clock.add(tt.want - time.Second)
			tn.runOnce()
			if got := p.asked.Load(); got != 1 {
				t.Errorf("%v: asked %d times before", tt.want, got)
			}
			tn.clock.add(time.Second)
			tn.runOnce()
			if got := p.asked.Load(); got != 2 {
				t.Errorf("%v: asked %d times then", tt.want, got)
			}
		}
	})
}

// A document that says nothing new is taken before the one that is there ends.
func TestRefreshBeforeTheEnd(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, p := refreshed(t, st)
		until := func(d time.Duration) string {
			return published(t, "entityID=", fmt.Sprintf("validUntil=%q entityID=", tn.clock.Now().Add(d).Format(time.RFC3339)))
		}
		p.publish(until(72 * time.Hour))
		tn.runOnce()
		first := tn.saml().Metadata
		tn.clock.add(23 * time.Hour)
		tn.clock.add(time.Hour)
		p.publish(until(72 * time.Hour))
		tn.runOnce()
		if got := tn.saml().Metadata; got != first {
			t.Errorf("taken with two days left")
		}
		at := tn.lastSequence()
		tn.clock.add(24 * time.Hour)
		p.publish(until(72 * time.Hour))
		tn.runOnce()
		if got := tn.saml().Metadata; got == first || tn.told(at) != "connection.updated" {
			t.Errorf("not taken with one day left; told %q", tn.told(at))
		}
	})
}

// By hand it is fetched at once, and the error says what is wrong.
func TestRefreshByHand(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, p := refreshed(t, st)
		dir := tn.engine.Directory("acme")
		for document, want := range map[string]string{
			"":                             "status 502",
			"<!DOCTYPE html><html></html>": "an HTML page",
			published(t, "entityID=", `validUntil="2000-01-01T00:00:00" entityID=`): "valid until 2000-01-01T00:00:00Z",
			strings.Repeat(" ", 1<<20+1): "more than 1048576 bytes",
		} {
			p.document.Store(nil)
			if document != "" {
				p.publish(document)
			}
			changed, err := dir.RefreshMetadata(t.Context())
			var wrong *provision.ConnectionError
			if changed || !errors.As(err, &wrong) || wrong.Field != "saml.metadataURL" || !strings.Contains(wrong.Reason, want) && !strings.Contains(wrong.Reason, "bytes, of which") {
				t.Errorf("%v, %v, want %q", changed, err, want)
			}
		}
		p.publish(published(t))
		for _, want := range []bool{true, false} {
			if changed, err := dir.RefreshMetadata(t.Context()); err != nil || changed != want {
				t.Errorf("changed %v, %v", changed, err)
			}
		}
		tn.engine.Outbound.AllowPrivate = false
		if _, err := dir.RefreshMetadata(t.Context()); err == nil || strings.Contains(err.Error(), "dial tcp") || !strings.Contains(err.Error(), "this machine") {
			t.Errorf("a private address: %v", err)
		}
		tn.saveSAML(provision.SAML{Metadata: published(t)})
		var wrong *provision.ConnectionError
		if _, err := dir.RefreshMetadata(t.Context()); !errors.As(err, &wrong) {
			t.Errorf("without an address: %v", err)
		}
		if _, err := tn.engine.Directory("nobody").RefreshMetadata(t.Context()); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("of nobody: %v", err)
		}
	})
}

// Settings from a file that know nothing of the document keep it, as long as they
// mean the same one.
func TestRefreshIsKept(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, p := refreshed(t, st)
		p.publish(published(t))
		tn.runOnce()
		at := tn.lastSequence()
		tn.saveSAML(provision.SAML{MetadataURL: p.URL + "/metadata"})
		if tn.saml().Metadata == "" || tn.told(at) != "" {
			t.Errorf("the same settings: %+v, told %q", tn.saml(), tn.told(at))
		}
		tn.saveSAML(provision.SAML{MetadataURL: p.URL + "/metadata", SignRequests: true})
		if tn.saml().Metadata == "" {
			t.Error("other settings lose the document")
		}
		tn.saveSAML(provision.SAML{MetadataURL: p.URL + "/other"})
		if tn.saml().Metadata != "" {
			t.Error("another address keeps the document")
		}
		p.publish(published(t, "https://idp.example.com/metadata", "https://other.example.com/metadata"))
		tn.runOnce() // another address is due at once, and may be of another entity
		if !strings.Contains(tn.saml().Metadata, "https://other.example.com/metadata") {
			t.Errorf("of another address: %q", tn.saml().Metadata)
		}
	})
}

// Settings that only the host knows do not keep a new document away.
func TestRefreshWithPermissionsOfTheHost(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, p := refreshed(t, st)
		tn.engine.Permissions = []string{"crm"}
		_, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), func(c *provision.Connection) error {
			c.Policy.Permissions = policy.Permissions{"crm": new(bool)}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		p.publish(published(t))
		if changed, err := tn.engine.Directory("acme").RefreshMetadata(t.Context()); err != nil || !changed {
			t.Errorf("changed %v, %v", changed, err)
		}
	})
}

// A document counts for the settings that it was fetched for.
func TestRefreshWhileEdited(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		const other = "https://other.example.com/metadata"
		tn, p := refreshed(t, st)
		p.publish(published(t))
		for name, edit := range map[string]provision.SAML{
			"another entity id is set":   {IDPEntityID: other, MetadataURL: p.URL + "/metadata"},
			"another document is put in": {Metadata: published(t, "https://idp.example.com/metadata", other), MetadataURL: p.URL + "/metadata"},
			"another address is set":     {MetadataURL: p.URL + "/other"},
		} {
			tn.saveSAML(provision.SAML{MetadataURL: p.URL + "/metadata"})
			p.asking = func() { tn.saveSAML(edit) }
			changed, err := tn.engine.Directory("acme").RefreshMetadata(t.Context())
			if err != nil || changed || tn.saml().Metadata != edit.Metadata {
				t.Errorf("%s: changed %v, %v: %+v", name, changed, err, tn.saml())
			}
			tn.saveSAML(provision.SAML{MetadataURL: p.URL + "/none"}) // nothing of it stays
		}
	})
}

// Of several processes one fetches; and a server that hangs holds nothing else up.
func TestRefreshByReplicas(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, p := refreshed(t, st)
		p.publish(published(t))
		var wg sync.WaitGroup
		for range 4 {
			replica := &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now, Outbound: p.outbound}
			wg.Go(func() {
				if err := replica.RunOnce(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := p.asked.Load(); got != 1 {
			t.Errorf("asked %d times", got)
		}
	})
}

// Run fetches, and ends when it is told to although a server does not answer.
func TestRunFetches(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn, p := refreshed(t, st)
		p.publish(published(t))
		hanging := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		defer hanging.Close()
		roots := x509.NewCertPool()
		roots.AddCert(hanging.Certificate())
		roots.AddCert(p.Certificate())
		tn.engine.Outbound.RootCAs = roots
		for i := range 3 {
			id := fmt.Sprintf("a%d", i)
			if _, err := tn.engine.Directory(id).UpdateConnection(t.Context(), with(provision.Connection{ID: id, SAML: &provision.SAML{MetadataURL: hanging.URL}})); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- tn.engine.Run(ctx) }()
		for deadline := time.Now().Add(time.Minute); tn.saml().Metadata == ""; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing was fetched")
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// Run fetches the metadata of many connections, one after the other, and also after
// the clock was set back.
func TestRunFetchesOfMany(t *testing.T) {
	const many = 3 * 4 // more than are fetched at once
	tn, p := refreshed(t, memory.New())
	p.publish(published(t))
	p.asking = func() { time.Sleep(50 * time.Millisecond) }
	for i := range many - 1 {
		id := fmt.Sprintf("a%d", i)
		if _, err := tn.engine.Directory(id).UpdateConnection(t.Context(), with(provision.Connection{ID: id, SAML: &provision.SAML{MetadataURL: p.URL}})); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- tn.engine.Run(ctx) }()
	await := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: asked %d times", what, p.asked.Load())
			}
		}
	}
	await("all", func() bool {
		for i := range many - 1 {
			c, err := tn.engine.Directory(fmt.Sprintf("a%d", i)).Connection(t.Context())
			if err != nil || c.SAML.Metadata == "" {
				return false
			}
		}
		return tn.saml().Metadata != ""
	})
	tn.clock.add(-3 * 365 * 24 * time.Hour)
	await("after the clock was set back", func() bool { return p.asked.Load() == 2*many })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
