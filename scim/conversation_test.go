package scim_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/scimtest"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/postgres"
	"github.com/scimjit/provision/store/sqlite"
)

// updateConversations is set by: go test ./scim -run TestConversations -update
var updateConversations = flag.Bool("update", false, "rewrite the golden files")

const (
	conversationDir   = "../testdata/idp"
	conversationBase  = "https://app.example/scim/v2" // what addresses in answers start with
	conversationToken = "conversation-token-0123456789abcdefghij"
)

// conversation is what an identity provider sends to one connection, in order.
type conversation struct {
	IDP         string             `json:"idp"`
	About       string             `json:"about"`
	Dialect     string             `json:"dialect"`
	Attributes  []string           `json:"attributes"`  // see provision.Connection
	Policy      *policy.Config     `json:"policy"`      // nil: the defaults
	Headers     map[string]string  `json:"headers"`     // of every request
	BodyHeaders map[string]string  `json:"bodyHeaders"` // of requests with a body
	Steps       []conversationStep `json:"steps"`
}

// conversationStep is one request, or a moment at which something else happens.
// {name} in the path and in the body stands for what an earlier step captured,
// <token> in a header for the token of the connection.
type conversationStep struct {
	Step     string            `json:"step"`     // unique in the file
	Wait     string            `json:"wait"`     // how long after the step before; the clock stands still otherwise
	Restart  bool              `json:"restart"`  // no request: the store is closed and opened again
	Accounts bool              `json:"accounts"` // no request: the golden file lists the accounts at this moment
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Headers  map[string]string `json:"headers"` // in place of those of the file
	Body     json.RawMessage   `json:"body"`
	Status   int               `json:"status"`
	Capture  map[string]string `json:"capture"` // name to JSON pointer into the answer
	Note     string            `json:"note"`
	Source   string            `json:"source"` // where the request was seen; empty for one added for sense
}

// conversationGolden is the golden file of a conversation. In it, ids are
// written as the names of the captures, and those of accounts as {account1},
// {account2} in the order of their creation.
type conversationGolden struct {
	Steps    []json.RawMessage `json:"steps"`    // each a conversationOutcome
	Accounts []json.RawMessage `json:"accounts"` // at the end, tombstones included, in the order of their creation
}

// conversationOutcome is what came of one step.
type conversationOutcome struct {
	Step     string              `json:"step"`
	Status   int                 `json:"status,omitempty"`
	Headers  map[string]string   `json:"headers,omitempty"`
	Body     json.RawMessage     `json:"body,omitempty"`
	Events   []conversationEvent `json:"events,omitempty"`
	Accounts []json.RawMessage   `json:"accounts,omitempty"`
}

// conversationEvent is an event without what is the same in all of a step.
type conversationEvent struct {
	Type       store.EventType    `json:"type"`
	Resource   *store.ResourceRef `json:"resource,omitempty"`
	AccountID  string             `json:"accountId,omitempty"`
	Status     policy.Status      `json:"status,omitempty"`
	Changes    []store.Change     `json:"changes,omitempty"`
	Reasons    []policy.Reason    `json:"reasons,omitempty"`
	Tolerances []string           `json:"tolerances,omitempty"`
}

// conversationStore is a store that every conversation runs on. The function
// that open returns opens the store, and after its Close opens it again with
// what it held.
type conversationStore struct {
	name   string
	open   func(t *testing.T, dir string) func() store.Store
	limits provision.Limits
}

func conversationStores() []conversationStore {
	return []conversationStore{
		{
			name: "memory",
			open: func(*testing.T, string) func() store.Store {
				s := unclosed{memory.New()}
				return func() store.Store { return s }
			},
		},
		{
			name: "memory, members staged",
			open: func(*testing.T, string) func() store.Store {
				s := unclosed{memory.New()}
				return func() store.Store { return s }
			},
			limits: provision.Limits{InlineMembers: 1},
		},
		{
			name: "sqlite",
			open: func(t *testing.T, dir string) func() store.Store {
				return func() store.Store {
					s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(dir, "provision.db")})
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
			},
		},
		{name: "postgres", open: reopenPostgres(0)},
		{name: "partitioned", open: reopenPostgres(3)},
	}
}

func reopenPostgres(partitions int) func(*testing.T, string) func() store.Store {
	return func(t *testing.T, _ string) func() store.Store {
		config := postgrestest.Empty(t, partitions)
		return func() store.Store {
			s, err := postgres.Open(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
}

// unclosed is a store that survives Close, as a database does.
type unclosed struct{ store.Store }

func (unclosed) Close() error { return nil }

// TestConversations replays every conversation of testdata/idp over HTTP on
// every store. A new identity provider is a new file there.
func TestConversations(t *testing.T) {
	for _, name := range conversationNames(t) {
		t.Run(name, func(t *testing.T) {
			conv := readConversation(t, name)
			for i, s := range conversationStores() {
				t.Run(s.name, func(t *testing.T) {
					dir := t.TempDir()
					r := newReplay(t, conv, s.open(t, dir), s.limits)
					got := r.run()
					r.checkSecrets(dir)
					r.stop()
					r.checkFiles(dir) // now without what was still in memory
					if *updateConversations && i == 0 {
						writeGolden(t, name, got) // and compare the other stores with it
					}
					compareConversation(t, name, got)
				})
			}
		})
	}
}

// conversationNames returns the files of the conversations without ".json".
func conversationNames(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(conversationDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names, goldens []string
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if golden, ok := strings.CutSuffix(name, ".golden"); ok {
			goldens = append(goldens, golden)
			continue
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		t.Fatalf("no conversations in %s", conversationDir)
	}
	for _, golden := range goldens {
		if !slices.Contains(names, golden) {
			t.Errorf("%s.golden.json has no conversation", golden)
		}
	}
	return names
}

func readConversation(t *testing.T, name string) *conversation {
	t.Helper()
	var conv conversation
	readStrict(t, filepath.Join(conversationDir, name+".json"), &conv)
	if conv.IDP == "" || len(conv.Steps) == 0 {
		t.Fatalf("%s: idp or steps are missing", name)
	}
	seen := map[string]bool{}
	for _, step := range conv.Steps {
		if step.Step == "" || seen[step.Step] {
			t.Errorf("%s: step name %q is empty or used twice", name, step.Step)
		}
		seen[step.Step] = true
		request := step.Method != "" && step.Path != "" && step.Status != 0
		if special := step.Restart || step.Accounts; special == request {
			t.Errorf("%s: step %q is neither one whole request nor one other thing", name, step.Step)
		}
	}
	return &conv
}

// readStrict decodes a JSON file in which every key must be known.
func readStrict(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Fatalf("%s: data after the JSON value", path)
	}
}

// replay is one run of a conversation on one store.
type replay struct {
	t    *testing.T
	conv *conversation
	open func() store.Store

	limits provision.Limits

	clock scimtest.Clock
	ids   conversationIDs
	logs  bytes.Buffer

	store  store.Store
	engine *provision.Engine
	server *httptest.Server

	names    map[string]string // of captured values and accounts
	values   map[string]string // of the names of captures
	accounts int               // how many have a name
	sequence int64             // of the last event seen
	secrets  map[string]bool   // that must not come out anywhere
}

func newReplay(t *testing.T, conv *conversation, open func() store.Store, limits provision.Limits) *replay {
	r := &replay{
		t: t, conv: conv, open: open, limits: limits,
		names:   map[string]string{},
		values:  map[string]string{},
		secrets: map[string]bool{conversationToken: true},
	}
	r.clock.Advance(60*24*time.Hour + 8*time.Hour) // a morning in March
	r.start()
	operator := provision.Actor{Kind: "operator", ID: "test"}
	settings := provision.Connection{ID: "idp", Name: conv.IDP, Dialect: conv.Dialect, Attributes: conv.Attributes, SCIM: true}
	if conv.Policy != nil {
		settings.Policy = *conv.Policy
	}
	if _, err := r.engine.Directory(settings.ID).As(operator).UpdateConnection(t.Context(), with(settings)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.engine.Directory("idp").As(operator).SetCredential(t.Context(), provision.Secret{Token: conversationToken}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	r.events()
	return r
}

// start opens the store and serves it, as a process does when it starts.
func (r *replay) start() {
	r.store = r.open()
	logger := slog.New(slog.NewTextHandler(&r.logs, nil))
	r.engine = &provision.Engine{Store: r.store, Now: r.clock.Now, Rand: &r.ids, Logger: logger, Limits: r.limits}
	handler := &scim.Handler{
		Engine:  r.engine,
		Logger:  logger,
		BaseURL: func(*http.Request, string) string { return conversationBase },
	}
	r.server = httptest.NewServer(http.StripPrefix("/scim/v2", handler))
	r.t.Cleanup(r.server.Close)
}

// stop ends the process.
func (r *replay) stop() {
	r.t.Helper()
	r.server.Close()
	if err := r.store.Close(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *replay) directory() *provision.Directory { return r.engine.Directory("idp") }

// run takes all steps and returns what came of them.
func (r *replay) run() *conversationGolden {
	golden := &conversationGolden{}
	for i := range r.conv.Steps {
		step := &r.conv.Steps[i]
		if step.Wait != "" {
			r.wait(step.Wait)
		}
		out := &conversationOutcome{Step: step.Step}
		switch {
		case step.Restart:
			r.restart(step)
		case step.Accounts:
			out.Accounts = r.listAccounts()
		default:
			r.request(step, out)
		}
		out.Events = r.events()
		golden.Steps = append(golden.Steps, r.rename(marshalPlain(r.t, out)))
	}
	golden.Accounts = r.listAccounts()
	return golden
}

// restart ends the process and starts another on the same store.
func (r *replay) restart(step *conversationStep) {
	before := r.listAccounts()
	r.stop()
	r.start()
	if diff := cmp.Diff(jsonTexts(before), jsonTexts(r.listAccounts())); diff != "" {
		r.t.Errorf("%s: accounts before and after (-before +after):\n%s", step.Step, diff)
	}
}

func (r *replay) request(step *conversationStep, out *conversationOutcome) {
	resp := r.send(step)
	out.Status, out.Headers = resp.status, map[string]string{}
	for _, name := range []string{"Content-Type", "Etag", "Location", "Allow", "Retry-After", "Www-Authenticate"} {
		if v := resp.header.Values(name); len(v) > 0 {
			out.Headers[name] = strings.Join(v, "; ")
		}
	}
	if resp.status != step.Status {
		r.t.Errorf("%s: status %d, want %d: %s", step.Step, resp.status, step.Status, resp.body)
	}
	for _, fault := range resp.faults() {
		r.t.Errorf("%s: %s: %s", step.Step, fault, resp.body)
	}
	r.checkText(step.Step, resp.body)
	if len(resp.body) > 0 && json.Valid(resp.body) {
		out.Body = resp.body
	}
	for name, pointer := range step.Capture {
		value := textAt(resp.body, pointer)
		if value == "" {
			r.t.Fatalf("%s: nothing to capture at %q: %s", step.Step, pointer, resp.body)
		}
		r.values["{"+name+"}"], r.names[value] = value, "{"+name+"}"
	}
}

// send makes the request of a step and reads the answer.
func (r *replay) send(step *conversationStep) conversationAnswer {
	r.t.Helper()
	collectPasswords(step.Body, r.secrets)
	body := r.fill(string(step.Body))
	req, err := http.NewRequestWithContext(r.t.Context(), step.Method, r.server.URL+"/scim/v2"+r.fill(step.Path), strings.NewReader(body))
	if err != nil {
		r.t.Fatalf("%s: %v", step.Step, err)
	}
	req.Header["User-Agent"] = []string{""} // not the one of Go
	headers := maps.Clone(r.conv.Headers)
	if body != "" {
		maps.Copy(headers, r.conv.BodyHeaders)
	}
	maps.Copy(headers, step.Headers)
	for name, value := range headers {
		req.Header.Set(name, strings.ReplaceAll(value, "<token>", conversationToken))
	}
	client := http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatalf("%s: %v", step.Step, err)
	}
	defer resp.Body.Close() //nolint:errcheck // the body has been read
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatalf("%s: %v", step.Step, err)
	}
	return conversationAnswer{status: resp.StatusCode, header: resp.Header, body: answer}
}
