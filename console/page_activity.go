package console

import (
	"net/http"
	"net/url"
	"time"

	"github.com/scimjit/provision"
)

type activityContent struct {
	paging
	Last     []lastRow
	Asked    url.Values // what requests are narrowed by
	Outcomes []outcomeRow
	Requests []provision.Request
	Chart    *chart
	MaySync  bool
	Events   []eventRow
	NextLog  string // the page that follows of requests
}

type lastRow struct {
	Key  string
	Time time.Time
}

type outcomeRow struct {
	Value, Key string
	Selected   bool
}

var activityActions = map[string]func(*visit) (done, error){
	"sync": func(v *visit) (done, error) {
		return done{said: "done"}, v.ask(question{method: http.MethodPost, path: v.of("sync")}, nil)
	},
}

func (v *visit) activity() (any, error) {
	content := &activityContent{MaySync: v.viewer.Role == RoleOperator && v.head.LDAP != nil}
	var last provision.Activity
	if err := v.get(&last, nil, v.of("activity")...); err != nil {
		return nil, err
	}
	for _, row := range []struct {
		key string
		at  *provision.LastRequest
	}{{"lastRequest", last.Request}, {"lastChange", last.Change}, {"lastRefusal", last.Refusal}} {
		out := lastRow{Key: row.key}
		if row.at != nil {
			out.Time = row.at.Time
		}
		content.Last = append(content.Last, out)
	}
	if err := v.requestLog(content); err != nil {
		return nil, err
	}
	query := url.Values{"limit": {itoa(pageRows)}}
	if before := v.r.URL.Query().Get("after"); before != "" {
		query.Set("after", before)
	}
	events, next, err := v.events(query)
	content.Events, content.paging = events, v.pagesOf(next)
	return content, err
}

// logRows is how many requests a page shows.
const logRows = 25

// requestLog reads the requests that the page asks for, and draws how many there were.
func (v *visit) requestLog(content *activityContent) error {
	asked := v.r.URL.Query()
	query := url.Values{"limit": {itoa(logRows)}}
	for _, name := range []string{"outcome", "refusal", "text"} {
		if value := asked.Get(name); value != "" {
			query.Set(name, value)
		}
	}
	content.Asked = query
	for _, outcome := range []string{"succeeded", "refused", "failed"} {
		content.Outcomes = append(content.Outcomes, outcomeRow{outcome, outcome, outcome == query.Get("outcome")})
	}
	if before := asked.Get("log"); before != "" {
		query.Set("after", before)
	}
	next, err := v.list(&content.Requests, query, v.of("requests")...)
	if err != nil {
		return err
	}
	if next != nil {
		asked.Set("log", next.Get("after"))
		asked.Del("done")
		content.NextLog = withQuery(v.address("activity"), asked)
	}
	content.Chart, err = v.trafficChart()
	return err
}

// chart is a picture of the requests of some hours: a bar for each hour, of which the lower
// part was refused or failed.
type chart struct {
	Text          string
	Width, Height int
	Bars          []bar
}

type bar struct{ X, Y, Height, RefusedY, Refused int }

const (
	chartHours  = 48
	chartHeight = 80
	barWidth    = 12
)

func (v *visit) trafficChart() (*chart, error) {
	now := v.h.now().UTC().Truncate(time.Hour)
	from := now.Add(-(chartHours - 1) * time.Hour)
	var hours []provision.Traffic
	if err := v.get(&hours, url.Values{"since": {from.Format(time.RFC3339)}}, v.of("traffic")...); err != nil {
		return nil, err
	}
	var all, refused [chartHours]int
	most, sum, wrong := 1, 0, 0
	for _, h := range hours {
		i := int(h.Hour.Sub(from) / time.Hour)
		if i < 0 || i >= chartHours {
			continue
		}
		refused[i] = h.Refused + h.Failed
		all[i] = h.Reads + h.Writes + h.Logins + h.Syncs + refused[i]
		most, sum, wrong = max(most, all[i]), sum+all[i], wrong+refused[i]
	}
	c := &chart{Text: v.h.say("traffic.text", sum, wrong, chartHours), Width: chartHours * barWidth, Height: chartHeight}
	for i := range all {
		if all[i] == 0 {
			continue
		}
		height, low := max(2, all[i]*chartHeight/most), refused[i]*chartHeight/most
		c.Bars = append(c.Bars, bar{X: i * barWidth, Y: chartHeight - height, Height: height, RefusedY: chartHeight - low, Refused: low})
	}
	return c, nil
}
