package policy

// decideStatus decides the status, whether the person is admitted, and whether
// deprovisioning was suppressed.
func (d *decider) decideStatus() {
	d.Admitted = d.admits()
	switch {
	case d.facts.Blocked, d.facts.Gone, d.facts.BlockedByOperator:
		d.Status = d.blocked()
		return
	case d.facts.Conflict != "":
		d.because("link", "", "", EffectConflict)
		d.Reasons[len(d.Reasons)-1].Value = d.facts.Conflict
		d.Status, d.Admitted = StatusStaged, false
		return
	case !d.known && d.config.OnMissingGroups == MissingDeny:
		d.because("onMissingGroups", "", "", EffectDenied)
	case !d.known:
		d.because("onMissingGroups", "", "", EffectKept)
	case d.facts.Evidence != EvidenceKnown:
		d.because("onMissingGroups", "", "", EffectEmptied)
	default:
		d.note("onMissingGroups", EffectNotUsed)
	}
	d.explainGate()
	d.Status = d.unblocked()
}

// admits reports whether the person passes requiredGroups and onMissingGroups.
func (d *decider) admits() bool {
	switch {
	case !d.known && d.config.OnMissingGroups == MissingDeny:
		return false
	case !d.on(requiredList):
		return true
	case d.known:
		return d.any(requiredList).group != 0
	}
	return d.facts.Current != nil && d.facts.Current.Status == StatusActive
}

// unblocked returns the status of a person whom nobody blocks.
func (d *decider) unblocked() Status {
	current := d.facts.Current
	switch {
	case d.Admitted:
		return StatusActive
	case !d.known && current != nil:
		return current.Status
	case !d.wasActive():
		return StatusStaged
	case d.config.DeprovisionUsers == Off && current != nil && current.Status == StatusActive:
		d.suppress()
		return StatusActive
	}
	return StatusDisabled
}

// blocked returns the status of a person whom somebody blocks.
func (d *decider) blocked() Status {
	f := &d.facts
	deprovision := d.config.DeprovisionUsers == On && (f.Blocked || f.Gone)
	switch {
	case f.BlockedByOperator && !deprovision:
		d.because("", "", "", EffectDisabledByOperator)
		return StatusDisabled
	case !deprovision && f.Current != nil:
		if f.Current.Status == StatusStaged || f.Current.Status == StatusActive {
			d.suppress()
			return f.Current.Status
		}
		d.because("deprovisionMethod", "", "", takenOut(f.Current.Status))
		return f.Current.Status
	case deprovision && d.config.DeprovisionMethod == MethodDelete && d.config.DeleteAfterDays == 0 && !d.startsDisabled():
		d.because("deprovisionMethod", "", "", EffectDeleted)
		return StatusDeleted
	}
	d.because("deprovisionMethod", "", "", EffectDisabled)
	return StatusDisabled
}

// takenOut is the effect by which an account has the status.
func takenOut(status Status) Effect {
	if status == StatusDeleted {
		return EffectDeleted
	}
	return EffectDisabled
}

// startsDisabled reports whether the person came with active=false and was
// never in: there is nothing to take away, so nothing is deleted.
func (d *decider) startsDisabled() bool {
	f := &d.facts
	return !f.Gone && !d.wasActive() && (f.Current == nil || f.Current.Status == StatusDisabled)
}

func (d *decider) wasActive() bool {
	return d.facts.WasActive || d.facts.Current != nil && d.facts.Current.Status == StatusActive
}

func (d *decider) suppress() {
	d.Suppressed = true
	d.because("deprovisionUsers", "", "", EffectSuppressed)
}

// explainGate gives the reasons for what requiredGroups did.
func (d *decider) explainGate() {
	switch {
	case !d.on(requiredList):
		d.note("requiredGroups", EffectOff)
	case d.any(requiredList).group != 0:
		d.becauseOf(requiredList, EffectAdmitted)
	case !d.Admitted:
		d.because("requiredGroups", "", "", EffectNotAdmitted)
	default:
		d.note("requiredGroups", EffectNotUsed)
	}
}
