package ldap_test

import (
	"testing"

	"github.com/jimlambrt/gldap"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
)

// The codes of a directory are those of the status and the event of a sync.
func TestCodesOfSyncs(t *testing.T) {
	f := ldaptest.NewFake(t)
	good := fakeDirectory{people: 10, group: map[string][]string{"cn": {"all"}, "entryUUID": {"aaaaaaaa-0000-0000-0000-000000000000"}}}
	var fault func(fakeDirectory, *gldap.SearchMessage, *ldaptest.Answer) bool
	f.Search = func(m *gldap.SearchMessage, a *ldaptest.Answer) {
		if !fault(good, m, a) {
			good.search(m, a)
		}
	}
	d := newDoor(t, fakeSettings(f), "x")
	d.engine.SyncSource = d.servers.Source
	for _, tt := range faults {
		fault = tt.search
		_, err := d.engine.Directory("dir").SyncNow(t.Context(), provision.SyncOptions{})
		status, failed := d.engine.Directory("dir").SyncStatus(t.Context())
		if err == nil || failed != nil || status.Last == nil || status.Last.Code != string(tt.code) {
			t.Errorf("%s: %v, status %+v, want the code %s", tt.name, err, status.Last, tt.code)
		}
	}
}
