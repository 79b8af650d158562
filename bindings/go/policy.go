package zfsvol

/*
#include "callbacks.h"
*/
import "C"

import "unsafe"

// Action is what a caller wants. A newer library may ask about others: refuse those.
type Action uint32

const (
	ActionConnect      Action = C.ZFSVOL_ACTION_CONNECT       // to connect at all; there is no volume
	ActionLook         Action = C.ZFSVOL_ACTION_LOOK          // to see what there is of a volume; changes nothing
	ActionReceive      Action = C.ZFSVOL_ACTION_RECEIVE       // to create or update the replica of it
	ActionAbortReceive Action = C.ZFSVOL_ACTION_ABORT_RECEIVE // to throw away what an interrupted receive saved
	ActionFinish       Action = C.ZFSVOL_ACTION_FINISH        // to set the replica's properties, and keep what the next push begins from
	ActionAccept       Action = C.ZFSVOL_ACTION_ACCEPT        // to make this node its owner
	ActionSettle       Action = C.ZFSVOL_ACTION_SETTLE        // to say that an offer is void
)

// Request is what a policy is asked.
type Request struct {
	Action Action
	// The UUID of the node that the caller says it is.
	Node string
	// Who the transport found it to be; empty where it did not say.
	Identity string
	// The UUID and name of the volume; empty where there is none. It is asked about under the name that the caller gives it, and under the one that it has
	// here if that is another.
	VolumeID, Volume string
}

// Policy says who may do what to which volume: see [Node.Serve]. A value, that nobody closes. The zero value refuses everything.
type Policy struct {
	make func(out **C.zfsvol_policy, e *cError) cStatus
}

// AllowAll lets everybody do everything: where who can connect is trusted.
func AllowAll() Policy {
	return Policy{func(out **C.zfsvol_policy, e *cError) cStatus { return C.zfsvol_policy_allow_all(out, e) }}
}

// LookOnly lets everybody look, and nobody change anything.
func LookOnly() Policy {
	return Policy{func(out **C.zfsvol_policy, e *cError) cStatus { return C.zfsvol_policy_read_only(out, e) }}
}

// Replicas lets everybody push volumes of these namespaces, and nobody hand over. The empty text stands for volumes that are in no namespace.
func Replicas(namespaces ...string) Policy {
	return Policy{func(out **C.zfsvol_policy, e *cError) cStatus {
		var a arena
		defer a.free()
		all, count := a.strs(namespaces)
		return C.zfsvol_policy_replicas(all, count, out, e)
	}}
}

// KnownNode is a caller that is known: who the transport finds it to be, and the UUID of its node.
type KnownNode struct {
	Identity, Node string
}

// KnownNodes binds what a caller says it is to who it is: only these may connect, each as its node; what they may do then, the policy then says. Without
// this, whoever may connect can say that it is any node, and push what that node owns.
func KnownNodes(nodes []KnownNode, then Policy) Policy {
	return Policy{func(out **C.zfsvol_policy, e *cError) cStatus {
		var (
			a     arena
			inner *C.zfsvol_policy
		)
		defer a.free()
		if status := then.made(&inner, e); status != C.ZFSVOL_STATUS_OK {
			return status
		}
		defer C.zfsvol_policy_free(inner)
		all := (*C.zfsvol_known_node)(a.alloc(len(nodes), unsafe.Sizeof(C.zfsvol_known_node{})))
		for i, one := range nodes {
			unsafe.Slice(all, len(nodes))[i] = C.zfsvol_known_node{identity: a.str(one.Identity), node: a.str(one.Node)}
		}
		return C.zfsvol_policy_known_nodes(all, C.size_t(len(nodes)), inner, out, e)
	}}
}

// PolicyFunc asks a function, before anything is done: nil lets it be done, and what an error says is told to the caller. Called by several goroutines at
// once when several connections are served. If it panics, that is a refusal.
func PolicyFunc(permit func(Request) error) Policy { return policyOf(permit, false) }

// PolicyOfCaller asks a function as [PolicyFunc], for answers that do not depend on the volume, which then is not looked up for this.
func PolicyOfCaller(permit func(Request) error) Policy { return policyOf(permit, true) }

func policyOf(permit func(Request) error, ignoresVolume bool) Policy {
	return Policy{func(out **C.zfsvol_policy, e *cError) cStatus {
		var o C.zfsvol_policy_options
		o.size = C.size_t(unsafe.Sizeof(o))
		o.permit = (*[0]byte)(C.zfsvolGoPermit)
		o.ignores_volume = C.bool(ignoresVolume)
		o.context = lendGo(permit)
		o.release = (*[0]byte)(C.zfsvolGoRelease)
		return C.zfsvol_policy_from_callbacks(&o, out, e)
	}}
}

// made makes what C knows it by, which is to be freed.
func (p Policy) made(out **C.zfsvol_policy, e *cError) cStatus {
	if p.make == nil {
		// Nobody is known.
		return KnownNodes(nil, LookOnly()).make(out, e)
	}
	return p.make(out, e)
}
