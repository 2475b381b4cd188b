package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// apply brings the connections of the store in line with the configuration. It
// returns the fresh token of the demo connection, empty where there is none.
func (c *config) apply(ctx context.Context, engine *provision.Engine) (demoToken string, err error) {
	actor := provision.Actor{Kind: "operator", ID: "config"}
	switch {
	case c.file == "":
		return c.applyDemo(ctx, engine, actor)
	case c.once:
		return "", c.importOnce(ctx, engine, actor)
	}
	listed := map[string]bool{}
	for _, conn := range c.Connections {
		listed[conn.ID] = true
	}
	// First those that go: a secret of theirs may be given to another one.
	if err := disableOthers(ctx, engine, listed, actor); err != nil {
		return "", err
	}
	for i, conn := range c.Connections {
		if err := conn.apply(ctx, engine, actor); err != nil {
			return "", fmt.Errorf("%s: connections[%d].%w", c.file, i, err)
		}
	}
	return "", nil
}

// applyDemo makes the demo connection where it is not there. It is no file's: what an
// operator has changed of it stays.
func (c *config) applyDemo(ctx context.Context, engine *provision.Engine, actor provision.Actor) (token string, err error) {
	demo := engine.Directory(c.demo.ID).As(actor)
	if _, err := demo.UpdateConnection(ctx, c.settleDemo); err != nil {
		return "", err
	}
	if err := demo.RevokeCredentials(ctx); err != nil { // of earlier starts
		return "", err
	}
	token, _, err = demo.IssueToken(ctx, time.Time{})
	return token, err
}

// settleDemo has the demo connection trust the demo identity provider and read the demo
// directory, whose keys are others at each start, or no longer. The policy of these comes and
// goes with them, unless somebody has edited it.
func (c *config) settleDemo(stored *provision.Connection) error {
	if stored.Version == 0 {
		*stored = *c.demo
		return nil
	}
	saml := stored.SAML != nil && stored.SAML.Preset == demoPreset
	ldap := stored.LDAP != nil && slices.Contains(stored.LDAP.BaseDNs, demoStaff)
	if c.demo.SAML != nil || saml {
		stored.SAML = c.demo.SAML
	}
	if c.demo.LDAP != nil || ldap {
		stored.LDAP = c.demo.LDAP
	}
	was, is := saml || ldap, c.demo.SAML != nil || c.demo.LDAP != nil
	if is && !was || was && !is && samePolicy(stored.Policy, demoPolicy()) {
		stored.Policy = c.demo.Policy
	}
	stored.ManagedBy = ""
	return nil
}

// samePolicy reports whether two policies say the same.
func samePolicy(a, b policy.Config) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// replaceBy makes a connection what the file says, whatever it was.
func replaceBy(c provision.Connection) func(*provision.Connection) error {
	return func(stored *provision.Connection) error {
		*stored = c
		return nil
	}
}

func (c connectionConfig) apply(ctx context.Context, engine *provision.Engine, actor provision.Actor) error {
	d := engine.Directory(c.ID).As(actor)
	settings := c.connection()
	settings.ManagedBy = provision.ManagedByFile
	if _, err := d.UpdateConnection(ctx, replaceBy(settings)); err != nil {
		return err
	}
	if c.SCIM == nil {
		return d.RevokeCredentials(ctx)
	}
	if _, err := d.SetCredential(ctx, c.SCIM.secret(), c.SCIM.Expires.Time); err != nil {
		return settingError(err)
	}
	return nil
}

// disableOthers closes the connections that a file has made and the configuration does not
// list any more.
func disableOthers(ctx context.Context, engine *provision.Engine, listed map[string]bool, actor provision.Actor) error {
	all, err := engine.Connections(ctx)
	if err != nil {
		return err
	}
	for _, conn := range all {
		if listed[conn.ID] || conn.Disabled || conn.ManagedBy != provision.ManagedByFile {
			continue
		}
		d := engine.Directory(conn.ID).As(actor)
		_, err := d.UpdateConnection(ctx, func(c *provision.Connection) error { c.Disabled = true; return nil })
		if err != nil {
			return err
		}
		if err := d.RevokeCredentials(ctx); err != nil {
			return err
		}
		engine.Logger.Warn("connection disabled: the configuration does not list it", "connection", conn.ID)
	}
	return nil
}

// importOnce makes the connections of the file where there are none but the demo connection,
// or where a file has managed some, and hands all that a file manages over to the operator.
// While it has not come to its end a file still manages some, so that the next start goes on;
// afterwards the file is not looked at.
func (c *config) importOnce(ctx context.Context, engine *provision.Engine, actor provision.Actor) error {
	stored, err := engine.Connections(ctx)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(slices.Clone(stored), func(s provision.Connection) bool { return s.ID == demoConnection && s.ManagedBy == "" })
	if len(others) > 0 && !slices.ContainsFunc(others, managedByFile) {
		engine.Logger.Info("the configuration was imported before and is not read again", "file", c.file)
		return nil
	}
	if c.wrong != nil {
		return c.wrong
	}
	for i, conn := range c.Connections {
		if slices.ContainsFunc(others, func(s provision.Connection) bool { return s.ID == conn.ID && !managedByFile(s) }) {
			continue // handed over by an earlier start that did not come to its end
		}
		if err := conn.apply(ctx, engine, actor); err != nil {
			return fmt.Errorf("%s: connections[%d].%w", c.file, i, err)
		}
	}
	return handOver(ctx, engine, actor)
}

func managedByFile(c provision.Connection) bool { return c.ManagedBy == provision.ManagedByFile }

// handOver has nothing managed by a file any more.
func handOver(ctx context.Context, engine *provision.Engine, actor provision.Actor) error {
	all, err := engine.Connections(ctx)
	if err != nil {
		return err
	}
	for _, conn := range all {
		if !managedByFile(conn) {
			continue
		}
		_, err := engine.Directory(conn.ID).As(actor).UpdateConnection(ctx, func(c *provision.Connection) error { c.ManagedBy = ""; return nil })
		if err != nil {
			return err
		}
		engine.Logger.Info("connection imported: the operator endpoints change it from now on", "connection", conn.ID)
	}
	return nil
}
