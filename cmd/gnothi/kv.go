package main

import "gnothi/catalog"

// keysAndValues reads how a local model keeps keys and values.
func (c *config) keysAndValues(o *catalog.ModelOptions) (err error) {
	switch c.String("kv") {
	case "f32":
	case "f16":
		o.HalfKV = true
	default:
		err = c.bad("kv", "f32 or f16", err)
	}
	bytes, perr := parseBytes(c.String("kv-memory"))
	if perr != nil || bytes < 1 {
		err = c.bad("kv-memory", "a size such as 512MiB", err)
	}
	o.KVMemory = bytes
	return err
}
