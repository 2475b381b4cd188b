package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// answer is what the API says to a page: the handlers are called in this process, with
// the rights of the viewer.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(data []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(data)
}

// question is one request to the API.
type question struct {
	method  string
	path    []string // the segments of its address
	query   url.Values
	version int64 // for If-Match; 0 is none
	body    any   // JSON; nil is none
}

// ask puts a question to the API and reads its answer into out, unless that is nil. What
// the API refuses is a [*Problem].
func (v *visit) ask(q question, out any) error {
	a, err := v.send(q)
	if err != nil {
		return err
	}
	return a.read(out)
}

// read decodes an answer, or returns its problem.
func (a *answer) read(out any) error {
	if a.status >= http.StatusBadRequest {
		p := &Problem{}
		if err := json.Unmarshal(a.body.Bytes(), p); err != nil {
			return fmt.Errorf("console: the API answered %d without a problem: %w", a.status, err)
		}
		return p
	}
	if out == nil || a.body.Len() == 0 {
		return nil
	}
	return json.Unmarshal(a.body.Bytes(), out)
}

func (v *visit) send(q question) (a *answer, err error) {
	defer func() { // an answer that was begun cannot become a problem: the API cuts it off
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // a value that is thrown, not an error that is returned
			a, err = nil, &Problem{Status: http.StatusServiceUnavailable, Code: codeUnavailable, Detail: v.h.say("cut")}
		} else if p != nil {
			panic(p)
		}
	}()
	if slices.ContainsFunc(q.path, func(segment string) bool { return segment == "" || segment == "." || segment == ".." }) {
		return nil, missing("there is no such address")
	}
	var body bytes.Buffer
	if q.body != nil {
		enc := json.NewEncoder(&body)
		enc.SetEscapeHTML(false) // XML would become six times as long
		if err := enc.Encode(q.body); err != nil {
			return nil, err
		}
	}
	address := url.URL{Path: "/", RawQuery: q.query.Encode()}
	r, err := http.NewRequestWithContext(v.r.Context(), q.method, address.JoinPath(escaped(q.path)...).String(), &body)
	if err != nil {
		return nil, err
	}
	r.RemoteAddr = v.r.RemoteAddr
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.version != 0 {
		r.Header.Set("If-Match", `"`+strconv.FormatInt(q.version, 10)+`"`)
	}
	a = &answer{header: http.Header{}}
	v.h.API.ServeHTTP(a, r.WithContext(context.WithValue(r.Context(), viewerKey{}, v.viewer)))
	if err := v.r.Context().Err(); err != nil {
		return nil, err
	}
	return a, nil
}

func escaped(path []string) []string {
	out := make([]string, len(path))
	for i, p := range path {
		out[i] = url.PathEscape(p)
	}
	return out
}

// get reads what is at an address of the API.
func (v *visit) get(out any, query url.Values, path ...string) error {
	return v.ask(question{method: http.MethodGet, path: path, query: query}, out)
}

// list reads a page of a list, and the parameters of the page that follows; nil where
// none does.
func (v *visit) list(out any, query url.Values, path ...string) (next url.Values, err error) {
	a, err := v.send(question{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return nil, err
	}
	if err := a.read(out); err != nil {
		return nil, err
	}
	link, rest, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Link"), "<"), ">")
	if link == "" || !strings.Contains(rest, `rel="next"`) {
		return nil, nil
	}
	target, err := url.Parse(link)
	if err != nil {
		return nil, err
	}
	return target.Query(), nil
}

// of is an address below the connection.
func (v *visit) of(rest ...string) []string {
	return append([]string{"connections", v.head.ID}, rest...)
}

// describe says how an error is shown: with which status, under which title, in which
// words.
func (h *Handler) describe(err error) (status int, title, text, code string) {
	var (
		shown   *pageError
		problem *Problem
	)
	switch {
	case errors.As(err, &shown):
		return shown.status, h.say(shown.title), shown.text, ""
	case errors.As(err, &problem) && problem.Status == http.StatusNotFound:
		return problem.Status, h.say("notFound"), h.say("notFoundText"), ""
	case errors.As(err, &problem) && problem.Status == http.StatusServiceUnavailable:
		return problem.Status, h.say("busy"), problem.Detail, problem.Code
	case errors.As(err, &problem):
		return problem.Status, h.say("problem"), problem.Detail, problem.Code
	case errors.Is(err, context.Canceled):
		return 499, h.say("problem"), h.say("internal"), "" // nobody reads it
	}
	return http.StatusInternalServerError, h.say("problem"), h.say("internal"), ""
}

// problemIn returns the problem that an error is.
func problemIn(err error) (*Problem, bool) {
	var p *Problem
	ok := errors.As(err, &p)
	return p, ok
}

// viewerKey marks a request of a page, which knows who asks.
type viewerKey struct{}
