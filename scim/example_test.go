package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/elimity-com/scim/optional"
	elimity "github.com/elimity-com/scim/schema"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// An application mounts the handler, and an identity provider creates a user.
func Example() {
	ctx := context.Background()
	operator := provision.Actor{Kind: "operator", ID: "setup"}
	engine := &provision.Engine{Store: memory.New()}
	conn := provision.Connection{ID: "okta", Dialect: "okta", SCIM: true}
	if _, err := engine.Directory(conn.ID).As(operator).SaveConnection(ctx, conn); err != nil {
		fmt.Println(err)
		return
	}
	secret := provision.Secret{Token: "a-token-of-at-least-32-characters"}
	if _, err := engine.Directory("okta").As(operator).SetCredential(ctx, secret, time.Now().AddDate(1, 0, 0)); err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/scim/v2/", &scim.Handler{Engine: engine})

	r := httptest.NewRequest(http.MethodPost, "/scim/v2/Users", strings.NewReader(`{"userName":"ada@example.com"}`))
	r.Header.Set("Authorization", "Bearer a-token-of-at-least-32-characters")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)

	accounts, err := engine.Directory("okta").Accounts(ctx, store.AccountQuery{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range accounts {
		fmt.Println(a.UserName, a.Status)
	}
	// Output:
	// 201
	// ada@example.com active
}

// A host adds a resource type of its own. Validation, filters, sorting, PATCH
// and storage work on it as on users.
func ExampleHandler_schemas() {
	device := elimity.Schema{
		ID:   "urn:example:params:scim:schemas:Device",
		Name: optional.NewString("Device"),
		Attributes: elimity.Attributes{
			elimity.SimpleCoreAttribute(elimity.SimpleStringParams(elimity.StringParams{
				Name: "serial", Required: true, Uniqueness: elimity.AttributeUniquenessServer(),
			})),
		},
	}
	definitions := append(schema.StandardDefinitions(), schema.Definition{
		Name: "Device", Endpoint: "/Devices", Schema: device,
	})
	set, err := schema.Compile(definitions...)
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := &scim.Handler{Schemas: func(string) *schema.Set { return set }}
	for _, t := range handler.Schemas("okta").Types() {
		fmt.Println(t.Endpoint)
	}
	// Output:
	// /Users
	// /Groups
	// /Devices
}
