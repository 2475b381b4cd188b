package sqlstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// decodeAccount reads what encodeAccount wrote. The texts of the account share the
// memory of data.
func decodeAccount(data string) (*store.Account, error) {
	a := new(store.Account)
	return a, decodeInto(a, reader{in: data})
}

// decodeBareAccount reads an account without its groups.
func decodeBareAccount(data string) (*store.Account, error) {
	a := new(store.Account)
	return a, decodeInto(a, reader{in: data, bare: a})
}

func decodeInto(a *store.Account, r reader) error {
	readObject(&r, accountFields, a)
	if r.failed || r.in != "" {
		return fmt.Errorf("sqlstore: decode account %q: %w", a.ID, errDamaged)
	}
	a.Complete()
	return nil
}

var errDamaged = errors.New("the stored account is damaged")

// reader reads JSON without white space.
type reader struct {
	in     string         // still to read
	failed bool           // it is not what a writer writes
	bare   *store.Account // whose groups are left out; or nil
}

// fail gives the reading up.
func (r *reader) fail() { r.failed, r.in = true, "" }

// next reads over a text if it comes next.
func (r *reader) next(text string) (found bool) {
	r.in, found = strings.CutPrefix(r.in, text)
	return found
}

// must reads over a text that has to come next.
func (r *reader) must(text string) {
	if !r.next(text) {
		r.fail()
	}
}

// more reads what is between the elements of an object or a list, or its end.
func (r *reader) more(end string) bool {
	if r.failed || r.next(end) {
		return false
	}
	r.must(",")
	return !r.failed
}

// begin reads the beginning of an object or a list and reports whether it has an
// element.
func (r *reader) begin(start, end string) bool {
	r.must(start)
	return !r.failed && !r.next(end)
}

func readObject[T any](r *reader, table fields[T], v *T) {
	next := 0 // the place in the table of the field that is likely to be next
	for more := r.begin("{", "}"); more; more = r.more("}") {
		if i := readKey(r, table, next); i < 0 {
			r.skip()
		} else {
			r.value(table[i].at(v))
			next = i + 1
		}
	}
}

// readKey reads a key and returns its place in a table, or -1. It looks from a place
// on, as most fields come in the order of the table.
func readKey[T any](r *reader, table fields[T], from int) int {
	for i := from; i < len(table); i++ {
		if r.next(table[i].key) {
			return i
		}
	}
	for i := range from {
		if r.next(table[i].key) {
			return i
		}
	}
	r.text()
	r.must(":")
	return -1
}

// value reads a field, which is empty.
func (r *reader) value(p any) {
	if s, ok := p.(*string); ok {
		*s = r.text()
		return
	}
	switch p := p.(type) {
	case *bool:
		*p = r.flag()
	case *int64:
		*p = r.number()
	case *uint8:
		*p = r.small()
	case *time.Time:
		*p = r.instant()
	case *[]string:
		readTexts(r, p)
	case *[]store.Source:
		readTexts(r, p)
	case *[]store.AccountGroup:
		if r.bare != nil && p == &r.bare.Groups {
			r.leaveGroups()
		} else {
			readList(r, groupFields, p)
		}
	case *[]store.LoginGroup:
		readList(r, loginGroupFields, p)
	case *[]policy.Reason:
		readList(r, reasonFields, p)
	case *policy.Permissions:
		readMap(r, p, (*reader).permission)
	case *store.Attributes:
		readMap(r, p, (*reader).raw)
	case **store.LoginFacts:
		*p = new(store.LoginFacts)
		readObject(r, loginFields, *p)
	default:
		panic(fmt.Sprintf("sqlstore: a field is a %T", p))
	}
}

func (r *reader) text() string {
	if !r.next(`"`) {
		r.fail()
		return ""
	}
	end := strings.IndexByte(r.in, '"')
	if end < 0 || strings.IndexByte(r.in[:end], '\\') >= 0 {
		return r.escaped()
	}
	s := r.in[:end]
	r.in = r.in[end+1:]
	return s
}

// escaped reads a text with escapes, whose opening quote was read.
func (r *reader) escaped() (s string) {
	end := textEnd(r.in)
	if end == 0 || json.Unmarshal([]byte(`"`+r.in[:end]), &s) != nil {
		r.fail()
		return ""
	}
	r.in = r.in[end:]
	return s
}

func (r *reader) flag() bool {
	if r.next("true") {
		return true
	}
	r.must("false")
	return false
}

func (r *reader) number() int64 {
	end := valueEnd(r.in)
	n, err := strconv.ParseInt(r.in[:end], 10, 64)
	if err != nil {
		r.fail()
		return 0
	}
	r.in = r.in[end:]
	return n
}

func (r *reader) small() uint8 {
	n := r.number()
	if n < 0 || n > math.MaxUint8 {
		r.fail()
	}
	return uint8(n) //nolint:gosec // as was checked
}

func (r *reader) instant() time.Time {
	t, err := parseTime(r.text())
	if err != nil {
		r.fail()
	}
	return t
}

func (r *reader) permission() *bool {
	if r.next("null") {
		return nil
	}
	allowed := r.flag()
	return &allowed
}

// raw returns the JSON that comes next.
func (r *reader) raw() json.RawMessage {
	end := valueEnd(r.in)
	if !json.Valid([]byte(r.in[:end])) {
		r.fail()
		return nil
	}
	value := json.RawMessage(r.in[:end])
	r.in = r.in[end:]
	return value
}

// skip reads over the value of a field that is not known.
func (r *reader) skip() { r.raw() }

// leaveGroups reads over the groups of an account. They are the last field of a row,
// and nothing behind them is looked at, unless the row was written before that was so:
// then they come before the version.
func (r *reader) leaveGroups() {
	if r.bare.Version > 0 {
		r.in = "}"
		return
	}
	end := valueEnd(r.in)
	if end == 0 {
		r.fail()
	}
	r.in = r.in[end:]
}

func readTexts[T ~string](r *reader, list *[]T) {
	*list = []T{}
	for more := r.begin("[", "]"); more; more = r.more("]") {
		*list = append(*list, T(r.text()))
	}
}

func readList[T any](r *reader, table fields[T], list *[]T) {
	read := []T{}
	for more := r.begin("[", "]"); more; more = r.more("]") {
		var value T
		read = append(read, value)
		readObject(r, table, &read[len(read)-1])
	}
	*list = read
}

func readMap[M ~map[string]V, V any](r *reader, m *M, each func(*reader) V) {
	read := M{}
	for more := r.begin("{", "}"); more; more = r.more("}") {
		key := r.text()
		r.must(":")
		read[key] = each(r)
	}
	*m = read
}

// textEnd returns where a text ends whose opening quote was read, after its
// closing quote, or 0.
func textEnd(in string) int {
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// valueEnd returns where the value ends with which a text begins, or 0.
func valueEnd(in string) int {
	if in == "" || in[0] != '{' && in[0] != '[' && in[0] != '"' {
		return max(strings.IndexAny(in, ",}]"), 0)
	}
	depth := 0
	for i := 0; i < len(in); i++ {
		switch in[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			n := textEnd(in[i+1:])
			if n == 0 {
				return 0
			}
			i += n
		}
		if depth <= 0 {
			return i + 1
		}
	}
	return 0
}
