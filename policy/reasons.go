package policy

import "strings"

// The effects that a [Reason] can name. The effects of the roles option end with
// a space and the name of the role, as in "granted editor".
const (
	EffectAdmitted           = "admitted"                // requiredGroups: the gate is open
	EffectNotAdmitted        = "not admitted"            // requiredGroups: the gate is closed
	EffectDenied             = "denied"                  // onMissingGroups: a login is refused
	EffectEmptied            = "read as empty"           // onMissingGroups: no evidence is no groups
	EffectKept               = "kept"                    // onMissingGroups and groups: stays as it was
	EffectDisabled           = "disabled"                // deprovisionMethod
	EffectDeleted            = "deleted"                 // deprovisionMethod
	EffectDisabledByOperator = "disabled by an operator" // no option: Reason.Option is empty
	EffectSuppressed         = "suppressed"              // deprovisionUsers: the account stays as it was
	EffectExcluded           = "excluded"                // excludedGroups: the group is not carried
	EffectCarried            = "carried"                 // includedGroups: the group is carried
	EffectNotAdded           = "not added"               // provisionGroups: the group is not carried
	EffectGranted            = "granted"                 // admins and roles
	EffectPassword           = "password"                // passwordGroups: logs in with a password
	EffectLapsed             = "rights lapsed"           // roleEvidenceMaxAgeDays: what the groups granted
	EffectSet                = "set"                     // the value of the option is used
	EffectForced             = "forced"                  // companyMode: instead of the given one
	EffectInvalid            = "invalid"                 // timeZone: the given one is not known
)

// The effects of options that did not apply, which only [Policy.Trace] names.
const (
	EffectOff        = "off"         // the option is empty
	EffectNotMatched = "not matched" // no group matched
	EffectNotCarried = "not carried" // includedGroups: the group did not match
	EffectNotUsed    = "not used"    // there was no occasion
	EffectOverridden = "overridden"  // readOnlySiteAdminGroups, by siteAdminGroups
	EffectWithheld   = "withheld"    // the account is not active
	EffectFixed      = "fixed"       // decided once, earlier
)

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
func (d *decider) because(option, pattern, group, effect string) {
	d.Reasons = append(d.Reasons, Reason{Option: option, Pattern: pattern, Group: group, Effect: effect})
}

// note adds a reason that only Trace gives.
func (d *decider) note(option, effect string) {
	if d.trace {
		d.because(option, "", "", effect)
	}
}

// becauseOf adds the reason that a group matched a list.
func (d *decider) becauseOf(list int, effect string) {
	hit := d.any(list)
	d.becauseOfMatch(list, int(hit.pattern)-1, int(hit.group)-1, effect)
}

// becauseOfGroup adds the reason that group i matched one of the lists that are
// asked group by group.
func (d *decider) becauseOfGroup(list, i int, effect string) {
	d.becauseOfMatch(list, int(d.own(i)[list])-1, i, effect)
}

func (d *decider) becauseOfMatch(list, pattern, group int, effect string) {
	text := d.matcher.lists[list][pattern]
	name, ok := strings.CutPrefix(text, "id:")
	if !ok {
		name = d.groups[group].Name
	}
	d.because(listOption(list), text, name, effect)
}
