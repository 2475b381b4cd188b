package records

// Counts is how many accounts a connection has, by status, and some of them for a reason.
type Counts struct {
	Staged     int `json:"staged,omitempty"`
	Active     int `json:"active,omitempty"`
	Disabled   int `json:"disabled,omitempty"`
	Deleted    int `json:"deleted,omitempty"`
	Held       int `json:"held,omitempty"`
	SiteAdmins int `json:"siteAdmins,omitempty"`
}

// Add adds a change to the counts.
func (c *Counts) Add(change Counts) {
	c.Staged += change.Staged
	c.Active += change.Active
	c.Disabled += change.Disabled
	c.Deleted += change.Deleted
	c.Held += change.Held
	c.SiteAdmins += change.SiteAdmins
}
