package scimsync

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/scim/schema"
)

// csvUser is the SCIM user of a row.
type csvUser struct {
	UserName    string     `json:"userName"`
	ExternalID  string     `json:"externalId,omitempty"`
	DisplayName string     `json:"displayName,omitempty"`
	Name        *csvName   `json:"name,omitempty"`
	Emails      []csvEmail `json:"emails,omitempty"`
	Active      bool       `json:"active"`
}

type csvName struct {
	GivenName  string `json:"givenName,omitempty"`
	FamilyName string `json:"familyName,omitempty"`
}

type csvEmail struct {
	Value   string `json:"value"`
	Primary bool   `json:"primary"`
}

// csvColumns are the columns that a file may have.
var csvColumns = []string{"userName", "externalId", "displayName", "givenName", "familyName", "email", "active", "groups"}

// CSV returns a source that reads users, and the groups they are in, from r.
func CSV(r io.Reader) *Source {
	return &Source{read: func(s *Source, yield func(provision.SyncUser) bool) error {
		return s.readCSV(r, yield)
	}}
}

// csvGroups collects the groups that the rows name, in the order of the first.
type csvGroups struct {
	names   []string
	members map[string][]string // by folded name
}

func (s *Source) readCSV(r io.Reader, yield func(provision.SyncUser) bool) error {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	columns, err := csvHeader(rows)
	if err != nil {
		return err
	}
	_, hasGroups := columns["groups"]
	s.silent = !hasGroups
	users := schema.Standard().Type(provision.TypeUser)
	groups := csvGroups{members: map[string][]string{}}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return s.addGroups(groups)
		}
		if err != nil {
			return csvError(err)
		}
		line, _ := rows.FieldPos(0)
		field := func(name string) string {
			if i, ok := columns[name]; ok {
				return strings.TrimSpace(row[i])
			}
			return ""
		}
		content, err := csvContent(users, field)
		var at *Error
		if errors.As(err, &at) {
			at.Line = line
		}
		if err != nil {
			return err
		}
		groups.add(field("userName"), field("groups"))
		if !yield(provision.SyncUser{Key: field("userName"), Content: content}) {
			return nil
		}
	}
}

// csvHeader reads the names of the columns.
func csvHeader(rows *csv.Reader) (map[string]int, error) {
	row, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, &Error{Line: 1, Err: errors.New("the names of the columns are missing")}
	}
	if err != nil {
		return nil, csvError(err)
	}
	columns := map[string]int{}
	for i, title := range row {
		title = strings.TrimSpace(strings.TrimPrefix(title, "\ufeff"))
		k := slices.IndexFunc(csvColumns, func(name string) bool { return strings.EqualFold(name, title) })
		if k < 0 {
			return nil, &Error{Line: 1, Column: title, Err: fmt.Errorf("the columns are %s", strings.Join(csvColumns, ", "))}
		}
		if _, twice := columns[csvColumns[k]]; twice {
			return nil, &Error{Line: 1, Column: title, Err: errors.New("the column is there twice")}
		}
		columns[csvColumns[k]] = i
	}
	if _, ok := columns["userName"]; !ok {
		return nil, &Error{Line: 1, Column: "userName", Err: errors.New("the column is missing")}
	}
	return columns, nil
}

// csvContent makes the SCIM user of a row.
func csvContent(users *schema.ResourceType, field func(string) string) (provision.Content, error) {
	u := csvUser{
		UserName: field("userName"), ExternalID: field("externalId"), DisplayName: field("displayName"), Active: true,
	}
	if u.UserName == "" {
		return provision.Content{}, &Error{Column: "userName", Err: errors.New("it is empty")}
	}
	switch active := field("active"); strings.ToLower(active) {
	case "", "true", "1", "yes":
	case "false", "0", "no":
		u.Active = false
	default:
		return provision.Content{}, &Error{Column: "active", Err: fmt.Errorf("%q is neither true nor false", active)}
	}
	if name := (csvName{field("givenName"), field("familyName")}); name != (csvName{}) {
		u.Name = &name
	}
	if email := field("email"); email != "" {
		u.Emails = []csvEmail{{Value: email, Primary: true}}
	}
	data, err := json.Marshal(u)
	if err != nil {
		return provision.Content{}, err
	}
	content, _, err := decode(users, data)
	if err != nil {
		return provision.Content{}, lineError(0, err)
	}
	return content, nil
}

func (g *csvGroups) add(user, list string) {
	for name := range strings.SplitSeq(list, ";") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		key := naming.Form(name)
		if _, known := g.members[key]; !known {
			g.names = append(g.names, name)
		}
		g.members[key] = append(g.members[key], user)
	}
}

// addGroups makes the SCIM groups that the rows named.
func (s *Source) addGroups(groups csvGroups) error {
	t := schema.Standard().Type(provision.TypeGroup)
	for _, name := range groups.names {
		data, err := json.Marshal(map[string]string{"displayName": name})
		if err != nil {
			return err
		}
		content, _, err := decode(t, data)
		if err != nil {
			return fmt.Errorf("scimsync: group %q: %w", name, err)
		}
		s.groups = append(s.groups, provision.SyncGroup{Content: content, Members: groups.members[naming.Form(name)]})
	}
	return nil
}

// csvError names the line and column of what is not CSV.
func csvError(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return &Error{Line: parse.Line, Column: fmt.Sprintf("byte %d", parse.Column), Err: parse.Err}
	}
	return fmt.Errorf("scimsync: %w", err)
}
