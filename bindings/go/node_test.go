package zfsvol

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	one = "11111111-1111-4111-8111-111111111111"
	two = "22222222-2222-4222-8222-222222222222"
)

// nodeOf opens a node on a kernel of its own.
func nodeOf(t *testing.T, id string, options NodeOptions) *Node {
	t.Helper()
	zfs := must(Open("embedded:"))(t)
	defer zfs.Close()
	node := must(zfs.OpenNode("tank/zfsvol", id, options))(t)
	t.Cleanup(func() { node.Close() })
	return node
}

// filled is a block device of the node with a text at its beginning.
func filled(t *testing.T, node *Node, name, text string) Volume {
	t.Helper()
	volume := must(node.CreateVolume(name, VolumeSpec{BlockBytes: 8 << 20, Sparse: true}))(t)
	device := must(volume.OpenDevice(t.Context(), true))(t)
	defer device.Close()
	must(device.WriteAt([]byte(text), 0))(t)
	ok(t, device.Sync())
	return volume
}

// says reads the text at the beginning of a block device.
func says(t *testing.T, volume Volume, length int) string {
	t.Helper()
	device := must(volume.OpenDevice(t.Context(), false))(t)
	defer device.Close()
	got := make([]byte, length)
	must(device.ReadAt(got, 0))(t)
	return string(got)
}

func TestNodeIsItsOwnersOnly(t *testing.T) {
	zfs := embedded(t)
	node := must(zfs.OpenNode("tank/n", one, NodeOptions{}))(t)
	defer node.Close()
	same(t, node.ID(), one)
	same(t, node.Root(), "tank/n")
	_, err := zfs.OpenNode("tank/n", two, NodeOptions{})
	fails(t, err, ErrNotOwner)
	_, err = zfs.OpenNode("tank/n", "one", NodeOptions{OnEvent: func(Event) {}})
	fails(t, err, ErrInvalid)
	must(zfs.CreateFilesystem("tank/theirs", nil, nil))(t)
	_, err = zfs.OpenNode("tank/theirs", one, NodeOptions{})
	fails(t, err, ErrExists)
	adopted := must(zfs.OpenNode("tank/theirs", one, NodeOptions{Adopt: true}))(t)
	ok(t, adopted.Close())
	ok(t, adopted.Close())
	_, _, err = adopted.Volumes()
	fails(t, err, ErrClosed)
}

func TestVolumeIsKept(t *testing.T) {
	var (
		mu    sync.Mutex
		kinds []string
	)
	node := nodeOf(t, one, NodeOptions{Mountpoint: "/volumes", OnEvent: func(event Event) {
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, event.Kind+" "+event.Volume)
	}})
	web := must(node.CreateVolume("team:web", VolumeSpec{QuotaBytes: 1 << 30, Properties: Settings{"compression": "lz4"}}))(t)
	info := must(web.Info())(t)
	same(t, info.Kind, "file_system")
	same(t, info.Quota, 1<<30)
	same(t, info.Owner, one)
	same(t, info.Epoch, 1)
	same(t, info.Owned() && !info.Mounted && !info.Locked, true)
	_, err := node.CreateVolume("team:web", VolumeSpec{})
	fails(t, err, ErrExists)
	_, err = node.CreateVolume("a/b", VolumeSpec{})
	fails(t, err, ErrInvalidName)
	_, err = node.Volume("none").Info()
	fails(t, err, ErrNotFound)
	ok(t, web.Resize(0))
	same(t, must(web.Mount())(t), "/volumes/team:web")
	same(t, must(web.Path())(t), "/volumes/team:web")
	same(t, must(web.Unmount())(t), true)
	zfs := must(node.Zfs())(t)
	defer zfs.Close()
	same(t, must(web.Dataset(zfs))(t).Name(), info.Dataset)

	for _, name := range []string{"one", "two", "three"} {
		ok(t, web.Snapshot(name))
	}
	same(t, len(must(web.Snapshots())(t)), 3)
	ok(t, web.DestroySnapshots("three", "none"))
	fails(t, web.Rollback("one"), ErrBusy)
	ok(t, web.Rollback("two"))
	copied := must(web.Clone("two", "copy"))(t)
	same(t, strings.HasSuffix(must(copied.Info())(t).Origin, "web@two"), true)
	branch := must(copied.Rename("branch"))(t)
	same(t, must(branch.Destroy())(t), true)
	same(t, must(branch.Destroy())(t), false)
	retained := must(web.Retain(Retention{Last: 1}))(t)
	same(t, slices.Contains(retained.Destroyed, "one"), true)
	volumes, damaged, err := node.Volumes()
	ok(t, err)
	same(t, len(volumes), 1)
	same(t, len(damaged), 0)
	mu.Lock()
	defer mu.Unlock()
	same(t, kinds[0], "created team:web")
	same(t, slices.Contains(kinds, "destroyed branch"), true)
}

func TestVolumeMovesAndComesBack(t *testing.T) {
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	peer := must(LocalPeer(there))(t)
	defer peer.Close()
	same(t, peer.ID(), two)
	db := filled(t, here, "db", "hello")
	limit := must(NewBandwidth(1 << 30))(t)
	defer limit.Close()
	pushed := must(db.Push(t.Context(), peer, PushOptions{Bandwidth: limit, Progress: func(Progress) {}}))(t)
	if pushed.Bytes == 0 || pushed.Snapshot == 0 || len(pushed.Sent) != 1 {
		t.Fatalf("pushed: %+v", pushed)
	}
	same(t, must(there.Volume("db").Info())(t).State, "replica")
	_, err := there.Volume("db").OpenDevice(t.Context(), true)
	fails(t, err, ErrNotOwner)
	must(db.Handoff(t.Context(), peer, PushOptions{}))(t)
	same(t, must(db.Info())(t).State, "replica")
	same(t, must(there.Volume("db").Info())(t).Owned(), true)
	same(t, says(t, there.Volume("db"), 5), "hello")
	_, err = db.Push(t.Context(), peer, PushOptions{})
	fails(t, err, ErrNotOwner)
	same(t, must(db.Recover(t.Context(), peer))(t), Recovered{Outcome: OutcomeNothing})
	ownership := must(db.Takeover())(t)
	same(t, ownership.Owner, one)
	same(t, ownership.Epoch, 3)
	ok(t, peer.Close())
	_, err = db.Push(t.Context(), peer, PushOptions{})
	fails(t, err, ErrClosed)
}

func TestReplicaIsDestroyedAndMadeAnew(t *testing.T) {
	var (
		mu    sync.Mutex
		kinds []string
	)
	here := nodeOf(t, one, NodeOptions{})
	there := nodeOf(t, two, NodeOptions{OnEvent: func(event Event) {
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, event.Kind)
	}})
	peer := must(LocalPeer(there))(t)
	defer peer.Close()
	db, replica := filled(t, here, "db", "hello"), there.Volume("db")
	same(t, must(replica.DestroyReplica())(t), false)
	for range 2 {
		must(db.Push(t.Context(), peer, PushOptions{}))(t)
		same(t, says(t, replica, 5), "hello")
		same(t, must(replica.DestroyReplica())(t), true)
		_, err := replica.Info()
		fails(t, err, ErrNotFound)
	}
	mu.Lock()
	defer mu.Unlock()
	same(t, strings.Join(kinds, " "), "received replica_destroyed received replica_destroyed")
	_, err := db.DestroyReplica()
	fails(t, err, ErrInvalid)
	same(t, says(t, db, 5), "hello")
}

func TestDeviceOfAVolumeHasAPath(t *testing.T) {
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	peer := must(LocalPeer(there))(t)
	defer peer.Close()
	db := filled(t, here, "db", "hello")
	// What is embedded has no node in /dev.
	_, err := db.DevicePath(t.Context())
	fails(t, err, ErrNotFound)
	files := must(here.CreateVolume("files", VolumeSpec{}))(t)
	_, err = files.DevicePath(t.Context())
	fails(t, err, ErrWrongType)
	must(db.Push(t.Context(), peer, PushOptions{}))(t)
	_, err = there.Volume("db").DevicePath(t.Context())
	fails(t, err, ErrNotOwner)
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = db.DevicePath(ended)
	fails(t, err, context.Canceled)
}

// served serves one end of a connection, and gives a way to wait for what became of it.
func served(t *testing.T, node *Node, conn io.ReadWriteCloser, policy Policy) func() (*Served, error) {
	type outcome struct {
		*Served
		error
	}
	over := make(chan outcome, 1)
	go func() {
		s, err := node.Serve(t.Context(), conn, policy, ServeOptions{Identity: "here"})
		over <- outcome{s, err}
	}()
	return func() (*Served, error) {
		got := <-over
		return got.Served, got.error
	}
}

// sockets are two ends of a connection of sockets.
func sockets(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer listener.Close()
	near := must(net.Dial("tcp", listener.Addr().String()))(t)
	return near, must(listener.Accept())(t)
}

func TestPeersTalkOverAnyConnection(t *testing.T) {
	connections := map[string]func() (net.Conn, net.Conn){
		"sockets": func() (net.Conn, net.Conn) { return sockets(t) },
		"Go":      net.Pipe,
		"wrapped": func() (net.Conn, net.Conn) {
			near, far := sockets(t)
			return struct{ net.Conn }{near}, struct{ net.Conn }{far}
		},
	}
	for name, connect := range connections {
		t.Run(name, func(t *testing.T) {
			here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
			near, far := connect()
			result := served(t, there, far, KnownNodes([]KnownNode{{"here", one}}, AllowAll()))
			peer := must(here.PeerOver(t.Context(), near))(t)
			defer peer.Close()
			same(t, peer.ID(), two)
			db := filled(t, here, "db", "hello")
			must(db.Push(t.Context(), peer, PushOptions{}))(t)
			must(db.Handoff(t.Context(), peer, PushOptions{}))(t)
			same(t, says(t, there.Volume("db"), 5), "hello")
			ok(t, peer.Close())
			s, err := result()
			ok(t, err)
			same(t, s.Caller, one)
			if s.Requests == 0 || s.Received == 0 {
				t.Fatalf("served: %+v", s)
			}
		})
	}
}

func TestPolicyRefuses(t *testing.T) {
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	db := filled(t, here, "db", "hello")
	var asked atomic.Int64
	policies := map[string]Policy{
		"look only":  LookOnly(),
		"namespaces": Replicas("other"),
		"function": PolicyFunc(func(request Request) error {
			asked.Add(1)
			if request.Action == ActionReceive {
				if request.Volume != "db" || request.Node != one || request.Identity != "here" || request.VolumeID == "" {
					return errors.New("what is that")
				}
				return errors.New("not on a Sunday")
			}
			return nil
		}),
		"caller": PolicyOfCaller(func(request Request) error {
			if request.Action == ActionReceive && request.Identity == "here" {
				return errors.New("nothing from here")
			}
			return nil
		}),
		"panic": PolicyFunc(func(request Request) error {
			if request.Action == ActionReceive {
				panic("at the policy")
			}
			return nil
		}),
	}
	for name, policy := range policies {
		t.Run(name, func(t *testing.T) {
			near, far := net.Pipe()
			result := served(t, there, far, policy)
			peer := must(here.PeerOver(t.Context(), near))(t)
			_, err := db.Push(t.Context(), peer, PushOptions{})
			fails(t, err, ErrNotPermitted)
			if name == "function" && !strings.Contains(err.Error(), "not on a Sunday") {
				t.Fatalf("it does not say why: %v", err)
			}
			peer.Close()
			_, err = result()
			ok(t, err)
		})
	}
	for name, policy := range map[string]Policy{"nobody": {}, "others": KnownNodes([]KnownNode{{"there", two}}, AllowAll())} {
		t.Run(name, func(t *testing.T) {
			near, far := sockets(t)
			result := served(t, there, far, policy)
			_, err := here.PeerOver(t.Context(), near)
			fails(t, err, ErrNotPermitted)
			_, err = result()
			fails(t, err, ErrNotPermitted)
		})
	}
	if asked.Load() == 0 {
		t.Fatal("nobody was asked")
	}
}

func TestFramesAreSeen(t *testing.T) {
	for name, connect := range map[string]func() (net.Conn, net.Conn){
		"sockets": func() (net.Conn, net.Conn) { return sockets(t) },
		"Go":      net.Pipe,
	} {
		t.Run(name, func(t *testing.T) {
			here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
			var asked, answered [2]atomic.Uint64
			count := func(frames *[2]atomic.Uint64) func(Frame) Pass {
				return func(frame Frame) Pass {
					frames[frame.Direction].Add(frame.BodyBytes + 1)
					return PassGo
				}
			}
			near, far := connect()
			result := served(t, there, WatchFrames(far, count(&answered)), AllowAll())
			peer := must(here.PeerOver(t.Context(), WatchFrames(near, count(&asked))))(t)
			must(filled(t, here, "db", "hello").Push(t.Context(), peer, PushOptions{}))(t)
			ok(t, peer.Close())
			must(result())(t)
			if asked[DirectionSent].Load() < 5 || asked[DirectionReceived].Load() == 0 || answered[DirectionSent].Load() == 0 || answered[DirectionReceived].Load() < 5 {
				t.Fatalf("seen: %v %v", &asked, &answered)
			}
		})
	}
}

func TestConnectionIsCutAtAFrame(t *testing.T) {
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	var all sync.WaitGroup
	defer all.Wait()
	dial := func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		all.Add(1)
		go func() {
			defer all.Done()
			there.Serve(t.Context(), far, AllowAll(), ServeOptions{})
		}()
		return near, nil
	}
	for name, watch := range map[string]func(Frame) Pass{
		"cut":   func(Frame) Pass { return PassCut },
		"panic": func(Frame) Pass { panic("at the frame") },
	} {
		_, err := here.Dial(t.Context(), dial, PeerOptions{OnFrame: watch})
		if !errors.Is(err, ErrDisconnected) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	// The third that is sent still goes: the push finds a new connection, or says that it lost one.
	var frames atomic.Int64
	peer := must(here.Dial(t.Context(), dial, PeerOptions{OnFrame: func(frame Frame) Pass {
		if frame.Direction == DirectionSent && frames.Add(1) == 3 {
			return PassCutAfter
		}
		return PassGo
	}}))(t)
	defer peer.Close()
	db := filled(t, here, "db", "hello")
	_, _ = db.Push(t.Context(), peer, PushOptions{})
	must(db.Push(t.Context(), peer, PushOptions{}))(t)
}

func TestDialedPeerIsReachedAnew(t *testing.T) {
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	var (
		mu    sync.Mutex
		conns []net.Conn
		all   sync.WaitGroup
	)
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			all.Add(1)
			go func() {
				defer all.Done()
				there.Serve(t.Context(), conn, AllowAll(), ServeOptions{})
			}()
		}
	}()
	var dialer net.Dialer
	peer := must(here.Dial(t.Context(), func(ctx context.Context) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", listener.Addr().String())
	}, PeerOptions{Silence: 20 * time.Second, Connections: 1}))(t)
	db := filled(t, here, "db", "hello")
	must(db.Push(t.Context(), peer, PushOptions{}))(t)
	mu.Lock()
	hangUp(conns[0])
	mu.Unlock()
	// What is lost on the way may be told once.
	_, _ = db.Push(t.Context(), peer, PushOptions{})
	must(db.Push(t.Context(), peer, PushOptions{}))(t)
	same(t, len(conns), 2)
	ok(t, peer.Close())
	ok(t, listener.Close())
	all.Wait()

	_, err := here.Dial(t.Context(), func(ctx context.Context) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", listener.Addr().String())
	}, PeerOptions{})
	fails(t, err, ErrDisconnected)
	fails(t, err, syscall.ECONNREFUSED)
	_, err = here.Dial(t.Context(), func(context.Context) (net.Conn, error) { panic("at the telephone") }, PeerOptions{})
	fails(t, err, ErrDisconnected)
}

func TestContextEndsWhatWaitsForAPeer(t *testing.T) {
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	for name, connect := range map[string]func() (net.Conn, net.Conn){
		"sockets": func() (net.Conn, net.Conn) { return sockets(t) },
		"Go":      net.Pipe,
	} {
		t.Run(name, func(t *testing.T) {
			near, far := connect()
			defer far.Close()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			prompt(t, func() {
				_, err := here.PeerOver(ctx, near)
				fails(t, err, context.Canceled)
			})
			near, far = connect()
			defer near.Close()
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			prompt(t, func() {
				_, err := there.Serve(ctx, far, AllowAll(), ServeOptions{})
				cancelled(t, err)
			})
			near, far = connect()
			defer far.Close()
			ctx, cancel = context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			prompt(t, func() {
				_, err := here.Dial(ctx, func(context.Context) (net.Conn, error) { return near, nil }, PeerOptions{})
				fails(t, err, context.Canceled)
			})
			// A function that is done when the context has ended already.
			near, far = connect()
			defer far.Close()
			ctx, cancel = context.WithCancel(t.Context())
			prompt(t, func() {
				_, err := here.Dial(ctx, func(dialling context.Context) (net.Conn, error) {
					cancel()
					<-dialling.Done()
					time.Sleep(20 * time.Millisecond)
					return near, nil
				}, PeerOptions{})
				fails(t, err, context.Canceled)
			})
		})
	}
}

func TestContextEndsARecovery(t *testing.T) {
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	policy := PolicyFunc(func(request Request) error {
		if request.Action == ActionLook {
			asked <- struct{}{}
			<-answer
		}
		return nil
	})
	var all sync.WaitGroup
	peer := must(here.Dial(t.Context(), func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		all.Add(1)
		go func() {
			defer all.Done()
			there.Serve(t.Context(), far, policy, ServeOptions{})
		}()
		return near, nil
	}, PeerOptions{}))(t)
	db := filled(t, here, "db", "hello")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	prompt(t, func() {
		_, err := db.Recover(ctx, peer)
		cancelled(t, err)
	})
	close(answer)
	same(t, must(db.Recover(t.Context(), peer))(t), Recovered{Outcome: OutcomeNothing})
	_, err := here.Volume("none").Recover(t.Context(), peer)
	fails(t, err, ErrNotFound)
	_, err = db.Recover(ctx, peer)
	fails(t, err, context.Canceled)
	ok(t, peer.Close())
	all.Wait()
	_, err = db.Recover(t.Context(), peer)
	fails(t, err, ErrClosed)
}

func TestContextEndsAPush(t *testing.T) {
	here, there := nodeOf(t, one, NodeOptions{}), nodeOf(t, two, NodeOptions{})
	peer := must(LocalPeer(there))(t)
	defer peer.Close()
	db := filled(t, here, "db", strings.Repeat("hello", 1<<20))
	slow := must(NewBandwidth(1 << 10))(t)
	defer slow.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	prompt(t, func() {
		_, err := db.Push(ctx, peer, PushOptions{Bandwidth: slow})
		cancelled(t, err)
	})
	must(db.Push(t.Context(), peer, PushOptions{}))(t)
	ctx, cancel = context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err := db.Push(ctx, peer, PushOptions{})
	fails(t, err, context.DeadlineExceeded)
}
