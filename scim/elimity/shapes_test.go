package elimity_test

import (
	"net/http"
	"testing"
)

// TestShapes pins what the package comment says the server accepts and refuses,
// each a request that scim.Handler accepts.
func TestShapes(t *testing.T) {
	const (
		userURN  = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]`
		patchURN = `"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"]`
		manager  = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"
	)
	tests := []struct {
		name    string
		method  string
		path    string // {id} is that of a user
		body    string
		refused string // the scimType; empty: accepted
	}{
		{"text boolean in a body", "POST", "/Users", `{` + userURN + `,"userName":"b","active":"True"}`, "invalidValue"},
		{"text boolean in an element", "POST", "/Users", `{` + userURN + `,"userName":"b","emails":[{"value":"b@x.example","primary":"true"}]}`, "invalidValue"},
		{"text boolean in a PATCH", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","path":"active","value":"False"}]}`, "invalidValue"},
		{"number as text", "POST", "/Users", `{` + userURN + `,"userName":"b","title":5}`, "invalidValue"},
		{"schemas missing", "POST", "/Users", `{"userName":"b"}`, "invalidSyntax"},
		{"schemas of SCIM 1.0", "POST", "/Users", `{"schemas":["urn:scim:schemas:core:1.0"],"userName":"b"}`, "invalidSyntax"},
		{"schemas with unknown ones", "POST", "/Users", `{"schemas":["urn:scim:schemas:core:1.0","urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"b"}`, ""},
		{"null in a body", "POST", "/Users", `{` + userURN + `,"userName":"b","title":null,"emails":null}`, ""},
		{"one object for a list", "POST", "/Users", `{` + userURN + `,"userName":"b","emails":{"value":"b@x.example"}}`, ""},
		{"unknown attribute", "POST", "/Users", `{` + userURN + `,"userName":"b","favoriteColor":"red"}`, ""},
		{"empty texts", "POST", "/Users", `{` + userURN + `,"userName":"b","title":"","name":{"givenName":" "}}`, ""},
		{"capitalized operation", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"Replace","path":"title","value":"x"}]}`, ""},
		{"dotted and URN keys", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","value":{"name.givenName":"x","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"y"}}]}`, ""},
		{"null in a PATCH", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","path":"title","value":null}]}`, "invalidValue"},
		{"PATCH schemas missing", "PATCH", "/Users/{id}", `{"Operations":[{"op":"replace","path":"title","value":"x"}]}`, "invalidValue"},
		{"unknown path", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","path":"favoriteColor","value":"red"}]}`, "invalidPath"},
		{"unknown key", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","value":{"favoriteColor":"red"}}]}`, "invalidValue"},
		{"id in a value", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","value":{"id":"x","title":"y"}}]}`, ""},
		{"meta in a value", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","value":{"meta":{},"title":"y"}}]}`, "invalidValue"},
		{"extension attribute without its URN", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","path":"manager","value":{"value":"x"}}]}`, "invalidValue"},
		{"manager as text", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","path":"` + manager + `","value":"x"}]}`, "invalidValue"},
		{"manager in a list", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","path":"` + manager + `","value":[{"value":"x"}]}]}`, "invalidValue"},
		{"manager as an object", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","path":"` + manager + `","value":{"value":"x"}}]}`, ""},
		{"replace that creates", "PATCH", "/Users/{id}", `{` + patchURN + `,"Operations":[{"op":"replace","path":"emails[type eq \"other\"].value","value":"o@x.example"}]}`, ""},
		{"filter on a value of an element", "GET", `/Users?filter=emails%5Btype+eq+"work"%5D.value+eq+"x"`, "", "invalidFilter"},
		{"filter in an element", "GET", `/Users?filter=emails%5Btype+eq+"work"+and+value+eq+"x"%5D`, "", ""},
		{"filter with two terms in an element more", "GET", `/Users?filter=emails%5Btype+eq+"work"+and+value+eq+"x"+and+primary+eq+true%5D`, "", "invalidFilter"},
		{"filter on an extension without its URN", "GET", `/Users?filter=department+eq+"x"`, "", ""},
		{"filter on core and extension", "GET", `/Users?filter=userName+eq+"a"+and+manager+eq+"x"`, "", "invalidFilter"},
		{"filter on email", "GET", `/Users?filter=email+eq+"x"`, "", "invalidFilter"},
		{"filter in capitals", "GET", `/Users?filter=USERNAME+EQ+"a"`, "", ""},
		{"filter with an escape in lower case", "GET", `/Users?filter=userName+eq+"%5Cu00e9"`, "", "invalidFilter"},
		{"filter with an escape in upper case", "GET", `/Users?filter=userName+eq+"%5Cu00E9"`, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, defaults("entra"))
			path := filled(test.path, createUser(t, f, "a"))
			theirs := send(t, f.theirs, test.method, path, test.body)
			if got := text(theirs.Body.Bytes(), "scimType"); got != test.refused || (theirs.Code >= http.StatusBadRequest) != (got != "") {
				t.Errorf("the server answers %d %q, want %q: %s", theirs.Code, got, test.refused, theirs.Body)
			}
			if test.refused == "" {
				return
			}
			if ours := send(t, f.ours, test.method, path, test.body); ours.Code >= http.StatusBadRequest {
				t.Errorf("scim.Handler answers %d: %s", ours.Code, ours.Body)
			}
		})
	}
}
