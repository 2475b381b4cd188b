package sqlstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/scimjit/provision/store"
)

// timeLayout is RFC 3339 in UTC with all digits, so that texts sort as the
// times do.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// formatTime returns the stored form of a time.
func formatTime(t time.Time) (string, error) {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return "", fmt.Errorf("a time in the year %d cannot be stored", year)
	}
	return t.Format(timeLayout), nil
}

// parseTime reads what formatTime wrote.
func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, fmt.Errorf("a stored time is damaged: %w", err)
	}
	return t, nil
}

// encodeEvent returns the stored form of an event. Its sequence is a column.
func encodeEvent(e *store.Event) (string, error) { return encode("event", e) }

func decodeEvent(data []byte, sequence int64) (*store.Event, error) {
	e := new(store.Event)
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("sqlstore: decode event %d: %w", sequence, err)
	}
	e.Sequence = sequence
	return e, nil
}

// about says what an error is about.
func about(kind, id string, err error) error {
	return fmt.Errorf("sqlstore: %s %q: %w", kind, id, err)
}

// encode writes JSON without changing the raw JSON inside: no HTML escapes.
func encode(what string, value any) (string, error) {
	var buf strings.Builder
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("sqlstore: encode %s: %w", what, err)
	}
	return strings.TrimSuffix(buf.String(), "\n"), nil
}
