package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import (
	"iter"
	"unsafe"
)

// OwnerKind says whose space is counted. Which number a name has is for the caller to look up: see package os/user.
type OwnerKind uint32

const (
	User    OwnerKind = C.ZFSVOL_OWNER_USER
	Group   OwnerKind = C.ZFSVOL_OWNER_GROUP
	Project OwnerKind = C.ZFSVOL_OWNER_PROJECT
)

// Account is what is counted or limited.
type Account uint32

const (
	AccountUsed        Account = C.ZFSVOL_ACCOUNT_USED         // bytes that the owner's files take
	AccountQuota       Account = C.ZFSVOL_ACCOUNT_QUOTA        // most bytes they may take
	AccountObjects     Account = C.ZFSVOL_ACCOUNT_OBJECTS      // files, directories and other objects the owner has
	AccountObjectQuota Account = C.ZFSVOL_ACCOUNT_OBJECT_QUOTA // most objects the owner may have
)

// Owner is what a user, group or project has in a file system or snapshot.
type Owner struct {
	Kind OwnerKind
	ID   uint32
	// Where the number is one of another domain.
	Domain string
	// In bytes; 0 for no quota.
	Used, Quota uint64
	// How many; 0 for no quota.
	Objects, ObjectQuota uint64
}

// OwnerQuota is a quota to be set: [AccountQuota] or [AccountObjectQuota]. A limit of 0 takes it away.
type OwnerQuota struct {
	Kind    OwnerKind
	ID      uint32
	Account Account
	Limit   uint64
}

// OwnerNumber is one number of an owner: see [Dataset.Accounts].
type OwnerNumber struct {
	ID     uint32
	Domain string
	Number uint64
}

// Owners are the space and quotas of every owner of a kind that has any in the file system. All are in memory together; see [Dataset.Accounts]. Issues
// ZFS_IOC_USERSPACE_MANY.
//
// Fails with [ErrNotFound], [ErrWrongType] (a zvol), [ErrFeatureDisabled] (it does not count: see [Dataset.UpgradeQuotas]), [ErrKeyNotLoaded], [ErrDenied].
func (d Dataset) Owners(kind OwnerKind) ([]Owner, error) {
	list, err := d.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_quota_list(zfs, lend(d.name), C.zfsvol_owner(kind), out, e)
	})
	var all []Owner
	for _, one := range list.lists("owners") {
		all = append(all, ownerOf(kind, one))
	}
	return all, err
}

// Owner is the same of one owner, who may have nothing there. Anybody may ask about themselves and their groups. Issues ZFS_IOC_USERSPACE_ONE. Fails as
// [Dataset.Owners].
func (d Dataset) Owner(kind OwnerKind, id uint32) (Owner, error) {
	list, err := d.zfs.answer(func(zfs *C.zfsvol_zfs, out *cList, e *cError) cStatus {
		return C.zfsvol_quota_get(zfs, lend(d.name), C.zfsvol_owner(kind), C.uint32_t(id), out, e)
	})
	return ownerOf(kind, list), err
}

// Accounts are one number of every owner of a kind, in no order, one after the other: for file systems with more owners than should be in memory. A failure is
// the last of the sequence. Fails as [Dataset.Owners].
func (d Dataset) Accounts(kind OwnerKind, account Account) iter.Seq2[OwnerNumber, error] {
	return func(yield func(OwnerNumber, error) bool) {
		var accounts *C.zfsvol_accounts
		err := d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
			return C.zfsvol_accounts_open(zfs, lend(d.name), C.zfsvol_owner(kind), C.zfsvol_account(account), &accounts, e)
		})
		if err != nil {
			yield(OwnerNumber{}, err)
			return
		}
		each(
			func(out *cList, e *cError) cStatus { return C.zfsvol_accounts_next(accounts, out, e) },
			func() { C.zfsvol_accounts_free(accounts) },
			func(list List, err error) bool {
				return yield(OwnerNumber{uint32(list.number("id")), list.text("domain"), list.number("number")}, err)
			},
		)
	}
}

// SetOwnerQuotas sets quotas of the file system. Each is a transaction of its own; of two for the same, the later holds. Issues ZFS_IOC_SET_PROP once.
//
// Fails, with each quota that failed in [Error.Failures], "userquota@1000", with [ErrNotFound], [ErrWrongType] (a zvol), [ErrFeatureDisabled],
// [ErrKeyNotLoaded], [ErrDenied].
func (d Dataset) SetOwnerQuotas(quotas ...OwnerQuota) error {
	var a arena
	defer a.free()
	all := (*C.zfsvol_quota)(a.alloc(len(quotas), unsafe.Sizeof(C.zfsvol_quota{})))
	for i, q := range quotas {
		unsafe.Slice(all, len(quotas))[i] = C.zfsvol_quota{
			kind: C.zfsvol_owner(q.Kind), id: C.uint32_t(q.ID), account: C.zfsvol_account(q.Account), limit: C.uint64_t(q.Limit),
		}
	}
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus {
		return C.zfsvol_quota_set(zfs, lend(d.name), all, C.size_t(len(quotas)), e)
	})
}

// UpgradeQuotas has a file system of a very old OpenZFS count what users, groups and projects take. It reads every file once; one that counts already is left
// as it is. Issues ZFS_IOC_USERSPACE_UPGRADE.
//
// Fails with [ErrNotFound], [ErrDenied], [ErrKeyNotLoaded].
func (d Dataset) UpgradeQuotas() error {
	return d.zfs.done(func(zfs *C.zfsvol_zfs, e *cError) cStatus { return C.zfsvol_quota_upgrade(zfs, lend(d.name), e) })
}

func ownerOf(kind OwnerKind, list List) Owner {
	return Owner{
		Kind: kind, ID: uint32(list.number("id")), Domain: list.text("domain"),
		Used: list.number("used"), Quota: list.number("quota"), Objects: list.number("objects"), ObjectQuota: list.number("object_quota"),
	}
}
