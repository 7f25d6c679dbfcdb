package lab

import (
	"crypto/rand"
	"crypto/rsa"
	"sync"
)

// ring holds the RSA keys of one lab. To make them takes most of a lab's start, so a lab that is
// closed leaves them to the next one of the process: labs that run at the same time share none.
type ring struct {
	mu   sync.Mutex
	keys []*rsa.PrivateKey
}

// spare are the keys of the labs that were closed.
var spare ring

func (r *ring) take() (*rsa.PrivateKey, error) {
	key := spare.pop()
	if key == nil {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, err
		}
	}
	r.add(key)
	return key, nil
}

// release leaves the keys to other labs.
func (r *ring) release() {
	for key := r.pop(); key != nil; key = r.pop() {
		spare.add(key)
	}
}

func (r *ring) add(key *rsa.PrivateKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, key)
}

// pop returns nil where there is none.
func (r *ring) pop() *rsa.PrivateKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) == 0 {
		return nil
	}
	key := r.keys[len(r.keys)-1]
	r.keys = r.keys[:len(r.keys)-1]
	return key
}
