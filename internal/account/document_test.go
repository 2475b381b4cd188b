package account_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// TestDocument writes users as logins do, and reads them again.
func TestDocument(t *testing.T) {
	full := other(t, reflect.TypeFor[account.Document]()).Interface().(account.Document)
	full.UserName, full.DisplayName, full.ExternalID = `Ann <L> & "B\"`, "ANNIE", "00U1"
	full.SetEmail("Ann@example.com")
	for _, test := range []struct {
		name string
		user account.Document
		want account.Content
	}{
		{"nothing", account.Document{}, account.Content{Document: store.Document(`{"active":true}`), Keys: []store.Key{}}},
		{"a name", account.Document{UserName: "Ann"}, account.Content{
			Document: store.Document(`{"userName":"Ann","active":true}`),
			Keys:     []store.Key{{Attribute: "userName", Value: "ann", Unique: true}}, Display: "Ann",
		}},
		{"everything", full, account.Content{
			Document: store.Document(`{"externalId":"00U1","userName":"Ann <L> & \"B\\\"","name":{"formatted":"x","familyName":"x","givenName":"x"},` +
				`"displayName":"ANNIE","nickName":"x","title":"x","userType":"x","preferredLanguage":"x","locale":"x","timezone":"x","active":true,` +
				`"emails":[{"value":"Ann@example.com","type":"work","primary":true}],` +
				`"` + enterprise + `":{"employeeNumber":"x","costCenter":"x","organization":"x","division":"x","department":"x"}}`),
			Keys: []store.Key{
				{Attribute: "userName", Value: `ann <l> & "b\"`, Unique: true}, {Attribute: "externalId", Value: "00U1"},
				{Attribute: "displayName", Value: "annie"}, {Attribute: "emails.value", Value: "ann@example.com"},
			},
			Display: "ANNIE",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.user.Content()
			if diff := gocmp.Diff(test.want, got); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
			back, err := account.ReadDocument(got.Document)
			test.user.Active = true
			if diff := gocmp.Diff(test.user, back); err != nil || diff != "" {
				t.Errorf("read again: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestDocumentIsOfTheSchema compares what a login stores with what SCIM would
// store of the same user and group: same document, same keys.
func TestDocumentIsOfTheSchema(t *testing.T) {
	full := other(t, reflect.TypeFor[account.Document]()).Interface().(account.Document)
	full.UserName, full.TimeZone, full.Locale, full.PreferredLanguage = `Ann "A\B" <L>`, "Europe/Berlin", "en-US", "en"
	full.SetEmail("Ann@example.com")
	set := schema.Standard()
	for _, test := range []struct {
		name, typ string
		content   account.Content
	}{
		{"user", "User", full.Content()},
		{"user with little", "User", account.Document{UserName: "ann", Name: account.Name{FamilyName: "Lee"}, Enterprise: account.Enterprise{Division: "x"}}.Content()},
		{"group", "Group", account.GroupContent(`CN=Sales\, EMEA`, "Sales, EMEA", true)},
	} {
		t.Run(test.name, func(t *testing.T) {
			rt := set.Type(test.typ)
			o, err := rt.Document(test.content.Document)
			if err != nil {
				t.Fatal(err)
			}
			if err := rt.Validate(o); err != nil {
				t.Error(err)
			}
			want := account.Content{Document: o.AppendJSON(nil), Keys: rt.Keys(o), Display: rt.Display(o)}
			for _, keys := range [][]store.Key{want.Keys, test.content.Keys} {
				slices.SortFunc(keys, func(a, b store.Key) int { return strings.Compare(a.Attribute, b.Attribute) })
			}
			if diff := gocmp.Diff(want, test.content); diff != "" {
				t.Errorf("content (-SCIM +login):\n%s", diff)
			}
		})
	}
}

// TestReadDocument reads what an operator has made of the document of a login.
func TestReadDocument(t *testing.T) {
	doc := store.Document(`{"userName":"ann","active":false,"emails":[{"value":"a@home.example"},{"value":"a@example.com","type":"work"}],"phoneNumbers":[{"value":"1"}]}`)
	d, err := account.ReadDocument(doc)
	if err != nil || d.UserName != "ann" || d.Email() != "a@example.com" || len(d.Emails) != 1 {
		t.Errorf("read %+v, %v", d, err)
	}
	if _, err := account.ReadDocument(store.Document(`{"userName":1}`)); err == nil || !strings.Contains(err.Error(), "stored user of a login") {
		t.Errorf("a user name that is a number: %v", err)
	}
}

func TestSay(t *testing.T) {
	text := "was"
	account.Say(&text, "")
	if text != "was" {
		t.Errorf("nothing was said, and now it is %q", text)
	}
	if account.Say(&text, "is"); text != "is" {
		t.Errorf("it is %q", text)
	}
	var d account.Document
	if d.Email() != "" {
		t.Error("an e-mail of nobody")
	}
	d.SetEmail("a@example.com")
	d.SetEmail("b@example.com")
	if len(d.Emails) != 1 || d.Email() != "b@example.com" {
		t.Errorf("e-mails %+v", d.Emails)
	}
	if d.SetEmail(""); d.Emails != nil {
		t.Errorf("e-mails %+v", d.Emails)
	}
}

// TestMapped sets each attribute by its path, which is that of the document.
func TestMapped(t *testing.T) {
	for _, path := range []string{
		"nickName", "title", "userType", "preferredLanguage", "locale",
		enterprise + ":employeeNumber", enterprise + ":costCenter", enterprise + ":division", enterprise + ":department",
	} {
		var d account.Document
		field := d.Mapped(path)
		if field == nil {
			t.Errorf("no attribute %s", path)
			continue
		}
		*field = "x"
		parsed, _ := account.ParsePath(path)
		if got := account.Read(d.Content().Document, []account.Path{parsed}); string(got.Attributes[path]) != `"x"` {
			t.Errorf("%s is in %s", path, d.Content().Document)
		}
	}
	for _, path := range []string{"", "userName", "externalId", "displayName", "timezone", "Title", "organization", enterprise + ":organization"} {
		if (&account.Document{}).Mapped(path) != nil {
			t.Errorf("a login may set %q by its path", path)
		}
	}
}

func TestGroupContent(t *testing.T) {
	want := account.Content{
		Document: store.Document(`{"externalId":"CN=Sales & \"Co\"","displayName":"Sales & Co"}`), Display: "Sales & Co",
		Keys: []store.Key{{Attribute: "displayName", Value: "sales & co", Unique: true}, {Attribute: "externalId", Value: `CN=Sales & "Co"`}},
	}
	if diff := gocmp.Diff(want, account.GroupContent(`CN=Sales & "Co"`, "Sales & Co", true)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	if account.GroupContent("a", "A", false).Keys[0].Unique {
		t.Error("the name is unique")
	}
}

// other returns a value of a type that is not the zero value.
func other(t *testing.T, typ reflect.Type) reflect.Value {
	t.Helper()
	v := reflect.New(typ).Elem()
	switch typ.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Slice:
		if typ == reflect.TypeFor[json.RawMessage]() {
			return reflect.ValueOf(json.RawMessage(`"x"`))
		}
		v.Set(reflect.Append(v, other(t, typ.Elem())))
	case reflect.Map:
		v.Set(reflect.MakeMap(typ))
		v.SetMapIndex(other(t, typ.Key()), other(t, typ.Elem()))
	case reflect.Pointer:
		v.Set(reflect.New(typ.Elem()))
		v.Elem().Set(other(t, typ.Elem()))
	case reflect.Struct:
		if typ == reflect.TypeFor[time.Time]() {
			return reflect.ValueOf(now)
		}
		for i := range typ.NumField() {
			v.Field(i).Set(other(t, typ.Field(i).Type))
		}
	default:
		t.Fatalf("no value of type %s", typ)
	}
	return v
}
