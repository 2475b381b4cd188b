package provision

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// Work does one batch of a connection's job.
func Work(e *Engine, ctx context.Context, connection string) (bool, error) {
	return e.work(ctx, connection, runner{name: "before"})
}

// DeleteDue deletes the accounts whose days are over.
func DeleteDue(e *Engine, ctx context.Context, connection string) error {
	return e.deleteDue(ctx, connection)
}

// Lapse withdraws the rights that have lapsed.
func Lapse(e *Engine, ctx context.Context, connection string) error {
	return e.lapse(ctx, connection)
}

// Unlist forgets a deleted connection that every consumer has seen.
func Unlist(e *Engine, ctx context.Context, connection string) error {
	return e.unlist(ctx, connection)
}

// ClockWatch is what Run sees of the clock, with a time that passes.
func ClockWatch(e *Engine, elapsed func() time.Duration) func(context.Context) (bool, error) {
	return (&clockWatch{engine: e, elapsed: elapsed}).look
}

// Rounds returns what does a round of Run, in a process of its own with a time that
// passes.
func Rounds(e *Engine, elapsed func() time.Duration, failed func(what, scope string, err error)) func(context.Context) {
	b := newBackground(e, &clockWatch{engine: e, elapsed: elapsed}, failed)
	return func(ctx context.Context) { b.round(ctx) }
}

// WarningCodes lists the codes of all warnings of connections.
func WarningCodes() []string { return warningCodes() }

// SettingWarningCodes lists those of the settings.
func SettingWarningCodes() []string {
	var codes []string
	for _, w := range settingWarnings {
		codes = append(codes, w.code)
	}
	return codes
}

// ProblemCodes lists the codes of what a sync leaves as it was.
func ProblemCodes() []string { return slices.Collect(maps.Keys(problemTexts)) }

// CheckAddress judges an address that is about to be dialed.
func (o Outbound) CheckAddress(address string) error {
	network := "tcp6"
	if !strings.Contains(address, "[") {
		network = "tcp4"
	}
	return o.check(network, address)
}

// Erase goes on with erasing deleted people.
func Erase(e *Engine, ctx context.Context, connection string) (more bool, err error) {
	return e.erase(ctx, connection)
}

// IndexStep indexes the next resources of a connection.
var IndexStep = (*Engine).index
