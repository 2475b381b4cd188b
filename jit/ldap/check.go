package ldap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/scimjit/provision"
)

// Report is what a [Server.Check] found. As JSON it is what an API answers with.
type Report struct {
	OK bool `json:"ok"` // a sync would go through: no finding is fatal

	People   int `json:"people"`   // whom a sync would bring
	Inactive int `json:"inactive"` // of these, who is disabled or has expired
	Groups   int `json:"groups"`
	Members  int `json:"members"` // direct ones of all groups, also those that are not found

	// LockoutThreshold is how many wrong passwords lock somebody out of Active Directory;
	// 0 where nobody is locked, or it is not known.
	LockoutThreshold int `json:"lockoutThreshold"`

	// Changes says that the server can tell what has changed, so that syncs between whole
	// ones are possible.
	Changes bool `json:"changes"`

	// Findings are what an administrator should know, what is worst first. It is not nil.
	Findings []Finding `json:"findings"`
}

// Finding is one thing to know about a directory.
type Finding struct {
	Code  string `json:"code"` // a [Code], a problem of entries, or one of the codes below
	Fatal bool   `json:"fatal"`
	Count int    `json:"count"` // of entries; 0 where it is not about entries
	Text  string `json:"text"`
}

// The codes of a [Finding] that are no [Code].
const (
	FindingNoTLS     = "ldap_without_tls" // passwords cross the network in clear
	FindingAnonymous = "ldap_anonymous"   // there is no service account
	FindingOwnID     = "ldap_own_id"      // the id is an attribute that somebody may change
	FindingNoEmail   = "ldap_no_email"    // people without an e-mail
	FindingNoChanges = "ldap_no_changes"  // whole syncs only
	FindingLockout   = "ldap_lockout"     // logins here may lock people out
	FindingNoGroups  = "ldap_no_groups"   // nothing is known of groups
)

// problemTexts say what a problem of entries means.
var problemTexts = map[string]string{
	ProblemNoID:      "have no immutable id that can be read: give the service account the right to read it, or map another attribute to id",
	ProblemSameID:    "share their id with others: map an attribute to id that nobody shares",
	ProblemName:      "have no user name or name, or one with characters that nobody sees",
	ProblemMembers:   "have no members that can be read: give the service account the right to read them",
	ProblemAttribute: "have an attribute that is not accepted",
}

// Check asks each server of the directory and reads all of it, as a sync does, without
// writing anything. What is wrong with the directory is a finding; the error is that of
// ctx.
func (s *Server) Check(ctx context.Context) (*Report, error) {
	r := &Report{Findings: []Finding{}}
	if s.InsecureNoTLS {
		r.find(FindingNoTLS, false, 0, "passwords, also those of people who log in, cross the network in clear")
	}
	if s.anonymous() {
		r.find(FindingAnonymous, false, 0, "there is no service account: the directory is read as anybody may")
	}
	if s.mapping.own {
		r.find(FindingOwnID, false, 0, fmt.Sprintf("the id is %s: whoever may change it can become somebody else", s.mapping.fields[fieldID][0]))
	}
	for _, h := range s.hosts {
		if c, err := s.connect(ctx, h, true); err == nil {
			c.close()
		} else {
			r.wrong(err, len(s.hosts) == 1)
		}
	}
	if !r.fatal() {
		r.read(ctx, s)
		if s.preset.name == "ad" {
			r.readLockout(ctx, s)
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		if a.Fatal == b.Fatal {
			return 0
		}
		if a.Fatal {
			return -1
		}
		return 1
	})
	r.OK = !r.fatal()
	return r, ctx.Err()
}

// checkWithin bounds a check by Servers.Check.
const checkWithin = 10 * time.Minute

// Check is [Server.Check] for whoever asks by an API: of a connection as it is saved, or of
// settings that are not; see [Servers.Open] for their secrets. It reads all of the directory,
// so there is one at a time for a connection, in a process, for ten minutes at most.
//
// The error is a [*provision.ConnectionError] for a setting that is wrong, an [*Error] with
// [CodeConnection] for a connection without LDAP and with [CodeBusy] while another check
// runs, or that of ctx. What is wrong with the directory is in the report.
func (s *Servers) Check(ctx context.Context, c provision.Connection) (*Report, error) {
	server, err := s.Open(c)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	if !s.beginCheck(c.ID) {
		return nil, wrong(CodeBusy, "another check of this directory is running")
	}
	defer s.endCheck(c.ID)
	within, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	r, err := server.Check(within)
	if err != nil && ctx.Err() == nil {
		err = nil // the time is up, which the report says
	}
	return r, err
}

func (s *Servers) beginCheck(connection string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checking[connection] {
		return false
	}
	if s.checking == nil {
		s.checking = map[string]bool{}
	}
	s.checking[connection] = true
	return true
}

func (s *Servers) endCheck(connection string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.checking, connection)
}

func (r *Report) find(code string, fatal bool, count int, text string) {
	r.Findings = append(r.Findings, Finding{Code: code, Fatal: fatal, Count: count, Text: text})
}

// wrong adds an error.
func (r *Report) wrong(err error, fatal bool) {
	code := CodeResult
	var known *Error
	if errors.As(err, &known) {
		code = known.Code
	}
	r.find(string(code), fatal, 0, err.Error())
}

func (r *Report) fatal() bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Fatal })
}

// read reads people and groups, and counts them.
func (r *Report) read(ctx context.Context, s *Server) {
	src := &source{server: s, now: s.options.Now}
	problems, examples, noEmail := map[string]int{}, map[string]string{}, 0
	note := func(problem string, c provision.Content, attribute string) {
		if problem == "" {
			return
		}
		if problems[problem]++; examples[problem] == "" {
			v, _ := c.Document.Get(attribute)
			examples[problem] = v.Text()
		}
	}
	for u, err := range src.Users(ctx) {
		if err != nil {
			r.wrong(err, true)
			return
		}
		r.People++
		if active, _ := u.Content.Document.Get("active"); u.Problem == "" && string(active) == "false" {
			r.Inactive++
		}
		if _, has := u.Content.Document.Get("emails"); !has && u.Problem == "" {
			noEmail++
		}
		note(u.Problem, u.Content, "userName")
	}
	if groups := src.Groups(ctx); groups == nil {
		r.find(FindingNoGroups, false, 0, "no group was found: groups stay as they are, whoever is in them")
	} else {
		for g, err := range groups {
			if err != nil {
				r.wrong(err, true)
				return
			}
			r.Groups++
			r.Members += len(g.Members)
			note(g.Problem, g.Content, "displayName")
		}
	}
	for _, problem := range slices.Sorted(maps.Keys(problems)) {
		r.find(problem, false, problems[problem], fmt.Sprintf("%d entries %s; one is %q", problems[problem], problemTexts[problem], plain(examples[problem])))
	}
	if noEmail > 0 {
		r.find(FindingNoEmail, false, noEmail, fmt.Sprintf("%d people have no e-mail address", noEmail))
	}
	if r.Changes = src.Mark() != ""; !r.Changes {
		r.find(FindingNoChanges, false, 0, "the server does not say when entries were changed: changes are found by whole syncs alone")
	}
}

// readLockout reads how many wrong passwords Active Directory allows, and for how long it
// counts them. Fine-grained password policies, which some people may have, are not read.
func (r *Report) readLockout(ctx context.Context, s *Server) {
	var domain entry
	err := s.use(ctx, true, func(c *client) error {
		const doing = "reading the lockout threshold"
		root, _, err := c.read(ctx, doing, "", "defaultNamingContext")
		if err != nil {
			return err
		}
		domain, _, err = c.read(ctx, doing, string(first(root.lookup("defaultNamingContext"))), "lockoutThreshold", "lockOutObservationWindow")
		return err
	})
	var threshold, window string
	if err == nil {
		threshold, window = string(first(domain.lookup("lockoutThreshold"))), string(first(domain.lookup("lockOutObservationWindow")))
	}
	n, reason := lockout(threshold, window)
	if r.LockoutThreshold = n; reason != "" && s.Login {
		r.find(FindingLockout, false, 0, reason)
	}
}

// lockout reads the threshold, which is 0 where nobody is locked or it is not known, and
// the time for which failures are counted (MS-ADTS section 3.1.1.5.5; in negative units of
// 100 ns). It says how somebody can be locked out by logins here, or "".
func lockout(threshold, window string) (n int, reason string) {
	n, err := strconv.Atoi(threshold)
	if err != nil || n < 0 {
		return 0, "the lockout threshold cannot be read: where it is less than " + strconv.Itoa(leastThreshold) + ", logins here can lock people out"
	}
	ticks, err := strconv.ParseInt(window, 10, 64)
	switch {
	case n == 0:
		return 0, ""
	case n < leastThreshold:
		return n, fmt.Sprintf("%d wrong passwords lock somebody out, and up to %d of one person may come from here: raise the threshold to %d or more", n, leastThreshold-1, leastThreshold)
	case err != nil || ticks > 0:
		return n, fmt.Sprintf("for how long the directory counts wrong passwords cannot be read: where that is more than %v, logins here can lock people out", countedFor)
	case ticks < -int64(countedFor/100):
		return n, fmt.Sprintf("the directory counts wrong passwords until the last is older than a time (lockOutObservationWindow) of more than %v: logins here can lock people out", countedFor)
	}
	return n, ""
}
