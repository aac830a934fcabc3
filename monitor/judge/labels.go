package judge

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// LabelSets are the sets of labels that have a name: those of the papers.
func LabelSets() map[string][]Label {
	return map[string][]Label{
		"explanation":             Explanation(),
		"rose-frame":              RoseFrame(),
		"designed-to-hallucinate": Ontological(),
	}
}

// ParseLabels reads labels as a person writes them: the name of a set, or
// "NAME: MEANING", or "NAME/MAX: MEANING" for a grade from 0 to MAX.
func ParseLabels(specs ...string) ([]Label, error) {
	sets := LabelSets()
	var out []Label
	for _, spec := range specs {
		if set, ok := sets[spec]; ok {
			out = append(out, set...)
			continue
		}
		name, meaning, ok := strings.Cut(spec, ":")
		l := Label{Meaning: strings.TrimSpace(meaning)}
		name, top, graded := strings.Cut(strings.TrimSpace(name), "/")
		l.Name = strings.TrimSpace(name)
		var err error
		if graded {
			l.Max, err = strconv.Atoi(top)
		}
		if !ok || l.Name == "" || l.Meaning == "" || err != nil || graded && (l.Max < 1 || l.Max > 9) {
			return nil, fmt.Errorf("judge: label %q: want NAME: MEANING, NAME/MAX: MEANING with a highest grade of 1 to 9, or a set: %s", spec, strings.Join(slices.Sorted(maps.Keys(sets)), ", "))
		}
		if slices.ContainsFunc(out, func(o Label) bool { return o.Name == l.Name }) {
			return nil, fmt.Errorf("judge: label %q is there twice", l.Name)
		}
		out = append(out, l)
	}
	return out, nil
}
