package provision

import (
	"maps"
	"slices"
	"time"
)

// LDAP is the directory of a connection: Active Directory, or another server that
// speaks LDAP. Package jit/ldap reads it. Zero fields mean their defaults.
//
// [Engine.Run] brings the people and groups of the directory by
// [Engine.SyncSource], see [Directory.SyncNow]. With Login people also log in by it.
type LDAP struct {
	// URLs are the servers, such as "ldaps://dc1.example:636" or
	// "ldap://dc1.example", which are tried in this order. They hold the same
	// directory. At most 10.
	URLs []string `json:"urls,omitempty"`

	// StartTLS begins TLS on connections to ldap:// addresses. InsecureNoTLS does
	// without: passwords cross the network in clear. An ldap:// address needs one of
	// the two.
	StartTLS      bool `json:"startTLS,omitempty"`
	InsecureNoTLS bool `json:"insecureNoTLS,omitempty"`

	// CA are the certificates, in PEM, by which that of the server must be signed;
	// empty means those of the system. ServerName is the name in it; empty means the
	// host of the address.
	CA         string `json:"ca,omitempty"`
	ServerName string `json:"serverName,omitempty"`

	// ClientCertificate is the certificate, in PEM with those above it, that the server
	// is shown, and ClientKey its key. Without a BindPassword it is the account, too: the
	// server knows who it is of (SASL EXTERNAL), whatever BindDN says.
	ClientCertificate string     `json:"clientCertificate,omitempty"`
	ClientKey         SecretText `json:"clientKey,omitzero"`

	// BindDN and BindPassword are the account that reads the directory. Active
	// Directory takes user@domain and DOMAIN\user, too.
	BindDN       string     `json:"bindDN,omitempty"`
	BindPassword SecretText `json:"bindPassword,omitzero"`

	// BaseDNs are below which people are found, and GroupBaseDNs groups; empty means
	// that these are below BaseDNs, too. At most 20 of each.
	BaseDNs      []string `json:"baseDNs,omitempty"`      //nolint:revive // several DNs, and not the DNS
	GroupBaseDNs []string `json:"groupBaseDNs,omitempty"` //nolint:revive // see above

	// Filter finds people, and GroupFilter groups (RFC 4515), in the place of those of
	// the preset.
	Filter      string `json:"filter,omitempty"`
	GroupFilter string `json:"groupFilter,omitempty"`

	// Preset names the kind of server: "ad", "openldap", "389ds", "freeipa", or empty
	// for "generic". Mapping names, by the field of a person, the attributes that
	// replace those of the preset.
	Preset  string            `json:"preset,omitempty"`
	Mapping map[string]string `json:"mapping,omitempty"`

	// Login says that people log in by a bind at the server.
	Login bool `json:"login,omitempty"`

	// IntervalSeconds is how often the whole directory is read, 300 to 604800; 0 means
	// every hour. -1 is never: the directory is there for logins, and for syncs that
	// somebody asks for.
	IntervalSeconds int `json:"intervalSeconds,omitempty"`
}

// clone returns a copy of l that shares no memory with it.
func (l *LDAP) clone() *LDAP {
	if l == nil {
		return nil
	}
	c := *l
	c.URLs = slices.Clone(l.URLs)
	c.BaseDNs, c.GroupBaseDNs = slices.Clone(l.BaseDNs), slices.Clone(l.GroupBaseDNs)
	c.Mapping = maps.Clone(l.Mapping)
	return &c
}

// neverSync is the IntervalSeconds of a directory that is not read by the clock.
const neverSync = -1

// interval is how often the whole directory is read; 0 is never.
func (l *LDAP) interval() time.Duration {
	switch l.IntervalSeconds {
	case neverSync:
		return 0
	case 0:
		return time.Hour
	}
	return time.Duration(l.IntervalSeconds) * time.Second
}

// sendsElsewhere reports whether what is sent to the servers of l may come to others
// than those of before, or come to them in another way.
func (l *LDAP) sendsElsewhere(before *LDAP) bool {
	return before.ServerName != l.ServerName || before.CA != l.CA ||
		before.StartTLS != l.StartTLS || before.InsecureNoTLS != l.InsecureNoTLS ||
		slices.ContainsFunc(l.URLs, func(u string) bool { return !slices.Contains(before.URLs, u) })
}

// sharesSecrets reports whether l sends secrets nowhere but to where the settings stored
// do, for the same account.
func (l *LDAP) sharesSecrets(stored *LDAP) bool {
	return l != nil && stored != nil && !l.sendsElsewhere(stored) && l.BindDN == stored.BindDN && l.ClientCertificate == stored.ClientCertificate
}
