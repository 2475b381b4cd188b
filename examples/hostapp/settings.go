package main

import (
	"crypto/subtle"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

//go:embed pages.html
var pagesText string

var pages = template.Must(template.New("").Parse(pagesText))

// settings is a page for whoever has the operator token. Its buttons say what to do.
func (a *app) settings(w http.ResponseWriter, r *http.Request) {
	if _, password, _ := r.BasicAuth(); subtle.ConstantTimeCompare([]byte(password), []byte(a.operatorToken)) == 0 {
		w.Header().Set("WWW-Authenticate", `Basic realm="operator"`)
		http.Error(w, "The password is the operator token.", http.StatusUnauthorized)
		return
	}
	page := struct {
		Base, Do, Error, NewToken string
		Changes                   []provision.AccountChange
		Connection                provision.Connection
		Options                   []policy.Option
		Credentials               []provision.Credential
	}{Base: a.base, Do: r.PostFormValue("do"), Options: policy.Options()}
	ctx := r.Context()
	stored, err := a.Connection(ctx)
	page.Connection = stored
	switch page.Do {
	case "issue":
		page.NewToken, _, err = a.IssueToken(ctx, time.Time{})
	case "revoke":
		err = a.RevokeCredential(ctx, r.PostFormValue("id"))
	case "preview", "save":
		edited := &page.Connection
		edited.Version, _ = strconv.ParseInt(r.PostFormValue("version"), 10, 64) // no number is a stale version
		edited.SAML = &provision.SAML{Metadata: r.PostFormValue("metadata")}
		if edited.SAML.Metadata == "" {
			edited.SAML = nil
		}
		edited.Policy, err = policy.ParseTexts(r.PostFormValue)
		if err == nil && page.Do == "save" {
			page.Connection, err = a.SaveConnection(ctx, *edited)
			break
		}
		for change, fault := range a.Preview(ctx, edited.Policy) {
			page.Changes, err = append(page.Changes, change), errors.Join(err, fault)
		}
	}
	status := http.StatusOK
	if err != nil {
		status, page.Error, page.Connection = http.StatusBadRequest, err.Error(), stored
	}
	if errors.Is(err, provision.ErrVersion) {
		status, page.Error = http.StatusConflict, "Somebody has changed the settings since. Here they are; nothing of yours was saved."
	}
	page.Credentials, _ = a.Credentials(ctx) // or the page shows none
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = pages.ExecuteTemplate(w, "settings", page) // or the reader is gone
}
