package provision_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// A host in ten lines: a store, an engine, a connection with a token, the
// background work, a consumer and the handler. Then an identity provider creates
// a user, and the consumer hears of it.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	engine := &provision.Engine{Store: memory.New()} // or sqlite.Open
	okta := engine.Directory("okta").As(provision.Actor{Kind: "operator", ID: "setup"})
	_, err := okta.UpdateConnection(ctx, func(c *provision.Connection) error {
		c.Dialect, c.SCIM = "okta", true // the policy has its defaults
		return nil
	})
	if err != nil {
		panic(err)
	}
	token, _, err := okta.IssueToken(ctx, time.Time{}) // shown once; give it to Okta
	if err != nil {
		panic(err)
	}
	go func() { _ = engine.Run(ctx) }()
	heard := make(chan provision.Delivery)
	hear := func(ctx context.Context, d provision.Delivery) error {
		if d.Account == nil { // it is about the connection
			return nil
		}
		select {
		case heard <- d:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	users := engine.Consumer("my-users-table")
	go func() { _ = users.Deliver(ctx, hear, provision.DeliveryOptions{}) }()
	mux := http.NewServeMux()
	mux.Handle("/scim/v2/", &scim.Handler{Engine: engine})

	// The identity provider.
	body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada@example.com","active":true}`
	r := httptest.NewRequest(http.MethodPost, "/scim/v2/Users", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, r)
	fmt.Println(answer.Code)

	d := <-heard
	fmt.Println(d.Event.Type, d.Account.UserName, d.Account.Status)
	// Output:
	// 201
	// account.created ada@example.com active
}

// A user is created, and is admitted when the identity provider reports the
// group that the policy requires.
func Example_requiredGroup() {
	ctx := context.Background()
	operator := provision.Actor{Kind: "operator", ID: "setup"}
	engine := &provision.Engine{Store: memory.New()}
	config := policy.Config{RequiredGroups: policy.Patterns{"Support"}}
	conn := provision.Connection{ID: "okta", SCIM: true, Policy: config}
	if _, err := engine.Directory(conn.ID).As(operator).SaveConnection(ctx, conn); err != nil {
		fmt.Println(err)
		return
	}

	// scim.Handler does this for an identity provider.
	dir := engine.Directory("okta").Via(store.SourceSCIM).As(provision.Actor{Kind: "scim"})
	ada, err := dir.Create(ctx, provision.TypeUser, 0, func(d *provision.Draft) error {
		d.Write(provision.Content{Document: store.Document(`{"userName":"ada"}`), Display: "ada"})
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func() {
		accounts, err := dir.Accounts(ctx, store.AccountQuery{})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, a := range accounts {
			fmt.Println(a.UserName, a.Status)
		}
	}
	show()
	_, err = dir.Create(ctx, provision.TypeGroup, 0, func(d *provision.Draft) error {
		d.Write(provision.Content{Document: store.Document(`{"displayName":"Support"}`), Display: "Support"})
		d.AddMember(ada.ID)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show()
	// Output:
	// ada staged
	// ada active
}

// A host that has verified a login by itself, such as by OpenID Connect, asks
// the directory who the person is. Package jit/saml does this for SAML.
func ExampleDirectory_Login() {
	ctx := context.Background()
	engine := &provision.Engine{Store: memory.New()}
	// Without SCIM, the first login creates an account.
	config := policy.Config{RequiredGroups: policy.Patterns{"Staff"}}
	conn := provision.Connection{ID: "corp", Policy: config}
	if _, err := engine.Directory(conn.ID).As(provision.Actor{Kind: "operator", ID: "setup"}).SaveConnection(ctx, conn); err != nil {
		fmt.Println(err)
		return
	}

	ann := provision.Identity{ID: "00u1", UserName: "ann@example.com", Email: "ann@example.com"}
	for _, groups := range [][]provision.IdentityGroup{nil, {{Value: "Staff"}, {Value: "Support"}}} {
		ann.Groups = groups
		account, err := engine.Directory("corp").Login(ctx, ann)
		var denied *provision.DeniedError
		switch {
		case errors.As(err, &denied):
			fmt.Println(denied.Code)
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(account.UserName, account.Status, len(account.Groups), "groups")
		}
	}
	// Output:
	// not_admitted
	// ann@example.com active 2 groups
}

// A host keeps its users by events, and its login needs the user: it waits
// until its own consumer has seen the account.
func ExampleConsumer_Wait() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	engine := &provision.Engine{Store: memory.New()}
	conn := provision.Connection{ID: "corp"}
	if _, err := engine.Directory(conn.ID).As(provision.Actor{Kind: "operator", ID: "setup"}).SaveConnection(ctx, conn); err != nil {
		fmt.Println(err)
		return
	}
	var users sync.Map // the table: the status of each account
	apply := func(_ context.Context, d provision.Delivery) error {
		if a := d.Account; a != nil {
			users.Store(a.ID, a.Status)
		}
		return nil
	}
	consumer := engine.Consumer("users-table")
	if err := consumer.Register(ctx); err != nil { // before the first login
		fmt.Println(err)
		return
	}
	go func() { _ = consumer.Deliver(ctx, apply, provision.DeliveryOptions{}) }()

	account, err := engine.Directory("corp").Login(ctx, provision.Identity{ID: "00u1", UserName: "ann@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	patience, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := consumer.Wait(patience, "corp", account.ID); err != nil {
		fmt.Println("try again in a minute:", err)
		return
	}
	fmt.Println(users.Load(account.ID))
	// Output: active true
}

// A token is rotated without an interruption: the old one works until the
// identity provider has the new one.
func ExampleDirectory_IssueToken() {
	ctx := context.Background()
	operator := provision.Actor{Kind: "operator", ID: "ada"}
	engine := &provision.Engine{Store: memory.New()}
	if _, err := engine.Directory("acme").As(operator).SaveConnection(ctx, provision.Connection{ID: "acme", SCIM: true}); err != nil {
		panic(err)
	}
	old, oldCredential, err := engine.Directory("acme").As(operator).IssueToken(ctx, time.Time{})
	if err != nil {
		panic(err)
	}
	fresh, _, err := engine.Directory("acme").As(operator).IssueToken(ctx, time.Time{})
	if err != nil {
		panic(err)
	}
	fmt.Println("recognizable:", strings.HasPrefix(fresh, "scimjit_"))

	_, _, err = engine.Authenticate(ctx, provision.Secret{Token: old})
	fmt.Println("old:", err)
	if err := engine.Directory("acme").As(operator).RevokeCredential(ctx, oldCredential.ID); err != nil {
		panic(err)
	}
	_, _, err = engine.Authenticate(ctx, provision.Secret{Token: old})
	fmt.Println("old, revoked:", err)
	_, _, err = engine.Authenticate(ctx, provision.Secret{Token: fresh})
	fmt.Println("new:", err)
	// Output:
	// recognizable: true
	// old: <nil>
	// old, revoked: provision: credential is not valid
	// new: <nil>
}
