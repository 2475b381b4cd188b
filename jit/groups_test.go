package jit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
)

// TestGroupForms reads testdata/groups.json: asserted values and the groups
// they are, by preset.
func TestGroupForms(t *testing.T) {
	data, err := os.ReadFile("testdata/groups.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name   string   `json:"name"`
		Preset string   `json:"preset"`
		Values []string `json:"values"`
		Groups []struct {
			Value string `json:"value"`
			Name  string `json:"name"`
		} `json:"groups"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			m := newMapping(t, v.Preset, jit.Overrides{"groups": "g"})
			id, err := m.Identity(jit.Assertion{Attributes: []jit.Attribute{attribute("g", v.Values...)}})
			if err != nil {
				t.Fatal(err)
			}
			var want []provision.IdentityGroup
			for _, g := range v.Groups {
				want = append(want, provision.IdentityGroup(g))
			}
			if diff := cmp.Diff(want, id.Groups); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGroupLimit(t *testing.T) {
	var values []string
	for i := range provision.MaxIdentityGroups {
		values = append(values, fmt.Sprintf("Group %d", i), fmt.Sprintf("GROUP %d", i), "")
	}
	m := newMapping(t, "okta", nil)
	id, err := m.Identity(jit.Assertion{Attributes: []jit.Attribute{attribute("groups", values...)}})
	if err != nil || len(id.Groups) != provision.MaxIdentityGroups {
		t.Fatalf("%d groups, error %v", len(id.Groups), err)
	}
	_, err = m.Identity(jit.Assertion{Attributes: []jit.Attribute{attribute("groups", values...), attribute("groups", "one more")}})
	checkAttributeError(t, err, jit.AttributeError{Field: "groups", Attribute: "groups", Problem: jit.TooMany})
	joined := newMapping(t, "onelogin", nil)
	_, err = joined.Identity(jit.Assertion{Attributes: []jit.Attribute{attribute("memberOf", strings.Join(values, ";")+";one more")}})
	checkAttributeError(t, err, jit.AttributeError{Field: "groups", Attribute: "memberOf", Problem: jit.TooMany})
}
