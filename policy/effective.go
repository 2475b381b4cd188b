package policy

// EffectiveTwoFactor reports whether a person must use two factors: what the
// site says (TwoFactorAlways, or anything else for no), or what the account
// says where overrides are allowed.
func EffectiveTwoFactor(site TwoFactor, overridesAllowed bool, user TwoFactor) bool {
	if overridesAllowed && (user == TwoFactorAlways || user == TwoFactorNever) {
		return user == TwoFactorAlways
	}
	return site == TwoFactorAlways
}

// EffectivePermissions returns what a person may do with their own permissions
// and those of their groups: whatever any of them allows. A permission that none
// allows is denied if any of them denies it, and otherwise left to the host
// (nil). The result shares no memory with the arguments.
func EffectivePermissions(user Permissions, groups ...Permissions) Permissions {
	effective := Permissions{}
	effective.merge(user)
	for _, group := range groups {
		effective.merge(group)
	}
	return effective
}

func (p Permissions) merge(other Permissions) {
	for name, allowed := range other {
		name = usualPermission(name)
		if before := p[name]; before == nil || allowed != nil && *allowed && !*before {
			p[name] = clonePointer(allowed)
		}
	}
}

// Allows reports whether p allows the protocol with a name, in any case, with the
// host's default where p says nothing. FTPS is covered by "ftp" unless p has "ftps" as well.
func (p Permissions) Allows(name string, host bool) bool {
	allowed, ok := p.named(name)
	if !ok && sameWord(name, "ftps") {
		allowed, _ = p.named("ftp")
	}
	if allowed == nil {
		return host
	}
	return *allowed
}
