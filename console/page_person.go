package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

type personContent struct {
	paging
	name    string
	Note    string
	Facts   []factRow
	Groups  []store.AccountGroup
	Why     []policy.Reason
	Actions []string
	Events  []eventRow
}

func (c *personContent) title() string { return c.name }

type factRow struct {
	Name   string
	Values []string
}

// personActions are what an operator may do to one person, by the name of the API's
// action.
var personActions = map[string]func(*visit) (done, error){
	"disable": accountAction("disable"),
	"enable":  accountAction("enable"),
	"unbind":  accountAction("unbind"),
	"delete":  (*visit).deletePerson,
}

func isGroupAdmin(g store.AccountGroup) bool { return g.Admin }

func itoa(n int) string { return strconv.Itoa(n) }

func (v *visit) person() (any, error) { return v.personPage() }

func (v *visit) personPage() (*personContent, error) {
	id := v.r.PathValue("account")
	var e provision.Explanation
	if err := v.get(&e, url.Values{"account": {id}}, v.of("explain")...); err != nil {
		return nil, err
	}
	a := e.Account
	content := &personContent{name: orID(a.DisplayName, orID(a.UserName, a.ID)), Groups: a.Groups, Why: e.Reasons, Facts: v.facts(a)}
	if e.Status != a.Status {
		content.Note = v.h.say("status."+string(a.Status)) + " - " + v.h.say("status.pending") + ": " + v.h.say("status."+string(e.Status))
	}
	if a.Held {
		content.Note = v.h.say("status.held")
	}
	if v.viewer.Role == RoleOperator && a.Status != policy.StatusDeleted {
		content.Actions = []string{"disable", "enable", "unbind", "delete"}
	}
	query := v.asked()
	query.Set("account", id)
	query.Set("limit", "20")
	events, next, err := v.events(query)
	content.Events, content.paging = events, v.pagesOf(next)
	return content, err
}

func (v *visit) facts(a *provision.Account) []factRow {
	say := v.h.say
	rows := []factRow{
		{say("userName"), some(a.UserName)},
		{say("display"), some(a.DisplayName)},
		{say("name"), some(a.Name)},
		{say("email"), some(a.Email)},
		{say("status"), some(v.statusText(a))},
		{say("rights"), v.rights(a)},
		{say("authentication"), some(say("auth." + string(a.Authentication)))},
		{say("twoFactor"), some(string(a.TwoFactor))},
		{say("permissions"), permissionTexts(a.Permissions)},
		{say("company"), some(a.Company)},
		{say("timeZone"), some(a.TimeZone)},
		{say("externalId"), some(a.ExternalID)},
		{say("accountId"), some(a.ID)},
	}
	return rows
}

func some(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// permissionTexts lists the permissions that are decided, in order of name.
func permissionTexts(p policy.Permissions) []string {
	var out []string
	for name, allowed := range p {
		if allowed != nil {
			out = append(out, strings.ToUpper(name)+": "+showValue(*allowed))
		}
	}
	slices.Sort(out)
	return out
}

// accountAction is an action of the API on the account of the page.
func accountAction(name string) func(*visit) (done, error) {
	return func(v *visit) (done, error) {
		path := v.of("accounts", v.r.PathValue("account"), name)
		return done{said: "done"}, v.ask(question{method: http.MethodPost, path: path}, nil)
	}
}

// deletePerson asks once more, as nothing brings the account back.
func (v *visit) deletePerson() (done, error) {
	if v.r.PostForm.Get("sure") == "true" {
		return accountAction("delete")(v)
	}
	v.fields = map[string]string{"sure": v.h.say("sureDeleteError")}
	content, err := v.personPage()
	return done{content: content, status: http.StatusUnprocessableEntity}, err
}
