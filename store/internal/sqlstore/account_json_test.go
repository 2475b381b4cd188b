package sqlstore_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/sqlstore"
)

// reference is what encoding/json makes of an account: the form that is stored.
type reference struct {
	*store.Account
	Attributes map[string]json.RawMessage `json:"attributes"`
	ResourceID string                     `json:"resourceId,omitempty"`
	Created    time.Time                  `json:"created"`
	Modified   time.Time                  `json:"modified"`
	Facts      store.Facts                `json:"facts"`
}

func encodeReference(t *testing.T, a *store.Account) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(reference{a, a.Attributes, a.ResourceID, a.Created, a.Modified, a.Facts}); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func decodeReference(data string) (*store.Account, error) {
	r := reference{Account: &store.Account{}}
	err := json.Unmarshal([]byte(data), &r)
	r.Account.Attributes, r.Account.ResourceID, r.Account.Facts = r.Attributes, r.ResourceID, r.Facts
	r.Account.Created, r.Account.Modified = r.Created, r.Modified
	return r.Account, err
}

// texts are values that are easily written wrong.
var texts = []string{
	"", "", "active", "Ann", "Zoë", `a "quoted" \ text`, "tab\tnewline\nnull\x00del\x7f", "<&>", "\u2028\u2029", "bad \xff", "😀", `ends in \`, "}],",
}

// random fills every field below v, some with nothing.
func random(r *rand.Rand, v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		if r.IntN(4) > 0 {
			v.Set(reflect.ValueOf(time.Unix(r.Int64N(4e9), r.Int64N(3)*500).UTC()))
		}
		return
	case json.RawMessage:
		raw := []string{`"x \u003c<"`, `1.50`, `null`, `{"a": [1, "}"]}`, `[]`, `true`}
		v.Set(reflect.ValueOf(json.RawMessage(raw[r.IntN(len(raw))])))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			random(r, v.Field(i))
		}
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			random(r, v.Elem())
		}
	case reflect.Slice:
		if n := r.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				random(r, v.Index(i))
			}
		}
	case reflect.Map:
		if n := r.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				value := reflect.New(v.Type().Elem()).Elem()
				random(r, value)
				v.SetMapIndex(reflect.ValueOf(texts[r.IntN(len(texts))]), value)
			}
		}
	case reflect.String:
		v.SetString(texts[r.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(3)))
	default:
		v.SetInt(r.Int64() - r.Int64())
	}
}

// TestAccountJSON writes random accounts exactly as encoding/json does, and
// reads the same from that.
func TestAccountJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		a := &store.Account{}
		random(r, reflect.ValueOf(a).Elem())
		want := encodeReference(t, a)
		before := *a
		got, err := sqlstore.EncodeAccount(a)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("wrote\n%s\nwant\n%s", got, want)
		}
		if diff := cmp.Diff(&before, a); diff != "" {
			t.Fatalf("writing changed the account (-before +after):\n%s", diff)
		}
		checkRead(t, want)
	}
}

// checkRead reads an account without encoding/json, and with it, and reports a
// difference.
func checkRead(t *testing.T, data string) {
	t.Helper()
	got, known := sqlstore.ReadAccount(data)
	if !known {
		t.Fatalf("not known: %s", data)
	}
	want, err := decodeReference(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("read from %s (-want +got):\n%s", data, diff)
	}
}

// An account that another version wrote is read, too.
func TestOtherAccountJSON(t *testing.T) {
	ours, err := sqlstore.EncodeAccount(&store.Account{ID: "a", Version: 3, Facts: store.Facts{Company: "Acme", WasActive: true}})
	if err != nil {
		t.Fatal(err)
	}
	want, err := sqlstore.DecodeAccount(ours)
	if err != nil {
		t.Fatal(err)
	}
	others := []struct{ name, from, to string }{
		{"another field in front", `{"id":`, `{"new":1,"id":`},
		{"another field at the end", `}}`, `},"new":1}`},
		{"another field between", `"email":`, `"new":{},"email":`},
		{"another fact", `"wasActive":true`, `"wasActive":true,"new":[]`},
		{"a field less", `"held":false,`, ``},
		{"white space", `,"name"`, `, "name"`},
	}
	for _, other := range others {
		t.Run(other.name, func(t *testing.T) {
			data := strings.Replace(ours, other.from, other.to, 1)
			if data == ours {
				t.Fatalf("%s is not in %s", other.from, ours)
			}
			got, err := sqlstore.DecodeAccount(data)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	for _, data := range []string{"", "{", "[]", `{"id":1}`, ours + "x", ours[:len(ours)-1], strings.Replace(ours, `"version":3`, `"version":"3"`, 1)} {
		if a, err := sqlstore.DecodeAccount(data); err == nil {
			t.Errorf("%s is read as %+v", data, a)
		}
	}
}

// FuzzAccountJSON looks for JSON that is read without encoding/json and means
// another account.
func FuzzAccountJSON(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		a := &store.Account{}
		random(r, reflect.ValueOf(a).Elem())
		data, err := sqlstore.EncodeAccount(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if !utf8.ValidString(data) || !json.Valid([]byte(data)) {
			return
		}
		if _, known := sqlstore.ReadAccount(data); known {
			checkRead(t, data)
		}
	})
}

func BenchmarkAccountJSON(b *testing.B) {
	a := &store.Account{}
	random(rand.New(rand.NewPCG(5, 6)), reflect.ValueOf(a).Elem())
	data, err := sqlstore.EncodeAccount(a)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			_, _ = sqlstore.EncodeAccount(a)
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			_, _ = sqlstore.DecodeAccount(data)
		}
	})
	b.Run("decode/peer=json", func(b *testing.B) {
		for b.Loop() {
			_, _ = decodeReference(data)
		}
	})
}
