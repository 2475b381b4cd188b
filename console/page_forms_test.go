package console_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store/memory"
)

func readAll(t *testing.T, res *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// settingsOf are the fields of the form of settings as a browser would send them, unchanged.
func settingsOf(c provision.Connection) url.Values {
	form := url.Values{"name": {c.Name}, "dialect": {"auto"}, "version": {fmt.Sprint(c.Version)}}
	if c.SCIM {
		form.Set("scim", "true")
	}
	for _, o := range policy.Options() {
		text := o.Text(c.Policy)
		switch o.Kind {
		case policy.KindSwitch:
			if text == "true" {
				form.Set(o.Key, text)
			}
		case policy.KindPermissions:
			for _, name := range []string{"webdav", "ftp", "sftp"} {
				form.Set("permissions."+name, "null")
			}
		case policy.KindRoles:
			form.Set("roles.0.groups", "")
			form.Set("roles.0.role", "")
		default:
			form.Set(o.Key, text)
		}
	}
	return form
}

func (r *reader) stored(id string) provision.Connection {
	r.t.Helper()
	c, err := r.f.engine.Directory(id).Connection(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// A form that nobody has touched changes nothing when it is saved; each kind of field is saved
// as it was entered.
func TestSettingsForm(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	const page = "/console/own/settings"
	save := func(form url.Values) answer {
		t.Helper()
		form.Set("action", "save")
		return r.submit(page, form)
	}
	before := r.stored(own)
	if a := save(settingsOf(before)); a.status != 200 || r.stored(own).Version != before.Version {
		t.Errorf("untouched: %d, version %d, was %d: %s", a.status, r.stored(own).Version, before.Version, a.body)
	}
	form := settingsOf(before)
	for key, value := range map[string]string{
		"name": "New name", "requiredGroups": "zebra*, Staff", "provisionOnFirstLogin": "true", "deleteAfterDays": "7", "company": "Acme", "timeZone": "Europe/Berlin",
		"permissions.ftp": "false", "roles.0.groups": "IT, Ops", "roles.0.role": "auditor", "twoFactor": `"always"`, "emailDomains": "acme.example",
	} {
		form.Set(key, value)
	}
	form.Del("deprovisionUsers")
	if a := save(form); a.status != 200 || !strings.Contains(a.body, "Saved.") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	c := r.stored(own)
	p := c.Policy
	if c.Name != "New name" || p.RequiredGroups.String() != "zebra*, Staff" || p.ProvisionOnFirstLogin != policy.FirstLoginProvision ||
		p.DeleteAfterDays != 7 || p.Company != "Acme" || p.TimeZone != "Europe/Berlin" || p.TwoFactor != policy.TwoFactorAlways ||
		p.Permissions["ftp"] == nil || *p.Permissions["ftp"] || len(p.Roles) != 1 || p.Roles[0].Role != "auditor" || len(p.EmailDomains) != 1 || p.DeprovisionUsers == policy.On {
		t.Errorf("saved %+v", c)
	}
}

// What is wrong is said beside the field, what was entered stays, and nothing is saved.
func TestSettingsFaults(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	before := r.f.state()
	for field, value := range map[string]string{
		"requiredGroups": `"IT`, "timeZone": "Europe/Nowhere", "deleteAfterDays": "9000", "emailDomains": "@@", "twoFactor": `"sometimes"`, "siteAdminGroups": "*", "permissions.telnet": "true",
	} {
		form := settingsOf(r.stored(own))
		form.Set(field, value)
		form.Set("action", "save")
		a := r.submit("/console/own/settings", form)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `class="error"`) {
			t.Errorf("%s: %d", field, a.status)
		}
		if r.f.state() != before {
			t.Fatalf("%s was saved", field)
		}
	}
}

// A form that somebody else has overtaken is shown again, and saved only when it is sent once
// more.
func TestStaleSettings(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	form := settingsOf(r.stored(own))
	if _, err := r.f.engine.Directory(own).UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.Policy.Company = "Somebody else's"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	form.Set("company", "Mine")
	form.Set("action", "save")
	a := r.submit("/console/own/settings", form)
	if a.status != http.StatusConflict || !strings.Contains(a.body, "Somebody else&#39;s") || !strings.Contains(a.body, `value="Mine"`) {
		t.Errorf("%d", a.status)
	}
	if got := r.stored(own).Policy.Company; got != "Somebody else's" {
		t.Errorf("company %q", got)
	}
	form.Set("version", fmt.Sprint(r.stored(own).Version))
	if a := r.submit("/console/own/settings", form); a.status != 200 || r.stored(own).Policy.Company != "Mine" {
		t.Errorf("once more: %d", a.status)
	}
}

// A preview says who would change and saves nothing.
func TestPreviewPage(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	before := r.f.state()
	form := settingsOf(r.stored(own))
	form.Set("requiredGroups", "zebra*")
	form.Set("company", "Acme")
	form.Set("action", "preview")
	a := r.submit("/console/own/settings", form)
	if a.status != 200 || !strings.Contains(a.body, "12 people would change") || !strings.Contains(a.body, "site admins after") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if r.f.state() != before {
		t.Error("something was saved")
	}
}

// A secret is shown once, and counts after Save.
func TestSecretOnPage(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	a := r.submit("/console/own/set-up", url.Values{"action": {"basic"}})
	user, password := between(a.body, `id="secret-user">`), between(a.body, `id="secret-value">`)
	if a.status != 200 || user == "" || password == "" {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	secret := provision.Secret{UserName: user, Password: password}
	if _, _, err := r.f.engine.Authenticate(t.Context(), secret); err == nil {
		t.Error("it counts before Save")
	}
	if again := r.get("/console/own/set-up"); strings.Contains(again.body, password) || !strings.Contains(again.body, user) {
		t.Error("it is shown again, or nothing is")
	}
	id := between(a.body, `name="credential" value="`)
	if a := r.submit("/console/own/set-up", url.Values{"action": {"activate"}, "credential": {id}}); a.status != 200 {
		t.Errorf("saving: %d", a.status)
	}
	if _, _, err := r.f.engine.Authenticate(t.Context(), secret); err != nil {
		t.Errorf("after Save: %v", err)
	}
}

// between returns what follows a text, up to the next sign of markup.
func between(page, after string) string {
	_, rest, found := strings.Cut(page, after)
	if !found {
		return ""
	}
	end := strings.IndexAny(rest, `<"`)
	return rest[:max(0, end)]
}

// An operator makes a provider in trial or live, decides about held people, and deletes
// somebody only after a tick.
func TestOperatorOnPages(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	if a := r.submit("/console/", url.Values{"action": {"create"}, "id": {"new one"}}); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `class="error"`) {
		t.Errorf("a wrong id: %d", a.status)
	}
	if a := r.submit("/console/", url.Values{"action": {"create"}, "id": {own}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("an id that is taken: %d", a.status)
	}
	if a := r.submit("/console/", url.Values{"action": {"create"}, "id": {"fresh"}, "name": {"Fresh"}, "dialect": {"okta"}, "trial": {"true"}}); !strings.HasPrefix(a.path, "/console/fresh/set-up") {
		t.Errorf("%d at %s", a.status, a.path)
	}
	if c := r.stored("fresh"); c.Mode != provision.ModeShadow || c.Dialect != "okta" {
		t.Errorf("%+v", c)
	}
	const page = "/console/own/decisions"
	if a := r.submit(page, url.Values{"action": {"release"}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("nobody chosen: %d", a.status)
	}
	one := r.f.account[own]
	if a := r.submit(page, url.Values{"action": {"release"}, "account": {one}}); a.status != 200 || strings.Contains(a.body, `value="`+one+`"`) {
		t.Errorf("release: %d", a.status)
	}
	person := "/console/own/people/" + one
	if a := r.submit(person, url.Values{"action": {"delete"}}); a.status != http.StatusUnprocessableEntity {
		t.Errorf("delete without a tick: %d", a.status)
	}
	if a := r.submit(person, url.Values{"action": {"delete"}, "sure": {"true"}}); a.status != 200 {
		t.Errorf("delete: %d", a.status)
	}
	account, err := r.f.engine.Directory(own).Account(t.Context(), one)
	if err != nil || account.Status != policy.StatusDeleted {
		t.Errorf("%+v, %v", account, err)
	}
}

// Cells of a download that begin like a formula are text.
func TestCSV(t *testing.T) {
	f := empty(t, memory.New())
	d := f.engine.Directory("own")
	if _, err := d.SaveConnection(t.Context(), provision.Connection{ID: "own", SCIM: true}); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "plain"} {
		f.scim("own", "/Users", fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u%d","displayName":%q}`, i, name))
	}
	a := newReader(t, f, nil).signIn().get("/console/own/people.csv")
	for _, cell := range []string{"'=cmd", "'+1", "'-1", "'@SUM", ",plain,"} {
		if !strings.Contains(a.body, cell) {
			t.Errorf("%q is not in %s", cell, a.body)
		}
	}
	if n := strings.Count(a.body, "\n"); n != 6 {
		t.Errorf("%d lines", n)
	}
}

// scim makes a resource as the identity provider does, and returns its id.
func (f *fixture) scim(connection, path, body string) string {
	f.t.Helper()
	d := f.engine.Directory(connection)
	token, cred, err := d.IssueToken(f.t.Context(), time.Time{})
	if err != nil {
		f.t.Fatal(err)
	}
	service := &scim.Handler{Engine: f.engine, Logger: f.engine.Logger, Prefix: "/", Limits: scim.Limits{Rate: -1}}
	r := httptest.NewRequestWithContext(f.t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	service.ServeHTTP(w, r)
	var made struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != http.StatusCreated {
		f.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	if err := d.RevokeCredential(f.t.Context(), cred.ID); err != nil {
		f.t.Fatal(err)
	}
	return made.ID
}

// The permissions that a host has beside the usual ones are fields, and stay.
func TestPermissionsOfTheHost(t *testing.T) {
	f := filled(t)
	f.engine.Permissions = []string{"backup"}
	yes := true
	if _, err := f.engine.Directory(own).UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.Policy.Permissions = policy.Permissions{"backup": &yes}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r := newReader(t, f, nil).signIn()
	if a := r.get("/console/own/settings"); strings.Count(a.body, `name="permissions.backup"`) != 1 {
		t.Errorf("the form has %d fields of it", strings.Count(a.body, `name="permissions.backup"`))
	}
	form := settingsOf(r.stored(own))
	form.Set("permissions.backup", "true")
	form.Set("company", "Acme")
	form.Set("action", "save")
	if a := r.submit("/console/own/settings", form); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	p := r.stored(own).Policy
	if p.Company != "Acme" || p.Permissions["backup"] == nil || !*p.Permissions["backup"] {
		t.Errorf("%+v", p)
	}
}

// What an action has said is not said again of the next one, and no text of an address is.
func TestSaidOnce(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	form := settingsOf(r.stored(own))
	form.Set("company", "Acme")
	form.Set("action", "save")
	a := r.submit("/console/own/settings", form)
	if !strings.Contains(a.body, "Saved.") {
		t.Fatalf("%d at %s", a.status, a.path)
	}
	form.Set("timeZone", "nowhere")
	if a := r.submit(a.path, form); strings.Contains(a.body, "Saved.") || a.status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong form: %d", a.status)
	}
	for _, page := range []string{"/console/own/overview?done=Send+the+token+elsewhere", "/console/~/sign-in?done=Send+the+token+elsewhere", "/console/own/overview?done=problem"} {
		if a := r.get(page); strings.Contains(a.body, "elsewhere") || strings.Contains(a.body, `role="status"`) {
			t.Errorf("%s says it", page)
		}
	}
}

// A host without a consumer decides about held people, too.
func TestDecisionsWithoutConsumer(t *testing.T) {
	for _, name := range []string{"", "never-seen"} {
		f := filled(t)
		f.api.Consumer = name
		if a := newReader(t, f, nil).signIn().get("/console/own/decisions"); a.status != http.StatusOK || !strings.Contains(a.body, "zebra") {
			t.Errorf("consumer %q: %d", name, a.status)
		}
	}
}

// Names that are no address of the API lead nowhere.
func TestDots(t *testing.T) {
	r := newReader(t, filled(t), nil).signIn()
	before := r.f.state()
	for _, id := range []string{"..", ".", ""} {
		a := r.submit("/console/own/set-up", url.Values{"action": {"revoke"}, "credential": {id}})
		if a.status != http.StatusNotFound {
			t.Errorf("credential %q: %d", id, a.status)
		}
	}
	for _, page := range []string{"/console/%2E/overview", "/console/%2E%2E/overview", "/console/own/people/%2E%2E"} {
		if a := r.get(page); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", page, a.status)
		}
	}
	if r.f.state() != before {
		t.Error("something has changed")
	}
}
