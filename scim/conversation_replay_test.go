package scim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
)

// events returns the events since the last call.
func (r *replay) events() []conversationEvent {
	r.t.Helper()
	list, err := r.directory().Events(r.t.Context(), r.sequence, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []conversationEvent
	for _, ev := range list {
		if r.sequence++; ev.Sequence != r.sequence {
			r.t.Errorf("event %d follows %d", ev.Sequence, r.sequence-1)
		}
		if !ev.Time.Equal(r.clock.Now()) {
			r.t.Errorf("event %d is of %s, want %s", ev.Sequence, ev.Time, r.clock.Now())
		}
		short := conversationEvent{
			Type: ev.Type, Resource: ev.Resource, AccountID: ev.AccountID,
			Changes: ev.Changes, Reasons: ev.Reasons, Tolerances: ev.Tolerances,
		}
		if ev.Account != nil {
			short.Status = ev.Account.Status
			r.nameAccount(ev.AccountID)
		}
		out = append(out, short)
	}
	return out
}

func (r *replay) nameAccount(id string) {
	if r.names[id] == "" {
		r.accounts++
		r.names[id] = fmt.Sprintf("{account%d}", r.accounts)
	}
}

// listAccounts returns all accounts as a host sees them. Ids sort in the order
// in which they were made, and so do the accounts.
func (r *replay) listAccounts() []json.RawMessage {
	r.t.Helper()
	list, err := r.directory().Accounts(r.t.Context(), store.AccountQuery{})
	if err != nil {
		r.t.Fatal(err)
	}
	out := make([]json.RawMessage, len(list))
	for i, a := range list {
		out[i] = r.rename(marshalPlain(r.t, a))
	}
	return out
}

// rename puts names in the place of ids, which change with every step that is
// added before them.
func (r *replay) rename(data []byte) []byte {
	var pairs []string
	for _, value := range slices.Sorted(maps.Keys(r.names)) {
		pairs = append(pairs, value, r.names[value])
	}
	data = tagDigest.ReplaceAll(data, []byte("$1-{groups}"))
	return []byte(strings.NewReplacer(pairs...).Replace(string(data)))
}

// tagDigest matches an entity tag with the digest of ids.
var tagDigest = regexp.MustCompile(`(W/\\"\d+)-[0-9a-z]+`)

var placeholder = regexp.MustCompile(`\{[A-Za-z][A-Za-z0-9]*\}`)

// fill puts what was captured in the place of names.
func (r *replay) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := r.values[name]
		if !ok {
			r.t.Fatalf("%s was not captured before", name)
		}
		return value
	})
}

// checkSecrets looks for secrets in all that the run left: logs, events,
// accounts, and the files of the store.
func (r *replay) checkSecrets(dir string) {
	r.t.Helper()
	events, err := r.directory().Events(r.t.Context(), 0, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	r.checkText("the events", marshalPlain(r.t, events))
	r.checkText("the accounts", marshalPlain(r.t, r.listAccounts()))
	r.checkText("the log", r.logs.Bytes())
	if bytes.Contains(r.logs.Bytes(), []byte("level=ERROR")) {
		r.t.Errorf("the log has errors:\n%s", r.logs.Bytes())
	}
	r.checkFiles(dir)
}

// checkFiles looks for secrets in the files of the store.
func (r *replay) checkFiles(dir string) {
	r.t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		r.checkText(entry.Name(), data)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *replay) checkText(where string, data []byte) {
	r.t.Helper()
	for secret := range r.secrets {
		if bytes.Contains(data, []byte(secret)) {
			r.t.Errorf("%s: has the secret %q", where, secret)
		}
	}
}

// collectPasswords adds the values of all keys "password" in a JSON text.
func collectPasswords(data []byte, into map[string]bool) {
	walkJSON(decodePlain(data), func(key string, v any) {
		if text, ok := v.(string); ok && strings.EqualFold(key, "password") {
			into[text] = true
		}
	})
}

func writeGolden(t *testing.T, name string, golden *conversationGolden) {
	t.Helper()
	if err := os.WriteFile(goldenPath(name), []byte(indented(marshalPlain(t, golden))+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func goldenPath(name string) string {
	return filepath.Join(conversationDir, name+".golden.json")
}

// compareConversation compares a run with its golden file.
func compareConversation(t *testing.T, name string, got *conversationGolden) {
	t.Helper()
	var want conversationGolden
	readStrict(t, goldenPath(name), &want)
	for i, step := range got.Steps {
		if i == len(want.Steps) {
			t.Fatalf("the golden file has %d steps, the conversation %d", len(want.Steps), len(got.Steps))
		}
		name := textAt(step, "/step")
		if golden := textAt(want.Steps[i], "/step"); golden != name {
			t.Fatalf("step %d is %q in the golden file and %q in the conversation", i+1, golden, name)
		}
		if diff := cmp.Diff(indented(want.Steps[i]), indented(step)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if len(want.Steps) > len(got.Steps) {
		t.Errorf("the golden file has %d steps, the conversation %d", len(want.Steps), len(got.Steps))
	}
	if diff := cmp.Diff(jsonTexts(want.Accounts), jsonTexts(got.Accounts)); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
}

// wait moves the clock, which stands still otherwise.
func (r *replay) wait(text string) {
	r.t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		r.t.Fatalf("wait %q: %v", text, err)
	}
	r.clock.Advance(d)
}

// conversationIDs is a source of randomness that makes ids which sort in the
// order in which they were made: the base32 of ids begins with two letters that
// count, the others are "a".
type conversationIDs struct{ made atomic.Int64 }

func (c *conversationIDs) Read(b []byte) (int, error) {
	n := c.made.Add(1)
	const letters = 26 // the first of the 32 digits of base32; the others sort before them
	digits := n/letters<<5 | n%letters
	clear(b)
	b[0], b[1] = byte(digits>>2), byte(digits<<6)
	return len(b), nil
}

// textAt returns the string at a JSON pointer, or "".
func textAt(data []byte, pointer string) string {
	v := decodePlain(data)
	for key := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch at := v.(type) {
		case map[string]any:
			v = at[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(at) {
				return ""
			}
			v = at[i]
		default:
			return ""
		}
	}
	text, _ := v.(string)
	return text
}

// decodePlain decodes a JSON text with numbers as they are written; nil when it
// is none.
func decodePlain(data []byte) any {
	var v any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if dec.Decode(&v) != nil {
		return nil
	}
	return v
}

// marshalPlain encodes a value with "<" and "&" as they are.
func marshalPlain(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// indented lays a JSON text out and changes nothing else: not the order of
// keys, not the way in which numbers and strings are written.
func indented(data []byte) string {
	var compact, b bytes.Buffer
	if json.Compact(&compact, data) != nil || json.Indent(&b, compact.Bytes(), "", "  ") != nil {
		return string(data)
	}
	return b.String()
}

func jsonTexts(list []json.RawMessage) []string {
	out := make([]string, len(list))
	for i, data := range list {
		out[i] = indented(data)
	}
	return out
}
