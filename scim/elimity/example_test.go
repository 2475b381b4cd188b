package elimity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	server "github.com/elimity-com/scim"
	"github.com/elimity-com/scim/schema"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/elimity"
	"github.com/scimjit/provision/store/memory"
)

// An application serves users with elimity-com/scim. Its resource type gets its
// callbacks from here, and the application hears of accounts.
func Example() {
	ctx := context.Background()
	engine := &provision.Engine{Store: memory.New()}
	operator := provision.Actor{Kind: "operator", ID: "setup"}
	conn := provision.Connection{ID: "idp", SCIM: true}
	if _, err := engine.Directory(conn.ID).As(operator).SaveConnection(ctx, conn); err != nil {
		fmt.Println(err)
		return
	}
	const token = "a-token-of-at-least-32-characters"
	if _, err := engine.Directory("idp").As(operator).SetCredential(ctx, provision.Secret{Token: token}, time.Time{}); err != nil {
		fmt.Println(err)
		return
	}

	users := server.ResourceType{Name: "User", Endpoint: "/Users", Schema: schema.CoreUserSchema()}
	users.Handler = elimity.New(&scim.Handler{Engine: engine}, users)
	scimServer, err := server.NewServer(&server.ServerArgs{
		ServiceProviderConfig: &server.ServiceProviderConfig{SupportFiltering: true, SupportPatch: true},
		ResourceTypes:         []server.ResourceType{users},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	web := httptest.NewServer(http.StripPrefix("/scim", elimity.Guard(scimServer)))
	defer web.Close()

	// What an identity provider does.
	request := func(method, path, body string) (answer struct {
		ID           string
		TotalResults int
	}) {
		req, err := http.NewRequestWithContext(ctx, method, web.URL+"/scim"+path, strings.NewReader(body))
		if err != nil {
			fmt.Println(err)
			return answer
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := web.Client().Do(req)
		if err != nil {
			fmt.Println(err)
			return answer
		}
		defer resp.Body.Close() //nolint:errcheck // it was read
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			fmt.Println(err)
		}
		fmt.Println(method, resp.Status)
		return answer
	}
	ada := request("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada"}`)
	found := request("GET", "/Users?filter="+url.QueryEscape(`userName eq "ADA"`), "")
	fmt.Println(found.TotalResults, "found")
	request("PATCH", "/Users/"+ada.ID, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
		"Operations":[{"op":"replace","value":{"active":false}}]}`)

	// What the application sees.
	events, err := engine.Directory("idp").Events(ctx, 0, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, ev := range events {
		if ev.Account != nil {
			fmt.Println(ev.Type, ev.Account.Status)
		}
	}
	// Output:
	// POST 201 Created
	// GET 200 OK
	// 1 found
	// PATCH 200 OK
	// account.created active
	// account.disabled disabled
}
