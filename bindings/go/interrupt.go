package zfsvol

import (
	"context"
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"
)

// interruptEvery is how long a thread is given to come back before it gets the next signal: one that comes before the thread waits in the kernel is lost.
const interruptEvery = 10 * time.Millisecond

// interruptible runs a call that waits in the kernel until a signal comes, and has one come when the context ends. A call that another signal has
// interrupted is made again.
func interruptible(ctx context.Context, call func() error) error {
	for {
		if err := begin(ctx); err != nil {
			return err
		}
		err := interrupted(ctx, call)
		if !errors.Is(err, ErrInterrupted) {
			return err
		}
	}
}

// interrupted runs a call, and sends signals to its thread from the end of the context to that of the call.
//
// The signal is the one by which the runtime of Go stops its own threads: it is handled in every Go program, and does nothing else. As it has a handler, the
// kernel gives up what the thread waits for.
func interrupted(ctx context.Context, call func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, over, quiet := syscall.Gettid(), make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(quiet)
		for {
			_ = syscall.Tgkill(os.Getpid(), thread, syscall.SIGURG)
			select {
			case <-over:
				return
			case <-time.After(interruptEvery):
			}
		}
	})
	// Also when the call panics: signals to the thread must not outlast it.
	defer func() {
		close(over)
		if !stop() {
			<-quiet
		}
	}()
	return call()
}
