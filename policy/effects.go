package policy

import "strings"

// Effect says what an option, a guard or a person did to an account. It is a
// code, which programs may compare and which stays as it is; [Effect.Text] is
// for people.
type Effect string

// The effects of options.
const (
	EffectAdmitted    Effect = "admitted"               // requiredGroups: the gate is open
	EffectNotAdmitted Effect = "not_admitted"           // requiredGroups: the gate is closed
	EffectDenied      Effect = "denied"                 // onMissingGroups: a login is refused
	EffectEmptied     Effect = "read_as_empty"          // onMissingGroups: no evidence is no groups
	EffectKept        Effect = "kept"                   // onMissingGroups and groups: stays as it was
	EffectDisabled    Effect = "disabled"               // deprovisionMethod
	EffectDeleted     Effect = "deleted"                // deprovisionMethod and deleteAfterDays
	EffectSuppressed  Effect = "deprovision_suppressed" // deprovisionUsers: the account stays as it was
	EffectExcluded    Effect = "excluded"               // excludedGroups: the group is not carried
	EffectCarried     Effect = "carried"                // includedGroups: the group is carried
	EffectNotAdded    Effect = "not_added"              // provisionGroups: the group is not carried
	EffectGranted     Effect = "granted"                // admins, and roles: Value is the role
	EffectPassword    Effect = "password"               // passwordGroups: logs in with a password
	EffectLapsed      Effect = "rights_lapsed"          // roleEvidenceMaxAgeDays: what the groups granted
	EffectSet         Effect = "set"                    // the value of the option is used
	EffectForced      Effect = "forced"                 // companyMode: instead of the given one
	EffectInvalid     Effect = "invalid"                // timeZone: the given one is not known
	EffectNotCreated  Effect = "not_created"            // provisionOnFirstLogin: a login is refused
)

// The effects of what is no option: an operator, a guard, a login that is
// refused. [Reason.Option] is empty, but for a warning.
const (
	EffectDisabledByOperator Effect = "disabled_by_operator"
	EffectDeletedByOperator  Effect = "deleted_by_operator"
	EffectKeptByOperator     Effect = "kept_by_operator"   // after the guard of mass changes held it
	EffectHeld               Effect = "held"               // by that guard
	EffectKeptAsLastAdmin    Effect = "kept_as_last_admin" // by the guard of the last site admin
	EffectLoginDenied        Effect = "login_denied"       // Value is the code
	EffectEmailShared        Effect = "email_shared"       // Value is the id of another account
	EffectConflict           Effect = "conflict"           // Value is the account of the host that the person resembles
	EffectWarning            Effect = "warning"            // of the connection: Option is what it is about, Value the code
)

// The effects of options that did not apply, which only [Policy.Trace] names.
const (
	EffectOff        Effect = "off"         // the option is empty
	EffectNotMatched Effect = "not_matched" // no group matched
	EffectNotCarried Effect = "not_carried" // includedGroups: the group did not match
	EffectNotUsed    Effect = "not_used"    // there was no occasion
	EffectOverridden Effect = "overridden"  // readOnlySiteAdminGroups, by siteAdminGroups
	EffectWithheld   Effect = "withheld"    // the account is not active
	EffectFixed      Effect = "fixed"       // decided once, earlier
)

// effectTexts are all effects, as people read them.
var effectTexts = [...]struct {
	effect Effect
	text   string
}{
	{EffectAdmitted, "admitted"},
	{EffectNotAdmitted, "not admitted"},
	{EffectDenied, "denied"},
	{EffectEmptied, "read as empty"},
	{EffectKept, "kept"},
	{EffectDisabled, "disabled"},
	{EffectDeleted, "deleted"},
	{EffectSuppressed, "deprovisioning suppressed"},
	{EffectExcluded, "excluded"},
	{EffectCarried, "carried"},
	{EffectNotAdded, "not added"},
	{EffectGranted, "granted"},
	{EffectPassword, "password"},
	{EffectLapsed, "rights lapsed"},
	{EffectSet, "set"},
	{EffectForced, "forced"},
	{EffectInvalid, "invalid"},
	{EffectNotCreated, "nobody is created"},
	{EffectDisabledByOperator, "disabled by an operator"},
	{EffectDeletedByOperator, "deleted by an operator"},
	{EffectKeptByOperator, "kept by an operator"},
	{EffectHeld, "held until an operator releases it"},
	{EffectKeptAsLastAdmin, "kept as the last site admin"},
	{EffectLoginDenied, "login denied"},
	{EffectEmailShared, "another account has the e-mail"},
	{EffectConflict, "not linked to an account that the application has"},
	{EffectWarning, "warning"},
	{EffectOff, "off"},
	{EffectNotMatched, "not matched"},
	{EffectNotCarried, "not carried"},
	{EffectNotUsed, "not used"},
	{EffectOverridden, "overridden"},
	{EffectWithheld, "withheld"},
	{EffectFixed, "fixed"},
}

// Effects returns all effects: those of options, those of what is no option, and
// those that only a trace names.
func Effects() []Effect {
	effects := make([]Effect, len(effectTexts))
	for i, row := range effectTexts {
		effects[i] = row.effect
	}
	return effects
}

// Text returns the effect in plain English. An effect of another version of this
// package reads as its code does.
func (e Effect) Text() string {
	for _, row := range effectTexts {
		if row.effect == e {
			return row.text
		}
	}
	return strings.ReplaceAll(string(e), "_", " ")
}
