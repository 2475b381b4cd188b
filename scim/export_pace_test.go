package scim

// Pace and Turns are those of a handler.
type (
	Pace  = pace
	Turns = turns
)

// Begin is what a request does as it begins.
func (t *turns) Begin(connection string) *Pace {
	p := t.begin(connection)
	return &p
}

// Inside says whether a request is inside a transaction.
func (p *pace) Inside(inside bool) { p.inside = inside }

// Noted returns how many connections are noted as resting.
func (t *turns) Noted() int { return len(t.rests) }
