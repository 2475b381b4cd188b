package policy

import "slices"

// decideAdmins decides the two kinds of site admin.
func (d *decider) decideAdmins() {
	full := d.grants(siteAdminList, d.current().SiteAdmin)
	d.explainGrant(siteAdminList, EffectGranted)
	d.Access.SiteAdmin = full

	readOnly := d.grants(readOnlyList, d.current().ReadOnlySiteAdmin)
	if full && readOnly {
		d.note("readOnlySiteAdminGroups", EffectOverridden)
		return
	}
	d.explainGrant(readOnlyList, EffectGranted)
	d.Access.ReadOnlySiteAdmin = readOnly
}

// grants reports whether the account has what a list grants, and had it before.
func (d *decider) grants(list int, before bool) bool {
	switch {
	case d.Status != StatusActive:
		return false
	case d.keeps(list):
		return before
	}
	return d.any(list).group != 0
}

// explainGrant gives the reason for what grants said: that it was granted, or
// why not.
func (d *decider) explainGrant(list int, granted Effect) {
	matched := d.any(list).group != 0
	if matched && d.Status == StatusActive {
		d.becauseOf(list, granted)
		return
	}
	if !d.trace {
		return
	}
	switch {
	case matched:
		d.becauseOf(list, EffectWithheld)
	case !d.on(list):
		d.note(listOption(list), EffectOff)
	case d.keeps(list):
		d.note(listOption(list), EffectKept)
	default:
		d.note(listOption(list), EffectNotMatched)
	}
}

// decideRoles decides the roles of the host.
func (d *decider) decideRoles() {
	before := d.current().Roles
	for i := range d.roles {
		role := &d.roles[i]
		if d.grants(role.list, !d.known && slices.Contains(before, role.name)) {
			d.addRole(role.name)
		}
		n := len(d.Reasons)
		d.explainGrant(role.list, EffectGranted)
		if len(d.Reasons) > n {
			d.Reasons[n].Value = role.name
		}
	}
	if d.withheld {
		d.because("roleEvidenceMaxAgeDays", "", "", EffectLapsed)
	}
}

func (d *decider) addRole(name string) {
	n := len(d.Access.Roles)
	if n > 0 && d.Access.Roles[n-1] == name {
		return // two grants of one role
	}
	if n == 0 {
		d.Access.Roles = make([]string, 0, len(d.roles))
	}
	d.Access.Roles = append(d.Access.Roles, name)
}

// decideAuthentication decides how the person logs in.
func (d *decider) decideAuthentication() {
	before, matched := d.current().Authentication, d.any(passwordList).group != 0
	switch {
	case before != "" && d.facts.LoggedIn && (before != AuthenticationPassword || !matched):
		d.note("passwordGroups", EffectFixed)
		d.Access.Authentication = before
	case before != "" && d.keeps(passwordList):
		d.note("passwordGroups", EffectKept)
		d.Access.Authentication = before
	case matched:
		d.becauseOf(passwordList, EffectPassword)
		d.Access.Authentication = AuthenticationPassword
	default:
		d.explainGrant(passwordList, EffectPassword)
		d.Access.Authentication = AuthenticationSSO
	}
}

// decideAtCreation sets what a new account starts with. An account that exists
// keeps what it has. The reasons are those of creation as long as the account
// still has what the options say, so that deciding again gives the same ones.
func (d *decider) decideAtCreation() {
	twoFactor, permissions := d.config.TwoFactor, d.config.Permissions
	if current := d.facts.Current; current != nil {
		twoFactor, permissions = current.Access.TwoFactor, current.Access.Permissions
	}
	d.Access.TwoFactor, d.Access.Permissions = twoFactor, permissions
	d.explainAtCreation("twoFactor", d.config.TwoFactor != TwoFactorSite, twoFactor == d.config.TwoFactor)
	d.explainAtCreation("permissions", d.permits, d.permits && permissions.equal(d.config.Permissions))
}

// explainAtCreation gives the reason for an option that is or is not set, and
// whose value the account has or has not.
func (d *decider) explainAtCreation(option string, set, same bool) {
	switch {
	case set && same:
		d.because(option, "", "", EffectSet)
	case d.facts.Current != nil:
		d.note(option, EffectFixed)
	default:
		d.note(option, EffectOff)
	}
}

// decideCompany decides the company.
func (d *decider) decideCompany() {
	given, option := d.facts.Company, d.config.Company
	switch {
	case option == "":
		d.Access.Company = given
		d.note("company", EffectOff)
	case given == "":
		d.Access.Company = option
		d.because("company", "", "", EffectSet)
	case d.config.CompanyMode == CompanyForce:
		d.Access.Company = option
		d.because("companyMode", "", "", EffectForced)
	default:
		d.Access.Company = given
		d.note("company", EffectNotUsed)
	}
}

// decideTimeZone decides the time zone.
func (d *decider) decideTimeZone() {
	if given := d.facts.TimeZone; given != "" {
		name, ok := d.current().TimeZone, true
		if name != given { // what the account has was checked when it got it
			name, ok = TimeZone(given)
		}
		if ok {
			d.Access.TimeZone = name
			d.note("timeZone", EffectNotUsed)
			return
		}
		d.because("timeZone", "", "", EffectInvalid)
	}
	d.Access.TimeZone = d.config.TimeZone
	d.explainSetting("timeZone", d.config.TimeZone != "")
}

// explainSetting gives the reason for an option that sets a value.
func (d *decider) explainSetting(option string, set bool) {
	if set {
		d.because(option, "", "", EffectSet)
	} else {
		d.note(option, EffectOff)
	}
}
