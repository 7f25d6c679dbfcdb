package kerberos

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// checkCache follows the lengths in a ticket cache. gokrb5 believes them: it allocates lists of as
// many elements as a damaged file names, and the program runs out of memory.
func checkCache(data []byte) error {
	if len(data) < 4 || data[0] != 5 {
		return errors.New("not a ticket cache")
	}
	version := data[1]
	if version != 3 && version != 4 {
		return fmt.Errorf("version %d is not supported; run kinit", version)
	}
	c := &cacheReader{data[2:], false}
	if version == 4 {
		c.skip(c.short())
	}
	c.principal()
	for len(c.left) > 0 && !c.damaged {
		c.principal()
		c.principal()
		c.skip(2) // type of the key
		if version == 3 {
			c.skip(2)
		}
		c.data()
		c.skip(4*4 + 1 + 4) // times, session key, flags
		for range 2 {       // addresses, authorization data
			for range c.count(6) {
				c.skip(2)
				c.data()
			}
		}
		c.data() // ticket
		c.data() // second ticket
	}
	if c.damaged {
		return errors.New("damaged; run kinit")
	}
	return nil
}

type cacheReader struct {
	left    []byte
	damaged bool
}

func (c *cacheReader) skip(n int) {
	if n > len(c.left) {
		c.left, c.damaged = nil, true
		return
	}
	c.left = c.left[n:]
}

func (c *cacheReader) short() int {
	if len(c.left) < 2 {
		c.damaged = true
		return 0
	}
	n := int(binary.BigEndian.Uint16(c.left))
	c.skip(2)
	return n
}

// count is a number of elements that take at least size bytes each.
func (c *cacheReader) count(size uint64) int {
	if len(c.left) < 4 {
		c.damaged = true
		return 0
	}
	n := uint64(binary.BigEndian.Uint32(c.left))
	c.skip(4)
	if n*size > uint64(len(c.left)) {
		c.left, c.damaged = nil, true
		return 0
	}
	return int(n) //nolint:gosec // not more than the file has bytes
}

func (c *cacheReader) data() { c.skip(c.count(1)) }

func (c *cacheReader) principal() {
	c.skip(4) // kind of the name
	parts := c.count(4)
	c.data() // realm
	for range parts {
		c.data()
	}
}
