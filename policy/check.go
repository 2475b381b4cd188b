package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// verify reports the first fault in the values of c, option by option.
func (c *Config) verify() error {
	for _, o := range options {
		if err := o.verify(c); err != nil {
			return err
		}
	}
	return c.verifyAdmins()
}

// verify reports what is wrong with the value of one option.
func (o option) verify(c *Config) error {
	switch field := o.field(c).(type) {
	case *Switch:
		if *field > Off {
			return o.wrong(CodeUnknownValue, strconv.Itoa(int(*field)), "is not a value of Switch")
		}
	case *FirstLogin:
		if *field > FirstLoginRefuse {
			return o.wrong(CodeUnknownValue, strconv.Itoa(int(*field)), "is not a value of FirstLogin")
		}
	case *int:
		return o.verifyNumber(*field)
	case *days:
		if *field != Forever {
			return o.verifyNumber(int(*field))
		}
	case *string:
		return o.verifyText(*field)
	case *[]string:
		return o.verifyNames(*field)
	case *Patterns:
		return field.check().at(o.key)
	case *Permissions:
		return o.verifyPermissions(*field)
	case *[]RoleGrant:
		return o.verifyRoles(*field)
	}
	return nil
}

func (o option) verifyNumber(n int) error {
	if n < 0 || n > o.most {
		return o.wrong(CodeOutOfRange, strconv.Itoa(n), fmt.Sprintf("is not from 0 to %d", o.most))
	}
	return nil
}

func (o option) verifyText(text string) error {
	if at := invalidUTF8(text); at >= 0 {
		return &ConfigError{Code: CodeNotText, Option: o.key, Value: text, Offset: at, Detail: "is not valid UTF-8"}
	}
	if text == "" {
		return nil
	}
	if texts := o.texts(); texts != nil && !slices.Contains(texts, text) {
		return o.wrong(CodeUnknownValue, text, "is not one of "+strings.Join(texts, ", ")+didYouMean(text, texts, nearOfFew))
	}
	if _, ok := TimeZone(text); !ok && o.kind == KindTimeZone {
		return o.wrong(CodeTimeZone, text, "is not a known time zone"+didYouMean(text, timeZoneNames(), nearOfMany))
	}
	return nil
}

func (o option) verifyNames(names []string) error {
	if err := checkNames(names); err != nil {
		return err.at(o.key)
	}
	if at := slices.IndexFunc(names, notDomain); at >= 0 && o.kind == KindDomains {
		return o.wrong(CodeDomain, names[at], "is not a domain, such as example.com")
	}
	return nil
}

func (o option) verifyPermissions(permissions Permissions) error {
	names := make([]string, 0, len(permissions))
	for name := range permissions {
		names = append(names, name)
	}
	slices.Sort(names)
	seen := map[string]bool{}
	for _, name := range names {
		usual := usualPermission(name)
		if seen[usual] {
			return o.wrong(CodeTwice, name, "is there twice")
		}
		seen[usual] = true
	}
	return checkNames(names).at(o.key)
}

func (o option) verifyRoles(grants []RoleGrant) error {
	if len(grants) > MaxPatterns {
		return o.wrong(CodeTooMany, grants[MaxPatterns].Role, tooManyEntries())
	}
	for i, grant := range grants {
		if err := checkNames([]string{grant.Role}); err != nil {
			return err.at(fmt.Sprintf("%s[%d].role", o.key, i))
		}
		if err := grant.Groups.check(); err != nil {
			return err.at(fmt.Sprintf("%s[%d].groups", o.key, i))
		}
	}
	return nil
}

func (o option) wrong(code, value, detail string) error {
	return &ConfigError{Code: code, Option: o.key, Value: value, Detail: detail}
}

// verifyAdmins refuses patterns that make everyone a site admin.
func (c *Config) verifyAdmins() error {
	if c.AllowEveryoneAdmin {
		return nil
	}
	const detail = "would make everyone a site admin, which allowEveryoneAdmin does not permit"
	if text, ok := c.SiteAdminGroups.everyone(); ok {
		return &ConfigError{Code: CodeEveryone, Option: "siteAdminGroups", Value: text, Detail: detail}
	}
	if text, ok := c.ReadOnlySiteAdminGroups.everyone(); ok {
		return &ConfigError{Code: CodeEveryone, Option: "readOnlySiteAdminGroups", Value: text, Detail: detail}
	}
	return nil
}

func notDomain(name string) bool {
	odd := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("@*?/\\,;:", r)
	}
	return strings.ContainsFunc(name, odd) || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".")
}
