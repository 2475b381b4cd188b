package ldap_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/ldap"
	"github.com/scimjit/provision/store/memory"
)

func ExampleServers() {
	engine := &provision.Engine{Store: memory.New()} // with Secrets, where there are passwords to keep
	servers := &ldap.Servers{Engine: engine}
	defer servers.Close()
	engine.SyncSource = servers.Source // Run syncs each connection that has LDAP

	login := &jit.LoginHandler{
		Engine: engine,
		OnLogin: func(w http.ResponseWriter, r *http.Request, account *provision.Account, returnTo string) {
			// Begin a session for account.ID, and send the browser to returnTo.
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/ldap/{connection}/login", &ldap.Handler{
		Servers: servers,
		Login:   login,
		BaseURL: func(connection string) string { return "https://app.example.com/ldap/" + connection },
	})

	connection := provision.Connection{ID: "corp", LDAP: &provision.LDAP{
		URLs:    []string{"ldaps://dc1.corp.example", "ldaps://dc2.corp.example"},
		BaseDNs: []string{"OU=Staff,DC=corp,DC=example"},
		Preset:  "ad",
		Login:   true,
	}}
	if _, err := engine.Directory("corp").SaveConnection(context.Background(), connection); err != nil {
		fmt.Println(err)
	}
}

func ExampleValidate() {
	err := ldap.Validate("corp", provision.LDAP{
		URLs:    []string{"ldaps://dc1.corp.example"},
		BaseDNs: []string{"OU=Staff,DC=corp,DC=example"},
		Preset:  "ad",
		Mapping: map[string]string{"emial": "proxyAddresses"},
	})
	var wrong *provision.ConnectionError
	fmt.Println(errors.As(err, &wrong), wrong.Field, wrong.Reason)
	// Output: true ldap.mapping it is no field; did you mean "email"?
}
