package httpscript

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
)

// Player sends the requests of scripts.
type Player struct {
	// Client sends; nil means [http.DefaultClient].
	Client *http.Client

	// Base is the address of the service root, Operator that of the operator's
	// endpoints. Neither ends with a slash.
	Base, Operator string

	// Tokens are bearer tokens by name: "scim", "operator", and others.
	Tokens map[string]string
}

// Handler returns a client that asks a handler without a network.
func Handler(h http.Handler) *http.Client { return &http.Client{Transport: transport{h}} }

// T is what a player needs of a [testing.T].
type T interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// play is a script being replayed.
type play struct {
	T
	player *Player
	values map[string]string // of names
	saved  map[string]string // bodies
}

// Play takes the steps of a script. It stops at the first step that fails, since
// the others build on it.
func (p *Player) Play(t T, s *Script) {
	t.Helper()
	run := &play{T: t, player: p, values: map[string]string{"base": p.Base}, saved: map[string]string{}}
	for i := range s.Steps {
		step := &s.Steps[i]
		a := run.send(step)
		faults := run.check(step, a)
		for _, fault := range faults {
			t.Errorf("%s", fault)
		}
		if len(faults) > 0 {
			t.Fatalf("step %d, %s, failed. The answer was %d %s", i+1, step.Name, a.status, a.body)
		}
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	value  any // the body decoded, nil when there is none
}

// check returns what is wrong with an answer.
func (p *play) check(s *Step, a *answer) []string {
	p.Helper()
	if a.status != s.Status {
		return []string{fmt.Sprintf("status %d, want %d", a.status, s.Status)}
	}
	faults := p.keep(s, a) // first: what the step expects may name its own captures
	if s.Operator == "" {
		faults = append(faults, a.faults()...)
		faults = append(faults, a.errorFaults(s)...)
	}
	for name, want := range s.Header {
		if got := a.header.Get(name); got != p.fill(want, false) {
			faults = append(faults, fmt.Sprintf("header %s is %q, want %q", name, got, p.fill(want, false)))
		}
	}
	if s.Answer != nil {
		faults = append(faults, differences(p.expected(s.Answer), a.value, true)...)
	}
	if s.Has != nil {
		faults = append(faults, differences(p.expected(s.Has), a.value, false)...)
	}
	for _, pointer := range s.Lacks {
		if v, ok := at(a.value, p.fill(pointer, false)); ok {
			faults = append(faults, fmt.Sprintf("%s is there: %v", pointer, v))
		}
	}
	for _, text := range s.Never {
		if bytes.Contains(a.body, []byte(p.fill(text, false))) {
			faults = append(faults, fmt.Sprintf("the body has %q", text))
		}
	}
	if s.Order != nil {
		faults = append(faults, p.order(s.Order, a.value)...)
	}
	return faults
}

// send makes the request of a step and reads the answer.
func (p *play) send(s *Step) *answer {
	p.Helper()
	address, token := p.player.Base+p.fill(s.Path, false), "scim"
	if s.Operator != "" {
		address, token = p.player.Operator+p.fill(s.Operator, false), "operator"
	}
	if s.As != "" {
		token = s.As
	}
	values := s.values()
	for name := range values {
		values.Set(name, p.fill(values.Get(name), false))
	}
	if len(values) > 0 {
		address += "?" + values.Encode()
	}
	body := p.fill(string(s.Body), true)
	req, err := http.NewRequestWithContext(p.Context(), s.Method, address, strings.NewReader(body))
	if err != nil {
		p.Fatalf("%v", err)
	}
	secret, ok := p.player.Tokens[token]
	if !ok {
		p.Fatalf("there is no token %q", token)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	for name, value := range s.Headers {
		req.Header.Set(name, p.fill(value, false))
	}
	client := p.player.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		p.Fatalf("%v", err)
	}
	data, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close() // it has been read
	if err != nil {
		p.Fatalf("%v", err)
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, body: data}
	if s.Operator != "" && resp.Header.Get("Content-Type") == "application/x-ndjson" {
		data = []byte("[" + strings.ReplaceAll(strings.TrimSpace(string(data)), "\n", ",") + "]")
	}
	a.value, _ = decode(data)
	return a
}

// keep captures and saves what the step names.
func (p *play) keep(s *Step, a *answer) []string {
	var faults []string
	for name, where := range s.Capture {
		if header, ok := strings.CutPrefix(where, "header "); ok {
			p.values[name] = a.header.Get(header)
		} else {
			v, _ := at(a.value, where)
			p.values[name], _ = v.(string)
		}
		if p.values[name] == "" {
			faults = append(faults, fmt.Sprintf("nothing to capture at %q", where))
		}
	}
	if s.Save != "" {
		p.saved[s.Save] = string(a.body)
	}
	if s.Same != "" && p.saved[s.Same] != string(a.body) {
		faults = append(faults, "the body differs from the one kept as "+s.Same+": "+p.saved[s.Same])
	}
	return faults
}

func (p *play) order(want []string, body any) []string {
	object, _ := body.(map[string]any)
	list, _ := object["Resources"].([]any)
	var got, ids []string
	for _, e := range list {
		resource, _ := e.(map[string]any)
		id, _ := resource["id"].(string)
		got = append(got, p.named(id))
	}
	for _, w := range want {
		ids = append(ids, p.named(p.fill(w, false)))
	}
	if strings.Join(got, " ") != strings.Join(ids, " ") {
		return []string{fmt.Sprintf("the resources are %v, want %v", got, ids)}
	}
	return nil
}

// named returns the name of a value, for messages.
func (p *play) named(value string) string {
	for name, v := range p.values {
		if v == value {
			return "{" + name + "}"
		}
	}
	return value
}

func (p *play) expected(text json.RawMessage) any {
	p.Helper()
	v, err := decode([]byte(p.fill(string(text), true)))
	if err != nil {
		p.Fatalf("%v in %s", err, text)
	}
	return v
}

var placeholder = regexp.MustCompile(`\{[A-Za-z][A-Za-z0-9]*\}`)

// fill puts values in the place of names, quoted where they stand inside a JSON
// string.
func (p *play) fill(text string, inJSON bool) string {
	p.Helper()
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := p.values[name[1:len(name)-1]]
		if !ok {
			p.Fatalf("%s has no value yet", name)
		}
		if !inJSON {
			return value
		}
		quoted, err := json.Marshal(value)
		if err != nil {
			p.Fatalf("%v", err)
		}
		return string(quoted[1 : len(quoted)-1])
	})
}

// decode decodes one JSON value, with numbers as they are written.
func decode(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("data after the JSON value")
	}
	return v, nil
}

// transport answers by a handler.
type transport struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	t.handler.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}
