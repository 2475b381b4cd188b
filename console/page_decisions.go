package console

import (
	"net/http"
	"time"

	"github.com/scimjit/provision"
)

type decisionsContent struct {
	paging
	Nothing   bool
	Held      []previewRow
	Count     int // all who are held, beside those of this page
	Parked    []Parked
	Clock     string
	MayDecide bool
}

var decisionActions = map[string]func(*visit) (done, error){
	"release":    decideHeld("release", false),
	"keep":       decideHeld("keep", false),
	"releaseAll": decideHeld("release", true),
	"keepAll":    decideHeld("keep", true),
	"redrive": func(v *visit) (done, error) {
		return done{said: "done"}, v.ask(question{method: http.MethodPost, path: v.of("redrive")}, nil)
	},
	"clock": func(v *visit) (done, error) {
		return done{said: "done"}, v.ask(question{method: http.MethodPost, path: []string{"clock", "confirm"}}, nil)
	},
}

func (v *visit) decisions() (any, error) { return v.decisionsPage() }

func (v *visit) decisionsPage() (*decisionsContent, error) {
	content := &decisionsContent{MayDecide: v.viewer.Role == RoleOperator}
	query := v.asked()
	query.Set("limit", itoa(pageRows))
	var held []Held
	next, err := v.list(&held, query, v.of("held")...)
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		row := previewRow{ID: h.ID, Name: orID(h.UserName, h.ID)}
		for _, one := range h.Release.Changes {
			if one.Attribute != "held" {
				row.Changes = append(row.Changes, changeRow{one.Attribute, decoded(one.Before), decoded(one.After)})
			}
		}
		for _, r := range h.Release.Reasons {
			row.Reasons = append(row.Reasons, v.reason(r))
		}
		content.Held = append(content.Held, row)
	}
	content.paging = v.pagesOf(next)
	var counts provision.AccountCounts
	if err := v.get(&counts, nil, v.of("counts")...); err != nil {
		return nil, err
	}
	content.Count = counts.Held
	if v.viewer.Role != RoleCustomer {
		if err := v.parked(&content.Parked); err != nil {
			return nil, err
		}
		var clock struct {
			Now    time.Time `json:"now"`
			Jumped time.Time `json:"jumped"`
		}
		if err := v.get(&clock, nil, "clock"); err != nil {
			return nil, err
		}
		if !clock.Jumped.IsZero() {
			content.Clock = v.h.say("clockHelp", moment(clock.Now))
		}
	}
	content.Nothing = len(content.Held) == 0 && len(content.Parked) == 0 && content.Clock == ""
	return content, nil
}

// parked reads the deliveries that wait, of the consumer that the host has named. Without
// one, or before it has delivered, there are none to show.
func (v *visit) parked(list *[]Parked) error {
	if v.h.API.Consumer == "" {
		return nil
	}
	err := v.get(list, nil, v.of("parked")...)
	if p, is := problemIn(err); is && p.Status == http.StatusNotFound {
		return nil
	}
	return err
}

// decideHeld ends the hold of the people that a form names, or of all.
func decideHeld(how string, all bool) func(*visit) (done, error) {
	return func(v *visit) (done, error) {
		var body any = map[string]bool{"all": true}
		if all {
			var counts provision.AccountCounts
			if err := v.get(&counts, nil, v.of("counts")...); err != nil {
				return done{}, err
			}
			if itoa(counts.Held) != v.r.PostForm.Get("count") { // others than the reader has seen
				v.fields = map[string]string{"account": v.h.say("heldMoved")}
				content, err := v.decisionsPage()
				return done{content: content, status: http.StatusConflict}, err
			}
		} else {
			ids := v.r.PostForm["account"]
			if len(ids) == 0 {
				v.fields = map[string]string{"account": v.h.say("nobodyChosen")}
				content, err := v.decisionsPage()
				return done{content: content, status: http.StatusUnprocessableEntity}, err
			}
			body = ids
		}
		return done{said: "done"}, v.ask(question{method: http.MethodPost, path: v.of("held", how), body: body}, nil)
	}
}
