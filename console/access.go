package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// SettingAccess says who may change a setting of a connection.
type SettingAccess string

// Who may change a setting.
const (
	ForOperator SettingAccess = "operator" // the operator alone
	ForCustomer SettingAccess = "customer" // the customer, too

	// ForCustomerOutside is for the customer where the application reaches public
	// addresses only ([provision.Outbound]): otherwise who sets an address could have the
	// application look into its own network.
	ForCustomerOutside SettingAccess = "customer, where only public addresses are reached"

	// ForNobody is what is said by the place where the settings are managed.
	ForNobody SettingAccess = "nobody"
)

// settingRules says who may change the settings of a connection: a rule is for the setting
// and all that is in it, but for what has a rule of its own. A setting without a rule is the
// operator's. What the policy has is in the table of its options.
var settingRules = []struct {
	setting string
	who     SettingAccess
}{
	{"id", ForNobody},
	{"managedBy", ForNobody},
	{"name", ForCustomer},
	{"dialect", ForCustomer},
	{"scim", ForCustomer},
	{"attributes", ForOperator},
	{"disabled", ForOperator},
	{"policy", ForCustomer},
	{"saml", ForCustomer},
	{"saml.metadataURL", ForCustomerOutside},
	{"ldap", ForCustomer},
	{"ldap.urls", ForCustomerOutside},
}

// SettingFor returns who may change a setting, such as "saml.metadataURL", or an option of
// the policy, such as "policy.link".
func SettingFor(setting string) SettingAccess {
	if key, ok := strings.CutPrefix(setting, "policy."); ok {
		for _, o := range policy.Options() {
			if o.Key == key && o.OperatorOnly {
				return ForOperator
			}
		}
	}
	who, length := ForOperator, -1
	for _, r := range settingRules {
		if (setting == r.setting || strings.HasPrefix(setting, r.setting+".")) && len(r.setting) > length {
			who, length = r.who, len(r.setting)
		}
	}
	return who
}

// mayChange refuses a change of settings that the viewer may not make. It compares what is
// stored with what would be: a form sends everything back that it has read.
func (c *call) mayChange(stored, next provision.Connection) error {
	if stored.ManagedBy != next.ManagedBy {
		return wrong(codeManaging, "managedBy", "managedBy: it is set by the place where the settings are managed")
	}
	if c.viewer.Role != RoleCustomer {
		return nil
	}
	if next.Mode == "" { // then it stays
		next.Mode, next.Until = stored.Mode, stored.Until
	}
	for _, setting := range changed(stored, next) {
		who := SettingFor(setting)
		if who == ForCustomer || who == ForCustomerOutside && !c.api.Engine.Outbound.AllowPrivate {
			continue
		}
		return &Problem{Status: http.StatusForbidden, Code: codeSetting, Field: setting, Detail: fmt.Sprintf("%s: only an operator of the application may change it", setting)}
	}
	return nil
}

// changed returns the settings in which two connections differ: those of the policy, of
// SAML and of the directory one by one.
func changed(a, b provision.Connection) []string {
	was, is := flat(a), flat(b)
	var out []string
	for _, s := range is {
		if !bytes.Equal(s.value, valueOf(was, s.name)) {
			out = append(out, s.name)
		}
	}
	for _, s := range was {
		if valueOf(is, s.name) == nil {
			out = append(out, s.name)
		}
	}
	return out
}

// setting is a setting with its value.
type setting struct {
	name  string
	value json.RawMessage
}

func valueOf(list []setting, name string) json.RawMessage {
	for _, s := range list {
		if s.name == name {
			return s.value
		}
	}
	return nil
}

// flat returns the settings of a connection as JSON, objects by what is in them.
func flat(c provision.Connection) []setting {
	var out []setting
	var into func(name string, value json.RawMessage)
	into = func(name string, value json.RawMessage) {
		var object map[string]json.RawMessage
		if strings.Contains(name, ".") || json.Unmarshal(value, &object) != nil || object == nil {
			out = append(out, setting{name, value})
			return
		}
		for key, value := range object {
			into(strings.TrimPrefix(name+"."+key, "."), value)
		}
	}
	data, _ := json.Marshal(c) // it was decoded from JSON
	var top map[string]json.RawMessage
	_ = json.Unmarshal(data, &top) // an object that was just written
	for key, value := range top {
		into(key, value)
	}
	return out
}
