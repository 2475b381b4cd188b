package store_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// leaf is a field of an account, or of its facts.
type leaf struct {
	name  string
	value reflect.Value
}

// leaves returns the fields of an account and of its facts, as reflection finds
// them.
func leaves(a *store.Account) []leaf {
	var list []leaf
	v := reflect.ValueOf(a).Elem()
	for i := range v.NumField() {
		name := jsonName(v.Type().Field(i))
		if name == "facts" {
			facts := v.Field(i)
			for j := range facts.NumField() {
				list = append(list, leaf{"facts." + jsonName(facts.Type().Field(j)), facts.Field(j)})
			}
			continue
		}
		list = append(list, leaf{name, v.Field(i)})
	}
	return list
}

// jsonName returns the name of a field in JSON, or what it would be.
func jsonName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
		return name
	}
	if f.Name == "ResourceID" {
		return "resourceId"
	}
	return strings.ToLower(f.Name[:1]) + f.Name[1:]
}

// computed are the fields that are stored nowhere.
var computed = map[string]bool{"pending": true, "held": true}

// TestTableIsComplete asserts that every field of an account and of its parts has
// its row in the table, under its name.
func TestTableIsComplete(t *testing.T) {
	a := &store.Account{}
	want := map[string]uintptr{}
	for _, l := range leaves(a) {
		if !computed[l.name] {
			want[l.name] = l.value.Addr().Pointer()
		}
	}
	checkTable(t, store.AccountFields(), a, want)
	checkPart(t, store.AccountGroupFields())
	checkPart(t, store.ReasonFields())
	checkPart(t, store.LoginFields())
	checkPart(t, store.LoginGroupFields())
}

func checkPart[T any](t *testing.T, table []store.Field[T]) {
	t.Helper()
	part := new(T)
	v, want := reflect.ValueOf(part).Elem(), map[string]uintptr{}
	for i := range v.NumField() {
		want[jsonName(v.Type().Field(i))] = v.Field(i).Addr().Pointer()
	}
	checkTable(t, table, part, want)
}

func checkTable[T any](t *testing.T, table []store.Field[T], v *T, want map[string]uintptr) {
	t.Helper()
	got := map[string]uintptr{}
	for _, f := range table {
		got[f.Name] = reflect.ValueOf(f.At(v)).Pointer()
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != len(table) {
		t.Errorf("%d rows of %T (-want +got):\n%s", len(table), v, diff)
	}
}

// fill gives everything below v a value, another one for another n.
func fill(t *testing.T, v reflect.Value, n int) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(int64(n), 0).UTC()))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage{byte('0' + n)}))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fill(t, value, n)
		v.SetMapIndex(reflect.ValueOf("key"), value)
	case reflect.String:
		v.SetString(strings.Repeat("x", n))
	case reflect.Bool:
		v.SetBool(n%2 == 1)
	case reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Uint8:
		v.SetUint(uint64(n))
	default:
		t.Fatalf("the test has no value for %s", v.Type())
	}
}

func filledAccount(t *testing.T, n int) *store.Account {
	t.Helper()
	a := &store.Account{}
	fill(t, reflect.ValueOf(a).Elem(), n)
	return a
}

// TestOneFieldDiffers changes one field after the other: Changes lists each that a
// host sees, and SameFacts sees each other one that tells what the account is.
func TestOneFieldDiffers(t *testing.T) {
	stamps := []string{"version", "created", "modified"}
	before := filledAccount(t, 1)
	for i, l := range leaves(before.Clone()) {
		after := before.Clone()
		fill(t, leaves(after)[i].value, 2)
		var got, want []string
		for _, c := range store.Changes(before, after) {
			got = append(got, c.Attribute)
		}
		inside := strings.HasPrefix(l.name, "facts.") || slices.Contains([]string{"id", "connection", "resourceId", "reasons"}, l.name)
		if !inside && l.name != "pending" && !slices.Contains(stamps, l.name) {
			want = []string{l.name}
		}
		if same := store.SameFacts(before, after); same == inside {
			t.Errorf("another %s: SameFacts is %t", l.name, same)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("another %s: changes (-want +got):\n%s", l.name, diff)
		}
	}
}

// TestClone asserts that a copy is equal and shares no list, map or pointer.
func TestClone(t *testing.T) {
	for n, a := range []*store.Account{{}, filledAccount(t, 1)} {
		c := a.Clone()
		if diff := cmp.Diff(a, c); diff != "" {
			t.Errorf("a copy differs (-original +copy):\n%s", diff)
		}
		shares(t, reflect.ValueOf(a).Elem(), reflect.ValueOf(c).Elem(), "")
		if n == 0 && c.Facts.Login != nil {
			t.Error("a copy has a login that the original has not")
		}
	}
}

// shares reports the memory that two values share, but for what maps hold, which
// is never changed.
func shares(t *testing.T, a, b reflect.Value, path string) {
	t.Helper()
	switch a.Kind() {
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range a.NumField() {
			shares(t, a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name)
		}
	case reflect.Slice, reflect.Map, reflect.Pointer:
		if !a.IsNil() && a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", path)
		}
		if a.Kind() == reflect.Pointer && !a.IsNil() {
			shares(t, a.Elem(), b.Elem(), path)
		}
	}
}

// TestChanges lists changes in the order of the table, with values as encoding/json
// writes them.
func TestChanges(t *testing.T) {
	yes := true
	base := store.Account{UserName: "ann", Status: policy.StatusActive, Roles: []string{}, Permissions: policy.Permissions{"ftp": nil}, Attributes: store.Attributes{}}
	for _, test := range []struct {
		name          string
		before, after *store.Account
		want          []string
	}{
		{"nothing", &base, &base, nil},
		{"nil and empty", &base, &store.Account{UserName: "ann", Status: policy.StatusActive, Permissions: policy.Permissions{"ftp": nil}}, nil},
		{
			"created", nil, &store.Account{UserName: "<ann> ü\"", Status: policy.StatusStaged, SiteAdmin: true, Roles: []string{}, Permissions: policy.Permissions{"ftp": nil}, Attributes: store.Attributes{}},
			[]string{`userName: null "\u003cann\u003e ü\""`, `status: null "staged"`, `siteAdmin: null true`},
		},
		{
			"changed", &base, &store.Account{
				UserName: "", Status: policy.StatusDisabled, Held: true, Roles: []string{"r"}, Permissions: policy.Permissions{"ftp": &yes},
				Groups: []store.AccountGroup{{ID: "g", Name: "G", Source: "scim"}}, Attributes: store.Attributes{"title": json.RawMessage(`"Dr"`)},
			},
			[]string{
				`userName: "ann" ""`, `status: "active" "disabled"`, `held: false true`, `roles: [] ["r"]`,
				`groups: null [{"id":"g","name":"G","admin":false,"source":"scim"}]`, `permissions: {"ftp":null} {"ftp":true}`,
				`attributes: {} {"title":"Dr"}`,
			},
		},
		{"deleted", &base, &store.Account{Status: policy.StatusDeleted}, []string{`status: "active" "deleted"`}},
		{"still deleted", &store.Account{Status: policy.StatusDeleted, UserName: "x"}, &store.Account{Status: policy.StatusDeleted}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range store.Changes(test.before, test.after) {
				before := string(c.Before)
				if c.Before == nil {
					before = "null"
				}
				got = append(got, c.Attribute+": "+before+" "+string(c.After))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestChangesAreJSON compares the values of changes with what encoding/json writes
// of an account.
func TestChangesAreJSON(t *testing.T) {
	a := filledAccount(t, 1)
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(want, func(name string, _ json.RawMessage) bool {
		return slices.Contains([]string{"id", "connection", "reasons", "pending", "version"}, name)
	})
	got := map[string]json.RawMessage{}
	for _, c := range store.Changes(nil, a) {
		got[c.Attribute] = c.After
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestComplete(t *testing.T) {
	a := &store.Account{Held: true, Reasons: []policy.Reason{{Option: "requiredGroups", Effect: policy.EffectAdmitted}}}
	if a.Complete(); a.Held {
		t.Error("held without the reason for it")
	}
	a.Reasons = append(a.Reasons, policy.Reason{Effect: policy.EffectHeld})
	if a.Complete(); !a.Held {
		t.Error("not held, with the reason for it")
	}
}
