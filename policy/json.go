package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Parse reads a policy object. Options that it does not name are zero, which
// stands for their defaults. An unknown or duplicate key, a value of the wrong type, a wrong
// value and anything that is not one JSON object is a *[ConfigError].
//
// Rules between options are left to [Config.Compile].
func Parse(data []byte) (Config, error) {
	if at := invalidUTF8(string(data)); at >= 0 {
		return Config{}, &ConfigError{Code: CodeNotText, Value: string(data[at : at+1]), Offset: at, Document: true, Detail: "is not valid UTF-8"}
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return Config{}, syntaxError(data, err)
	}
	var c Config
	members, err := value{data: data}.members()
	if err != nil {
		return Config{}, err
	}
	for _, m := range members {
		o, err := findOption(m)
		if err != nil {
			return Config{}, err
		}
		if err := m.read(o.field(&c)); err != nil {
			return Config{}, err
		}
		if err := o.verify(&c); err != nil {
			return Config{}, err
		}
	}
	return c, nil
}

// UnmarshalJSON implements [json.Unmarshaler]. It reads like [Parse]: nothing of
// what c was before remains. Offsets count in the policy object. On
// an error c is left as it was.
func (c *Config) UnmarshalJSON(data []byte) error {
	parsed, err := Parse(data)
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// MarshalJSON implements [json.Marshaler]. It writes every option, defaults in
// full, always in the same order. So a value and the zero value that stands for
// it are the same bytes, and reading them does not depend on the defaults.
func (c Config) MarshalJSON() ([]byte, error) {
	c.spellOut()
	var b bytes.Buffer
	b.WriteByte('{')
	for i, o := range options {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:", o.key)
		encoded, err := json.Marshal(o.written(&c))
		if err != nil {
			return nil, err
		}
		b.Write(encoded)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// written returns the value of an option as it is written in JSON.
func (o option) written(c *Config) any {
	switch field := o.field(c).(type) {
	case *[]string:
		return Patterns(*field)
	case *[]RoleGrant:
		if *field == nil {
			return []RoleGrant{}
		}
	}
	return o.field(c)
}

// MarshalJSON implements [json.Marshaler]: an array.
func (p Patterns) MarshalJSON() ([]byte, error) {
	if len(p) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(p))
}

// UnmarshalJSON implements [json.Unmarshaler]: an array, or a string for
// [ParsePatterns].
func (p *Patterns) UnmarshalJSON(data []byte) error {
	patterns, err := value{data: data}.names()
	if err != nil {
		return err
	}
	if err := Patterns(patterns).check(); err != nil {
		return err
	}
	*p = patterns
	return nil
}

func findOption(m member) (option, error) {
	for _, o := range options {
		if o.key == m.key {
			return o, nil
		}
	}
	words := keys()
	detail := "is not an option; there are "
	if hint := didYouMean(m.key, words, nearOfMany); hint != "" {
		detail = "is not an option" + hint + " There are "
	}
	detail += strings.Join(words, ", ")
	return option{}, &ConfigError{Code: CodeUnknownOption, Option: m.key, Value: m.key, Offset: m.at, Document: true, Detail: detail}
}

func syntaxError(data []byte, err error) error {
	e := &ConfigError{Code: CodeNotJSON, Value: string(data), Document: true, Detail: "is not valid JSON: " + err.Error()}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		e.Offset = int(syntax.Offset)
		if !strings.HasPrefix(err.Error(), "unexpected end") {
			e.Offset-- // the decoder counts the wrong character, too
			_, n := utf8.DecodeRune(data[e.Offset:])
			e.Value = string(data[e.Offset : e.Offset+n])
		}
	}
	return e
}
