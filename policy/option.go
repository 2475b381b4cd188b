package policy

import "encoding/json"

// Option describes one option of [Config] for a form, for documentation and for
// whoever checks settings before they reach a policy.
type Option struct {
	// Key is the JSON key.
	Key string `json:"key"`

	// Section is the heading under which a form has the option. Options of one
	// section come one after the other.
	Section string `json:"section"`

	// Label is the name that an administrator reads.
	Label string `json:"label"`

	// Help says in one or two plain sentences what the option does.
	Help string `json:"help"`

	// Kind says what a value is.
	Kind Kind `json:"kind"`

	// Choices are the values of a KindChoice, the default first.
	Choices []Choice `json:"choices,omitempty"`

	// Range is between what the values of a KindNumber are; otherwise it is nil.
	Range *Range `json:"range,omitempty"`

	// Default is the value of an option that nobody sets, as JSON.
	Default json.RawMessage `json:"default"`

	// OperatorOnly says that only an operator may set the option, as it decides
	// about people beyond the customer's own, or makes anybody an admin. The
	// administrator of a customer must not. It is for the host to see to that:
	// a Config does not know who made it.
	OperatorOnly bool `json:"operatorOnly,omitempty"`
}

// Kind says what the values of an option are in JSON.
type Kind string

// The kinds of options.
const (
	KindSwitch      Kind = "switch"      // true or false
	KindChoice      Kind = "choice"      // one of Choices
	KindNumber      Kind = "number"      // a whole number in Range
	KindText        Kind = "text"        // any text
	KindTimeZone    Kind = "timeZone"    // a name that TimeZone knows, or ""
	KindPatterns    Kind = "patterns"    // Patterns: an array, or a text for ParsePatterns
	KindNames       Kind = "names"       // names of groups in the same two forms, without wildcards
	KindDomains     Kind = "domains"     // domains in the same two forms
	KindPermissions Kind = "permissions" // an object of true, false or null by name; the usual names are in Default
	KindRoles       Kind = "roles"       // an array of objects with groups (patterns) and role
)

// Choice is one value of an option.
type Choice struct {
	Value json.RawMessage `json:"value"` // as JSON: a text, true, false or null
	Label string          `json:"label"`
}

// Range is an inclusive range of whole numbers.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Options returns the description of every option, section by section. JSON has
// them in the same order. What it returns is a copy.
func Options() []Option {
	out := make([]Option, len(options))
	for i, o := range options {
		out[i] = o.describe()
	}
	return out
}

func (o option) describe() Option {
	var defaults Config
	defaults.spellOut()
	d := Option{
		Key: o.key, Section: o.section, Label: o.label, Help: o.help, Kind: o.kind, OperatorOnly: o.operator,
		Default: mustJSON(o.written(&defaults)),
	}
	for _, c := range o.choices {
		d.Choices = append(d.Choices, Choice{Value: mustJSON(c.value), Label: c.label})
	}
	if o.kind == KindNumber {
		d.Range = &Range{Max: o.most}
	}
	return d
}

// mustJSON encodes what the table of options holds, which is never at fault.
func mustJSON(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
