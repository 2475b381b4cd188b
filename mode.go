package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Mode says what becomes of the facts of a connection. They are always taken and stored,
// and the identity provider always gets its success.
type Mode string

// The modes.
const (
	// ModeLive: accounts follow from the facts. It is the mode of a connection that says
	// nothing of it, and Connection.Mode is then empty.
	ModeLive Mode = "live"

	// ModeShadow: the connection was never live. There are no accounts, and the host hears
	// of no people and no groups. Nobody logs in.
	ModeShadow Mode = "shadow"

	// ModePaused: accounts stay as they are until the connection resumes, but of people
	// whom a request of their own takes out, or of whom an operator decides.
	ModePaused Mode = "paused"
)

// MaxPause is how far ahead a pause may end.
const MaxPause = 30 * 24 * time.Hour

// String returns the mode as people know it: that of an empty one is "live".
func (m Mode) String() string {
	if m == "" {
		return string(ModeLive)
	}
	return string(m)
}

// stored returns the mode as settings have it.
func (m Mode) stored() Mode {
	if m == ModeLive {
		return ""
	}
	return m
}

// ModeChange is what [Directory.SetMode] does.
type ModeChange struct {
	Mode Mode `json:"mode"`

	// Until is when a pause is over: then there is a warning, and nothing resumes by
	// itself. It is required of a pause, and at most [MaxPause] ahead.
	Until time.Time `json:"until,omitzero"`

	// Plan is the id of the plan that was looked at; see [Directory.MakePlan]. A
	// connection goes live by one only. One that resumes by it lets go everybody who loses
	// access by the plan; without it they are one cause for the guard of mass changes.
	Plan string `json:"plan,omitempty"`

	// Version, when not 0, is the version of the connection that is meant.
	Version int64 `json:"version,omitempty"`
}

// ModeError says why the mode of a connection is not changed. Nothing was.
type ModeError struct {
	Code       string // stable; docs/troubleshooting.md explains each
	Connection string
	From, To   Mode
	Reason     string
}

// The codes of a [ModeError].
const (
	modeUnknown     = "mode_unknown"
	modeOfSettings  = "mode_is_no_setting"
	modeWasLive     = "mode_was_live"
	modeNeverLive   = "mode_never_live"
	modeNoPlan      = "mode_nothing_to_plan"
	modeNeedsPlan   = "mode_needs_plan"
	modeNeedsUntil  = "mode_needs_until"
	modeNoSuchPlan  = "mode_no_such_plan"
	modePlanNotDone = "mode_plan_not_done"
)

// Error implements error.
func (e *ModeError) Error() string {
	return fmt.Sprintf("provision: connection %q: from %s to %s: %s [%s]", e.Connection, e.From, e.To, e.Reason, e.Code)
}

func (c *Connection) modeError(to Mode, code, reason string) error {
	return &ModeError{Code: code, Connection: c.ID, From: Mode(c.Mode.String()), To: Mode(to.String()), Reason: reason}
}

// savedMode returns the mode that settings are stored with, after those before. It is no
// setting: a new connection alone may be saved in shadow.
func (c *Connection) savedMode(before *Connection) (Mode, time.Time, error) {
	asked := c.Mode.stored()
	switch {
	case before.Version == 0 && asked == ModePaused:
		return "", time.Time{}, before.modeError(asked, modeNeverLive, "a connection that was never live cannot be paused: save it in shadow")
	case asked != "" && asked != ModeShadow && asked != ModePaused:
		return "", time.Time{}, before.modeError(asked, modeUnknown, "the modes are live, shadow and paused")
	case before.Version == 0:
		return asked, time.Time{}, nil
	case asked == ModeShadow && before.Mode != ModeShadow:
		return "", time.Time{}, before.modeError(asked, modeWasLive, "only a connection that was never live can be in shadow: pause it instead")
	case asked != "" && asked != before.Mode:
		return "", time.Time{}, before.modeError(asked, modeOfSettings, "the mode is changed by itself, and not with the settings")
	}
	return before.Mode, before.Until, nil
}

// asLive returns the connection as it would be if it were live.
func (c *compiled) asLive() *compiled {
	if c.Mode == "" {
		return c
	}
	live := *c
	live.Mode, live.Until = "", time.Time{}
	return &live
}

// SetMode changes the mode of the connection: a connection in shadow goes live, a live one
// is paused, a paused one is paused for longer or resumes. It returns the connection with
// its new version, and appends the event connection.mode_changed. The mode that it has is
// no change, and no event. The accounts that follow are derived by a job; see
// [Directory.MakePlan] for what it will do. Options that count at the creation of an
// account count as they are then.
//
// By a plan, everybody is looked at once more before anything changes, which takes about
// as long as it took to make the plan: what would be another way by now is a [*PlanError]
// with the difference, and nothing is changed. Links to accounts of the host are made as
// the plan says, or not at all: whoever may not be linked so by the time of their turn is
// staged as a conflict.
//
// A change that is not possible is a [*ModeError]. The error is [ErrNotFound] for an unknown
// connection, [ErrVersion] for another version of it, and an [*UnavailableError] where
// facts keep changing so fast that no moment is found.
func (d *Directory) SetMode(ctx context.Context, m ModeChange) (Connection, error) {
	const tries = 3
	for range tries {
		var with *seen
		if m.Plan != "" && m.Mode.stored() == "" {
			var err error
			if with, err = d.comparePlan(ctx, m.Plan); err != nil {
				return Connection{}, err
			}
		}
		conn, err := d.setMode(ctx, m, with)
		if !errors.Is(err, errFactsMoved) {
			return conn, err
		}
	}
	return Connection{}, &UnavailableError{RetryAfter: time.Second, Err: errFactsMoved}
}

// errFactsMoved ends a change of the mode by a plan that facts have overtaken.
var errFactsMoved = errors.New("provision: facts change while the plan is compared with them")

// setMode is the transaction of SetMode. with is what the plan was compared with, nil without
// a plan.
func (d *Directory) setMode(ctx context.Context, m ModeChange, with *seen) (out Connection, err error) {
	err = d.update(ctx, d.why(), func(c *change) error {
		before := c.conn
		if m.Version != 0 && m.Version != before.Version {
			return fmt.Errorf("provision: connection %q has version %d, and %d was meant: %w", before.ID, before.Version, m.Version, ErrVersion)
		}
		if err := m.check(&before.Connection, c.now); err != nil {
			return err
		}
		if err := c.stillPlanned(m.Plan, with); err != nil {
			return err
		}
		if before.Mode == m.Mode.stored() && before.Until.Equal(m.until()) {
			out = before.Clone()
			return nil
		}
		if err := c.putMode(m); err != nil {
			return err
		}
		out = c.conn.Clone()
		if before.Mode == "" || c.conn.Mode != "" {
			return nil
		}
		return c.open(before.Mode, m.Plan)
	})
	if err == nil {
		d.engine.credentials.forget(d.connection)
	}
	return out, err
}

// stillPlanned reports by an error whether facts or settings have moved since a plan was
// compared with them, or another plan was asked for.
func (c *change) stillPlanned(plan string, with *seen) error {
	if with == nil || c.conn.Mode == "" {
		return nil
	}
	facts, err := records.FactsChanged.Value(c.tx, "")
	if err != nil {
		return err
	}
	if facts != with.facts || c.conn.Version != with.version {
		return errFactsMoved
	}
	state, err := records.Plan.Value(c.tx, "")
	if err == nil && state.ID != plan {
		err = c.conn.modeError("", modeNoSuchPlan, "the plan is not the last one of this connection: make another one")
	}
	return err
}

func (m *ModeChange) until() time.Time {
	if m.Mode != ModePaused {
		return time.Time{}
	}
	return m.Until.UTC().Truncate(time.Millisecond)
}

// check says why the mode of a connection cannot become this one.
func (m *ModeChange) check(c *Connection, now time.Time) error {
	to := m.Mode.stored()
	switch {
	case to != "" && to != ModeShadow && to != ModePaused:
		return c.modeError(to, modeUnknown, "the modes are live, shadow and paused")
	case to == ModeShadow && c.Mode != ModeShadow:
		return c.modeError(to, modeWasLive, "only a connection that was never live can be in shadow: pause it instead")
	case to == ModePaused && c.Mode == ModeShadow:
		return c.modeError(to, modeNeverLive, "nothing of it is live that could wait")
	case to == ModePaused && (!m.Until.After(now) || m.Until.After(now.Add(MaxPause))):
		return c.modeError(to, modeNeedsUntil, "say until when it is paused, at most 30 days from now")
	case to == "" && c.Mode == ModeShadow && m.Plan == "":
		return c.modeError(to, modeNeedsPlan, "make a plan, look at it, and name it")
	}
	return nil
}

// putMode stores the mode, and tells of it.
func (c *change) putMode(m ModeChange) error {
	was := c.conn
	next := *was
	next.Mode, next.Until = m.Mode.stored(), m.until()
	version, err := records.SaveConnection(c.tx, account.JSON(next.Connection))
	if err != nil {
		return err
	}
	next.Version, c.conn = version, &next
	changes := []store.Change{account.TextChange("mode", was.Mode.String(), next.Mode.String())}
	if !was.Until.Equal(next.Until) {
		changes = append(changes, account.TextChange("until", timeText(was.Until), timeText(next.Until)))
	}
	if m.Plan != "" && next.Mode == "" {
		changes = append(changes, account.TextChange("plan", "", m.Plan))
	}
	return c.append(&store.Event{Type: store.ConnectionModeChanged, Changes: changes})
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// open leaves to a job what follows from leaving a mode.
func (c *change) open(from Mode, plan string) error {
	if err := c.startJob(nil); err != nil {
		return err
	}
	j, err := records.Job.Load(c.tx, "")
	if err != nil {
		return err
	}
	v := &j.Value
	if v.Opening == nil {
		v.Opening = &records.Opening{}
	}
	v.Opening.Plan, v.Opening.Users, v.Opening.UsersAt = plan, true, ""
	if from == ModeShadow {
		v.Opening.Groups, v.Surveyed = true, true // there are no other accounts
	} else {
		v.Opening.Reread, v.Reviewed = true, plan != ""
	}
	return records.Job.Save(c.tx, &j)
}

// waits reports whether accounts wait, whatever the facts say. Nobody waits for an
// operator who acts on one person, nor where the connection ends.
func (c *change) waits() bool { return c.conn.Mode != "" && !c.acts && !c.offboarding }
