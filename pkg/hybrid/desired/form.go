package desired

import (
	"fmt"
	"reflect"
	"strings"
	"text/template/parse"

	"github.com/hybridge-cli/hybridge/templates"
)

// form is a template in the syntax of text/template: range, if, not, len, printf, fields and
// variables. Methods cannot be called. text/template itself calls them by name, so that the linker
// keeps every exported method of the program: 4 MB of it.
type form struct {
	list  *parse.ListNode
	texts map[string]func(string) string
}

// mustForm parses a template file, which is built in. texts are functions of one text.
func mustForm(path string, texts map[string]func(string) string) *form {
	known := map[string]any{"not": true, "len": true, "printf": true}
	for name := range texts {
		known[name] = true
	}
	text, err := templates.Read(path)
	if err != nil {
		panic(err)
	}
	trees, err := parse.Parse(path, text, "", "", known)
	if err != nil {
		panic(err)
	}
	return &form{trees[path].Root, texts}
}

// fill writes the template with data.
func (f *form) fill(data any) []byte {
	p := &filling{form: f, variables: map[string]reflect.Value{"$": reflect.ValueOf(data)}}
	p.walk(f.list, reflect.ValueOf(data))
	return []byte(p.out.String())
}

type filling struct {
	*form
	variables map[string]reflect.Value // each has its own name in a template here
	out       strings.Builder
}

func (p *filling) walk(list *parse.ListNode, dot reflect.Value) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.TextNode:
			p.out.Write(n.Text)
		case *parse.ActionNode:
			fmt.Fprint(&p.out, p.pipe(n.Pipe, dot).Interface())
		case *parse.IfNode:
			if truth(p.pipe(n.Pipe, dot)) {
				p.walk(n.List, dot)
			} else {
				p.walk(n.ElseList, dot)
			}
		case *parse.RangeNode:
			items := p.pipe(n.Pipe, dot)
			for i := range items.Len() {
				switch d := n.Pipe.Decl; len(d) {
				case 1:
					p.variables[d[0].Ident[0]] = items.Index(i)
				case 2:
					p.variables[d[0].Ident[0]], p.variables[d[1].Ident[0]] = reflect.ValueOf(i), items.Index(i)
				}
				p.walk(n.List, items.Index(i))
			}
		default:
			panic("desired: a template cannot have " + node.String())
		}
	}
}

// pipe evaluates commands, each with the value of the one before as its last argument.
func (p *filling) pipe(pipe *parse.PipeNode, dot reflect.Value) (v reflect.Value) {
	for _, c := range pipe.Cmds {
		args := make([]reflect.Value, 0, len(c.Args))
		name, call := c.Args[0].(*parse.IdentifierNode)
		for i, a := range c.Args {
			if i > 0 || !call {
				args = append(args, p.value(a, dot))
			}
		}
		if v.IsValid() {
			args = append(args, v)
		}
		if v = args[0]; call {
			v = p.call(name.Ident, args)
		}
	}
	return v
}

func (p *filling) value(node parse.Node, dot reflect.Value) reflect.Value {
	switch n := node.(type) {
	case *parse.DotNode:
		return dot
	case *parse.FieldNode:
		return field(dot, n.Ident)
	case *parse.VariableNode:
		return field(p.variables[n.Ident[0]], n.Ident[1:])
	case *parse.StringNode:
		return reflect.ValueOf(n.Text)
	case *parse.PipeNode:
		return p.pipe(n, dot)
	}
	panic("desired: a template cannot have " + node.String())
}

// call runs a function of templates.
func (p *filling) call(name string, args []reflect.Value) reflect.Value {
	switch name {
	case "not":
		return reflect.ValueOf(!truth(args[0]))
	case "len":
		return reflect.ValueOf(args[0].Len())
	case "printf":
		var rest []any
		for _, a := range args[1:] {
			rest = append(rest, a.Interface())
		}
		return reflect.ValueOf(fmt.Sprintf(args[0].String(), rest...))
	}
	return reflect.ValueOf(p.texts[name](fmt.Sprint(args[0].Interface())))
}

func field(v reflect.Value, names []string) reflect.Value {
	for _, name := range names {
		if v = reflect.Indirect(v).FieldByName(name); !v.IsValid() {
			panic("desired: a template names the field " + name + ", which its data does not have")
		}
	}
	return v
}

// truth is false for false, 0, and what is empty.
func truth(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() > 0
	}
	return !v.IsZero()
}
