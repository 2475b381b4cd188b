package provision_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

func (tn *tenant) portal(n provision.NewPortalLink) (provision.PortalSecrets, provision.PortalLink) {
	tn.t.Helper()
	told, link, err := tn.operator().CreatePortalLink(tn.t.Context(), n)
	if err != nil {
		tn.t.Fatal(err)
	}
	return told, link
}

var portalRights = []string{"connection.read"}

// A link is redeemed once, with its proof, and opens a session that ends by itself or by
// revocation.
func TestPortalLink(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		ctx, e := t.Context(), tn.engine
		told, link := tn.portal(provision.NewPortalLink{Recipient: "Ada@Customer.example", Operations: portalRights, Send: true})
		if told.Proof != "" || !link.Expires.Equal(tn.clock.Now().Add(72*time.Hour)) {
			t.Errorf("%+v, %+v", told, link)
		}
		for range 2 { // whoever looks uses nothing up
			visit, err := e.PortalLink(ctx, told.Code)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(provision.PortalVisit{Connection: "acme", Link: link}, visit); diff != "" {
				t.Errorf("-made +seen:\n%s", diff)
			}
		}
		session, visit, err := e.RedeemPortalLink(ctx, told.Code, " ADA@customer.example ")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(session, strings.Split(told.Code, "~")[1]) {
			t.Error("the session is the link")
		}
		if _, err := e.PortalLink(ctx, told.Code); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("a link that was used: %v", err)
		}
		if _, _, err := e.RedeemPortalLink(ctx, told.Code, "ada@customer.example"); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("redeemed again: %v", err)
		}
		tn.clock.add(11 * time.Hour)
		got, err := e.PortalSession(ctx, session)
		if err != nil || got.Actor().ID != link.ID {
			t.Errorf("%+v, %v", got, err)
		}
		if diff := cmp.Diff(visit, got); diff != "" {
			t.Errorf("-redeemed +session:\n%s", diff)
		}
		tn.clock.add(time.Hour)
		if _, err := e.PortalSession(ctx, session); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("after twelve hours: %v", err)
		}
		tn.runOnce()
		if list, err := tn.operator().PortalLinks(ctx); err != nil || len(list) != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestPortalLinkRefusals(t *testing.T) {
	tests := []struct {
		name string
		ruin func(tn *tenant, link provision.PortalLink) // before it is redeemed
	}{
		{"time has passed", func(tn *tenant, _ provision.PortalLink) { tn.clock.add(10 * time.Minute) }},
		{"it was revoked", func(tn *tenant, link provision.PortalLink) {
			if err := tn.operator().RevokePortalLink(tn.t.Context(), link.ID); err != nil {
				tn.t.Error(err)
			}
		}},
		{"the clock was ahead by years when it was made", func(tn *tenant, _ provision.PortalLink) { tn.clock.add(-3 * 365 * 24 * time.Hour) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				told, link := tn.portal(provision.NewPortalLink{Operations: portalRights})
				if len(told.Proof) < 8 {
					t.Errorf("proof %q", told.Proof)
				}
				test.ruin(tn, link)
				if _, err := tn.engine.PortalLink(t.Context(), told.Code); !errors.Is(err, provision.ErrNotFound) {
					t.Errorf("looking: %v", err)
				}
				if _, _, err := tn.engine.RedeemPortalLink(t.Context(), told.Code, told.Proof); !errors.Is(err, provision.ErrNotFound) {
					t.Errorf("redeeming: %v", err)
				}
			})
		})
	}
}

// A session ends with its link.
func TestPortalSessionRevoked(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		told, link := tn.portal(provision.NewPortalLink{Operations: portalRights})
		session, _, err := tn.engine.RedeemPortalLink(t.Context(), told.Code, strings.ToUpper(told.Proof))
		if err != nil {
			t.Fatal(err)
		}
		if err := tn.operator().RevokePortalLink(t.Context(), link.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := tn.engine.PortalSession(t.Context(), session); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// Five wrong proofs end a link, and each is an event.
func TestPortalGuesses(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		told, _ := tn.portal(provision.NewPortalLink{Recipient: "ada@customer.example", Operations: portalRights, Send: true})
		for range 10 {
			var empty *provision.ProofError
			if _, _, err := tn.engine.RedeemPortalLink(t.Context(), told.Code, " "); !errors.As(err, &empty) || empty.Left != 5 {
				t.Fatalf("an empty proof: %v", err)
			}
		}
		for left := 4; left >= 0; left-- {
			_, _, err := tn.engine.RedeemPortalLink(t.Context(), told.Code, "eve@customer.example")
			var wrong *provision.ProofError
			if !errors.As(err, &wrong) || wrong.Left != left {
				t.Fatalf("%v, want %d left", err, left)
			}
		}
		if _, _, err := tn.engine.RedeemPortalLink(t.Context(), told.Code, "ada@customer.example"); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("the right one after that: %v", err)
		}
		used := 0
		for _, ev := range tn.kept() {
			if ev.Type == store.PortalUsed {
				used++
			}
			for _, c := range ev.Changes {
				if strings.Contains(string(c.After), strings.Split(told.Code, "~")[1]) {
					t.Error("an event has the code")
				}
			}
		}
		if used != 5 {
			t.Errorf("%d events of use", used)
		}
	})
}

// Of all who redeem a link at once, one gets in.
func TestPortalRace(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		told, _ := tn.portal(provision.NewPortalLink{Operations: portalRights})
		var in atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, err := tn.engine.RedeemPortalLink(t.Context(), told.Code, told.Proof); err == nil {
					in.Add(1)
				}
			})
		}
		wg.Wait()
		if in.Load() != 1 {
			t.Errorf("%d got in", in.Load())
		}
	})
}

func TestPortalArguments(t *testing.T) {
	tn := newTenant(t, memory.New(), `{}`)
	for _, n := range []provision.NewPortalLink{
		{},
		{Operations: portalRights, Recipient: "nobody"},
		{Operations: portalRights, Recipient: "a@b@c"},
		{Operations: portalRights, Recipient: "a\n@b"},
		{Operations: []string{""}},
		{Operations: make([]string, 101)},
	} {
		var wrong *provision.ArgumentError
		if _, _, err := tn.operator().CreatePortalLink(t.Context(), n); !errors.As(err, &wrong) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	for range 20 {
		tn.portal(provision.NewPortalLink{Operations: portalRights})
	}
	var full *provision.LimitError
	if _, _, err := tn.operator().CreatePortalLink(t.Context(), provision.NewPortalLink{Operations: portalRights}); !errors.As(err, &full) {
		t.Errorf("one too many: %v", err)
	}
	for _, code := range []string{"", "~", "x~", "nobody~abc", "acme" + "~", strings.Repeat("a", 2000), "acme" + "~" + strings.Repeat("a", 2000), "../~a"} {
		if _, err := tn.engine.PortalLink(t.Context(), code); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("code %q: %v", code, err)
		}
		if _, _, err := tn.engine.RedeemPortalLink(t.Context(), code, ""); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("code %q: %v", code, err)
		}
		if _, err := tn.engine.PortalSession(t.Context(), code); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("session %q: %v", code, err)
		}
	}
	if err := tn.operator().RevokePortalLink(t.Context(), "unknown"); !errors.Is(err, provision.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
