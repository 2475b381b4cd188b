package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
)

// settingsContent is the form of the options.
type settingsContent struct {
	Version  int64
	Name     string
	Dialect  string
	Dialects []string
	SCIM     bool
	Disabled bool
	ByFile   bool
	ReadOnly bool
	Operator bool // may change what no customer may
	Stale    bool
	Now      []string // what differs from it beside the options
	Few      string   // what to tick where few site admins would be left
	Sections []section
	Preview  *previewContent
}

type section struct {
	ID, Name     string
	Fields, Rare []field
	Open         bool // the rare ones are unfolded, as something is set or wrong there
}

// field is one option in the form.
type field struct {
	policy.Option
	Text     string
	Choices  []choiceField
	Min, Max int
	Parts    []permissionField
	Roles    []roleField
	Long     bool
	Locked   bool
	Patterns bool
	Matches  string
	Warning  string
	Now      string // what it is by now, where somebody else has changed it
	Error    string
}

type choiceField struct {
	Text, Label string
	Selected    bool
}

type permissionField struct {
	Name, Label string
	Choices     []choiceField
}

type roleField struct {
	Index, Number int
	Groups, Role  string
}

// rare are the options that a form folds away.
var rare = []string{
	"onMissingGroups", "externalIdImmutable", "uniqueEmails", "deleteAfterDays", "includedGroups", "defaultGroupsAt",
	"allowEveryoneAdmin", "roleEvidenceMaxAgeDays", "companyMode", "allowSSOForPasswordUsers", "link", "emailDomains",
}

var settingsActions = map[string]func(*visit) (done, error){
	"preview": (*visit).previewSettings,
	"save":    (*visit).saveSettings,
}

// settingsForm is what a reader has entered.
type settingsForm struct {
	connection provision.Connection
	value      func(key string) string // of an option, as policy.ParseTexts reads it
	version    int64
}

func (v *visit) settings() (any, error) {
	c := v.head.Connection
	return v.settingsPage(settingsForm{connection: c, version: v.head.Version, value: textsOf(c.Policy)})
}

// textsOf returns the texts of the options of a config.
func textsOf(c policy.Config) func(string) string {
	texts := map[string]string{}
	for _, o := range policy.Options() {
		texts[o.Key] = o.Text(c)
	}
	return func(key string) string { return texts[key] }
}

func (v *visit) settingsPage(form settingsForm) (*settingsContent, error) {
	if err := v.get(&v.warnings, nil, v.of("warnings")...); err != nil {
		return nil, err
	}
	groups, err := v.groupNames()
	if err != nil {
		return nil, err
	}
	c := form.connection
	content := &settingsContent{
		Version: form.version, Name: c.Name, Dialect: orID(c.Dialect, "auto"), Dialects: dialectNames(), SCIM: c.SCIM, Disabled: c.Disabled,
		ByFile: v.head.ManagedBy != "", ReadOnly: !v.may("connection.save", "policy.totals") || v.head.ManagedBy != "", Operator: v.viewer.Role == RoleOperator,
	}
	for _, o := range policy.Options() {
		f := v.field(o, form, groups)
		if n := len(content.Sections); n == 0 || content.Sections[n-1].Name != o.Section {
			content.Sections = append(content.Sections, section{ID: "section-" + strconv.Itoa(n+1), Name: o.Section})
		}
		s := &content.Sections[len(content.Sections)-1]
		if !slices.Contains(rare, o.Key) {
			s.Fields = append(s.Fields, f)
			continue
		}
		s.Rare = append(s.Rare, f)
		s.Open = s.Open || f.Error != "" || f.Text != o.Text(policy.Config{})
	}
	return content, nil
}

// field makes the field of an option.
func (v *visit) field(o policy.Option, form settingsForm, groups groupNames) field {
	text := form.value(o.Key)
	f := field{
		Option: o, Text: text, Locked: o.OperatorOnly && v.viewer.Role != RoleOperator, Error: v.fields[o.Key],
		Long: o.Kind == policy.KindPatterns || o.Kind == policy.KindNames || o.Kind == policy.KindDomains,
	}
	if o.Key == "passwordGroups" {
		f.Label += " (" + v.h.appName() + ")"
	}
	for _, w := range v.warnings {
		if w.Field == o.Key {
			f.Warning = w.Text
		}
	}
	if stored := o.Text(v.head.Policy); form.version != v.head.Version && stored != text {
		f.Now = orID(stored, v.h.say("none"))
	}
	switch o.Kind {
	case policy.KindChoice:
		for _, c := range o.Choices {
			f.Choices = append(f.Choices, choiceField{Text: string(c.Value), Label: c.Label})
		}
	case policy.KindNumber:
		f.Min, f.Max = o.Range.Min, o.Range.Max
	case policy.KindPatterns:
		f.Patterns, f.Matches = true, v.matches(text, groups)
	case policy.KindPermissions:
		f.Parts = v.permissionFields(text)
	case policy.KindRoles:
		f.Roles = roleFields(text)
	}
	return f
}

// permissionFields makes a field of each permission: those that are usual, and those that
// are set.
func (v *visit) permissionFields(text string) []permissionField {
	var set policy.Permissions
	_ = json.Unmarshal([]byte(text), &set) // what is no JSON has no permissions to show: saving says what is wrong
	var out []permissionField
	for _, name := range append([]string{"webdav", "ftp", "sftp"}, v.permissionNames()...) {
		p := permissionField{Name: "permissions." + name, Label: v.h.say("permission", permissionLabel(name))}
		for _, value := range []string{"null", "true", "false"} {
			p.Choices = append(p.Choices, choiceField{value, v.h.say("permission." + value), value == truthText(set[name])})
		}
		out = append(out, p)
	}
	return out
}

// permissionNames are the permissions that the host has beside the usual ones, and those that
// are set.
func (v *visit) permissionNames() []string {
	names := slices.Concat(v.h.API.Engine.Permissions, slices.Sorted(maps.Keys(v.head.Policy.Permissions)))
	seen := map[string]bool{"webdav": true, "ftp": true, "sftp": true}
	return slices.DeleteFunc(names, func(name string) bool {
		known := seen[policy.Lower(name)]
		seen[policy.Lower(name)] = true
		return known
	})
}

func permissionLabel(name string) string {
	if name == "webdav" {
		return "WebDAV"
	}
	return strings.ToUpper(name)
}

func truthText(b *bool) string {
	if b == nil {
		return "null"
	}
	return strconv.FormatBool(*b)
}

// spareRoles are how many empty rows the table of roles ends with.
const spareRoles = 3

func roleFields(text string) []roleField {
	var grants []policy.RoleGrant
	_ = json.Unmarshal([]byte(text), &grants) // as above
	rows := make([]roleField, len(grants)+spareRoles)
	for i := range rows {
		rows[i] = roleField{Index: i, Number: i + 1}
		if i < len(grants) {
			rows[i].Groups, rows[i].Role = grants[i].Groups.String(), grants[i].Role
		}
	}
	return rows
}

// form reads what the reader has entered. What the reader may not change stays as it is.
func (v *visit) form() settingsForm {
	form := v.r.PostForm
	c := v.head.Connection
	c.Name, c.SCIM, c.Disabled = strings.TrimSpace(form.Get("name")), form.Get("scim") == "true", form.Get("disabled") == "true"
	if v.viewer.Role != RoleOperator {
		c.Disabled = v.head.Disabled
	}
	if c.Dialect = form.Get("dialect"); c.Dialect == "auto" {
		c.Dialect = ""
	}
	version, _ := strconv.ParseInt(form.Get("version"), 10, 64) // 0 is stale
	stored := textsOf(v.head.Policy)
	kinds := map[string]policy.Option{}
	for _, o := range policy.Options() {
		kinds[o.Key] = o
	}
	return settingsForm{connection: c, version: version, value: func(key string) string {
		o := kinds[key]
		switch {
		case o.OperatorOnly && v.viewer.Role != RoleOperator:
			return stored(key)
		case o.Kind == policy.KindSwitch:
			return strconv.FormatBool(form.Get(key) == "true")
		case o.Kind == policy.KindPermissions:
			return permissionText(form)
		case o.Kind == policy.KindRoles:
			return roleText(form)
		}
		return strings.TrimSpace(form.Get(key))
	}}
}

// permissionText is the JSON of the fields of permissions.
func permissionText(form map[string][]string) string {
	set := map[string]json.RawMessage{}
	for key, values := range form {
		name, ok := strings.CutPrefix(key, "permissions.")
		if ok && len(values) == 1 && slices.Contains([]string{"null", "true", "false"}, values[0]) {
			set[name] = json.RawMessage(values[0])
		}
	}
	return jsonText(set)
}

// roleText is the JSON of the rows of roles that are not empty.
func roleText(form map[string][]string) string {
	type row struct {
		Groups string `json:"groups"`
		Role   string `json:"role"`
	}
	rows := []row{}
	for i := range policy.MaxPatterns {
		groups, there := form[fmt.Sprintf("roles.%d.groups", i)]
		role := form[fmt.Sprintf("roles.%d.role", i)]
		if !there || len(role) == 0 {
			break
		}
		r := row{strings.TrimSpace(groups[0]), strings.TrimSpace(role[0])}
		if r != (row{}) {
			rows = append(rows, r)
		}
	}
	return jsonText(rows)
}

func jsonText(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and what was checked are JSON
	}
	return string(data)
}

// read returns the connection that a form describes. What is wrong with a field is said
// beside it, and ok is false.
func (v *visit) readSettings(form settingsForm) (c provision.Connection, ok bool) {
	c = form.connection
	config, err := policy.ParseTexts(form.value)
	if err == nil {
		_, err = config.Compile(v.permissionNames()...)
	}
	if err != nil {
		v.fields = optionFault(err)
		return c, false
	}
	c.Policy = config
	return c, true
}

// optionFault says by the name of its field what is wrong with an option.
func optionFault(err error) map[string]string {
	p := settingProblem(err)
	if p == nil {
		return map[string]string{"name": err.Error()}
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(p.Field, "policy."), "[")
	return map[string]string{name: p.Detail}
}

// saveSettings saves the form, unless somebody else has overtaken it.
func (v *visit) saveSettings() (done, error) {
	form := v.form()
	c, ok := v.readSettings(form)
	if ok && form.version != v.head.Version {
		return v.staleSettings(form)
	}
	if ok {
		totals, err := v.previewTotals(c)
		if err != nil {
			return done{}, err
		}
		few := v.fewAdmins(totals)
		if few != "" && v.r.PostForm.Get("few") != "true" {
			v.fields = map[string]string{"few": v.h.say("fewAdminsError")}
			content, err := v.settingsPage(form)
			if err != nil {
				return done{}, err
			}
			content.Few = few
			return done{content: content, status: http.StatusUnprocessableEntity}, nil
		}
		err = v.ask(question{method: http.MethodPut, path: v.of(), version: form.version, body: c}, nil)
		p, isProblem := problemIn(err)
		switch {
		case err == nil:
			return done{said: "saved"}, nil
		case isProblem && p.Status == http.StatusPreconditionFailed:
			if err := v.reload(); err != nil {
				return done{}, err
			}
			return v.staleSettings(form)
		case isProblem && p.Field != "":
			name, _, _ := strings.Cut(strings.TrimPrefix(p.Field, "policy."), "[")
			v.fields = map[string]string{name: p.Detail}
		default:
			return done{}, err
		}
	}
	content, err := v.settingsPage(form)
	return done{content: content, status: http.StatusUnprocessableEntity}, err
}

// staleSettings shows the form again beside what somebody else has saved. Saving it then
// is deliberate.
func (v *visit) staleSettings(form settingsForm) (done, error) {
	content, err := v.settingsPage(form)
	if err != nil {
		return done{}, err
	}
	content.Stale, content.Version = true, v.head.Version
	content.Now = v.differences(form.connection)
	return done{content: content, status: http.StatusConflict}, nil
}

// differences says what a connection has by now, beside its options, where a form has
// something else.
func (v *visit) differences(c provision.Connection) (list []string) {
	say, now := v.h.say, v.head.Connection
	add := func(key, was, is string) {
		if was != is {
			list = append(list, say(key)+": "+say("staleField", orID(is, say("none"))))
		}
	}
	add("name", c.Name, now.Name)
	add("dialect", orID(c.Dialect, "auto"), orID(now.Dialect, "auto"))
	add("enableSCIM", say(yesNo(c.SCIM)), say(yesNo(now.SCIM)))
	add("disabled", say(yesNo(c.Disabled)), say(yesNo(now.Disabled)))
	return list
}

func yesNo(on bool) string {
	if on {
		return "yes"
	}
	return "no"
}

func dialectNames() []string {
	var names []string
	for _, d := range scim.Dialects() {
		names = append(names, d.Name)
	}
	return names
}
