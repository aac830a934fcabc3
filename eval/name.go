package eval

import (
	"encoding/json"
	"fmt"
)

// Name is what messages call an item: its place in the run, and the name that it
// has in the user's data, if it has one.
func (r Record) Name() string {
	var item struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(r.Item, &item) == nil && len(item.ID) > 0 {
		name := string(item.ID)
		_ = json.Unmarshal(item.ID, &name) // a number stands as it is
		if name != "" && name != "null" && len(name) <= mostName {
			return fmt.Sprintf("item %d (%s)", r.Index, name)
		}
	}
	return fmt.Sprintf("item %d", r.Index)
}

// mostName bounds the names that are told, in bytes.
const mostName = 100
