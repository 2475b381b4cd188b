package main

import (
	"crypto/subtle"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	goldap "github.com/go-ldap/ldap/v3"
	"github.com/hashicorp/go-hclog"
	"github.com/jimlambrt/gldap"

	"github.com/scimjit/provision"
)

// Names of the demo directory.
const (
	demoPassword = "password-of-the-demo" // of everybody, and of the service account
	demoReader   = "cn=reader,dc=example,dc=com"
	demoStaff    = "ou=people,dc=example,dc=com"
	demoTeams    = "ou=groups,dc=example,dc=com"
)

// demoEntry is an entry of the demo directory.
type demoEntry struct {
	dn         string
	attributes map[string][]string
}

// demoDirectory is a directory for trying syncs and logins by a password: it knows the
// people of the demo identity provider. It speaks LDAP by TLS on a loopback address, and
// nothing in it can be changed.
type demoDirectory struct {
	server  *gldap.Server
	ended   chan error // what the server ended with
	address string
	pair    *keyPair
	entries []demoEntry
}

// newDemoDirectory answers until close. Its certificate and its port live as long as the
// process.
func newDemoDirectory(people []demoPerson) (*demoDirectory, error) {
	pair, err := newKeyPair("demo directory", time.Now(), net.IPv4(127, 0, 0, 1))
	if err != nil {
		return nil, err
	}
	server, err := gldap.NewServer(gldap.WithLogger(hclog.NewNullLogger()))
	if err != nil {
		return nil, err
	}
	mux, err := gldap.NewMux()
	if err != nil {
		return nil, err
	}
	d := &demoDirectory{server: server, ended: make(chan error, 1), pair: pair, entries: demoEntries(people, time.Now())}
	if d.address, err = freePort(); err != nil {
		return nil, err
	}
	if err := errors.Join(mux.Bind(d.bind), mux.Search(d.search), server.Router(mux)); err != nil {
		return nil, err
	}
	return d, d.serve()
}

// freePort returns an address of this machine where nobody listens: the server of the
// library listens by itself, and does not say where.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// demoEntries makes the entries of people, and of the groups that they are in. Their ids
// are the same at each start.
func demoEntries(people []demoPerson, now time.Time) []demoEntry {
	var entries []demoEntry
	add := func(dn string, attributes map[string][]string) {
		attributes["entryUUID"] = []string{fmt.Sprintf("00000000-0000-4000-8000-%012d", len(entries))}
		attributes["modifyTimestamp"] = []string{now.UTC().Format("20060102150405") + "Z"}
		entries = append(entries, demoEntry{dn, attributes})
	}
	for _, unit := range []string{demoStaff, demoTeams} {
		add(unit, map[string][]string{"objectClass": {"organizationalUnit"}})
	}
	members := map[string][]string{}
	var groups []string
	for _, p := range people {
		dn := "uid=" + p.UID + "," + demoStaff
		add(dn, map[string][]string{
			"objectClass": {"inetOrgPerson"}, "uid": {p.UID}, "cn": {p.Name}, "givenName": {p.Given}, "sn": {p.Family}, "mail": {p.Email},
		})
		for _, g := range p.Groups {
			if members[g] == nil {
				groups = append(groups, g)
			}
			members[g] = append(members[g], dn)
		}
	}
	for _, g := range groups {
		add("cn="+g+","+demoTeams, map[string][]string{"objectClass": {"groupOfNames"}, "cn": {g}, "member": members[g]})
	}
	return entries
}

// settings returns the settings of a connection to this directory. People have the ids
// that the demo identity provider tells of them.
func (d *demoDirectory) settings() *provision.LDAP {
	return &provision.LDAP{
		URLs: []string{"ldaps://" + d.address}, CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.pair.certificate.Raw})), Preset: "openldap",
		BindDN: demoReader, BindPassword: provision.NewSecret(demoPassword),
		BaseDNs: []string{demoStaff}, GroupBaseDNs: []string{demoTeams}, Login: true,
		Mapping: map[string]string{"id": "uid"},
	}
}

// serve begins to answer.
func (d *demoDirectory) serve() error {
	certificate := tls.Certificate{Certificate: [][]byte{d.pair.certificate.Raw}, PrivateKey: d.pair.key}
	go func() {
		d.ended <- d.server.Run(d.address, gldap.WithTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	}()
	for !d.server.Ready() {
		select {
		case err := <-d.ended:
			return err
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// close ends it. The library waits for those who are connected, and nobody else has to.
func (d *demoDirectory) close() { go func() { _ = d.server.Stop() }() }

// bind lets in the service account and the people, all by one password.
func (d *demoDirectory) bind(w *gldap.ResponseWriter, r *gldap.Request) {
	code := gldap.ResultInvalidCredentials
	m, err := r.GetSimpleBindMessage()
	known := err == nil && (strings.EqualFold(m.UserName, demoReader) || d.find(m.UserName) != nil)
	if known && subtle.ConstantTimeCompare([]byte(m.Password), []byte(demoPassword)) == 1 {
		code = gldap.ResultSuccess
	}
	_ = w.Write(r.NewBindResponse(gldap.WithResponseCode(code))) // the client may be gone
}

func (d *demoDirectory) find(dn string) *demoEntry {
	i := slices.IndexFunc(d.entries, func(e demoEntry) bool { return strings.EqualFold(e.dn, dn) })
	if i < 0 {
		return nil
	}
	return &d.entries[i]
}

// search answers in one page, whatever the size that was asked for.
func (d *demoDirectory) search(w *gldap.ResponseWriter, r *gldap.Request) {
	done := r.NewSearchDoneResponse(gldap.WithResponseCode(gldap.ResultSuccess))
	defer func() { _ = w.Write(done) }() // the client may be gone
	m, err := r.GetSearchMessage()
	if err != nil {
		done.SetResultCode(gldap.ResultProtocolError)
		return
	}
	filter, err := goldap.CompileFilter(m.Filter)
	if err != nil {
		done.SetResultCode(gldap.ResultProtocolError)
		return
	}
	if d.find(m.BaseDN) == nil {
		done.SetResultCode(gldap.ResultNoSuchObject)
		return
	}
	for _, e := range d.entries {
		if e.within(m.BaseDN, m.Scope) && e.matches(filter) {
			_ = w.Write(r.NewSearchResponseEntry(e.dn, gldap.WithAttributes(e.attributes)))
		}
	}
	for _, c := range m.Controls {
		if paging, ok := c.(*gldap.ControlPaging); ok {
			paging.SetCookie(nil)
			done.SetControls(paging)
		}
	}
}

// within reports whether an entry is in the scope of a search. Its names have no escapes.
func (e demoEntry) within(base string, scope gldap.Scope) bool {
	dn := strings.ToLower(e.dn)
	base = strings.ToLower(base)
	switch scope {
	case gldap.BaseObject:
		return dn == base
	case gldap.SingleLevel:
		_, above, _ := strings.Cut(dn, ",")
		return above == base
	}
	return dn == base || strings.HasSuffix(dn, ","+base)
}

// matches decides a filter (RFC 4511 section 4.5.1.7). It knows what the library asks;
// all else matches nobody.
func (e demoEntry) matches(f *ber.Packet) bool {
	switch f.Tag {
	case goldap.FilterAnd:
		return !slices.ContainsFunc(f.Children, func(part *ber.Packet) bool { return !e.matches(part) })
	case goldap.FilterOr:
		return slices.ContainsFunc(f.Children, e.matches)
	case goldap.FilterNot:
		return !e.matches(f.Children[0])
	case goldap.FilterPresent:
		return len(e.values(ber.DecodeString(f.Data.Bytes()))) > 0
	case goldap.FilterEqualityMatch, goldap.FilterGreaterOrEqual:
		value := ber.DecodeString(f.Children[1].Data.Bytes())
		return slices.ContainsFunc(e.values(ber.DecodeString(f.Children[0].Data.Bytes())), func(have string) bool {
			return strings.EqualFold(have, value) || f.Tag == goldap.FilterGreaterOrEqual && have > value
		})
	}
	return false
}

func (e demoEntry) values(name string) []string {
	for have, values := range e.attributes {
		if strings.EqualFold(have, name) {
			return values
		}
	}
	return nil
}
