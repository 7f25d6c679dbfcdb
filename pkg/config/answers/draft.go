package answers

import "slices"

// Draft is what can be read of a document that is not complete. No rule is applied to it: it serves
// to look for the missing answers.
func (d *Document) Draft() Answers {
	v := validation{document: d, nodes: map[string]place{}, reported: map[string]bool{}}
	a := v.run()
	for i := range a.Forests { // a placeholder in a list is an empty element
		f := &a.Forests[i]
		f.Domains, f.Directory.Servers = filled(f.Domains), filled(f.Directory.Servers)
	}
	return a
}

func filled(list []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}
