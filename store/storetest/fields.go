package storetest

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// everyField writes accounts and events in which every field has a value, found by
// reflection: a store keeps a new field, too.
func (s *suite) everyField(t *testing.T, st store.Store) {
	full, empty, event := &store.Account{}, &store.Account{}, &store.Event{}
	s.fillValue(t, reflect.ValueOf(full).Elem(), new(int), false)
	s.fillValue(t, reflect.ValueOf(empty).Elem(), new(int), true)
	s.fillValue(t, reflect.ValueOf(event).Elem(), new(int), false)
	empty.ID = "empty"
	nothing := &store.Account{ID: "nothing"}
	held := &store.Account{ID: "held", Reasons: []policy.Reason{{Effect: policy.EffectHeld}}}
	update(t, st, func(tx store.Tx) error {
		return all(tx.PutAccount(full), tx.PutAccount(empty), tx.PutAccount(nothing), tx.PutAccount(held), tx.AppendEvent(event))
	})

	// What is computed is not kept: nobody computed Pending, and no reason of full
	// says that it is held.
	full, held = full.Clone(), held.Clone()
	full.Pending, full.Held, held.Held = false, false, true
	view(t, st, func(r store.Reader) error {
		var failures error
		for _, want := range []*store.Account{full, empty, nothing, held} {
			got, err := r.Account(want.ID)
			failures = errors.Join(failures, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("account %q (-want +got):\n%s", want.ID, diff)
			}
		}
		events, err := r.Events(0, 0)
		if diff := cmp.Diff([]*store.Event{event}, events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		return errors.Join(failures, err)
	})
}

// fillValue gives everything below v a value of its own or, to be empty, makes its lists
// and maps without elements.
func (s *suite) fillValue(t *testing.T, v reflect.Value, n *int, empty bool) {
	t.Helper()
	*n++
	switch v.Interface().(type) {
	case time.Time:
		if !empty {
			v.Set(reflect.ValueOf(s.base().Add(time.Duration(*n) * s.opts.Precision)))
		}
		return
	case json.RawMessage:
		if !empty {
			v.Set(reflect.ValueOf(json.RawMessage(`{"a":["}\u003c<` + strconv.Itoa(*n) + `",1.50]}`)))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			s.fillValue(t, v.Field(i), n, empty)
		}
	case reflect.Slice:
		size := 2
		if empty {
			size = 0
		}
		v.Set(reflect.MakeSlice(v.Type(), size, size))
		for i := range size {
			s.fillValue(t, v.Index(i), n, empty)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := 0; i < 2 && !empty; i++ {
			value := reflect.New(v.Type().Elem()).Elem()
			if i == 0 || v.Type().Elem().Kind() != reflect.Pointer { // the second pointer is nil
				s.fillValue(t, value, n, empty)
			}
			v.SetMapIndex(reflect.ValueOf("key \""+strconv.Itoa(*n+i)), value)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		s.fillValue(t, v.Elem(), n, empty)
	default:
		if !empty {
			fillBasic(t, v, *n)
		}
	}
}

func fillBasic(t *testing.T, v reflect.Value, n int) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString("<&> ü\u2028\x01 \\\"" + strconv.Itoa(n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(int64(1-2*(n%2)) << (n % 60))
	case reflect.Uint8:
		v.SetUint(uint64(200 + n%50)) //nolint:gosec // it is below 250
	default:
		t.Fatalf("the suite has no value for %s", v.Type())
	}
}
