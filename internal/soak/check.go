package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// checked is what was compared.
type checked struct {
	users, groups, logins, accounts, events int
}

// check compares what a stopped server has stored with what it acknowledged, what
// consumers have seen, and what follows from the facts.
func check(ctx context.Context, folder string, tenants []*tenant, j *journal) (n checked, err error) {
	st, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(folder, databaseFile)})
	if err != nil {
		return n, err
	}
	defer func() { _ = st.Close() }()
	engine := &provision.Engine{Store: st}
	seen := map[string]sightings{}
	for _, consumer := range []string{mirror, wild} {
		if seen[consumer], err = readSightings(filepath.Join(folder, consumer+".log")); err != nil {
			return n, err
		}
	}
	connections, err := engine.Connections(ctx)
	if err != nil {
		return n, err
	}
	for _, conn := range connections {
		if err := checkEvents(ctx, engine.Directory(conn.ID), seen, j, &n); err != nil {
			return n, err
		}
		for change, err := range engine.Directory(conn.ID).Preview(ctx, conn.Policy) {
			if err != nil {
				return n, err
			}
			j.problem("%s: account %s is not what follows from its facts: %v", conn.ID, change.UserName, change.Changes)
		}
	}
	for _, t := range tenants {
		if err := checkTenant(ctx, engine.Directory(connectionName(t.number)), t, j, &n); err != nil {
			return n, err
		}
	}
	return n, nil
}

func checkTenant(ctx context.Context, d *provision.Directory, t *tenant, j *journal, n *checked) error {
	for _, p := range t.people {
		r, err := find(ctx, d, p)
		if err != nil {
			return err
		}
		var s state
		if r != nil {
			if err := json.Unmarshal(r.Document, &s); err != nil {
				return err
			}
		}
		n.users++
		if !slices.Contains(p.may, s) {
			j.problem("%s: user %s is stored as %+v, acknowledged was one of %v", d.ID(), p.name, s, p.may)
		}
	}
	for _, g := range t.crews {
		if g.id == "" {
			continue
		}
		n.groups++
		r, err := d.Get(ctx, provision.TypeGroup, g.id, store.WithMembers)
		if err != nil {
			j.problem("%s: group %s is acknowledged: %v", d.ID(), g.id, err)
			continue
		}
		for id, in := range g.members {
			stored := slices.ContainsFunc(r.Members, func(m store.Membership) bool { return m.Member == id })
			if in >= 0 && stored != (in == 1) {
				j.problem("%s: %s in group %s is %t, acknowledged was %d", d.ID(), id, g.id, stored, in)
			}
		}
	}
	for _, name := range t.logins {
		n.logins++
		list, err := d.Accounts(ctx, store.AccountQuery{UserName: name})
		if err != nil {
			return err
		}
		if len(list) != 1 {
			j.problem("%s: %d accounts of %s, who was let in", d.ID(), len(list), name)
		}
	}
	return nil
}

func find(ctx context.Context, d *provision.Directory, p *person) (r *provision.Resource, err error) {
	if p.id == "" {
		r, err = d.UserNamed(ctx, p.name)
	} else {
		r, err = d.Get(ctx, provision.TypeUser, p.id, 0)
	}
	if errors.Is(err, provision.ErrNotFound) {
		return nil, nil
	}
	return r, err
}

// eventsPage is how many events are read at once.
const eventsPage = 1000

// checkEvents compares the events of a connection with what consumers saw: all of
// them, and those of each account in order.
func checkEvents(ctx context.Context, d *provision.Directory, seen map[string]sightings, j *journal, n *checked) error {
	want := map[string][]int64{} // by account
	last := int64(0)
	for {
		page, err := d.Events(ctx, last, eventsPage)
		if err != nil {
			return err
		}
		for _, ev := range page {
			if ev.Sequence != last+1 {
				j.problem("%s: event %d follows event %d", d.ID(), ev.Sequence, last)
			}
			last = ev.Sequence
			account := lineOf(ev)
			want[account] = append(want[account], ev.Sequence)
			n.events++
		}
		if len(page) < eventsPage {
			break
		}
	}
	n.accounts += len(want)
	for consumer, s := range seen {
		for account, events := range want {
			if err := inOrder(events, s[d.ID()+" "+account]); err != nil {
				j.problem("%s: consumer %s, account %s: %v", d.ID(), consumer, account, err)
			}
		}
	}
	return nil
}

// sightings are the sequences that a consumer saw, in that order, by connection and
// account.
type sightings map[string][]int64

func readSightings(file string) (sightings, error) {
	f, err := os.Open(file) //nolint:gosec // our own
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	out := sightings{}
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s has the line %q", file, line)
		}
		sequence, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, err
		}
		key := fields[0] + " " + fields[2]
		out[key] = append(out[key], sequence)
	}
}

// inOrder reports what is wrong with what was seen of some events: each must come, and
// for the first time behind the one before; some may come again.
func inOrder(events, seen []int64) error {
	next := 0
	for _, s := range seen {
		i, known := slices.BinarySearch(events, s)
		switch {
		case !known:
			return fmt.Errorf("saw %d, which is not one of its events", s)
		case i > next:
			return fmt.Errorf("saw event %d before %d", s, events[next])
		case i == next:
			next++
		}
	}
	if next < len(events) {
		return fmt.Errorf("never saw event %d and %d others of %d", events[next], len(events)-next-1, len(events))
	}
	return nil
}
