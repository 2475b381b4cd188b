package elimity

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	scimerrors "github.com/elimity-com/scim/errors"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scimjit/provision/scim/filter"
)

// Limits bounds the requests that [Limits.Guard] lets through. A zero field
// means its default.
type Limits struct {
	Body       int64         // bytes of a request body; default 16 MiB, a group with many members
	Operations int           // operations in a PATCH; default 1000
	Paths      int           // bytes of all attribute paths in a PATCH; default 128 KiB
	Filter     filter.Limits // of each filter and each path
}

// Guard is [Limits.Guard] with the default limits.
func Guard(next http.Handler) http.Handler { return Limits{}.Guard(next) }

// Guard returns a handler that checks whatever an elimity-com/scim server would
// parse as a filter or as a path before next sees it: the query parameter
// filter, the filter of a .search request, and the paths of a PATCH, which may
// be keys of its values. The parser of that server ends the process on deeply
// nested filters, and takes microseconds for each byte.
//
// What does not parse within the limits is answered with a SCIM error: 400
// "invalidFilter" or "invalidPath", and 413 for too much of anything. A body
// that is not one JSON value without duplicate keys is 400 "invalidSyntax". The
// next handler reads the body as it came.
func (l Limits) Guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, err := l.check(w, r)
		if err != nil {
			writeError(w, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// check returns the request with its body restored.
func (l Limits) check(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	for _, text := range r.URL.Query()["filter"] {
		if err := l.filter(text); err != nil {
			return nil, err
		}
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return r, nil // the server reads no body
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cmp.Or(l.Body, 16<<20)))
	if err != nil {
		return nil, err
	}
	r = r.WithContext(r.Context()) // a copy
	r.Body = io.NopCloser(bytes.NewReader(body))
	// Duplicate keys are refused here, so that nobody behind can read another
	// of them than this does.
	if !jsontext.Value(body).IsValid() {
		return nil, scimerrors.ScimErrorInvalidSyntax
	}
	switch {
	case r.Method == http.MethodPatch:
		return r, l.patch(body)
	case strings.HasSuffix(r.URL.Path, "/.search"):
		return r, l.search(body)
	}
	return r, nil
}

func (l Limits) filter(text string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if _, err := filter.Parse(text, l.Filter); err != nil {
		return refusal(scimerrors.ScimTypeInvalidFilter, err)
	}
	return nil
}

// search checks the body of POST .search. It decodes as the server does, whose
// keys match in any case.
func (l Limits) search(body []byte) error {
	var req struct{ Filter string }
	if err := json.Unmarshal(body, &req); err != nil {
		return scimerrors.ScimErrorInvalidSyntax
	}
	return l.filter(req.Filter)
}

// patch checks the body of a PATCH, decoding as the server does: a key that is
// spelled in another way, such as with U+017F for an s, is the same to both.
func (l Limits) patch(body []byte) error {
	var req struct{ Operations []json.RawMessage }
	if err := json.Unmarshal(body, &req); err != nil {
		return scimerrors.ScimErrorInvalidSyntax
	}
	if most := cmp.Or(l.Operations, 1000); len(req.Operations) > most {
		return tooLarge("more than %d operations", most)
	}
	c := pathCheck{limits: l.Filter, most: cmp.Or(l.Paths, 128<<10)}
	for _, data := range req.Operations {
		var op struct {
			Path  string
			Value any
		}
		if err := json.Unmarshal(data, &op); err != nil {
			return scimerrors.ScimErrorInvalidSyntax
		}
		if err := c.path(op.Path, false); err != nil {
			return err
		}
		if op.Path != "" {
			continue
		}
		if err := c.keys(op.Value); err != nil {
			return err
		}
	}
	return nil
}

// pathCheck checks the paths of one request.
type pathCheck struct {
	limits filter.Limits
	most   int // bytes of all paths
	bytes  int
}

// path checks a path or what may be one.
func (c *pathCheck) path(text string, key bool) error {
	if c.bytes += len(text); c.bytes > c.most {
		return tooLarge("paths of more than %d bytes", c.most)
	}
	if text == "" || key && !strings.ContainsAny(text, "([") {
		return nil // a key without brackets may be any URN
	}
	if _, err := filter.ParsePath(text, c.limits); err != nil {
		return refusal(scimerrors.ScimTypeInvalidPath, err)
	}
	return nil
}

// keys checks the keys of a value without a path, which the server reads as
// paths, and those inside a schema URN.
func (c *pathCheck) keys(value any) error {
	object, ok := value.(map[string]any)
	if !ok {
		return nil
	}
	for key, v := range object {
		if err := c.path(key, true); err != nil {
			return err
		}
		if !strings.Contains(key, ":") {
			continue
		}
		if err := c.keys(v); err != nil {
			return err
		}
	}
	return nil
}

func refusal(t scimerrors.ScimType, err error) error {
	return scimerrors.ScimError{Status: http.StatusBadRequest, ScimType: t, Detail: err.Error()}
}

func tooLarge(format string, args ...any) error {
	return scimerrors.ScimError{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf(format, args...)}
}

// writeError is the one place that answers an error.
func writeError(w http.ResponseWriter, err error) {
	var (
		e   scimerrors.ScimError
		max *http.MaxBytesError
	)
	switch {
	case errors.As(err, &e):
	case errors.As(err, &max):
		e = scimerrors.ScimError{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the request body is larger than %d bytes", max.Limit)}
	default:
		e = scimerrors.ScimErrorInvalidSyntax // the body ended early
	}
	body, err := json.Marshal(e)
	if err != nil {
		body = nil
	}
	w.Header().Set("Content-Type", "application/scim+json")
	w.WriteHeader(e.Status)
	_, _ = w.Write(body) // the client is gone: there is nobody to tell
}
