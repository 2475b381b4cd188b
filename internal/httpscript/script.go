// Package httpscript replays scripts of SCIM requests that are kept as JSON
// files, and checks the answers. It is for the tests of this module: one walker
// for every handler that answers SCIM.
//
// # Scripts
//
// A [Script] is a list of [Step] values, taken in order. A step is one request
// and what its answer must be. A key that the format does not have fails the
// test, so that an expectation with a misspelled name cannot pass.
//
// # Names
//
// A step gives a name to a value of its answer with Capture. Where {name}
// stands in a later step, the value is put. {base} is the address of the service
// root. In an expected answer, the texts "<text>", "<time>" and "<any>" stand for
// any text that is not empty, any dateTime, and anything at all.
//
// # Every answer
//
// Whatever a step expects, its answer must be a SCIM message: the content type,
// the shape of errors and lists, no null, an ETag that equals meta.version, and
// a Location that equals meta.location.
package httpscript

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
)

// Script is one file.
type Script struct {
	// About says what the script shows, with the section of the RFC.
	About string `json:"about"`

	// Dialect is that of the connection; empty means auto. Dialects is several in
	// its place, for each of which the script is taken from its beginning.
	Dialect  string   `json:"dialect"`
	Dialects []string `json:"dialects"`

	Steps []Step `json:"steps"`
}

// Step is one request and what its answer must be.
type Step struct {
	Name string `json:"name"` // default: what is asked for

	// As is the name of the token to send; empty means "scim".
	As string `json:"as"`

	// Method is GET when empty.
	Method string `json:"method"`

	// Path is below the service root, such as "/Users". Operator, in its place,
	// is a path of the operator's endpoints, whose answers are not SCIM.
	Path     string `json:"path"`
	Operator string `json:"operator"`

	Query   map[string]string `json:"query"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`

	// Status is 200 when 0.
	Status int `json:"status"`

	// ScimType is that of an error, and Detail a part of its detail.
	ScimType string `json:"scimType"`
	Detail   string `json:"detail"`

	// Header is headers with their values; an empty value means absence.
	Header map[string]string `json:"header"`

	// Answer is the whole body. Has is a part of it: members that it does not
	// name may be there, but arrays are whole.
	Answer json.RawMessage `json:"answer"`
	Has    json.RawMessage `json:"has"`

	// Lacks is JSON pointers to what the body must not have, Never is texts that
	// must not be anywhere in it.
	Lacks []string `json:"lacks"`
	Never []string `json:"never"`

	// Order is the ids of the resources of a list, in order.
	Order []string `json:"order"`

	// Capture gives names to values: name to JSON pointer, or "header Etag".
	Capture map[string]string `json:"capture"`

	// Save keeps the body under a name, and Same compares it with one kept.
	Save string `json:"save"`
	Same string `json:"same"`
}

// Read reads a script.
func Read(file string) (*Script, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var s Script
	if err := dec.Decode(&s); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: data after the script", file)
	}
	if s.About == "" || len(s.Steps) == 0 {
		return nil, fmt.Errorf("%s: about or steps are missing", file)
	}
	switch {
	case s.Dialects == nil:
		s.Dialects = []string{s.Dialect}
	case s.Dialect != "" || len(s.Dialects) == 0:
		return nil, fmt.Errorf("%s: both dialect and dialects, or none of several", file)
	}
	for i := range s.Steps {
		if err := s.Steps[i].complete(); err != nil {
			return nil, fmt.Errorf("%s: step %d: %w", file, i+1, err)
		}
	}
	return &s, nil
}

// complete puts the defaults in, and refuses a step that checks nothing it could
// check.
func (s *Step) complete() error {
	if (s.Path == "") == (s.Operator == "") {
		return fmt.Errorf("%q has not one of path and operator", s.Name)
	}
	if s.Method == "" {
		s.Method = http.MethodGet
	}
	if s.Status == 0 {
		s.Status = http.StatusOK
	}
	if s.Name == "" {
		s.Name = s.Method + " " + s.Path + s.Operator
		if q, err := url.QueryUnescape(s.values().Encode()); err == nil && q != "" {
			s.Name += "?" + q
		}
	}
	if s.Status >= http.StatusBadRequest && s.ScimType == "" && s.Detail == "" && s.Has == nil && s.Answer == nil {
		return fmt.Errorf("%q does not say which error it expects", s.Name)
	}
	return nil
}

func (s *Step) values() url.Values {
	v := url.Values{}
	for name, value := range s.Query {
		v.Set(name, value)
	}
	return v
}
