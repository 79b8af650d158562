// Package zfsvol is an embeddable volume engine for OpenZFS: datasets, snapshots, streams, and volumes that move between machines. It speaks to the
// kernel itself, and runs no command.
//
// [Open] gives a [Zfs]: the OpenZFS of this machine, or a kernel inside of this process that answers as OpenZFS does, for tests and for trying
// things out. A [Dataset], [Snapshot], [Pool] or [Volume] is a name together with what it is a name in, costs nothing, and need not be closed.
//
//	zfs, err := zfsvol.Open("embedded:")
//	...
//	defer zfs.Close()
//	web, err := zfs.CreateFilesystem("tank/web", zfsvol.Settings{"compression": "lz4"}, nil)
//	...
//	monday, err := web.TakeSnapshot("monday")
//
// On top of that, a [Node] has volumes that it owns, pushes copies of them to other nodes, and hands them over: see [Volume.Push] and
// [Volume.Handoff].
//
// Streams are also read, verified, rewritten and rebuilt without a kernel: see [VerifyStream], [CopyStream], [ZvolImage] and [FileTree].
//
// # Errors
//
// What the library refuses is an [*Error]. Decide by its kind, with [errors.Is] and the constants of [Kind]; [errors.As] gives the rest, among it the
// names of a batch that failed, and what keeps a dataset busy. Documentation of methods names the kinds that are to be expected.
//
// # Contexts
//
// What can take long takes a [context.Context], and ends when that does: streams, pushes, handoffs, connections, and waiting. The error then is found by
// [errors.Is] with [ErrCancelled] and with the context's own. Everything else is as quick as the kernel is, and cannot be interrupted once it was asked:
// those methods take no context, for none would help.
//
// # Closing
//
// What has a Close method should be closed; that the garbage collector frees it too is a net, and comes late. Close can be called more than once, and from
// any goroutine: it ends calls that wait, and waits for the others. It must not be called from a callback of the same object. Methods then fail with
// [ErrClosed]. Objects can be closed in any order.
//
// # Linking
//
// By default the package is linked to the libzfsvol that pkg-config finds. With the build tag zfsvol_static the library becomes part of the program.
package zfsvol
