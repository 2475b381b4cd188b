package sqlstore

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// The stored form of an account is a JSON object of its fields that are not empty,
// by the table of package store. encoding/json takes several times as long, which
// counts where all accounts are derived again.
//
// A field that is not known is passed over and one that is missing is empty, so that
// a row of another version of the table can be read.

// fields is a table with what the JSON of each field begins with.
type fields[T any] []field[T]

type field[T any] struct {
	key string // `"name":`
	at  func(*T) any
}

func keyed[T any](table []store.Field[T]) fields[T] {
	list := make(fields[T], len(table))
	for i, f := range table {
		list[i] = field[T]{`"` + f.Name + `":`, f.At}
	}
	return list
}

// The tables, never changed.
var (
	accountFields    = keyed(store.AccountFields())
	groupFields      = keyed(store.AccountGroupFields())
	reasonFields     = keyed(store.ReasonFields())
	loginFields      = keyed(store.LoginFields())
	loginGroupFields = keyed(store.LoginGroupFields())
)

func encodeAccount(a *store.Account) (string, error) {
	w := writer{out: make([]byte, 0, 2048)}
	writeObject(&w, accountFields, a)
	if w.err != nil {
		return "", fmt.Errorf("sqlstore: encode account %q: %w", a.ID, w.err)
	}
	return string(w.out), nil
}

// writer writes JSON.
type writer struct {
	out []byte
	err error // why something cannot be written
}

func writeObject[T any](w *writer, table fields[T], v *T) {
	w.out = append(w.out, '{')
	for i := range table {
		start := len(w.out)
		w.out = append(w.out, table[i].key...)
		if w.value(table[i].at(v)) {
			w.out = append(w.out, ',')
		} else {
			w.out = w.out[:start]
		}
	}
	w.close('}')
}

// close ends an object or a list: in the place of the last comma, if there is one.
func (w *writer) close(end byte) {
	if last := len(w.out) - 1; w.out[last] == ',' {
		w.out[last] = end
	} else {
		w.out = append(w.out, end)
	}
}

// value writes a field, unless it is empty.
func (w *writer) value(p any) (written bool) {
	if s, ok := p.(*string); ok { // most are: a switch of so many types takes its time
		return *s != "" && w.text(*s)
	}
	switch p := p.(type) {
	case *bool:
		return *p && w.raw("true")
	case *int64:
		return *p != 0 && w.number(*p)
	case *uint8:
		return *p != 0 && w.number(int64(*p))
	case *time.Time:
		return !p.IsZero() && w.instant(*p)
	case *[]string:
		return writeTexts(w, *p)
	case *[]store.Source:
		return writeTexts(w, *p)
	case *[]store.AccountGroup:
		return writeList(w, groupFields, *p)
	case *[]store.LoginGroup:
		return writeList(w, loginGroupFields, *p)
	case *[]policy.Reason:
		return writeList(w, reasonFields, *p)
	case *policy.Permissions:
		return writeMap(w, *p, (*writer).permission)
	case *store.Attributes:
		return writeMap(w, *p, (*writer).attribute)
	case **store.LoginFacts:
		if *p == nil {
			return false
		}
		writeObject(w, loginFields, *p)
		return true
	}
	panic(fmt.Sprintf("sqlstore: a field is a %T", p))
}

// raw writes what is JSON already, and returns true like all that write.
func (w *writer) raw(value string) bool {
	w.out = append(w.out, value...)
	return true
}

func (w *writer) number(n int64) bool {
	w.out = strconv.AppendInt(w.out, n, 10)
	return true
}

func (w *writer) text(s string) bool {
	if !isPlain(s) {
		return w.other(s)
	}
	w.out = append(append(append(w.out, '"'), s...), '"')
	return true
}

func (w *writer) instant(t time.Time) bool {
	var err error
	if w.out, err = t.AppendText(append(w.out, '"')); err != nil {
		w.err = err
	}
	w.out = append(w.out, '"')
	return true
}

// other leaves a value to encoding/json.
func (w *writer) other(v any) bool {
	text, err := encode("value", v)
	if err != nil {
		w.err = err
		return false
	}
	return w.raw(text)
}

func (w *writer) permission(allowed *bool) {
	if allowed == nil {
		w.raw("null")
	} else {
		w.out = strconv.AppendBool(w.out, *allowed)
	}
}

func (w *writer) attribute(value json.RawMessage) { w.other(value) }

func writeTexts[T ~string](w *writer, list []T) bool {
	if list == nil {
		return false
	}
	w.out = append(w.out, '[')
	for _, s := range list {
		w.text(string(s))
		w.out = append(w.out, ',')
	}
	w.close(']')
	return true
}

func writeList[T any](w *writer, table fields[T], list []T) bool {
	if list == nil {
		return false
	}
	w.out = append(w.out, '[')
	for i := range list {
		writeObject(w, table, &list[i])
		w.out = append(w.out, ',')
	}
	w.close(']')
	return true
}

func writeMap[M ~map[string]V, V any](w *writer, m M, each func(*writer, V)) bool {
	if m == nil {
		return false
	}
	keys := make([]string, 0, 8)
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	w.out = append(w.out, '{')
	for _, key := range keys {
		w.text(key)
		w.out = append(w.out, ':')
		each(w, m[key])
		w.out = append(w.out, ',')
	}
	w.close('}')
	return true
}

// isPlain reports whether a text is written as it is.
func isPlain(s string) bool {
	ascii := true
	for i := range len(s) {
		switch b := s[i]; {
		case b < ' ' || b == '"' || b == '\\':
			return false
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.ValidString(s) && !strings.ContainsAny(s, "\u2028\u2029")
}
