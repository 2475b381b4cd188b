package console

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// previewContent is what a policy that is not saved would do.
type previewContent struct {
	Sentence string
	Losing   bool
	Facts    []string
	Rows     []previewRow
	Cut      string
}

type previewRow struct {
	ID, Name string
	Changes  []changeRow
	Reasons  []string
}

// previewRows is how many people a preview lists.
const previewRows = 50

// previewSettings shows what the form would change. Nothing is saved.
func (v *visit) previewSettings() (done, error) {
	form := v.form()
	c, ok := v.readSettings(form)
	content, err := v.settingsPage(form)
	if err != nil {
		return done{}, err
	}
	if !ok {
		return done{content: content, status: http.StatusUnprocessableEntity}, nil
	}
	totals, err := v.previewTotals(c)
	var changes []provision.AccountChange
	if err == nil {
		changes, err = v.previewChanges(c)
	}
	if p, isProblem := problemIn(err); isProblem && p.Field != "" {
		v.fields = map[string]string{p.Field: p.Detail}
		content, err = v.settingsPage(form)
		return done{content: content, status: http.StatusUnprocessableEntity}, err
	}
	if err != nil {
		return done{}, err
	}
	content.Preview, content.Few = v.describePreview(changes, totals), v.fewAdmins(totals)
	return done{content: content}, nil
}

func (v *visit) previewChanges(c provision.Connection) ([]provision.AccountChange, error) {
	var changes []provision.AccountChange
	err := v.ask(question{method: http.MethodPost, path: v.of("preview"), body: c.Policy}, &changes)
	return changes, err
}

func (v *visit) describePreview(changes []provision.AccountChange, totals provision.PreviewTotals) *previewContent {
	say, p := v.h.say, &previewContent{}
	switch len(changes) {
	case 0:
		p.Sentence = say("wouldNotChange")
	case 1:
		p.Sentence = say("wouldChangeOne")
	default:
		p.Sentence = say("wouldChange", len(changes))
	}
	var lose, gain int
	for i, c := range changes {
		for _, one := range c.Changes {
			if one.Attribute == "status" {
				lost, won := statusSteps(one.Before, one.After)
				lose, gain = lose+lost, gain+won
			}
		}
		if i < previewRows {
			p.Rows = append(p.Rows, v.previewRow(c))
		}
	}
	if lose > 0 {
		p.Losing, p.Facts = true, append(p.Facts, say("wouldLose", lose))
	}
	if gain > 0 {
		p.Facts = append(p.Facts, say("wouldGain", gain))
	}
	p.Facts = append(p.Facts, say("adminsAfter", totals.After.SiteAdmins+totals.OtherAdmins, totals.Before.SiteAdmins+totals.OtherAdmins))
	if totals.Held {
		p.Facts = append(p.Facts, say("wouldHold"))
	}
	if totals.LastAdminKept {
		p.Facts = append(p.Facts, say("wouldKeepAdmin"))
	}
	if len(changes) > previewRows {
		p.Cut = say("previewCut", previewRows)
	}
	return p
}

func (v *visit) previewRow(c provision.AccountChange) previewRow {
	row := previewRow{ID: c.AccountID, Name: orID(c.UserName, c.AccountID)}
	for _, one := range c.Changes {
		row.Changes = append(row.Changes, changeRow{one.Attribute, decoded(one.Before), decoded(one.After)})
	}
	for _, r := range c.Reasons {
		row.Reasons = append(row.Reasons, v.reason(r))
	}
	return row
}

// statusSteps counts whether access is lost or gained.
func statusSteps(before, after json.RawMessage) (lost, gained int) {
	active := func(raw json.RawMessage) bool { return strings.Trim(string(raw), `"`) == string(policy.StatusActive) }
	switch {
	case active(before) && !active(after):
		return 1, 0
	case active(after) && !active(before):
		return 0, 1
	}
	return 0, 0
}

// fewAdmins asks to confirm a policy that leaves one site admin or none, where there are
// more now. It is empty for any other.
func (v *visit) fewAdmins(totals provision.PreviewTotals) string {
	if !totals.FewAdmins() || totals.After.SiteAdmins >= totals.Before.SiteAdmins {
		return ""
	}
	return v.h.say("fewAdmins", totals.After.SiteAdmins+totals.OtherAdmins)
}

// previewTotals asks what a policy would come to.
func (v *visit) previewTotals(c provision.Connection) (t provision.PreviewTotals, err error) {
	err = v.ask(question{method: http.MethodPost, path: v.of("preview", "totals"), body: c.Policy}, &t)
	return t, err
}
