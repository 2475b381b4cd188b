package policy_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

// documentedOptions are the keys of a policy object, in the order of the
// documentation.
var documentedOptions = []string{
	"provisionOnFirstLogin", "requiredGroups", "onMissingGroups", "link", "emailDomains", "externalIdImmutable", "uniqueEmails",
	"deprovisionUsers", "deprovisionMethod", "deleteAfterDays", "provisionGroups", "deprovisionGroups",
	"excludedGroups", "includedGroups", "defaultGroups", "defaultGroupsAt", "siteAdminGroups",
	"readOnlySiteAdminGroups", "allowEveryoneAdmin", "groupAdminGroups", "roles", "roleEvidenceMaxAgeDays",
	"twoFactor", "permissions", "passwordGroups", "allowSSOForPasswordUsers", "company", "companyMode", "timeZone",
}

const defaultJSON = `{"provisionOnFirstLogin":"auto","requiredGroups":[],"onMissingGroups":"keep","link":"deny","emailDomains":[],` +
	`"externalIdImmutable":null,"uniqueEmails":false,"deprovisionUsers":true,"deprovisionMethod":"disable","deleteAfterDays":0,"provisionGroups":true,` +
	`"deprovisionGroups":true,"excludedGroups":[],"includedGroups":[],"defaultGroups":[],"defaultGroupsAt":"creation","siteAdminGroups":[],` +
	`"readOnlySiteAdminGroups":[],"allowEveryoneAdmin":false,"groupAdminGroups":[],"roles":[],"roleEvidenceMaxAgeDays":30,"twoFactor":"site",` +
	`"permissions":{"ftp":null,"sftp":null,"webdav":null},"passwordGroups":[],"allowSSOForPasswordUsers":false,"company":"","companyMode":"default",` +
	`"timeZone":""}`

func TestConfigJSONKeys(t *testing.T) {
	data, err := json.Marshal(policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		if err := decoder.Decode(new(json.RawMessage)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(documentedOptions, keys); diff != "" {
		t.Errorf("(-documented +written)\n%s", diff)
	}
}

func TestZeroConfigIsTheDefaults(t *testing.T) {
	data, err := json.Marshal(policy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaultJSON, string(data)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	parsed, err := policy.Parse([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(policy.Config{}, parsed); diff != "" {
		t.Errorf("{} is not the zero Config (-want +got)\n%s", diff)
	}
	spelledOut, err := policy.Parse([]byte(defaultJSON))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(spelledOut, compile(t, policy.Config{}).Config()); diff != "" {
		t.Errorf("the zero Config compiles to something else than the defaults (-want +got)\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name string
		json string
		set  func(*policy.Config)
	}{
		{"space around", " \n{ } \t", func(*policy.Config) {}},
		{"switches", `{"deprovisionUsers": false, "allowEveryoneAdmin": true}`, func(c *policy.Config) {
			c.DeprovisionUsers, c.AllowEveryoneAdmin = policy.Off, true
		}},
		{"first login on", `{"provisionOnFirstLogin": true}`, func(c *policy.Config) { c.ProvisionOnFirstLogin = policy.FirstLoginProvision }},
		{"first login off", `{"provisionOnFirstLogin": false}`, func(c *policy.Config) { c.ProvisionOnFirstLogin = policy.FirstLoginRefuse }},
		{"patterns as array", `{"requiredGroups": ["a, b", " c "]}`, func(c *policy.Config) { c.RequiredGroups = policy.Patterns{"a, b", " c "} }},
		{"patterns as text", `{"requiredGroups": "a, \"b, c\"\nd"}`, func(c *policy.Config) { c.RequiredGroups = policy.Patterns{"a", "b, c", "d"} }},
		{"no patterns", `{"requiredGroups": "", "excludedGroups": []}`, func(*policy.Config) {}},
		{"names with an asterisk", `{"defaultGroups": ["*", "a\\b"]}`, func(c *policy.Config) { c.DefaultGroups = []string{"*", `a\b`} }},
		{"names as text", `{"defaultGroups": "a,b"}`, func(c *policy.Config) { c.DefaultGroups = []string{"a", "b"} }},
		{"switched on", `{"deprovisionUsers": true, "provisionGroups": true, "deprovisionGroups": true}`, func(*policy.Config) {}},
		{"first login left to SCIM", `{"provisionOnFirstLogin": "auto"}`, func(*policy.Config) {}},
		{"permissions", `{"permissions": {"ftp": true, "api": false}}`, func(c *policy.Config) {
			c.Permissions = policy.Permissions{"ftp": &yes, "api": &no}
		}},
		{"permissions in any case", `{"permissions": {"FTP": true, "WebDAV": false, "API": false}}`, func(c *policy.Config) {
			c.Permissions = policy.Permissions{"ftp": &yes, "webdav": &no, "API": &no}
		}},
		{"no permissions", `{"permissions": {}}`, func(*policy.Config) {}},
		{"evidence counts for ever", `{"roleEvidenceMaxAgeDays": 0}`, func(c *policy.Config) { c.RoleEvidenceMaxAgeDays = policy.Forever }},
		{"evidence counts a day", `{"roleEvidenceMaxAgeDays": 1}`, func(c *policy.Config) { c.RoleEvidenceMaxAgeDays = 1 }},
		{"roles", `{"roles": [{"groups": "a,b", "role": "x"}, {"role": "y", "groups": ["c"]}]}`, func(c *policy.Config) {
			c.Roles = []policy.RoleGrant{{Groups: policy.Patterns{"a", "b"}, Role: "x"}, {Groups: policy.Patterns{"c"}, Role: "y"}}
		}},
		{"external id", `{"externalIdImmutable": false}`, func(c *policy.Config) { c.ExternalIDImmutable = &no }},
		{"unique e-mails", `{"uniqueEmails": true}`, func(c *policy.Config) { c.UniqueEmails = true }},
		{"external id left open", `{"externalIdImmutable": null}`, func(*policy.Config) {}},
		{"escapes", `{"c\u006fmpany": "\u00e4\ud83d\ude00"}`, func(c *policy.Config) { c.Company = "ä😀" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := policy.Config{}
			test.set(&want)
			got, err := policy.Parse([]byte(test.json))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Parse (-want +got)\n%s", diff)
			}
			got = policy.Config{Company: "overwritten"}
			if err := json.Unmarshal([]byte(test.json), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("json.Unmarshal (-want +got)\n%s", diff)
			}
		})
	}
}

func TestConfigErrors(t *testing.T) {
	var tests []struct {
		Name, JSON, Hex, Option, Value, Code, Error string
		Offset                                      int
		Document                                    bool
	}
	readData(t, "testdata/errors.json", &tests)
	for _, test := range tests {
		t.Run(test.Name, func(t *testing.T) {
			document := []byte(test.JSON)
			if test.Hex != "" {
				document, _ = hex.DecodeString(test.Hex)
			}
			config, err := policy.Parse(document)
			if err == nil {
				_, err = config.Compile()
			}
			var fault *policy.ConfigError
			if !errors.As(err, &fault) {
				t.Fatalf("got %v, want a ConfigError", err)
			}
			want := policy.ConfigError{Code: test.Code, Option: test.Option, Value: test.Value, Offset: test.Offset, Document: test.Document}
			got := *fault
			got.Detail, got.Value = "", strings.ToValidUTF8(got.Value, "\ufffd")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			text := strings.ReplaceAll(err.Error(), strings.Join(documentedOptions, ", "), "OPTIONS")
			if diff := cmp.Diff(test.Error, text); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			before := policy.Config{Company: "kept"}
			if json.Valid(document) && json.Unmarshal(document, &before) != nil && before.Company != "kept" {
				t.Error("a failed UnmarshalJSON changed the configuration")
			}
		})
	}
}

// TestCompileRefuses is for what JSON cannot hold, and for limits.
func TestCompileRefuses(t *testing.T) {
	long := strings.Repeat("ä", policy.MaxPatternLength+1)
	many := make(policy.Patterns, policy.MaxPatterns+1)
	for i := range many {
		many[i] = "x"
	}
	tests := []struct {
		name   string
		config policy.Config
		want   policy.ConfigError
	}{
		{"first login", policy.Config{ProvisionOnFirstLogin: 3}, policy.ConfigError{Option: "provisionOnFirstLogin", Value: "3"}},
		{"permission in two cases", policy.Config{Permissions: policy.Permissions{"FTP": nil, "ftp": nil}}, policy.ConfigError{Option: "permissions", Value: "ftp"}},
		{"switch", policy.Config{DeprovisionUsers: 2}, policy.ConfigError{Option: "deprovisionUsers", Value: "2"}},
		{"less than for ever", policy.Config{RoleEvidenceMaxAgeDays: -2}, policy.ConfigError{Option: "roleEvidenceMaxAgeDays", Value: "-2"}},
		{"pattern not UTF-8", policy.Config{RequiredGroups: policy.Patterns{"a\xffb"}}, policy.ConfigError{Option: "requiredGroups", Value: "a\xffb", Offset: 1}},
		{"company not UTF-8", policy.Config{Company: "\xff"}, policy.ConfigError{Option: "company", Value: "\xff"}},
		{"long pattern", policy.Config{RequiredGroups: policy.Patterns{long}}, policy.ConfigError{Option: "requiredGroups", Value: long, Offset: 512}},
		{"long id", policy.Config{RequiredGroups: policy.Patterns{"id:" + long}}, policy.ConfigError{Option: "requiredGroups", Value: "id:" + long, Offset: 3 + 253*2}},
		{"many patterns", policy.Config{PasswordGroups: many}, policy.ConfigError{Option: "passwordGroups", Value: "x"}},
		{"long name", policy.Config{DefaultGroups: []string{long}}, policy.ConfigError{Option: "defaultGroups", Value: long, Offset: 512}},
		{"many roles", policy.Config{Roles: make([]policy.RoleGrant, policy.MaxPatterns+1)}, policy.ConfigError{Option: "roles"}},
		{"role without a name", policy.Config{Roles: make([]policy.RoleGrant, 1)}, policy.ConfigError{Option: "roles[0].role"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := test.config.Compile()
			var fault *policy.ConfigError
			if !errors.As(err, &fault) || p != nil {
				t.Fatalf("got %v, %v, want a ConfigError", p, err)
			}
			got := *fault
			if got.Code == "" {
				t.Error("the error has no code")
			}
			got.Code, got.Detail = "", ""
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	limits := policy.Config{RequiredGroups: many[1:], DefaultGroups: []string{long[:512]}}
	if _, err := limits.Compile(); err != nil {
		t.Errorf("the limits themselves are refused: %v", err)
	}
}

// TestConfigRoundTrip checks that writing and reading a configuration with its
// defaults in full changes nothing, and that what is written depends on what the
// configuration means alone.
func TestConfigRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		config := randomConfig(random)
		data, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		want := compile(t, config).Config()
		got, err := policy.Parse(data)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got)\n%s\n%s", diff, data)
		}
		again, err := json.Marshal(got.Clone())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, again) {
			t.Fatalf("two documents for one configuration:\n%s\n%s", data, again)
		}
	}
}

func TestSwitchJSON(t *testing.T) {
	assertJSON(t, map[string]policy.Switch{`true`: policy.On, `false`: policy.Off}, `"on"`)
}

func TestFirstLoginJSON(t *testing.T) {
	assertJSON(t, map[string]policy.FirstLogin{
		`"auto"`: policy.FirstLoginAuto, `true`: policy.FirstLoginProvision, `false`: policy.FirstLoginRefuse,
	}, `"yes"`)
}

// assertJSON checks that each text is written for its value and read as it, and
// that a wrong text is refused.
func assertJSON[T comparable](t *testing.T, texts map[string]T, wrong string) {
	t.Helper()
	var got T
	for text, want := range texts {
		if data, err := json.Marshal(want); err != nil || string(data) != text {
			t.Errorf("%v is written as %s, %v, want %s", want, data, err, text)
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s is read as %v, %v, want %v", text, got, err, want)
		}
	}
	if err := json.Unmarshal([]byte(wrong), &got); err == nil {
		t.Errorf("%s is accepted", wrong)
	}
}

// TestErrorIsShort checks that a long value does not hide what is wrong.
func TestErrorIsShort(t *testing.T) {
	_, err := policy.ParsePatterns(strings.Repeat("ü", 10000))
	if err == nil || len(err.Error()) > 400 || !strings.Contains(err.Error(), "is longer than 256 characters (byte 512)") {
		t.Errorf("got %v", err)
	}
}

// randomConfig returns a valid configuration, with empty values among others.
func randomConfig(random *rand.Rand) policy.Config {
	coin := func() bool { return random.IntN(2) == 0 }
	texts := []string{"IT", "Sales, EMEA", `Quote "`, "*-admins", "a?c", `\*\?\\`, "id:1 2", "ÄÖ <&>", "K", " space "}
	patterns := func() policy.Patterns {
		var p policy.Patterns
		for range random.IntN(4) {
			p = append(p, texts[random.IntN(len(texts))])
		}
		return p
	}
	c := policy.Config{
		ProvisionOnFirstLogin:    policy.FirstLogin(random.IntN(3)),
		DeprovisionUsers:         pick(random, policy.On, policy.Off),
		DeprovisionMethod:        pick(random, "", policy.MethodDisable, policy.MethodDelete),
		DeleteAfterDays:          random.IntN(91),
		ProvisionGroups:          pick(random, policy.On, policy.Off),
		DeprovisionGroups:        pick(random, policy.On, policy.Off),
		Company:                  pick(random, "", "Example \u2028 Ltd"),
		CompanyMode:              pick(random, "", policy.CompanyDefault, policy.CompanyForce),
		DefaultGroups:            []string(patterns()),
		DefaultGroupsAt:          pick(random, "", policy.AtCreation, policy.AtLogin),
		RequiredGroups:           patterns(),
		ExcludedGroups:           patterns(),
		IncludedGroups:           patterns(),
		SiteAdminGroups:          patterns(),
		ReadOnlySiteAdminGroups:  patterns(),
		AllowEveryoneAdmin:       coin(),
		GroupAdminGroups:         patterns(),
		PasswordGroups:           patterns(),
		AllowSSOForPasswordUsers: coin(),
		TwoFactor:                pick(random, "", policy.TwoFactorSite, policy.TwoFactorAlways, policy.TwoFactorNever),
		TimeZone:                 pick(random, "", "UTC", "Hawaii", "Europe/Berlin"),
		Link:                     pick(random, "", policy.LinkDeny, policy.LinkEmail, policy.LinkUserName),
		EmailDomains:             pick(random, nil, []string{"example.com", "b.example"}),
		OnMissingGroups:          pick(random, "", policy.MissingKeep, policy.MissingEmpty, policy.MissingDeny),
		RoleEvidenceMaxAgeDays:   random.IntN(3652) - 1,
	}
	for range random.IntN(4) {
		allowed := coin()
		if c.Permissions == nil {
			c.Permissions = policy.Permissions{}
		}
		c.Permissions[pick(random, "webdav", "ftp", "api", "ü")] = pick(random, nil, &allowed)
	}
	for range random.IntN(3) {
		c.Roles = append(c.Roles, policy.RoleGrant{Groups: patterns(), Role: pick(random, "editor", "auditor")})
	}
	if coin() {
		immutable := coin()
		c.ExternalIDImmutable = &immutable
	}
	return c
}

func pick[T any](random *rand.Rand, values ...T) T {
	return values[random.IntN(len(values))]
}
