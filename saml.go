package provision

// SAML is how people of a connection log in by SAML 2.0. Package jit/saml reads
// it. Zero fields mean their defaults.
type SAML struct {
	// Metadata is the XML metadata document of the identity provider.
	Metadata string `json:"metadata,omitempty"`

	// EntityID names this service provider; empty means the URL of its
	// metadata.
	EntityID string `json:"entityID,omitempty"`

	// Preset names the attributes of the identity provider, such as "okta";
	// empty means "generic". Mapping replaces some of them; see package jit.
	Preset  string            `json:"preset,omitempty"`
	Mapping map[string]string `json:"mapping,omitempty"`

	// AllowIDPInitiated accepts a login that nobody asked for. It is off by
	// default, since such a login cannot be bound to a browser.
	AllowIDPInitiated bool `json:"allowIdPInitiated,omitempty"`

	// AllowSHA1 accepts SHA-1 in signatures, of identity providers that cannot
	// do better.
	AllowSHA1 bool `json:"allowSHA1,omitempty"`

	// SignRequests signs the requests for authentication.
	SignRequests bool `json:"signRequests,omitempty"`

	// ClockSkewSeconds is how far the clocks may differ, at most 300. The default
	// is 60.
	ClockSkewSeconds int `json:"clockSkewSeconds,omitempty"`
}
