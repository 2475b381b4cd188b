package account

import (
	"encoding/json"
	"fmt"

	"github.com/scimjit/provision/store"
)

// TextChange is a change of a text; an empty one is none.
func TextChange(attribute, before, after string) store.Change {
	c := store.Change{Attribute: attribute}
	if before != "" {
		c.Before = JSON(before)
	}
	if after != "" {
		c.After = JSON(after)
	}
	return c
}

// JSON encodes a value whose type cannot fail to encode.
func JSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("provision: encoding %T: %v", v, err))
	}
	return b
}
