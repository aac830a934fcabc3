package eval

import "encoding/json"

// Confidences reads what a study's result says of its confidences ([Confident]);
// there are none where it says nothing.
func Confidences(suite Suite, result json.RawMessage) map[string]float64 {
	if s, ok := suite.(interface {
		confidences(json.RawMessage) map[string]float64
	}); ok && len(result) > 0 && string(result) != "null" {
		return s.confidences(result)
	}
	return nil
}

func (s Study[I, R]) confidences(raw json.RawMessage) map[string]float64 {
	var result R
	if json.Unmarshal(raw, &result) != nil {
		return nil
	}
	if c, ok := any(result).(interface{ Confidences() map[string]float64 }); ok {
		return c.Confidences()
	}
	return nil
}
