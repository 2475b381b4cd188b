package sqlstore_test

import (
	"bytes"
	"encoding/json"
	"errors"
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

// decodeReference reads the stored form of an account with encoding/json.
func decodeReference(data string) (*store.Account, error) {
	a, values := &store.Account{}, map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(data), &values); err != nil {
		return nil, err
	}
	for _, f := range store.AccountFields() {
		if value, ok := values[f.Name]; ok {
			if err := json.Unmarshal(value, f.At(a)); err != nil {
				return nil, err
			}
			delete(values, f.Name)
		}
	}
	if len(values) > 0 {
		return nil, errors.New("fields that are not known")
	}
	a.Complete()
	return a, nil
}

// texts are values that are easily written wrong.
var texts = []string{
	"", "", "active", "Ann", "Zoë", `a "quoted" \ text`, "tab\tnewline\nnull\x00del\x7f", "<&>", "\u2028\u2029", "😀", `ends in \`, "}],",
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

// TestAccountJSON writes random accounts so that encoding/json reads what was
// written, and reads the same itself.
func TestAccountJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		a := &store.Account{}
		random(r, reflect.ValueOf(a).Elem())
		before := a.Clone()
		checkAccount(t, a)
		if diff := cmp.Diff(before, a); diff != "" {
			t.Fatalf("writing changed the account (-before +after):\n%s", diff)
		}
	}
}

// checkAccount writes an account and reads it in both ways.
func checkAccount(t *testing.T, a *store.Account) {
	t.Helper()
	data, err := sqlstore.EncodeAccount(a)
	if err != nil {
		t.Fatal(err)
	}
	want, err := decodeReference(data)
	if err != nil {
		t.Fatalf("encoding/json cannot read %s: %v", data, err)
	}
	got, err := sqlstore.DecodeAccount(data)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Fatalf("read from %s: %v (-want +got):\n%s", data, err, diff)
	}
	bare, err := sqlstore.DecodeBareAccount(data)
	want.Groups = nil
	if diff := cmp.Diff(want, bare); diff != "" || err != nil {
		t.Fatalf("read bare from %s: %v (-want +got):\n%s", data, err, diff)
	}
	expected := a.Clone()
	expected.Pending = false
	expected.Complete()
	if diff := cmp.Diff(expected, got, sameJSON); diff != "" {
		t.Fatalf("read from %s (-written +read):\n%s", data, diff)
	}
}

// sameJSON takes raw JSON without its white space.
var sameJSON = cmp.Transformer("compact", func(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return err.Error()
	}
	return b.String()
})

// Text that is not UTF-8 is stored as what JSON makes of it.
func TestAccountTextNotUTF8(t *testing.T) {
	data, err := sqlstore.EncodeAccount(&store.Account{ID: "bad \xff"})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := sqlstore.DecodeAccount(data); err != nil || a.ID != "bad \ufffd" {
		t.Errorf("%s is read as %+v, %v", data, a, err)
	}
}

// What cannot be written is an error that names the account.
func TestAccountNotWritten(t *testing.T) {
	for _, a := range []*store.Account{
		{ID: "acc-1", Created: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{ID: "acc-1", Attributes: store.Attributes{"title": json.RawMessage(`{`)}},
	} {
		if data, err := sqlstore.EncodeAccount(a); err == nil || !strings.Contains(err.Error(), `"acc-1"`) {
			t.Errorf("written as %s, error %v", data, err)
		}
	}
}

// TestOtherAccountJSON reads what another version of the table wrote, and refuses what
// none did.
func TestOtherAccountJSON(t *testing.T) {
	ours, err := sqlstore.EncodeAccount(&store.Account{
		ID: "a", Email: "e", Version: 3, Groups: []store.AccountGroup{{ID: "g", Name: "G"}},
		Facts: store.Facts{Company: "Acme", WasActive: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := sqlstore.DecodeAccount(ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []struct{ name, from, to string }{
		{"another field in front", `{"id":`, `{"new":1,"id":`},
		{"another field at the end", `}]}`, `}],"new":"}"}`},
		{"groups before the version", ours, `{"id":"a","email":"e","groups":[{"id":"g","name":"G"}],"version":3,"facts.company":"Acme","facts.wasActive":true}`},
		{"another field between", `"email":`, `"new":{"a":["\""]},"email":`},
		{"another field of a group", `"name":"G"`, `"name":"G","new":null`},
		{"an empty field", `"email":`, `"siteAdmin":false,"email":`},
		{"another order", `"id":"a","email":"e"`, `"email":"e","id":"a"`},
	} {
		t.Run(other.name, func(t *testing.T) {
			data := strings.Replace(ours, other.from, other.to, 1)
			if data == ours {
				t.Fatalf("%s is not in %s", other.from, ours)
			}
			got, err := sqlstore.DecodeAccount(data)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			bare, err := sqlstore.DecodeBareAccount(data)
			got.Groups = nil
			if diff := cmp.Diff(got, bare); diff != "" || err != nil {
				t.Errorf("bare: %v (-want +got):\n%s", err, diff)
			}
		})
	}
	damaged := []string{
		"", "{", "[]", "null", `{"id":1}`, `{"id"}`, `{"id":"a",}`, `{"id":"a" }`, `{"id":"a\`, `{,}`, `{"new":}`, `{"new":tru}`, `{"new":1`,
		ours + "x", ours + " ", `{"version":"3"}`, `{"version":3.5}`, `{"version":99999999999999999999}`, `{"created":"today"}`,
		`{"siteAdmin":null}`, `{"roles":null}`, `{"roles":["a"`, `{"roles":["a",]}`, `{"groups":[1]}`, `{"permissions":{"a":1}}`,
		`{"attributes":{"a":x}}`, `{"facts.login":{"evidence":256}}`, `{"facts.login":{"evidence":-1}}`, `{"facts.login":[]}`,
	}
	for i := range ours {
		damaged = append(damaged, ours[:i])
	}
	for _, data := range damaged {
		if a, err := sqlstore.DecodeAccount(data); err == nil {
			t.Errorf("%s is read as %+v", data, a)
		}
	}
}

// To leave out the groups of an account costs the same however many there are.
func TestBareAccountAllocations(t *testing.T) {
	var allocations [2]float64
	for i, n := range []int{10, 1000} {
		a := &store.Account{ID: "a", Version: 1}
		for range n {
			a.Groups = append(a.Groups, store.AccountGroup{ID: "a\ng", Name: "with an escape, which allocates"})
		}
		data, err := sqlstore.EncodeAccount(a)
		if err != nil {
			t.Fatal(err)
		}
		allocations[i] = testing.AllocsPerRun(10, func() { _, _ = sqlstore.DecodeBareAccount(data) })
	}
	if allocations[0] != allocations[1] {
		t.Errorf("%v allocations with 10 and 1,000 groups", allocations)
	}
	data, err := sqlstore.EncodeAccount(&store.Account{ID: "a", Version: 1, Groups: []store.AccountGroup{{ID: "g"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.DecodeBareAccount(strings.Replace(data, `"g"`, "not read", 1)); err != nil {
		t.Errorf("the groups of %s are looked at: %v", data, err)
	}
}

// A damaged account is named by the error.
func TestDamagedAccountIsNamed(t *testing.T) {
	_, err := sqlstore.DecodeAccount(`{"id":"acc-1","userName":7}`)
	if err == nil || !strings.Contains(err.Error(), `"acc-1"`) {
		t.Errorf("error %v", err)
	}
}

// FuzzAccountJSON reads anything: never with a panic, and what can be read can be
// written and is then read as the same account, also by encoding/json.
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
		_, _ = sqlstore.DecodeBareAccount(data)
		if a, err := sqlstore.DecodeAccount(data); err == nil && utf8.ValidString(data) {
			checkAccount(t, a)
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
