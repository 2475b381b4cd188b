package policy

import (
	"fmt"
	"strings"
)

// Reason says why a decision is as it is: one option, the pattern and group
// that made it apply, and what it did.
type Reason struct {
	// Option is the JSON key of the option, such as "requiredGroups". It is
	// empty for what is no option: an operator, a guard, a refused login.
	Option string `json:"option"`

	// Pattern is as the administrator wrote it, and Group the display name, or
	// the id where the pattern named an id. Either may be empty.
	Pattern string `json:"pattern,omitempty"`
	Group   string `json:"group,omitempty"`

	// Effect is what it did, to Value where it needs one: the role of option
	// roles, the code of a login that is refused.
	Effect Effect `json:"effect"`
	Value  string `json:"value,omitempty"`
}

// String says r in plain English:
//
//	requiredGroups "Support*" matched "Support EMEA": admitted
func (r Reason) String() string {
	var b strings.Builder
	b.WriteString(r.Option)
	switch {
	case r.Pattern != "" && r.Group != "":
		fmt.Fprintf(&b, " %q matched %q", r.Pattern, r.Group)
	case r.Pattern != "":
		fmt.Fprintf(&b, " %q", r.Pattern)
	case r.Group != "":
		fmt.Fprintf(&b, " of %q", r.Group)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(r.Effect.Text())
	if r.Value != "" {
		fmt.Fprintf(&b, " %q", r.Value)
	}
	return b.String()
}

// listOptions are the options of the pattern lists.
var listOptions = [...]string{
	excludedList:   "excludedGroups",
	includedList:   "includedGroups",
	groupAdminList: "groupAdminGroups",
	requiredList:   "requiredGroups",
	siteAdminList:  "siteAdminGroups",
	readOnlyList:   "readOnlySiteAdminGroups",
	passwordList:   "passwordGroups",
	firstRole:      "roles",
}

func listOption(list int) string { return listOptions[min(list, firstRole)] }

// because adds a reason.
func (d *decider) because(option, pattern, group string, effect Effect) {
	d.Reasons = append(d.Reasons, Reason{Option: option, Pattern: pattern, Group: group, Effect: effect})
}

// note adds a reason that only Trace gives.
func (d *decider) note(option string, effect Effect) {
	if d.trace {
		d.because(option, "", "", effect)
	}
}

// becauseOf adds the reason that a group matched a list.
func (d *decider) becauseOf(list int, effect Effect) {
	hit := d.any(list)
	d.becauseOfMatch(list, int(hit.pattern)-1, int(hit.group)-1, effect)
}

// becauseOfGroup adds the reason that group i matched one of the lists that are
// asked group by group.
func (d *decider) becauseOfGroup(list, i int, effect Effect) {
	d.becauseOfMatch(list, int(d.own(i)[list])-1, i, effect)
}

func (d *decider) becauseOfMatch(list, pattern, group int, effect Effect) {
	text := d.matcher.lists[list][pattern]
	name, ok := strings.CutPrefix(text, "id:")
	if !ok {
		name = d.groups[group].Name
	}
	d.because(listOption(list), text, name, effect)
}
