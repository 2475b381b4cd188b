package schema

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Embedded returns the JSON object or array that a text holds, where [JSONText]
// allows it, and records that it was needed.
func (d *Decoder) Embedded(text string) (string, bool) {
	if d.Allow&JSONText == 0 {
		return "", false
	}
	text = strings.TrimSpace(text)
	if text == "" || text[0] != '{' && text[0] != '[' || !jsontext.Value(text).IsValid() {
		return "", false
	}
	return text, d.Use(JSONText)
}

// Structured reports whether JSON writes a value of the attribute as an object or
// an array.
func (a *Attribute) Structured() bool { return a.Type == Complex || a.MultiValued }

// embedded returns a reader of the JSON that the text which comes next holds, to
// be released after use, or nil where it is a text like any other. An element of
// a simple attribute may well be a text that looks like an object.
func (r *reader) embedded(a *Attribute) (*reader, error) {
	if r.decoder == nil || r.decoder.Allow&JSONText == 0 || !a.Structured() {
		return nil, nil
	}
	start := r.pos
	text, err := r.text()
	if err != nil {
		return nil, err
	}
	if a.Type != Complex && strings.HasPrefix(strings.TrimSpace(text), "{") {
		text = ""
	}
	text, ok := r.decoder.Embedded(text)
	if !ok {
		r.pos = start
		return nil, nil
	}
	inner, err := r.decoder.reader([]byte(text))
	if err != nil {
		return nil, err
	}
	inner.depth = r.depth
	return inner, nil
}

// wrapped reads {"value": x} in the place of x. What else the object has says
// nothing.
func (r *reader) wrapped(a *Attribute) (kind Kind, text string, err error) {
	if r.decoder.Allow&WrappedValue == 0 {
		return Unassigned, "", expected(a, a.expects(), '{')
	}
	found := false
	err = r.items('}', func() error {
		name, err := r.key()
		if err != nil {
			return err
		}
		if !sameName(name, "value") {
			return r.skip()
		}
		if found || r.peek() == '{' {
			return expected(a, a.expects(), '{')
		}
		found = true
		v, err := r.one(a)
		kind, text = v.Kind, v.Text
		return err
	})
	if err == nil && !found {
		err = expected(a, a.expects(), '{')
	}
	if err != nil {
		return Unassigned, "", err
	}
	r.decoder.Use(WrappedValue)
	return kind, text, nil
}

// unarmored returns base64 without white space, and without the lines of PEM
// around it (RFC 7468 section 2), whatever became of the breaks between them. It
// returns "" for text with other lines of that kind, such as two certificates.
func unarmored(text string) string {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, begin); ok {
		label, body, _ := strings.Cut(rest, dashes)
		if body, ok = strings.CutSuffix(body, end+label+dashes); ok {
			text = body
		}
	}
	if strings.Contains(text, dashes) {
		return ""
	}
	return strings.Join(strings.Fields(text), "")
}
