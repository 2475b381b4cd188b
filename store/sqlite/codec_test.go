package sqlite_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// filled sets every field below v to something that is not its zero value, so
// that a field that the store forgets shows.
func filled(v reflect.Value, n int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(benchTime.Add(time.Duration(n))))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(`"<&> \u003c 1.50"`)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			filled(v.Field(i), n+i)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		filled(v.Index(0), n)
		filled(v.Index(1), n+1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		filled(value, n)
		v.SetMapIndex(reflect.ValueOf("<key>"), value)
	case reflect.String:
		v.SetString("<&> ü\u2028\x01")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(2)
	default:
		v.SetInt(int64(n + 1))
	}
}

// TestEveryField writes accounts and events in which every field has a value,
// and reads back the same.
func TestEveryField(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{})
	account, event := new(store.Account), new(store.Event)
	filled(reflect.ValueOf(account).Elem(), 0)
	filled(reflect.ValueOf(event).Elem(), 0)
	update(t, s, func(tx store.Tx) error {
		if err := tx.PutAccount(account); err != nil {
			return err
		}
		return tx.AppendEvent(event)
	})
	view(t, s, func(r store.Reader) error {
		got, err := r.Account(account.ID)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(account, got); diff != "" {
			t.Errorf("account (-want +got):\n%s", diff)
		}
		events, err := r.Events(0, 0)
		if err != nil {
			return err
		}
		if diff := cmp.Diff([]*store.Event{event}, events); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
		return nil
	})
}

// TestTimes writes times at the edges of what can be stored.
func TestTimes(t *testing.T) {
	s, _ := openTraced(t, sqlite.Config{})
	for _, test := range []struct {
		name  string
		at    time.Time
		fails bool
	}{
		{name: "zero"},
		{name: "nanoseconds", at: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)},
		{name: "trailing zeros", at: time.Date(2026, 1, 2, 3, 4, 5, 120_000_000, time.UTC)},
		{name: "other zone", at: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))},
		{name: "far", at: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)},
		{name: "too far", at: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			update(t, s, func(tx store.Tx) error {
				r := &store.Resource{ID: test.name, Type: "User", Version: 1, Created: test.at, Modified: test.at, Document: store.Document(`{}`)}
				err := tx.PutResource(r)
				if (err != nil) != test.fails {
					t.Errorf("error %v", err)
				}
				return nil
			})
			if test.fails {
				return
			}
			view(t, s, func(r store.Reader) error {
				got, err := r.Resource("User", test.name, 0)
				if err == nil && (got.Created != test.at.UTC() || got.Modified != test.at.UTC()) {
					t.Errorf("got %v and %v", got.Created, got.Modified)
				}
				return err
			})
		})
	}
}
