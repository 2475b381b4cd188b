package policy

// Decide says what the person that f describes gets. It depends on p and f
// alone: there is no clock and no state. Decide does not change f; the Decision
// may share memory with f and with p and must not be changed in place.
//
// The rules are those of the options, in this order: the status (a block, then
// the gate), the groups that the account carries, admin rights and roles, and
// what is set once.
func (p *Policy) Decide(f Facts) Decision {
	return p.decide(&f, false)
}

// Trace returns the same decision as [Policy.Decide]. Its reasons include the
// options that did not apply, and why.
func (p *Policy) Trace(f Facts) Decision {
	return p.decide(&f, true)
}

// decider holds what is known while one decision is made.
type decider struct {
	*Policy
	facts  Facts
	groups []Group // those that count: none if the evidence is missing
	known  bool    // groups is the whole list
	trace  bool
	hits
	Decision
}

func (p *Policy) decide(f *Facts, trace bool) Decision {
	d := decider{Policy: p, facts: *f, trace: trace}
	d.readEvidence()
	d.grow(len(p.matcher.lists), len(d.groups))
	for i := range d.groups {
		p.matcher.match(&d.groups[i], i, &d.hits)
	}
	d.expectReasons()

	d.decideStatus()
	if d.Status != StatusDeleted {
		d.decideGroups()
		d.decideAdmins()
		d.decideRoles()
		d.decideAuthentication()
		d.decideAtCreation()
		d.decideCompany()
		d.decideTimeZone()
	}
	return d.Decision
}

// readEvidence finds out which groups count.
func (d *decider) readEvidence() {
	switch missing := d.config.OnMissingGroups; {
	case d.facts.Gone && d.config.DeprovisionUsers == Off:
		// The account outlives the resource, with which the memberships went:
		// that they are not there says nothing about the person.
	case d.facts.Evidence == EvidenceKnown:
		d.known, d.groups = true, d.facts.Groups
	case d.facts.Evidence == EvidenceAbsent && missing == MissingEmpty:
		d.known = true
	}
}

// expectReasons makes room for the reasons of what matched. A policy without
// patterns mostly gives none.
func (d *decider) expectReasons() {
	switch {
	case d.trace:
		d.Reasons = make([]Reason, 0, d.count+len(options)+len(d.roles)+len(d.groups))
	case d.count > 0:
		d.Reasons = make([]Reason, 0, d.count+2)
	}
}

// on reports whether a list has patterns.
func (d *decider) on(list int) bool { return len(d.matcher.lists[list]) > 0 }

// keeps reports whether what a list granted before stays as it is: nothing is
// known that could change it. A list without patterns keeps nothing, so that
// switching an option off always takes effect.
func (d *decider) keeps(list int) bool { return !d.known && d.on(list) }

// current returns what the account has, which is nothing for a new one.
func (d *decider) current() Access {
	if d.facts.Current == nil {
		return Access{}
	}
	return d.facts.Current.Access
}
