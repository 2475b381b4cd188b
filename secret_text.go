package provision

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// SecretText is a secret among the settings of a connection that a server must be
// able to read again, such as the password of an account in a directory. It is
// written and never read: settings say whether it is set, and only
// [Directory.OpenSecret] has its text. Neither fmt nor JSON nor a logger shows it.
//
// The zero value keeps what is stored. As JSON it is {"set": true} or
// {"set": false}, which keep what is stored, too; a JSON text is a new secret.
type SecretText struct {
	set bool // there is one

	// text, where it is new, is to be sealed. fmt follows no pointer from within, not even
	// where a verb does not fit and it asks no method.
	text *string
}

// NewSecret returns a secret that replaces what is stored when the settings are saved.
// An empty text removes it.
func NewSecret(text string) SecretText {
	return SecretText{set: text != "", text: &text}
}

// Set reports whether there is a secret.
func (s SecretText) Set() bool { return s.set }

// IsZero reports whether there is none and none was asked to be removed.
func (s SecretText) IsZero() bool { return !s.set && s.text == nil }

// String says whether there is a secret.
func (s SecretText) String() string {
	if s.set {
		return "(set)"
	}
	return "(not set)"
}

// Format implements [fmt.Formatter]: whatever the verb, it says what String says.
func (s SecretText) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalJSON implements [json.Marshaler]. It never has the text.
func (s SecretText) MarshalJSON() ([]byte, error) {
	return json.Marshal(secretState{Set: s.set})
}

type secretState struct {
	Set bool `json:"set"`
}

// UnmarshalJSON implements [json.Unmarshaler]. An error does not quote the text.
func (s *SecretText) UnmarshalJSON(data []byte) error {
	switch {
	case bytes.Equal(data, []byte("null")):
		return nil
	case data[0] == '"':
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("provision: a secret is no JSON text")
		}
		*s = NewSecret(text)
		return nil
	}
	var state secretState
	if err := json.Unmarshal(data, &state); err != nil {
		return fmt.Errorf(`provision: a secret must be a text, or {"set": true} for the one that is stored`)
	}
	*s = SecretText{set: state.Set}
	return nil
}
