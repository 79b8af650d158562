package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "time"

// Retention says which snapshots to keep: the last so many, and one of each of so many hours, days, weeks, months and years. One that asks for nothing keeps
// everything.
type Retention struct {
	Last, Hourly, Daily, Weekly, Monthly, Yearly uint32
	// Where days begin.
	MinutesAheadOfUTC int16
}

// Retained says what becomes, or became, of snapshots.
type Retained struct {
	// By the snapshot's name why.
	Kept map[string][]string
	// Their names.
	Destroyed []string
}

// Candidate is a snapshot that a policy is to decide about.
type Candidate struct {
	// What it is called.
	Name    string
	Created time.Time
	// What needs it, whatever the policy says: tags of holds, datasets that are clones of it, the nodes whose next push begins from it.
	Holds, Clones, Pushes []string
	// It was taken by somebody else.
	Foreign bool
}

// PlanRetention says what a policy makes of snapshots, which are from oldest to newest: nothing is asked, and nothing destroyed. Fails with [ErrInvalid].
func PlanRetention(policy Retention, snapshots []Candidate) (*Retained, error) {
	asked, err := policy.encode()
	if err != nil {
		return nil, err
	}
	defer freeList(asked)
	var all cList
	if err := done(func(e *cError) cStatus { return C.zfsvol_nvlist_new(&all, e) }); err != nil {
		return nil, err
	}
	defer freeList(all)
	// One after the other: a map has no order.
	for _, snapshot := range snapshots {
		if err := snapshot.put(all); err != nil {
			return nil, err
		}
	}
	list, err := answer(func(out *cList, e *cError) cStatus { return C.zfsvol_retention_plan(asked, all, out, e) })
	if err != nil {
		return nil, err
	}
	return retainedOf(list), nil
}

// put adds the snapshot to a list.
func (c Candidate) put(all cList) error {
	one := List{"created": c.Created.Unix(), "foreign": c.Foreign}
	for name, needs := range map[string][]string{"holds": c.Holds, "clones": c.Clones, "pushes": c.Pushes} {
		if len(needs) > 0 {
			one[name] = needs
		}
	}
	element, err := encode(one)
	if err != nil {
		return err
	}
	defer freeList(element)
	return done(func(e *cError) cStatus { return C.zfsvol_nvlist_put_list(all, lend(c.Name), element, e) })
}

// encode makes a list of C of it, which is to be freed.
func (r Retention) encode() (cList, error) {
	return encode(List{
		"last": r.Last, "hourly": r.Hourly, "daily": r.Daily, "weekly": r.Weekly, "monthly": r.Monthly, "yearly": r.Yearly,
		"minutes_ahead_of_utc": r.MinutesAheadOfUTC,
	})
}

func retainedOf(list List) *Retained {
	retained := &Retained{Kept: map[string][]string{}, Destroyed: list.texts("destroyed")}
	kept := list.list("kept")
	for name := range kept {
		retained.Kept[name] = kept.texts(name)
	}
	return retained
}
