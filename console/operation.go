package console

import "slices"

// Operation is one thing that can be asked of an [API].
type Operation struct {
	Name    string `json:"name"` // stable, such as "accounts.list"
	Method  string `json:"method"`
	Path    string `json:"path"` // below the place where the API is mounted, as http.ServeMux writes it
	Summary string `json:"summary"`

	// Alias is the path at which [API.Aliases] answers it, too, with the connection in the
	// parameter connection.
	Alias string `json:"alias,omitempty"`

	ForSupport  bool `json:"forSupport"`
	ForCustomer bool `json:"forCustomer"` // may be chosen for a customer
	ForEveryone bool `json:"forEveryone"` // needs no choice

	NeedsIfMatch bool `json:"needsIfMatch"`
	Audited      bool `json:"audited"` // what it changes is an event that names who did it
}

// Operations returns everything that can be asked, in the order of the documentation.
func Operations() []Operation {
	rows := table()
	out := make([]Operation, len(rows))
	for i, r := range rows {
		out[i] = Operation{
			Name: r.name, Method: r.method, Path: r.path, Summary: r.summary, Alias: r.alias,
			ForSupport: r.support || r.everyone, ForCustomer: r.customer, ForEveryone: r.everyone,
			NeedsIfMatch: r.ifMatch, Audited: r.audited,
		}
	}
	return out
}

// CustomerOperations returns the names of all that may be chosen for a customer.
func CustomerOperations() []string {
	var names []string
	for _, r := range table() {
		if r.customer {
			names = append(names, r.name)
		}
	}
	slices.Sort(names)
	return names
}
