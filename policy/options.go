package policy

// option is one row of the table of options: the key, where the value is kept,
// and which values are right. How a value is read, written and checked follows
// from the type of its field, in json.go and below.
type option struct {
	key    string
	field  func(*Config) any // a pointer to the field
	values []string          // of a text: the only right ones, the default first
	most   int               // of a number: the largest; the smallest is 0
	normal int               // of days: what the zero value stands for
	check  func(string) string
}

// options are all options, in the order of the documentation.
var options = []option{
	{key: "provisionOnFirstLogin", field: func(c *Config) any { return &c.ProvisionOnFirstLogin }},
	{key: "deprovisionUsers", field: func(c *Config) any { return &c.DeprovisionUsers }},
	{key: "deprovisionMethod", field: func(c *Config) any { return (*string)(&c.DeprovisionMethod) },
		values: []string{string(Disable), string(Delete)}},
	{key: "deleteAfterDays", field: func(c *Config) any { return &c.DeleteAfterDays }, most: 90},
	{key: "provisionGroups", field: func(c *Config) any { return &c.ProvisionGroups }},
	{key: "deprovisionGroups", field: func(c *Config) any { return &c.DeprovisionGroups }},
	{key: "company", field: func(c *Config) any { return &c.Company }},
	{key: "companyMode", field: func(c *Config) any { return (*string)(&c.CompanyMode) },
		values: []string{string(CompanyDefault), string(CompanyForce)}},
	{key: "defaultGroups", field: func(c *Config) any { return &c.DefaultGroups }},
	{key: "defaultGroupsAt", field: func(c *Config) any { return (*string)(&c.DefaultGroupsAt) },
		values: []string{string(AtCreation), string(AtLogin)}},
	{key: "requiredGroups", field: func(c *Config) any { return &c.RequiredGroups }},
	{key: "excludedGroups", field: func(c *Config) any { return &c.ExcludedGroups }},
	{key: "includedGroups", field: func(c *Config) any { return &c.IncludedGroups }},
	{key: "siteAdminGroups", field: func(c *Config) any { return &c.SiteAdminGroups }},
	{key: "readOnlySiteAdminGroups", field: func(c *Config) any { return &c.ReadOnlySiteAdminGroups }},
	{key: "allowEveryoneAdmin", field: func(c *Config) any { return &c.AllowEveryoneAdmin }},
	{key: "groupAdminGroups", field: func(c *Config) any { return &c.GroupAdminGroups }},
	{key: "passwordGroups", field: func(c *Config) any { return &c.PasswordGroups }},
	{key: "allowSSOForPasswordUsers", field: func(c *Config) any { return &c.AllowSSOForPasswordUsers }},
	{key: "twoFactor", field: func(c *Config) any { return (*string)(&c.TwoFactor) },
		values: []string{string(SiteTwoFactor), string(AlwaysTwoFactor), string(NeverTwoFactor)}},
	{key: "permissions", field: func(c *Config) any { return &c.Permissions }},
	{key: "timeZone", field: func(c *Config) any { return &c.TimeZone }, check: checkTimeZone},
	{key: "roles", field: func(c *Config) any { return &c.Roles }},
	{key: "link", field: func(c *Config) any { return (*string)(&c.Link) },
		values: []string{string(LinkDeny), string(LinkEmail), string(LinkUserName)}},
	{key: "emailDomains", field: func(c *Config) any { return &c.EmailDomains }, check: checkDomain},
	{key: "onMissingGroups", field: func(c *Config) any { return (*string)(&c.OnMissingGroups) },
		values: []string{string(MissingKeep), string(MissingEmpty), string(MissingDeny)}},
	{key: "roleEvidenceMaxAgeDays", field: func(c *Config) any { return (*days)(&c.RoleEvidenceMaxAgeDays) },
		most: 3650, normal: 30},
	{key: "externalIdImmutable", field: func(c *Config) any { return &c.ExternalIDImmutable }},
}
