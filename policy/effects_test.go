package policy_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

// Every effect has one row in the table, a code and a text of its own.
func TestEffects(t *testing.T) {
	source, err := os.ReadFile("effects.go")
	if err != nil {
		t.Fatal(err)
	}
	var constants []policy.Effect
	for _, match := range regexp.MustCompile(`(?m)^\tEffect\w+ +Effect = "(.*?)"`).FindAllStringSubmatch(string(source), -1) {
		constants = append(constants, policy.Effect(match[1]))
	}
	effects := policy.Effects()
	if diff := cmp.Diff(constants, effects); diff != "" {
		t.Errorf("(-constants +table)\n%s", diff)
	}
	texts := map[string]policy.Effect{}
	for _, effect := range effects {
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(string(effect)) {
			t.Errorf("%q is no code", effect)
		}
		text := effect.Text()
		if other, twice := texts[text]; twice || text == "" {
			t.Errorf("%q and %q have the text %q", effect, other, text)
		}
		texts[text] = effect
	}
	if got := policy.Effect("of_tomorrow").Text(); got != "of tomorrow" {
		t.Errorf("an unknown effect reads %q", got)
	}
	effects[0] = "changed"
	if policy.Effects()[0] == "changed" {
		t.Error("Effects returns the table itself")
	}
}

var effectRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([^|`]+) \\| [^|]+ \\|$")

// The documentation explains every effect, by its code and its text.
func TestDocumentedEffects(t *testing.T) {
	type row struct {
		Effect policy.Effect
		Text   string
	}
	var want, got []row
	for _, effect := range policy.Effects() {
		want = append(want, row{effect, effect.Text()})
	}
	for _, match := range effectRow.FindAllStringSubmatch(readDocument(t), -1) {
		if effect := policy.Effect(match[1]); slices.Contains(policy.Effects(), effect) {
			got = append(got, row{effect, match[2]})
		} else {
			t.Errorf("%q is documented as an effect", effect)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-real +documented)\n%s", diff)
	}
}

func TestReasonString(t *testing.T) {
	for _, test := range []struct {
		want   string
		reason policy.Reason
	}{
		{`requiredGroups "Support*" matched "Support EMEA": admitted`,
			policy.Reason{Option: "requiredGroups", Pattern: "Support*", Group: "Support EMEA", Effect: policy.EffectAdmitted}},
		{`roles "S\"*" matched "S\"": granted "editor"`,
			policy.Reason{Option: "roles", Pattern: `S"*`, Group: `S"`, Effect: policy.EffectGranted, Value: "editor"}},
		{`provisionGroups of "IT": not added`, policy.Reason{Option: "provisionGroups", Group: "IT", Effect: policy.EffectNotAdded}},
		{`requiredGroups "IT": kept`, policy.Reason{Option: "requiredGroups", Pattern: "IT", Effect: policy.EffectKept}},
		{`requiredGroups: not admitted`, policy.Reason{Option: "requiredGroups", Effect: policy.EffectNotAdmitted}},
		{`disabled by an operator`, policy.Reason{Effect: policy.EffectDisabledByOperator}},
		{`login denied "conflict"`, policy.Reason{Effect: policy.EffectLoginDenied, Value: "conflict"}},
	} {
		if got := test.reason.String(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}
