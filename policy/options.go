package policy

// option is one row of the table of options: what people read of it, where the
// value is kept, and which values are right. How a value is read, written and
// checked follows from the type of its field and from its kind.
type option struct {
	section string
	key     string
	label   string
	kind    Kind
	field   func(*Config) any // a pointer to the field
	choices []choice          // of a choice: the right values, the default first
	most    int               // of a number: the largest; the smallest is 0
	normal  int               // of days: what the zero value stands for

	operator bool // only an operator may set it
	help     string
}

// choice is one right value of an option: a string, a bool or nil.
type choice struct {
	value any
	label string
}

// The sections of the table, which come in this order.
const (
	sectionAccount  = "Who gets an account"
	sectionIdentity = "Who is this?"
	sectionLeaving  = "Taking people out"
	sectionGroups   = "Groups on the account"
	sectionDefaults = "Default groups"
	sectionRights   = "Admins and roles"
	sectionCreation = "What a new account starts with"
	sectionSettings = "Company and time zone"
)

// options are all options, in the order of the documentation and of JSON.
var options = []option{
	{
		section: sectionAccount, key: "provisionOnFirstLogin", kind: KindChoice,
		label:   "Automatically provision users on first login",
		field:   func(c *Config) any { return &c.ProvisionOnFirstLogin },
		choices: []choice{{"auto", "Only where SCIM is not set up"}, {true, "Always"}, {false, "Never"}},
		help:    "Whether a login by an unknown person creates them. SCIM creates people in any case.",
	},
	{
		section: sectionAccount, key: "requiredGroups", kind: KindPatterns,
		label: "Only provision users in these groups",
		field: func(c *Config) any { return &c.RequiredGroups },
		help:  "Only people in one of these groups get in. Empty: everyone does.",
	},
	{
		section: sectionAccount, key: "onMissingGroups", kind: KindChoice,
		label: "If a login tells nothing of groups",
		field: func(c *Config) any { return (*string)(&c.OnMissingGroups) },
		choices: []choice{
			{string(MissingKeep), "Keep what was known"},
			{string(MissingEmpty), "Take it for no groups"},
			{string(MissingDeny), "Refuse the login"},
		},
		help: "What follows when a login does not tell a person's groups. That does not mean that there are none.",
	},
	{
		section: sectionIdentity, key: "link", kind: KindChoice, operator: true,
		label:   "Link people to existing accounts",
		field:   func(c *Config) any { return (*string)(&c.Link) },
		choices: []choice{{string(LinkDeny), "Never"}, {string(LinkEmail), "By e-mail address"}, {string(LinkUserName), "By user name"}},
		help:    "How a person is joined with an account that is not known to be theirs. The e-mail address must be in one of the e-mail domains.",
	},
	{
		section: sectionIdentity, key: "emailDomains", kind: KindDomains, operator: true,
		label: "E-mail domains of the customer",
		field: func(c *Config) any { return &c.EmailDomains },
		help:  "The domains for whose e-mail addresses the identity provider can speak. A subdomain is another domain.",
	},
	{
		section: sectionIdentity, key: "externalIdImmutable", kind: KindChoice, operator: true,
		label:   "The external id identifies people",
		field:   func(c *Config) any { return &c.ExternalIDImmutable },
		choices: []choice{{nil, "As the dialect says: okta and jumpcloud yes"}, {true, "Yes: it never changes"}, {false, "No"}},
		help:    "Whether an externalId never changes, so that a login may be matched by it.",
	},
	{
		section: sectionIdentity, key: "uniqueEmails", kind: KindSwitch,
		label: "E-mail addresses are unique",
		field: func(c *Config) any { return &c.UniqueEmails },
		help:  "Whether a second user with the same e-mail address is refused. Off: both are there, and a warning says so.",
	},
	{
		section: sectionLeaving, key: "deprovisionUsers", kind: KindSwitch,
		label: "Automatically deprovision users",
		field: func(c *Config) any { return &c.DeprovisionUsers },
		help: "Whether the identity provider can take people out: by active false, by DELETE, by absence from a full sync, " +
			"by loss of the last required group.",
	},
	{
		section: sectionLeaving, key: "deprovisionMethod", kind: KindChoice,
		label:   "Method used for deprovisioning users",
		field:   func(c *Config) any { return (*string)(&c.DeprovisionMethod) },
		choices: []choice{{string(MethodDisable), "Disable"}, {string(MethodDelete), "Delete"}},
		help:    "Disable keeps the account for audit. Delete removes it and its personal data; id, connection and times remain.",
	},
	{
		section: sectionLeaving, key: "deleteAfterDays", kind: KindNumber, most: 90,
		label: "Days until a deprovisioned user is deleted",
		field: func(c *Config) any { return &c.DeleteAfterDays },
		help:  "With the method delete: disable at once, delete after so many days. 0 deletes at once.",
	},
	{
		section: sectionGroups, key: "provisionGroups", kind: KindSwitch,
		label: "Automatically provision group memberships",
		field: func(c *Config) any { return &c.ProvisionGroups },
		help:  "Off: accounts gain no groups and lose none. Required groups, admins and roles still look at the groups.",
	},
	{
		section: sectionGroups, key: "deprovisionGroups", kind: KindSwitch,
		label: "Automatically deprovision group memberships",
		field: func(c *Config) any { return &c.DeprovisionGroups },
		help:  "Off: a group that an account carries stays.",
	},
	{
		section: sectionGroups, key: "excludedGroups", kind: KindPatterns,
		label: "Exclude these groups from provisioning",
		field: func(c *Config) any { return &c.ExcludedGroups },
		help:  "Accounts do not carry these groups. It does not keep their members out.",
	},
	{
		section: sectionGroups, key: "includedGroups", kind: KindPatterns,
		label: "Groups to provision",
		field: func(c *Config) any { return &c.IncludedGroups },
		help:  "When set, accounts carry only these groups, without those that are excluded.",
	},
	{
		section: sectionDefaults, key: "defaultGroups", kind: KindNames,
		label: "Add users to these default groups on first login",
		field: func(c *Config) any { return &c.DefaultGroups },
		help:  "Groups that each new account gets, once. They are names: * is a star.",
	},
	{
		section: sectionDefaults, key: "defaultGroupsAt", kind: KindChoice,
		label:   "When to add default groups",
		field:   func(c *Config) any { return (*string)(&c.DefaultGroupsAt) },
		choices: []choice{{string(AtCreation), "With the account"}, {string(AtLogin), "With the first login"}},
		help:    "Whether default groups come with the account or wait for the first login.",
	},
	{
		section: sectionRights, key: "siteAdminGroups", kind: KindPatterns,
		label: "Provision users in these groups to be site admins",
		field: func(c *Config) any { return &c.SiteAdminGroups },
		help:  "Members are site admins.",
	},
	{
		section: sectionRights, key: "readOnlySiteAdminGroups", kind: KindPatterns,
		label: "Read-only site admins",
		field: func(c *Config) any { return &c.ReadOnlySiteAdminGroups },
		help:  "Members are site admins who may only look. Full admin beats read-only.",
	},
	{
		section: sectionRights, key: "allowEveryoneAdmin", kind: KindSwitch, operator: true,
		label: "Allow everyone to be a site admin",
		field: func(c *Config) any { return &c.AllowEveryoneAdmin },
		help:  "Permits patterns made only of * and ? for site admins. Set it only if everyone shall be an admin.",
	},
	{
		section: sectionRights, key: "groupAdminGroups", kind: KindPatterns,
		label: "Provision users in these groups to be group admins",
		field: func(c *Config) any { return &c.GroupAdminGroups },
		help:  "Members are admins of the group that matched, if the account carries it. Not of all their groups.",
	},
	{
		section: sectionRights, key: "roles", kind: KindRoles,
		label: "Roles of the application",
		field: func(c *Config) any { return &c.Roles },
		help:  "Members of the groups get the role, which is any role of your application.",
	},
	{
		section: sectionRights, key: "roleEvidenceMaxAgeDays", kind: KindNumber, most: 3650, normal: 30,
		label: "Days that rights last without a login",
		field: func(c *Config) any { return (*days)(&c.RoleEvidenceMaxAgeDays) },
		help:  "How long admin rights and roles last that rest on logins alone. 0: for ever.",
	},
	{
		section: sectionCreation, key: "twoFactor", kind: KindChoice,
		label:   "Provision users with 2FA",
		field:   func(c *Config) any { return (*string)(&c.TwoFactor) },
		choices: []choice{{string(TwoFactorSite), "As the site says"}, {string(TwoFactorAlways), "Always"}, {string(TwoFactorNever), "Never"}},
		help:    "The two-factor setting of new accounts.",
	},
	{
		section: sectionCreation, key: "permissions", kind: KindPermissions,
		label: "WebDAV / FTP / SFTP permissions",
		field: func(c *Config) any { return &c.Permissions },
		help: "The protocol permissions of new accounts. Null is your application's default; ftp covers FTPS, " +
			"and your application may know more names.",
	},
	{
		section: sectionCreation, key: "passwordGroups", kind: KindPatterns,
		label: "Provision users in these groups to manage their password",
		field: func(c *Config) any { return &c.PasswordGroups },
		help:  "Members log in with a password of the application, not through the identity provider.",
	},
	{
		section: sectionCreation, key: "allowSSOForPasswordUsers", kind: KindSwitch,
		label: "Let users with a password log in through the identity provider",
		field: func(c *Config) any { return &c.AllowSSOForPasswordUsers },
		help:  "Lets those who manage their password log in through the identity provider, too.",
	},
	{
		section: sectionSettings, key: "company", kind: KindText,
		label: "Provision company",
		field: func(c *Config) any { return &c.Company },
		help:  "The company of people for whom the identity provider gives none.",
	},
	{
		section: sectionSettings, key: "companyMode", kind: KindChoice,
		label:   "When to use the company",
		field:   func(c *Config) any { return (*string)(&c.CompanyMode) },
		choices: []choice{{string(CompanyDefault), "Where the identity provider gives none"}, {string(CompanyForce), "Always"}},
		help:    "Whether the company is used for everyone.",
	},
	{
		section: sectionSettings, key: "timeZone", kind: KindTimeZone,
		label: "Default time zone",
		field: func(c *Config) any { return &c.TimeZone },
		help:  "The time zone where the identity provider gives none, or one that does not exist. Empty: your application's.",
	},
}

// keys returns the keys of all options.
func keys() []string {
	keys := make([]string, len(options))
	for i, o := range options {
		keys[i] = o.key
	}
	return keys
}

// texts returns the right values of an option that has a text, the default
// first, or nothing where any text is right.
func (o option) texts() []string {
	var texts []string
	for _, c := range o.choices {
		if text, ok := c.value.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}
