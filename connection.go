package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Connection is one identity provider of one tenant.
type Connection struct {
	// ID selects the connection: letters, digits, "-", "_" and ".", at most 64.
	ID string `json:"id"`

	// Name is for people.
	Name string `json:"name,omitempty"`

	// Dialect names the tolerances of the SCIM handler, such as "okta"; empty
	// means "auto".
	Dialect string `json:"dialect,omitempty"`

	// Policy decides what each person gets.
	Policy policy.Config `json:"policy"`

	// Attributes are the SCIM attributes that accounts carry for the host, such
	// as "title" or
	// "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department".
	Attributes []string `json:"attributes,omitempty"`

	// SCIM is set when the connection provisions by SCIM. It decides what
	// policy option provisionOnFirstLogin "auto" means.
	SCIM bool `json:"scim,omitempty"`

	// SAML is set when people log in by SAML.
	SAML *SAML `json:"saml,omitempty"`

	// LDAP is set when people and groups come from a directory, or people log in by it.
	LDAP *LDAP `json:"ldap,omitempty"`

	// Disabled closes the connection: its credentials stop working at once.
	// Accounts stay as they are.
	Disabled bool `json:"disabled,omitempty"`

	// ManagedBy names what else the settings are written in, such as [ManagedByFile]:
	// whoever edits them elsewhere refuses to, as the next start would undo it. The engine
	// only keeps it. Empty means that nothing else owns the settings.
	ManagedBy string `json:"managedBy,omitempty"`

	// Mode says what becomes of facts; empty means live. A new connection may be saved in
	// [ModeShadow]. Later [Directory.SetMode] alone changes it: settings that are saved with
	// an empty Mode keep the one that is stored, and another one is a [*ModeError].
	Mode Mode `json:"mode,omitempty"`

	// Until is when the pause of a connection is over. It goes with Mode.
	Until time.Time `json:"until,omitzero"`

	// Version counts the changes of the connection; 0 is one that is not stored.
	// It goes on where an id is used again after [Directory.DeleteConnection].
	// [Directory.SaveConnection] compares it.
	Version int64 `json:"-"`
}

// SAML is how people of a connection log in by SAML 2.0. Package jit/saml reads
// it. Zero fields mean their defaults.
type SAML struct {
	// Metadata is the XML metadata document of the identity provider.
	Metadata string `json:"metadata,omitempty"`

	// MetadataURL is the https address of the document. [Engine.Run] fetches it
	// from there every few hours, by [Engine.Outbound], and puts it into Metadata;
	// see [Directory.RefreshMetadata]. Settings that are saved without Metadata keep
	// what was fetched from the same address.
	MetadataURL string `json:"metadataURL,omitempty"`

	// IDPEntityID is the entity id of the identity provider that is meant, where
	// the document has several. It may be set where it has one, too.
	IDPEntityID string `json:"idpEntityID,omitempty"`

	// EntityID names this service provider; empty means the URL of its
	// metadata.
	EntityID string `json:"entityID,omitempty"`

	// Preset names the attributes of the identity provider, such as "okta";
	// empty means "generic". Mapping replaces some of them; see package jit.
	Preset  string            `json:"preset,omitempty"`
	Mapping map[string]string `json:"mapping,omitempty"`

	// Groups are attributes whose groups count together, in the place of those of
	// the preset. GroupSeparator is what stands between several groups in one
	// value, such as ",", or "comma" or "semicolon".
	Groups         []string `json:"groups,omitempty"`
	GroupSeparator string   `json:"groupSeparator,omitempty"`

	// AllowIDPInitiated accepts a login that nobody asked for. It is off by
	// default, since such a login cannot be bound to a browser.
	AllowIDPInitiated bool `json:"allowIdPInitiated,omitempty"`

	// AllowSHA1 accepts SHA-1 in signatures, of identity providers that cannot
	// do better.
	AllowSHA1 bool `json:"allowSHA1,omitempty"`

	// SignRequests signs the requests for authentication.
	SignRequests bool `json:"signRequests,omitempty"`

	// AuthnContext are the ways in which people must have authenticated, of which
	// one counts: classes such as "PasswordProtectedTransport" or "REFEDS-MFA", or
	// their URIs. They are asked for, and an assertion of another one is refused.
	AuthnContext []string `json:"authnContext,omitempty"`

	// ForceAuthn asks the identity provider to authenticate people again even where
	// they have a session there, and refuses an older authentication.
	ForceAuthn bool `json:"forceAuthn,omitempty"`

	// NameIDFormat is the format of NameID that is asked for, such as "persistent"
	// or "emailAddress", or its URN; empty leaves it to the identity provider.
	NameIDFormat string `json:"nameIDFormat,omitempty"`

	// ClockSkewSeconds is how far the clocks may differ, at most 300. The default
	// is 60.
	ClockSkewSeconds int `json:"clockSkewSeconds,omitempty"`

	// Encryption is "off" to leave the key for encryption out of the metadata of
	// this service provider, so that an identity provider which reads it sends
	// assertions as they are. What is encrypted all the same is decrypted, as
	// long as there is a key. Empty means "on".
	Encryption string `json:"encryption,omitempty"`

	// InsecureAllowCBC accepts AES-CBC around an assertion that is signed in a
	// response that is not. It is off by default: whoever gets hold of such a
	// response can find out what is in it, by changing it and looking how long
	// the refusals take.
	InsecureAllowCBC bool `json:"insecureAllowCBC,omitempty"`
}

// decidedBy reports whether the source that owns a resource decides what it says, and who
// is in it, against another source that reports it: SCIM against a sync, as long as the
// connection has SCIM. A login writes only what logins own.
func (c *Connection) decidedBy(owner, other store.Source) bool {
	return c.SCIM && owner == store.SourceSCIM && other == store.SourceSync
}

// Clone returns a copy of c that shares no memory with it.
func (c Connection) Clone() Connection {
	c.Policy = c.Policy.Clone()
	c.Attributes = slices.Clone(c.Attributes)
	if c.SAML != nil {
		saml := *c.SAML
		saml.Mapping = maps.Clone(saml.Mapping)
		saml.Groups = slices.Clone(saml.Groups)
		saml.AuthnContext = slices.Clone(saml.AuthnContext)
		c.SAML = &saml
	}
	c.LDAP = c.LDAP.clone()
	return c
}

// compiled is a connection with its policy, immutable and shared.
type compiled struct {
	Connection
	policy     *policy.Policy
	attributes []account.Path
	indexed    records.IndexedAttributes // as of the same version
}

// compilePolicy compiles a policy whose patterns are normalized, as the names are
// that they are compared with. An error is about the config as it was written.
func compilePolicy(c policy.Config, permissions []string) (*policy.Policy, error) {
	p, err := c.WithNames(naming.Normal).Compile(permissions...)
	if err != nil {
		if _, written := c.Compile(permissions...); written != nil {
			return nil, written
		}
	}
	return p, err
}

// compile checks the settings of a connection and makes what it is used by.
// Names become canonical. The permissions are those of the host.
func compile(c Connection, permissions ...string) (*compiled, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	p, err := compilePolicy(c.Policy, permissions)
	if err != nil {
		return nil, fmt.Errorf("provision: connection %q: %w", c.ID, err)
	}
	if c.Policy.Permissions, err = c.Policy.Permissions.Named(permissions...); err != nil {
		return nil, err
	}
	out := &compiled{Connection: c, policy: p}
	for _, name := range c.Attributes {
		path, _ := account.ParsePath(name)
		out.attributes = append(out.attributes, path)
	}
	return out, nil
}

// connectionCache keeps compiled connections by id. An entry is used only when
// the stored version, read in the same transaction, is still the same.
type connectionCache struct{ m sync.Map }

// recall returns the connection with an id as it was when it was last loaded, or nil. It
// is for what costs only time where it is wrong.
func (cc *connectionCache) recall(id string) *compiled {
	c, _ := cc.m.Load(id)
	found, _ := c.(*compiled)
	return found
}

// load returns the connection of a scope, or ErrNotFound.
func (cc *connectionCache) load(id string, r store.RecordReader) (*compiled, error) {
	rec, err := records.LiveConnection(r)
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("connection", id)
	}
	if err != nil {
		return nil, err
	}
	if v, ok := cc.m.Load(id); ok && v.(*compiled).Version == rec.Version {
		return v.(*compiled), nil
	}
	c, err := decodeConnection(rec)
	if err != nil {
		return nil, err
	}
	// What is stored was right when it was saved, also for a host that has a
	// permission no longer.
	out, err := compile(c, permissionNames(c.Policy)...)
	if err != nil {
		return nil, err
	}
	if out.indexed, err = records.Indexed.Value(r, ""); err != nil {
		return nil, err
	}
	cc.m.Store(id, out)
	return out, nil
}

// permissionNames are the permissions that a policy names.
func permissionNames(c policy.Config) []string { return slices.Sorted(maps.Keys(c.Permissions)) }

func decodeConnection(rec *store.Record) (Connection, error) {
	var c Connection
	if err := json.Unmarshal(rec.Value, &c); err != nil {
		return Connection{}, fmt.Errorf("provision: stored connection: %w", err)
	}
	c.Version = rec.Version
	return c, nil
}

func (e *Engine) connection(ctx context.Context, id string) (*compiled, error) {
	if id == store.Global {
		return nil, notFound("connection", id)
	}
	var c *compiled
	err := e.store().View(ctx, id, func(_ context.Context, r store.Reader) error {
		var err error
		c, err = e.connections.load(id, r)
		return err
	})
	return c, err
}
