package store

import "fmt"

// CheckStage is for stores: it refuses what StageMembers refuses in any of them.
func CheckStage(stage int64, joining, leaving []Membership) error {
	if stage < 1 {
		return fmt.Errorf("store: a stage has the number %d", stage)
	}
	group := ""
	for _, list := range [][]Membership{joining, leaving} {
		for _, m := range list {
			if group == "" {
				group = m.Group
			}
			if m.Group != group || group == "" {
				return fmt.Errorf("store: a stage has memberships in the groups %q and %q", group, m.Group)
			}
		}
	}
	return nil
}
