package schema

// The URNs of the schemas of RFC 7643.
const (
	UserURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// correction makes one characteristic of an attribute what RFC 7643 says,
// whatever its definition said, or adds one that the RFC does not have.
type correction struct {
	schema string
	name   string // the attribute below its schema, such as "groups.value"
	rule   string // where RFC 7643 says so
	fix    func(*Attribute)
}

// The corrections. Without exact ids, a filter would match another resource
// whose random id differs only in case.
var corrections = []correction{
	{UserURN, "userName", "4.1.1: required", required},
	{UserURN, "userName", "4.1.1: unique", unique},
	{UserURN, "userName", "4.1.1: case insensitive", folded},
	{UserURN, "active", "none: whoever takes the statement back lets nobody in", lasting},
	{UserURN, "emails.value", "8.7.1: caseExact false", folded},
	{UserURN, "password", "4.1.1 and 8.7.1: writeOnly", writeOnly},
	{UserURN, "groups", "4.1.2: changes go through the Group", readOnly},
	{UserURN, "groups", "4.1.2: derived from the members of groups", inServer},
	{UserURN, "groups.value", "4.1.2: an id, which is exact by 3.1", exact},
	{GroupURN, "displayName", "4.2: required", required},
	{GroupURN, "members", "4.2: kept as membership rows", inMembers},
	{GroupURN, "members.value", "4.2: an id, which is exact by 3.1", exact},
	{GroupURN, "members.value", "8.7.1: immutable", immutable},
	{GroupURN, "members.$ref", "none: made by the server", readOnly},
	{GroupURN, "members.type", "none: made by the server", readOnly},
	{GroupURN, "members.display", "none: made by the server", readOnly},
	{UserURN, "userName", "none: see Visible", visible},
	{UserURN, "externalId", "none: see Visible", visible},
	{UserURN, "emails.value", "none: see Visible", visible},
	{GroupURN, "displayName", "none: see Joined", joined},
	{EnterpriseURN, "manager.value", "4.3: an id, which is exact by 3.1", exact},
	{EnterpriseURN, "manager.displayName", "4.3: read-only", readOnly},
}

func required(a *Attribute)  { a.Required = true }
func unique(a *Attribute)    { a.Uniqueness = max(a.Uniqueness, Server) }
func folded(a *Attribute)    { a.CaseExact = false }
func exact(a *Attribute)     { a.CaseExact = true }
func readOnly(a *Attribute)  { a.Mutability = ReadOnly }
func writeOnly(a *Attribute) { a.Mutability = WriteOnly }
func immutable(a *Attribute) { a.Mutability = Immutable }
func visible(a *Attribute)   { a.Characters = Visible }
func joined(a *Attribute)    { a.Characters = Joined }
func lasting(a *Attribute)   { a.Lasting = true }
func inServer(a *Attribute)  { a.Kept = InServer }
func inMembers(a *Attribute) { a.Kept = InMembers }

// correct applies the rules that hold for every attribute, then the rows for
// this one. The name is that below its schema.
func (a *Attribute) correct(name string) {
	// Sections 2.3.5, 2.3.6 and 2.3.7 fix the case rule of these types, also
	// where the listings of section 8.7.1 say otherwise.
	switch a.Type {
	case Binary, Reference:
		a.CaseExact = true
	case String:
	default:
		a.CaseExact = false
	}
	a.fix(a.Schema, name)
	// Section 7: what is writeOnly is never returned, so there is no use in
	// keeping it.
	if a.Mutability == WriteOnly {
		a.Returned = Never
	}
	if a.Returned == Never {
		a.Kept = Nowhere
	}
	for _, sub := range a.Sub {
		sub.correct(name + "." + sub.Name)
	}
}

// fix applies the corrections of one attribute. The common attributes have rows
// below the schema of each resource type.
func (a *Attribute) fix(schema, name string) {
	for _, c := range corrections {
		if c.schema == schema && sameName(c.name, name) {
			c.fix(a)
		}
	}
}

// common returns the common attributes of RFC 7643 section 3.1, and "schemas"
// of section 3.
func common() []*Attribute {
	attributes := []*Attribute{
		{Name: "schemas", Type: String, MultiValued: true, Required: true, CaseExact: true, Mutability: ReadOnly, Returned: Always,
			Description: "The URIs of the schemas that the resource uses."},
		{Name: "id", Type: String, Required: true, CaseExact: true, Mutability: ReadOnly, Returned: Always, Uniqueness: Server,
			Description: "The identifier of the resource, made by the service provider."},
		{Name: "externalId", Type: String, CaseExact: true,
			Description: "The identifier of the resource as the provisioning client defines it."},
		{Name: "meta", Type: Complex, Mutability: ReadOnly, Description: "Metadata of the resource.", Sub: []*Attribute{
			{Name: "resourceType", Type: String, CaseExact: true, Mutability: ReadOnly, Description: "The name of the resource type."},
			{Name: "created", Type: DateTime, Mutability: ReadOnly, Description: "When the resource was added."},
			{Name: "lastModified", Type: DateTime, Mutability: ReadOnly, Description: "When the resource was last changed."},
			{Name: "location", Type: Reference, CaseExact: true, Mutability: ReadOnly, ReferenceTypes: []string{"uri"}, Description: "The URI of the resource."},
			{Name: "version", Type: String, CaseExact: true, Mutability: ReadOnly, Description: "The version of the resource."},
		}},
	}
	for _, a := range attributes {
		if a.Mutability == ReadOnly {
			a.Kept = InServer
		}
	}
	return attributes
}
