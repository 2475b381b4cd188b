package console

import (
	"net/http"
	"time"

	"github.com/scimjit/provision"
)

// goLiveContent is what going live or resuming would do, and doing it.
type goLiveContent struct {
	paging
	Mode      string // that the connection is in
	Until     time.Time
	Longest   string // the latest end of a pause, as a field of a date has it
	Soonest   string
	Plan      *provision.Plan
	Making    bool
	Facts     []factRow
	Rows      []planRow
	MayChange bool
}

type planRow struct {
	provision.PlanPerson
	Name       string
	OutcomeKey string
	Reasons    []string
}

var goLiveActions = map[string]func(*visit) (done, error){
	"plan":   (*visit).makePlan,
	"goLive": (*visit).goLive,
	"pause":  (*visit).pause,
	"resume": (*visit).goLive,
	"link":   decideLink("link"),
	"new":    decideLink("new"),
	"leave":  decideLink("leave_out"),
}

func (v *visit) goLivePage() (any, error) { return v.goLiveContent() }

func (v *visit) goLiveContent() (*goLiveContent, error) {
	now := v.h.now().UTC()
	content := &goLiveContent{
		Mode: v.head.Mode.String(), Until: v.head.Until, MayChange: v.viewer.Role == RoleOperator,
		Soonest: now.Format(time.DateOnly), Longest: now.Add(provision.MaxPause).AddDate(0, 0, -1).Format(time.DateOnly),
	}
	var plan provision.Plan
	err := v.get(&plan, nil, v.of("plan")...)
	if p, isProblem := problemIn(err); isProblem && p.Status == http.StatusNotFound {
		return content, nil
	}
	if err != nil {
		return nil, err
	}
	if plan.From != v.head.Mode { // it led out of a mode that is over
		return content, nil
	}
	content.Plan, content.Making, content.Facts = &plan, plan.Ended.IsZero(), v.planFacts(&plan)
	if content.Making {
		return content, nil
	}
	query := v.asked("outcome")
	query.Set("limit", itoa(pageRows))
	var people []provision.PlanPerson
	next, err := v.list(&people, query, v.of("plan", plan.ID, "people")...)
	if err != nil {
		return nil, err
	}
	for _, p := range people {
		row := planRow{PlanPerson: p, Name: orID(p.UserName, orID(p.Account, p.Resource)), OutcomeKey: "plan." + string(p.Outcome)}
		for _, r := range p.Reasons {
			row.Reasons = append(row.Reasons, v.reason(r))
		}
		content.Rows = append(content.Rows, row)
	}
	content.paging = v.pagesOf(next)
	return content, nil
}

// planOutcomes are in the order in which a plan is summed up.
var planOutcomes = []string{"conflict", "leave", "create", "link", "return", "change", "leave_out"}

func (v *visit) planFacts(plan *provision.Plan) []factRow {
	say := v.h.say
	var rows []factRow
	for _, outcome := range planOutcomes {
		if n := plan.Totals.Outcomes[provision.PlanOutcome(outcome)]; n > 0 {
			rows = append(rows, factRow{say("plan." + outcome), some(itoa(n))})
		}
	}
	return append(rows,
		factRow{say("plan.seats"), some(itoa(plan.Totals.Statuses["active"]))},
		factRow{say("plan.admins"), some(itoa(plan.Totals.SiteAdmins))},
		factRow{say("groups"), some(itoa(plan.Totals.Groups))},
	)
}

// makePlan asks for a plan, which is made by and by.
func (v *visit) makePlan() (done, error) {
	return done{said: "plan.asked"}, v.ask(question{method: http.MethodPost, path: v.of("plan")}, nil)
}

// goLive goes live, or resumes, by the plan that the reader has seen.
func (v *visit) goLive() (done, error) {
	change := provision.ModeChange{Mode: provision.ModeLive, Plan: v.r.PostForm.Get("plan")}
	return done{said: "mode.changed", to: "overview"}, v.changeMode(change)
}

// pause pauses to the end of a day.
func (v *visit) pause() (done, error) {
	until, err := time.Parse(time.DateOnly, v.r.PostForm.Get("until"))
	if err != nil {
		v.fields = map[string]string{"until": v.h.say("pause.until.error")}
		content, err := v.goLiveContent()
		return done{content: content, status: http.StatusUnprocessableEntity}, err
	}
	until = until.AddDate(0, 0, 1) // to its end
	return done{said: "mode.changed"}, v.changeMode(provision.ModeChange{Mode: provision.ModePaused, Until: until})
}

func (v *visit) changeMode(change provision.ModeChange) error {
	return v.ask(question{method: http.MethodPost, path: v.of("mode"), body: change}, nil)
}

// decideLink decides about somebody who resembles an account of the application.
func decideLink(choice string) func(*visit) (done, error) {
	return func(v *visit) (done, error) {
		body := map[string]string{"choice": choice}
		if choice == "link" {
			body["hostId"] = v.r.PostForm.Get("host")
		}
		path := v.of("links", v.r.PostForm.Get("user"))
		return done{said: "plan.decided"}, v.ask(question{method: http.MethodPut, path: path, body: body}, nil)
	}
}
