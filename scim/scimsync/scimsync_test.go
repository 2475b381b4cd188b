package scimsync_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/scimsync"
	"github.com/scimjit/provision/store/memory"
)

const jsonLines = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada","externalId":"1","groups":[{"value":"x"}],"password":"secret"}

{"displayName":"Staff","members":[{"value":"1"},{"value":"bob"}]}
{"userName":"bob","active":false,"displayName":"Bob"}
{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Empty","userName":"ignored"}
`

const table = "\ufeffUserName,externalId,displayName,givenName,familyName,email,active,groups\n" +
	"ada,1,,Ada,Lovelace,ada@example.com,,Staff; Ops\n" +
	"bob,,\"Bob, the builder\",,,,no,staff\n"

// read returns what a source has, one text for each user and group.
func read(s *scimsync.Source) ([]string, error) {
	var out []string
	for u, err := range s.Users(context.Background()) {
		if err != nil {
			return out, err
		}
		out = append(out, fmt.Sprintf("%s (%s)", u.Content.Document, u.Content.Display))
	}
	groups := s.Groups(context.Background())
	if groups == nil {
		return append(out, "no groups known"), nil
	}
	for g, err := range groups {
		if err != nil {
			return out, err
		}
		out = append(out, fmt.Sprintf("%s (%s) %v", g.Content.Document, g.Content.Display, g.Members))
	}
	return out, nil
}

func TestSources(t *testing.T) {
	tests := []struct {
		name string
		src  *scimsync.Source
		want []string
	}{
		{"json lines", scimsync.JSONLines(strings.NewReader(jsonLines)), []string{
			`{"externalId":"1","userName":"ada","active":true} (ada)`,
			`{"userName":"bob","displayName":"Bob","active":false} (Bob)`,
			`{"displayName":"Staff"} (Staff) [1 bob]`,
			`{"displayName":"Empty"} (Empty) []`,
		}},
		{"users only", scimsync.JSONLines(strings.NewReader(`{"userName":"ada"}`)), []string{
			`{"userName":"ada","active":true} (ada)`, "no groups known",
		}},
		{"csv", scimsync.CSV(strings.NewReader(table)), []string{
			`{"externalId":"1","userName":"ada","name":{"familyName":"Lovelace","givenName":"Ada"},"active":true,"emails":[{"value":"ada@example.com","primary":true}]} (ada)`,
			`{"userName":"bob","displayName":"Bob, the builder","active":false} (Bob, the builder)`,
			`{"displayName":"Staff"} (Staff) [ada bob]`,
			`{"displayName":"Ops"} (Ops) [ada]`,
		}},
		{"csv without groups", scimsync.CSV(strings.NewReader("userName\nada\n")), []string{
			`{"userName":"ada","active":true} (ada)`, "no groups known",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := read(test.src)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name, format, input string
		line                int
		column              string
	}{
		{"not JSON", "json", "{\"userName\":\"ada\"}\n\n{\"userName\":", 3, ""},
		{"not an object", "json", "[]", 1, ""},
		{"no user name", "json", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]}`, 1, ""},
		{"wrong type", "json", `{"userName":"ada","active":"maybe"}`, 1, ""},
		{"group without a name", "json", "{\"userName\":\"ada\"}\n{\"members\":[]}", 2, ""},
		{"member without a value", "json", `{"displayName":"A","members":[{"display":"ada"}]}`, 1, ""},
		{"no header", "csv", "", 1, ""},
		{"unknown column", "csv", "userName,mail\n", 1, "mail"},
		{"column twice", "csv", "userName,username\n", 1, "username"},
		{"no user name column", "csv", "email\n", 1, "userName"},
		{"empty user name", "csv", "userName,email\nada,\n,a@example.com\n", 3, "userName"},
		{"wrong active", "csv", "userName,active\nada,maybe\n", 2, "active"},
		{"too few fields", "csv", "userName,active\nada\n", 2, "byte 1"},
		{"open quote", "csv", "userName\n\"ada\n", 2, "byte 6"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			src := scimsync.JSONLines(strings.NewReader(test.input))
			if test.format == "csv" {
				src = scimsync.CSV(strings.NewReader(test.input))
			}
			_, err := read(src)
			var at *scimsync.Error
			if !errors.As(err, &at) {
				t.Fatalf("error %v, want a *scimsync.Error", err)
			}
			if at.Line != test.line || test.column != "" && at.Column != test.column {
				t.Errorf("at line %d, %q (%v), want line %d, %q", at.Line, at.Column, err, test.line, test.column)
			}
			if _, err := read(src); err == nil {
				t.Error("a second reading gave no error")
			}
		})
	}
}

func ExampleCSV() {
	ctx := context.Background()
	engine := &provision.Engine{Store: memory.New()}
	_, err := engine.Directory("acme").As(provision.Actor{Kind: "operator"}).SaveConnection(ctx, provision.Connection{ID: "acme"})
	if err != nil {
		fmt.Println(err)
		return
	}
	people := "userName,email,groups\nada,ada@example.com,Staff;Ops\nbob,bob@example.com,Staff\n"
	report, err := engine.Directory("acme").Sync(ctx, scimsync.CSV(strings.NewReader(people)), provision.SyncOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Users.Created, "users,", report.Groups.Created, "groups,", report.MembersAdded, "memberships")
	// Output: 2 users, 2 groups, 3 memberships
}
