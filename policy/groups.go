package policy

import "slices"

// decideGroups decides which groups the account carries.
func (d *decider) decideGroups() {
	carried := carriedGroups{grants: d.current().Groups}
	if !d.known {
		d.keepGroups(carried.grants)
		return
	}
	if d.config.ProvisionGroups == On && d.config.DeprovisionGroups == On {
		carried.grants = nil // what the account carried makes no difference
	}
	if most := len(d.groups) + len(carried.grants); most > 0 {
		d.Access.Groups = make([]Grant, 0, most)
	}
	for i := range d.groups {
		wanted := d.wants(i)
		switch {
		case carried.find(d.groups[i].ID):
			if wanted {
				d.explainFilter(i)
			} else {
				d.because(d.keeper(), "", d.groups[i].Name, EffectKept)
			}
			d.carry(i)
		case wanted && d.config.ProvisionGroups == Off:
			d.because("provisionGroups", "", d.groups[i].Name, EffectNotAdded)
		default:
			d.explainFilter(i)
			if wanted {
				d.carry(i)
			}
		}
	}
	for _, grant := range carried.others() {
		if d.carries(grant.Group.Name) {
			continue // it was deleted and created again, under another id
		}
		// No longer reported: it stays, but is no ground for a right.
		grant.Admin = false
		d.because(d.keeper(), "", grant.Group.Name, EffectKept)
		d.Access.Groups = append(d.Access.Groups, grant)
	}
	if len(d.Access.Groups) == 0 {
		d.Access.Groups = nil
	}
}

// carries reports whether the account carries a reported group of a name.
func (d *decider) carries(name string) bool {
	return slices.ContainsFunc(d.Access.Groups, func(g Grant) bool { return EqualLower(g.Group.Name, name) })
}

// keepGroups keeps the groups of an account of which nothing is known.
func (d *decider) keepGroups(grants []Grant) {
	if len(grants) == 0 {
		return
	}
	d.Access.Groups = append(make([]Grant, 0, len(grants)), grants...)
	for i := range grants {
		d.Access.Groups[i].Admin = grants[i].Admin && d.keeps(groupAdminList) && d.Status == StatusActive
	}
}

// wants reports whether excludedGroups and includedGroups let group i through.
func (d *decider) wants(i int) bool {
	own := d.own(i)
	return own[excludedList] == 0 && (own[includedList] != 0 || !d.on(includedList))
}

// explainFilter gives the reason for what wants said.
func (d *decider) explainFilter(i int) {
	switch own := d.own(i); {
	case own[excludedList] != 0:
		d.becauseOfGroup(excludedList, i, EffectExcluded)
	case own[includedList] != 0:
		d.becauseOfGroup(includedList, i, EffectCarried)
	case d.trace && d.on(includedList):
		d.because("includedGroups", "", d.groups[i].Name, EffectNotCarried)
	}
}

// carry adds group i to the account.
func (d *decider) carry(i int) {
	grant := Grant{Group: d.groups[i]}
	switch matched := d.own(i)[groupAdminList] != 0; {
	case matched && d.Status == StatusActive:
		grant.Admin = true
		d.becauseOfGroup(groupAdminList, i, EffectGranted)
	case matched && d.trace:
		d.becauseOfGroup(groupAdminList, i, EffectWithheld)
	}
	d.Access.Groups = append(d.Access.Groups, grant)
}

// keeper returns the option by which an account keeps groups.
func (d *decider) keeper() string {
	if d.config.ProvisionGroups == On {
		return "deprovisionGroups"
	}
	return "provisionGroups"
}

// carriedGroups finds the groups that an account carries, by id. It expects to
// be asked in their order, as a decision is much like the one before, and
// builds an index only if that fails.
type carriedGroups struct {
	grants []Grant
	seen   []bool
	next   int
	byID   map[string]int
}

// find reports whether the account carries the group.
func (c *carriedGroups) find(id string) bool {
	if len(c.grants) == 0 {
		return false
	}
	if c.seen == nil {
		c.seen = make([]bool, len(c.grants))
	}
	at := c.next
	if at == len(c.grants) || c.grants[at].Group.ID != id {
		if c.byID == nil {
			c.byID = make(map[string]int, len(c.grants))
			for i := range c.grants {
				c.byID[c.grants[i].Group.ID] = i
			}
		}
		var ok bool
		if at, ok = c.byID[id]; !ok {
			return false
		}
	}
	c.next = at + 1
	c.seen[at] = true
	return true
}

// others returns the groups that were not asked for.
func (c *carriedGroups) others() []Grant {
	if c.seen == nil {
		return c.grants
	}
	var others []Grant
	for i, seen := range c.seen {
		if !seen {
			others = append(others, c.grants[i])
		}
	}
	return others
}
