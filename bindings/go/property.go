package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "strconv"

// Settings are properties to be set, with values as "zfs set" takes them: {"compression": "lz4", "quota": "1G"}.
type Settings map[string]string

// Source says where the value of a property comes from.
type Source string

const (
	SourceDefault   Source = "default"   // nobody set it
	SourceLocal     Source = "local"     // it was set here
	SourceInherited Source = "inherited" // from Property.InheritedFrom
	SourceReceived  Source = "received"  // it came with a stream
	SourceTemporary Source = "temporary" // it holds for a mount
	SourceNone      Source = "none"      // the kernel says it, nobody sets it
)

// Property is a property of a dataset, snapshot, bookmark or pool.
type Property struct {
	// Of a word or text. Empty for a number.
	Text string
	// Of a number, a size in bytes, a time in seconds since 1970, or a ratio in hundredths.
	Number uint64
	// Which of the two it is.
	IsNumber bool
	// Where it comes from.
	Source Source
	// The dataset that it is inherited from.
	InheritedFrom string
}

// String is the text, or the number in decimal.
func (p Property) String() string {
	if p.IsNumber {
		return strconv.FormatUint(p.Number, 10)
	}
	return p.Text
}

// Properties are properties by their names.
type Properties map[string]Property

// Properties are all properties of the dataset. Issues ZFS_IOC_OBJSET_STATS. Fails with [ErrNotFound].
func (d Dataset) Properties() (Properties, error) { return d.zfs.properties(d.name) }

// Properties are all properties of the snapshot. Issues ZFS_IOC_OBJSET_STATS. Fails with [ErrNotFound].
func (s Snapshot) Properties() (Properties, error) { return s.zfs.properties(s.name) }

// Property is one property of the dataset. There says whether the dataset has it. Fails with [ErrNotFound] when there is no dataset.
func (d Dataset) Property(name string) (value Property, there bool, err error) {
	return d.zfs.property(d.name, name)
}

// Property is one property of the snapshot. There says whether the snapshot has it. Fails with [ErrNotFound] when there is no snapshot.
func (s Snapshot) Property(name string) (value Property, there bool, err error) {
	return s.zfs.property(s.name, name)
}

// ReceivedProperties are the properties that came with streams, whatever is set over them now. Issues ZFS_IOC_OBJSET_RECVD_PROPS.
func (d Dataset) ReceivedProperties() (Properties, error) {
	list, err := d.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_property_list_received(zfs, lend(d.name), out, e)
	})
	return propertiesOf(list), err
}

// Set sets properties of the dataset. Issues ZFS_IOC_SET_PROP once.
//
// With each name that failed in [Error.Failures]: [ErrInvalidProperty], [ErrNotFound], [ErrNoSpace] (a quota below what is used), [ErrDenied].
func (d Dataset) Set(properties Settings) error { return d.zfs.set(d.name, properties) }

// Set sets properties of the snapshot: user properties. Fails as [Dataset.Set].
func (s Snapshot) Set(properties Settings) error { return s.zfs.set(s.name, properties) }

// Inherit has a property inherited, or at its default: what was set, and what was received, is gone. Issues ZFS_IOC_INHERIT_PROP.
func (d Dataset) Inherit(property string) error {
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_property_inherit(zfs, lend(d.name), lend(property), e)
	})
}

// Revert has a property as it was received, if it was, and else inherited. Issues ZFS_IOC_INHERIT_PROP.
func (d Dataset) Revert(property string) error {
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_property_revert(zfs, lend(d.name), lend(property), e)
	})
}

func (z *Zfs) properties(name string) (Properties, error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_property_list(zfs, lend(name), out, e)
	})
	return propertiesOf(list), err
}

func (z *Zfs) property(name, property string) (value Property, there bool, err error) {
	list, err := z.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_property_get(zfs, lend(name), lend(property), out, e)
	})
	if err != nil || len(list) == 0 {
		return Property{}, false, err
	}
	if _, has := list["value"]; has {
		return propertyOf(list), true, nil
	}
	// By its name, as in a list of all.
	return propertyOf(list.list(property)), true, nil
}

func (z *Zfs) set(name string, properties Settings) error {
	var a arena
	defer a.free()
	props, err := a.settings(properties)
	if err != nil || props == nil {
		return err
	}
	return z.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_property_set(zfs, lend(name), props, e)
	})
}

func propertiesOf(list List) Properties {
	if list == nil {
		return nil
	}
	all := make(Properties, len(list))
	for name := range list {
		all[name] = propertyOf(list.list(name))
	}
	return all
}

func propertyOf(list List) Property {
	p := Property{Text: list.text("value"), Source: Source(list.text("source")), InheritedFrom: list.text("inherited_from")}
	p.Number, p.IsNumber = list["value"].(uint64)
	return p
}
