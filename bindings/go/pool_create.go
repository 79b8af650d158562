package zfsvol

/*
#include <zfsvol.h>
*/
import "C"

import "unsafe"

// Redundancy says how the devices of a vdev share the data.
type Redundancy uint32

const (
	RedundancyNone Redundancy = C.ZFSVOL_REDUNDANCY_NONE   // one device, no redundancy
	Mirror         Redundancy = C.ZFSVOL_REDUNDANCY_MIRROR // each device has all of it
	Raidz          Redundancy = C.ZFSVOL_REDUNDANCY_RAIDZ  // any Parity devices may fail
	Draid          Redundancy = C.ZFSVOL_REDUNDANCY_DRAID  // as Raidz, with the spares distributed over all devices
)

// Class says what a vdev is for.
type Class uint32

const (
	ClassNormal  Class = C.ZFSVOL_CLASS_NORMAL  // everything that has no vdev of its own
	ClassLog     Class = C.ZFSVOL_CLASS_LOG     // the intent log
	ClassSpecial Class = C.ZFSVOL_CLASS_SPECIAL // metadata, and small blocks where special_small_blocks says so
	ClassDedup   Class = C.ZFSVOL_CLASS_DEDUP   // deduplication tables
)

// Features say which features a pool has enabled.
type Features uint32

const (
	FeaturesAll  Features = C.ZFSVOL_FEATURES_ALL  // every feature that the loaded module knows
	FeaturesNone Features = C.ZFSVOL_FEATURES_NONE // none
	FeaturesOnly Features = C.ZFSVOL_FEATURES_ONLY // those that are named, and those they depend on
	Features20   Features = C.ZFSVOL_FEATURES_2_0  // what OpenZFS 2.0 knows, as far as the loaded module does
	Features21   Features = C.ZFSVOL_FEATURES_2_1  // what OpenZFS 2.1 knows
	Features22   Features = C.ZFSVOL_FEATURES_2_2  // what OpenZFS 2.2 knows
	Features23   Features = C.ZFSVOL_FEATURES_2_3  // what OpenZFS 2.3 knows
	Features24   Features = C.ZFSVOL_FEATURES_2_4  // what OpenZFS 2.4 knows
)

// Topology is the vdevs of a pool that is to be created, or of those to be added to one.
type Topology struct {
	// The vdevs right below the root.
	Vdevs []VdevSpec
	// Hot spares, and devices for the read cache (L2ARC), by their absolute paths.
	Spares, Cache []string
	// Sectors of 2 to the power of so many bytes, 9 to 16, of vdevs that do not say otherwise; 0 for what the devices say.
	Ashift uint8
}

// VdevSpec is a vdev right below the root. With no more than Devices it is one device, for everything.
type VdevSpec struct {
	// Its files and devices, by their absolute paths.
	Devices []string
	// How they share the data.
	Redundancy Redundancy
	// How many of them may fail, of Raidz and Draid: 1 to 3.
	Parity uint8
	// What is to be kept on it.
	Class Class
	// Sectors of 2 to the power of so many bytes, 9 to 16; 0 for those of the topology.
	Ashift uint8
	// Of Draid, data devices of a group; 0 for 8, or as many as there are.
	DraidData uint64
	// Of Draid, distributed spares.
	DraidSpares uint64
}

// PoolOptions say how to create a pool. The zero value is with all features, and no properties.
type PoolOptions struct {
	// Which features it has.
	Features Features
	// With FeaturesOnly, their short names: "encryption", "large_blocks".
	FeatureNames []string
	// Of the pool.
	Properties Settings
	// Of its root dataset.
	RootProperties Settings
	// Makes the root dataset an encryption root with this key.
	RootKey *Key
	// Even from devices that are part of an exported pool, or of one that another host may have in use.
	Force bool
}

// CreatePool creates a pool of files or whole devices: nothing is partitioned, and what is on them is overwritten. Devices of another pool are refused, unless
// that was destroyed or Force is set. The root dataset is not mounted. Reads the labels of the devices, and issues ZFS_IOC_POOL_CREATE.
//
// Fails with [ErrExists], [ErrBusy] (a device is in use, or named twice), [ErrInvalid] (such vdevs make no pool, or a device is smaller than 64 MiB),
// [ErrInvalidProperty], [ErrNotFound] (a device), [ErrUnsupported] (a feature), [ErrDenied].
func (z *Zfs) CreatePool(name string, topology Topology, options PoolOptions) (Pool, error) {
	pool := z.Pool(name)
	err := topology.use(func(t *C.zfsvol_topology) error {
		return options.use(func(o *C.zfsvol_pool_options) error {
			return pool.done(func(zfs *C.zfsvol_zfs, name cStr, e *cError) cStatus { return C.zfsvol_pool_create(zfs, name, t, o, e) })
		})
	})
	if err != nil {
		return Pool{}, err
	}
	return pool, nil
}

// EnableFeatures enables features of the pool, and those they depend on; names are those of [FeaturesOnly]. Those that are enabled stay so. Issues
// ZFS_IOC_POOL_SET_PROPS.
//
// Fails with [ErrNotFound], [ErrUnsupported] (the module does not know a feature), [ErrReadOnly], [ErrDenied].
func (p Pool) EnableFeatures(features Features, names ...string) error {
	var a arena
	defer a.free()
	all, count := a.strs(names)
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_enable_features(zfs, pool, C.zfsvol_features(features), all, count, e)
	})
}

// Reguid gives the pool another GUID: that one, which takes OpenZFS 2.3, or with 0 a random one. Issues ZFS_IOC_POOL_REGUID.
//
// Fails with [ErrNotFound], [ErrPoolUnavailable] (not all devices are online), [ErrExists], [ErrInProgress] (there is a checkpoint), [ErrUnsupported],
// [ErrDenied].
func (p Pool) Reguid(guid uint64) error {
	return p.done(func(zfs *C.zfsvol_zfs, pool cStr, e *cError) cStatus {
		return C.zfsvol_pool_reguid(zfs, pool, C.uint64_t(guid), e)
	})
}

// use runs f with what C knows it by.
func (t Topology) use(f func(topology *C.zfsvol_topology) error) error {
	var (
		a   arena
		out *C.zfsvol_topology
	)
	defer a.free()
	if err := done(func(e *cError) cStatus { return C.zfsvol_topology_new(C.uint8_t(t.Ashift), &out, e) }); err != nil {
		return err
	}
	defer C.zfsvol_topology_free(out)
	for _, spec := range t.Vdevs {
		o := a.vdev(spec)
		if err := done(func(e *cError) cStatus { return C.zfsvol_topology_add_vdev(out, &o, e) }); err != nil {
			return err
		}
	}
	spares, count := a.strs(t.Spares)
	if err := done(func(e *cError) cStatus { return C.zfsvol_topology_add_spares(out, spares, count, e) }); err != nil {
		return err
	}
	cache, count := a.strs(t.Cache)
	if err := done(func(e *cError) cStatus { return C.zfsvol_topology_add_cache(out, cache, count, e) }); err != nil {
		return err
	}
	return f(out)
}

func (a *arena) vdev(spec VdevSpec) (o C.zfsvol_vdev_spec) {
	o.size = C.size_t(unsafe.Sizeof(o))
	o.devices, o.device_count = a.strs(spec.Devices)
	o.redundancy, o.allocation_class = C.zfsvol_redundancy(spec.Redundancy), C.zfsvol_class(spec.Class)
	o.parity, o.ashift = C.uint8_t(spec.Parity), C.uint8_t(spec.Ashift)
	o.draid_data, o.draid_spares = C.uint64_t(spec.DraidData), C.uint64_t(spec.DraidSpares)
	return o
}

// use runs f with what C knows it by.
func (p PoolOptions) use(f func(o *C.zfsvol_pool_options) error) (err error) {
	var (
		a arena
		o C.zfsvol_pool_options
	)
	defer a.free()
	o.size = C.size_t(unsafe.Sizeof(o))
	o.features, o.force = C.zfsvol_features(p.Features), C.bool(p.Force)
	o.feature_names, o.feature_count = a.strs(p.FeatureNames)
	if o.properties, err = a.settings(p.Properties); err != nil {
		return err
	}
	if o.root_properties, err = a.settings(p.RootProperties); err != nil {
		return err
	}
	return p.RootKey.use(func(key *C.zfsvol_key) error {
		o.root_key = key
		return f(&o)
	})
}
