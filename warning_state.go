package provision

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/metadata"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// Warnings lists what a connection should be seen to: what its settings do not
// reach ([Connection.Warnings]), and what has come with time: credentials that have
// expired, expire within 30 days or never do, certificates of the identity provider
// likewise, a directory that cannot be read, default groups that do not exist or that
// accounts have lost; that a pause is over; and that work waits because the clock of the engine has jumped ([Engine.ClockJumped]). A
// connection that is disabled has only those of its settings.
//
// The event connection.warning tells each that is new: one of the settings with the
// edit that made it, one that has come with time by [Engine.Run]. A connection that
// is new has told whoever saved it. The error is [ErrNotFound] for an unknown
// connection.
func (d *Directory) Warnings(ctx context.Context) ([]Warning, error) {
	clock, err := d.engine.clockWarnings(ctx)
	if err != nil {
		return nil, err
	}
	var list []Warning
	err = d.view(ctx, func(r store.Reader) error {
		conn, err := d.engine.connections.load(d.connection, r)
		if err != nil {
			return err
		}
		list, err = d.engine.warnings(conn, r, clock)
		return err
	})
	return list, err
}

// warnings lists the warnings of a connection, with those of the clock.
func (e *Engine) warnings(conn *compiled, r store.Reader, clock []Warning) ([]Warning, error) {
	list, err := e.stateWarnings(conn, r, clock)
	return slices.Concat(conn.Warnings(), list), err
}

// stateWarnings lists the warnings that come with time, with those of the clock.
func (e *Engine) stateWarnings(conn *compiled, r store.Reader, clock []Warning) ([]Warning, error) {
	if conn.Disabled {
		return nil, nil
	}
	now := e.now()
	credentials, err := credentialWarnings(r, now)
	if err != nil {
		return nil, err
	}
	groups, err := defaultGroupWarnings(finder{r, conn}, now)
	if err != nil {
		return nil, err
	}
	syncs, err := syncWarnings(conn, r)
	return slices.Concat(credentials, metadataWarnings(conn, now), syncs, groups, modeWarnings(conn, now), clock), err
}

// modeWarnings say that a pause is over. Nothing resumes by itself.
func modeWarnings(conn *compiled, now time.Time) []Warning {
	if conn.Mode != ModePaused || now.Before(conn.Until) {
		return nil
	}
	return []Warning{{Code: warnPauseOver, Field: "mode", Text: fmt.Sprintf("the pause was to end on %s: accounts still wait, until somebody resumes the connection", day(conn.Until))}}
}

// syncWarnings say that the directory could not be read last.
func syncWarnings(conn *compiled, r store.RecordReader) ([]Warning, error) {
	if !conn.syncs() {
		return nil, nil
	}
	plan, err := records.SyncPlan.Value(r, "")
	if err != nil || plan.Failures == 0 {
		return nil, err
	}
	last, err := lastRun(r)
	if err != nil || last == nil || last.Failure == "" {
		return nil, err
	}
	return []Warning{{Code: warnSyncFailing, Field: "ldap", Value: last.Code, Text: "the directory cannot be read, and everybody stays as they are: " + last.Failure}}, nil
}

// clockWarnings are those of the clock of the engine, which every connection has.
func (e *Engine) clockWarnings(ctx context.Context) ([]Warning, error) {
	at, err := e.ClockJumped(ctx)
	if err != nil || at.IsZero() {
		return nil, err
	}
	return []Warning{{Code: warnClockJumped, Field: "clock", Text: fmt.Sprintf(
		"the clock has jumped; since %s the deletion of accounts, the pruning of events, used keys, sessions and counts, and the withdrawal of rights wait until it was steady for a day, or until an operator confirms that it is right",
		at.Format(time.RFC3339))}}, nil
}

// warnBefore is how long before its end a credential or a certificate is warned of.
const warnBefore = 30 * 24 * time.Hour

// credentialWarnings are those of the credentials, oldest first.
func credentialWarnings(r store.RecordReader, now time.Time) ([]Warning, error) {
	all, err := records.Credential.List(r, "", 0)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b storedCredential) int { return a.Value.Created.Compare(b.Value.Created) })
	var list []Warning
	for _, cred := range all {
		c := cred.Value
		w := Warning{Field: fieldCredentials, Value: c.ID}
		switch {
		case isPending(&c): // nobody has it yet
			continue
		case c.Expires.IsZero():
			w.Code, w.Text = warnCredentialForever, fmt.Sprintf("the %s never expires: whoever finds it can use it for ever", nounOf(c.Method))
		case hasExpired(c.Expires, now):
			w.Code, w.Text = warnCredentialExpired, fmt.Sprintf("the %s has expired on %s: requests with it are refused", nounOf(c.Method), day(c.Expires))
		case c.Expires.Sub(now) <= warnBefore:
			w.Code, w.Text = warnCredentialExpiring, fmt.Sprintf("the %s expires on %s: extend it, or issue another one", nounOf(c.Method), day(c.Expires))
		default:
			continue
		}
		list = append(list, w)
	}
	return list, nil
}

const fieldCredentials = "credentials"

func nounOf(method string) string {
	if method == methodBasic {
		return "password"
	}
	return "token"
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// metadataWarnings are those of the metadata of the identity provider: parts that
// could not be read, and the certificates by which it signs. While one is good
// beyond the notice, an older one is no trouble.
func metadataWarnings(conn *compiled, now time.Time) []Warning {
	if conn.SAML == nil || conn.SAML.Metadata == "" {
		return nil
	}
	idp, err := metadata.Parse([]byte(conn.SAML.Metadata), conn.SAML.IDPEntityID)
	if err != nil {
		return []Warning{{Code: warnMetadataUnusable, Field: fieldMetadata, Text: "nobody can log in by it: " + err.Error()}}
	}
	var list []Warning
	if len(idp.Problems) > 0 {
		list = append(list, Warning{Code: warnMetadataPartial, Field: fieldMetadata, Text: "left out of it: " + strings.Join(idp.Problems, "; ")})
	}
	if !idp.ValidUntil.IsZero() && !now.Before(idp.ValidUntil) {
		list = append(list, Warning{Code: warnMetadataOutdated, Field: fieldMetadata, Text: "it asked to be replaced before " + day(idp.ValidUntil)})
	}
	if len(idp.Keys) > 0 || slices.ContainsFunc(idp.Certificates, func(c *x509.Certificate) bool { return c.NotAfter.Sub(now) > warnBefore }) {
		return list
	}
	for _, c := range idp.Certificates {
		w := Warning{Field: fieldMetadata, Value: fmt.Sprintf("%x", c.SerialNumber)}
		if now.After(c.NotAfter) {
			w.Code, w.Text = warnCertificateExpired, "the certificate of the identity provider has expired on "+day(c.NotAfter)
		} else {
			w.Code, w.Text = warnCertificateEnding, fmt.Sprintf("the certificate of the identity provider expires on %s: logins fail then, unless its metadata has another one", day(c.NotAfter))
		}
		list = append(list, w)
	}
	return list
}

const fieldMetadata = "saml.metadata"

// defaultGroupWarnings are those of the names of option defaultGroups.
func defaultGroupWarnings(f finder, now time.Time) ([]Warning, error) {
	var list []Warning
	for _, name := range f.conn.Policy.DefaultGroups {
		w := Warning{Field: "defaultGroups", Value: name}
		exists, err := f.defaultGroupExists(name)
		if err != nil {
			return nil, err
		}
		lost, err := records.DefaultLost.Load(f.tx, nameKey(name))
		if err != nil {
			return nil, err
		}
		switch {
		case !exists:
			w.Code, w.Text = warnDefaultMissing, "there is no such group: accounts get it when it appears"
		case lost.Stored() && records.Ahead(lost.Expires, now, lostInterval):
			w.Code, w.Text = warnDefaultLost, "the identity provider has deleted the group and made it again: accounts that had it by default do not have it any more"
		default:
			continue
		}
		list = append(list, w)
	}
	return list, nil
}

func (f finder) defaultGroupExists(name string) (bool, error) {
	host, err := hostGroups{f.tx}.named(name)
	if err != nil || host != nil {
		return host != nil, err
	}
	id, err := f.groupNamed(name)
	return id != "", err
}

// warningInterval is how often a connection is looked at for warnings to tell.
const warningInterval = time.Hour

// tellWarnings appends the event connection.warning for each warning of a connection
// that has come with time and was not there at the last look. One that ends and comes
// back is told again.
//
// Replicas may do it at the same time: what was told is compared and stored in the
// transaction of the events. Without news it only reads.
func (e *Engine) tellWarnings(ctx context.Context, connection string) error {
	clock, err := e.clockWarnings(ctx)
	if err != nil {
		return err
	}
	news := false
	err = e.store().View(ctx, connection, func(_ context.Context, r store.Reader) error {
		conn, err := e.connections.load(connection, r)
		if err != nil {
			return err
		}
		_, news, err = e.untold(conn, r, clock)
		return err
	})
	if err != nil || !news {
		return err
	}
	return e.update(ctx, connection, bySystem(), func(c *change) error {
		list, news, err := e.untold(c.conn, c.tx, clock)
		if err != nil || !news {
			return err
		}
		var told []string
		for _, w := range list {
			told = append(told, w.key())
			if w.told {
				continue
			}
			if err := c.warn(w.Warning); err != nil {
				return err
			}
		}
		return records.Warned.Put(c.tx, "", told)
	})
}

// toldWarning is a warning, and whether an event has told it.
type toldWarning struct {
	Warning
	told bool
}

// untold lists the warnings of a connection, and reports whether they are others
// than those that were told.
func (e *Engine) untold(conn *compiled, r store.Reader, clock []Warning) (list []toldWarning, news bool, err error) {
	before, err := records.Warned.Value(r, "")
	if err != nil {
		return nil, false, err
	}
	all, err := e.stateWarnings(conn, r, clock)
	if err != nil {
		return nil, false, err
	}
	news = len(all) != len(before)
	for _, w := range all {
		told := slices.Contains(before, w.key())
		news = news || !told
		list = append(list, toldWarning{w, told})
	}
	return list, news, nil
}

// warnOfSettings tells the warnings of the settings that an edit has made.
func (c *change) warnOfSettings(before *compiled) error {
	if before.Version == 0 {
		return nil
	}
	had := before.Warnings()
	for _, w := range c.conn.Warnings() {
		if slices.Contains(had, w) {
			continue
		}
		if err := c.warn(w); err != nil {
			return err
		}
	}
	return nil
}

// key is by what a warning is known.
func (w Warning) key() string { return w.Code + "/" + w.Field + "/" + w.Value }

// warn appends the event of a warning: its code is in the reasons, and all of it in
// the changes.
func (c *change) warn(w Warning) error {
	ev := &store.Event{
		Type:    store.ConnectionWarning,
		Reasons: []policy.Reason{{Option: w.Field, Effect: policy.EffectWarning, Value: w.Code}},
		Changes: []store.Change{{Attribute: "warning", After: mustJSON(w)}},
	}
	if w.Field == fieldCredentials {
		ev.Resource = &store.ResourceRef{Type: "Credential", ID: w.Value}
	}
	return c.append(ev)
}
