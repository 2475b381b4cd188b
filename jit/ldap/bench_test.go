package ldap_test

import (
	"context"
	"os/exec"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/store/memory"
)

// BenchmarkSource reads a directory of slapd as a sync does, without writing anything.
// Beside it is what ldapsearch takes for the same.
func BenchmarkSource(b *testing.B) {
	const people = 20_000
	d := ldaptest.Slapd(b, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(people, 200, 1000)})
	b.Run("source", func(b *testing.B) {
		server := open(b, settings(d), d.Password)
		for b.Loop() {
			if got := mustRead(b, server, ""); len(got.users) != people {
				b.Fatalf("%d people", len(got.users))
			}
		}
		b.ReportMetric(float64(people)*float64(b.N)/b.Elapsed().Seconds(), "people/s")
	})
	b.Run("first sync", func(b *testing.B) {
		server := open(b, settings(d), d.Password)
		for b.Loop() {
			e := &provision.Engine{Store: memory.New()}
			if _, err := e.Directory("dir").SaveConnection(b.Context(), provision.Connection{ID: "dir"}); err != nil {
				b.Fatal(err)
			}
			src, err := server.Source(context.Background(), "")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := e.Directory("dir").Sync(b.Context(), src, provision.SyncOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(people)*float64(b.N)/b.Elapsed().Seconds(), "people/s")
	})
	b.Run("ldapsearch", func(b *testing.B) {
		for b.Loop() {
			for _, base := range []string{d.People, d.Groups} {
				command := exec.Command("ldapsearch", "-x", "-LLL", "-H", d.URL, "-D", d.Reader, "-w", d.Password, "-b", base, "-E", "pr=1000/noprompt", "(objectClass=*)", "*", "+")
				if err := command.Run(); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(people)*float64(b.N)/b.Elapsed().Seconds(), "people/s")
	})
}
