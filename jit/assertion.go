package jit

import "github.com/scimjit/provision"

// Assertion is what a verified SAML assertion says, before a [Mapping] gives
// its attributes a meaning. Whoever makes one has checked the signature,
// issuer, audience and time of it.
type Assertion struct {
	// Issuer is the entity id of the identity provider.
	Issuer string

	NameID provision.NameID

	// Session is the session that the login belongs to, if the identity provider
	// can end it.
	Session *provision.Session

	// Attributes are those of all attribute statements, in their order. The
	// same name may come several times: the values count together.
	Attributes []Attribute
}

// Attribute is one attribute of an [Assertion].
type Attribute struct {
	Name         string
	FriendlyName string
	Values       []string

	// Malformed counts the values that are not in Values since they are no
	// plain text, such as XML with elements. A [Mapping] that reads the
	// attribute refuses the login: a list that lacks some values would be taken
	// for the whole.
	Malformed int
}
