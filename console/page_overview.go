package console

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// overviewContent is how it stands with one connection.
type overviewContent struct {
	Health   string
	Class    string
	To       *link // what to do about it
	Warnings []provision.Warning
	Counts   []countRow
	Events   []eventRow
}

type link struct{ Key, Address string }

type countRow struct {
	Key     string
	Count   int
	Address string
}

// shownStatuses are the statuses that pages list, in this order.
var shownStatuses = []policy.Status{policy.StatusActive, policy.StatusStaged, policy.StatusDisabled, policy.StatusDeleted}

func (v *visit) overview() (any, error) {
	content := &overviewContent{}
	if err := v.get(&content.Warnings, nil, v.of("warnings")...); err != nil {
		return nil, err
	}
	var counts provision.AccountCounts
	if err := v.get(&counts, nil, v.of("counts")...); err != nil {
		return nil, err
	}
	for _, s := range shownStatuses {
		n := map[policy.Status]int{
			policy.StatusActive: counts.Active, policy.StatusStaged: counts.Staged, policy.StatusDisabled: counts.Disabled, policy.StatusDeleted: counts.Deleted,
		}[s]
		content.Counts = append(content.Counts, countRow{"status." + string(s), n, withQuery(v.address("people"), url.Values{"status": {string(s)}})})
	}
	var err error
	if content.Events, _, err = v.events(url.Values{"limit": {"10"}}); err != nil {
		return nil, err
	}
	v.health(content, counts.People(), counts.Held)
	return content, nil
}

// health says in one sentence how it stands, the gravest first.
func (v *visit) health(c *overviewContent, people, held int) {
	switch {
	case v.head.Disabled:
		c.Health, c.Class = v.h.say("health.off"), "bad"
		c.To = &link{"settings", v.address("settings")}
	case held > 0:
		c.Health, c.Class = v.h.say("health.held", held), "bad"
		if v.may("held.list") {
			c.To = &link{"decisions", v.address("decisions")}
		}
	case people == 0:
		c.Health, c.Class = v.h.say("health.empty"), "warn"
		c.To = &link{"setUp", v.address("set-up")}
	case len(c.Warnings) == 1:
		c.Health, c.Class = v.h.say("health.warning"), "warn"
	case len(c.Warnings) > 1:
		c.Health, c.Class = v.h.say("health.warnings", len(c.Warnings)), "warn"
	default:
		c.Health, c.Class = v.h.say("health.good"), "good"
	}
}

// eventRow is an event as people read it.
type eventRow struct {
	*provision.Event
	Person  *personLink
	Changes []changeRow
	Reasons []string
	Actor   string
	Many    bool // changes are folded
}

// shownChanges is how many changes of an event are shown at once.
const shownChanges = 3

type personLink struct{ Name, Address string }

type changeRow struct{ Attribute, Before, After string }

// events reads events, newest first.
func (v *visit) events(query url.Values) ([]eventRow, url.Values, error) {
	query.Set("order", "newest")
	var list []*provision.Event
	next, err := v.list(&list, query, v.of("events")...)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]eventRow, 0, len(list))
	for _, e := range list {
		row := eventRow{Event: e, Actor: showActor(e.Actor)}
		if e.AccountID != "" {
			row.Person = &personLink{v.nameIn(e), v.address("people/" + url.PathEscape(e.AccountID))}
		}
		for _, c := range e.Changes {
			row.Changes = append(row.Changes, changeRows(c)...)
		}
		row.Many = len(row.Changes) > shownChanges
		for _, r := range e.Reasons {
			row.Reasons = append(row.Reasons, v.reason(r))
		}
		rows = append(rows, row)
	}
	return rows, next, nil
}

// nameIn is the user name that an event tells, or the id of the account.
func (v *visit) nameIn(e *provision.Event) string {
	for _, c := range e.Changes {
		if c.Attribute != "userName" {
			continue
		}
		if name := decoded(c.After); name != "" {
			return name
		}
	}
	return e.AccountID
}

// changeRows shows a change: of an object such as a policy, each of its keys that changed.
func changeRows(c store.Change) []changeRow {
	var before, after map[string]json.RawMessage
	if json.Unmarshal(c.After, &after) != nil || after == nil || json.Unmarshal(c.Before, &before) != nil {
		return []changeRow{{c.Attribute, decoded(c.Before), decoded(c.After)}}
	}
	var rows []changeRow
	for _, key := range slices.Sorted(maps.Keys(after)) {
		was, is := decoded(before[key]), decoded(after[key])
		if was != is && (is != "" || was != "") {
			rows = append(rows, changeRow{optionLabel(key), was, is})
		}
	}
	return rows
}

// decoded shows a value of JSON.
func decoded(raw json.RawMessage) string {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return string(raw)
	}
	return showValue(value)
}

// reason is one reason as a sentence.
func (v *visit) reason(r policy.Reason) string {
	text := optionLabel(r.Option)
	if r.Group != "" {
		text += ": " + r.Group
	}
	text += " - " + r.Effect.Text()
	if r.Value != "" {
		text += " " + r.Value
	}
	return text
}
