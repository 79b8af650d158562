package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zfsvol/zfsvol/bindings/go"
)

const (
	// What version 1 of the protocol calls itself.
	contentType = "application/vnd.docker.plugins.v1.1+json"
	// Docker's requests are a few hundred bytes; more is not from Docker.
	requestBytesMax = 1 << 20
)

// Plugin answers Docker's volume plugin protocol, version 1.
//
// Not by docker/go-plugins-helpers: that reads requests of any length, cannot be stopped, and would bring its dependencies into the module of this package,
// which has none.
type Plugin struct {
	http.Handler
	node *zfsvol.Node

	// Held while something is mounted or unmounted, so that it agrees with users.
	mu sync.Mutex
	// By volume, the IDs of those who have it mounted. Docker names one for each container. They do not outlive the plugin: when it was started anew, the first of
	// several unmounts takes the volume out of sight, and the containers keep what they have.
	users map[string]map[string]bool
}

// request is what any of the calls comes with.
type request struct {
	Name string
	ID   string
	Opts map[string]string
}

// response is what any of the calls is answered with.
type response struct {
	Err          string        `json:",omitempty"`
	Implements   []string      `json:",omitempty"`
	Mountpoint   string        `json:",omitempty"`
	Volume       *volume       `json:",omitempty"`
	Volumes      []volume      `json:",omitempty"`
	Capabilities *capabilities `json:",omitempty"`
}

type volume struct {
	Name       string
	Mountpoint string         `json:",omitempty"`
	CreatedAt  string         `json:",omitempty"`
	Status     map[string]any `json:",omitempty"`
}

type capabilities struct{ Scope string }

// NewPlugin is a plugin whose volumes are those of the node.
func NewPlugin(node *zfsvol.Node) *Plugin {
	p := &Plugin{node: node, users: map[string]map[string]bool{}}
	mux := http.NewServeMux()
	for path, call := range map[string]func(request) (response, error){
		"/Plugin.Activate": func(request) (response, error) {
			return response{Implements: []string{"VolumeDriver"}}, nil
		},
		"/VolumeDriver.Capabilities": func(request) (response, error) {
			return response{Capabilities: &capabilities{Scope: "local"}}, nil
		},
		"/VolumeDriver.Create":  p.create,
		"/VolumeDriver.Remove":  p.remove,
		"/VolumeDriver.Mount":   p.mount,
		"/VolumeDriver.Unmount": p.unmount,
		"/VolumeDriver.Path":    p.path,
		"/VolumeDriver.Get":     p.get,
		"/VolumeDriver.List":    p.list,
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { answer(w, r, call) })
	}
	p.Handler = mux
	return p
}

// answer reads a request, and writes what the call says. A failure is a message for people.
func answer(w http.ResponseWriter, r *http.Request, call func(request) (response, error)) {
	var (
		asked request
		said  response
	)
	body := http.MaxBytesReader(w, r.Body, requestBytesMax)
	err := json.NewDecoder(body).Decode(&asked)
	// Some calls come with no body at all.
	if err == nil || r.ContentLength == 0 {
		said, err = call(asked)
	}
	w.Header().Set("Content-Type", contentType)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		said = response{Err: err.Error()}
	}
	// Who does not wait for the answer does not get it.
	_ = json.NewEncoder(w).Encode(said)
}

// create makes a volume. Options: "size" (10G), "from" (another volume, or volume@snapshot), and properties of OpenZFS. Docker repeats calls whose answer it did not
// get, so one that is there already is no failure.
func (p *Plugin) create(r request) (response, error) {
	spec := zfsvol.VolumeSpec{Properties: zfsvol.Settings{}}
	var from string
	for name, value := range r.Opts {
		var err error
		switch name {
		case "size":
			spec.QuotaBytes, err = bytes(value)
		case "from":
			from = value
		default:
			spec.Properties[name] = value
		}
		if err != nil {
			return response{}, err
		}
	}
	var err error
	if from == "" {
		_, err = p.node.CreateVolume(r.Name, spec)
	} else if len(r.Opts) > 1 {
		err = errors.New("a volume made from another takes its properties from that: give no other option")
	} else {
		source, snapshot, _ := strings.Cut(from, "@")
		_, err = p.node.Volume(source).Clone(snapshot, r.Name)
	}
	if errors.Is(err, zfsvol.ErrExists) {
		_, err = p.filesystem(r.Name)
	}
	return response{}, err
}

func (p *Plugin) remove(r request) (response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.users[r.Name]); n > 0 {
		return response{}, fmt.Errorf("cannot remove '%s': it is mounted by %d", r.Name, n)
	}
	_, err := p.node.Volume(r.Name).Destroy()
	return response{}, err
}

func (p *Plugin) mount(r request) (response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	path, err := p.node.Volume(r.Name).Mount()
	if err != nil {
		return response{}, err
	}
	if p.users[r.Name] == nil {
		p.users[r.Name] = map[string]bool{}
	}
	p.users[r.Name][r.ID] = true
	return response{Mountpoint: path}, nil
}

// unmount unmounts a volume when its last user is gone.
func (p *Plugin) unmount(r request) (response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	users := p.users[r.Name]
	if len(users) > 1 || (len(users) == 1 && !users[r.ID]) {
		delete(users, r.ID)
		return response{}, nil
	}
	if _, err := p.node.Volume(r.Name).Unmount(); err != nil {
		return response{}, err
	}
	delete(p.users, r.Name)
	return response{}, nil
}

func (p *Plugin) path(r request) (response, error) {
	info, err := p.filesystem(r.Name)
	return response{Mountpoint: p.mountpoint(info)}, err
}

func (p *Plugin) get(r request) (response, error) {
	info, err := p.filesystem(r.Name)
	if err != nil {
		return response{}, err
	}
	return response{Volume: &volume{
		Name:       info.Name,
		Mountpoint: p.mountpoint(info),
		CreatedAt:  info.Created.UTC().Format(time.RFC3339),
		Status:     map[string]any{"State": info.State, "Epoch": info.Epoch, "Used": info.Used, "Quota": info.Quota, "Dataset": info.Dataset},
	}}, nil
}

func (p *Plugin) list(request) (response, error) {
	all, _, err := p.node.Volumes()
	var said response
	for _, info := range all {
		if info.Kind == "file_system" {
			said.Volumes = append(said.Volumes, volume{Name: info.Name, Mountpoint: p.mountpoint(info)})
		}
	}
	return said, err
}

// filesystem is a volume that containers can have: the node may have block devices too.
func (p *Plugin) filesystem(name string) (zfsvol.VolumeInfo, error) {
	info, err := p.node.Volume(name).Info()
	if err == nil && info.Kind != "file_system" {
		return info, fmt.Errorf("cannot use '%s': it is a block device", name)
	}
	return info, err
}

// mountpoint is where it is mounted; nowhere if it is not.
func (p *Plugin) mountpoint(info zfsvol.VolumeInfo) string {
	if !info.Mounted {
		return ""
	}
	path, err := p.node.Volume(info.Name).Path()
	if err != nil {
		return ""
	}
	return path
}

// bytes reads a size: 512, 64K, 10M, 10G or 1T.
func bytes(size string) (uint64, error) {
	digits := strings.TrimRight(strings.TrimSuffix(strings.ToUpper(size), "B"), "KMGT")
	unit := strings.TrimSuffix(strings.ToUpper(size)[len(digits):], "B")
	shift := map[string]uint{"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
	n, err := strconv.ParseUint(digits, 10, 64)
	by, known := shift[unit]
	if err != nil || !known || n == 0 || n > math.MaxUint64>>by {
		return 0, fmt.Errorf("'%s' is no size: say 64M, 10G or 1T", size)
	}
	return n << by, nil
}
