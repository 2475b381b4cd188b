package provision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/dialect"
	"github.com/scimjit/provision/internal/preset"
	"github.com/scimjit/provision/policy"
)

// Warning is something about a connection that is legal, but without effect or
// about to fail.
type Warning struct {
	// Code is stable, such as "link_without_domains". docs/troubleshooting.md
	// explains each.
	Code string `json:"code"`

	// Field is the option or setting, such as "link" or "saml.metadata".
	Field string `json:"field"`

	// Value is what it is about where there may be several: the id of a
	// credential, the name of a group, the serial number of a certificate.
	Value string `json:"value,omitempty"`

	Text string `json:"text"` // for people
}

// The codes of what comes with time. Those of the settings are in the table.
const (
	warnCredentialExpired   = "credential_expired"
	warnCredentialExpiring  = "credential_expiring"
	warnCredentialForever   = "credential_never_expires"
	warnDefaultMissing      = "default_group_missing"
	warnDefaultLost         = "default_group_lost"
	warnSharedEmail         = "email_shared"
	warnClockJumped         = "clock_jumped"
	warnMetadataPartial     = "saml_metadata_partial"
	warnMetadataUnusable    = "saml_metadata_unusable"
	warnMetadataOutdated    = "saml_metadata_outdated"
	warnMetadataChanged     = "metadata_changed"
	warnMetadataUnavailable = "metadata_unavailable"
	warnCertificateExpired  = "saml_certificate_expired"
	warnCertificateEnding   = "saml_certificate_expiring"
	warnSyncFailing         = "sync_failing"
	warnPauseOver           = "pause_over"
)

// settingWarning is a row of the table: it warns where its function says so.
type settingWarning struct {
	code, field string
	text        string
	when        func(*Connection) bool
}

// settingWarnings is the table, in the order of the form. Each option that needs
// another one to have an effect has a row.
var settingWarnings = []settingWarning{
	{"no_way_in", "scim", "the connection has neither SCIM nor SAML nor a directory: people come only by a full sync, or by logins of your application's own",
		func(c *Connection) bool { return !c.SCIM && c.SAML == nil && c.LDAP == nil }},
	{"saml_without_metadata", fieldMetadata, "nobody can log in by SAML before the metadata of the identity provider is there",
		func(c *Connection) bool { return c.SAML != nil && c.SAML.Metadata == "" }},
	{"saml_without_id", "saml.mapping", "no attribute is mapped to the immutable id: a person who is renamed cannot be recognized",
		func(c *Connection) bool {
			return c.SAML != nil && c.SAML.Mapping["id"] == "" && !presetHasID(c.SAML.Preset)
		}},
	{"ldap_without_tls", "ldap.insecureNoTLS", "the password of the account that reads the directory, and those of people who log in, cross the network in clear",
		func(c *Connection) bool { return c.LDAP != nil && c.LDAP.InsecureNoTLS }},
	{"ldap_without_password", "ldap.bindPassword", "the account that reads the directory has no password, or it was removed as the server has another address: enter it",
		func(c *Connection) bool {
			return c.LDAP != nil && c.LDAP.BindDN != "" && !c.LDAP.BindPassword.Set() && c.LDAP.ClientCertificate == ""
		}},
	{"ldap_anonymous", "ldap.bindDN", "the directory is read by nobody in particular, to whom many servers show nothing",
		func(c *Connection) bool {
			return c.LDAP != nil && c.LDAP.BindDN == "" && c.LDAP.ClientCertificate == ""
		}},
	{"ldap_reads_nothing", "ldap.intervalSeconds", "the directory is never read by the clock, and nobody logs in by it",
		func(c *Connection) bool { return c.LDAP != nil && c.LDAP.interval() == 0 && !c.LDAP.Login }},
	{"first_login_without_logins", "provisionOnFirstLogin", "it creates people at their first login, and the connection has no logins",
		func(c *Connection) bool {
			return c.Policy.ProvisionOnFirstLogin == policy.FirstLoginProvision && !logsIn(c)
		}},
	{"nobody_is_created", "provisionOnFirstLogin", "a login creates nobody, and there is no SCIM that does",
		func(c *Connection) bool {
			return c.Policy.ProvisionOnFirstLogin == policy.FirstLoginRefuse && logsIn(c) && !c.SCIM && (c.LDAP == nil || c.LDAP.interval() == 0)
		}},
	{"missing_groups_without_logins", "onMissingGroups", "it is about logins, and the connection has none",
		func(c *Connection) bool {
			return c.Policy.OnMissingGroups != "" && c.Policy.OnMissingGroups != policy.MissingKeep && !logsIn(c)
		}},
	{"missing_groups_without_use", "onMissingGroups", "accounts lose no groups, and no option gives anything by a group: it makes no difference",
		func(c *Connection) bool {
			return c.Policy.OnMissingGroups == policy.MissingEmpty && logsIn(c) && !losesByGroups(c)
		}},
	{"link_without_domains", "link", "it links nobody while emailDomains is empty",
		func(c *Connection) bool {
			return c.Policy.Link != "" && c.Policy.Link != policy.LinkDeny && len(c.Policy.EmailDomains) == 0
		}},
	{"methods_without_deprovisioning", "deprovisionMethod", "it has no effect while deprovisionUsers is off",
		func(c *Connection) bool {
			return c.Policy.DeprovisionMethod == policy.MethodDelete && c.Policy.DeprovisionUsers == policy.Off
		}},
	{"delete_with_google", "deprovisionMethod", "Google Workspace never provisions a person again who was deleted here: disable instead",
		func(c *Connection) bool { return c.Policy.DeprovisionMethod == policy.MethodDelete && isGoogle(c) }},
	{"delete_days_without_delete", "deleteAfterDays", "it has no effect while deprovisionMethod is not delete",
		func(c *Connection) bool {
			return c.Policy.DeleteAfterDays > 0 && c.Policy.DeprovisionMethod != policy.MethodDelete
		}},
	{"keep_without_groups", "deprovisionGroups", "it has no effect while provisionGroups is off: accounts lose no groups in any case",
		func(c *Connection) bool { return c.Policy.DeprovisionGroups == policy.Off && !carries(c) }},
	{"excluded_without_groups", "excludedGroups", "it has no effect while provisionGroups is off",
		func(c *Connection) bool { return len(c.Policy.ExcludedGroups) > 0 && !carries(c) }},
	{"excluded_not_included", "excludedGroups", "includedGroups has none of its groups, so that accounts do not carry them in any case",
		func(c *Connection) bool { return carries(c) && apart(c.Policy.ExcludedGroups, c.Policy.IncludedGroups) }},
	{"included_without_groups", "includedGroups", "it has no effect while provisionGroups is off",
		func(c *Connection) bool { return len(c.Policy.IncludedGroups) > 0 && !carries(c) }},
	{"included_excluded", "includedGroups", "excludedGroups covers all of its patterns: accounts carry no group",
		func(c *Connection) bool {
			return carries(c) && covered(c.Policy.IncludedGroups, c.Policy.ExcludedGroups)
		}},
	{"default_moment_without_groups", "defaultGroupsAt", "it has no effect while defaultGroups is empty",
		func(c *Connection) bool {
			return c.Policy.DefaultGroupsAt == policy.AtLogin && len(c.Policy.DefaultGroups) == 0
		}},
	{"default_groups_without_logins", "defaultGroupsAt", "default groups wait for a first login, and the connection has no logins: only your application can tell of one",
		func(c *Connection) bool {
			return c.Policy.DefaultGroupsAt == policy.AtLogin && len(c.Policy.DefaultGroups) > 0 && !logsIn(c)
		}},
	{"read_only_overridden", "readOnlySiteAdminGroups", "siteAdminGroups covers all of its patterns: nobody is a read-only admin",
		func(c *Connection) bool { return covered(c.Policy.ReadOnlySiteAdminGroups, c.Policy.SiteAdminGroups) }},
	{"everyone_admin", "allowEveryoneAdmin", "it has no effect: no pattern of site admins is made of wildcards alone",
		func(c *Connection) bool { return c.Policy.AllowEveryoneAdmin && !namesEveryone(c.Policy) }},
	{"group_admins_without_groups", "groupAdminGroups", "accounts gain no groups to administer while provisionGroups is off",
		func(c *Connection) bool { return len(c.Policy.GroupAdminGroups) > 0 && !carries(c) }},
	{"group_admins_excluded", "groupAdminGroups", "excludedGroups covers all of its patterns: no account carries a group to administer",
		func(c *Connection) bool {
			return carries(c) && covered(c.Policy.GroupAdminGroups, c.Policy.ExcludedGroups)
		}},
	{"group_admins_not_included", "groupAdminGroups", "includedGroups has none of its groups: no account carries a group to administer",
		func(c *Connection) bool {
			return carries(c) && apart(c.Policy.GroupAdminGroups, c.Policy.IncludedGroups)
		}},
	{"role_without_groups", "roles", "a role without groups is granted to nobody",
		func(c *Connection) bool {
			return slices.ContainsFunc(c.Policy.Roles, func(r policy.RoleGrant) bool { return len(r.Groups) == 0 })
		}},
	{"evidence_without_logins", "roleEvidenceMaxAgeDays", "it is about rights that rest on logins, and the connection has none",
		func(c *Connection) bool { return agesEvidence(c) && !logsIn(c) }},
	{"evidence_without_rights", "roleEvidenceMaxAgeDays", "no option grants a right that could lapse",
		func(c *Connection) bool { return agesEvidence(c) && logsIn(c) && !grantsRights(c.Policy) }},
	{"sso_without_password_groups", "allowSSOForPasswordUsers", "it has no effect while passwordGroups is empty",
		func(c *Connection) bool {
			return c.Policy.AllowSSOForPasswordUsers && len(c.Policy.PasswordGroups) == 0
		}},
	{"sso_without_logins", "allowSSOForPasswordUsers", "it is about logins, and the connection has none",
		func(c *Connection) bool {
			return c.Policy.AllowSSOForPasswordUsers && len(c.Policy.PasswordGroups) > 0 && !logsIn(c)
		}},
	{"forced_company_without_company", "companyMode", "it forces the company, and company is empty",
		func(c *Connection) bool { return c.Policy.CompanyMode == policy.CompanyForce && c.Policy.Company == "" }},
}

// logsIn reports whether people log in by the connection, as far as its settings
// say.
func logsIn(c *Connection) bool { return c.SAML != nil || c.LDAP != nil && c.LDAP.Login }

// carries reports whether accounts gain groups.
func carries(c *Connection) bool { return c.Policy.ProvisionGroups == policy.On }

func isID(text string) bool { return strings.HasPrefix(text, "id:") }

func hasWildcard(text string) bool { return strings.ContainsAny(text, `*?`) }

func isGoogle(c *Connection) bool {
	p, _ := preset.Lookup(presetOf(c))
	return dialect.Of(c.Dialect).Name == "google" || c.SAML != nil && p.Name == "google"
}

func presetOf(c *Connection) string {
	if c.SAML == nil {
		return ""
	}
	return c.SAML.Preset
}

// covered reports whether a list has patterns, each of which another list covers.
func covered(list, by policy.Patterns) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(text string) bool { return !by.Covers(text) })
}

// apart reports whether two lists, both with patterns, surely select no group in
// common. Of patterns by id, and of two with wildcards, nothing is known.
func apart(list, others policy.Patterns) bool {
	if len(list) == 0 || len(others) == 0 || slices.ContainsFunc(slices.Concat(list, others), isID) {
		return false
	}
	return !slices.ContainsFunc(list, func(text string) bool {
		return hasWildcard(text) || others.Covers(text)
	})
}

// grantsRights reports whether an option grants what may lapse.
func grantsRights(c policy.Config) bool {
	return len(c.SiteAdminGroups)+len(c.ReadOnlySiteAdminGroups)+len(c.GroupAdminGroups)+len(c.Roles) > 0
}

// losesByGroups reports whether a person who is in no group has less than one who is
// in some.
func losesByGroups(c *Connection) bool {
	return carries(c) && c.Policy.DeprovisionGroups == policy.On ||
		grantsRights(c.Policy) || len(c.Policy.RequiredGroups)+len(c.Policy.PasswordGroups) > 0
}

// agesEvidence reports whether somebody has set how long evidence counts.
func agesEvidence(c *Connection) bool {
	const normal = 30
	days := c.Policy.RoleEvidenceMaxAgeDays
	return days != 0 && days != normal
}

// namesEveryone reports whether allowEveryoneAdmin permits something.
func namesEveryone(c policy.Config) bool {
	c.AllowEveryoneAdmin = false
	_, err := c.Compile(permissionNames(c)...)
	return err != nil
}

// presetHasID reports whether the identity provider of a preset asserts an
// immutable id by itself.
func presetHasID(name string) bool {
	p, _ := preset.Lookup(name)
	return p.HasID
}

// Warnings lists the settings that are legal, but without effect or about to
// fail, in the order of the form. It looks at nothing but the settings:
// [Directory.Warnings] has what comes with time, too.
func (c Connection) Warnings() []Warning {
	var list []Warning
	for _, w := range settingWarnings {
		if w.when(&c) {
			list = append(list, Warning{Code: w.code, Field: w.field, Text: w.text})
		}
	}
	return list
}

// warningCodes lists the codes of all warnings of connections.
func warningCodes() []string {
	codes := []string{
		warnCredentialExpired, warnCredentialExpiring, warnCredentialForever,
		warnDefaultMissing, warnDefaultLost, warnSharedEmail, warnClockJumped,
		warnMetadataPartial, warnMetadataUnusable, warnMetadataOutdated,
		warnMetadataChanged, warnMetadataUnavailable, warnCertificateExpired, warnCertificateEnding,
		warnSyncFailing, warnPauseOver, warnPlanNoAdmin, warnPlanConflict,
	}
	for _, w := range settingWarnings {
		codes = append(codes, w.code)
	}
	return codes
}

// String returns a warning as one line for people.
func (w Warning) String() string {
	if w.Value == "" {
		return fmt.Sprintf("%s: %s [%s]", w.Field, w.Text, w.Code)
	}
	return fmt.Sprintf("%s %q: %s [%s]", w.Field, w.Value, w.Text, w.Code)
}
